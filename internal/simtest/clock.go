package simtest

import (
	"time"

	"github.com/holdfast-iam/holdfast/internal/clocks"
)

// epoch is when the world begins; every clock is off it by its own error.
var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// clock is one node's: it drifts, and its wall time jumps.
type clock struct {
	w      *world
	ppm    int64         // drift
	offset time.Duration // of the wall time
}

// boot runs evenly, apart from drift: timers go by it. Over days it is kept
// right, as a machine that hears the time does.
func (c *clock) boot() time.Time {
	return epoch.Add(c.w.now + time.Duration(int64(c.w.now-c.w.skipped)/1_000_000*c.ppm))
}

// wall is what the node believes the time is.
func (c *clock) wall() time.Time { return c.boot().Add(c.offset) }

// real is how long a span of the node's clock takes.
func (c *clock) real(d time.Duration) time.Duration {
	return d * 1_000_000 / time.Duration(1_000_000+c.ppm)
}

func (c *clock) reading() clocks.Reading {
	return clocks.Reading{Wall: c.wall(), Boot: c.boot().Sub(epoch)}
}

// newClock is up to 2000 ppm and two seconds off.
func (w *world) newClock() clock {
	return clock{w: w, ppm: w.rand.Int64N(4001) - 2000, offset: w.between(0, 4*time.Second) - 2*time.Second}
}

// Times of the control nodes' clocks.
const (
	clockEach = time.Second
	// healthy is how far a control node's clock is off that nobody has set.
	healthy = 300 * time.Millisecond
	// honest is how far ahead of the truth a commit may be, as long as no more
	// than one clock of three is wrong: the tolerance, the round trip in which
	// another's was read, what a healthy clock is off, and drift.
	honest = clocks.Tolerance + clockEach + healthy + 200*time.Millisecond
)

// compare asks the other control nodes for their clocks, again and again.
func (c *control) compare() {
	for _, o := range c.plane.controls {
		if o == c {
			continue
		}
		asked, life := c.clock.reading().Boot, c.life
		c.send(o, func() {
			at := o.clock.wall()
			o.send(c, func() {
				if c.life == life && c.clock.reading().Boot-asked < clockEach {
					c.bound.Heard(o.id, at, asked, c.clock.reading().Boot)
				}
			})
		})
	}
	c.later(clockEach, c.compare)
}

// believed says why this node's time may not stand on a commit, or nil.
func (c *control) believed() error {
	var others []string
	for _, o := range c.plane.controls {
		if o != c {
			others = append(others, o.id)
		}
	}
	return c.bound.Judge(c.clock.reading(), others)
}

// setControlClock sets the clock of a control node, of one in a world: after it a
// clock is not believed for a minute, and against two of three nobody has a
// remedy.
func (w *world) setControlClock() {
	p := w.newest()
	if len(p.controls) < 3 {
		return
	}
	c := p.controls[w.wrong%len(p.controls)]
	d := w.between(0, 20*time.Hour) - 10*time.Hour
	if w.chance(500) {
		d = w.between(0, 8*time.Second) - 4*time.Second
	}
	c.clock.offset += d
	w.note("the clock of %s is set by %v", c.id, d)
	w.after(w.between(500*time.Millisecond, 6*time.Second), func() {
		c.clock.offset = w.between(0, 2*healthy) - healthy
		w.note("the clock of %s is set right", c.id)
	})
}
