package simtest

import (
	"bytes"
	"time"

	"github.com/holdfast-iam/holdfast/internal/feed"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
)

// fault is a kind of trouble.
type fault struct {
	name string
	make func(w *world)
}

var faults = []fault{
	{"crash of a control node", func(w *world) {
		if c := w.planes[w.rand.IntN(len(w.planes))].anyControl(); c.up && c.frozen <= w.now {
			c.crash()
			w.after(w.between(50*time.Millisecond, 4*time.Second), c.start)
		}
	}},
	{"crash of the node that sequences", func(w *world) {
		for _, c := range w.newest().controls {
			if c.up && c.frozen <= w.now && c.id == w.newest().history.newest().Node {
				c.crash()
				w.after(w.between(50*time.Millisecond, 4*time.Second), c.start)
			}
		}
	}},
	{"frozen control node", func(w *world) {
		if c := w.newest().anyControl(); c.up && c.frozen <= w.now {
			c.freeze(w.between(100*time.Millisecond, 5*time.Second))
		}
	}},
	{"control node away from the store", func(w *world) {
		w.newest().anyControl().away = w.now + w.between(50*time.Millisecond, 4*time.Second)
	}},
	{"partition between control nodes", func(w *world) {
		a, b := w.newest().anyControl(), w.newest().anyControl()
		until := w.now + w.between(50*time.Millisecond, 4*time.Second)
		a.cut[b], b.cut[a] = until, until
	}},
	{"crash of a Region's node", func(w *world) {
		if r := w.regions[w.rand.IntN(len(w.regions))]; r.up {
			r.crash()
			w.after(w.between(20*time.Millisecond, 4*time.Second), r.start)
		}
	}},
	{"partition in a Region", func(w *world) {
		r := w.regions[w.rand.IntN(len(w.regions))]
		if len(r.hood.near) > 0 {
			p := r.hood.near[w.rand.IntN(len(r.hood.near))]
			until := w.now + w.between(50*time.Millisecond, 6*time.Second)
			r.hood.apart[p], p.hood.apart[r] = until, until
		}
	}},
	{"lost disk copy", func(w *world) {
		if r := w.regions[w.rand.IntN(len(w.regions))]; r.up && r.served > 0 {
			r.crash()
			r.loseCopy()
			w.after(w.between(20*time.Millisecond, 4*time.Second), r.start)
		}
	}},
	{"broken connection", func(w *world) { w.cut(w.regions[w.rand.IntN(len(w.regions))].conn) }},
	{"partition", func(w *world) {
		w.regions[w.rand.IntN(len(w.regions))].block(w.between(20*time.Millisecond, 6*time.Second))
	}},
	{"trouble of the store", func(w *world) { w.newest().kv.trouble = w.now + w.between(50*time.Millisecond, 3*time.Second) }},
	{"slow disk", func(w *world) {
		w.regions[w.rand.IntN(len(w.regions))].slow = w.now + w.between(50*time.Millisecond, 5*time.Second)
	}},
	{"clock that jumps", func(w *world) {
		k := &w.regions[w.rand.IntN(len(w.regions))].clock
		switch {
		case w.chance(700):
			k.offset += w.between(0, 20*time.Second) - 10*time.Second
		case w.chance(700):
			k.offset = w.between(0, 28*time.Minute) - 14*time.Minute
		default:
			k.offset = w.between(0, 20*time.Hour) - 10*time.Hour
		}
	}},
	{"clock of a control node that is set", (*world).setControlClock},
	{"denial in a Region", (*world).denyInRegion},
	{"denial to be lifted", (*world).lift},
	{"promotion wanted", func(w *world) {
		if w.promotes {
			w.promote()
		}
	}},
	{"Region cut off", func(w *world) {
		name := w.regions[w.rand.IntN(len(w.regions))].region
		w.cutOff(name, w.between(500*time.Millisecond, 8*time.Second))
	}},
}

// cutOff has nothing pass between a Region's nodes and the control plane.
func (w *world) cutOff(name string, d time.Duration) {
	for _, r := range w.regions {
		if r.region == name {
			r.block(d)
		}
	}
}

// block has nothing pass between a node and the control plane for a while.
func (r *region) block(d time.Duration) {
	w := r.w
	r.blocked = max(r.blocked, w.now+d)
	n := r.conn
	w.after(keepalive, func() {
		if r.blocked > w.now { // partitions that follow each other
			w.cut(n)
		}
	})
}

// plan has each kind of fault happen or not in this world, at its own rate:
// worlds with few kinds reach what worlds with all of them do not.
func (w *world) plan() {
	for _, f := range faults {
		if w.chance(600) {
			pause := w.between(400*time.Millisecond, 8*time.Second)
			w.recur(f, pause)
		}
	}
	w.lying = w.chance(400)
	w.wrong = w.rand.IntN(3)
	if w.promotes = w.chance(400); w.promotes {
		w.unread, w.lineages = 150, 3
		if w.chance(400) { // much is out of reach: forks are far back, and siblings of each other
			w.unread, w.lineages = 600, 5
		}
	}
	w.far()
	w.after(troubled, w.heal)
}

func (w *world) recur(f fault, pause time.Duration) {
	w.after(w.between(0, 2*pause), func() {
		if w.quiets() {
			return
		}
		w.seen[f.name]++
		w.seen["faults"]++
		w.note("fault: %s", f.name)
		f.make(w)
		w.recur(f, pause)
	})
}

// lie changes what is sent into what somebody who cannot sign might send: the
// frame twice, not at all, with a flipped bit, or after an old snapshot.
func (w *world) lie(d *peerpb.Down) []*peerpb.Down {
	if !w.lying || w.quiets() || !w.chance(20) {
		return []*peerpb.Down{d}
	}
	w.note("a lie")
	w.seen["lie"]++
	switch b, ok := d.Frame.(*peerpb.Down_Batch); {
	case w.chance(250):
		return []*peerpb.Down{d, d}
	case w.chance(333):
		return nil
	case w.chance(500) && ok:
		b := bytes.Clone(b.Batch)
		b[w.rand.IntN(len(b))] ^= 1 << w.rand.IntN(8)
		return []*peerpb.Down{{Frame: &peerpb.Down_Batch{Batch: b}}}
	}
	var list []*peerpb.Down
	if err := feed.Snapshot(w.old, func(x *peerpb.Down) error {
		list = append(list, x)
		return nil
	}); err != nil {
		w.fail("snapshot: %v", err)
	}
	for _, c := range w.newest().controls {
		if c.up && w.chance(500) {
			w.old = c.machine.View()
		}
	}
	return append(list, d)
}

// heal ends what trouble is left. Nodes that are down come up by themselves.
func (w *world) heal() {
	w.note("trouble ends")
	w.peace = w.now
	for _, p := range w.planes {
		p.kv.trouble = 0
		p.back()
		for _, c := range p.controls {
			if c.clock.offset.Abs() > healthy {
				c.clock.offset = 0
			}
			c.away, c.frozen = 0, min(c.frozen, w.now)
			clear(c.cut)
			c.later(0, c.woken)
		}
	}
	for _, r := range w.regions {
		w.cut(r.conn) // a stream that lost a frame stays wrong until something is sent on it
		r.blocked, r.slow, r.clock.offset = 0, 0, 0
		clear(r.hood.apart)
	}
	for _, c := range w.clients {
		w.after(time.Second, func() { c.move(w.newest()) })
	}
	w.convergence()
}
