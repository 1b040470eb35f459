package node

import (
	"context"

	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// The control plane opens every account's keys, so it asks of a write that a
// Region relayed what that Region would have asked itself: whether the account has
// enabled it.

// relayKey holds the id of the Region node that relayed a write.
type relayKey struct{}

// relayed notes which Region node a write came by: the caller, or the one that a
// control-plane node names that hands it on.
func (s *controlServer) relayed(ctx context.Context, named string) (context.Context, error) {
	if peer.Caller(ctx).Role == record.ControlNode && named == "" {
		return ctx, nil // a client of that node's own
	}
	n, err := s.speaker(ctx, named)
	if err != nil {
		return nil, err
	}
	return context.WithValue(ctx, relayKey{}, n.ID), nil
}

// relayedBy is the Region node that a write came by, "" for none.
func relayedBy(ctx context.Context) string {
	id, _ := ctx.Value(relayKey{}).(string)
	return id
}

// via is the opt-in Region that a write came by, "" for none. A Region that cannot
// be read is taken for one.
func (c *Control) via(ctx context.Context) string {
	id := relayedBy(ctx)
	if id == "" {
		return ""
	}
	v := c.writer.View()
	n, err := record.Get(v, record.Nodes, record.None, id)
	if err != nil {
		return id // which no account has enabled
	}
	if g, err := record.Get(v, record.Regions, record.None, n.Region); err == nil && !g.OptIn {
		return ""
	}
	return n.Region
}
