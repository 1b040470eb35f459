package simtest

import "time"

// A world of sixty days: a Region is cut off while time jumps by five days again
// and again. Between two jumps the world goes on for a moment.
const (
	hop  = 5 * 24 * time.Hour
	stay = 800 * time.Millisecond
)

// far plans the jumps, until trouble ends.
func (w *world) far() {
	if w.shape.hops == 0 {
		return
	}
	name := w.regions[w.rand.IntN(len(w.regions))].region
	w.after(time.Second, func() {
		w.note("Region %s is cut off for sixty days", name)
		w.cutOff(name, w.peace-w.now)
	})
	for i := range w.shape.hops {
		w.after(2*time.Second+time.Duration(i)*stay, w.jump)
	}
}

// jump has five days pass in which nothing happens: all machines sleep, and
// what is under way comes after it.
func (w *world) jump() {
	w.seen["five days"]++
	w.note("five days pass")
	for _, i := range w.queue {
		i.at += hop // the order stays
	}
	for _, r := range w.regions {
		if r.blocked > w.now {
			r.blocked += hop
		}
	}
	was := w.now
	w.now, w.skipped, w.peace = w.now+hop, w.skipped+hop, w.peace+hop
	for _, p := range w.planes {
		for _, c := range p.controls {
			c.thawed = w.now
			if c.frozen > was { // what it has put off comes then
				c.frozen += hop
				c.thawed = c.frozen
			}
		}
	}
}
