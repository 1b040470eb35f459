package view

import (
	"sync/atomic"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// ringSize bounds how many records keep a compiled form at a time.
const ringSize = 1 << 16

// Ring remembers which records have a compiled form, first in, first out, and
// clears the oldest: a compiled principal is many times its record. A nil Ring
// remembers nothing.
type Ring struct {
	next  atomic.Uint64
	slots [ringSize]atomic.Pointer[record.Entry]
}

// Compiled returns the entry's compiled form, making it on first use. Two
// callers may both make it; either is as good.
func (r *Ring) Compiled(e *record.Entry, make func() any) any {
	if c := e.Compiled.Load(); c != nil {
		return *c
	}
	c := make()
	if r == nil {
		return c
	}
	e.Compiled.Store(&c)
	i := r.next.Add(1) % ringSize
	if old := r.slots[i].Swap(e); old != nil && old != e {
		old.Compiled.Store(nil)
	}
	return c
}

// opened is a record whose compiled form is the record itself.
type opened[R any] struct {
	record *R
	err    error
}

// Read returns the record of an entry, decoded once while it is in the ring.
// Others read it too: it must not be changed.
func Read[R any](r *Ring, k *record.Kind[R], e *record.Entry) (*R, error) {
	o := r.Compiled(e, func() any {
		v, err := k.Open(e)
		return &opened[R]{v, err}
	}).(*opened[R])
	return o.record, o.err
}
