package scenario

import (
	"fmt"
	"slices"
	"time"

	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

// members are faults of the store's members: their clocks and their disks.
var members = []scenario{
	{id: "S8", name: "the clock of the node that sequences is an hour ahead, and then an hour back", shape: zones, bugs: bugs(failpoint.AnyClock), long: true, own: true, do: func(s *run) {
		s.ledger(func(l *drill.Ledger) {
			for _, offset := range []time.Duration{time.Hour, -time.Hour} {
				s.acked(l, 10)
				name, _ := s.Sequencer(s.ctx)
				s.clock(offset, name)
				s.until("a write acknowledged through a node whose clock is right", 20*time.Second, func() bool {
					now, _ := s.Sequencer(s.ctx)
					_, last := l.Acked()
					return now != name && time.Since(last) < time.Second
				})
				s.acked(l, 10)
				s.clock(0, name)
				s.until(name+"'s clock believed again", 2*time.Minute, func() bool { n := s.Look(s.ctx)[name]; return n != nil && n.Why == "" })
			}
		})
		s.commitTimes(s.ControlNodes()...)
	}},
	{id: "S8b", name: "the clocks of all three members are an hour apart", shape: zones, bugs: bugs(failpoint.AnyClock), long: true, own: true, do: func(s *run) {
		nodes := s.ControlNodes()
		s.ledger(func(l *drill.Ledger) {
			s.acked(l, 10)
			s.clock(time.Hour, nodes[0])
			s.clock(-time.Hour, nodes[1])
			s.under(&drill.Load{}, func() {
				was, _ := l.Refused()
				s.until("writes refused", 20*time.Second, func() bool { now, _ := l.Refused(); return now > was+5 })
				had, _ := l.Acked()
				s.pass(2 * time.Second)
				now, _ := l.Acked()
				s.check(now == had, "%d writes were taken while no two clocks agree", now-had)
			})
			s.clock(0, nodes[:2]...)
			s.acked(l, 10) // once they have run evenly for a minute
		})
		s.commitTimes(nodes...)
	}},
	{id: "D12", name: "each fsync of the control plane takes 200 ms", shape: one, bugs: bugs(failpoint.NoFsync), long: true, own: true, early: true, tools: []string{"strace"}, do: func(s *run) {
		s.ledger(func(l *drill.Ledger) {
			s.acked(l, 10)
			before := s.Pids(s.nodes()...)
			end := s.inject("control", "fdatasync:delay_enter=200000")
			s.under(&drill.Load{}, func() {
				s.acked(l, 1) // on its way when the disk became slow
				begun, n := time.Now(), 3
				for range n {
					s.written("TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", "d12", "Tags.member.1.Value", fmt.Sprint(time.Now().UnixNano()))
				}
				took := time.Since(begun)
				s.check(took >= time.Duration(n)*200*time.Millisecond, "%d writes, one after the other, were acknowledged within %s: before they were on the disk", n, took)
			})
			end()
			s.acked(l, 10)
			s.check(fmt.Sprint(before) == fmt.Sprint(s.Pids(s.nodes()...)), "a process ended")
		})
	}},
}

// commitTimes says that no commit stands on a wrong clock: by every audit times
// never go back, and none is far from now.
func (s *run) commitTimes(nodes ...string) {
	for _, node := range nodes {
		_, times := s.audited(node)
		s.check(len(times) > 0 && slices.IsSorted(times), "commit times go back in the audit of %s, or there are none", node)
		for _, t := range times {
			if off := time.Since(time.UnixMilli(t)); off.Abs() > limit {
				s.check(false, "a commit time of %s is %s from now", node, off)
				break
			}
		}
	}
}
