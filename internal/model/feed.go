package model

import "fmt"

// FeedRules are the rules of feed and in-sync set that the model can do
// without.
type FeedRules struct {
	AllIsEveryNode   bool // 10: "applied: all" counts every enrolled node, not the set's
	LeaseFromSending bool // 11: a node's lease runs from the sending of the acknowledgement
	RejoinCovered    bool // 12: a node enters the set with all that was answered
	DiskFirst        bool // 13: a batch is on disk before it is served
}

// AllFeedRules has every rule on.
var AllFeedRules = FeedRules{true, true, true, true}

const (
	feedNodes = 2
	writes    = 2
	lease     = 2 // ticks
	doubt     = 1 // tick that the sequencer waits longer than the node trusts
)

// follower is a Region node, and what the sequencer knows of it.
type follower struct {
	disk, memory int8 // newest index on disk; served
	served       int8 // newest index ever served
	lease        int8 // ticks left, as the node counts
	ack          int8 // index of the acknowledgement under way, -1 for none
	ackAge       int8 // ticks since it was sent
	grant        int8 // age of the acknowledgement that a renewal under way answers, -1 for none

	member  bool // in the set
	known   int8 // newest acknowledged index that the sequencer heard of
	granted int8 // ticks left, as the sequencer counts
}

// feedState is the log's end, what clients were told, and the followers.
type feedState struct {
	end      int8         // newest committed index
	answered int8         // newest index answered to a client
	all      int8         // newest index answered as applied by all
	since    [writes]int8 // ticks since an index was answered, up to lease + doubt
	node     [feedNodes]follower
}

// Feed models a sequencer that commits, and followers whose messages can be
// late or lost, which crash, and which are suspended.
func Feed(rules FeedRules) *System[feedState] {
	m := feedModel{rules}
	start := feedState{}
	for n := range start.node {
		start.node[n] = follower{ack: -1, grant: -1}
	}
	return &System[feedState]{Start: start, Next: m.next, Broken: feedBroken}
}

type feedModel struct{ rules FeedRules }

func (m feedModel) next(s feedState, yield func(string, feedState)) {
	if s.end < writes && s.answered == s.end {
		t := s
		t.end++
		yield("a write commits", t)
	}
	m.answer(s, yield)
	m.tick(s, yield)
	for n := range s.node {
		m.follow(s, n, yield)
		m.acknowledge(s, n, yield)
		m.sequence(s, n, yield)
	}
}

// answer: a write is answered when the whole set has it.
func (m feedModel) answer(s feedState, yield func(string, feedState)) {
	if s.answered == s.end {
		return
	}
	all := true
	for _, f := range s.node {
		if f.member && f.known < s.end {
			return
		}
		if m.rules.AllIsEveryNode {
			all = all && f.known >= s.end
		}
	}
	t := s
	t.answered = s.end
	t.since[s.end-1] = 0
	if all {
		t.all = s.end
	}
	yield(fmt.Sprintf("write %d is answered, all: %v", s.end, all), t)
}

// tick: time passes for everybody alike.
func (m feedModel) tick(s feedState, yield func(string, feedState)) {
	t := s
	for i := range t.since {
		if int8(i) < t.answered {
			t.since[i] = min(t.since[i]+1, lease+doubt)
		}
	}
	for n := range t.node {
		f := &t.node[n]
		f.lease, f.granted = max(f.lease-1, 0), max(f.granted-1, 0)
		if f.ack >= 0 {
			f.ackAge = min(f.ackAge+1, lease)
		}
		if f.grant >= 0 {
			f.grant = min(f.grant+1, lease)
		}
		if f.granted == 0 {
			f.member = false // the sequencer waited for the lease to end
		}
	}
	yield("a tick", t)
}

// follow: a node takes a batch, or crashes and starts from its disk.
func (m feedModel) follow(s feedState, n int, yield func(string, feedState)) {
	f := s.node[n]
	serve := func(t *feedState, index int8) {
		g := &t.node[n]
		g.memory, g.served = index, max(g.served, index)
	}
	if f.disk < s.end {
		t := s
		t.node[n].disk++
		if m.rules.DiskFirst {
			serve(&t, t.node[n].disk)
		}
		yield(fmt.Sprintf("node %d writes a batch to disk", n), t)
	}
	if !m.rules.DiskFirst && f.memory < s.end {
		t := s
		serve(&t, f.memory+1)
		yield(fmt.Sprintf("node %d serves a batch that is not on disk", n), t)
	}
	t := s
	g := &t.node[n]
	g.memory, g.lease, g.ack, g.ackAge, g.grant = g.disk, 0, -1, 0, -1
	yield(fmt.Sprintf("node %d crashes and starts", n), t)
}

// acknowledge: a node sends what it has, and hears of its renewed lease.
func (m feedModel) acknowledge(s feedState, n int, yield func(string, feedState)) {
	f := s.node[n]
	if f.ack < 0 && f.grant < 0 {
		t := s
		t.node[n].ack, t.node[n].ackAge = f.disk, 0
		yield(fmt.Sprintf("node %d acknowledges %d", n, f.disk), t)
	}
	if f.grant >= 0 {
		t := s
		g := &t.node[n]
		g.grant = -1
		g.lease = lease
		if m.rules.LeaseFromSending {
			g.lease = max(f.lease, lease-f.grant)
		}
		yield(fmt.Sprintf("node %d hears that its lease is renewed", n), t)
	}
}

// sequence: an acknowledgement arrives, or is lost.
func (m feedModel) sequence(s feedState, n int, yield func(string, feedState)) {
	f := s.node[n]
	if f.grant >= 0 {
		t := s
		t.node[n].grant = -1
		yield(fmt.Sprintf("the renewal for node %d is lost", n), t)
	}
	if f.ack < 0 {
		return
	}
	t := s
	t.node[n].ack, t.node[n].ackAge = -1, 0
	yield(fmt.Sprintf("node %d's acknowledgement is lost", n), t)
	g := &t.node[n]
	g.known = max(f.known, f.ack)
	if !g.member && (!m.rules.RejoinCovered || f.ack >= s.answered) {
		g.member = true
	}
	if g.member {
		g.granted, g.grant = lease+doubt, f.ackAge
	}
	yield(fmt.Sprintf("node %d's acknowledgement of %d arrives", n, f.ack), t)
}

// feedBroken holds a state against what feed and in-sync set promise.
func feedBroken(s feedState) string {
	for _, f := range s.node {
		switch {
		case f.memory < s.all:
			return "a node serves less than was applied by all"
		case f.memory < f.served:
			return "a node serves an older state than before"
		case f.member && f.known < s.answered:
			return "a member of the set lacks what was answered"
		}
		for i, since := range s.since {
			if int8(i) < s.answered && since >= lease && f.lease > 0 && f.memory < int8(i)+1 {
				return "a node with a lease lacks what was answered a lease ago"
			}
		}
	}
	return ""
}
