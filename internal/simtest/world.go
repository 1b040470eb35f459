// Package simtest drives the real machines of the store, the feed and the
// replica in one process, from one seeded queue: three control-plane nodes and
// two Regions, of three nodes and of one, over a store, disks, connections and clocks that
// fail as real ones do.
//
// Invariant: a run is a function of its seed. Nothing here reads a clock,
// starts a goroutine or ranges over a map where the order matters, so a
// failing seed replays exactly.
package simtest

import (
	"container/heap"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Lengths of a run in true time: trouble first, then time to recover.
const (
	troubled = 12 * time.Second
	quiet    = 12 * time.Second
)

// Result is what became of a run.
type Result struct {
	Seed  uint64
	Hash  string // over everything that happened
	Steps int
	Err   error // the first invariant that did not hold
	// Seen counts what happened, by name: faults, and what they led to.
	Seen map[string]int
}

// Run runs one seed. Each step is written to trace, unless it is nil.
func Run(seed uint64, trace io.Writer) Result {
	w := &world{rand: rand.New(rand.NewPCG(seed, 0x686f6c6466617374)), sum: sha256.New(), trace: trace, seen: map[string]int{}}
	w.build()
	for w.err == nil && len(w.queue) > 0 && w.now <= troubled+quiet {
		next := heap.Pop(&w.queue).(*item)
		w.now = next.at
		w.steps++
		next.do()
		w.check()
	}
	if w.err == nil {
		w.settled()
	}
	return Result{Seed: seed, Hash: fmt.Sprintf("%x", w.sum.Sum(nil)[:8]), Steps: w.steps, Err: w.err, Seen: w.seen}
}

// world is everything there is.
type world struct {
	rand  *rand.Rand
	now   time.Duration // true time since the beginning
	queue schedule
	made  int // items
	steps int
	sum   hash.Hash
	trace io.Writer
	seen  map[string]int
	err   error

	kv       *faulty
	controls []*control
	regions  []*region
	clients  []*client
	history  history
	lying    bool       // the control nodes' streams are tampered with
	old      *view.View // that a lie may send
}

// item is something that happens at a time; seq orders what is at one time.
type item struct {
	at  time.Duration
	seq int
	do  func()
}

type schedule []*item

func (s schedule) Len() int { return len(s) }
func (s schedule) Less(i, j int) bool {
	return s[i].at < s[j].at || s[i].at == s[j].at && s[i].seq < s[j].seq
}
func (s schedule) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(x any)   { *s = append(*s, x.(*item)) }
func (s *schedule) Pop() any {
	old := *s
	last := old[len(old)-1]
	*s = old[:len(old)-1]
	return last
}

// anyControl draws one of the control plane's nodes.
func (w *world) anyControl() *control { return w.controls[w.rand.IntN(len(w.controls))] }

// after has something happen after a span of true time.
func (w *world) after(d time.Duration, do func()) {
	w.made++
	heap.Push(&w.queue, &item{w.now + max(d, 0), w.made, do})
}

// between draws a span.
func (w *world) between(low, high time.Duration) time.Duration {
	return low + time.Duration(w.rand.Int64N(int64(high-low)+1))
}

// chance is true n times of 1000.
func (w *world) chance(n int) bool { return w.rand.IntN(1000) < n }

// note puts a line into the trace and its hash.
func (w *world) note(format string, args ...any) {
	line := fmt.Sprintf("%6d %12v ", w.steps, w.now) + fmt.Sprintf(format, args...) + "\n"
	w.sum.Write([]byte(line))
	if w.trace != nil {
		io.WriteString(w.trace, line)
	}
}

// fail keeps the first broken invariant.
func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("step %d at %v: %s", w.steps, w.now, fmt.Sprintf(format, args...))
		w.note("BROKEN %v", w.err)
	}
}

// epoch is when the world begins; every clock is off it by its own error.
var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// clock is one node's: it drifts, and its wall time jumps.
type clock struct {
	w      *world
	ppm    int64         // drift
	offset time.Duration // of the wall time
}

// boot runs evenly, apart from drift: timers go by it.
func (c *clock) boot() time.Time {
	return epoch.Add(c.w.now + time.Duration(int64(c.w.now)/1_000_000*c.ppm))
}

// wall is what the node believes the time is.
func (c *clock) wall() time.Time { return c.boot().Add(c.offset) }

// real is how long a span of the node's clock takes.
func (c *clock) real(d time.Duration) time.Duration {
	return d * 1_000_000 / time.Duration(1_000_000+c.ppm)
}

// newClock is up to 2000 ppm and two seconds off.
func (w *world) newClock() clock {
	return clock{w: w, ppm: w.rand.Int64N(4001) - 2000, offset: w.between(0, 4*time.Second) - 2*time.Second}
}

// The keys of every world: seeds choose events, not keys.
var (
	rootKey = ed25519.NewKeyFromSeed([]byte("simulated root key: 32 bytes....")[:32])
)

// regionNames are the Regions' nodes: the first few are one Region's zones, the
// last is a Region of its own.
var regionNames = []string{"r0", "r1", "r2", "s0"}

const zones = 3

// controlNames are the control plane's nodes.
var controlNames = []string{"ctl-a", "ctl-b", "ctl-c"}

func headKey(node string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("simulated head key of " + node))
	return ed25519.NewKeyFromSeed(seed[:])
}

func publicOf(k ed25519.PrivateKey) []byte { return k.Public().(ed25519.PublicKey) }

func rootHash() string { return fmt.Sprintf("%x", sha256.Sum256(publicOf(rootKey))) }

// hashSeed keys the tries' hash in every world.
var hashSeed = []byte("0123456789abcdef")

// genesis returns the first records.
func genesis() (*record.Genesis, []record.Change, error) {
	g := &record.Genesis{Cluster: "c", Lineage: "l", Mode: "development", Root: publicOf(rootKey), HashSeed: hashSeed}
	g.Sign(rootKey)
	p := view.Empty(hashSeed).Begin()
	if err := record.Put(p, record.Geneses, g); err != nil {
		return nil, nil, err
	}
	var nodes []*record.Node
	for _, name := range regionNames {
		nodes = append(nodes, &record.Node{ID: name, Role: record.RegionNode})
	}
	for _, name := range controlNames {
		nodes = append(nodes, &record.Node{ID: name, Role: record.ControlNode, TLS: []byte(name), Head: publicOf(headKey(name))})
	}
	for i, n := range nodes {
		n.Invite, n.Format = []byte{byte(i)}, record.Format
		if err := record.Put(p, record.Nodes, n); err != nil {
			return nil, nil, err
		}
	}
	return g, p.Changes(), nil
}

// build makes the nodes and clients of a world and starts them.
func (w *world) build() {
	w.kv = &faulty{w: w}
	for _, name := range controlNames {
		w.controls = append(w.controls, &control{w: w, id: name, clock: w.newClock(), cut: map[*control]time.Duration{}})
	}
	if err := w.controls[0].genesis(); err != nil {
		w.fail("genesis: %v", err)
		return
	}
	for _, c := range w.controls {
		c.start()
	}
	w.old = w.controls[0].machine.View()
	for _, id := range regionNames {
		w.regions = append(w.regions, &region{w: w, id: id, clock: w.newClock(), hood: hood{apart: map[*region]time.Duration{}}})
	}
	for _, r := range w.regions[:zones] {
		for _, p := range w.regions[:zones] {
			if p != r {
				r.hood.near = append(r.hood.near, p)
			}
		}
	}
	for i, r := range w.regions {
		if i == 0 || w.chance(900) {
			r.start()
		} else { // a new node comes later
			w.after(w.between(time.Second, 8*time.Second), r.start)
		}
	}
	for i := range 3 {
		c := &client{w: w, id: fmt.Sprintf("c%d", i)}
		w.clients = append(w.clients, c)
		w.after(w.between(0, time.Second), c.next)
	}
	w.plan()
}
