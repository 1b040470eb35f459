package view

import (
	"slices"
	"sync"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// Part is one index as a copy of a state holds it: its terms, in the order in
// which Parts yields them, each with its entry.
type Part struct {
	Index   string
	Hot     bool
	Terms   []string
	Entries []*record.Entry
}

// Parts yields every index of the state, by name.
func (s *State) Parts(yield func(index string, hot bool, terms func(yield func(term string, e *record.Entry) bool)) bool) {
	names := make([]string, 0, len(s.hot)+len(s.sorted))
	for name := range s.hot {
		names = append(names, name)
	}
	for name := range s.sorted {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		var ok bool
		if t, hot := s.hot[name]; hot {
			ok = yield(name, true, func(yield func(string, *record.Entry) bool) {
				walkItems(t.root, func(it *item) bool { return yield(it.key, it.entry) })
			})
		} else {
			m := s.sorted[name]
			ok = yield(name, false, func(yield func(string, *record.Entry) bool) {
				m.Scan(func(term string, key record.Key) bool {
					e := s.records.get(string(key))
					return e == nil || yield(term, e)
				})
			})
		}
		if !ok {
			return
		}
	}
}

func walkItems(n *tnode, yield func(*item) bool) bool {
	if n == nil {
		return true
	}
	if n.kids == nil {
		for i := range n.items {
			if !yield(&n.items[i]) {
				return false
			}
		}
		return true
	}
	for _, k := range n.kids {
		if !walkItems(k, yield) {
			return false
		}
	}
	return true
}

// Assemble makes a state of the records and indexes of a copy, given in the
// order in which All and Parts yielded them: nothing is decoded and nothing
// sorted. The digest is of the entries' hashes; who reads a copy compares it
// with a signed head's.
func Assemble(seed []byte, entries []*record.Entry, parts []Part) *State {
	s := Empty(seed)
	hot, sorted := make([]trie, len(parts)), make([]*orderedIndex, len(parts))
	var wait sync.WaitGroup
	wait.Go(func() {
		items := make([]item, len(entries))
		for i, e := range entries {
			items[i] = item{s.records.hash(string(e.Key)), string(e.Key), e}
		}
		s.records.root = s.records.build(inOrder(items), 0)
		s.records.root.seal()
	})
	for i := range parts {
		wait.Go(func() {
			if p := &parts[i]; p.Hot {
				hot[i] = hotIndex(p, s.records.k0, s.records.k1)
			} else {
				sorted[i] = sortedIndex(p)
			}
		})
	}
	wait.Wait()
	for i := range parts {
		if parts[i].Hot {
			s.hot[parts[i].Index] = hot[i]
		} else {
			s.sorted[parts[i].Index] = sorted[i]
		}
	}
	return s
}

// inOrder sorts items that are not in a trie's order already.
func inOrder(items []item) []item {
	before := func(a, b item) int { return order(a, b.hash, b.key) }
	if !slices.IsSortedFunc(items, before) {
		slices.SortFunc(items, before)
	}
	return items
}

func hotIndex(p *Part, k0, k1 uint64) trie {
	t := trie{k0: k0, k1: k1}
	items := make([]item, len(p.Terms))
	for i, term := range p.Terms {
		items[i] = item{t.hash(term), term, p.Entries[i]}
	}
	t.root = t.build(inOrder(items), 0)
	return t
}

func sortedIndex(p *Part) *orderedIndex {
	m := new(orderedIndex)
	for i, term := range p.Terms {
		m.Load(term, p.Entries[i].Key) // also right for terms out of order, only slower
	}
	return cut(m)
}
