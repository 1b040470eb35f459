package simtest

import (
	"time"

	"github.com/holdfast-iam/holdfast/internal/feed"
	"github.com/holdfast-iam/holdfast/internal/overlay"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/replica"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Times of a Region's gossip, as its process has them.
const (
	gossipEach  = 150 * time.Millisecond
	peerSilence = time.Second
)

// hood is what a node has of its Region's others.
type hood struct {
	near    []*region
	machine *replica.Neighbours
	ring    *feed.Ring                // what it serves them
	beat    []byte                    // the newest heartbeat that it heard
	apart   map[*region]time.Duration // until then nothing passes between the two
	from    *region                   // whom it catches up from
	attempt int
	heard   time.Duration  // when a frame came last
	inbox   []*peerpb.Down // frames of it that wait for the disk
}

// meet begins with nothing: a process has started.
func (r *region) meet() {
	h := &r.hood
	h.machine, h.ring, h.beat, h.from, h.inbox = replica.NewNeighbours(), nil, nil, nil, nil
	h.attempt++
	if len(h.near) > 0 {
		r.later(r.w.between(0, gossipEach), r.gossip)
		r.later(time.Second, r.bootstrap)
	}
}

func (r *region) cutFrom(p *region) bool { return r.hood.apart[p] > r.w.now }

// gossip tells the others how this node stands.
func (r *region) gossip() {
	r.tell()
	r.think(replica.Pulse{})
	r.later(gossipEach, r.gossip)
}

func (r *region) tell() {
	w, v := r.w, r.serving
	if v == nil {
		return
	}
	ready, _ := r.hood.machine.Ready(r.clock.boot())
	if !ready {
		w.seen["node that leaves requests to its peers"]++
	}
	for _, p := range r.hood.near {
		s := replica.Standing{Node: r.id, Zone: r.id, Lineage: v.Head.Lineage, Index: v.Head.Index, Ready: ready, Leased: r.machine.Linked()}
		at, sent, digest := r.clock.wall(), w.now, overlay.Digest(r.own.here)
		w.after(w.latency(), func() {
			if p.up && p.serving != nil && !r.cutFrom(p) {
				s.Clock = at.Add(w.now - sent).Sub(p.clock.wall())
				p.think(replica.Heard{Standing: s})
				p.heardDenials(r, digest)
			}
		})
	}
}

// think hands an event to the machine that decides, after how this node stands
// now.
func (r *region) think(event any) {
	v := r.serving
	if v == nil {
		return
	}
	own := replica.Own{Lineage: v.Head.Lineage, Index: v.Head.Index, Leased: r.machine.Linked(), Floor: r.machine.Floor()}
	for _, e := range []any{own, event} {
		for _, from := range r.hood.machine.Step(e, r.clock.boot()) {
			for _, p := range r.hood.near {
				if p.id == from.Node {
					r.catchUp(p)
				}
			}
		}
	}
}

// bootstrap has a peer give a first state while the control plane gives none.
func (r *region) bootstrap() {
	if r.serving != nil || r.machine.Lost() {
		return
	}
	if r.conn == nil && r.hood.from == nil {
		r.w.seen["first state asked of a peer"]++
		r.catchUp(r.hood.near[r.w.rand.IntN(len(r.hood.near))])
	}
	r.later(r.w.between(500*time.Millisecond, 1500*time.Millisecond), r.bootstrap)
}

// catchUp opens a stream to a peer.
func (r *region) catchUp(p *region) {
	w, h := r.w, &r.hood
	h.from, h.inbox, h.heard = p, nil, w.now
	h.attempt++
	n, hello := h.attempt, &peerpb.Hello{Format: record.Format}
	if v := r.serving; v != nil {
		hello.Lineage, hello.Index, hello.Chain = v.Head.Lineage, v.Head.Index, v.Head.Chain[:]
	}
	r.step(replica.Sharing{})
	w.note("%s catches up from %s", r.id, p.id)
	w.after(w.latency(), func() {
		if r.cutFrom(p) {
			return // nobody says so
		}
		if !p.up || p.hood.ring == nil || !p.share(r, n, hello) {
			r.later(w.between(0, 300*time.Millisecond), func() { r.caughtUp(n, errBroken) })
		}
	})
	r.waitFor(n)
}

// waitFor gives a peer up that has gone silent.
func (r *region) waitFor(n int) {
	r.later(peerSilence/4, func() {
		switch {
		case r.hood.attempt != n || r.hood.from == nil:
		case r.w.now-r.hood.heard >= peerSilence && len(r.hood.inbox) == 0 && !r.machine.Busy():
			r.w.seen["silent peer left"]++
			r.caughtUp(n, errBroken)
		default:
			r.waitFor(n)
		}
	})
}

// share sends a peer what this node has beyond a hello, as feed.Share does for
// a stream; false: it has nothing for it.
func (p *region) share(r *region, n int, hello *peerpb.Hello) bool {
	w, ring := p.w, p.hood.ring
	if v := ring.View(); hello.Lineage == v.Head.Lineage && hello.Index > v.Head.Index {
		return false
	}
	at := w.now
	send := func(d *peerpb.Down) error {
		for _, frame := range w.lie(d) {
			at = max(at, w.now+w.latency())
			w.after(at-w.now, func() {
				if r.up && r.hood.attempt == n && !r.cutFrom(p) {
					r.hood.inbox, r.hood.heard = append(r.hood.inbox, frame), w.now
					r.read()
				}
			})
		}
		return nil
	}
	var err error
	if ring.Resumes(hello) {
		list, _ := ring.After(hello.Index)
		for _, c := range list {
			err = send(&peerpb.Down{Frame: &peerpb.Down_Batch{Batch: c.Bytes}})
		}
	} else {
		w.seen["snapshot from a peer"]++
		err = feed.Snapshot(ring.View(), send)
	}
	if err == nil && p.hood.beat != nil {
		err = send(&peerpb.Down{Frame: &peerpb.Down_Heartbeat{Heartbeat: p.hood.beat}})
	}
	if err == nil {
		err = send(&peerpb.Down{Frame: &peerpb.Down_Ready{Ready: &peerpb.Ready{}}})
	}
	if err != nil {
		w.fail("share: %v", err)
	}
	return true
}

// readShared hands a peer's next frame to the machine.
func (r *region) readShared() {
	d := r.hood.inbox[0]
	r.hood.inbox = r.hood.inbox[1:]
	if _, all := d.Frame.(*peerpb.Down_Ready); all {
		r.caughtUp(r.hood.attempt, nil)
		return
	}
	r.step(replica.Shared{Down: d})
}

// caughtUp ends an attempt to catch up.
func (r *region) caughtUp(n int, err error) {
	if r.hood.attempt != n || r.hood.from == nil {
		return
	}
	if err == nil {
		r.w.seen["caught up from a peer"]++
		if r.blocked > r.w.now {
			r.w.seen["caught up from a peer while cut off"]++
		}
	}
	r.hood.from, r.hood.inbox = nil, nil
	r.hood.attempt++
	r.think(replica.CaughtUp{Err: err})
}

// shares keeps what is served for the peers, and tells them at once.
func (r *region) shares(v *view.View, batch []byte) {
	h := &r.hood
	if batch == nil || h.ring == nil {
		h.ring, h.beat = feed.NewRing(v, simRing), nil
	} else {
		h.ring.Add(feed.Commit{First: h.ring.View().Head.Index + 1, Last: v.Head.Index, Bytes: batch}, v)
	}
	r.tell()
}

// simRing is small, so that snapshots are needed.
const simRing = 8
