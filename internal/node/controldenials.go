package node

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/overlay"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// Deny commits what a Region's operators have denied while it was cut off,
// under the ids that the denials have there. One that is here already stays as
// it is: a tombstone beats its id, and a second proposal does nothing.
func (s *controlServer) Deny(ctx context.Context, r *peerpb.DenyRequest) (*peerpb.DenyReply, error) {
	if len(r.Commands) > overlay.MaxEntries {
		return nil, status.Error(codes.InvalidArgument, "too many denials")
	}
	node, err := s.speaker(ctx, r.Node)
	if err != nil {
		return nil, err
	}
	if s.denied(r.Commands, node.Region) {
		return &peerpb.DenyReply{}, nil
	}
	r.Node = node.ID
	done, insist, err := s.c.onward(ctx, otherBound, func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := peerpb.NewControlClient(conn).Deny(ctx, r)
		return err
	})
	if done {
		return &peerpb.DenyReply{}, err
	}
	err = s.c.system(ctx, "denials of Region "+node.Region, insist, codes.PermissionDenied, func(tx record.Tx, _ time.Time) error {
		g, err := record.Get(tx, record.Geneses, record.None, "genesis")
		if err != nil {
			return err
		}
		for _, text := range r.Commands {
			_, list, err := operator.Regional(tx, text, g.Cluster, node.Region)
			if err != nil {
				return err
			}
			for _, d := range list {
				if record.Has(tx, record.Denials, record.None, d.ID) {
					continue
				}
				if err := record.Put(tx, record.Denials, d); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return &peerpb.DenyReply{}, err
}

// denied says whether this node's own state has all of the commands' denials:
// several nodes of a Region propose the same.
func (s *controlServer) denied(commands [][]byte, region string) bool {
	v := s.c.writer.View()
	for _, text := range commands {
		_, list, err := operator.Regional(v, text, v.Head.Cluster, region)
		if err != nil {
			return false
		}
		for _, d := range list {
			if !record.Has(v, record.Denials, record.None, d.ID) {
				return false
			}
		}
	}
	return true
}
