package replica

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-iam/holdfast/internal/clocks"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Pauses between attempts to follow.
const (
	firstPause = 50 * time.Millisecond
	maxPause   = 2 * time.Second
	// goodRun is how long a connection has to hold for the pause to start over.
	goodRun = time.Second
)

// maxSnapshot bounds the records of a snapshot.
const maxSnapshot = 50_000_000

// Events of the Follower.
type (
	// Loaded is what the disk copy holds: no view, when there is none.
	Loaded struct {
		View    *view.View
		Seed    []byte
		LogSize int64 // bytes of batches after the snapshot
		// Lost says that there was a disk copy once: what this node has
		// acknowledged is not known any more.
		Lost bool
		// Successors are those that the node has been shown.
		Successors [][]byte
		// Floor is the time floor that the disk has; zero: none.
		Floor time.Time
	}
	// Timer says that it is time to follow.
	Timer struct{}
	// Connected says that a stream is open.
	Connected struct{}
	// Received is one frame of the open stream. It must not come while Busy.
	Received struct{ Down *peerpb.Down }
	// Written is the outcome of the Append or Rewrite under way.
	Written struct{ Err error }
	// Disconnected says that the stream has ended, or never came to be.
	Disconnected struct{ Err error }
)

// Effects of the Follower, to be performed in their order.
type (
	// Dial asks for a stream.
	Dial struct{}
	// Ask says on the stream from where to go on.
	Ask struct {
		Lineage string
		Index   uint64
		Chain   []byte
		// Successors are all that the node knows: the source may not.
		Successors [][]byte
	}
	// Append makes a batch durable behind the snapshot.
	Append struct{ Batch []byte }
	// Rewrite makes a whole view durable as the snapshot and then empties the
	// log of batches.
	Rewrite struct {
		View *view.View
		Seed []byte
	}
	// Serve publishes a view; Batch is what it adds to the one before, nil when
	// that is not one batch.
	Serve struct {
		View  *view.View
		Batch []byte
	}
	// Acknowledge says on the stream what is durable and served.
	Acknowledge struct{ Index uint64 }
	// HangUp ends the stream; Disconnected is to follow.
	HangUp struct{ Err error }
	// Retry asks for a Timer after about Pause; the driver adds the jitter.
	Retry struct{ Pause time.Duration }
	// Alarm says why the node does not apply, or "" that it does again.
	Alarm struct{ Text string }
	// Ahead reports a commit time that is too far ahead of the node's clock to
	// raise the floor.
	Ahead struct{ Commit time.Time }
	// KeepFloor makes the floor durable. Nothing waits for it.
	KeepFloor struct{ At time.Time }
)

// Follower is the single-threaded machine of a replica: no goroutine of its
// own, channel, clock, randomness or I/O inside.
type Follower struct {
	root string // hex SHA-256 of the root's public key

	view    *view.View
	seed    []byte
	logSize int64
	damaged bool     // an Append failed: the log's end is not known
	writing *pending // the write under way
	heirs   heirs
	in      incoming // of the stream
	side    incoming // of a peer's, see Shared
	lost    loss

	open   bool // the stream is open
	linked bool
	begun  time.Time
	pause  time.Duration
	beat   int64 // milliseconds
	words  int   // heartbeats verified, whatever their time
	floor  clocks.Floor
}

// pending is what a write makes durable.
type pending struct {
	next    *view.View // to be served when it succeeds; nil: served already
	seed    []byte
	logSize int64
	batch   []byte // that next adds; nil: it is a snapshot
}

// incoming is a snapshot under way.
type incoming struct {
	head    record.Head
	seed    []byte
	entries []*record.Entry
	active  bool
}

// NewFollower returns a machine that trusts what the root vouches for: root is
// the hex SHA-256 of its public key.
func NewFollower(root string) *Follower { return &Follower{root: root, pause: firstPause} }

// View returns what is served, nil before the first.
func (f *Follower) View() *view.View { return f.view }

// Busy says that a write is under way: no frame may be handed in.
func (f *Follower) Busy() bool { return f.writing != nil || f.heirs.fresh != nil }

// Linked says whether the stream has caught up once and is open still.
func (f *Follower) Linked() bool { return f.linked }

// Beat is the newest verified word of the head, in milliseconds; 0: none.
func (f *Follower) Beat() int64 { return f.beat }

// Floor is the newest verified commit time.
func (f *Follower) Floor() time.Time { return f.floor.At() }

// Step takes one event and says what is to be done.
func (f *Follower) Step(event any, now time.Time) []any {
	switch e := event.(type) {
	case Loaded:
		return f.loaded(e, now)
	case Timer:
		if f.open {
			return nil
		}
		f.begun = now
		return []any{Dial{}}
	case Connected:
		return f.connected()
	case Received:
		return f.received(e.Down, now)
	case Sharing:
		f.side = incoming{}
	case Shared:
		return f.shared(e.Down, now)
	case Written:
		return f.written(e.Err, now)
	case Shown:
		return f.shown(e.Records)
	case Kept:
		return f.kept(e.Err)
	case Disconnected:
		return f.disconnected(now)
	}
	return nil
}

func (f *Follower) loaded(e Loaded, now time.Time) []any {
	f.lost.is = e.Lost
	if !failpoint.On(failpoint.FloorForgotten) {
		f.floor = clocks.FloorAt(e.Floor)
	}
	if e.View == nil {
		f.heirs.raw = e.Successors
		return nil
	}
	f.view, f.seed, f.logSize = e.View, e.Seed, e.LogSize
	f.settled(nil)
	if d, err := Descend(e.View, e.Successors); err == nil { // a file that cannot be read is none
		f.heirs.known = f.heirs.known.With(d)
	}
	return append(f.raiseFloor(e.View.Head.At(), now), Serve{View: e.View})
}

func (f *Follower) connected() []any {
	f.open, f.in = true, incoming{}
	return []any{f.ask()}
}

func (f *Follower) disconnected(now time.Time) []any {
	if now.Sub(f.begun) > goodRun {
		f.pause = firstPause
	}
	f.open, f.linked, f.in = false, false, incoming{}
	if failpoint.On(failpoint.NeverReconnects) {
		return []any{Retry{time.Hour}}
	}
	pause := f.pause
	f.pause = min(2*pause, maxPause)
	return []any{Retry{pause}}
}

// received handles one frame. One that cannot be believed ends the stream.
func (f *Follower) received(down *peerpb.Down, now time.Time) []any {
	if !f.open {
		return nil
	}
	if f.Busy() {
		return f.refuse(errors.New("replica: a frame came while a write is under way"))
	}
	var out []any
	var err error
	switch d := down.Frame.(type) {
	case *peerpb.Down_Ready:
		f.linked = true
		out = append([]any{Alarm{}}, f.acknowledge()...)
	case *peerpb.Down_Heartbeat:
		if out, err = f.heartbeat(d.Heartbeat, now); err == nil {
			out = append(out, f.prove(d.Heartbeat)...)
		}
	case *peerpb.Down_Successors:
		out, err = f.succession(d.Successors.Records)
	case *peerpb.Down_Handed:
		out = f.handed(d.Handed.Index)
	default:
		out, err = f.take(down, &f.in)
	}
	if err != nil && failpoint.On(failpoint.SkipsBatches) {
		return nil
	}
	if err != nil {
		return append(out, f.refuse(err)...)
	}
	return out
}

// refuse ends the stream; nothing more of it is taken.
func (f *Follower) refuse(err error) []any {
	out := []any{Alarm{err.Error()}}
	if f.open {
		f.open = false
		out = append(out, HangUp{err})
	}
	return out
}

// take handles a frame of the log, whoever sent it.
func (f *Follower) take(down *peerpb.Down, in *incoming) ([]any, error) {
	switch d := down.Frame.(type) {
	case *peerpb.Down_Snapshot:
		return nil, in.begin(d.Snapshot)
	case *peerpb.Down_Part:
		return f.part(d.Part, in)
	case *peerpb.Down_Batch:
		return f.batch(d.Batch)
	}
	return nil, errors.New("replica: a frame of an unknown kind")
}

func (f *Follower) acknowledge() []any {
	if f.view == nil || !f.open || f.lost.is || f.heir() != nil {
		return nil
	}
	return []any{Acknowledge{f.view.Head.Index}}
}

func (in *incoming) begin(s *peerpb.SnapshotBegin) error {
	*in = incoming{seed: s.Seed, active: true}
	if s.Records > maxSnapshot || json.Unmarshal(s.Head, &in.head) != nil {
		return errors.New("replica: a snapshot begins with no head")
	}
	if in.head.Format > record.Format {
		return fmt.Errorf("replica: the snapshot has format %d, this build reads %d: upgrade this node", in.head.Format, record.Format)
	}
	return nil
}

func (f *Follower) part(p *peerpb.SnapshotPart, from *incoming) ([]any, error) {
	if !from.active {
		return nil, errors.New("replica: a part without a snapshot")
	}
	for _, e := range p.Entries {
		from.entries = append(from.entries, record.NewEntry(record.Key(e.Key), e.Value))
	}
	if len(from.entries) > maxSnapshot {
		return nil, errors.New("replica: the snapshot has too many records")
	}
	if !p.Last {
		return nil, nil
	}
	in := *from
	*from = incoming{}
	v := &view.View{Head: in.head, State: view.Build(in.seed, func(yield func(*record.Entry) bool) {
		for _, e := range in.entries {
			if !yield(e) {
				return
			}
		}
	}, 2)}
	if err := record.VerifyState(v, &v.Head, v.Digest(), f.root); err != nil && !failpoint.On(failpoint.BelievesWhole) {
		return nil, err
	}
	if err := f.goes(v); err != nil {
		if out := f.learnFrom(v); out != nil {
			return out, nil
		}
		return nil, err
	}
	return f.rewrite(v, in.seed), nil
}

// batch verifies a batch; it is served when it is durable.
func (f *Follower) batch(text []byte) ([]any, error) {
	if f.view == nil {
		return nil, errors.New("replica: a batch before any snapshot")
	}
	if f.heir() != nil {
		return nil, errors.New("replica: a batch of a lineage that has a successor")
	}
	next, err := advance(f.view, text)
	if errors.Is(err, errOld) && !failpoint.On(failpoint.OldBreaks) {
		return f.acknowledge(), nil
	}
	if err != nil {
		return nil, err
	}
	if out := f.succeeds(next); out != nil {
		return out, nil
	}
	if f.damaged {
		// What stands at the log's end is not known, and a batch behind a torn
		// one would be cut off with it at the next start.
		return f.rewrite(next, f.seed), nil
	}
	failpoint.Stall(failpoint.SlowApply)
	f.writing = &pending{next, f.seed, f.logSize + prefix + int64(len(text)), text}
	return []any{Append{text}}, nil
}

func (f *Follower) rewrite(v *view.View, seed []byte) []any {
	f.writing = &pending{v, seed, 0, nil}
	return []any{Rewrite{v, seed}}
}

// written serves what is durable now.
func (f *Follower) written(err error, now time.Time) []any {
	w := f.writing
	f.writing = nil
	switch {
	case w == nil:
		return nil
	case err != nil:
		f.damaged = true
		return f.refuse(err)
	}
	f.seed, f.logSize = w.seed, w.logSize
	f.damaged = f.damaged && w.logSize > 0
	if w.next == nil {
		return nil
	}
	before := f.view
	f.view = w.next
	f.settled(before)
	f.heardOf(f.view.Head.Time, now)
	raised := f.raiseFloor(f.view.Head.At(), now)
	out := append(f.serve(w.batch), raised...)
	if f.logSize > rewriteAt {
		f.writing = &pending{nil, f.seed, 0, nil}
		out = append(out, Rewrite{f.view, f.seed})
	}
	return out
}

// heartbeat takes the signed word that the head was this at that time.
func (f *Follower) heartbeat(text []byte, now time.Time) ([]any, error) {
	v := f.view
	if v == nil || f.heir() != nil {
		return nil, nil
	}
	var h record.Beat
	if err := json.Unmarshal(text, &h); err != nil {
		return nil, fmt.Errorf("replica: heartbeat: %w", err)
	}
	if err := record.VerifyBeat(v, &h); err != nil {
		return nil, err
	}
	f.words++
	var out []any
	if h.Lineage == v.Head.Lineage && h.Index <= v.Head.Index {
		f.heardOf(h.Time, now)
		out = f.raiseFloor(h.At(), now)
	}
	return append(out, f.acknowledge()...), nil
}

// heardOf takes the time of a verified word of the head. What is ahead of this
// node's own clock counts as now: by a clock that was wrong once, every later word
// would be an old one, and the source silent.
func (f *Follower) heardOf(at int64, now time.Time) { f.beat = max(f.beat, min(at, now.UnixMilli())) }

// raiseFloor raises the floor to a commit time, unless it is too far ahead of
// the node's own clock.
func (f *Follower) raiseFloor(t, now time.Time) []any {
	if failpoint.On(failpoint.NoTimeFloor) {
		return nil
	}
	if failpoint.On(failpoint.FloorFollows) {
		now = t
	}
	if !f.floor.Raise(t, now) {
		return []any{Ahead{t}}
	}
	if f.floor.Due() {
		return []any{KeepFloor{f.floor.At()}}
	}
	return nil
}

var (
	errOld   = errors.New("replica: the batch is older than the view")
	errOther = errors.New("replica: the batch is of another lineage")
)

// advance applies one batch to a view: chain, signature, format and digest.
func advance(v *view.View, text []byte) (*view.View, error) {
	var b record.Batch
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, fmt.Errorf("replica: batch: %w", err)
	}
	if failpoint.On(failpoint.BelievesBatches) && b.Head.Index > v.Head.Index {
		return believe(v, &b), nil
	}
	switch {
	case b.Head.Lineage != v.Head.Lineage:
		return nil, errOther
	case b.Head.Index <= v.Head.Index:
		return nil, errOld
	case b.Head.Format > record.Format && !failpoint.On(failpoint.AnyFormat):
		return nil, fmt.Errorf("replica: the batch has format %d, this build reads %d: upgrade this node", b.Head.Format, record.Format)
	}
	records, err := b.Open(v.Head.Index, v.Head.Chain)
	if err != nil {
		return nil, err
	}
	if err := record.VerifyNext(v, &v.Head, &b.Head); err != nil {
		return nil, err
	}
	p := v.Begin()
	for _, rec := range records {
		if failpoint.On(failpoint.ReadsAll) {
			if err := readAll(rec.Changes); err != nil {
				return nil, err
			}
		}
		p.Apply(rec.Changes)
	}
	next := &view.View{State: p.State(), Head: b.Head}
	if next.Digest() != b.Head.State {
		return nil, fmt.Errorf("replica: index %d comes to another digest than its head's", b.Head.Index)
	}
	return next, nil
}

// Recover verifies a snapshot like what comes from afar, and applies the
// batches that were written behind it.
func Recover(snapshot *view.View, batches [][]byte, root string) (*view.View, error) {
	v := snapshot
	if err := record.VerifyState(v, &v.Head, v.Digest(), root); err != nil && !failpoint.On(failpoint.TrustsDisk) {
		return nil, err
	}
	for _, b := range batches {
		next, err := advance(v, b)
		if errors.Is(err, errOld) || errors.Is(err, errOther) {
			continue // the snapshot was written after it
		}
		if err != nil {
			return nil, err
		}
		v = next
	}
	return v, nil
}
