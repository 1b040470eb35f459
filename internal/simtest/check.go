package simtest

import (
	"encoding/json"
	"time"

	"github.com/holdfast-iam/holdfast/internal/feed"
)

// late is what the driver may add to the in-sync bound: one tick.
const late = tickEach + time.Millisecond

// acknowledged checks what an answer promises, at the moment it is given.
func (w *world) acknowledged(c *control, t *wait, missing []string) {
	h := &w.history
	if h.doing[t.index] != t.attempt.op.call {
		w.fail("NoLostWrite: %s is acknowledged at %d and the log has another call there", t.attempt.op.name, t.index)
	}
	if took := c.clock.boot().Sub(t.since); took > feed.Bound+late && t.began >= c.thawed {
		w.fail("Bounded: %s waited %v for the in-sync set", t.attempt.op.name, took)
	}
	h.acknowledged = max(h.acknowledged, t.index)
	if len(missing) > 0 {
		w.seen["answer that names a missing node"]++
		return
	}
	w.seen["Applied: all"]++
	h.all = max(h.all, t.index)
}

// check holds every invariant that is about one moment.
func (w *world) check() {
	h := &w.history
	for _, r := range w.regions {
		at := r.durable()
		if r.serving != nil {
			at = r.serving.Head.Index
			if floor := r.machine.Floor().UnixMilli(); floor < r.floor {
				w.fail("Floor: that of %s went down", r.id)
			} else {
				r.floor = floor
			}
		}
		if at < h.all && (r.serving != nil || !r.up) && !r.copyLost {
			w.fail("AppliedAll: %s has %d, and %d was acknowledged as applied by all", r.id, at, h.all)
		}
	}
	for _, c := range w.controls {
		if c.up && c.frozen <= w.now {
			c.check()
		}
	}
}

func (c *control) check() {
	w, h := c.w, &c.w.history
	if head := &c.machine.View().Head; !h.holds(head) {
		w.fail("Prefix: the view of %s at %d is not of the log", c.id, head.Index)
	} else if sent := &c.ring.View().Head; sent.Index != head.Index {
		w.fail("Fed: the feed is at %d, the sequencer at %d", sent.Index, head.Index)
	}
	for _, id := range c.order {
		if t := c.waits[id]; t != nil && t.began >= c.thawed && c.clock.boot().Sub(t.since) > feed.Bound+late {
			w.fail("Bounded: %s has waited longer than the bound", t.attempt.op.name)
		}
	}
	c.checkMembers(h.newest().Node == c.id)
}

// checkMembers holds the in-sync set of the node that sequences against what its
// members have: each has all that it answered in this term, and a node comes
// back in only with everything that was ever answered.
func (c *control) checkMembers(sequences bool) {
	w := c.w
	now := map[string]bool{}
	for _, m := range c.set.Members() {
		now[m] = true
	}
	for _, r := range w.regions {
		at := r.durable()
		switch {
		case r.copyLost: // what it has acknowledged it serves again, or nothing
		case !sequences: // nobody waits for this set
		case now[r.id] && at < c.answered:
			w.fail("InSync: %s is a member with %d, and %d was answered", r.id, at, c.answered)
		case now[r.id] && !c.members[r.id]:
			w.seen["node back in the in-sync set"]++
			if at < w.history.acknowledged {
				w.fail("InSync: %s comes back with %d, and %d was answered", r.id, at, w.history.acknowledged)
			}
		case !now[r.id] && c.members[r.id]:
			w.seen["node out of the in-sync set"]++
		}
	}
	c.members = now
}

// settled holds what must be so after trouble has ended: everybody is there
// and has the same, and no call hangs.
func (w *world) settled() {
	head := w.history.newest()
	for _, c := range w.controls {
		if !c.up {
			w.fail("Settled: %s is down", c.id)
		} else if v := c.machine.View(); v.Head.Index != head.Index {
			w.fail("Settled: %s is at %d, the log at %d", c.id, v.Head.Index, head.Index)
		}
	}
	for _, r := range w.regions {
		if r.serving == nil || r.serving.Head.Index != head.Index {
			w.fail("Settled: %s does not serve the log's head %d", r.id, head.Index)
		}
	}
	for _, c := range w.clients {
		if !c.op.over {
			w.fail("Settled: %s was never answered", c.op.name)
		}
	}
}

// lastIndex is the index that a batch ends at.
func lastIndex(batch []byte) uint64 {
	var b struct {
		Head struct{ Index uint64 }
	}
	if json.Unmarshal(batch, &b) != nil {
		return 0
	}
	return b.Head.Index
}
