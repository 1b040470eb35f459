// Package replica follows the log into a view on a Region node, keeps it on
// disk, and serves it whether or not anybody can be followed. Follower is the
// machine that decides; Replica performs what it asks for and is what readers
// ask.
//
// Invariant: what a node serves is a verified prefix of the control plane's
// history, is on its disk before it is served, and never goes back.
package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/feed"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Replica is the configuration on one Region node.
type Replica struct {
	Dir  string
	Root string // hex SHA-256 of the root's public key
	Now  func() time.Time
	Log  *slog.Logger
	// Mark is the file that says that this node has had a disk copy; it stands
	// outside Dir, so that it is not lost with it. "": there is none.
	Mark string
	// Fenced is called when a control-plane node that may be followed says that
	// this node is fenced; nil: nobody asks.
	Fenced func()
	// Share is told what the node serves, for its peers; nil: it has none.
	Share *feed.Share

	machine *Follower  // one goroutine at a time: Open's, then Run's
	log     *batchLog  // likewise
	packed  *view.View // read from the packed copy and not yet checked record by record

	current view.Current
	beat    atomic.Int64
	heard   atomic.Pointer[time.Time] // by this node's clock, of the source that it follows
	floor   atomic.Int64
	linked  atomic.Bool
	open    atomic.Bool // a stream to the control plane is open
	lost    atomic.Bool
	alarm   atomic.Pointer[string]
	offers  chan offer
	moved   chan []Source // whom to follow from now on
	aside   bool          // what happens is a peer's doing; of the machine's goroutine
	changed atomic.Pointer[chan struct{}]
	words   chan Shown // of successors, to be taken
	heir    atomic.Pointer[record.Successor]
}

// Open loads the disk copy. One that is absent is no error: View is nil until
// somebody was followed. A damaged one is put aside and said so.
func (r *Replica) Open() error {
	r.wake()
	r.machine, r.offers, r.words, r.moved = NewFollower(r.Root), make(chan offer), make(chan Shown, 1), make(chan []Source)
	if r.unserved() {
		for _, name := range []string{snapshotFile, packedFile, logFile} {
			if err := os.Remove(filepath.Join(r.Dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	loaded, err := r.load()
	switch {
	case err == nil:
		r.showAll(r.step(loaded))
		return r.mark()
	case errors.Is(err, os.ErrNotExist):
	case failpoint.On(failpoint.DamagedEnds):
		return err
	default:
		r.Log.Error("the disk copy cannot be used; it is put aside and a new one fetched", "error", err)
		for _, name := range []string{snapshotFile, logFile} {
			path := filepath.Join(r.Dir, name)
			if err := os.Rename(path, path+".damaged"); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	if r.log != nil {
		r.log.f.Close()
	}
	if r.log, _, err = openLog(r.Dir); err != nil {
		return err
	}
	list, err := readSuccessors(r.Dir)
	if err != nil {
		return err
	}
	lost := r.marked() && !failpoint.On(failpoint.ForgetsLoss)
	if lost {
		r.Log.Error("this node had a disk copy and has it no more: it serves again when the control plane has told it how far the log is, or under a new identity")
		if err := r.refetch(refetching); err != nil {
			return err
		}
	}
	r.showAll(r.step(Loaded{Lost: lost, Successors: list, Floor: r.keptFloor()}))
	return nil
}

// load reads and verifies snapshot and batches.
func (r *Replica) load() (Loaded, error) {
	v, seed, err := r.copy()
	if err != nil {
		return Loaded{}, err
	}
	log, batches, err := openLog(r.Dir)
	if err != nil {
		return Loaded{}, err
	}
	r.log = log
	if v, err = Recover(v, batches, r.Root); err != nil {
		return Loaded{}, err
	}
	list, err := readSuccessors(r.Dir)
	return Loaded{View: v, Seed: seed, LogSize: log.size, Successors: list, Floor: r.keptFloor()}, err
}

// copy reads the snapshot's view, from the packed copy beside it where that is
// good.
func (r *Replica) copy() (*view.View, []byte, error) {
	head, err := readHead(r.Dir)
	if err != nil {
		return nil, nil, err
	}
	if v, seed, err := readPacked(r.Dir, head); err == nil {
		r.packed = v
		return v, seed, nil
	} else if !errors.Is(err, os.ErrNotExist) {
		r.Log.Info("the packed copy is not used; reading the snapshot, which takes longer", "reason", err)
	}
	return readSnapshot(r.Dir)
}

// Check says, when it has looked at every record, whether what was read from
// the packed copy is what the signed digest is over: its sums were checked
// before it was served. Nil at once when nothing was.
func (r *Replica) Check() error {
	v := r.packed
	r.packed = nil
	if v == nil {
		return nil
	}
	if err := verifyEntries(v); err != nil {
		_ = os.Remove(filepath.Join(r.Dir, packedFile)) // the snapshot has it all
		return fmt.Errorf("the packed copy that this node serves is not what was signed: %w", err)
	}
	return nil
}

// step hands an event to the machine and lets readers see what became of it.
func (r *Replica) step(event any) []any {
	now := r.Now()
	words := r.machine.words
	effects := r.machine.Step(event, now)
	if r.told(event) && (r.machine.words > words || r.machine.Beat() > r.beat.Load() || r.machine.Linked() && !r.linked.Load()) {
		r.heard.Store(&now)
	}
	r.pass(event)
	r.beat.Store(r.machine.Beat())
	r.floor.Store(r.machine.Floor().UnixMilli())
	r.linked.Store(r.machine.Linked())
	r.open.Store(r.machine.open)
	if lost := r.machine.Lost(); r.lost.Swap(lost) && !lost {
		if err := r.refetch(""); err != nil { // then the next start fetches once more
			r.Log.Error("the mark of a lost disk copy stays", "error", err)
		}
	}
	r.heir.Store(r.machine.Heir())
	return effects
}

// show performs the effects that readers see.
func (r *Replica) show(effect any) {
	switch e := effect.(type) {
	case Serve:
		r.current.Store(e.View)
		if r.Share != nil {
			r.Share.Serve(e.View, e.Batch)
		}
		r.wake()
	case Alarm:
		r.alarm.Store(&e.Text)
	case Ahead:
		r.Log.Error("a commit time is far ahead of this node's clock; the floor stays", "commit", e.Commit)
	case KeepFloor:
		if err := r.keepFloor(e.At); err != nil {
			r.Log.Error("the time floor is not on the disk: after a restart with a wrong clock it is an older one", "error", err)
		}
	}
}

func (r *Replica) showAll(effects []any) {
	for _, e := range effects {
		r.show(e)
	}
}

func (r *Replica) rewrite(v *view.View, seed []byte) error {
	if err := writeSnapshot(r.Dir, v, seed); err != nil {
		return fmt.Errorf("replica: write the snapshot: %w", err)
	}
	if err := writePacked(r.Dir, v, seed); err != nil {
		r.Log.Warn("the packed copy cannot be written; the next start takes longer", "error", err)
	}
	failpoint.Crash(failpoint.AfterSnapshot)
	return r.log.reset(r.Dir)
}

// View returns what this node serves, nil before the first.
func (r *Replica) View() *view.View { return r.current.Load() }

// Floor is the newest verified commit time: nothing that expired before it is
// accepted.
func (r *Replica) Floor() time.Time { return time.UnixMilli(r.floor.Load()) }

// Age is how long ago this node last heard of the head.
func (r *Replica) Age(now time.Time) time.Duration {
	beat := r.beat.Load()
	if beat == 0 {
		if v := r.View(); v != nil {
			return max(0, now.Sub(v.Head.At()))
		}
		return 0
	}
	return max(0, now.Sub(time.UnixMilli(beat)))
}

// Silence is for how long nothing was heard of the control plane, by this node's
// clock alone: it does not matter how the two clocks stand to each other, nor that
// the other one was set back. Who has a clock like that is asked, and another node then.
func (r *Replica) Silence(now time.Time) time.Duration {
	if heard := r.heard.Load(); heard != nil {
		return now.Sub(*heard)
	}
	return math.MaxInt64
}

// Connected says whether the node follows the control plane now.
func (r *Replica) Connected() bool { return r.linked.Load() }

// Alarm says why the node has stopped applying, or "".
func (r *Replica) Alarm() string {
	if s := r.alarm.Load(); s != nil {
		return *s
	}
	return ""
}

// wake tells those who wait for a revision that the view has changed.
func (r *Replica) wake() {
	c := make(chan struct{})
	if old := r.changed.Swap(&c); old != nil {
		close(*old)
	}
}

// Await returns when the view has index, or ctx ends.
func (r *Replica) Await(ctx context.Context, index uint64) error {
	for {
		changed := *r.changed.Load()
		if v := r.View(); v != nil && v.Head.Index >= index {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}
