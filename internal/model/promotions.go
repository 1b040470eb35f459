package model

import "fmt"

// PromotionRules are the rules of one promotion after the other that the model
// can do without.
type PromotionRules struct {
	HighestEpoch  bool // 16: the highest epoch shown wins
	AncestryFirst bool // 16: the fork is chosen by ancestry first, index second
	FromLog       bool // 23: surplus comes from kept log records, not from a difference of states
	CallIDs       bool // 24: the feed carries call ids
}

// AllPromotionRules has every rule on.
var AllPromotionRules = PromotionRules{true, true, true, true}

// The first lineage's two records: a call makes something, another deletes a
// key. The second lineage makes one thing more.
const firstRecords = 2

// survivor is a node that comes from the first lineage.
type survivor struct {
	on     int8 // lineage: 0, 1, 2
	at     int8 // records of the first lineage applied
	more   bool // has what the second lineage made
	shown  int8 // the lineage that it is to go over to
	handed bool // has handed up its surplus
	third  bool // was on the third lineage once
}

// promotionsState is three lineages of epochs 0, 1 and 2, and the nodes.
type promotionsState struct {
	old      int8 // records of the first
	promoted bool
	fork     int8 // of them, those that the second begins with
	more     bool // the second has made one thing more, and answered
	denied   bool // which is denied, though nobody took it away
	twice    bool // the call was done a second time
	again    bool // the third lineage is there
	lost     bool // without what the second had answered and a node that was read had
	node     [lineageNodes]survivor
}

// Promotions models a promotion, and another one after it.
func Promotions(rules PromotionRules) *System[promotionsState] {
	m := promotionsModel{rules}
	return &System[promotionsState]{Next: m.next, Broken: promotionsBroken}
}

type promotionsModel struct{ rules PromotionRules }

func (m promotionsModel) next(s promotionsState, yield func(string, promotionsState)) {
	if s.old < firstRecords {
		t := s
		t.old++
		yield(fmt.Sprintf("the first control plane commits record %d", t.old), t)
	}
	m.second(s, yield)
	m.third(s, yield)
	for n := range s.node {
		m.follow(s, n, yield)
	}
}

// second: it is promoted from the highest node in reach, makes one thing, and is
// asked for the call again that was done before it.
func (m promotionsModel) second(s promotionsState, yield func(string, promotionsState)) {
	if !s.promoted {
		for reached := 1; reached < 1<<lineageNodes; reached++ {
			t := s
			t.promoted = true
			for n, f := range s.node {
				if reached&(1<<n) != 0 {
					t.fork = max(t.fork, f.at)
				}
			}
			yield(fmt.Sprintf("a second control plane is promoted at %d", t.fork), t)
		}
		return
	}
	if !s.more {
		t := s
		t.more = true
		yield("the second control plane makes a thing and answers", t)
	}
	if s.fork >= 1 && !m.rules.CallIDs {
		t := s
		t.twice = true
		yield("the call of before the fork is repeated at the second control plane", t)
	}
}

// third: it is promoted from nodes that may be on either lineage.
func (m promotionsModel) third(s promotionsState, yield func(string, promotionsState)) {
	if !s.promoted || s.again {
		return
	}
	for reached := 1; reached < 1<<lineageNodes; reached++ {
		best, had := -1, false
		for n, f := range s.node {
			if reached&(1<<n) == 0 {
				continue
			}
			had = had || f.more
			if best < 0 || m.above(s, f, s.node[best]) {
				best = n
			}
		}
		t := s
		t.again, t.lost = true, had && !s.node[best].more
		yield(fmt.Sprintf("a third control plane is promoted from node %d", best), t)
	}
}

func (m promotionsModel) above(s promotionsState, a, b survivor) bool {
	if m.rules.AncestryFirst && a.on != b.on {
		return a.on > b.on
	}
	return s.index(a) > s.index(b)
}

func (s promotionsState) index(f survivor) int8 {
	if f.on == 0 {
		return f.at
	}
	if f.more {
		return s.fork + 1
	}
	return s.fork
}

// follow: a node applies, is shown a successor, hands up, goes over.
func (m promotionsModel) follow(s promotionsState, n int, yield func(string, promotionsState)) {
	f := s.node[n]
	put := func(action string, f survivor, denied bool) {
		t := s
		t.node[n], t.denied = f, s.denied || denied
		yield(fmt.Sprintf("node %d %s", n, action), t)
	}
	if g := f; f.on == 0 && f.shown == 0 && f.at < s.old {
		g.at++
		put(fmt.Sprintf("applies record %d", g.at), g, false)
	}
	if g := f; f.on == 1 && f.shown == 1 && s.more && !f.more {
		g.more = true
		put("applies what the second lineage made", g, false)
	}
	for lineage := int8(1); lineage <= 2; lineage++ {
		g := f
		if lineage == 1 && !s.promoted || lineage == 2 && !s.again || m.rules.HighestEpoch && lineage <= f.shown {
			continue
		}
		g.shown = lineage
		put(fmt.Sprintf("is shown lineage %d", lineage), g, false)
	}
	surplus := f.on == 0 && f.at > s.fork
	if g := f; f.shown == 1 && surplus && !f.handed {
		g.handed = true
		put("hands up its surplus", g, !m.rules.FromLog && s.more) // which it has not: as if deleted
	}
	if g := f; f.shown != f.on && f.shown > 0 && (!surplus || f.handed || f.shown == 2) {
		g.on, g.third = f.shown, f.third || f.shown == 2
		g.more = g.more && g.on == 1
		put(fmt.Sprintf("goes over to lineage %d", g.on), g, false)
	}
}

// promotionsBroken holds a state against what promotions promise.
func promotionsBroken(s promotionsState) string {
	switch {
	case s.twice:
		return "one call has two effects"
	case s.denied:
		return "what nobody took away is denied"
	case s.lost:
		return "what was answered, and read on a node, is lost"
	}
	for _, f := range s.node {
		if f.third && f.on != 2 {
			return "a node goes back to a lineage that was replaced"
		}
	}
	return ""
}
