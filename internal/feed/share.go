package feed

import (
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Share serves what a Region node has to its Region's other nodes. It signs
// nothing: heads and heartbeats go on as they came, and who takes them verifies
// them. Nobody's acknowledgement counts here.
type Share struct {
	peerpb.UnimplementedFeedServer
	Region string
	// Admits says whether a node that the state does not know is one of the Region all
	// the same; nil: none is.
	Admits func(node string) bool

	mu      sync.Mutex
	ring    *Ring // nil: nothing to serve yet
	beat    []byte
	changed chan struct{} // closed and replaced at every change
	full    slots
}

// Serve gives the newest view to share: with the batch that it adds to the one
// before, or nil where there was none or the history jumps.
func (s *Share) Serve(v *view.View, batch []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if batch == nil || s.ring == nil {
		s.ring, s.beat = NewRing(v, ringBatches), nil
	} else {
		s.ring.Add(Commit{First: s.ring.View().Head.Index + 1, Last: v.Head.Index, Bytes: batch}, v)
	}
	s.wake()
}

// Beat gives the newest heartbeat that was heard.
func (s *Share) Beat(text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat = text
	s.wake()
}

func (s *Share) wake() {
	if s.changed != nil {
		close(s.changed)
	}
	s.changed = make(chan struct{})
}

// Follow serves one node of the Region.
func (s *Share) Follow(stream grpc.BidiStreamingServer[peerpb.Up, peerpb.Down]) error {
	if n := peer.Caller(stream.Context()); n.Role != record.RegionNode || n.Region != s.Region {
		return status.Error(codes.PermissionDenied, "this node serves its Region's own nodes")
	}
	up, err := stream.Recv()
	if err != nil {
		return err
	}
	if up.Hello == nil {
		return status.Error(codes.InvalidArgument, "hello comes first")
	}
	send, end := patient(stream, patience)
	defer end()
	s.mu.Lock()
	ring := s.ring
	s.mu.Unlock()
	switch {
	case ring == nil:
		return status.Error(codes.Unavailable, "this node has nothing to serve yet")
	case ahead(up.Hello, s.viewOf(ring)):
		return status.Error(codes.Unavailable, "this node is behind its follower")
	}
	at, err := s.greet(ring, up.Hello, send)
	if err != nil {
		return err
	}
	return s.pump(stream, ring, at, send)
}

func (s *Share) viewOf(r *Ring) *view.View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.View()
}

func (s *Share) greet(ring *Ring, hello *peerpb.Hello, send sender) (uint64, error) {
	s.mu.Lock()
	resume, v := ring.Resumes(hello), ring.View()
	s.mu.Unlock()
	if resume {
		return hello.Index, nil
	}
	if !s.full.take() {
		return 0, errSnapshots
	}
	defer s.full.give()
	return v.Head.Index, Snapshot(v, send)
}

// pump sends batches and heartbeats as they come. The first Ready says that the
// follower has all, the later ones that somebody is there.
func (s *Share) pump(stream grpc.BidiStreamingServer[peerpb.Up, peerpb.Down], ring *Ring, at uint64, send sender) error {
	alive := time.NewTicker(heartbeatEach)
	defer alive.Stop()
	node, ready, told := peer.Caller(stream.Context()).ID, false, []byte(nil)
	for {
		s.mu.Lock()
		list, ok := ring.After(at)
		same, v, beat, changed := ring == s.ring, ring.View(), s.beat, s.changed
		s.mu.Unlock()
		switch {
		case !admitted(v, node) && (s.Admits == nil || !s.Admits(node)):
			return peer.ErrFenced
		case !ok || !same:
			return status.Error(codes.OutOfRange, "follow again: from a snapshot, or of another history")
		}
		list, more := some(list)
		for _, c := range troubled(list) {
			if err := send(&peerpb.Down{Frame: &peerpb.Down_Batch{Batch: c.Bytes}}); err != nil {
				return err
			}
			at = max(at, c.Last)
		}
		if more {
			continue
		}
		if string(beat) != string(told) {
			told = beat
			if err := send(&peerpb.Down{Frame: &peerpb.Down_Heartbeat{Heartbeat: beat}}); err != nil {
				return err
			}
		}
		if !ready {
			ready = true
			if err := send(&peerpb.Down{Frame: &peerpb.Down_Ready{Ready: &peerpb.Ready{}}}); err != nil {
				return err
			}
		}
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-changed:
		case <-alive.C:
			ready = false
		}
	}
}
