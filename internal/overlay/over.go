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
	errFull  = errors.New("this Region's own list of denials is full: what it can hold waits for the control plane")
	errAlone = errors.New("it is in force on this node alone: no other node of the Region has it on its disk, so it is not acknowledged")
)

// Overlaid lays a Region's list over the views that its node serves. Its zero
// value has nothing to lay over them.
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

// Show has these denied from now on.
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
			if err := record.Put(p, record.Denials, d); err != nil {
				panic("overlay: a verified denial does not encode: " + err.Error()) // plain data: a mistake of ours
			}
		}
	}
	l := &laid{base, entries, &view.View{State: p.State(), Head: base.Head}}
	o.last.Store(l)
	return l.view
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
