package feed

import (
	"sort"
	"time"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

// Times of the in-sync set (DESIGN §3, protocol rules 10-12).
const (
	Lease     = 2 * time.Second        // renewed by every acknowledgement
	Bound     = 500 * time.Millisecond // the longest that a write waits
	fastLag   = 100 * time.Millisecond // a member that is slower, slowRun times running, leaves
	slowRun   = 5
	firstHold = 5 * time.Second // lag below fastLag for this long lets a node in again
	maxHold   = 5 * time.Minute
)

// Events of the in-sync machine.
type (
	// Enrolled names every enrolled, unfenced Region node.
	Enrolled struct{ Nodes []string }
	// Acked says that a node has durably applied an index.
	Acked struct {
		Node  string
		Index uint64
	}
	// Published says that an index was committed.
	Published struct{ Index uint64 }
	// Asked is a write that waits for the set.
	Asked struct {
		ID    uint64
		Index uint64
	}
	// TakenOver says that this node sequences from now on, on top of an index.
	TakenOver struct{ Index uint64 }
	// Tick lets time pass.
	Tick struct{}
)

// Answered releases a write. Missing names every enrolled node without an
// acknowledgement of its index.
type Answered struct {
	ID      uint64
	Missing []string
}

// InSync is the set of nodes that a write waits for: a machine without
// goroutine, clock or map order.
type InSync struct {
	members map[string]*member
	waiting []waiter
	latest  uint64      // index answered to a client, at most
	recent  []published // within the last fastLag, in order
	due     uint64      // the newest index published longer ago than that
}

type published struct {
	index uint64
	at    time.Time
}

type member struct {
	acked uint64
	lease time.Time
	in    bool
	slow  int
	fast  time.Time     // since when its lag has been small; zero: it is not
	hold  time.Duration // how long it has to keep up before it is let in again
}

type waiter struct {
	Asked
	since time.Time
}

// NewInSync starts at the log's head with every enrolled node a member for one
// lease. All of the log may have been answered by whoever wrote it.
func NewInSync(nodes []string, head uint64, now time.Time) *InSync {
	s := &InSync{members: map[string]*member{}, latest: head, due: head}
	s.enroll(nodes, now)
	return s
}

func (s *InSync) enroll(nodes []string, now time.Time) {
	keep := map[string]bool{}
	for _, n := range nodes {
		keep[n] = true
		if s.members[n] == nil {
			s.members[n] = &member{in: true, lease: now.Add(Lease), hold: firstHold}
		}
	}
	for n := range s.members {
		if !keep[n] {
			delete(s.members, n)
		}
	}
}

// Step takes one event and says which writes may answer.
func (s *InSync) Step(event any, now time.Time) []Answered {
	for len(s.recent) > 0 && now.Sub(s.recent[0].at) > fastLag {
		s.due, s.recent = s.recent[0].index, s.recent[1:]
	}
	switch e := event.(type) {
	case Enrolled:
		s.enroll(e.Nodes, now)
	case Published:
		s.recent = append(s.recent, published{e.Index, now})
	case Acked:
		s.ack(e, now)
	case TakenOver:
		s.takenOver(e.Index, now)
	case Asked:
		s.waiting = append(s.waiting, waiter{e, now})
	}
	return s.settle(now)
}

// takenOver makes every node a member for one lease: whoever sequenced before may
// have granted it just now, and may have answered all of the log. What a node
// has acknowledged stays true.
func (s *InSync) takenOver(index uint64, now time.Time) {
	s.latest, s.due, s.recent = max(s.latest, index), max(s.due, index), nil
	for _, m := range s.members {
		*m = member{acked: m.acked, in: true, lease: now.Add(Lease), hold: firstHold}
	}
}

func (s *InSync) ack(e Acked, now time.Time) {
	m := s.members[e.Node]
	if m == nil {
		return
	}
	m.acked = max(m.acked, e.Index)
	m.lease = now.Add(Lease)
	lagging := m.acked < s.due
	switch {
	case lagging && m.in:
		if m.slow++; m.slow >= slowRun {
			m.leave()
		}
	case lagging:
		m.fast = time.Time{}
	default:
		m.slow = 0
		m.rejoin(s, now)
	}
}

// rejoin lets a node in again when it has kept up for its hold, on an
// acknowledgement that covers the newest index answered to anyone.
func (m *member) rejoin(s *InSync, now time.Time) {
	if m.in {
		return
	}
	if m.fast.IsZero() {
		m.fast = now
	}
	if now.Sub(m.fast) >= m.hold && m.acked >= s.latest || failpoint.On(failpoint.RejoinsBehind) {
		m.in, m.fast = true, time.Time{}
		m.hold = min(2*m.hold, maxHold) // should it leave again
	}
}

func (m *member) leave() {
	if failpoint.On(failpoint.NeverLeaves) {
		return
	}
	m.in, m.slow, m.fast = false, 0, time.Time{}
}

// settle ends leases and answers the writes that need not wait any longer.
func (s *InSync) settle(now time.Time) []Answered {
	for _, m := range s.members {
		if m.in && !now.Before(m.lease) && !failpoint.On(failpoint.NoBound) {
			m.leave()
		}
	}
	var out []Answered
	kept := s.waiting[:0]
	for _, w := range s.waiting {
		late := now.Sub(w.since) >= Bound && !failpoint.On(failpoint.NoBound)
		if !late && !s.covered(w.Index) {
			kept = append(kept, w)
			continue
		}
		if late {
			for _, m := range s.members {
				if m.in && m.acked < w.Index {
					m.leave() // no later write waits for it
				}
			}
		}
		s.latest = max(s.latest, w.Index)
		out = append(out, Answered{w.ID, s.missing(w.Index)})
	}
	s.waiting = kept
	return out
}

func (s *InSync) covered(index uint64) bool {
	for _, m := range s.members {
		if m.in && m.acked < index {
			return false
		}
	}
	return true
}

func (s *InSync) missing(index uint64) []string {
	var list []string
	for n, m := range s.members {
		if m.acked < index {
			list = append(list, n)
		}
	}
	sort.Strings(list)
	return list
}

// Known says whether every enrolled node has acknowledged an index.
func (s *InSync) Known(index uint64) bool {
	return len(s.missing(index)) == 0 || failpoint.On(failpoint.KnownAtOnce)
}

// Members lists the set, sorted.
func (s *InSync) Members() []string {
	var list []string
	for n, m := range s.members {
		if m.in {
			list = append(list, n)
		}
	}
	sort.Strings(list)
	return list
}

// Next is when a Tick is due.
func (s *InSync) Next(now time.Time) time.Duration {
	if len(s.waiting) > 0 {
		return max(s.waiting[0].since.Add(Bound).Sub(now), time.Millisecond)
	}
	return Lease / 4
}
