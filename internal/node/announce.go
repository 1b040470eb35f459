package node

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// announceEach is how often a node looks whether its record says which format it
// reads: another build may have started with its keys.
const announceEach = time.Second

// announce keeps a node's record true about the format that it reads, until ctx
// ends. What restricts is written only when every node in force reads it.
func announce(ctx context.Context, id string, current func() *view.View, tell func(context.Context, *peerpb.AnnounceRequest) error, failed func(error)) error {
	for ctx.Err() == nil {
		n, err := record.Get(current(), record.Nodes, record.None, id)
		if err == nil && n.Format != record.Format {
			err = tell(ctx, &peerpb.AnnounceRequest{Format: record.Format})
		}
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
		sleep(ctx, announceEach)
	}
	return nil
}

// announce is a Region node's.
func (r *Region) announce(ctx context.Context) error {
	return announce(ctx, r.keys.ID, r.replica.View, func(ctx context.Context, m *peerpb.AnnounceRequest) error {
		return r.ask(ctx, func(ctx context.Context, c peerpb.ControlClient) error {
			_, err := c.Announce(ctx, m)
			return err
		})
	}, func(err error) { r.Log.Warn("announce the format", "error", err) })
}

// announce is a control-plane node's.
func (c *Control) announce(ctx context.Context) error {
	return announce(ctx, c.keys.ID, c.writer.View, func(ctx context.Context, m *peerpb.AnnounceRequest) error {
		_, err := (&controlServer{c: c}).announced(ctx, c.keys.ID, m)
		return err
	}, func(err error) { c.Log.Warn("announce the format", "error", err) })
}

// Announce writes which format the calling node reads. A format below the log's
// is refused: such a node could not follow.
func (s *controlServer) Announce(ctx context.Context, r *peerpb.AnnounceRequest) (*peerpb.AnnounceReply, error) {
	caller := peer.Caller(ctx)
	if caller.Role == record.ControlNode && r.Node != "" { // handed on
		n, err := record.Get(s.c.writer.View(), record.Nodes, record.None, r.Node)
		if err != nil || n.Fenced {
			return nil, status.Errorf(codes.PermissionDenied, "%q is no node in force", r.Node)
		}
		return s.announced(ctx, r.Node, r)
	}
	return s.announced(ctx, caller.ID, r)
}

func (s *controlServer) announced(ctx context.Context, id string, r *peerpb.AnnounceRequest) (*peerpb.AnnounceReply, error) {
	r.Node = id
	done, insist, err := s.c.onward(ctx, otherBound, func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := peerpb.NewControlClient(conn).Announce(ctx, r)
		return err
	})
	if !done {
		err = s.c.system(ctx, "format of "+id, insist, codes.FailedPrecondition, func(tx record.Tx, _ time.Time) error {
			n, err := record.Get(tx, record.Nodes, record.None, id)
			if err != nil {
				return err
			}
			n.Format = int(r.Format)
			return record.Put(tx, record.Nodes, n)
		})
	}
	return &peerpb.AnnounceReply{}, err
}
