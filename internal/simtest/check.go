package simtest

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/holdfast-iam/holdfast/internal/feed"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// late is what the driver may add to the in-sync bound: one tick.
const late = tickEach + time.Millisecond

// acknowledged checks what an answer promises, at the moment it is given.
func (w *world) acknowledged(c *control, t *wait, missing []string) {
	h := &c.plane.history
	if h.doing[t.index] != t.attempt.op.call {
		w.fail("NoLostWrite: %s is acknowledged at %d and the log has another call there", t.attempt.op.name, t.index)
	}
	if took := c.clock.boot().Sub(t.since); took > feed.Bound+late && t.began >= c.thawed {
		w.fail("Bounded: %s waited %v for the in-sync set", t.attempt.op.name, took)
	}
	w.seen["answered writes"]++
	h.acknowledged = max(h.acknowledged, t.index)
	if len(missing) > 0 {
		w.seen["answer that names a missing node"]++
		return
	}
	w.seen["Applied: all"]++
	h.all = max(h.all, t.index)
}

// check holds every invariant that is about one moment. What no step has
// changed holds as it did.
func (w *world) check() {
	if !w.changed {
		return
	}
	w.changed = false
	for _, r := range w.regions {
		r.check()
	}
	for _, p := range w.planes {
		for _, c := range p.controls {
			if c.up && c.frozen <= w.now {
				c.check()
			}
		}
	}
}

func (r *region) check() {
	w := r.w
	lineage, at := r.disk.end()
	if v := r.serving; v != nil {
		lineage, at = v.Head.Lineage, v.Head.Index
		if floor := r.machine.Floor().UnixMilli(); floor < r.floor {
			w.fail("Floor: that of %s went down", r.id)
		} else {
			r.floor = floor
		}
	}
	for _, p := range w.planes {
		if p.lineage == lineage && at < p.history.all && (r.serving != nil || !r.up) && !r.copyLost {
			w.fail("AppliedAll: %s has %d, and %d was acknowledged as applied by all", r.id, at, p.history.all)
		}
	}
}

func (c *control) check() {
	w, h := c.w, &c.plane.history
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
	if h.newest().Node == c.id && c.machine.Sequences() { // else nobody waits for this set; it begins anew when the node hears of its commit
		c.checkMembers()
	} else if c.stepped {
		c.stepped = false
		c.noteMembers()
	}
}

// checkMembers holds the in-sync set of the node that sequences against what its
// members have: each has all that it answered in this term, and a node comes
// back in only with everything that was ever answered.
func (c *control) checkMembers() {
	w, now := c.w, c.members
	if c.stepped {
		c.stepped, now = false, map[string]bool{}
		for _, m := range c.set.Members() {
			now[m] = true
		}
	}
	for _, r := range w.regions {
		if !now[r.id] && !c.members[r.id] {
			continue
		}
		lineage, at := r.disk.end()
		switch {
		case r.copyLost: // what it has acknowledged it serves again, or nothing
		case lineage != c.plane.lineage && w.planeOf(lineage) != nil && w.epochOf(lineage) > w.epochOf(c.plane.lineage): // it has left
		case now[r.id] && at < c.answered:
			w.fail("InSync: %s is a member with %d, and %d was answered", r.id, at, c.answered)
		case now[r.id] && !c.members[r.id]:
			w.seen["node back in the in-sync set"]++
			if at < c.plane.history.acknowledged {
				w.fail("InSync: %s comes back with %d, and %d was answered", r.id, at, c.plane.history.acknowledged)
			}
		case !now[r.id]:
			w.seen["node out of the in-sync set"]++
		}
	}
	c.members = now
}

// epochOf is how manieth a lineage is.
func (w *world) epochOf(lineage string) int {
	for i, p := range w.planes {
		if p.lineage == lineage {
			return i
		}
	}
	return -1
}

// convergence holds that everybody has, a while after the end of trouble, what
// was committed by then.
func (w *world) convergence() {
	index := w.newest().history.newest().Index
	w.after(converged, func() {
		for _, r := range w.regions {
			if v := r.serving; v == nil || v.Head.Lineage != w.newest().lineage || v.Head.Index < index {
				w.fail("Converged: %s does not serve index %d, %v after trouble ended", r.id, index, converged)
			}
		}
	})
}

// settled holds what must be so after trouble has ended: everybody is there
// and has the same, and no call hangs.
func (w *world) settled() {
	p := w.newest()
	head := p.history.newest()
	for _, c := range p.controls {
		if !c.up {
			w.fail("Settled: %s is down", c.id)
		} else if v := c.machine.View(); v.Head.Index != head.Index {
			w.fail("Settled: %s is at %d, the log at %d", c.id, v.Head.Index, head.Index)
		}
	}
	for _, r := range w.regions {
		v := r.serving
		if v == nil || v.Head.Lineage != p.lineage || v.Head.Index != head.Index {
			w.fail("Settled: %s does not serve the log's head %d", r.id, head.Index)
		} else if v.Digest() != head.State {
			w.fail("Settled: %s has another digest than the log's head", r.id)
		}
	}
	for _, c := range w.clients {
		if !c.op.over {
			w.fail("Settled: %s was never answered", c.op.name)
		}
	}
	if w.err == nil {
		w.settledDenials(p.controls[0].machine.View())
		w.settledLineages(p.controls[0].machine.View())
	}
}

// lastIndex is the index that a batch ends at, and its lineage. Its head comes
// first; where a flipped bit has made its names others that mean the same, the
// decoder reads it.
func lastIndex(batch []byte) (lineage string, index uint64) {
	_, rest, lineages := bytes.Cut(batch, []byte(`"lineage":"`))
	name, rest, _ := bytes.Cut(rest, []byte(`"`))
	_, rest, indexes := bytes.Cut(rest, []byte(`"index":`))
	number, _, _ := bytes.Cut(rest, []byte(`,`))
	index, err := strconv.ParseUint(string(number), 10, 64)
	if lineages && indexes && err == nil {
		return string(name), index
	}
	var b struct {
		Head struct {
			Lineage string
			Index   uint64
		}
	}
	_ = json.Unmarshal(batch, &b) // it was verified: it can be read
	return b.Head.Lineage, b.Head.Index
}

// deletion is a user that the log takes away.
type deletion struct {
	lineage string
	index   uint64
	key     record.Key
	again   uint64 // the index at which a late attempt has made it anew; 0: none has
}

// holds says whether a state of its lineage is without it.
func (d *deletion) holds(index uint64) bool {
	return d.index <= index && (d.again == 0 || d.again > index)
}

// changes keeps what the log says about denials, users and its own end: what was
// lifted stays so.
func (h *history) changes(w *world, lineage string, r *record.Public) {
	for _, c := range r.Changes {
		switch kind := c.Key.Kind(); {
		case kind == record.Users.Name && c.Value == nil:
			h.gone = append(h.gone, deletion{lineage: lineage, index: r.Index, key: c.Key})
		case kind == record.Users.Name:
			for i := range h.gone {
				if d := &h.gone[i]; d.key == c.Key && d.again == 0 {
					d.again = r.Index
				}
			}
		case kind == record.Successors.Name && len(h.heads) > 1: // not of its own beginning
			h.retired = true
		case kind == record.Denials.Name:
			d, err := record.Denials.Decode(c.Value)
			if err != nil {
				w.fail("a denial cannot be read: %v", err)
				return
			}
			if lifted := h.deny[d.ID]; lifted && !d.Lifted {
				w.fail("Lifted: denial %s is in force again at %d", d.ID, r.Index)
			}
			h.deny[d.ID] = d.Lifted
		}
	}
}
