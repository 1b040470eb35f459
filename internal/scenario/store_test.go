package scenario

import (
	"fmt"
	"time"

	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

var stores = []scenario{
	{id: "S1", name: "the node that sequences is killed", shape: zones, bugs: bugs(failpoint.AckBeforeCommit, failpoint.ForgetsCallIDs), long: true, do: func(s *run) {
		s.ledger(func(l *drill.Ledger) {
			for range 2 {
				s.acked(l, 20)
				name, _ := s.Sequencer(s.ctx)
				s.kill(name)
				s.acked(l, 20)
			}
		})
	}},
	{id: "S2", name: "two of three control-plane nodes are gone", shape: zones, bugs: bugs(failpoint.ReadsNeedQuorum), long: true, do: func(s *run) {
		s.ledger(func(l *drill.Ledger) {
			s.acked(l, 5)
			thaw := s.freeze(s.ControlNodes()[:2]...)
			s.under(&drill.Load{}, func() {
				was, _ := l.Refused()
				s.until("writes refused", 20*time.Second, func() bool { now, _ := l.Refused(); return now > was })
				s.until("a read of the third, marked", 20*time.Second, func() bool {
					a := s.callAt(s.controlClient(2), s.admin, "iam", "GetUser", "UserName", s.cast.Name)
					s.check(a.Status == 200 || a.Status == 0, "a read of the third: %s", a)
					return a.Status == 200 && a.Header.Get("X-Holdfast-View-Age") != ""
				})
				s.pass(2 * time.Second)
			})
			thaw()
			s.acked(l, 20)
		})
	}},
	{id: "F16", name: "the watches of the store fall silent", shape: zones, bugs: bugs(failpoint.TrustsWatch), long: true, do: func(s *run) {
		s.onAll("trouble "+string(failpoint.WatchSilent), s.ControlNodes()...)
		s.ledger(func(l *drill.Ledger) {
			for n := range 3 { // whichever of them sequences
				a := s.tag(s.controlClient(n), fmt.Sprint("f16-", n))
				for m := range 3 {
					seen := s.callAt(s.controlClient(m), s.admin, "iam", "ListUserTags", "UserName", s.cast.Name)
					s.check(seen.Status == 200 && indexOf(seen) >= indexOf(a), "after a write at %s another node answers a read at %s", a.Revision(), seen.Revision())
				}
			}
			s.acked(l, 5)
			name, _ := s.Sequencer(s.ctx)
			s.kill(name)
			s.acked(l, 10)
		})
		s.off("trouble ")
	}},
	{id: "S4", name: "the store is compacted while its nodes start and a Region node fetches all", shape: zones, bugs: bugs(failpoint.CompactionEnds), long: true, do: func(s *run) {
		s.ledger(func(l *drill.Ledger) {
			s.acked(l, 10)
			s.onAll("trouble "+string(failpoint.StoreCompacts), s.ControlNodes()...)
			s.bare("us-east-1c", "replica")
			for _, node := range s.ControlNodes() {
				s.kill(node)
				started := s.Pid(node)
				s.until(node+" has read the state", patience, func() bool { n := s.Look(s.ctx)[node]; return n != nil && n.Ready })
				s.acked(l, 10)
				s.check(s.Pid(node) == started, "%s did not start at once", node)
			}
			s.off("trouble ")
		})
	}},
	{id: "R8", name: "requests are of hostile sizes", shape: one, bugs: bugs(failpoint.NoSizeLimit), do: func(s *run) {
		before := s.Pids(s.nodes()...)
		var many []string
		for i := range 20_000 {
			many = append(many, fmt.Sprint("Filter.member.", i), "x")
		}
		s.under(&drill.Load{}, func() {
			for _, a := range []*drill.Answer{
				s.call(s.cast.User, "sts", "GetCallerIdentity", many...),
				s.call(s.cast.User, "iam", "GetUser", "UserName", string(make([]byte, 700_000))),
			} {
				s.check(a.Status >= 400 && a.Status < 500, "%s", a)
			}
		})
		s.announced(1 << 30)
		a := s.call(s.cast.User, "iam", "GetUser", "UserName", string(make([]byte, 200_000))) // of 600 kB when it is escaped
		s.check(a.Status == 413, "a body of 600 kB: %s", a)
		s.check(fmt.Sprint(before) == fmt.Sprint(s.Pids(s.nodes()...)), "a process ended")
	}},
	{id: "R9", name: "the audit cannot be written", shape: one, bugs: bugs(failpoint.AuditGivesUp), do: func(s *run) {
		s.on("control", "trouble "+string(failpoint.AuditFails))
		for range 10 {
			s.tag(s.Client(""), "r9")
		}
		s.pass(1500 * time.Millisecond)
		s.off("trouble ")
		s.tag(s.Client(""), "r9")
		s.auditWhole()
	}},
}
