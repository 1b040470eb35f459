package simtest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/holdfast-iam/holdfast/internal/overlay"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Times of a Region's own denials, as its process has them.
const (
	exchangeEach = 500 * time.Millisecond
	denialsPulse = 100 * time.Millisecond
	proposePause = 500 * time.Millisecond
)

// own are a Region's denials on one of its nodes. The commands that they come
// from are not simulated: what is on its way is taken to be verified.
type own struct {
	machine  *overlay.List
	over     overlay.Overlaid
	disk     []overlay.Entry // outlives the process
	here     []overlay.Entry
	waits    int // operators
	talked   map[*region]time.Duration
	proposed time.Duration
	seen     *view.View // that the machine was told of
}

// denied is what a Region has acknowledged to be denied. missing are its nodes that
// do not have it: that did not when it was acknowledged, or have lost it with the
// only copy that they had, which was their state.
type denied struct {
	entry   overlay.Entry
	region  string
	missing []string
}

// onTwo says whether it is on the disks of two nodes, or in a log.
func (d *denied) onTwo(w *world) bool {
	disks := 0
	for _, r := range w.regions {
		if slices.ContainsFunc(r.own.disk, func(e overlay.Entry) bool { return e.ID == d.entry.ID }) {
			disks++
		}
	}
	return disks > 1 || slices.ContainsFunc(w.planes, func(p *plane) bool {
		_, logged := p.history.deny[d.entry.Denials[0].ID]
		return logged
	})
}

// loses has a node no more have what only its state had.
func (d *denied) loses(r *region) {
	kept := slices.ContainsFunc(r.own.disk, func(e overlay.Entry) bool { return e.ID == d.entry.ID })
	if d.region == r.region && !kept && !slices.Contains(d.missing, r.id) {
		d.missing = append(d.missing, r.id)
	}
}

func (d *denied) nobodyHas(w *world) bool {
	return !slices.ContainsFunc(w.regions, func(r *region) bool { return r.region == d.region && !slices.Contains(d.missing, r.id) })
}

// regains has a node have it whose view holds all of it.
func (d *denied) regains(r *region, v *view.View) {
	for _, x := range d.entry.Denials {
		if !record.Has(v, record.Denials, record.None, x.ID) {
			return
		}
	}
	d.missing = slices.DeleteFunc(d.missing, func(id string) bool { return id == r.id })
}

// openDenials reads what this node has on its disk.
func (r *region) openDenials() {
	o := &r.own
	o.machine, o.over, o.here, o.waits, o.talked, o.seen = overlay.NewList(), overlay.Overlaid{}, nil, 0, map[*region]time.Duration{}, nil
	r.deny(overlay.Loaded{Entries: o.disk})
	r.pulse()
}

// deny hands an event to the machine and performs what it asks for.
func (r *region) deny(event any) {
	w, o := r.w, &r.own
	events := []any{event}
	for len(events) > 0 && r.up {
		effects := o.machine.Step(events[0], r.clock.boot())
		events = events[1:]
		for _, effect := range effects {
			switch e := effect.(type) {
			case overlay.Save:
				var saved overlay.Saved
				if saved.Err = r.saveDenials(e.Entries); !r.up {
					return
				}
				events = append(events, saved)
			case overlay.Show:
				o.over.Show(e.Entries)
				o.here = e.Entries
			case overlay.Answer:
				o.waits--
				r.answerDenial(e)
			}
		}
	}
	if w.err == nil {
		r.checkDenials()
	}
}

// saveDenials writes the list: the old file or the new one is there, also when
// the process dies meanwhile.
func (r *region) saveDenials(entries []overlay.Entry) error {
	w := r.w
	switch trouble := !w.quiets() && r.slow > w.now; {
	case trouble && w.chance(250):
		w.seen["failed write of denials"]++
		return errDisk
	case trouble && w.chance(60):
		w.seen["crash while denials are written"]++
		if w.chance(500) {
			r.own.disk = entries
		}
		r.crash()
		w.after(w.between(20*time.Millisecond, 4*time.Second), r.start)
		return errDisk
	}
	r.own.disk = entries
	return nil
}

func (r *region) answerDenial(e overlay.Answer) {
	w := r.w
	w.note("%s denies %s: missing %v, %v", r.id, e.ID, e.Missing, e.Err)
	if e.Err != nil {
		w.seen["denial of a Region not acknowledged"]++
		return
	}
	i := slices.IndexFunc(r.own.here, func(x overlay.Entry) bool { return x.ID == e.ID })
	if i < 0 {
		w.fail("Denied: %s acknowledges %s and does not have it", r.id, e.ID)
		return
	}
	w.seen["denial of a Region acknowledged"]++
	d := &denied{r.own.here[i], r.region, e.Missing}
	if len(r.hood.near) > 0 && !d.onTwo(w) {
		w.fail("Denied: %s acknowledges %s, which is on its disk alone", r.id, e.ID)
	}
	for _, p := range w.regions {
		if p.disk.snapshot == nil { // it said that it has it, and lost its copy a moment ago
			d.loses(p)
		}
	}
	w.denied = append(w.denied, d)
	for _, p := range w.regions {
		if p.region == r.region {
			p.checkDenials()
		}
	}
}

// pulse lets the machine see time, the state and the Region's nodes go on.
func (r *region) pulse() {
	o, v := &r.own, r.serving
	if v != nil && (len(o.here) > 0 || o.waits > 0) {
		r.enrolled()
		if v != o.seen {
			o.seen = v
			r.deny(overlay.Applied{State: v})
		}
		r.deny(overlay.Tick{})
		if r.machine.Linked() && r.w.now-o.proposed >= proposePause {
			o.proposed = r.w.now
			r.propose()
		}
	}
	r.later(denialsPulse, r.pulse)
}

func (r *region) enrolled() {
	var names []string
	for _, p := range r.hood.near {
		names = append(names, p.id)
	}
	r.deny(overlay.Enrolled{Nodes: names})
}

// makeDenial is an operator's command at this node.
func (r *region) makeDenial(e overlay.Entry) {
	r.own.waits++
	r.enrolled()
	r.deny(overlay.Made{Entry: e})
	for _, p := range r.hood.near {
		r.exchange(p)
	}
}

// exchange gives a peer this node's list and takes the peer's.
func (r *region) exchange(p *region) {
	w, mine, life := r.w, r.own.here, r.life
	w.after(w.latency(), func() {
		if !p.up || p.serving == nil || r.cutFrom(p) {
			return
		}
		p.told(r, mine)
		theirs := p.own.here
		if !p.up {
			return
		}
		w.after(w.latency(), func() {
			if r.up && r.life == life && r.serving != nil && !r.cutFrom(p) {
				r.told(p, theirs)
			}
		})
	})
}

func (r *region) told(p *region, entries []overlay.Entry) {
	r.deny(overlay.Applied{State: r.serving})
	r.deny(overlay.Told{Node: p.id, Entries: entries})
}

// heardDenials compares a peer's list with this node's.
func (r *region) heardDenials(p *region, digest []byte) {
	o := &r.own
	last, talked := o.talked[p]
	if bytes.Equal(digest, overlay.Digest(o.here)) || talked && r.w.now-last < exchangeEach {
		return
	}
	o.talked[p] = r.w.now
	r.exchange(p)
}

// propose hands the list up, as one commit of the control plane's own.
func (r *region) propose() {
	n := r.conn
	if n == nil || len(r.own.here) == 0 {
		return
	}
	list := r.own.here
	r.w.after(r.w.latency(), func() {
		if r.blocked > r.w.now {
			return
		}
		n.control.system("denials of "+r.region, func(tx record.Tx) error {
			for _, e := range list {
				for _, d := range e.Denials {
					if record.Has(tx, record.Denials, record.None, d.ID) {
						continue
					}
					if err := record.Put(tx, record.Denials, d); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
}

var errNothing = errors.New("nothing is to be done")

// system commits a change that no client asked for, when this node lives.
func (c *control) system(name string, change func(record.Tx) error) {
	c.deliver(func(c *control) {
		o := &operation{name: name, account: "system", signed: epoch.Add(c.w.now), change: func(tx record.Tx, _ string) error {
			before := len(changesOf(tx))
			if err := change(tx); err != nil {
				return err
			}
			if len(changesOf(tx)) == before {
				return errNothing
			}
			return nil
		}}
		c.take(&attempt{op: o, answer: func(err error, index uint64, _ []string) {
			c.w.note("%s: %d %v", name, index, err)
		}})
	})
}

func changesOf(tx record.Tx) []record.Change {
	if p, ok := tx.(*view.Pending); ok {
		return p.Changes()
	}
	return nil
}

// checkDenials holds that what the Region has acknowledged as denied is refused
// on every node that has it, until the log has lifted it.
func (r *region) checkDenials() {
	if r.serving == nil || !r.up {
		return
	}
	var v *view.View
	for _, d := range r.w.denied {
		if d.region != r.region {
			continue
		}
		if v == nil {
			v = r.own.over.Over(r.serving)
		}
		if slices.Contains(d.missing, r.id) {
			d.regains(r, v)
			continue
		}
		for _, x := range d.entry.Denials {
			got, err := record.Get(v, record.Denials, record.None, x.ID)
			switch {
			case err != nil:
				r.w.fail("Denied: %s does not refuse %s, which its Region has acknowledged as denied", r.id, x.ID)
			case got.Lifted && !r.w.planeOf(r.serving.Head.Lineage).history.deny[x.ID]:
				r.w.fail("Denied: %s takes %s for lifted", r.id, x.ID)
			case !got.Lifted && record.Has(r.serving, record.Denials, record.None, x.ID):
				if base, err := record.Get(r.serving, record.Denials, record.None, x.ID); err != nil || base.Lifted {
					r.w.fail("Lifted: %s refuses %s again", r.id, x.ID)
				}
			}
		}
	}
}

// settledDenials holds that the control plane has every denial that a Region has
// acknowledged, in force or lifted: but for one that was handed up, and lost with
// the control plane that took it and with the copies of all nodes of its Region.
func (w *world) settledDenials(v *view.View) {
	for _, d := range w.denied {
		if d.nobodyHas(w) {
			w.seen["denial lost with everybody who had it"]++
			continue
		}
		for _, x := range d.entry.Denials {
			if !record.Has(v, record.Denials, record.None, x.ID) {
				w.fail("Denied: the log does not have %s, which %s has acknowledged as denied", x.ID, d.region)
			}
		}
	}
	for _, r := range w.regions {
		if len(r.own.here) > 0 {
			w.fail("Denied: %s still has denials of its own that the log has", r.id)
		}
	}
}

// denyInRegion has an operator deny something at a node of a Region.
func (w *world) denyInRegion() {
	r := w.regions[w.rand.IntN(len(w.regions))]
	if !r.up || r.serving == nil {
		return
	}
	w.entries++
	e := overlay.Entry{ID: fmt.Sprintf("%032x", w.entries), Command: fmt.Appendf(nil, "command %d", w.entries)}
	for n := range 1 + w.rand.IntN(2) {
		target := fmt.Sprintf("c%d-%d", w.rand.IntN(len(w.clients)), 1+w.rand.IntN(10))
		e.Denials = append(e.Denials, &record.Denial{ID: fmt.Sprintf("%012x%04x", w.entries, n), Scope: record.DenyID, Target: target, By: "op", Created: record.At(epoch.Add(w.now))})
	}
	w.note("an operator denies %s at %s", e.ID, r.id)
	r.makeDenial(e)
	if w.chance(300) { // and at another node at once
		if p := w.regions[w.rand.IntN(len(w.regions))]; p.region == r.region && p != r && p.up && p.serving != nil {
			p.makeDenial(e)
		}
	}
}

// lift has an operator lift a denial that the log has.
func (w *world) lift() {
	p := w.newest()
	if len(w.denied) == 0 {
		return
	}
	d := w.denied[w.rand.IntN(len(w.denied))]
	x := d.entry.Denials[w.rand.IntN(len(d.entry.Denials))]
	if lifted, there := p.history.deny[x.ID]; !there || lifted {
		return
	}
	w.seen["denial lifted"]++
	p.anyControl().system("lift "+x.ID, func(tx record.Tx) error {
		d, err := record.Get(tx, record.Denials, record.None, x.ID)
		if err != nil {
			return err
		}
		d.Lifted = true
		return record.Put(tx, record.Denials, d)
	})
}
