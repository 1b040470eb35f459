package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Writer drives a Sequencer over a KV, which other nodes may write to as well.
// Run must be running for Do to be answered.
type Writer struct {
	KV   KV
	Node string
	Sign func(*record.Head)
	Now  func() time.Time
	Log  *slog.Logger
	// OnCommit is called for every confirmed commit, in order, whoever made it,
	// and before its calls are answered.
	OnCommit func(*record.LogValue, *view.View)
	// Free says how many bytes the disk has left; nil: enough.
	Free func() uint64
	// Floor is the free space below which writes are refused; calls that
	// reduce are refused at half of it.
	Floor uint64
	// LogBytes bounds the kept log; 0 means a quarter of DefaultQuota.
	LogBytes int64
	// Clock says why this node's time may not stand on a commit now; nil: it
	// always may.
	Clock func() error
	// Audited is the last index that the audit sink has; the log is not
	// trimmed past it. Nil: nothing waits.
	Audited func() uint64
	// Probe is how often the store is asked whether it can be reached, so that
	// writes are refused soon when it cannot. Zero, for a member that is alone:
	// never.
	Probe time.Duration

	machine *Sequencer
	calls   chan *Call
	wakes   chan struct{} // somebody else may have committed
	reach   reach
	behind  atomic.Pointer[time.Time] // since when reads do not come to the head; nil: they do
	view    atomic.Pointer[view.View]
	reads   linearizer
	kept    []kept
	bytes   int64
	first   atomic.Uint64 // of the kept log, for those who ask
	size    atomic.Int64
	checked time.Time
	full    int // 0 room, 1 only for what reduces, 2 for nothing
	stop    context.CancelCauseFunc
}

// kept is one commit in the log.
type kept struct {
	index uint64
	at    int64
	size  int64
}

// Open loads what the KV holds. An empty KV gives a nil view: Genesis is next.
func (w *Writer) Open(ctx context.Context, verify func(*record.Head, *view.State) error) error {
	w.calls, w.wakes = make(chan *Call, maxGroup), make(chan struct{}, 1)
	w.reach.open()
	machine, err := Load(ctx, w.KV, w.Node, w.Sign, verify, w.keep)
	if err != nil || machine == nil {
		return err
	}
	if record.Retired(machine.View()) != nil {
		w.start(machine) // what it holds is still asked for
		return ErrSucceeded
	}
	if !record.MaySign(machine.View(), w.Node) && !failpoint.On(failpoint.FencedSigns) {
		return ErrOut
	}
	w.start(machine)
	return nil
}

func (w *Writer) start(machine *Sequencer) {
	w.machine = machine
	w.view.Store(machine.View())
}

func (w *Writer) keep(index uint64, at int64, size int) {
	w.kept = append(w.kept, kept{index, at, int64(size)})
	w.bytes += int64(size)
	w.tellSize()
}

// tellSize lets others see how much of the log is kept.
func (w *Writer) tellSize() {
	w.first.Store(w.kept[0].index)
	w.size.Store(w.bytes)
}

// LogSize is how much of the log is kept: its oldest commit's last index, and
// about how many bytes.
func (w *Writer) LogSize() (first uint64, bytes int64) { return w.first.Load(), w.size.Load() }

// Genesis makes the first commit of a new lineage.
func (w *Writer) Genesis(ctx context.Context, g *record.Genesis, changes []record.Change) error {
	head := record.Head{Cluster: g.Cluster, Lineage: g.Lineage, Format: record.FirstFormat}
	w.start(NewSequencer(w.Node, w.Sign, &view.View{State: view.Empty(g.HashSeed), Head: head}, nil))
	call := &Call{Insist: true, Apply: func(tx record.Tx, _ time.Time, _ uint64) ([]byte, error) {
		if err := putAll(tx, changes); err != nil {
			return nil, err
		}
		return record.Marshal(record.Private{Caller: w.Node, Operation: "genesis"})
	}}
	return w.begin(ctx, call)
}

// begin makes the first commit of a log.
func (w *Writer) begin(ctx context.Context, call *Call) error {
	call.done = make(chan Outcome, 1)
	w.perform(ctx, w.machine.Step(Submit{call}, w.Now()))
	w.perform(ctx, w.machine.Step(Group{}, w.Now()))
	select {
	case o := <-call.done:
		return o.Err
	default:
		return errors.New("store: the first commit was not made")
	}
}

// View returns the settled view.
func (w *Writer) View() *view.View { return w.view.Load() }

// Sequences says whether this node made the newest commit that it knows of.
func (w *Writer) Sequences() bool {
	v := w.View()
	return v != nil && v.Head.Node == w.Node
}

// Do hands a call to the sequencer and waits for its outcome. When the store is
// out of reach it waits no longer: the outcome is not known then.
func (w *Writer) Do(ctx context.Context, c Call) Outcome {
	c.done = make(chan Outcome, 1)
	lost := w.reach.lost()
	select {
	case w.calls <- &c:
	case <-lost:
		return Outcome{Err: errLost}
	case <-ctx.Done():
		return Outcome{Err: fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())}
	}
	select {
	case o := <-c.done:
		return o
	case <-lost:
		return Outcome{Err: errLost}
	case <-ctx.Done():
		return Outcome{Err: fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())}
	}
}

// System commits a change that no client asked for.
func (w *Writer) System(ctx context.Context, operation string, insist bool, apply func(tx record.Tx, now time.Time) error) Outcome {
	return w.Do(ctx, Call{Reduces: true, Insist: insist, Apply: func(tx record.Tx, now time.Time, _ uint64) ([]byte, error) {
		if err := apply(tx, now); err != nil {
			return nil, err
		}
		return record.Marshal(record.Private{Caller: w.Node, Operation: operation})
	}})
}

// retryPause is how long the driver waits before it asks a failing store
// again.
const retryPause = 50 * time.Millisecond

// Run sequences calls, and follows what others commit, until ctx ends or the
// log does not continue what this node holds.
func (w *Writer) Run(ctx context.Context) error {
	var helpers sync.WaitGroup
	defer helpers.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w.stop = cancel
	helpers.Go(func() { w.KV.Watch(ctx, w.told) })
	if w.Probe > 0 {
		helpers.Go(func() { w.probe(ctx) })
	}
	w.sequence(ctx)
	if err := context.Cause(ctx); errors.Is(err, ErrBroken) || errors.Is(err, ErrOut) || errors.Is(err, ErrSucceeded) {
		return err
	}
	return nil
}

// sequence is the machine's one goroutine.
func (w *Writer) sequence(ctx context.Context) {
	for {
		if w.machine.Idle() {
			select {
			case <-ctx.Done():
				return
			case c := <-w.calls:
				w.submit(ctx, c)
			case <-w.wakes:
				w.perform(ctx, w.machine.Step(Woken{}, w.Now()))
				continue
			}
		}
		// Callers just answered ask again at once: two rounds of the scheduler
		// let them join this group.
		for range 2 {
			runtime.Gosched()
			w.drain(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		now := w.Now() // before it is judged: what is set after that look does not count
		if err := w.disbelieved(); err != nil {
			w.perform(ctx, w.machine.Step(Doubted{err}, now))
			w.perform(ctx, w.machine.Step(Woken{}, now)) // somebody else's commit settles what is in doubt
			pause(ctx, retryPause)
			continue
		}
		w.perform(ctx, w.machine.Step(Group{}, now))
		w.trim(ctx)
	}
}

func (w *Writer) drain(ctx context.Context) {
	for range maxQueue {
		select {
		case c := <-w.calls:
			w.submit(ctx, c)
		default:
			return
		}
	}
}

// submit refuses what the disk has no room for, and everything while this node's
// clock is not believed; the machine takes the rest.
func (w *Writer) submit(ctx context.Context, c *Call) {
	if err := w.disbelieved(); err != nil {
		c.done <- Outcome{Err: err}
		return
	}
	if full := w.fullness(); full == 2 || full == 1 && !c.Reduces {
		c.done <- Outcome{Err: fmt.Errorf("%w: the control plane's disk is almost full, or its audit does not follow", ErrUnavailable)}
		return
	}
	w.perform(ctx, w.machine.Step(Submit{c}, w.Now()))
}

// disbelieved says why this node may not put its time on a commit, or nil.
func (w *Writer) disbelieved() error {
	if w.Clock == nil {
		return nil
	}
	if err := w.Clock(); err != nil {
		return fmt.Errorf("%w: this node commits nothing now: %w", ErrUnavailable, err)
	}
	return nil
}

// fullness says how full the store is: 0 room, 1 only for what reduces, 2 for
// nothing. It asks for free space at most once a second.
func (w *Writer) fullness() int {
	if failpoint.On(failpoint.NoFloor) {
		return 0
	}
	// A log that cannot be trimmed, because the audit does not follow or the
	// call-id window fills it, must not grow until etcd refuses everything.
	switch limit := w.LogLimit(); {
	case w.bytes > 3*limit:
		return 2
	case w.bytes > 2*limit:
		return 1
	}
	now := w.Now()
	if w.Free == nil || now.Sub(w.checked) < time.Second && !now.Before(w.checked) {
		return w.full
	}
	w.checked, w.full = now, 0
	switch free := w.Free(); {
	case free < w.Floor/2:
		w.full = 2
	case free < w.Floor:
		w.full = 1
	}
	return w.full
}

// perform does what the machine asks for, and what it asks for then.
func (w *Writer) perform(ctx context.Context, effects []any) {
	for len(effects) > 0 {
		effect := effects[0]
		effects = effects[1:]
		switch e := effect.(type) {
		case Commit:
			ok, err := w.commit(ctx, e.Txn)
			if err != nil {
				w.Log.Error("commit", "index", e.Txn.Index, "error", err)
				pause(ctx, retryPause)
			}
			effects = append(effects, w.machine.Step(Committed{ok, err}, w.Now())...)
		case CatchUp:
			if ctx.Err() != nil {
				return
			}
			effects = append(effects, w.machine.Step(w.catchUp(ctx, e.From), w.Now())...)
		case Publish:
			w.keep(e.Value.Head.Index, e.Value.Head.Time, sizeOf(e.Value))
			w.view.Store(e.View)
			if w.OnCommit != nil {
				w.OnCommit(e.Value, e.View)
			}
		case Answer:
			e.Call.done <- e.Outcome
		case Stop:
			w.stop(e.Err)
			return
		}
	}
}

// commit hands one transaction to the store.
func (w *Writer) commit(ctx context.Context, t *Txn) (ok bool, err error) {
	failpoint.Crash(failpoint.BeforeCommit)
	if failpoint.On(failpoint.AckBeforeCommit) {
		failpoint.Later(func() { _, _ = w.KV.Commit(context.WithoutCancel(ctx), t) })
		return true, nil
	}
	ok, err = w.KV.Commit(ctx, t)
	if ok {
		failpoint.Crash(failpoint.AfterCommit)
	}
	return ok, err
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (w *Writer) catchUp(ctx context.Context, from uint64) Caught {
	var c Caught
	err := w.KV.Log(ctx, from, func(_ uint64, value []byte) bool {
		v := new(record.LogValue)
		if c.Err = json.Unmarshal(value, v); c.Err != nil {
			return false
		}
		c.Values = append(c.Values, v)
		return true
	})
	if c.Err = errors.Join(c.Err, err); c.Err != nil {
		w.Log.Error("read the log", "from", from, "error", c.Err)
		pause(ctx, retryPause)
	}
	return c
}

// sizeOf is about how many bytes of the log a commit takes.
func sizeOf(l *record.LogValue) int {
	n := 512 // the head
	for _, r := range l.Records {
		n += len(r.Public) + len(r.Private) + 16
	}
	return n
}

// LogLimit is the size in bytes beyond which the log is trimmed.
func (w *Writer) LogLimit() int64 {
	if w.LogBytes == 0 {
		return DefaultQuota / 4
	}
	return w.LogBytes
}

// trim removes the oldest of the log beyond its size, never what the audit
// lacks, nor what the call-id window needs.
func (w *Writer) trim(ctx context.Context) {
	limit := w.LogLimit()
	if w.bytes <= limit {
		return
	}
	audited := w.machine.View().Head.Index
	if w.Audited != nil {
		audited = w.Audited()
	}
	// By the log's own time, which never goes back as this node's clock may.
	horizon := w.machine.View().Head.Time - Window.Milliseconds()
	n, size := 0, int64(0)
	for n < len(w.kept)-1 && w.bytes-size > limit*9/10 && w.kept[n].index <= audited && w.kept[n].at < horizon {
		size += w.kept[n].size
		n++
	}
	if n == 0 {
		return
	}
	if w.Sequences() { // another node's sequencer trims what it no longer needs
		if err := w.KV.Trim(ctx, w.kept[n-1].index+1); err != nil {
			w.Log.Error("trim the log", "error", err)
			return
		}
	}
	w.kept, w.bytes = append([]kept{}, w.kept[n:]...), w.bytes-size
	w.tellSize()
}

// ReadLog reads the commits whose last index is at least from, at most limit bytes
// of them but one at least, in order.
func (w *Writer) ReadLog(ctx context.Context, from uint64, limit int) ([]*record.LogValue, error) {
	var values []*record.LogValue
	var failed error
	size := 0
	err := w.KV.Log(ctx, from, func(_ uint64, value []byte) bool {
		v := new(record.LogValue)
		if failed = json.Unmarshal(value, v); failed != nil {
			return false
		}
		values = append(values, v)
		size += len(value)
		return size < limit
	})
	return values, errors.Join(err, failed)
}

// Private returns the private part of the log record at index.
func (w *Writer) Private(ctx context.Context, index uint64) ([]byte, error) {
	var found []byte
	var failed error
	err := w.KV.Log(ctx, index, func(_ uint64, value []byte) bool {
		var l record.LogValue
		if failed = json.Unmarshal(value, &l); failed != nil {
			return false
		}
		first := l.Head.Index - uint64(len(l.Records)) + 1
		if index >= first && index <= l.Head.Index {
			found = l.Records[index-first].Private
		}
		return false
	})
	if err = errors.Join(err, failed); err == nil && found == nil {
		err = fmt.Errorf("store: the log has no record %d any more", index)
	}
	return found, err
}
