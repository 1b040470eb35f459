package model

import "fmt"

// OverlayRules are the rules of a cut-off Region's denials that the model can
// do without.
type OverlayRules struct {
	TombstoneWins  bool // 20: a tombstone beats its id, whatever the order
	DropApplied    bool // 21: a node drops an entry that its own state holds
	TombstoneStays bool // 22: until every node has applied it
}

// AllOverlayRules has every rule on.
var AllOverlayRules = OverlayRules{true, true, true}

const (
	overlayNodes = 2
	overlayRoom  = 4
)

// What a record of the log does to the one denial.
const (
	deny = iota + 1
	undeny
	forget // the tombstone
)

// region is a node of the Region that was cut off.
type region struct {
	entry bool // the denial is in its overlay
	at    int8 // records applied
}

// overlayState is the log, as far as it is about one denial, and the nodes.
type overlayState struct {
	log      [overlayRoom]int8
	length   int8
	accepted bool // the Region has answered that it denies
	undenied bool // operators took the denial back
	node     [overlayNodes]region
}

// Overlay models a denial that a cut-off Region makes, its way up, and that
// operators take it back.
func Overlay(rules OverlayRules) *System[overlayState] {
	m := overlayModel{rules}
	return &System[overlayState]{Next: m.next, Broken: overlayBroken}
}

type overlayModel struct{ rules OverlayRules }

// says is what the first n records come to: 0 is nothing.
func (s *overlayState) says(n int8) int8 {
	if n == 0 || s.log[n-1] == forget {
		return 0
	}
	return s.log[n-1]
}

func (s *overlayState) commit(what int8) bool {
	if s.length == overlayRoom {
		return false
	}
	s.log[s.length] = what
	s.length++
	return true
}

func (m overlayModel) next(s overlayState, yield func(string, overlayState)) {
	if s.says(s.length) == deny {
		t := s
		t.undenied = true
		if t.commit(undeny) && (m.rules.TombstoneWins || t.commit(forget)) {
			yield("operators take the denial back", t)
		}
	}
	applied := s.says(s.length) == undeny
	for _, n := range s.node {
		applied = applied && n.at == s.length
	}
	if s.says(s.length) == undeny && (applied || !m.rules.TombstoneStays) {
		t := s
		if t.commit(forget) {
			yield("the tombstone is forgotten", t)
		}
	}
	for n := range s.node {
		m.region(s, n, yield)
	}
}

func (m overlayModel) region(s overlayState, n int, yield func(string, overlayState)) {
	me, other := s.node[n], s.node[1-n]
	if !s.accepted && s.length == 0 && !me.entry {
		t := s
		t.node[n].entry = true
		t.accepted = other.entry
		yield(fmt.Sprintf("node %d writes the denial to its disk", n), t)
	}
	if s.accepted && other.entry && !me.entry && s.says(me.at) == 0 && me.at == 0 {
		t := s
		t.node[n].entry = true
		yield(fmt.Sprintf("node %d hears of the denial from its peer", n), t)
	}
	if s.accepted && me.entry && s.says(s.length) == 0 {
		t := s
		if t.commit(deny) {
			yield(fmt.Sprintf("node %d hands the denial up", n), t)
		}
	}
	if me.at < s.length {
		t := s
		g := &t.node[n]
		g.at++
		if t.says(g.at) != 0 {
			g.entry = false
		}
		yield(fmt.Sprintf("node %d applies record %d", n, g.at), t)
	}
	if me.entry && s.says(s.length) != 0 && !m.rules.DropApplied {
		t := s
		t.node[n].entry = false
		yield(fmt.Sprintf("node %d drops the denial: it is committed", n), t)
	}
}

// overlayBroken holds a state against what a denial promises.
func overlayBroken(s overlayState) string {
	if s.undenied && s.says(s.length) == deny {
		return "what was taken back is denied again"
	}
	for _, n := range s.node {
		denies := n.entry || s.says(n.at) == deny
		if s.accepted && !s.undenied && !denies {
			return "a node admits what its Region denies"
		}
	}
	return ""
}
