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
	own     owned
	changed map[record.Key]int // places in changes, when they are many
	changes []record.Change
}

// owned says what of its state a Pending shares with nobody, and so may change
// in place: the maps of indexes, and ordered indexes.
type owned struct {
	hot, sorted bool
	ordered     map[string]bool
}

// Begin starts a change of the state; O(1).
func (s *State) Begin() *Pending { return &Pending{state: *s} }

// Fork starts a change of the change: drop it to undo. p must not be written
// to until the fork is dropped or adopted.
func (p *Pending) Fork() *Pending {
	p.own = owned{} // the fork sees the same indexes
	return p.state.Begin()
}

// Adopt makes p the fork, with its changes added.
func (p *Pending) Adopt(f *Pending) {
	p.state, p.own = f.state, f.own
	for _, c := range f.changes {
		p.note(c)
	}
	f.own = owned{}
}

// Changes returns what was changed since Begin or Fork: one change a key, in
// the order of the first write.
func (p *Pending) Changes() []record.Change { return p.changes }

// State returns the change as a state of its own, in time that goes with what
// was changed. p can go on.
func (p *Pending) State() *State {
	p.own = owned{}
	p.state.records.root.seal()
	s := p.state
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

// few changes are searched one by one.
const few = 8

// note remembers a change; a later one of the same key replaces it.
func (p *Pending) note(c record.Change) {
	if i := p.noted(c.Key); i >= 0 {
		p.changes[i] = c
		return
	}
	if p.changed != nil {
		p.changed[c.Key] = len(p.changes)
	}
	p.changes = append(p.changes, c)
}

// noted returns the place of a key's change, or -1.
func (p *Pending) noted(key record.Key) int {
	if len(p.changes) <= few {
		return slices.IndexFunc(p.changes, func(c record.Change) bool { return c.Key == key })
	}
	if p.changed == nil {
		p.changed = make(map[record.Key]int, 4*few)
		for i, c := range p.changes {
			p.changed[c.Key] = i
		}
	}
	if i, ok := p.changed[key]; ok {
		return i
	}
	return -1
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
		if old != nil {
			e.Key = old.Key // the same text, held once
		}
		p.state.records = p.state.records.put(string(e.Key), e)
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
		p.setHot(t.Index, tree.put(t.Term, e))
		return
	}
	if m := p.state.sorted[t.Index]; m != nil {
		if key, ok := m.Get(t.Term); ok && key == e.Key {
			return
		}
	}
	p.ordered(t.Index).Set(t.Term, e.Key)
}

// unindex removes a term, unless another record has taken it meanwhile.
func (p *Pending) unindex(t record.Term, old *record.Entry) {
	if t.Hot {
		tree := p.state.hot[t.Index]
		if e := tree.get(t.Term); e != nil && e.Key == old.Key {
			p.setHot(t.Index, tree.drop(t.Term))
		}
		return
	}
	if m := p.state.sorted[t.Index]; m != nil {
		if key, ok := m.Get(t.Term); ok && key == old.Key {
			p.ordered(t.Index).Delete(t.Term)
		}
	}
}

func (p *Pending) setHot(name string, t trie) {
	if !p.own.hot {
		p.state.hot, p.own.hot = maps.Clone(p.state.hot), true
	}
	p.state.hot[name] = t
}

// ordered returns the index, a copy of our own on first use.
func (p *Pending) ordered(name string) *orderedIndex {
	m := p.state.sorted[name]
	if m != nil && p.own.ordered[name] {
		return m
	}
	if m == nil {
		m = new(orderedIndex)
	} else {
		copying.Lock()
		m = m.Copy()
		copying.Unlock()
	}
	if !p.own.sorted {
		p.state.sorted, p.own.sorted = maps.Clone(p.state.sorted), true
	}
	if p.own.ordered == nil {
		p.own.ordered = map[string]bool{}
	}
	p.state.sorted[name], p.own.ordered[name] = m, true
	return m
}
