package overlay

import (
	"crypto/sha256"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

var (
	errTickets = errors.New("this Region has as many open tickets as it may: the next one waits for the control plane, or for the end of one")
	errNamed   = errors.New("there is a ticket for a node of this name already")

	errFull  = errors.New("this Region's own list of denials is full: what it can hold waits for the control plane")
	errAlone = errors.New("it is in force on this node alone: no other enrolled node of the Region has it on its disk, so it is not acknowledged")
)

// Overlaid lays one of a Region's lists over the views that its node serves. Its
// zero value has nothing to lay over them.
type Overlaid struct {
	shown atomic.Pointer[[]Entry]
	last  atomic.Pointer[laid]
	mu    sync.Mutex // of those who make a view
}

// laid is a view with the entries over it.
type laid struct {
	base    *view.View
	entries *[]Entry
	view    *view.View
}

// Show has these in force from now on.
func (o *Overlaid) Show(entries []Entry) {
	if len(entries) == 0 {
		o.shown.Store(nil)
		return
	}
	o.shown.Store(&entries)
}

// Over is a view with the Region's denials in it. A denial whose record the
// view has already is as the view says: a tombstone beats its id.
func (o *Overlaid) Over(base *view.View) *view.View {
	entries := o.shown.Load()
	if entries == nil || base == nil {
		return base
	}
	if l := o.last.Load(); l != nil && l.base == base && l.entries == entries {
		return l.view
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if l := o.last.Load(); l != nil && l.base == base && l.entries == entries {
		return l.view
	}
	p := base.Begin()
	for _, e := range *entries {
		for _, d := range e.Denials {
			if record.Has(base, record.Denials, record.None, d.ID) && !failpoint.On(failpoint.LiftedReturns) {
				continue
			}
			must(record.Put(p, record.Denials, d))
		}
		if t := e.Ticket; t != nil && t.Unused(p) == nil {
			must(t.Put(p))
		}
	}
	l := &laid{base, entries, &view.View{State: p.State(), Head: base.Head}}
	o.last.Store(l)
	return l.view
}

// must: what was verified is plain data, which encodes.
func must(err error) {
	if err != nil {
		panic("overlay: a verified entry does not encode: " + err.Error())
	}
}

// Digest tells two lists apart: what nodes compare.
func Digest(entries []Entry) []byte {
	if len(entries) == 0 {
		return nil
	}
	h := sha256.New()
	for _, e := range entries {
		h.Write([]byte(e.ID + "\n"))
	}
	return h.Sum(nil)
}
