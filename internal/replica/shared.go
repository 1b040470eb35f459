package replica

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// Events of the Follower that are about the peers of its Region. The stream to
// the control plane goes on beside them: what comes twice is taken once.
type (
	// Sharing says that a stream from a peer is open. What another has left
	// half is forgotten.
	Sharing struct{}
	// Shared is one frame of it. It must not come while Busy.
	Shared struct{ Down *peerpb.Down }
)

// Refuse is an effect of the Follower: what a peer sent cannot be believed, and
// its stream is to end.
type Refuse struct{ Err error }

// shared handles one frame of a peer, which is verified like anybody's.
func (f *Follower) shared(down *peerpb.Down, now time.Time) []any {
	if f.Busy() {
		return []any{Refuse{errors.New("replica: a frame came while a write is under way")}}
	}
	var out []any
	var err error
	switch d := down.Frame.(type) {
	case *peerpb.Down_Ready:
		return nil
	case *peerpb.Down_Heartbeat:
		// As that peer heard it: it proves no loss away, and whoever signed it
		// may have been fenced since.
		out, _ = f.heartbeat(d.Heartbeat, now)
	default:
		out, err = f.take(down, &f.side)
	}
	if err != nil {
		f.side = incoming{}
		return append(out, Refuse{err})
	}
	return out
}

// loss is the state of a node whose disk copy is lost. What it acknowledged
// counts as applied with the control plane, so that an older state must not be
// served in its name (protocol rule 14): it serves again when it has all that
// the log had after its start, in the control plane's own word.
type loss struct {
	is    bool
	until uint64 // the index to have; 0: not told yet
}

// Lost says that the node's disk copy is lost and that it serves nothing yet.
func (f *Follower) Lost() bool { return f.lost.is }

// prove takes a heartbeat of the stream to the control plane: the head as it
// was read after the stream began.
func (f *Follower) prove(text []byte) []any {
	var b record.Beat
	if !f.lost.is || f.view == nil || json.Unmarshal(text, &b) != nil || b.Lineage != f.view.Head.Lineage {
		return nil
	}
	if f.lost.until == 0 {
		f.lost.until = max(b.Index, 1)
	}
	return f.serve(nil)
}

// serve has the view served that is durable now, and acknowledges it.
func (f *Follower) serve(batch []byte) []any {
	if f.lost.is {
		if f.lost.until == 0 || f.view.Head.Index < f.lost.until {
			return nil
		}
		f.lost, batch = loss{}, nil
	}
	return append([]any{Serve{f.view, batch}}, f.acknowledge()...)
}
