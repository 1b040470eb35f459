package node

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-iam/holdfast/internal/managed"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/session"
	"github.com/holdfast-iam/holdfast/internal/store"
)

// sequencing waits until this node sequences: what the control plane does of
// itself, one node does. It returns false when ctx ends.
func (c *Control) sequencing(ctx context.Context, pause time.Duration) bool {
	for ctx.Err() == nil && !c.writer.Sequences() {
		sleep(ctx, pause)
	}
	return ctx.Err() == nil
}

// unavailablePause is how long the store is given before it is asked again.
const unavailablePause = 200 * time.Millisecond

// managedGroup bounds how many of AWS's policies one system commit writes.
const managedGroup = 100

// managedPolicies writes AWS's policies where they are missing or older. Where
// another node sequences, that one does, and this waits until they are there.
func (c *Control) managedPolicies(ctx context.Context) error {
	all, err := managed.Policies()
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		due := c.duePolicies(all)
		if len(due) == 0 {
			return nil
		}
		if !c.writer.Sequences() {
			sleep(ctx, knownPause)
			continue
		}
		switch err := c.writePolicies(ctx, due[:min(managedGroup, len(due))]); {
		case errors.Is(err, store.ErrUnavailable):
			c.Log.Warn("AWS's managed policies are not written yet", "reason", err)
			sleep(ctx, unavailablePause)
		case err != nil && !errors.Is(err, store.ErrMoved):
			return err
		}
	}
	return ctx.Err()
}

func (c *Control) duePolicies(all []*record.Policy) []*record.Policy {
	var due []*record.Policy
	v := c.writer.View()
	for _, p := range all {
		old, err := record.Get(v, record.Policies, p.Account, p.ID)
		if err != nil || old.Next < p.Next {
			due = append(due, p)
		}
	}
	return due
}

func (c *Control) writePolicies(ctx context.Context, list []*record.Policy) error {
	return c.writer.System(ctx, "managed policies", false, func(tx record.Tx, _ time.Time) error {
		for _, p := range list {
			if err := record.Put(tx, record.Policies, p); err != nil {
				return err
			}
		}
		return nil
	}).Err
}

// knownPause is how often unknown signing keys are looked at.
const knownPause = 50 * time.Millisecond

// markKnown marks signing keys that every enrolled node has acknowledged.
func (c *Control) markKnown(ctx context.Context) error {
	for c.sequencing(ctx, knownPause) {
		due, err := session.Unknown(c.writer.View())
		if len(due) > 0 && c.hub.Known(c.writer.View().Head.Index) {
			err = c.writer.System(ctx, "signing keys known", false, func(tx record.Tx, _ time.Time) error { return session.MarkKnown(tx, due) }).Err
		}
		if err != nil && ctx.Err() == nil {
			c.Log.Error("mark signing keys known", "error", err)
		}
		sleep(ctx, knownPause)
	}
	return nil
}
