package node

import (
	"context"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
)

const (
	renewPause = time.Second // how often fenced nodes are looked for
	renewGroup = 100         // accounts whose keys one system commit renews
)

// renewKeys makes new generations of the keys that a fenced node could open:
// its Region's wrapping key first, then all that is wrapped under it. What is
// due follows from the state alone, so a crash in between loses nothing.
func (c *Control) renewKeys(ctx context.Context) error {
	done := ""
	for c.sequencing(ctx, renewPause) {
		now, err := c.renewRegions(ctx)
		if err == nil && now != done {
			if err = c.wrapForRegions(ctx); err == nil {
				err = c.renewWrapped(ctx)
			}
			if err == nil {
				done = now
			}
		}
		if err != nil && ctx.Err() == nil {
			c.Log.Error("renew the keys that a fenced node held", "error", err)
		}
		sleep(ctx, renewPause)
	}
	return nil
}

// renewRegions renews what a fenced node was given, and returns the Regions and
// the generations in use.
func (c *Control) renewRegions(ctx context.Context) (string, error) {
	due, err := keyring.Compromised(c.writer.View())
	if err != nil {
		return "", err
	}
	if len(due) > 0 {
		c.Log.Info("renew the wrapping keys that a fenced node held", "regions", due)
		if o := c.writer.System(ctx, "renew wrapping keys", false, c.ring.RenewRegions); o.Err != nil {
			return "", o.Err
		}
	}
	var used []string
	err = record.Scan(c.writer.View(), record.Regions, record.RegionByName, "", "", func(name string, _ *record.Region) bool {
		used = append(used, name)
		return true
	})
	if err != nil {
		return "", err
	}
	err = record.Scan(c.writer.View(), record.RegionKeys, record.RegionKeyByRegion, "", "", func(term string, _ *record.RegionKey) bool {
		used = append(used, term)
		return true
	})
	return strings.Join(used, " "), err
}

// wrapForRegions wraps the accounts' keys for a Region that was admitted, some
// accounts a commit.
func (c *Control) wrapForRegions(ctx context.Context) error {
	for after := ""; ; {
		accounts, err := keyring.AccountsUnwrapped(c.writer.View(), after, renewGroup)
		if err != nil || len(accounts) == 0 {
			return err
		}
		o := c.writer.System(ctx, "wrap account keys for a new Region", false, func(tx record.Tx, _ time.Time) error {
			return c.ring.WrapAccounts(tx, accounts)
		})
		if o.Err != nil {
			return o.Err
		}
		after = accounts[len(accounts)-1]
	}
}

// renewWrapped renews opening keys and account keys, some accounts a commit.
func (c *Control) renewWrapped(ctx context.Context) error {
	due, err := keyring.OpeningDue(c.writer.View())
	if err != nil {
		return err
	}
	if due {
		if o := c.writer.System(ctx, "renew opening keys", false, c.ring.RenewOpening); o.Err != nil {
			return o.Err
		}
	}
	for after := ""; ; {
		accounts, err := keyring.AccountsDue(c.writer.View(), after, renewGroup)
		if err != nil || len(accounts) == 0 {
			return err
		}
		o := c.writer.System(ctx, "renew account keys", false, func(tx record.Tx, now time.Time) error {
			return c.ring.RenewAccounts(tx, accounts, now)
		})
		if o.Err != nil {
			return o.Err
		}
		after = accounts[len(accounts)-1]
	}
}
