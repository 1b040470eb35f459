// Package simtest drives the real machines of the store, the feed, the replica, a
// Region's own denials, lineages and the control plane's clocks in one process,
// from one seeded queue: up to three control-plane nodes and three Regions of three
// nodes, over a store, disks, connections and clocks that fail as real ones do.
//
// Invariant: a run is a function of its seed. Nothing here reads a clock,
// starts a goroutine or ranges over a map where the order matters, so a
// failing seed replays exactly.
package simtest

import (
	"container/heap"
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
	// converged is how long after the end of trouble everybody has what was
	// committed by then.
	converged = 10 * time.Second
	// follows is how long after a commit, in quiet, everybody has it. A run
	// goes on as long after its last commit, and no longer than until outer.
	follows = time.Second
	outer   = 20 * time.Second
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
	w := &world{rand: rand.New(rand.NewPCG(seed, 0x686f6c6466617374)), sum: sha256.New(), trace: trace, seen: map[string]int{}, calls: map[string]*operation{}, peace: troubled}
	w.draw()
	w.build()
	for w.err == nil && len(w.queue) > 0 && w.now <= w.end() {
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
	line  []byte // being written

	shape    shape
	planes   []*plane // one of each lineage, the newest last
	regions  []*region
	clients  []*client
	lying    bool           // the control nodes' streams are tampered with
	old      *view.View     // that a lie may send
	withKeys bool           // nodes make and publish signing keys
	promotes bool           // an operator goes on with a new control plane
	lineages int            // as long as there are fewer
	unread   int            // of 1000 replicas that cannot be read for it
	wrong    int            // whose clock may be wrong, of the control nodes
	entries  int            // of Regions' own lists, made so far
	rooted   record.Descent // successors that the root has signed
	calls    map[string]*operation
	denied   []*denied     // what Regions have acknowledged as denied
	peace    time.Duration // when trouble ends
	skipped  time.Duration // of now, in which nothing happened
	changed  bool          // a disk, a set or an answer, in this step
}

// quiets says whether trouble has ended.
func (w *world) quiets() bool { return w.now >= w.peace }

// end is when the run is judged: nobody has yet what was committed just now.
func (w *world) end() time.Duration {
	return w.peace + min(max(quiet, w.newest().history.written+follows-w.peace), outer)
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
	w.line = fmt.Appendf(w.line[:0], "%d %d ", w.steps, w.now)
	w.line = append(fmt.Appendf(w.line, format, args...), '\n')
	w.sum.Write(w.line)
	if w.trace != nil {
		fmt.Fprintf(w.trace, "%6d %12v %s\n", w.steps, w.now, fmt.Sprintf(format, args...))
	}
}

// fail keeps the first broken invariant.
func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("step %d at %v: %s", w.steps, w.now, fmt.Sprintf(format, args...))
		w.note("BROKEN %v", w.err)
	}
}
