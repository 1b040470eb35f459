package scenario

import (
	"fmt"
	"time"

	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

var clocks = []scenario{
	{id: "C1", name: "the clock of one node of a Region jumps an hour, then ten years ahead", shape: zones, bugs: bugs(failpoint.NeverYields), long: true, own: true, do: func(s *run) {
		for _, off := range []time.Duration{time.Hour, 10 * 365 * 24 * time.Hour} {
			s.aside("us-east-1b", off)
			s.under(&drill.Load{Rate: 100}, func() { s.pass(3 * time.Second) })
			s.clock(0, "us-east-1b")
			s.converge(30 * time.Second)
		}
	}},
	{id: "C5", name: "the clocks of a Region's nodes are six minutes apart, either way", shape: zones, bugs: bugs(failpoint.NeverYields), long: true, own: true, do: func(s *run) {
		s.aside("us-east-1b", 6*time.Minute)
		s.aside("us-east-1c", -6*time.Minute)
		s.under(&drill.Load{Rate: 100}, func() { s.pass(3 * time.Second) })
		s.clock(0, "us-east-1b", "us-east-1c")
		s.converge(30 * time.Second)
	}},
	{id: "C2", name: "a Region's clock goes back an hour", shape: one, bugs: bugs(failpoint.NoTimeFloor), long: true, own: true, do: func(s *run) {
		short := s.shortSession()
		s.passed(20*time.Minute, s.everybody()...)
		s.settled("c2") // its commit time raises the floor
		s.converge(10 * time.Second)
		s.expired(short)
		s.clock(-time.Hour, "us-east-1a", "clients")
		s.expired(short)
		s.check(s.call(s.cast.User, "sts", "GetCallerIdentity").Status == 200, "a key is not accepted")
	}},
	{id: "C2b", name: "a Region starts with its clock an hour back, and nobody to follow", shape: one, bugs: bugs(failpoint.NoTimeFloor), long: true, own: true, do: func(s *run) {
		short := s.shortSession()
		s.passed(20*time.Minute, s.everybody()...)
		s.settled("c2b")
		s.converge(10 * time.Second)
		s.freeze("control")
		s.clock(-3*time.Minute, "us-east-1a", "clients")
		s.kill("us-east-1a")
		s.until("serving again", 20*time.Second, func() bool { return s.call(s.cast.User, "sts", "GetCallerIdentity").Status == 200 })
		s.clock(-20*time.Minute, "us-east-1a", "clients")
		s.expired(short)
	}},
	{id: "C4", name: "a Region's machine starts in 1970 with nobody to follow", shape: one, bugs: bugs(failpoint.FloorForgotten, failpoint.NoTimeFloor), long: true, own: true, do: func(s *run) {
		short := s.shortSession()
		s.passed(20*time.Minute, s.everybody()...)
		s.settled("c4")
		s.converge(10 * time.Second)
		s.expired(short)
		s.freeze("control")
		s.clock(-time.Since(time.Unix(0, 0)), "us-east-1a", "clients")
		s.kill("us-east-1a")
		s.until("serving again", 20*time.Second, func() bool { return s.call(s.cast.User, "sts", "GetCallerIdentity").Status == 200 })
		s.expired(short)
	}},
	{id: "C7a", name: "midnight passes under load", shape: two, bugs: bugs(failpoint.KeyForAnyDay), long: true, own: true, do: func(s *run) { across(s, midnight(time.Now(), 1)) }},
	{id: "C7b", name: "the year ends under load", shape: two, bugs: bugs(failpoint.KeyForAnyDay), own: true, long: true, do: func(s *run) {
		now := time.Now().UTC()
		across(s, time.Date(now.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC))
	}},
	{id: "C8", name: "the control plane's clock goes back an hour", shape: one, bugs: bugs(failpoint.CommitTimeBack), long: true, own: true, do: func(s *run) {
		s.settled("c8")
		s.clock(-time.Hour, "control", "clients")
		s.doubted()
		s.clock(0, "control", "clients")
		s.doubted()
		s.converge(30 * time.Second)
		s.auditWhole()
		_, times := s.audited("control")
		for i := 1; i < len(times); i++ {
			s.check(times[i] >= times[i-1], "commit time %d follows %d", times[i], times[i-1])
		}
	}},
	{id: "C9", name: "the control plane's clock jumps ten years ahead, commits, and comes back", shape: two, bugs: bugs(failpoint.FloorFollows), long: true, own: true, do: func(s *run) {
		s.clock(10*365*24*time.Hour, "control", "clients")
		s.doubted()
		s.clock(0, "control", "clients")
		s.converge(30 * time.Second)
		s.under(&drill.Load{}, func() { s.pass(2 * time.Second) })
	}},
}

// aside sets a node's clock wrong, and waits until it says so.
func (s *run) aside(node string, off time.Duration) {
	s.clock(off, node)
	s.until(node+" is not ready", 20*time.Second, func() bool { n := s.Look(s.ctx)[node]; return n != nil && !n.Ready })
	s.pass(time.Second) // connections of before are left
}

// doubted waits until a control plane whose clock was set takes a change again:
// it does not believe its clock for a minute.
func (s *run) doubted() {
	refused := false
	s.until("taking changes", 3*time.Minute, func() bool {
		a := s.callAt(s.controlClient(0), s.admin, "iam", "TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", "c", "Tags.member.1.Value", fmt.Sprint(time.Now().UnixNano()))
		refused = refused || a.Status == 503
		return a.Status == 200
	})
	s.check(refused, "a clock that was just set was believed")
}

// settled is a change that is taken, although nodes whose clock jumped have to
// hear of the control plane first.
func (s *run) settled(key string) {
	s.written("TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", key, "Tags.member.1.Value", fmt.Sprint(time.Now().UnixNano()))
}

// midnight is the nth midnight from a time on, in UTC.
func midnight(from time.Time, n int) time.Time {
	return from.UTC().Truncate(24*time.Hour).AddDate(0, 0, n)
}

// across lets the time pass a moment under load.
func across(s *run, moment time.Time) {
	s.passed(time.Until(moment)-3*time.Second, s.everybody()...)
	s.cast.Session = s.session("us-east-1")
	s.under(&drill.Load{Rate: 100}, func() { s.pass(6 * time.Second) })
}

// shortSession is a session of fifteen minutes.
func (s *run) shortSession() drill.Credential {
	return s.made(s.cast.User, "sts", "AssumeRole", "RoleArn", s.cast.RoleARN(), "RoleSessionName", "short", "DurationSeconds", "900").Credential()
}

func (s *run) expired(c drill.Credential) {
	a := s.call(c, "sts", "GetCallerIdentity")
	s.check(a.Code() == "ExpiredToken", "a session that has ended is answered %s", a)
}
