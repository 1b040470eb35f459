package simtest

import (
	"errors"
	"slices"
	"time"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/replica"
	"github.com/holdfast-iam/holdfast/internal/session"
	"github.com/holdfast-iam/holdfast/internal/view"
)

var errDisk = errors.New("the disk failed")

// region drives a follower as its process does.
type region struct {
	w       *world
	id      string
	region  string
	clock   clock
	up      bool
	life    int
	machine *replica.Follower
	disk    disk
	conn    *conn
	inbox   []*peerpb.Down // frames that wait for the disk

	blocked  time.Duration              // until then nothing passes between it and the control nodes
	shunned  map[*control]time.Duration // until then another one is followed
	shun     map[*control]time.Duration // for so long when it fails next
	slow     time.Duration              // until then its disk is slow and fails
	serving  *view.View                 // nil: down, or nothing to serve
	lineage  string                     // that it served last
	served   uint64                     // the highest index that it ever served
	floor    int64
	files    [][]byte // successors that its directory shows it
	forgot   bool     // what it served last, with its disk copy
	copyLost bool     // its disk copy, which it had
	hood     hood
	own      own
	keys     session.KeySet // on its disk
}

// disk is what a crash leaves.
type disk struct {
	snapshot   *view.View
	seed       []byte
	floor      time.Time
	log        []piece
	old        []piece // the log before the snapshot
	successors [][]byte
	unserved   bool   // its mark says that the copy was lost, and no other one served yet
	lineage    string // that a restart would find, and the index
	last       uint64
	// crash finishes the write under way as a power cut would.
	crash func()
}

// piece is one batch of the log. What stands behind a torn one is not read.
type piece struct {
	batch []byte
	torn  bool
}

// start loads the disk copy, as the process does.
func (r *region) start() {
	r.life++
	r.up, r.inbox, r.conn = true, nil, nil
	r.machine = replica.NewFollower(rootHash)
	r.floor, r.shunned, r.shun = 0, map[*control]time.Duration{}, map[*control]time.Duration{}
	v, err := r.load()
	if err != nil {
		r.w.fail("Recovered: %s cannot use its own disk copy: %v", r.id, err)
		return
	}
	r.w.note("%s starts", r.id)
	r.openDenials()
	r.meet()
	r.look()
	r.later(r.w.between(publishIn, 4*publishIn), r.grow)
	r.later(r.w.between(0, mintEach), r.mint)
	if v != nil {
		size := int64(0)
		for _, p := range r.disk.log {
			size += int64(len(p.batch))
		}
		r.perform(r.machine.Step(replica.Loaded{View: v, Seed: r.disk.seed, LogSize: size, Floor: r.disk.floor, Successors: r.disk.successors}, r.clock.wall()))
	} else if r.copyLost {
		r.disk.unserved = true
		r.perform(r.machine.Step(replica.Loaded{Lost: true, Floor: r.disk.floor, Successors: r.disk.successors}, r.clock.wall()))
	} else if r.served > 0 {
		r.w.fail("Recovered: %s has nothing to serve after a restart, and had %d", r.id, r.served)
	}
	r.step(replica.Timer{})
}

// load reads the snapshot and the whole batches behind it; a torn tail is cut
// off, with what stands behind it.
func (r *region) load() (*view.View, error) {
	d := &r.disk
	for i, p := range d.log {
		if p.torn {
			r.w.seen["torn tail cut off"]++
			d.log = d.log[:i]
			break
		}
	}
	if d.unserved {
		d.snapshot, d.log, d.lineage, d.last = nil, nil, "", 0
	}
	if d.snapshot == nil {
		return nil, nil
	}
	var batches [][]byte
	for _, p := range d.log {
		batches = append(batches, p.batch)
	}
	built := &view.View{Head: d.snapshot.Head, State: view.Build(d.seed, d.snapshot.All, 1)} // what a file brings back
	return replica.Recover(built, batches, rootHash)
}

// crash ends the process; a write under way is left as it happens to be.
func (r *region) crash() {
	r.w.note("%s crashes", r.id)
	r.up, r.serving, r.w.changed = false, nil, true
	if r.disk.crash != nil {
		r.w.seen["crash during a write"]++
		r.disk.crash()
		r.disk.crash = nil
	}
	r.w.cut(r.conn)
}

func (r *region) later(d time.Duration, do func()) {
	life := r.life
	r.w.after(r.clock.real(d), func() {
		if r.up && r.life == life {
			do()
		}
	})
}

func (r *region) step(event any) {
	beat, floor := r.machine.Beat(), r.machine.Floor()
	out := r.machine.Step(event, r.clock.wall())
	if now := r.machine.Floor(); now.After(floor) && now.After(r.clock.wall().Add(5*time.Minute)) {
		r.w.fail("Floor: %s raises its floor to %v, far ahead of its clock", r.id, now)
	}
	if e, ok := event.(replica.Received); ok && r.machine.Beat() > beat && e.Down.GetHeartbeat() != nil {
		r.hood.beat = e.Down.GetHeartbeat()
	}
	r.perform(out)
}

// receive hands a frame to the machine when the disk is idle.
func (r *region) receive(n *conn, d *peerpb.Down) {
	if !r.up || r.conn != n {
		return // this process reads from one stream
	}
	n.heard = r.w.now
	r.inbox = append(r.inbox, d)
	r.read()
	r.prefer()
}

// prefer follows the node that signed the newest head, unless it failed lately.
func (r *region) prefer() {
	n := r.conn
	if n == nil || r.serving == nil || r.serving.Head.Node == n.control.id {
		return
	}
	if c := r.source(); c.id == r.serving.Head.Node {
		r.w.seen["follower moves to the node that sequences"]++
		r.w.cut(n)
		r.lost(n)
		r.shunned[n.control] = 0
	}
}

// leave puts a source aside, for longer when it has never been good.
func (r *region) leave(c *control, good bool) {
	if good || r.shun[c] == 0 {
		r.shun[c] = time.Second
	}
	r.shunned[c] = r.w.now + r.shun[c]
	r.shun[c] = min(2*r.shun[c], 30*time.Second)
}

// plane is the control plane that this node follows: that of the newest lineage
// that it knows, or that its directory names.
func (r *region) plane() *plane {
	w := r.w
	name := w.planes[0].lineage
	switch v := r.machine.View(); {
	case r.machine.Heir() != nil:
		name = r.machine.Heir().Lineage
	case v != nil:
		name = v.Head.Lineage
	case len(r.files) > 0:
		return w.newest()
	}
	return w.planeOf(name)
}

// source is whom to follow: the node that sequences, else any that did not fail
// lately.
func (r *region) source() *control {
	w := r.w
	for _, c := range r.plane().controls {
		if r.serving != nil && c.id == r.serving.Head.Node && r.shunned[c] <= w.now {
			return c
		}
	}
	list := r.plane().controls
	first := w.rand.IntN(len(list))
	for i := range list {
		if c := list[(first+i)%len(list)]; r.shunned[c] <= w.now {
			return c
		}
	}
	return list[first]
}

// silence is how long a source may send nothing.
const silence = 1500 * time.Millisecond

// watch leaves a source that has gone silent.
func (r *region) watch(n *conn) {
	r.later(silence/4, func() {
		switch {
		case r.conn != n:
		case r.w.now-n.heard >= silence:
			r.w.seen["silent source left"]++
			r.w.cut(n)
			r.lost(n)
		default:
			r.watch(n)
		}
	})
}

func (r *region) read() {
	for !r.machine.Busy() {
		switch {
		case len(r.inbox) > 0:
			d := r.inbox[0]
			r.inbox = r.inbox[1:]
			r.step(replica.Received{Down: d})
		case len(r.hood.inbox) > 0:
			r.readShared()
		default:
			return
		}
	}
}

// lost tells the machine once that its stream is gone. Whoever it came from is
// left aside for a while.
func (r *region) lost(n *conn) {
	if r.conn == n {
		r.leave(n.control, r.w.now-n.begun > time.Second)
		r.conn, r.inbox = nil, nil
		r.step(replica.Disconnected{Err: errBroken})
	}
}

func (r *region) perform(effects []any) {
	for _, effect := range effects {
		switch e := effect.(type) {
		case replica.Dial:
			r.dial()
		case replica.Ask:
			r.send(&peerpb.Up{Hello: &peerpb.Hello{Format: record.Format, Lineage: e.Lineage, Index: e.Index, Chain: e.Chain, Successors: e.Successors}})
		case replica.Acknowledge:
			if heir := r.machine.Heir(); heir != nil {
				r.w.fail("Successor: %s acknowledges %d of a lineage that %s succeeds", r.id, e.Index, heir.Lineage)
			}
			if _, got := r.disk.end(); got < e.Index {
				r.w.fail("Durable: %s acknowledges %d with %d on its disk", r.id, e.Index, got)
			}
			r.send(&peerpb.Up{Acknowledged: e.Index})
		case replica.KeepFloor:
			r.disk.floor = e.At
		case replica.Keep:
			r.keep(e.Records)
		case replica.Offer:
			r.offer(e.From)
		case replica.Append:
			r.append(e.Batch)
		case replica.Rewrite:
			r.rewrite(e.View, e.Seed)
		case replica.Serve:
			r.serve(e.View, e.Batch)
		case replica.Refuse:
			r.w.seen["frame of a peer refused"]++
			r.caughtUp(r.hood.attempt, e.Err)
		case replica.HangUp:
			r.w.seen["stream ended by a follower"]++
			r.w.note("%s hangs up: %v", r.id, e.Err)
			n := r.conn
			r.w.cut(n)
			r.lost(n)
		case replica.Retry:
			r.later(e.Pause/2+r.w.between(0, e.Pause), func() { r.step(replica.Timer{}) })
		case replica.Alarm:
			if e.Text != "" {
				r.w.note("%s alarm: %s", r.id, e.Text)
			}
		case replica.Ahead:
			r.w.seen["commit time ahead of a node's clock"]++
		}
	}
}

func (r *region) send(up *peerpb.Up) {
	if r.conn != nil {
		r.conn.up.send(up)
	}
}

func (r *region) dial() {
	w := r.w
	c := r.source()
	r.later(w.latency(), func() {
		if !c.up || r.blocked > w.now {
			r.leave(c, false)
			r.later(w.between(0, 300*time.Millisecond), func() { r.step(replica.Disconnected{Err: errBroken}) })
			return
		}
		r.conn = w.connect(r, c)
		r.watch(r.conn)
		w.note("%s connects", r.id)
		r.step(replica.Connected{})
	})
}

// write lets a write take its time, and then succeed, fail, or be cut short by
// a crash: how says what is left, 0 nothing, 1 a part, 2 all.
func (r *region) write(leave func(how int)) {
	w := r.w
	d, failure := w.between(100*time.Microsecond, 5*time.Millisecond), 4
	switch {
	case w.quiets():
		failure = 0
	case r.slow > w.now:
		d, failure = w.between(time.Millisecond, 900*time.Millisecond), 250
	}
	r.disk.crash = func() { leave(w.rand.IntN(3)) }
	r.later(d, func() {
		r.disk.crash = nil
		var err error
		if w.chance(failure) {
			w.seen["failed write"]++
			err = errDisk
			leave(w.rand.IntN(3))
		} else if !failpoint.On(failpoint.NotDurable) {
			leave(2)
		}
		w.note("%s has written: %v", r.id, err)
		r.step(replica.Written{Err: err})
		r.read()
	})
}

func (r *region) append(batch []byte) {
	r.write(func(how int) {
		if how > 0 {
			r.disk.log = append(r.disk.log, piece{batch, how == 1})
			r.disk.note()
			r.w.changed = true
		}
	})
}

func (r *region) rewrite(v *view.View, seed []byte) {
	r.w.seen["rewrite"]++
	r.write(func(how int) {
		if how > 0 {
			r.disk.snapshot, r.disk.seed = v, seed
		}
		if how > 1 {
			if len(r.disk.log) > 0 {
				r.disk.old = r.disk.log
			}
			r.disk.log = nil
		}
		r.disk.note()
		r.w.changed = true
	})
}

// end is the lineage and index that a restart would find.
func (d *disk) end() (lineage string, index uint64) { return d.lineage, d.last }

// note finds out what a restart would find.
func (d *disk) note() {
	d.lineage, d.last = "", 0
	if d.snapshot == nil {
		return
	}
	d.lineage, d.last = d.snapshot.Head.Lineage, d.snapshot.Head.Index
	for i := len(d.log) - 1; i >= 0; i-- { // the last whole one before the first torn one
		if slices.ContainsFunc(d.log[:i+1], func(p piece) bool { return p.torn }) {
			continue
		}
		if lineage, last := lastIndex(d.log[i].batch); lineage == d.lineage {
			d.last = max(d.last, last)
		}
		break
	}
}

// serve publishes a view, which has to be of the log, on the disk, and not
// older than any before.
func (r *region) serve(v *view.View, batch []byte) {
	w, at := r.w, v.Head.Index
	w.note("%s serves %d %x", r.id, at, v.Head.State[:4])
	if p := w.planeOf(v.Head.Lineage); p == nil || !p.history.holds(&v.Head) || v.Digest() != v.Head.State {
		w.fail("Prefix: %s serves %d, which is not what the log comes to", r.id, at)
	}
	switch old := r.lineage; {
	case old == v.Head.Lineage && at < r.served:
		w.fail("Monotonic: %s serves %d and has served %d", r.id, at, r.served)
	case old != "" && old != v.Head.Lineage:
		if !r.forgot { // else it cannot know what it refused
			r.goesOver(v)
		}
		r.served = 0
	}
	r.lineage, r.forgot = v.Head.Lineage, false
	if _, got := r.disk.end(); got < at {
		w.fail("Durable: %s serves %d with %d on its disk", r.id, at, got)
	}
	r.serving, r.served, r.copyLost, r.disk.unserved = v, max(r.served, at), false, false
	w.changed = true
	r.shares(v, batch)
	r.checkDenials()
}
