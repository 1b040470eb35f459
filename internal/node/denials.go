package node

import (
	"context"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/overlay"
	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// denialsFile holds the Region's own denials on this node.
const denialsFile = "denials.json"

// openDenials opens the list of what the Region has denied by itself.
func openDenials(r *Region) (*ownList, error) {
	return openOwn(r, ownKind{what: "denials", file: denialsFile, most: overlay.MaxEntries,
		read: func(text []byte) (overlay.Entry, error) {
			id, list, err := operator.ReadRegional(text)
			return overlay.Entry{ID: id, Command: text, Denials: list}, err
		},
		verify: func(v *view.View, text []byte) (overlay.Entry, error) {
			id, list, err := operator.Regional(v, text, v.Head.Cluster, r.Config.Region)
			return overlay.Entry{ID: id, Command: text, Denials: list}, err
		},
		exchange: func(ctx context.Context, c peerpb.PeersClient, in *peerpb.Commands) (*peerpb.Commands, error) {
			return c.Exchange(ctx, in)
		},
		propose: r.proposeDenials,
	}, overlay.NewList())
}

// proposeDenials hands the list up: what the control plane has already, in force or
// lifted, stays as it is there.
func (r *Region) proposeDenials(ctx context.Context, commands [][]byte) error {
	return r.ask(ctx, func(ctx context.Context, c peerpb.ControlClient) error {
		_, err := c.Deny(ctx, &peerpb.DenyRequest{Commands: commands})
		return err
	})
}

// Exchange takes a peer's denials, and answers when they are on this node's disk.
func (p *peers) Exchange(ctx context.Context, in *peerpb.Commands) (*peerpb.Commands, error) {
	return p.exchanged(ctx, p.r.denials, in)
}

func (p *peers) exchanged(ctx context.Context, own *ownList, in *peerpb.Commands) (*peerpb.Commands, error) {
	caller := peer.Caller(ctx)
	if p.enrolled(caller.ID) == nil {
		return nil, status.Errorf(codes.PermissionDenied, "%s is no node of this Region in force", caller.ID)
	}
	own.tell(caller.ID, in.Commands)
	return own.commands(), nil
}

// serveOperators opens the operators' socket of a Region node.
func (r *Region) serveOperators(ctx context.Context, group *errgroup.Group, reads *operator.Server) error {
	if r.Config.Operator == "" {
		return nil
	}
	l, err := operator.Listen(r.Config.Operator)
	if err != nil {
		return err
	}
	s := grpc.NewServer(grpcOptions(r.Log, nil)...)
	operatorpb.RegisterOperatorServer(s, &operator.RegionServer{Server: reads, State: r.ownState,
		Deny: func(ctx context.Context, id string, command []byte, list []*record.Denial) ([]string, error) {
			return r.denials.make(ctx, overlay.Entry{ID: id, Command: command, Denials: list})
		},
		Admit: func(ctx context.Context, id string, command []byte, t *record.Ticket) ([]string, error) {
			return r.tickets.make(ctx, overlay.Entry{ID: id, Command: command, Ticket: t})
		}})
	serveGRPC(ctx, group, s, l)
	return nil
}

// ownState is what an operator has to know to sign for this Region.
func (r *Region) ownState() operator.RegionState {
	v := r.view()
	s := operator.RegionState{Cluster: v.Head.Cluster, Region: r.Config.Region, Sequence: 1, Denials: []operator.RegionalDenial{}, Tickets: []operator.NodeLine{}}
	for _, e := range r.denials.here() {
		s.Sequence++
		for _, one := range e.Denials {
			s.Denials = append(s.Denials, operator.RegionalDenial{Denial: one, Region: s.Region})
		}
	}
	for _, e := range r.tickets.here() {
		n := e.Ticket.Node
		s.Tickets = append(s.Tickets, operator.NodeLine{ID: n.ID, Role: n.Role, Region: n.Region, Zone: n.Zone, Format: n.Format, Joined: n.Joined, Fenced: e.Ticket.Withdrawn(v)})
	}
	return s
}
