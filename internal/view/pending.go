package view

import (
	"maps"
	"slices"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// Pending is an uncommitted, copy-on-write change of a State. It is for one
// goroutine; the state that it began from stays as it was.
type Pending struct {
	state   State
	owned   map[string]bool // ordered indexes that this Pending may change in place
	changed map[record.Key]int
	changes []record.Change
}

// Begin starts a change of the state; O(1).
func (s *State) Begin() *Pending {
	return &Pending{state: State{s.records, maps.Clone(s.hot), maps.Clone(s.sorted)}}
}

// Fork starts a change of the change: drop it to undo. p must not be written
// to until the fork is dropped or adopted.
func (p *Pending) Fork() *Pending {
	p.owned = nil // the fork sees the same indexes
	return p.state.Begin()
}

// Adopt makes p the fork, with its changes added.
func (p *Pending) Adopt(f *Pending) {
	p.state, p.owned = f.state, f.owned
	for _, c := range f.changes {
		p.note(c)
	}
	f.owned = nil
}

// Changes returns what was changed since Begin or Fork: one change a key, in
// the order of the first write.
func (p *Pending) Changes() []record.Change { return p.changes }

// State returns the change as a state of its own; O(1). p can go on.
func (p *Pending) State() *State {
	p.owned = nil
	s := p.state
	s.hot, s.sorted = maps.Clone(s.hot), maps.Clone(s.sorted)
	return &s
}

// Entry implements record.Reader.
func (p *Pending) Entry(key record.Key) (*record.Entry, bool) { return p.state.Entry(key) }

// Lookup implements record.Reader.
func (p *Pending) Lookup(index, term string) (*record.Entry, bool) {
	return p.state.Lookup(index, term)
}

// Range implements record.Reader.
func (p *Pending) Range(index, prefix, after string, yield func(string, *record.Entry) bool) {
	p.state.Range(index, prefix, after, yield)
}

// Put implements record.Tx.
func (p *Pending) Put(e *record.Entry, value []byte) error {
	p.note(record.Change{Key: e.Key, Value: value})
	p.set(e.Key, e)
	return nil
}

// Delete implements record.Tx.
func (p *Pending) Delete(key record.Key) {
	p.note(record.Change{Key: key})
	p.set(key, nil)
}

// Apply makes a follower's changes: as they came, whether or not this build
// can read them.
func (p *Pending) Apply(changes []record.Change) {
	for _, c := range changes {
		if c.Value == nil {
			p.set(c.Key, nil)
		} else {
			p.set(c.Key, record.NewEntry(c.Key, c.Value))
		}
	}
}

// note remembers a change; a later one of the same key replaces it.
func (p *Pending) note(c record.Change) {
	if p.changed == nil {
		p.changed = map[record.Key]int{}
	}
	if i, ok := p.changed[c.Key]; ok {
		p.changes[i] = c
		return
	}
	p.changed[c.Key] = len(p.changes)
	p.changes = append(p.changes, c)
}

// set binds key to e, or to nothing, and derives the indexes anew.
func (p *Pending) set(key record.Key, e *record.Entry) {
	old := p.state.records.get(string(key))
	var before, after []record.Term
	if old != nil {
		before, _ = old.Terms() // what cannot be read is in no index
	}
	if e != nil {
		after, _ = e.Terms()
		p.state.records = p.state.records.put(string(key), e)
	} else if old != nil {
		p.state.records = p.state.records.drop(string(key))
	}
	for _, t := range before {
		if !slices.Contains(after, t) {
			p.unindex(t, old)
		}
	}
	for _, t := range after {
		p.index(t, e)
	}
}

func (p *Pending) index(t record.Term, e *record.Entry) {
	if t.Hot {
		tree, ok := p.state.hot[t.Index]
		if !ok {
			tree = trie{k0: p.state.records.k0, k1: p.state.records.k1}
		}
		p.state.hot[t.Index] = tree.put(t.Term, e)
		return
	}
	p.ordered(t.Index).Set(t.Term, e)
}

// unindex removes a term, unless another record has taken it meanwhile.
func (p *Pending) unindex(t record.Term, old *record.Entry) {
	if t.Hot {
		tree := p.state.hot[t.Index]
		if e := tree.get(t.Term); e != nil && e.Key == old.Key {
			p.state.hot[t.Index] = tree.drop(t.Term)
		}
		return
	}
	m := p.ordered(t.Index)
	if e, ok := m.Get(t.Term); ok && e.Key == old.Key {
		m.Delete(t.Term)
	}
}

// ordered returns the index, a copy of our own on first use.
func (p *Pending) ordered(name string) *orderedIndex {
	m := p.state.sorted[name]
	if m != nil && p.owned[name] {
		return m
	}
	if m == nil {
		m = new(orderedIndex)
	} else {
		copying.Lock()
		m = m.Copy()
		copying.Unlock()
	}
	p.state.sorted[name] = m
	if p.owned == nil {
		p.owned = map[string]bool{}
	}
	p.owned[name] = true
	return m
}
