package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

// bugs is a list of them.
func bugs(list ...failpoint.Bug) []failpoint.Bug { return list }

var processes = []scenario{
	{id: "P1", name: "the control plane is killed into writes, again and again", shape: one, bugs: bugs(failpoint.AckBeforeCommit), long: true, do: func(s *run) {
		s.ledger(func(l *drill.Ledger) {
			for range 3 {
				s.acked(l, 10)
				s.pass(rand.N(200 * time.Millisecond))
				s.kill("control")
				s.acked(l, 5)
			}
		})
	}},
	{id: "P2a", name: "the control plane dies before a commit", shape: one, bugs: bugs(failpoint.AckBeforeCommit), long: true, do: diesAt(failpoint.BeforeCommit)},
	{id: "P2b", name: "the control plane dies after a commit that nobody was told of", shape: one, bugs: bugs(failpoint.ForgetsCallIDs), do: diesAt(failpoint.AfterCommit)},
	{id: "P2c", name: "the control plane dies when the Regions have a write and its client has no answer", shape: one, bugs: bugs(failpoint.ForgetsCallIDs), long: true, do: diesAt(failpoint.BeforeAnswer)},
	{id: "P2d", name: "the control plane dies between a commit and its audit", shape: one, bugs: bugs(failpoint.AuditForgets), do: func(s *run) {
		diesAt(failpoint.BetweenAudit)(s)
		s.auditWhole()
	}},
	{id: "P3", name: "each node of a Region is killed in turn under load", shape: zones, bugs: bugs(failpoint.ServesUnready), long: true, do: func(s *run) {
		s.under(&drill.Load{Retries: 1}, func() {
			for _, node := range s.RegionNodes("") {
				s.kill(node)
				s.pass(time.Second)
			}
		})
		s.converge(30 * time.Second)
	}},
	{id: "P4a", name: "a Region node dies with half of a snapshot written", shape: one, bugs: bugs(failpoint.DamagedEnds), long: true, do: diesInSnapshot(failpoint.InSnapshot)},
	{id: "P4b", name: "a Region node dies before it renames a snapshot", shape: one, bugs: bugs(failpoint.DamagedEnds), do: diesInSnapshot(failpoint.BeforeRename)},
	{id: "P4c", name: "a Region node dies with the new snapshot and the old batches", shape: one, bugs: bugs(failpoint.DamagedEnds), long: true, do: diesInSnapshot(failpoint.AfterSnapshot)},
	{id: "P4d", name: "a Region node dies in the middle of a batch, and starts from what is there with nobody to follow", shape: one, bugs: bugs(failpoint.NeedsWholeLog, failpoint.NotDurable), do: func(s *run) {
		before := s.Pids("us-east-1a")
		s.on("us-east-1a", "crash "+string(failpoint.InBatch))
		s.written("TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", "p4", "Tags.member.1.Value", "d")
		s.replaced(before)
		s.converge(30 * time.Second)
		s.written("TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", "p4", "Tags.member.1.Value", "e")
		was := s.Look(s.ctx)["us-east-1a"]
		s.freeze("control")
		f, err := os.OpenFile(filepath.Join(s.replica("us-east-1a"), "batches"), os.O_WRONLY|os.O_APPEND, 0)
		s.must(err == nil, "%v", err)
		_, err = f.Write([]byte{0, 0, 4, 0, '{', '"'})
		s.must(err == nil && f.Close() == nil, "%v", err)
		s.kill("us-east-1a")
		s.until("serving again", 20*time.Second, func() bool { return s.call(s.cast.User, "sts", "GetCallerIdentity").Status == 200 })
		now := s.Look(s.ctx)["us-east-1a"]
		s.check(was != nil && now != nil && now.Index >= was.Index, "it serves %v after %v", now, was)
	}},
	{id: "P5", name: "the node that sequences is frozen, and thaws when another has taken over", shape: zones, bugs: bugs(failpoint.NoHeadCompare), long: true, do: func(s *run) {
		s.ledger(func(l *drill.Ledger) {
			for _, inCommit := range []bool{false, true} {
				s.acked(l, 20)
				name, term := s.Sequencer(s.ctx)
				if inCommit { // when it goes on, it commits on what it knew before
					s.stopsAt(name, failpoint.BeforeCommit)
				}
				thaw := s.freeze(name)
				s.until("taken over", patience, func() bool { _, now := s.Sequencer(s.ctx); return now > term })
				s.acked(l, 20)
				thaw()
				s.acked(l, 20)
			}
		})
	}},
	{id: "P6", name: "a Region node is frozen for ten hours", shape: two, bugs: bugs(failpoint.NeverReconnects, failpoint.ExpiryUnchecked), long: true, own: true, do: func(s *run) {
		old := s.made(s.cast.User, "sts", "AssumeRole", "RoleArn", s.cast.RoleARN(), "RoleSessionName", "old").Credential()
		was := s.Look(s.ctx)["eu-west-1a"]
		thaw := s.freeze("eu-west-1a")
		s.passed(10*time.Hour, s.everybody()...)
		s.written("TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", "p6", "Tags.member.1.Value", fmt.Sprint(time.Now().UnixNano()))
		thaw()
		s.converge(30 * time.Second)
		now := s.Look(s.ctx)["eu-west-1a"]
		s.check(was != nil && now != nil && now.Index > was.Index, "it serves %v after %v", now, was)
		for _, region := range s.Regions() {
			a := s.callAt(s.Client(region), old, "sts", "GetCallerIdentity")
			s.check(a.Code() == "ExpiredToken", "a session that ended nine hours ago is answered %s in %s", a, region)
		}
	}},
	{id: "P7", name: "requests panic", shape: one, bugs: bugs(failpoint.NoPanicBarrier), do: func(s *run) {
		before := s.Pids(s.nodes()...)
		s.onAll("trouble " + string(failpoint.Panics))
		panics := 0
		for range 60 {
			switch a := s.call(s.cast.User, "sts", "GetCallerIdentity"); {
			case a.Status == 500 && a.Code() == "InternalFailure":
				panics++
			default:
				s.check(a.Status == 200, "one request's panic is another's: %s %s", a, a.Body)
			}
		}
		s.check(panics > 0, "nothing panicked")
		after := s.Pids(s.nodes()...)
		s.check(fmt.Sprint(before) == fmt.Sprint(after), "a process ended: %v, then %v", before, after)
	}},
	{id: "P9", name: "all nodes of a Region die at once while the control plane is gone", shape: zones, bugs: bugs(failpoint.NeedsControl, failpoint.NotDurable), long: true, do: func(s *run) {
		s.written("TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", "p9", "Tags.member.1.Value", fmt.Sprint(time.Now().UnixNano()))
		s.converge(30 * time.Second)
		was := s.Look(s.ctx)
		thaw := s.freeze(s.ControlNodes()...)
		s.under(&drill.Load{Retries: 1, Timeout: 20 * time.Second}, func() {
			s.kill(s.RegionNodes("")...)
			s.pass(time.Second)
		})
		s.until("all back", 30*time.Second, func() bool { return len(s.Look(s.ctx)) >= len(s.RegionNodes("")) })
		for node, now := range s.Look(s.ctx) {
			s.check(now.Index >= was[node].Index, "%s serves %d after %d", node, now.Index, was[node].Index)
		}
		thaw()
		s.converge(30 * time.Second)
	}},
	{id: "P10", name: "every process dies at once", shape: two, bugs: bugs(failpoint.NeverReconnects), do: func(s *run) {
		die := func(nodes ...string) {
			before := s.Pids(nodes...)
			for _, node := range nodes {
				err := s.Kill(node)
				s.check(err == nil, "%v", err)
			}
			s.replaced(before)
			s.converge(patience)
			s.made(s.cast.User, "iam", "GetUser", "UserName", s.cast.Name)
		}
		nodes := s.nodes()
		rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		die(nodes...)
		die("control") // whom all others follow by now
	}},
}

// replica is where a Region node keeps its copy.
func (s *run) replica(node string) string { return filepath.Join(s.Layout.Node(node), "replica") }

// stopsAt waits until a node has stopped at a point.
func (s *run) stopsAt(node string, p failpoint.Point) {
	line := "freeze " + string(p)
	s.on(node, line)
	s.until("stopped at "+string(p), patience, func() bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.Pids(node)[node]))
		_, after, _ := strings.Cut(string(b), ") ")
		return err == nil && strings.HasPrefix(after, "T")
	})
	s.lines[node] = slices.DeleteFunc(s.lines[node], func(l string) bool { return l == line }) // it took the line out itself
}

// diesAt has the control plane die at a point of a write, twice.
func diesAt(p failpoint.Point) func(*run) {
	return func(s *run) {
		s.ledger(func(l *drill.Ledger) {
			for range 2 {
				s.acked(l, 10)
				before := s.Pids("control")
				s.lines["control"] = append(s.lines["control"], "crash "+string(p))
				err := s.tell("control")
				s.must(err == nil, "%v", err)
				s.replaced(before)
				s.lines["control"] = s.lines["control"][:len(s.lines["control"])-1] // it took the line out itself
				s.acked(l, 10)
			}
		})
	}
}

// diesInSnapshot has a Region node fetch a snapshot, and die while it keeps it.
func diesInSnapshot(p failpoint.Point) func(*run) {
	return func(s *run) {
		s.on("us-east-1a", "crash "+string(p))
		for _, name := range []string{"snapshot", "packed"} {
			_ = os.WriteFile(filepath.Join(s.replica("us-east-1a"), name), []byte("nothing"), 0o600) // packed may not be there
		}
		before := s.Pids("us-east-1a")
		err := s.Kill("us-east-1a")
		s.must(err == nil, "%v", err)
		s.replaced(before)
		s.until("died at the point", patience, func() bool {
			b, err := os.ReadFile(filepath.Join(s.Layout.Node("us-east-1a"), failpoint.File))
			return err == nil && !strings.Contains(string(b), "crash ")
		})
		s.converge(30 * time.Second)
		s.made(s.cast.User, "iam", "GetUser", "UserName", s.cast.Name)
		s.freeze("control")
		s.kill("us-east-1a") // what it keeps now is good
		s.until("serving again", 20*time.Second, func() bool { return s.call(s.cast.User, "sts", "GetCallerIdentity").Status == 200 })
	}
}

// audited reads the indexes and commit times of a control-plane node's audit.
func (s *run) audited(node string) (indexes []uint64, times []int64) {
	files, _ := filepath.Glob(filepath.Join(s.Layout.Node(node), "audit", "*.jsonl"))
	for _, file := range files {
		b, err := os.ReadFile(file)
		s.must(err == nil, "%v", err)
		for _, text := range bytes.Split(bytes.TrimSpace(b), []byte("\n")) {
			var l struct {
				I      uint64
				Gap    bool
				Public struct{ T int64 }
			}
			if json.Unmarshal(text, &l) == nil && !l.Gap {
				indexes, times = append(indexes, l.I), append(times, l.Public.T)
			}
		}
	}
	return indexes, times
}

// auditWhole says that the audit comes to hold every index once, in order.
func (s *run) auditWhole() {
	s.until("the audit at the head", 20*time.Second, func() bool {
		all, _ := s.audited("control")
		head := s.Look(s.ctx)["control"]
		return head != nil && len(all) > 0 && all[len(all)-1] >= head.Index
	})
	all, _ := s.audited("control")
	for i, index := range all {
		if index != uint64(i)+1 {
			s.check(false, "the audit has index %d in place %d", index, i+1)
			break
		}
	}
	out, err := s.operator("audit", "verify")
	s.check(err == nil, "%v %s", err, out)
}
