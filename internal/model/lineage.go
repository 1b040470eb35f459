package model

import "fmt"

// LineageRules are the rules of promotion that the model can do without.
type LineageRules struct {
	KeepSuccessor     bool // 17: the successor is on disk before it is followed
	SurplusFirst      bool // 18: a node with surplus switches where its denials stand
	SilentWithSurplus bool // 18: until then it acknowledges nothing
	OldHandsUp        bool // 19: the old control plane hands up its own surplus
}

// AllLineageRules has every rule on.
var AllLineageRules = LineageRules{true, true, true, true}

const (
	lineageNodes = 2
	deletions    = 2 // the old log's records: record i deletes key i
)

// keySet is a set of the deleted keys.
type keySet uint8

func (k keySet) has(i int8) bool     { return k&(1<<i) != 0 }
func (k keySet) with(i int8) keySet  { return k | 1<<i }
func upTo(n int8) keySet             { return 1<<(n+1) - 2 } // keys 1 to n
func (k keySet) holds(o keySet) bool { return k&o == o }

// heir is a Region node that comes from the old lineage.
type heir struct {
	old     int8   // old records applied
	shown   bool   // knows the successor
	kept    bool   // and has it on disk
	handed  bool   // has handed up its surplus
	surplus keySet // which was this
	on      bool   // follows the new lineage
	at      int8   // new records applied
	acked   int8   // new records acknowledged
	refused keySet // keys that it ever refused
}

// lineageState is two control planes, one of which was promoted, and the nodes.
type lineageState struct {
	old       int8 // records of the old control plane
	answered  int8 // of them, told to a client as done
	all       int8 // of them, told as applied by all
	stopped   bool // the old control plane was shown its successor
	promoted  bool
	fork      int8            // old records that the new lineage begins with
	log       [deletions]int8 // keys that the new lineage denies, in order
	length    int8
	allDenied keySet // denials that the new control plane told as applied by all
	node      [lineageNodes]heir
}

// Lineage models a promotion while the old control plane goes on.
func Lineage(rules LineageRules) *System[lineageState] {
	m := lineageModel{rules}
	return &System[lineageState]{Next: m.next, Broken: lineageBroken}
}

type lineageModel struct{ rules LineageRules }

// denies is what the new lineage denies in its first n records.
func (s *lineageState) denies(n int8) keySet {
	k := upTo(s.fork)
	for _, key := range s.log[:n] {
		k = k.with(key)
	}
	return k
}

// refuses is what a node refuses now.
func (s *lineageState) refuses(n int) keySet {
	if h := &s.node[n]; h.on {
		return s.denies(h.at)
	}
	return upTo(s.node[n].old)
}

// served notes what a node refuses from here on.
func (s *lineageState) served(n int) { s.node[n].refused |= s.refuses(n) }

// deny commits denials of keys that the new lineage does not have.
func (s *lineageState) deny(keys keySet) {
	for key := int8(1); key <= deletions; key++ {
		if keys.has(key) && !s.denies(s.length).has(key) {
			s.log[s.length] = key
			s.length++
		}
	}
}

func (m lineageModel) next(s lineageState, yield func(string, lineageState)) {
	m.oldControl(s, yield)
	m.promote(s, yield)
	if s.length > 0 {
		all := true
		for _, h := range s.node {
			all = all && h.acked >= s.length
		}
		if t := s; all {
			t.allDenied = t.denies(t.length)
			yield("the new control plane tells: applied by all", t)
		}
	}
	for n := range s.node {
		m.follow(s, n, yield)
		m.turn(s, n, yield)
	}
}

// oldControl: it commits and answers until it is shown its successor.
func (m lineageModel) oldControl(s lineageState, yield func(string, lineageState)) {
	if s.stopped {
		return
	}
	if s.old < deletions {
		t := s
		t.old++
		yield(fmt.Sprintf("the old control plane deletes key %d", t.old), t)
	}
	if s.answered < s.old {
		t := s
		t.answered = s.old
		yield("the old control plane answers", t)
	}
	all := true
	for _, h := range s.node {
		all = all && h.old >= s.old
	}
	if all && s.all < s.old {
		t := s
		t.answered, t.all = s.old, s.old
		yield("the old control plane answers: applied by all", t)
	}
	if s.promoted {
		t := s
		t.stopped = true
		if m.rules.OldHandsUp {
			t.deny(upTo(t.old) &^ upTo(t.fork))
		}
		yield("the old control plane is shown its successor", t)
	}
}

// promote: from the highest of the nodes that can be reached.
func (m lineageModel) promote(s lineageState, yield func(string, lineageState)) {
	if s.promoted {
		return
	}
	for reached := 1; reached < 1<<lineageNodes; reached++ {
		t := s
		t.promoted = true
		for n, h := range s.node {
			if reached&(1<<n) != 0 {
				t.fork = max(t.fork, h.old)
			}
		}
		yield(fmt.Sprintf("a control plane is promoted at %d", t.fork), t)
	}
}

// follow: a node applies the next record of the lineage that it follows.
func (m lineageModel) follow(s lineageState, n int, yield func(string, lineageState)) {
	h := s.node[n]
	if !h.on && !h.shown && h.old < s.old {
		t := s
		t.node[n].old++
		t.served(n)
		yield(fmt.Sprintf("node %d applies the deletion of key %d", n, t.node[n].old), t)
	}
	if h.on && h.at < s.length {
		t := s
		t.node[n].at++
		t.served(n)
		yield(fmt.Sprintf("node %d applies the denial of key %d", n, s.log[h.at]), t)
	}
	if h.acked < s.length && (h.on && h.at > h.acked || h.shown && !m.rules.SilentWithSurplus) {
		t := s
		t.node[n].acked++
		yield(fmt.Sprintf("node %d acknowledges new record %d", n, t.node[n].acked), t)
	}
}

// turn: a node learns of the successor, hands up, switches, crashes.
func (m lineageModel) turn(s lineageState, n int, yield func(string, lineageState)) {
	h := s.node[n]
	if h.on || !s.promoted {
		return
	}
	if !h.shown {
		t := s
		t.node[n].shown, t.node[n].kept = true, m.rules.KeepSuccessor
		yield(fmt.Sprintf("node %d is shown the successor", n), t)
		return
	}
	if !h.kept {
		t := s
		t.node[n].shown = false
		yield(fmt.Sprintf("node %d crashes and forgets the successor", n), t)
	}
	if !h.handed {
		t := s
		g := &t.node[n]
		g.handed, g.surplus = true, upTo(h.old)&^upTo(s.fork)
		t.deny(g.surplus)
		yield(fmt.Sprintf("node %d hands up its surplus", n), t)
	}
	for at := int8(0); at <= s.length; at++ {
		if m.rules.SurplusFirst && (!h.handed || !s.denies(at).holds(h.surplus)) {
			continue
		}
		t := s
		t.node[n].on, t.node[n].at = true, at
		t.served(n)
		yield(fmt.Sprintf("node %d switches at new record %d", n, at), t)
	}
}

// lineageBroken holds a state against what a promotion promises.
func lineageBroken(s lineageState) string {
	for n := range s.node {
		now := s.refuses(n)
		switch {
		case !now.holds(s.node[n].refused):
			return "a node admits what it refused before"
		case !now.holds(upTo(s.all)):
			return "a node admits what was deleted everywhere"
		case !now.holds(s.allDenied):
			return "a node admits what was denied everywhere"
		}
	}
	if s.stopped && !s.denies(s.length).holds(upTo(s.answered)) {
		return "an acknowledged deletion is lost with the old control plane"
	}
	return ""
}
