package node

import (
	"context"
	"errors"
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
	done, insist, err := s.c.onward(ctx, handedOn(ctx), otherBound, func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := peerpb.NewControlClient(conn).Deny(ctx, r)
		return err
	})
	if done {
		return &peerpb.DenyReply{}, err
	}
	var refused error
	err = s.c.system(ctx, "denials of Region "+node.Region, insist, codes.PermissionDenied, func(tx record.Tx, _ time.Time) (err error) {
		refused, err = denyFor(tx, r.Commands, node.Region)
		return err
	})
	if err == nil && refused != nil {
		err = status.Error(codes.PermissionDenied, refused.Error())
	}
	return &peerpb.DenyReply{}, err
}

// denyFor writes what a Region's commands deny. One that is refused, as of an operator
// who was removed meanwhile, holds up no other; with nothing else to write it is the
// error.
func denyFor(tx record.Tx, commands [][]byte, region string) (refused, err error) {
	g, err := record.Get(tx, record.Geneses, record.None, "genesis")
	if err != nil {
		return nil, err
	}
	put := false
	for _, text := range commands {
		_, list, err := operator.Regional(tx, text, g.Cluster, region)
		if err != nil {
			refused = errors.Join(refused, err)
			continue
		}
		for _, d := range list {
			if record.Has(tx, record.Denials, record.None, d.ID) {
				continue
			}
			if err := errors.Join(record.Put(tx, record.Denials, d), withdraw(tx, d, region)); err != nil {
				return refused, err
			}
			put = true
		}
	}
	if !put {
		return nil, refused
	}
	return refused, nil
}

// withdraw fences a node of a Region whose ticket the Region has withdrawn: a ticket
// may come up before the denial that takes it back.
func withdraw(tx record.Tx, d *record.Denial, region string) error {
	if d.Scope != record.DenyMinter || d.Lifted {
		return nil
	}
	n, err := record.Get(tx, record.Nodes, record.None, d.Target)
	if err != nil || n.Fenced || n.Region != region || !n.ByTicket() {
		return nil // it has not come up, or is no node by ticket of theirs
	}
	return n.Fence(tx)
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
