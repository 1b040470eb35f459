package feed

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// What a follower may cost. One that reads slowly holds a few batches, until it
// is cut off; a dead connection is found by its keepalive.
const (
	patience     = 5 * time.Second // for one message
	batchesAhead = 16              // taken from the ring at once
	maxSnapshots = 3               // sent at once: who comes then asks elsewhere or later
)

var (
	errSlow      = status.Error(codes.ResourceExhausted, "the follower reads too slowly")
	errSnapshots = status.Error(codes.ResourceExhausted, "enough nodes get a snapshot now: ask another node, or later")
)

type sender func(*peerpb.Down) error

// patient sends on a stream, and fails when one message is not taken in time.
// end is to be called before the stream's handler returns.
func patient(stream grpc.BidiStreamingServer[peerpb.Up, peerpb.Down], patience time.Duration) (send sender, end func()) {
	ctx, cancel := context.WithCancel(stream.Context())
	if failpoint.On(failpoint.KeepsForSlow) {
		return keeping(ctx, stream), cancel
	}
	messages, failed := make(chan *peerpb.Down), make(chan error, 1)
	go func() {
		for {
			select {
			case m := <-messages:
				if err := stream.Send(m); err != nil {
					failed <- err
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return func(m *peerpb.Down) error {
		late := time.NewTimer(patience)
		defer late.Stop()
		select {
		case messages <- m:
			return nil
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			return errSlow
		}
	}, cancel
}

// some are the first few of a list, and whether there are more: what a slow
// follower has been given is not kept for it.
func some(list []Commit) (few []Commit, more bool) {
	if len(list) > batchesAhead {
		return list[:batchesAhead], true
	}
	return list, false
}

// slots bound how many snapshots are sent at once.
type slots struct{ taken atomic.Int32 }

func (s *slots) take() bool {
	if s.taken.Add(1) > maxSnapshots {
		s.taken.Add(-1)
		return false
	}
	return true
}

func (s *slots) give() { s.taken.Add(-1) }

// admitted says whether a node may follow: fencing ends the streams that are
// open already.
func admitted(v *view.View, node string) bool {
	n, err := record.Get(v, record.Nodes, record.None, node)
	return err == nil && !n.Fenced
}
