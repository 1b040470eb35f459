package simtest

import (
	"errors"
	"time"

	"github.com/holdfast-iam/holdfast/internal/store"
)

// probe looks at the head now and then, as the heartbeats of a node do.
func (c *control) probe() {
	c.later(heartbeatEach, func() {
		h := c.machine.View().Head
		if !c.plane.kv.troubled(c) && !c.plane.kv.current(&h) {
			c.woken()
		}
		c.probe()
	})
}

// woken has the machine follow the log.
func (c *control) woken() { c.perform(c.machine.Step(store.Woken{}, c.clock.wall())) }

// take runs an attempt here, or hands it to the node that sequences: once.
func (c *control) take(a *attempt) {
	if a.handed || c.machine.Sequences() {
		c.submit(a, false)
		return
	}
	c.hand(a)
}

// hand asks the node that sequences, and takes over when it does not answer in
// time. What that one still does then is done once all the same.
func (c *control) hand(a *attempt) {
	w := c.w
	var to *control
	for _, x := range c.plane.controls {
		if x.id == c.machine.View().Head.Node {
			to = x
		}
	}
	w.seen["call handed to another node"]++
	over, life := false, c.life
	insist := func() {
		if !over {
			over = true
			c.submit(a, true)
		}
	}
	on := &attempt{op: a.op, handed: true}
	on.answer = func(err error, index uint64, missing []string) {
		to.send(c, func() {
			if c.life != life || over {
				return
			}
			if errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrMoved) {
				insist()
				return
			}
			over = true
			a.answer(err, index, missing)
		})
	}
	c.send(to, func() { to.take(on) })
	at := c.machine.View().Head.Index
	var wait func()
	wait = func() {
		now := c.machine.View().Head.Index
		if over {
			return
		}
		if now > at { // it is busy, not silent
			at = now
			c.later(patience, wait)
			return
		}
		w.seen["forward without an answer"]++
		insist()
	}
	c.later(patience, wait)
}

// send has something happen at another control node, unless the network between
// the two loses it.
func (c *control) send(to *control, do func()) {
	if !c.w.quiets() && (c.cut[to] > c.w.now || c.w.chance(10)) {
		return
	}
	to.deliver(func(*control) { do() })
}

// moved is an attempt that is to be tried elsewhere.
func (c *control) moved(a *attempt) {
	c.w.seen["call sent back: another node sequences"]++
	if a.handed {
		a.answer(store.ErrMoved, 0, nil)
		return
	}
	c.hand(a)
}

// submit gives an attempt to the machine, once the node has seen what was in the
// log when it came: a refusal must not rest on an old view.
func (c *control) submit(a *attempt, insist bool) {
	a.arrived = c.plane.history.newest().Index
	call := &store.Call{ID: a.op.call, Account: a.op.account, Insist: insist, Admit: a.op.admit, Apply: a.op.apply}
	c.linearizable(func(ok bool) {
		if !ok {
			a.answer(store.ErrUnavailable, 0, nil)
			return
		}
		if err := c.believed(); err != nil {
			c.w.seen["call refused: the node's clock is not believed"]++
			a.answer(store.ErrUnavailable, 0, nil)
			return
		}
		c.calls[call] = a
		a.op.open++
		c.perform(c.machine.Step(store.Submit{Call: call}, c.clock.wall()))
	})
}

// linearizable tells when the view is as new as a read of the head that begins
// now, or that it cannot be had.
func (c *control) linearizable(then func(ok bool)) {
	w := c.w
	c.later(w.between(100*time.Microsecond, 2*time.Millisecond), func() {
		if c.plane.kv.troubled(c) && w.chance(800) {
			c.later(w.between(time.Millisecond, readBound), func() { then(false) })
			return
		}
		head := c.plane.history.newest()
		end := w.now + 2*time.Second
		var look func()
		look = func() {
			switch {
			case c.machine.View().Head.Index >= head.Index:
				then(true)
			case w.now > end:
				then(false)
			default:
				if head.Node != c.id {
					c.woken()
				}
				c.later(time.Millisecond, look)
			}
		}
		c.later(w.between(100*time.Microsecond, 2*time.Millisecond), look)
	})
}
