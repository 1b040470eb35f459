package simtest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/holdfast-iam/holdfast/internal/lineage"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/replica"
	"github.com/holdfast-iam/holdfast/internal/store"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// fork is from where a control plane goes on.
type fork struct {
	view  *view.View
	next  *record.Successor
	known record.Descent       // every successor, this one's included
	calls []store.Inherited    // within the window
	past  []*record.Batch      // of the history before it, as far as replicas had kept it
	kept  map[record.Hash]bool // chains of the commits that their logs had
}

// promote has an operator go on with a new control plane from the highest
// replica that can be read. The old one is gone for good, comes back later, or
// runs on all the while.
func (w *world) promote() {
	old := w.newest()
	if len(w.planes) >= w.lineages || w.now > w.peace-2*time.Second {
		return
	}
	f, err := w.choose()
	if err != nil {
		w.note("no promotion: %v", err)
		return
	}
	w.seen["promotion"]++
	end := w.rand.IntN(3)
	w.note("promotion from %s-%d of %s: the old one %d", f.next.Parent, f.next.Fork, old.lineage, end)
	if all := old.history.all; old.lineage == f.next.Parent && uint64(f.next.Fork) < all {
		w.fail("Kept: the fork is at %d, and %d was acknowledged as applied by all", f.next.Fork, all)
	}
	switch end {
	case 0:
		old.end()
		old.gone = true
	case 1:
		old.end()
		w.after(w.between(time.Second, 6*time.Second), old.back)
	}
	p := f.plane
	if err := p.succeed(&f.fork); err != nil {
		w.fail("promotion: %v", err)
		return
	}
	w.planes = append(w.planes, p)
	for _, c := range p.controls {
		w.after(w.between(0, 300*time.Millisecond), c.start)
	}
	w.show(end)
}

// planned is a promotion that has not happened.
type planned struct {
	fork
	plane *plane
}

// choose looks at every replica that can be read.
func (w *world) choose() (*planned, error) {
	var sources []*lineage.Source
	at := map[*lineage.Source]*region{}
	for _, r := range w.regions {
		v, err := r.copy()
		if err != nil {
			w.fail("Recovered: the copy of %s cannot be read: %v", r.id, err)
			return nil, err
		}
		if v == nil || w.chance(w.unread) { // it cannot be reached
			continue
		}
		s := &lineage.Source{Name: r.id, View: v, Seed: r.disk.seed}
		own, err := record.DescentOf(v)
		if err != nil {
			return nil, err
		}
		shown, err := replica.Descend(v, r.disk.successors)
		if err != nil {
			return nil, err
		}
		s.Known = own.With(shown)
		sources, at[s] = append(sources, s), r
	}
	best, err := lineage.Choose(sources)
	if err != nil {
		return nil, err
	}
	known := w.rooted
	for _, s := range sources {
		if a, b := s.Epoch(), best.Epoch(); a > b || a == b && s.View.Head.Index > best.View.Head.Index {
			w.fail("Kept: a promotion goes on from %s, and %s has %s", best.Revision(), s.Name, s.Revision())
		}
		known = known.With(s.Known)
	}
	p := w.newPlane(fmt.Sprintf("l%d", len(w.planes)+1))
	f := &planned{plane: p}
	f.view = best.View
	if f.next, err = lineage.Next(best, known, p.lineage, p.pins(), record.At(epoch.Add(w.now))); err != nil {
		return nil, err
	}
	f.next.Sign(rootKey)
	w.rooted = w.rooted.With(record.Descent{f.next})
	f.known = known.With(record.Descent{f.next})
	var logs [][]*record.Batch
	for _, s := range sources {
		logs = append(logs, replica.Batches(at[s].disk.pieces()))
	}
	f.past = lineage.Past(&best.View.Head, known, logs...)
	f.kept = keptBy(logs)
	p.unkept = w.unkept(&best.View.Head, f.kept)
	for _, r := range lineage.Calls(&best.View.Head, store.Window, logs...) {
		f.calls = append(f.calls, store.Inherited{ID: r.Call, Index: r.Index, At: r.Time})
	}
	return f, nil
}

func (p *plane) pins() (list []record.Pin) {
	for _, n := range p.nodes() {
		list = append(list, record.Pin{Node: n.ID, TLS: n.TLS, Head: n.Head})
	}
	return list
}

// succeed makes a lineage's first commit.
func (p *plane) succeed(f *fork) error {
	changes, err := lineage.Changes(f.view, f.next, func(g *record.Genesis) { g.Sign(rootKey) }, p.nodes(), nil)
	if err != nil {
		return err
	}
	w, err := p.writer(&p.kv.Memory)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if err := w.Succeed(ctx, f.view, f.next, changes); err != nil {
		return err
	}
	p.fork = f
	p.history.from(p.w, f)
	return p.kv.Memory.Log(ctx, 0, func(_ uint64, value []byte) bool { return p.kv.tell(value) })
}

// from begins a history at a fork, of what the replicas' logs have kept.
func (h *history) from(w *world, f *fork) {
	h.begin()
	head := f.view.Head
	head.Lineage, head.Node, head.Time = f.next.Lineage, "", head.Time+time.Second.Milliseconds()
	h.at[head.Index], h.heads = 0, []record.Head{head}
	shared := head.Index // what of an ancestor's history is this one's too
	for p := w.planeOf(f.next.Parent); p != nil; p = w.planeOf(p.parent()) {
		for call, index := range p.history.calls {
			switch _, known := h.calls[call]; {
			case known || index > shared || p.fork != nil && index <= p.fork.view.Head.Index: // else it is the parent's to tell
			case !f.kept[p.history.commitOf(index).Chain]: // every replica was sent a state from behind it
				w.seen["call of before a fork that nobody had kept"]++
			default:
				h.calls[call], h.doing[index] = index, call
			}
		}
		for _, d := range p.history.gone {
			if d.lineage == p.lineage && d.holds(shared) {
				d.again = 0
				h.gone = append(h.gone, d)
			}
		}
		if p.fork == nil {
			break
		}
		shared = min(shared, p.fork.view.Head.Index)
	}
	f.view.All(func(e *record.Entry) bool {
		if e.Key.Kind() == record.Denials.Name {
			d, err := record.Denials.Open(e)
			h.deny[e.Key.ID()] = err == nil && d.Lifted
		}
		return true
	})
}

// commitOf is the head of the commit that made an index.
func (h *history) commitOf(index uint64) *record.Head {
	i, _ := slices.BinarySearchFunc(h.heads, index, func(x record.Head, index uint64) int { return cmp.Compare(x.Index, index) })
	return &h.heads[i]
}

func (p *plane) parent() string {
	if p.fork == nil {
		return ""
	}
	return p.fork.next.Parent
}

// end stops every node of a control plane.
func (p *plane) end() {
	p.down = true
	for _, c := range p.controls {
		if c.up {
			c.crash()
		}
	}
}

// back starts them again, unless they have ended for good.
func (p *plane) back() {
	if !p.down || p.gone {
		return
	}
	p.w.seen["old control plane that comes back"]++
	p.down = false
	for _, c := range p.controls {
		if !c.up {
			c.start()
		}
	}
}

// show has everybody hear of the newest lineage in time: nodes and the old
// control plane by their directories, clients by whom they are told to call.
func (w *world) show(end int) {
	p := w.newest()
	var list [][]byte
	for _, s := range p.fork.known {
		b, err := record.Marshal(s)
		if err != nil {
			w.fail("a successor: %v", err)
		}
		list = append(list, b)
	}
	for _, r := range w.regions {
		w.after(w.between(0, 3*time.Second), func() {
			if len(list) > len(r.files) {
				r.files = list
			}
		})
	}
	for _, o := range w.planes[:len(w.planes)-1] {
		if o.gone {
			continue
		}
		w.after(w.between(500*time.Millisecond, 5*time.Second), func() {
			if len(list) <= len(o.shown) {
				return
			}
			if o.shown = list; o.ended { // one of its nodes is started again, and leaves its file anew
				o.leave(p.fork.known)
			}
		})
	}
	for _, c := range w.clients {
		d := w.between(0, 500*time.Millisecond)
		if end == 2 && w.chance(400) {
			d = w.between(0, 5*time.Second)
		}
		w.after(d, func() { c.move(w.newest()) })
	}
}

// look has a Region node see what its directory shows it.
func (r *region) look() {
	if len(r.files) > 0 && r.machine.View() != nil && !r.machine.Busy() {
		r.step(replica.Shown{Records: r.files})
	}
	r.later(500*time.Millisecond, r.look)
}

// heed has a control node see what its directory shows it, again and again.
func (c *control) heed() {
	if c.plane.shown != nil {
		if d, err := replica.Descend(c.machine.View(), c.plane.shown); err != nil {
			c.w.fail("%s cannot read its successors: %v", c.id, err)
		} else {
			c.succeeded(d)
		}
	}
	c.later(500*time.Millisecond, c.heed)
}

// succeeded ends this control plane for good: a log record, so that its other
// nodes end too.
func (c *control) succeeded(d record.Descent) {
	own, err := record.DescentOf(c.machine.View())
	s := d.Newest()
	if err != nil || s == nil || len(own) > 0 && s.Epoch <= own.Newest().Epoch {
		return
	}
	c.internal("retire", true, func(tx record.Tx) error {
		for _, x := range d {
			if own.Of(x.Lineage) != nil {
				continue
			}
			if err := record.Put(tx, record.Successors, x); err != nil {
				return err
			}
		}
		return nil
	}, func(err error, index uint64) {
		if err == nil {
			c.plane.leave(own.With(d))
		}
	})
}

// internal commits a change of this node's own, here or not at all.
func (c *control) internal(name string, insist bool, change func(record.Tx) error, then func(error, uint64)) {
	o := &operation{name: name, account: "internal", signed: epoch.Add(c.w.now), change: func(tx record.Tx, _ string) error { return change(tx) }}
	c.submit(&attempt{op: o, handed: true, committed: true, answer: func(err error, index uint64, _ []string) { then(err, index) }}, insist)
}

// leave brings what the control plane has beyond the common prefix to its
// successor, as an operator does with its file. Where that has been replaced too,
// the ended control plane is shown the newest one and leaves a new file.
func (p *plane) leave(d record.Descent) {
	from, _ := d.Common(p.lineage, d.Newest().Lineage)
	var batches []*record.Batch
	if p.fork != nil {
		for _, b := range p.fork.past {
			if b.Head.Index > from {
				batches = append(batches, b)
			}
		}
	}
	for _, l := range p.kv.after(from + 1) {
		batches = append(batches, l.Batch())
	}
	p.w.seen["control plane that ended for good"]++
	p.w.note("%s ends with %d commits beyond %d", p.lineage, len(batches), from)
	p.left, p.handedTo, p.files = true, nil, p.files+1
	file := p.files
	var bring func()
	bring = func() {
		to := p.w.newest()
		if p.handedTo != nil || p.files != file {
			return
		}
		if d.Of(to.lineage) == nil && p.shown != nil { // shown while it ended: it is started once more
			more, err := replica.Descend(p.controls[0].machine.View(), p.shown)
			if err == nil && more.Of(to.lineage) != nil {
				p.leave(d.With(more))
				return
			}
		}
		if c := to.anyControl(); c.up && c.frozen <= p.w.now && d.Of(to.lineage) != nil {
			c.handUp(p.lineage, d, batches, func(err error, _ uint64, list []lineage.Stretch) {
				if err == nil && p.files == file {
					p.handedTo, p.lacks = to, list
				}
			})
		}
		p.w.after(time.Second, bring) // the file is there until it is done
	}
	p.w.after(p.w.between(200*time.Millisecond, 2*time.Second), bring)
}
