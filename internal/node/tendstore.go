package node

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/store"
)

const (
	fileEach   = 10 * time.Second // how often the store's file is looked at
	forgetEach = 5 * time.Minute  // as etcd itself does with --auto-compaction-mode=revision
)

// tendFile writes the file of this node's member anew when most of it is free:
// while it is this member's turn, its clock is believed and all others answer.
func (c *Control) tendFile(ctx context.Context) error {
	for asked := false; ctx.Err() == nil; sleep(ctx, fileEach) {
		others := c.otherControls()
		alone := len(others) == 0
		if !asked || c.store.NearQuota() {
			err := c.store.Disarm(ctx)
			if asked = err == nil; err != nil && ctx.Err() == nil {
				c.Log.Warn("the store's alarms", "error", err)
			}
		}
		if !c.store.Fragmented(alone) || !alone && !(c.turn(others) && c.clock.judge() == nil && c.allAnswer(ctx, others)) {
			continue
		}
		begun := clock()
		freed, err := c.store.Defragment(ctx)
		if err != nil {
			c.Log.Error("defragment the store", "error", err)
			continue
		}
		c.Log.Info("the store's file was written anew", "freedBytes", freed, "seconds", clock().Sub(begun).Seconds())
	}
	return nil
}

// turn says whether it is this node's among the control plane's.
func (c *Control) turn(others []string) bool {
	names := append(slices.Clone(others), c.keys.ID)
	slices.Sort(names)
	return store.Turn(clock(), slices.Index(names, c.keys.ID), len(names))
}

// allAnswer says whether every other control-plane node answers, and with it its
// member: this one's pause must not be the majority's.
func (c *Control) allAnswer(ctx context.Context, others []string) bool {
	ctx, cancel := context.WithTimeout(ctx, clockEach)
	defer cancel()
	var all sync.WaitGroup
	var answered atomic.Int64
	for _, n := range c.controls.all() {
		if !slices.Contains(others, n.name) {
			continue
		}
		all.Go(func() {
			if _, err := peerpb.NewControlClient(n.conn).Clock(ctx, &peerpb.ClockRequest{}); err == nil {
				answered.Add(1)
			}
		})
	}
	all.Wait()
	return int(answered.Load()) == len(others)
}

// tendHistory has an external cluster forget its older revisions: whether it
// does so by itself cannot be asked.
func (c *Control) tendHistory(ctx context.Context) error {
	for len(c.Config.EtcdEndpoints) > 0 && c.sequencing(ctx, tendPause) {
		if err := c.store.Forget(ctx, store.HistoryKept); err != nil && ctx.Err() == nil {
			c.Log.Warn("compact the store's history", "error", err)
		}
		sleep(ctx, forgetEach)
	}
	return nil
}
