package simtest

import (
	"errors"
	"time"

	"github.com/holdfast-iam/holdfast/internal/feed"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
)

// keepalive is how long a silent connection lives.
const keepalive = 10 * time.Second

var errBroken = errors.New("the connection is broken")

// conn is a stream between a Region's node and a control node. Each way
// keeps its order; nothing holds between connections, so what an old one still
// carries may arrive after a new one is open.
type conn struct {
	w       *world
	region  *region
	control *control
	life    int           // of the control node
	heard   time.Duration // when a frame came last
	up      pipe[*peerpb.Up]
	down    pipe[*peerpb.Down]
	session *feeding
	surplus *surplus // it hands up
	begun   time.Duration
	broken  bool
}

// pipe is one way of a connection.
type pipe[M any] struct {
	conn    *conn
	arrival time.Duration // of the newest message
	cut     bool          // what is under way never arrives
	deliver func(M)
}

func (p *pipe[M]) send(m M) {
	w := p.conn.w
	if p.conn.broken {
		return
	}
	at := w.now + w.latency()
	if r := p.conn.region; r.blocked > at {
		at = r.blocked + w.latency()
	}
	p.arrival = max(p.arrival, at)
	w.after(p.arrival-w.now, func() {
		if !p.cut {
			p.deliver(m)
		}
	})
}

// latency is mostly small.
func (w *world) latency() time.Duration {
	if !w.quiets() && w.chance(15) {
		return w.between(30*time.Millisecond, 400*time.Millisecond)
	}
	return w.between(300*time.Microsecond, 12*time.Millisecond)
}

// connect opens a stream.
func (w *world) connect(r *region, c *control) *conn {
	n := &conn{w: w, region: r, control: c, life: c.life, heard: w.now, begun: w.now}
	n.up = pipe[*peerpb.Up]{conn: n, deliver: n.atControl}
	n.down = pipe[*peerpb.Down]{conn: n, deliver: func(d *peerpb.Down) { r.receive(n, d) }}
	return n
}

// atControl is what the control node's end of the stream does.
func (n *conn) atControl(up *peerpb.Up) {
	c := n.control
	if !c.up || c.life != n.life {
		return
	}
	if c.frozen > n.w.now {
		n.w.after(c.frozen-n.w.now, func() { n.atControl(up) })
		return
	}
	if up.Surplus != nil {
		if !n.broken && n.surplus != nil {
			n.surplus.take(n, up.Surplus.Batch, up.Surplus.Last)
		}
		return
	}
	if up.Hello != nil {
		if !n.broken && !c.hear(n, up.Hello) {
			c.accept(n, up.Hello)
		}
		return
	}
	if n.broken {
		n.w.seen["acknowledgement from an old connection"]++
	}
	n.w.note("ack %s %d", n.region.id, up.Acknowledged)
	c.settle(feed.Acked{Node: n.region.id, Index: up.Acknowledged})
}

// cut breaks a connection: each way loses what is under way, or still brings
// it, and each end hears of it when it does.
func (w *world) cut(n *conn) {
	if n == nil || n.broken {
		return
	}
	n.broken = true
	n.up.cut, n.down.cut = w.chance(500), w.chance(500)
	if n.session != nil {
		n.session.live = false
	}
	w.note("connection of %s breaks", n.region.id)
	r, life := n.region, n.region.life
	w.after(w.between(0, 50*time.Millisecond), func() {
		if r.up && r.life == life {
			r.lost(n)
		}
	})
}
