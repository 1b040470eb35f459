package native

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// catchUp bounds how long a question waits that this node's view is too old
// for (protocol rule 15); maxStrangers how many with unknown keys do.
const (
	catchUp      = 100 * time.Millisecond
	maxStrangers = 64
)

// judged runs judge on v, and once more on a newer view where v is too old for
// it. To wait is no work: leave gives the slot back, and judge takes it again.
func (d *Decider) judged(ctx context.Context, v *view.View, leave func(), judge func(v *view.View, waited bool) error) error {
	err := judge(v, !d.reachable())
	wanted := d.wants(err)
	if wanted == 0 {
		return err
	}
	if stranger(err) {
		defer d.Waiting.Add(-1)
		if d.Waiting.Add(1) > maxStrangers {
			return &authn.Behind{Rests: wanted, Err: err}
		}
	}
	leave()
	within, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	_ = d.Await(within, wanted) // looked at below
	newer, failed := d.View(context.WithoutCancel(ctx))
	if failed != nil {
		return failed
	}
	if newer.Head.Index < wanted && d.Leased != nil && d.Leased() { // it is about to come
		return &authn.Behind{Rests: wanted, Err: err}
	}
	err = judge(newer, true)
	if stranger(err) && newer.Head.Index < wanted {
		return &authn.Behind{Rests: wanted, Err: err}
	}
	return err
}

// reachable says whether what this node lacks can be had at once.
func (d *Decider) reachable() bool {
	return d.Await != nil && (d.Leased != nil && d.Leased() || d.Ahead != nil && d.Ahead() > 0)
}

// wants is the index to wait for before err is believed; 0: none.
func (d *Decider) wants(err error) uint64 {
	var behind *authn.Behind
	switch {
	case !d.reachable():
		return 0
	case errors.As(err, &behind):
		return behind.Rests
	case stranger(err) && d.Ahead != nil && d.Waiting != nil:
		return d.Ahead()
	}
	return 0
}

// stranger says whether err is that nobody has this credential, as far as this
// node knows.
func stranger(err error) bool {
	var unknown *authn.Unknown
	var behind *authn.Behind
	return !errors.As(err, &behind) && errors.As(err, &unknown)
}

// fresh is an error when the caller's session rests on more than v and it has
// not been tried yet to catch up.
func fresh(v *view.View, c *authn.Caller, waited bool) error {
	if waited || c.Session == nil || c.Session.Rests <= v.Head.Index {
		return nil
	}
	return &authn.Behind{Rests: c.Session.Rests, Err: fault.ServiceUnavailable.Errorf("This node is behind what the session rests on.")}
}
