package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// announceEach is how often a node looks whether its record says which format it
// reads: another build may have started with its keys. addressEach is how often it
// tells its address and KEKs: a sequencer of an older build takes no notice, or
// refuses it.
const (
	announceEach = time.Second
	addressEach  = time.Minute
	unheardEach  = 5 * time.Second // if nobody could be told
)

// announce keeps the records about a node true, until ctx ends: which format it
// reads, since what restricts is written only when every node in force reads it,
// where it is reached, if its configuration says so, and which KEKs it has, if it is
// the control plane's.
func announce(ctx context.Context, id, address string, keks []string, current func() *view.View, tell func(context.Context, *peerpb.AnnounceRequest) error, failed func(error)) error {
	var told time.Time
	for ctx.Err() == nil {
		v := current()
		n, err := record.Get(v, record.Nodes, record.None, id)
		changed := address != "" && addressOf(v, id) != address || len(keks) > 0 && !slices.Equal(keksOf(v, id), keks)
		switch {
		case errors.Is(err, record.ErrNotFound): // it is one by its ticket so far
			err = nil
		case err != nil:
		case n.Format != reads(): // by itself: an older control plane refuses a Region node's address
			err = tell(ctx, &peerpb.AnnounceRequest{Format: int32(reads())})
		case changed && clock().Sub(told) >= addressEach:
			told = clock()
			err = tell(ctx, &peerpb.AnnounceRequest{Format: int32(reads()), Address: address, Keks: keks})
			if status.Code(err) == codes.Unavailable { // nobody has heard it
				told = told.Add(unheardEach - addressEach)
			}
		}
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
		sleep(ctx, announceEach)
	}
	return nil
}

// reads is the format that this build reads.
func reads() int {
	if failpoint.Wrong(failpoint.OlderBuild) {
		return record.Format - 1
	}
	return record.Format
}

// addressOf is where a node said that it is reached; "": nowhere.
func addressOf(v *view.View, id string) string {
	a, err := record.Get(v, record.Addresses, record.None, id)
	if err != nil {
		return ""
	}
	return a.Peer
}

// keksOf are the tags of the KEKs that a control-plane node said it has.
func keksOf(v *view.View, id string) []string {
	h, err := record.Get(v, record.KEKHolders, record.None, id)
	if err != nil {
		return nil
	}
	return h.KEKs
}

// announce is a Region node's.
func (r *Region) announce(ctx context.Context) error {
	return announce(ctx, r.keys.ID, r.Config.Advertise, nil, r.replica.View, func(ctx context.Context, m *peerpb.AnnounceRequest) error {
		return r.ask(ctx, func(ctx context.Context, c peerpb.ControlClient) error {
			_, err := c.Announce(ctx, m)
			return err
		})
	}, func(err error) { r.Log.Warn("announce", "error", err) })
}

// announce is a control-plane node's.
func (c *Control) announce(ctx context.Context) error {
	return announce(ctx, c.keys.ID, c.Config.Advertise, keyring.Tags(c.ring.KEK), c.writer.View, func(ctx context.Context, m *peerpb.AnnounceRequest) error {
		_, err := (&controlServer{c: c}).announced(ctx, c.keys.ID, m)
		return err
	}, func(err error) { c.Log.Warn("announce", "error", err) })
}

// Announce writes which format the calling node reads, and what else it says. A
// format below the log's is refused: such a node could not follow.
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
	done, insist, err := s.c.onward(ctx, handedOn(ctx), otherBound, func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := peerpb.NewControlClient(conn).Announce(ctx, r)
		return err
	})
	if !done {
		err = s.c.system(ctx, "announcement of "+id, insist, codes.FailedPrecondition, func(tx record.Tx, _ time.Time) error {
			n, err := record.Get(tx, record.Nodes, record.None, id)
			if err != nil {
				return err
			}
			n.Format = int(r.Format)
			if err := record.Put(tx, record.Nodes, n); err != nil {
				return err
			}
			if n.Role == record.ControlNode && len(r.Keks) > 0 && len(r.Keks) <= keyring.MaxKEKs {
				if err := record.Put(tx, record.KEKHolders, &record.KEKHolder{Node: id, KEKs: r.Keks}); err != nil {
					return err
				}
			}
			if r.Address == "" {
				return nil
			}
			if !config.Reachable(r.Address) {
				return fmt.Errorf("%q is no address of a node", r.Address)
			}
			return record.Put(tx, record.Addresses, &record.Address{Node: id, Peer: r.Address})
		})
	}
	return &peerpb.AnnounceReply{}, err
}
