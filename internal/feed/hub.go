// Package feed is the ordered change stream from the committing process to
// everyone who follows: ranges up to a signed head, snapshots, heartbeats, and
// the set of nodes that writes wait for.
//
// Invariant: nothing is pushed before its commit is confirmed, and a slow
// follower costs the others nothing: it falls back to the ring, or a snapshot.
package feed

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Limits of the hub.
const (
	ringBatches   = 1024
	heartbeatEach = 500 * time.Millisecond
)

// Hub serves followers on a control-plane node. Any node's may be followed; the
// in-sync set is the one of the node that sequences, so a Region node follows
// that one where it can.
type Hub struct {
	peerpb.UnimplementedFeedServer
	Now func() time.Time
	// Heartbeat returns the head as a linearizable read found it just now,
	// signed with the present time.
	Heartbeat func(context.Context) (*record.Beat, error)
	// Refresh has this node see the newest head; nil: it is the only one.
	Refresh func(context.Context)
	// Continues says why this node's log does not continue what a follower of its
	// lineage holds, as far as that is kept; nil: it always does.
	Continues func(context.Context, *peerpb.Hello) error
	// Lineages is what this node does about other lineages than its own.
	Lineages Successions

	mu      sync.Mutex
	ring    *Ring
	changed chan struct{} // closed and replaced at every publish
	set     *InSync
	answers map[uint64]chan []string
	asked   uint64
	full    slots
}

// Start gives the hub its first view.
func (h *Hub) Start(v *view.View) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring, h.changed, h.answers = NewRing(v, ringBatches), make(chan struct{}), map[uint64]chan []string{}
	h.set = NewInSync(Followers(v), v.Head.Index, h.Now())
}

// Started says whether the hub has its first view.
func (h *Hub) Started() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ring != nil
}

// TakeOver says that this node has just made its first commit as the one that
// sequences; Publish of that commit follows.
func (h *Hub) TakeOver() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer(h.set.Step(TakenOver{h.ring.View().Head.Index}, h.Now()))
}

// Followers lists the enrolled, unfenced Region nodes of a view. A record that
// cannot be read is still somebody to wait for.
func Followers(v *view.View) []string {
	var ids []string
	v.Range(record.NodeByID.Name, "", "", func(id string, e *record.Entry) bool {
		n, err := record.Nodes.Open(e)
		if err != nil || n.Role == record.RegionNode && !n.Fenced {
			ids = append(ids, id)
		}
		return true
	})
	return ids
}

// Publish hands a confirmed commit to the followers. It never blocks.
func (h *Hub) Publish(l *record.LogValue, v *view.View) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring.Publish(l, v)
	close(h.changed)
	h.changed = make(chan struct{})
	h.answer(h.set.Step(Enrolled{Followers(v)}, h.Now()))
	h.answer(h.set.Step(Published{l.Head.Index}, h.Now()))
}

func (h *Hub) answer(list []Answered) {
	for _, a := range list {
		if c := h.answers[a.ID]; c != nil {
			c <- a.Missing // has room
			delete(h.answers, a.ID)
		}
	}
}

// Run lets time pass for the in-sync set until ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	for {
		h.mu.Lock()
		h.answer(h.set.Step(Tick{}, h.Now()))
		next := h.set.Next(h.Now())
		h.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(next, 20*time.Millisecond)):
		}
	}
}

// Wait returns when the in-sync nodes have applied index, or after the bound:
// with the enrolled nodes that have not.
func (h *Hub) Wait(ctx context.Context, index uint64) []string {
	if failpoint.On(failpoint.NoWait) {
		return nil
	}
	h.mu.Lock()
	h.asked++
	id, c := h.asked, make(chan []string, 1)
	h.answers[id] = c
	h.answer(h.set.Step(Asked{id, index}, h.Now()))
	h.mu.Unlock()
	select {
	case missing := <-c:
		return missing
	case <-ctx.Done():
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.answers, id)
		return h.set.missing(index)
	}
}

// Known says whether every enrolled node has acknowledged index.
func (h *Hub) Known(index uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.set.Known(index)
}

// Members lists the in-sync set, and the enrolled nodes behind the head.
func (h *Hub) Members() (in, behind []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.set.Members(), h.set.missing(h.ring.View().Head.Index)
}

// Follow serves one follower.
func (h *Hub) Follow(stream grpc.BidiStreamingServer[peerpb.Up, peerpb.Down]) error {
	up, err := stream.Recv()
	if err != nil {
		return err
	}
	if up.Hello == nil {
		return status.Error(codes.InvalidArgument, "hello comes first")
	}
	if done, err := h.succession(stream, up.Hello); done {
		return err
	}
	node := peer.Caller(stream.Context())
	go h.acknowledge(stream, node.ID)
	send, end := patient(stream, patience)
	defer end()
	if failpoint.On(failpoint.SendsLocked) {
		send = h.held(send)
	}
	at, err := h.greet(stream.Context(), up.Hello, send)
	if err != nil {
		return err
	}
	return h.pump(stream.Context(), node.ID, at, send)
}

// acknowledge takes a follower's acknowledgements until its stream ends.
func (h *Hub) acknowledge(stream grpc.BidiStreamingServer[peerpb.Up, peerpb.Down], node string) {
	for {
		up, err := stream.Recv()
		if err != nil {
			return
		}
		h.mu.Lock()
		h.answer(h.set.Step(Acked{node, up.Acknowledged}, h.Now()))
		h.mu.Unlock()
	}
}

// greet sends a snapshot to a follower that the ring cannot serve, and returns
// the index from which it goes on.
func (h *Hub) greet(ctx context.Context, hello *peerpb.Hello, send sender) (uint64, error) {
	v, resume := h.from(hello)
	if ahead(hello, v) && h.Refresh != nil { // it heard more from another node
		h.Refresh(ctx)
		v, resume = h.from(hello)
	}
	switch {
	case resume:
		return hello.Index, nil
	case ahead(hello, v):
		return 0, status.Error(codes.Unavailable, "this node is behind its follower")
	}
	if !h.full.take() {
		return 0, errSnapshots
	}
	defer h.full.give()
	if hello.Lineage == v.Head.Lineage && h.Continues != nil && !failpoint.On(failpoint.AnyHistory) {
		if err := h.Continues(ctx, hello); err != nil { // the index alone says nothing: an old store's grows, too
			return 0, err
		}
	}
	return v.Head.Index, Snapshot(v, send)
}

func (h *Hub) from(hello *peerpb.Hello) (*view.View, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ring.View(), h.ring.Resumes(hello)
}

func ahead(hello *peerpb.Hello, v *view.View) bool {
	return hello.Lineage == v.Head.Lineage && hello.Index > v.Head.Index
}

// pump sends batches as they are published, and heartbeats between them.
func (h *Hub) pump(ctx context.Context, node string, at uint64, send sender) error {
	beat := time.NewTicker(heartbeatEach)
	defer beat.Stop()
	if err := h.beat(ctx, send); err != nil {
		return err
	}
	ready := false
	for {
		batches, changed, ok := h.after(at)
		if !h.admits(node) {
			return peer.ErrFenced
		}
		if !ok {
			return status.Error(codes.OutOfRange, "too far behind: follow again from a snapshot")
		}
		batches, more := some(batches)
		for _, b := range troubled(batches) {
			if err := send(&peerpb.Down{Frame: &peerpb.Down_Batch{Batch: b.Bytes}}); err != nil {
				return err
			}
			at = max(at, b.Last)
			if failpoint.On(failpoint.LockStep) {
				h.taken(ctx, node, at)
			}
		}
		if more {
			continue
		}
		if !ready {
			ready = true
			if err := send(&peerpb.Down{Frame: &peerpb.Down_Ready{Ready: &peerpb.Ready{}}}); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-beat.C:
			if err := h.beat(ctx, send); err != nil {
				return err
			}
		}
	}
}

func (h *Hub) admits(node string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return admitted(h.ring.View(), node) || failpoint.On(failpoint.FencedFollow)
}

// beat sends a heartbeat when the head can be read. Without quorum there is none,
// and the follower's age grows; it hears that somebody is there.
func (h *Hub) beat(ctx context.Context, send sender) error {
	head, err := h.Heartbeat(ctx)
	if err != nil {
		return send(&peerpb.Down{Frame: &peerpb.Down_Ready{Ready: &peerpb.Ready{}}})
	}
	b, err := record.Marshal(head)
	if err != nil {
		return err
	}
	return send(&peerpb.Down{Frame: &peerpb.Down_Heartbeat{Heartbeat: b}})
}

// after returns the ring's batches above an index, and what will be closed at
// the next publish.
func (h *Hub) after(at uint64) (list []Commit, changed chan struct{}, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	list, ok = h.ring.After(at)
	return list, h.changed, ok
}
