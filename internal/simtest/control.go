package simtest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"time"

	"github.com/holdfast-iam/holdfast/internal/clocks"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/feed"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/store"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Times of a control node's driver.
const (
	tickEach      = 20 * time.Millisecond
	heartbeatEach = 500 * time.Millisecond
	ringLength    = 6                      // short, so that followers fall out of it
	patience      = 300 * time.Millisecond // with the node that sequences
	readBound     = 600 * time.Millisecond // of a read of the head
)

// control drives the sequencer and the in-sync set as their process does.
type control struct {
	w     *world
	plane *plane
	id    string
	key   ed25519.PrivateKey
	clock clock
	bound *clocks.Bound
	up    bool
	life  int // counts starts: what an earlier life began is not for this one

	frozen time.Duration              // until then the process is stopped
	thawed time.Duration              // when it went on last
	away   time.Duration              // until then the store answers it rarely
	cut    map[*control]time.Duration // until then nothing passes to or from another

	machine   *store.Sequencer
	ring      *feed.Ring
	set       *feed.InSync
	sessions  []*feeding
	calls     map[*store.Call]*attempt
	waits     map[uint64]*wait
	order     []uint64 // keys of waits, in order
	asked     uint64
	busy      bool // a commit or a read of the log is under way
	grouping  bool
	sequenced bool            // it made the newest commit that it knows of
	answered  uint64          // highest index that it has answered since it took over
	members   map[string]bool // the in-sync set after the last step
	ticking   bool
	stepped   bool // the in-sync set, in this step
	beatText  []byte
	beatHead  record.Head
	beatAt    time.Duration
}

// wait is a committed call whose answer waits for the in-sync set.
type wait struct {
	attempt *attempt
	index   uint64
	since   time.Time
	began   time.Duration // since in true time
}

func (c *control) sign(h *record.Head) { h.Sign(c.key) }

// start loads what the store holds, as the process does.
func (c *control) start() {
	if c.plane.down || c.plane.ended || c.up {
		return
	}
	verify := func(h *record.Head, s *view.State) error { return record.VerifyState(s, h, s.Digest(), rootHash) }
	machine, err := store.Load(context.Background(), c.plane.kv, c.id, c.sign, verify, func(uint64, int64, int) {})
	if err != nil || machine == nil {
		c.w.fail("%s does not start: %v", c.id, err)
		return
	}
	if record.Retired(machine.View()) != nil {
		c.plane.ended = true
		return
	}
	if f := c.plane.fork; f != nil {
		for _, x := range f.calls {
			machine.Remember(x.ID, x.Index, x.At)
		}
	}
	c.life++
	c.up, c.machine, c.busy, c.grouping, c.answered = true, machine, false, false, 0
	c.sequenced, c.frozen = machine.Sequences(), 0
	c.calls, c.waits, c.order, c.sessions = map[*store.Call]*attempt{}, map[uint64]*wait{}, nil, nil
	c.ring = feed.NewRing(machine.View(), ringLength)
	c.set = feed.NewInSync(feed.Followers(machine.View()), machine.View().Head.Index, c.clock.boot())
	c.bound, c.beatText = clocks.NewBound(c.clock.reading()), nil
	c.noteMembers()
	c.w.note("%s starts at %d", c.id, machine.View().Head.Index)
	c.ticking = false
	c.slowly()
	c.probe()
	c.compare()
	c.heed()
	c.mark()
}

func (c *control) noteMembers() {
	c.members = map[string]bool{}
	for _, m := range c.set.Members() {
		c.members[m] = true
	}
}

// later has something happen on this life's clock, unless the life ends; while
// the process is stopped nothing happens, and then at once.
func (c *control) later(d time.Duration, do func()) {
	life := c.life
	c.w.after(c.clock.real(d), func() { c.whenAwake(life, do) })
}

func (c *control) whenAwake(life int, do func()) {
	switch {
	case !c.up || c.life != life:
	case c.frozen > c.w.now:
		c.w.after(c.frozen-c.w.now, func() { c.whenAwake(life, do) })
	default:
		do()
	}
}

// deliver has something arrive over the network.
func (c *control) deliver(do func(*control)) {
	c.w.after(c.w.latency(), func() { c.whenAwake(c.life, func() { do(c) }) })
}

// freeze stops the process as SIGSTOP does.
func (c *control) freeze(d time.Duration) {
	c.w.note("%s is frozen for %v", c.id, d)
	c.frozen, c.thawed = c.w.now+d, c.w.now+d
}

// crash ends the process: memory is gone.
func (c *control) crash() {
	c.w.note("%s crashes", c.id)
	c.up = false
	for _, r := range c.w.regions {
		if r.conn != nil && r.conn.control == c {
			c.w.cut(r.conn)
		}
	}
}

// tick lets time pass for the in-sync set while a call waits for it.
func (c *control) tick() {
	c.settle(feed.Tick{})
	if c.ticking = len(c.waits) > 0; c.ticking {
		c.later(min(c.set.Next(c.clock.boot()), tickEach), c.tick)
	}
}

// slowly lets time pass while nobody waits.
func (c *control) slowly() {
	c.settle(feed.Tick{})
	c.later(feed.Lease/8, c.slowly)
}

// perform does what the sequencer asks for, and then has it go on.
func (c *control) perform(effects []any) {
	for _, effect := range effects {
		switch e := effect.(type) {
		case store.Commit:
			c.commit(e.Txn)
		case store.CatchUp:
			c.catchUp(e.From)
		case store.Publish:
			c.publish(e)
		case store.Answer:
			c.answer(e)
		case store.Stop:
			if errors.Is(e.Err, store.ErrSucceeded) {
				c.retired()
				return
			}
			c.w.fail("Broken: %s: %v", c.id, e.Err)
		}
	}
	if !c.busy && !c.grouping && !c.machine.Idle() {
		c.grouping = true
		c.later(c.w.between(0, 2*time.Millisecond), c.group)
	}
}

// group asks for the next commit, if the node's clock is believed.
func (c *control) group() {
	if err := c.believed(); err != nil {
		c.perform(c.machine.Step(store.Doubted{Err: errors.Join(store.ErrUnavailable, err)}, c.clock.wall()))
		c.perform(c.machine.Step(store.Woken{}, c.clock.wall()))
		c.later(tickEach, c.group)
		return
	}
	c.grouping = false
	c.perform(c.machine.Step(store.Group{}, c.clock.wall()))
}

func (c *control) commit(t *store.Txn) {
	c.busy = true
	life := c.life
	c.plane.kv.commit(c, t, func(ok bool, err error) {
		c.whenAwake(life, func() {
			c.w.note("%s commits %d: %v %v", c.id, t.Index, ok, err)
			if err == nil && !ok && c.plane.history.newest().Node != c.id && c.machine.Sequences() {
				c.w.seen["commit of a node that had lost its place"]++
			}
			c.busy = false
			c.perform(c.machine.Step(store.Committed{OK: ok, Err: err}, c.clock.wall()))
		})
	})
}

func (c *control) catchUp(from uint64) {
	c.busy = true
	c.w.seen["log read after a refusal"]++
	c.later(c.w.between(time.Millisecond, 60*time.Millisecond), func() {
		var e store.Caught
		if c.plane.kv.troubled(c) && c.w.chance(700) {
			e.Err = errLost
		} else {
			e.Values = c.plane.kv.after(from)
		}
		c.w.note("%s reads the log from %d: %d values, %v", c.id, from, len(e.Values), e.Err)
		c.busy = false
		c.perform(c.machine.Step(e, c.clock.wall()))
	})
}

func (c *control) publish(e store.Publish) {
	if !c.plane.history.holds(&e.Value.Head) {
		c.w.fail("Confirmed: index %d is published and is not in the log", e.Value.Head.Index)
	}
	own := e.Value.Head.Node == c.id
	if own && !c.sequenced {
		c.settle(feed.TakenOver{Index: c.ring.View().Head.Index})
		c.answered = 0
		c.noteMembers()
	}
	c.sequenced = own
	c.ring.Publish(e.Value, e.View)
	c.settle(feed.Enrolled{Nodes: feed.Followers(e.View)})
	c.settle(feed.Published{Index: e.Value.Head.Index})
	for _, s := range c.sessions {
		s.pump()
	}
}

// answer has a committed call wait for the in-sync set; others are answered.
func (c *control) answer(e store.Answer) {
	a := c.calls[e.Call]
	delete(c.calls, e.Call)
	if e.Outcome.Err != nil {
		if !errors.Is(e.Outcome.Err, store.ErrUnavailable) { // else it may happen yet
			a.op.open--
		}
		if errors.Is(e.Outcome.Err, store.ErrMoved) {
			c.moved(a)
			return
		}
		if v := e.Outcome.View; v != nil && v.Head.Index < a.arrived {
			c.w.fail("Fresh: %s is refused at %d, and %d was committed when it arrived", a.op.name, v.Head.Index, a.arrived)
		}
		a.answer(e.Outcome.Err, 0, nil)
		return
	}
	if a.committed {
		a.answer(nil, e.Outcome.Index, nil)
		return
	}
	if f := c.plane.fork; f != nil && e.Outcome.Replayed && e.Outcome.Index <= f.view.Head.Index {
		c.w.seen["call of before a fork: done, its answer is lost"]++
		a.answer(nil, e.Outcome.Index, nil)
		return
	}
	if e.Outcome.Replayed {
		c.w.seen["repeated call answered from the log"]++
		if !c.machine.Sequences() { // the in-sync set is not here
			c.w.fail("InSync: %s answers %s again, which another node may have in doubt", c.id, a.op.name)
		}
	}
	if failpoint.On(failpoint.NoWait) {
		c.w.acknowledged(c, &wait{a, e.Outcome.Index, c.clock.boot(), c.w.now}, nil)
		a.answer(nil, e.Outcome.Index, nil)
		return
	}
	c.asked++
	c.waits[c.asked] = &wait{a, e.Outcome.Index, c.clock.boot(), c.w.now}
	c.order = append(c.order, c.asked)
	c.settle(feed.Asked{ID: c.asked, Index: e.Outcome.Index})
	if !c.ticking && len(c.waits) > 0 {
		c.tick()
	}
}

// settle hands an event to the in-sync set and answers what it releases.
func (c *control) settle(event any) {
	c.stepped, c.w.changed = true, true
	for _, x := range c.set.Step(event, c.clock.boot()) {
		t := c.waits[x.ID]
		if t == nil {
			c.w.fail("InSync: wait %d is answered twice", x.ID)
			return
		}
		delete(c.waits, x.ID)
		for len(c.order) > 0 && c.waits[c.order[0]] == nil {
			c.order = c.order[1:]
		}
		c.answered = max(c.answered, t.index)
		c.w.acknowledged(c, t, x.Missing)
		t.attempt.answer(nil, t.index, x.Missing)
	}
}

// feeding serves one follower, as the hub does for a stream.
type feeding struct {
	c     *control
	conn  *conn
	at    uint64
	live  bool // greeted
	ready bool
	full  bool // nothing more fits into the stream for now
}

// accept takes the first frame of a stream.
func (c *control) accept(n *conn, hello *peerpb.Hello) {
	if v := c.machine.View(); hello.Lineage == v.Head.Lineage && hello.Index > v.Head.Index {
		c.w.seen["follower ahead of its source"]++
		c.woken()
		c.w.cut(n)
		return
	}
	s := &feeding{c: c, conn: n}
	c.sessions = append(c.sessions, s)
	n.session = s
	v := c.ring.View()
	s.at, s.live = hello.Index, true
	if !c.ring.Resumes(hello) {
		c.w.seen["snapshot"]++
		s.at = v.Head.Index
		if err := feed.Snapshot(v, s.send); err != nil {
			c.w.fail("snapshot: %v", err)
		}
	}
	s.beat()
	s.pump()
	c.later(heartbeatEach, s.beatOn)
}

func (s *feeding) send(d *peerpb.Down) error {
	for _, frame := range s.c.w.lie(d) {
		s.conn.down.send(frame)
	}
	return nil
}

// pump sends what was published since.
func (s *feeding) pump() {
	if !s.live || s.full {
		return
	}
	if wait := s.conn.region.blocked - s.c.w.now; wait > 0 && s.c.w.chance(500) {
		s.full = true
		s.c.later(wait, func() {
			s.full = false
			s.pump()
		})
		return
	}
	list, ok := s.c.ring.After(s.at)
	if !ok {
		s.c.w.seen["follower too far behind"]++
		s.c.w.cut(s.conn)
		return
	}
	for _, b := range list {
		_ = s.send(&peerpb.Down{Frame: &peerpb.Down_Batch{Batch: b.Bytes}})
		s.at = b.Last
	}
	if !s.ready {
		s.ready = true
		s.conn.down.send(&peerpb.Down{Frame: &peerpb.Down_Ready{Ready: &peerpb.Ready{}}})
	}
}

func (s *feeding) beatOn() {
	if s.live {
		s.beat()
		s.c.later(heartbeatEach, s.beatOn)
	}
}

// beat sends the head, when a read of the store finds it as it is here.
func (s *feeding) beat() {
	c := s.c
	h := c.machine.View().Head
	switch {
	case c.plane.kv.troubled(c):
		s.conn.down.send(&peerpb.Down{Frame: &peerpb.Down_Ready{Ready: &peerpb.Ready{}}}) // somebody is there
		return
	case !c.plane.kv.current(&h):
		c.woken()
		return
	}
	_ = s.send(&peerpb.Down{Frame: &peerpb.Down_Heartbeat{Heartbeat: c.heartbeat(&h)}})
}

// heartbeat signs that the log's end is h. What was signed a moment ago about
// the same is true still.
func (c *control) heartbeat(h *record.Head) []byte {
	if c.beatText == nil || c.beatHead.Index != h.Index || c.w.now-c.beatAt > heartbeatEach/2 {
		b, err := record.Marshal(record.NewBeat(h, c.id, c.clock.wall(), c.key))
		if err != nil {
			c.w.fail("heartbeat: %v", err)
		}
		c.beatText, c.beatHead, c.beatAt = b, *h, c.w.now
	}
	return c.beatText
}
