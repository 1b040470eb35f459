package feed

import (
	"context"
	"encoding/json"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// maxSurplus bounds the bytes that one follower hands up at once.
const maxSurplus = 256 << 20

// Successions is what a control-plane node does about other lineages.
type Successions struct {
	// Succeeded is told that this node's lineage has successors.
	Succeeded func(ctx context.Context, d record.Descent)
	// HandUp takes what a node of another lineage applied after the common
	// prefix, and returns where the denials of it stand.
	HandUp func(ctx context.Context, node, lineage string, d record.Descent, batches []*record.Batch) (uint64, error)
}

// succession deals with a follower that knows of another lineage than this
// node's; false: there is nothing of that kind.
func (h *Hub) succession(stream grpc.BidiStreamingServer[peerpb.Up, peerpb.Down], hello *peerpb.Hello) (bool, error) {
	v := h.view()
	own, err := record.DescentOf(v)
	if err != nil {
		return true, status.Error(codes.Internal, err.Error())
	}
	theirs, err := descend(v, hello.Successors)
	if err != nil {
		return true, status.Error(codes.InvalidArgument, err.Error())
	}
	if s := theirs.Newest(); s != nil && (len(own) == 0 || s.Epoch > own.Newest().Epoch) {
		h.Lineages.Succeeded(stream.Context(), theirs)
		return true, status.Error(codes.FailedPrecondition, "this control plane has a successor and takes no writes any more")
	}
	if hello.Lineage == "" || hello.Lineage == v.Head.Lineage {
		return false, nil
	}
	if len(own) == 0 {
		return true, status.Error(codes.FailedPrecondition, "the follower is of another lineage, which this control plane has never heard of")
	}
	if err := stream.Send(&peerpb.Down{Frame: &peerpb.Down_Successors{Successors: &peerpb.Successors{Records: encode(own)}}}); err != nil {
		return true, err
	}
	return true, h.takeSurplus(stream, hello.Lineage, own.With(theirs))
}

func (h *Hub) view() *view.View {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ring.View()
}

func descend(r record.Reader, list [][]byte) (d record.Descent, err error) {
	for _, b := range list {
		s := new(record.Successor)
		if err := json.Unmarshal(b, s); err != nil {
			return nil, err
		}
		if err := s.Verify(r); err != nil {
			return nil, err
		}
		d = append(d, s)
	}
	return d, nil
}

func encode(d record.Descent) (list [][]byte) {
	for _, s := range d {
		b, _ := record.Marshal(s) // plain fields: cannot fail
		list = append(list, b)
	}
	return list
}

// takeSurplus takes what a follower hands up, until it hangs up: one without
// surplus does so at once.
func (h *Hub) takeSurplus(stream grpc.BidiStreamingServer[peerpb.Up, peerpb.Down], lineage string, d record.Descent) error {
	var batches []*record.Batch
	for size := 0; ; {
		up, err := stream.Recv()
		if err != nil {
			return err
		}
		if up.Surplus == nil {
			continue
		}
		if up.Surplus.Last {
			break
		}
		if size += len(up.Surplus.Batch); size > maxSurplus {
			return status.Error(codes.ResourceExhausted, "more surplus than fits")
		}
		b := new(record.Batch)
		if err := json.Unmarshal(up.Surplus.Batch, b); err != nil {
			return status.Error(codes.InvalidArgument, "a batch of the surplus cannot be read")
		}
		batches = append(batches, b)
	}
	index, err := h.Lineages.HandUp(stream.Context(), peer.Caller(stream.Context()).ID, lineage, d, batches)
	if err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	return stream.Send(&peerpb.Down{Frame: &peerpb.Down_Handed{Handed: &peerpb.Handed{Index: index}}})
}
