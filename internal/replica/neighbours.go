package replica

import (
	"fmt"
	"slices"
	"time"
)

// Times of the Neighbours.
const (
	// heardFor is how long a peer counts after its last word: five of them.
	heardFor = time.Second
	// behindFor is how long a node may be behind the best peer and be ready.
	behindFor = time.Second
	// grace is how long the control plane's own stream may take to bring what a
	// peer has already.
	grace = 50 * time.Millisecond
	// firstAside is how long a peer is left aside whose word did not hold.
	firstAside = 500 * time.Millisecond
	maxAside   = 30 * time.Second
	// clockOff is how far a clock may be from the Region's median.
	clockOff = 60 * time.Second
	// behindFloor is how far a clock may be below the floor: by as much as the
	// control plane's clocks may be apart, every node is after a commit.
	behindFloor = time.Second
	maxMarks    = 64
	// maxWanted is how far ahead an index may be to be worth hurrying for: anybody
	// can demand one that never comes.
	maxWanted = 1 << 16
)

// Standing is how a node of the Region stands, as it says itself.
type Standing struct {
	Node, Zone string
	Lineage    string
	Index      uint64
	Ready      bool
	Leased     bool          // it follows the control plane, which it heard lately
	Clock      time.Duration // its clock, less ours when the word came
	Load       float64       // of its work, as a part of what it can do
}

// Events of the Neighbours.
type (
	// Heard is a peer's word.
	Heard struct{ Standing }
	// Gone says that a peer cannot be reached.
	Gone struct{ Node string }
	// Own is how this node stands itself.
	Own struct {
		Lineage string
		Index   uint64
		Leased  bool
		Floor   time.Time
	}
	// Wanted says that somebody waits for an index.
	Wanted struct{ Index uint64 }
	// CaughtUp is the outcome of the catching up under way.
	CaughtUp struct{ Err error }
	// Pulse lets time pass.
	Pulse struct{}
)

// CatchUpFrom asks to catch up from a peer.
type CatchUpFrom struct{ Node string }

// Neighbours is the machine that decides, from what the nodes of a Region say,
// from whom to catch up and whether this node is ready. The nodes converge on
// the highest index, and the last ready one always serves.
type Neighbours struct {
	peers  map[string]*neighbour
	own    Own
	marks  []mark // what peers have and this node has not, oldest first
	wanted uint64
	from   string // who is caught up from; "": nobody
	goal   uint64 // and what it said that it has
}

type neighbour struct {
	Standing
	heard time.Time
	aside time.Duration // how long it is left aside when its word does not hold next
	until time.Time
}

// mark says since when an index is known that this node does not have.
type mark struct {
	index uint64
	since time.Time
}

// NewNeighbours returns a machine that has heard of nobody.
func NewNeighbours() *Neighbours { return &Neighbours{peers: map[string]*neighbour{}} }

// Step takes one event and says whom to catch up from, if anybody.
func (n *Neighbours) Step(event any, now time.Time) []CatchUpFrom {
	switch e := event.(type) {
	case Heard:
		n.heard(e.Standing, now)
	case Gone:
		if p := n.peers[e.Node]; p != nil {
			p.heard = time.Time{}
		}
	case Own:
		if e.Lineage != n.own.Lineage {
			n.marks = nil
		}
		n.own = e
	case Wanted:
		if e.Index < n.own.Index+maxWanted {
			n.wanted = max(n.wanted, e.Index)
		}
	case CaughtUp:
		n.caughtUp(e.Err, now)
	}
	n.settle(now)
	return n.next(now)
}

func (n *Neighbours) heard(s Standing, now time.Time) {
	p := n.peers[s.Node]
	if p == nil {
		p = &neighbour{aside: firstAside}
		n.peers[s.Node] = p
	}
	p.Standing, p.heard = s, now
	if s.Lineage == n.own.Lineage && s.Index > n.own.Index && len(n.marks) < maxMarks &&
		(len(n.marks) == 0 || n.marks[len(n.marks)-1].index < s.Index) {
		n.marks = append(n.marks, mark{s.Index, now})
	}
}

// caughtUp leaves a peer aside that has less than it says.
func (n *Neighbours) caughtUp(err error, now time.Time) {
	p := n.peers[n.from]
	n.from = ""
	if p == nil {
		return
	}
	if err == nil && n.own.Index >= n.goal {
		p.aside = firstAside
		return
	}
	p.until = now.Add(p.aside)
	p.aside = min(2*p.aside, maxAside)
}

// settle forgets what has become true. What nobody in reach has any more does
// not count either.
func (n *Neighbours) settle(now time.Time) {
	best := n.best(now)
	n.marks = slices.DeleteFunc(n.marks, func(m mark) bool { return m.index <= n.own.Index || m.index > best })
	if n.wanted <= n.own.Index {
		n.wanted = 0
	}
}

// live says whether a peer is in reach and of this node's history.
func (n *Neighbours) live(p *neighbour, now time.Time) bool {
	return now.Sub(p.heard) < heardFor && p.Lineage == n.own.Lineage
}

func (n *Neighbours) best(now time.Time) (index uint64) {
	for _, p := range n.peers {
		if n.live(p, now) {
			index = max(index, p.Index)
		}
	}
	return index
}

// Ahead is the highest index that a peer in reach serves, when it is above this
// node's; 0: none is.
func (n *Neighbours) Ahead(now time.Time) uint64 {
	if best := n.best(now); best > n.own.Index {
		return best
	}
	return 0
}

// next chooses whom to catch up from: who has most, by name where several have
// it.
func (n *Neighbours) next(now time.Time) []CatchUpFrom {
	if n.from != "" || len(n.marks) == 0 {
		return nil
	}
	if n.own.Leased && n.wanted == 0 && now.Sub(n.marks[0].since) < grace {
		return nil
	}
	chosen := ""
	for name, p := range n.peers {
		if !n.live(p, now) || p.Index <= n.own.Index || now.Before(p.until) {
			continue
		}
		if c := n.peers[chosen]; c == nil || p.Index > c.Index || p.Index == c.Index && name < chosen {
			chosen = name
		}
	}
	if chosen == "" {
		return nil
	}
	n.from, n.goal = chosen, n.peers[chosen].Index
	return []CatchUpFrom{{chosen}}
}

// Stay says whether what a peer sends is worth waiting for: the control plane's
// own stream brings nothing, and no other peer has more.
func (n *Neighbours) Stay(now time.Time) bool {
	p := n.peers[n.from]
	return p != nil && n.live(p, now) && !n.own.Leased && p.Index >= n.best(now)
}

// Ready says whether this node takes requests, and if not, why. It leaves them
// only to a peer that is ready and does not have the same trouble, so that
// never all of a Region's nodes step aside.
func (n *Neighbours) Ready(now time.Time) (bool, string) {
	if len(n.marks) > 0 && now.Sub(n.marks[0].since) > behindFor {
		for _, p := range n.peers {
			if n.live(p, now) && p.Ready && p.Index >= n.marks[0].index {
				return false, fmt.Sprintf("at index %d, behind a node of this Region at %d", n.own.Index, n.best(now))
			}
		}
	}
	return n.inTime(now)
}

// inTime says whether this node's clock is usable: not below the floor, and not
// far from the median of three or more of the Region.
func (n *Neighbours) inTime(now time.Time) (bool, string) {
	clocks := []time.Duration{0} // relative to ours
	for _, p := range n.peers {
		if n.live(p, now) {
			clocks = append(clocks, p.Clock)
		}
	}
	slices.Sort(clocks)
	median := clocks[(len(clocks)-1)/2]
	why := ""
	switch {
	case n.below(now):
		why = "the clock is before a commit that was verified"
	case len(clocks) >= 3 && median.Abs() > clockOff:
		why = fmt.Sprintf("the clock is %s off the Region's", median.Abs().Round(time.Second))
	default:
		return true, ""
	}
	for _, p := range n.peers {
		good := (p.Clock-median).Abs() <= clockOff || len(clocks) < 3
		if n.live(p, now) && p.Ready && good && !n.below(now.Add(p.Clock)) && p.Index >= n.own.Index {
			return false, why
		}
	}
	return true, ""
}

// below says whether a clock is before what was verified.
func (n *Neighbours) below(t time.Time) bool { return t.Before(n.own.Floor.Add(-behindFloor)) }

// Live lists the peers in reach, by name.
func (n *Neighbours) Live(now time.Time) []Standing {
	var list []Standing
	for _, p := range n.peers {
		if n.live(p, now) {
			list = append(list, p.Standing)
		}
	}
	slices.SortFunc(list, func(a, b Standing) int {
		if a.Node < b.Node {
			return -1
		}
		return 1
	})
	return list
}

// Without is how busy the rest of a Region would be if the zone that has most to
// do went: 1 is all that it can do. False: nothing would be left. own is this
// node.
func Without(nodes []Standing) (float64, bool) {
	total, zones := 0.0, map[string]int{}
	for _, s := range nodes {
		total += s.Load
		if s.Ready {
			zones[s.Zone]++
		}
	}
	ready, largest := 0, 0
	for _, count := range zones {
		ready, largest = ready+count, max(largest, count)
	}
	if ready == largest {
		return 0, false
	}
	return total / float64(ready-largest), true
}
