package node

import (
	"context"
	"slices"
	"time"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// renewKEK seals under the newest KEK what is sealed under an earlier one of the
// file, once every control-plane node has it. What is left follows from the state
// alone, so a crash in between loses nothing. It ends when nothing is.
func (c *Control) renewKEK(ctx context.Context) error {
	if len(c.ring.KEK) <= keyring.KeySize {
		return nil
	}
	var said []string
	for c.sequencing(ctx, renewPause) {
		lacking, err := c.ring.Lacking(c.writer.View())
		if failpoint.On(failpoint.SealsAhead) {
			lacking = nil
		}
		switch {
		case err != nil:
		case len(lacking) > 0:
			if !slices.Equal(lacking, said) {
				c.Log.Info("a new KEK waits for the nodes that have not been restarted with it", "lacking", lacking)
			}
			said = lacking
		default:
			if err = c.reseal(ctx); err == nil {
				return nil
			}
		}
		if err != nil && ctx.Err() == nil {
			c.Log.Error("seal keys under the new KEK", "error", err)
		}
		sleep(ctx, renewPause)
	}
	return nil
}

// reseal does all that is left, some keys a commit.
func (c *Control) reseal(ctx context.Context) error {
	wrapping, rest, err := c.ring.Earlier(c.writer.View())
	if err != nil {
		return err
	}
	groups := append(slices.Collect(slices.Chunk(wrapping, 1)), slices.Collect(slices.Chunk(rest, renewGroup))...)
	for i, group := range groups {
		o := c.writer.System(ctx, "seal keys under a new KEK", false, func(tx record.Tx, _ time.Time) error {
			for _, reseal := range group {
				if err := reseal(c.ring, tx); err != nil {
					return err
				}
			}
			return nil
		})
		if o.Err != nil {
			return o.Err
		}
		if i == 0 {
			failpoint.Crash(failpoint.BetweenSeals)
		}
	}
	c.Log.Info("nothing is sealed under an earlier KEK any more: it can leave the file", "keks", keyring.Tags(c.ring.KEK), "sealed", len(wrapping)+len(rest))
	return nil
}
