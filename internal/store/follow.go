package store

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// told takes a new head from the watch. One of this node's own is no news: what
// is not known of it yet, the commit under way will tell.
func (w *Writer) told(raw []byte) {
	var head record.Head
	if json.Unmarshal(raw, &head) == nil && (head.Node == w.Node || head.Index <= w.View().Head.Index) {
		return
	}
	w.wake()
}

// wake has the machine look at the log, when it is idle.
func (w *Writer) wake() {
	select {
	case w.wakes <- struct{}{}:
	default:
	}
}

var errLost = fmt.Errorf("%w: the store cannot be reached by a majority of its members", ErrUnavailable)

// reach says whether the store can be reached: a channel that is closed while
// it cannot.
type reach struct {
	mu    sync.Mutex
	out   chan struct{}
	gone  bool
	heard time.Time // of the last answer
}

func (r *reach) open() { r.out = make(chan struct{}) }

func (r *reach) lost() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out
}

func (r *reach) note(err error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.heard = now
	}
	switch {
	case err != nil && !r.gone:
		r.gone = true
		close(r.out)
	case err == nil && r.gone:
		r.gone = false
		r.out = make(chan struct{})
	}
}

// probe asks for the head again and again.
func (w *Writer) probe(ctx context.Context) {
	for ctx.Err() == nil {
		r := w.reads.join(func(r *headRead) { r.head, r.err = w.KV.Head(ctx) })
		<-r.done
		if ctx.Err() != nil {
			return
		}
		w.reach.note(r.err, w.Now())
		if r.err == nil && !failpoint.On(failpoint.TrustsWatch) {
			w.told(r.head) // a watch that fell silent costs a moment
		}
		pause(ctx, w.Probe)
	}
}

// Reachable says whether the store answered when it was asked last.
func (w *Writer) Reachable() bool {
	w.reach.mu.Lock()
	defer w.reach.mu.Unlock()
	return !w.reach.gone
}

// linearizer lets concurrent reads share one read of the head.
type linearizer struct {
	mu   sync.Mutex
	next *headRead
}

type headRead struct {
	done chan struct{}
	err  error
	head []byte
}

// Age is how long ago the store last answered, while it does not, and since when
// this node cannot follow it.
func (w *Writer) Age(now time.Time) (age time.Duration) {
	if since := w.behind.Load(); since != nil {
		age = now.Sub(*since)
	}
	w.reach.mu.Lock()
	defer w.reach.mu.Unlock()
	if w.reach.gone && !w.reach.heard.IsZero() {
		age = max(age, now.Sub(w.reach.heard))
	}
	return max(0, age)
}

// behindBound is how long a read waits for this node to come to the head that it
// has read: as the simulator has it, too.
const behindBound = 2 * time.Second

var errBehind = fmt.Errorf("%w: this node does not follow the store", ErrUnavailable)

// Linearizable returns a view at least as new as a read of the head that was
// begun after this call. Without quorum, or when the node does not come to the
// head in time: the settled view, and an error.
func (w *Writer) Linearizable(ctx context.Context) (*view.View, error) {
	if !w.Reachable() {
		return w.View(), errLost
	}
	if failpoint.On(failpoint.TrustsWatch) {
		return w.View(), nil
	}
	r := w.reads.join(func(r *headRead) { r.head, r.err = w.KV.Head(context.WithoutCancel(ctx)) })
	select {
	case <-r.done:
	case <-ctx.Done():
		return w.View(), ctx.Err()
	}
	v := w.View()
	if r.err != nil {
		return v, fmt.Errorf("%w: %w", ErrUnavailable, r.err)
	}
	var head record.Head
	if err := json.Unmarshal(r.head, &head); err != nil {
		return v, err
	}
	lost := w.reach.lost()
	var begun time.Time
	var bound <-chan time.Time
	for v.Head.Index < head.Index { // the commit is confirmed and about to be published
		if bound == nil {
			begun, bound = w.Now(), time.After(behindBound)
		}
		if head.Node != w.Node {
			w.wake() // or is another node's
		}
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-lost:
			return v, errLost
		case <-bound:
			w.behind.CompareAndSwap(nil, &begun)
			return v, errBehind
		case <-time.After(time.Millisecond):
		}
		v = w.View()
	}
	if w.behind.Load() != nil {
		w.behind.Store(nil)
	}
	return v, nil
}

// join returns a read that begins after the call: the one that waits for the
// read under way, or a new one.
func (l *linearizer) join(read func(*headRead)) *headRead {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next != nil {
		return l.next
	}
	r := &headRead{done: make(chan struct{})}
	l.next = r
	go func() {
		l.mu.Lock()
		l.next = nil // who comes from now on needs a later read
		l.mu.Unlock()
		read(r)
		close(r.done)
	}()
	return r
}
