// Package view is one state of the whole configuration, immutable, in memory:
// what a node serves, and what the sequencer applies calls to.
//
// Invariant: a State never changes once it is made, so readers take no lock
// and see all of a batch or none of it; its digest is a function of its
// records alone, so two nodes at one revision can compare a hash.
package view

import (
	"errors"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tidwall/btree"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// orderedIndex is one ordered index. It holds keys, not records, so that a
// change of a record that leaves its terms alone leaves the index alone.
// Copying a Map writes to the original's bookkeeping, so copies are made one at
// a time; readers are not concerned.
type orderedIndex = btree.Map[string, record.Key]

var copying sync.Mutex

// State is an immutable set of records with its indexes.
type State struct {
	records trie
	hot     map[string]trie          // by index name
	sorted  map[string]*orderedIndex // by index name
}

// Empty returns the state without records. The seed (16 bytes, of the lineage)
// keys the tries' hash.
func Empty(seed []byte) *State {
	return &State{records: newTrie(seed), hot: map[string]trie{}, sorted: map[string]*orderedIndex{}}
}

// Entry returns the record under key.
func (s *State) Entry(key record.Key) (*record.Entry, bool) {
	e := s.records.get(string(key))
	return e, e != nil
}

// Lookup returns the record that a hot index holds under term.
func (s *State) Lookup(index, term string) (*record.Entry, bool) {
	t, ok := s.hot[index]
	if !ok {
		return nil, false
	}
	e := t.get(term)
	return e, e != nil
}

// Range calls yield for the entries of an ordered index whose term has the
// prefix, in order of term, starting after the term `after`.
func (s *State) Range(index, prefix, after string, yield func(term string, e *record.Entry) bool) {
	m := s.sorted[index]
	if m == nil {
		return
	}
	m.Ascend(max(prefix, after), func(term string, key record.Key) bool {
		if len(term) < len(prefix) || term[:len(prefix)] != prefix {
			return false
		}
		if after != "" && term <= after {
			return true
		}
		e := s.records.get(string(key))
		return e == nil || yield(term, e)
	})
}

// Terms returns how many terms an ordered index has.
func (s *State) Terms(index string) int {
	if m := s.sorted[index]; m != nil {
		return m.Len()
	}
	return 0
}

// Digest returns the Merkle digest over all records.
func (s *State) Digest() record.Hash { return s.records.digest() }

// Len returns the number of records.
func (s *State) Len() int { return s.records.len() }

// All yields every record, in an order that depends on the content alone.
func (s *State) All(yield func(*record.Entry) bool) { s.records.all(yield) }

// Seed returns whether this state's hash is keyed with the seed.
func (s *State) Seed(seed []byte) bool {
	t := newTrie(seed)
	return t.k0 == s.records.k0 && t.k1 == s.records.k1
}

// View is what a node serves: a state, and the signed head that it is of.
type View struct {
	*State
	Head record.Head
}

// Reaches says whether the view is at least as new as a revision, and which
// index that is. A revision of another lineage is an error, since it never comes,
// unless this view's lineage has gone on from after it.
func (v *View) Reaches(revision string) (index uint64, ok bool, err error) {
	lineage, index, err := record.ParseRevision(revision)
	if err == nil && lineage != v.Head.Lineage {
		if shared := v.sharedWith(lineage); shared == 0 || index > shared {
			err = errors.New("this is a revision of another lineage")
		}
	}
	return index, err == nil && v.Head.Index >= index, err
}

// sharedWith is up to which index another lineage's history is this one's too.
func (v *View) sharedWith(lineage string) uint64 {
	d, err := record.DescentOf(v)
	if err != nil {
		return 0
	}
	fork, at := d.Common(lineage, v.Head.Lineage)
	if at == nil {
		return 0
	}
	return fork
}

// Current is the root pointer of a node: one atomic load for a reader.
type Current struct{ p atomic.Pointer[View] }

// Load returns the view served now, nil before the first.
func (c *Current) Load() *View { return c.p.Load() }

// Store publishes a view.
func (c *Current) Store(v *View) { c.p.Store(v) }

// Build makes a state of entries in bulk: sorted once and built by partition,
// not by inserts.
func Build(seed []byte, entries iter.Seq[*record.Entry], workers int) *State {
	s := Empty(seed)
	var items []item
	hot := map[string][]item{}
	sorted := map[string][]item{}
	for e := range entries {
		items = append(items, item{s.records.hash(string(e.Key)), string(e.Key), e})
		terms, _ := e.Terms() // what cannot be read is in no index
		for _, t := range terms {
			if t.Hot {
				hot[t.Index] = append(hot[t.Index], item{s.records.hash(t.Term), t.Term, e})
			} else {
				sorted[t.Index] = append(sorted[t.Index], item{0, t.Term, e})
			}
		}
	}
	s.records.root = s.records.bulk(items, workers)
	s.records.root.seal() // the parts are sealed; what is left is the top
	for name, list := range hot {
		t := trie{k0: s.records.k0, k1: s.records.k1}
		t.root = t.bulk(list, workers)
		s.hot[name] = t
	}
	for name, list := range sorted {
		slices.SortFunc(list, func(a, b item) int { return order(a, 0, b.key) })
		m := new(orderedIndex)
		for _, it := range list {
			m.Load(it.key, it.entry.Key)
		}
		s.sorted[name] = cut(m)
	}
	return s
}

// cut returns a loaded index in nodes of their own size. Those that Load split
// keep the room of whole ones, twice what they hold.
func cut(m *orderedIndex) *orderedIndex {
	m = m.Copy()
	m.ScanMut(func(string, record.Key) bool { return true })
	return m
}

// bulk builds a tree of unsorted items; the top level's parts side by side.
func (t *trie) bulk(items []item, workers int) *tnode {
	if len(items) <= leafMax || workers < 2 {
		slices.SortFunc(items, func(a, b item) int { return order(a, b.hash, b.key) })
		return t.build(items, 0)
	}
	var parts [fan][]item
	for _, it := range items {
		i := slot(it.hash, 0)
		parts[i] = append(parts[i], it)
	}
	var kids [fan]*tnode
	var wait sync.WaitGroup
	free := make(chan struct{}, workers)
	for i := range parts {
		free <- struct{}{}
		wait.Go(func() {
			defer func() { <-free }()
			slices.SortFunc(parts[i], func(a, b item) int { return order(a, b.hash, b.key) })
			kids[i] = t.build(parts[i], 1)
			kids[i].seal()
		})
	}
	wait.Wait()
	return t.branch(&kids)
}
