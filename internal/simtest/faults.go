package simtest

import "time"

// fault is a kind of trouble.
type fault struct {
	name string
	make func(w *world)
}

var faults = []fault{
	{"crash of the control node", func(w *world) {
		if c := w.control; c.up {
			c.crash()
			w.after(w.between(50*time.Millisecond, 4*time.Second), c.start)
		}
	}},
	{"crash of a Region's node", func(w *world) {
		if r := w.regions[w.rand.IntN(len(w.regions))]; r.up {
			r.crash()
			w.after(w.between(20*time.Millisecond, 4*time.Second), r.start)
		}
	}},
	{"broken connection", func(w *world) { w.cut(w.regions[w.rand.IntN(len(w.regions))].conn) }},
	{"partition", func(w *world) {
		r := w.regions[w.rand.IntN(len(w.regions))]
		for d := w.between(20*time.Millisecond, 6*time.Second); r.blocked < w.now+d; {
			r.blocked = w.now + d
		}
		n := r.conn
		w.after(keepalive, func() {
			if r.blocked > w.now { // partitions that follow each other
				w.cut(n)
			}
		})
	}},
	{"trouble of the store", func(w *world) { w.kv.trouble = w.now + w.between(50*time.Millisecond, 3*time.Second) }},
	{"slow disk", func(w *world) {
		w.regions[w.rand.IntN(len(w.regions))].slow = w.now + w.between(50*time.Millisecond, 5*time.Second)
	}},
	{"clock that jumps", func(w *world) {
		clocks := []*clock{&w.control.clock}
		for _, r := range w.regions {
			clocks = append(clocks, &r.clock)
		}
		k := clocks[w.rand.IntN(len(clocks))]
		if w.chance(800) {
			k.offset += w.between(0, 20*time.Second) - 10*time.Second
		} else {
			k.offset = w.between(0, 28*time.Minute) - 14*time.Minute
		}
	}},
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
	w.after(troubled, w.heal)
}

func (w *world) recur(f fault, pause time.Duration) {
	w.after(w.between(0, 2*pause), func() {
		if w.now >= troubled {
			return
		}
		w.seen[f.name]++
		w.note("fault: %s", f.name)
		f.make(w)
		w.recur(f, pause)
	})
}

// heal ends what trouble is left. Nodes that are down come up by themselves.
func (w *world) heal() {
	w.note("trouble ends")
	w.kv.trouble = 0
	w.control.clock.offset = 0
	for _, r := range w.regions {
		r.blocked, r.slow, r.clock.offset = 0, 0, 0
	}
}
