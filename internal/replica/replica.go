// Package replica follows the log into a view on a Region node, keeps it on
// disk, and serves it whether or not anybody can be followed.
//
// Invariant: what a node serves is a verified prefix of the control plane's
// history, is on its disk before it is served, and never goes back.
package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// maxAhead is how far ahead of the node's own clock a commit time may be to
// raise the floor.
const maxAhead = 5 * time.Minute

// Replica is the configuration on one Region node.
type Replica struct {
	Dir  string
	Root string // hex SHA-256 of the root's public key
	Now  func() time.Time
	Log  *slog.Logger

	current view.Current
	seed    []byte
	log     *batchLog
	mu      sync.Mutex // guards log and seed; one follower applies at a time
	beat    atomic.Int64
	floor   atomic.Int64
	linked  atomic.Bool
	alarm   atomic.Pointer[string]
	changed atomic.Pointer[chan struct{}]
}

// Open loads the disk copy. One that is absent is no error: View is nil until
// somebody was followed. A damaged one is put aside and said so.
func (r *Replica) Open() error {
	r.wake()
	v, err := r.load()
	switch {
	case err == nil && v != nil:
		r.current.Store(v)
		r.raiseFloor(v.Head.At())
		return nil
	case err == nil || errors.Is(err, os.ErrNotExist):
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
	r.log, _, err = openLog(r.Dir)
	return err
}

// load reads snapshot and batches and verifies them like what comes from
// afar.
func (r *Replica) load() (*view.View, error) {
	v, seed, err := readSnapshot(r.Dir)
	if err != nil {
		return nil, err
	}
	if err := record.VerifyState(v, &v.Head, v.Digest(), r.Root); err != nil {
		return nil, err
	}
	log, batches, err := openLog(r.Dir)
	if err != nil {
		return nil, err
	}
	r.log, r.seed = log, seed
	for _, b := range batches {
		next, err := advance(v, b)
		if errors.Is(err, errOld) {
			continue // the snapshot was written after it
		}
		if err != nil {
			return nil, err
		}
		v = next
	}
	return v, nil
}

var errOld = errors.New("replica: the batch is older than the view")

// advance applies one batch to a view: chain, signature, format and digest.
func advance(v *view.View, text []byte) (*view.View, error) {
	var b record.Batch
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, fmt.Errorf("replica: batch: %w", err)
	}
	switch {
	case b.Head.Index <= v.Head.Index:
		return nil, errOld
	case b.Head.Cluster != v.Head.Cluster || b.Head.Lineage != v.Head.Lineage:
		return nil, errors.New("replica: the batch is of another cluster or lineage")
	case b.Head.Format > record.Format:
		return nil, fmt.Errorf("replica: the batch has format %d, this build reads %d: upgrade this node", b.Head.Format, record.Format)
	}
	records, err := b.Open(v.Head.Index, v.Head.Chain)
	if err != nil {
		return nil, err
	}
	if err := record.VerifyHead(v, &b.Head); err != nil {
		return nil, err
	}
	p := v.Begin()
	for _, rec := range records {
		p.Apply(rec.Changes)
	}
	next := &view.View{State: p.State(), Head: b.Head}
	if next.Digest() != b.Head.State {
		return nil, fmt.Errorf("replica: index %d comes to another digest than its head's", b.Head.Index)
	}
	return next, nil
}

// View returns what this node serves, nil before the first.
func (r *Replica) View() *view.View { return r.current.Load() }

// Floor is the newest verified commit time: nothing that expired before it is
// accepted.
func (r *Replica) Floor() time.Time { return time.UnixMilli(r.floor.Load()) }

// raiseFloor raises the floor to a commit time, unless it is too far ahead of
// the node's own clock.
func (r *Replica) raiseFloor(t time.Time) {
	if t.After(r.Now().Add(maxAhead)) {
		r.Log.Error("a commit time is far ahead of this node's clock; the floor stays", "commit", t)
		return
	}
	if ms := t.UnixMilli(); ms > r.floor.Load() {
		r.floor.Store(ms)
	}
}

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

// Connected says whether the node follows somebody now.
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

// Run follows until ctx ends, again after every failure, with jitter.
func (r *Replica) Run(ctx context.Context, client peerpb.FeedClient) error {
	pause := 50 * time.Millisecond
	for ctx.Err() == nil {
		begun := r.Now()
		err := r.follow(ctx, client)
		r.linked.Store(false)
		if ctx.Err() != nil {
			break
		}
		r.Log.Warn("not following the control plane; serving what is here", "error", err, "age", r.Age(r.Now()).String())
		if r.Now().Sub(begun) > time.Second {
			pause = 50 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause)): // jitter: no herd after an outage
		}
		pause = min(2*pause, 2*time.Second)
	}
	return nil
}

func (r *Replica) follow(ctx context.Context, client peerpb.FeedClient) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.Follow(ctx)
	if err != nil {
		return err
	}
	hello := &peerpb.Hello{Format: record.Format}
	if v := r.View(); v != nil {
		hello.Lineage, hello.Index, hello.Chain = v.Head.Lineage, v.Head.Index, v.Head.Chain[:]
	}
	if err := stream.Send(&peerpb.Up{Hello: hello}); err != nil {
		return err
	}
	in := &incoming{}
	for {
		down, err := stream.Recv()
		if err != nil {
			return err
		}
		acked, err := r.take(in, down)
		if err != nil {
			text := err.Error()
			r.alarm.Store(&text)
			return err
		}
		if acked {
			if err := stream.Send(&peerpb.Up{Acknowledged: r.View().Head.Index}); err != nil {
				return err
			}
		}
	}
}

// incoming is a snapshot under way.
type incoming struct {
	head    record.Head
	seed    []byte
	entries []*record.Entry
	active  bool
}

// maxSnapshot bounds the records of a snapshot.
const maxSnapshot = 50_000_000

// take handles one frame; true says that an acknowledgement is due.
func (r *Replica) take(in *incoming, down *peerpb.Down) (bool, error) {
	switch f := down.Frame.(type) {
	case *peerpb.Down_Snapshot:
		if f.Snapshot.Records > maxSnapshot || json.Unmarshal(f.Snapshot.Head, &in.head) != nil {
			return false, errors.New("replica: a snapshot begins with no head")
		}
		in.seed, in.entries, in.active = f.Snapshot.Seed, nil, true
		return false, nil
	case *peerpb.Down_Part:
		return r.part(in, f.Part)
	case *peerpb.Down_Batch:
		return true, r.batch(f.Batch)
	case *peerpb.Down_Heartbeat:
		return r.heartbeat(f.Heartbeat)
	case *peerpb.Down_Ready:
		r.linked.Store(true)
		r.alarm.Store(nil)
		return r.View() != nil, nil
	}
	return false, errors.New("replica: a frame of an unknown kind")
}

func (r *Replica) part(in *incoming, p *peerpb.SnapshotPart) (bool, error) {
	if !in.active {
		return false, errors.New("replica: a part without a snapshot")
	}
	for _, e := range p.Entries {
		in.entries = append(in.entries, record.NewEntry(record.Key(e.Key), e.Value))
	}
	if len(in.entries) > maxSnapshot {
		return false, errors.New("replica: the snapshot has too many records")
	}
	if !p.Last {
		return false, nil
	}
	in.active = false
	v := &view.View{Head: in.head, State: view.Build(in.seed, func(yield func(*record.Entry) bool) {
		for _, e := range in.entries {
			if !yield(e) {
				return
			}
		}
	}, 2)}
	in.entries = nil
	if err := record.VerifyState(v, &v.Head, v.Digest(), r.Root); err != nil {
		return false, err
	}
	if old := r.View(); old != nil && old.Head.Lineage == v.Head.Lineage && v.Head.Index < old.Head.Index {
		return false, fmt.Errorf("replica: the snapshot at index %d is older than what is served at %d", v.Head.Index, old.Head.Index)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seed = in.seed
	if err := r.rewrite(v); err != nil {
		return false, err
	}
	r.publish(v)
	return true, nil
}

// batch makes a batch durable, then serves it.
func (r *Replica) batch(text []byte) error {
	v := r.View()
	if v == nil {
		return errors.New("replica: a batch before any snapshot")
	}
	next, err := advance(v, text)
	if errors.Is(err, errOld) {
		return nil
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.log.append(text); err != nil {
		return err
	}
	r.publish(next)
	if r.log.size > rewriteAt {
		return r.rewrite(next)
	}
	return nil
}

func (r *Replica) rewrite(v *view.View) error {
	if err := writeSnapshot(r.Dir, v, r.seed); err != nil {
		return fmt.Errorf("replica: write the snapshot: %w", err)
	}
	return r.log.reset()
}

func (r *Replica) publish(v *view.View) {
	r.current.Store(v)
	r.raiseFloor(v.Head.At())
	r.beat.Store(max(r.beat.Load(), v.Head.Time))
	r.wake()
}

// heartbeat takes the signed word that the head was this at that time.
func (r *Replica) heartbeat(text []byte) (bool, error) {
	var h record.Head
	v := r.View()
	if v == nil {
		return false, nil
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return false, err
	}
	if err := record.VerifyHead(v, &h); err != nil {
		return false, err
	}
	if h.Lineage == v.Head.Lineage && h.Index <= v.Head.Index {
		r.beat.Store(max(r.beat.Load(), h.Time))
		r.raiseFloor(h.At())
	}
	return true, nil
}
