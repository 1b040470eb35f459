package node

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// Admit enrols a node that a Region's operators have admitted while it was cut off:
// what they have signed is its invite. One of its name that is here already, in
// force or fenced, stays as it is; several nodes of a Region propose the same. One
// whose ticket was withdrawn is enrolled as fenced, so that the keys that it was
// sealed are renewed.
func (s *controlServer) Admit(ctx context.Context, r *peerpb.AdmitRequest) (*peerpb.AdmitReply, error) {
	node, err := s.speaker(ctx, r.Node)
	if err != nil {
		return nil, err
	}
	_, ticket, err := operator.ReadTicket(r.Command)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if record.Has(s.c.writer.View(), record.Nodes, record.None, ticket.Node.ID) {
		return &peerpb.AdmitReply{}, nil
	}
	r.Node = node.ID
	done, insist, err := s.c.onward(ctx, handedOn(ctx), otherBound, func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := peerpb.NewControlClient(conn).Admit(ctx, r)
		return err
	})
	if done {
		return &peerpb.AdmitReply{}, err
	}
	operation := "ticket of " + ticket.Node.ID + ", signed by " + strings.Join(operator.TicketSigners(r.Command), ", ") // else it is refused
	err = s.c.system(ctx, operation, insist, codes.PermissionDenied, func(tx record.Tx, _ time.Time) error {
		return s.enrol(tx, r.Command, node.Region)
	})
	return &peerpb.AdmitReply{}, err
}

// enrol writes what a ticket comes to, and seals the Region's wrapping keys to its
// node.
func (s *controlServer) enrol(tx record.Tx, command []byte, region string) error {
	g, err := record.Get(tx, record.Geneses, record.None, "genesis")
	if err != nil {
		return err
	}
	_, ticket, err := operator.Admits(tx, command, g.Cluster, region)
	if err != nil {
		return err
	}
	if record.Has(tx, record.Nodes, record.None, ticket.Node.ID) {
		return errJoined
	}
	if !record.Has(tx, record.Regions, record.None, region) {
		return status.Errorf(codes.PermissionDenied, "there is no Region %s: it was taken out", region)
	}
	if err := ticket.Unused(tx); err != nil {
		return err
	}
	if err := ticket.Put(tx); err != nil {
		return err
	}
	n, err := record.Get(tx, record.Nodes, record.None, ticket.Node.ID) // in force, or fenced
	if err != nil {
		return err
	}
	return s.c.ring.AddNodeToAll(tx, n)
}
