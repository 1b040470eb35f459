package simtest

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/holdfast-iam/holdfast/internal/lineage"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/replica"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// retired is a node whose lineage has ended.
func (c *control) retired() {
	c.w.note("%s of %s ends for good", c.id, c.plane.lineage)
	c.plane.ended = true
	c.crash()
}

// hear deals with a follower that knows of another lineage than this node's;
// false: there is nothing of that kind.
func (c *control) hear(n *conn, up *peerpb.Hello) bool {
	v := c.machine.View()
	own, err := record.DescentOf(v)
	if err != nil {
		c.w.fail("the successors of %s: %v", c.id, err)
		return true
	}
	theirs, err := replica.Descend(v, up.Successors)
	if err != nil {
		c.w.cut(n)
		return true
	}
	if s := theirs.Newest(); s != nil && (len(own) == 0 || s.Epoch > own.Newest().Epoch) {
		c.w.seen["control plane that a follower shows its successor"]++
		c.succeeded(theirs)
		c.w.cut(n)
		return true
	}
	if up.Lineage == "" || up.Lineage == v.Head.Lineage {
		return false
	}
	if len(own) == 0 {
		c.w.cut(n)
		return true
	}
	var list [][]byte
	for _, s := range own {
		b, _ := record.Marshal(s) // plain fields: cannot fail
		list = append(list, b)
	}
	n.down.send(&peerpb.Down{Frame: &peerpb.Down_Successors{Successors: &peerpb.Successors{Records: list}}})
	n.surplus = &surplus{lineage: up.Lineage, known: own.With(theirs)}
	return true
}

// surplus is what comes on a stream of a node that has some.
type surplus struct {
	lineage string
	known   record.Descent
	batches []*record.Batch
}

// take takes what a follower hands up, until its end.
func (s *surplus) take(n *conn, batch []byte, last bool) {
	c := n.control
	if !last {
		b := new(record.Batch)
		if err := json.Unmarshal(batch, b); err != nil {
			c.w.fail("a batch of a surplus cannot be read: %v", err)
			return
		}
		s.batches = append(s.batches, b)
		return
	}
	c.w.seen["surplus handed up"]++
	c.handUp(s.lineage, s.known, s.batches, func(err error, index uint64, _ []lineage.Stretch) {
		c.w.note("%s hands up %d commits to %s: %d %v", n.region.id, len(s.batches), c.id, index, err)
		if err != nil {
			c.w.cut(n)
			return
		}
		n.down.send(&peerpb.Down{Frame: &peerpb.Down_Handed{Handed: &peerpb.Handed{Index: index}}})
	})
}

// handUp has what was taken away in a surplus denied here.
func (c *control) handUp(of string, d record.Descent, batches []*record.Batch, then func(error, uint64, []lineage.Stretch)) {
	v := c.machine.View()
	own, err := record.DescentOf(v)
	if err != nil {
		c.w.fail("Surplus: the successors of %s: %v", c.id, err)
		return
	}
	list, fork, err := lineage.Open(batches, own.With(d), of, v.Head.Lineage)
	if err != nil {
		c.w.fail("Surplus: that of %s cannot be believed in %s: %v", of, v.Head.Lineage, err)
		return
	}
	s, err := lineage.Derive(v, fork, list)
	if err != nil {
		c.w.fail("Surplus: what that of %s comes to in %s: %v", of, v.Head.Lineage, err)
		return
	}
	if len(list) > 1 && len(list[0].Records) > 0 {
		c.w.seen["surplus that begins in an ancestor"]++
	}
	groups := s.Groups(5)
	if len(groups) == 0 {
		groups = append(groups, func(record.Tx) error { return nil })
	}
	c.commitAll(groups, func(err error, index uint64) { then(err, index, list) })
}

// commitAll commits one after the other.
func (c *control) commitAll(groups []func(record.Tx) error, then func(error, uint64)) {
	c.internal("surplus", true, groups[0], func(err error, index uint64) {
		if err != nil || len(groups) == 1 {
			then(err, index)
			return
		}
		c.commitAll(groups[1:], then)
	})
}

// copy reads the disk copy of a node, as a promotion does; nil: there is none.
func (r *region) copy() (*view.View, error) {
	d := &r.disk
	if d.snapshot == nil {
		return nil, nil
	}
	var batches [][]byte
	for _, p := range d.log {
		if p.torn {
			break
		}
		batches = append(batches, p.batch)
	}
	built := &view.View{Head: d.snapshot.Head, State: view.Build(d.seed, d.snapshot.All, 1)}
	return replica.Recover(built, batches, rootHash)
}

// pieces are the batches that a node has kept, oldest first.
func (d *disk) pieces() (list [][]byte) {
	for _, log := range [][]piece{d.old, d.log} {
		for _, p := range log {
			if p.torn {
				break
			}
			list = append(list, p.batch)
		}
	}
	return list
}

// keep writes successors down.
func (r *region) keep(records [][]byte) {
	w := r.w
	r.w.seen["successor learnt"]++
	d := w.between(100*time.Microsecond, 5*time.Millisecond)
	r.disk.crash = func() {
		if w.chance(500) {
			r.disk.successors = records
		}
	}
	r.later(d, func() {
		r.disk.crash = nil
		var err error
		if !w.quiets() && r.slow > w.now && w.chance(250) {
			err = errDisk
		} else {
			r.disk.successors = records
		}
		r.step(replica.Kept{Err: err})
		r.read()
	})
}

// offer hands up this node's surplus. What is not kept any more nobody can hand
// up for it: an operator gives the node up, with its copy.
func (r *region) offer(from uint64) {
	w, v := r.w, r.machine.View()
	list, err := replica.Suffix(r.disk.pieces(), from, &v.Head)
	if err != nil {
		w.seen["surplus that is not kept"]++
		w.note("%s: %v", r.id, err)
		r.crash()
		r.loseCopy()
		w.after(w.between(20*time.Millisecond, 2*time.Second), r.start)
		return
	}
	for _, b := range list {
		r.send(&peerpb.Up{Surplus: &peerpb.Surplus{Batch: b}})
	}
	r.send(&peerpb.Up{Surplus: &peerpb.Surplus{Last: true}})
}

// loseCopy takes a node's disk copy away.
func (r *region) loseCopy() {
	r.disk = disk{successors: r.disk.successors, floor: r.disk.floor}
	for _, d := range r.w.denied {
		d.loses(r)
	}
	r.copyLost, r.forgot, r.w.changed = true, true, true
}

// goesOver holds what must be so when a node serves another lineage than before:
// a newer one, in which nothing is admitted that the node refused.
func (r *region) goesOver(v *view.View) {
	w := r.w
	old, now := w.planeOf(r.lineage), w.planeOf(v.Head.Lineage)
	w.seen["node that goes over to a successor"]++
	if w.epochOf(now.lineage) < w.epochOf(old.lineage) {
		w.fail("Successor: %s goes back from %s to %s", r.id, old.lineage, now.lineage)
		return
	}
	from, _ := now.fork.known.Common(old.lineage, now.lineage)
	if r.served > from {
		w.seen["node that goes over with surplus"]++
	}
	for _, d := range old.history.gone {
		anew := d.again > 0 && d.again <= from // in the history that both have
		if d.holds(r.served) && !anew && !refused(v, d.key) {
			w.fail("Revoked: %s admits %s again in %s, which it refused at %d of %s", r.id, d.key, now.lineage, d.index, old.lineage)
		}
	}
}

// refused says whether a user that was deleted once is refused in a state.
func refused(v *view.View, key record.Key) bool {
	if _, there := v.Entry(key); !there {
		return true
	}
	denied := false
	v.Range(record.DenialByTarget.Name, record.DenyID+record.Sep+key.ID()+record.Sep, "", func(string, *record.Entry) bool {
		denied = true
		return false
	})
	return denied
}

// keptBy are the chains of the commits that any of some logs has.
func keptBy(logs [][]*record.Batch) map[record.Hash]bool {
	kept := map[record.Hash]bool{}
	for _, log := range logs {
		for _, b := range log {
			kept[b.Head.Chain] = true
		}
	}
	return kept
}

// unkept says of each lineage on the way to a fork up to which index the readable
// replicas cannot tell what happened: what is behind a gap in all of their logs,
// and the commit in front of it, which is believed by its predecessor's head.
func (w *world) unkept(fork *record.Head, kept map[record.Hash]bool) map[string]uint64 {
	up := map[string]uint64{}
	until := fork.Index
	for p := w.planeOf(fork.Lineage); p != nil; p = w.planeOf(p.parent()) {
		heads := p.history.heads
		for i := len(heads) - 1; i >= 0 && up[p.lineage] == 0; i-- {
			if heads[i].Index <= until && !kept[heads[i].Chain] {
				up[p.lineage] = min(until, heads[min(i+1, len(heads)-1)].Index)
			}
		}
		if p.fork != nil {
			until = min(until, p.fork.view.Head.Index)
		}
	}
	return up
}

// lacked says whether a deletion of before the control plane's own fork is one that
// nobody can hand up any more: no replica had kept it when this one began, and
// it has said so.
func (p *plane) lacked(d deletion) bool {
	said := slices.ContainsFunc(p.lacks, func(s lineage.Stretch) bool {
		return s.Lineage == d.lineage && d.index > s.From && d.index <= s.From+s.Missing
	})
	if said {
		p.w.seen["deletion that nobody had kept"]++
	}
	return said && d.index <= p.unkept[d.lineage]
}

// settledLineages holds that what a control plane that came back had taken away
// is refused in the end.
func (w *world) settledLineages(v *view.View) {
	for _, p := range w.planes[:len(w.planes)-1] {
		if !p.gone && !p.ended {
			w.fail("Settled: %s still takes writes", p.lineage)
		}
		if p.left && p.handedTo == nil {
			w.fail("Settled: what %s has left is not handed up", p.lineage)
		}
		if p.handedTo != w.newest() {
			continue // a control plane took it that is lost in its turn
		}
		for _, d := range p.history.gone {
			if d.again == 0 && !refused(v, d.key) && !p.lacked(d) {
				w.fail("Revoked: %s was deleted at %d of %s, and is admitted in the end", d.key, d.index, d.lineage)
			}
		}
	}
}
