package scenario

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

var feeds = []scenario{
	{id: "F1", name: "each batch comes twice", shape: one, bugs: bugs(failpoint.OldBreaks), do: func(s *run) {
		was := s.lost()
		badFeed(s, failpoint.FeedDuplicates, func() {})
		s.check(s.lost() == was, "what came twice ended the stream")
	}},
	{id: "F2", name: "batches come in another order", shape: one, bugs: bugs(failpoint.SkipsBatches), long: true, do: func(s *run) {
		badFeed(s, failpoint.FeedReorders, func() {})
	}},
	{id: "F3", name: "batches do not come", shape: one, bugs: bugs(failpoint.SkipsBatches), do: func(s *run) { badFeed(s, failpoint.FeedDrops, func() {}) }},
	{id: "F4", name: "batches come with another byte in them", shape: one, bugs: bugs(failpoint.BelievesBatches, failpoint.SkipsBatches), do: func(s *run) {
		badFeed(s, failpoint.FeedCorrupts, s.alarmed)
	}},
	{id: "F5", name: "batches are not signed by who they say", shape: one, bugs: bugs(failpoint.BelievesBatches), do: func(s *run) { badFeed(s, failpoint.FeedForges, s.alarmed) }},
	{id: "F6", name: "batches are of another lineage", shape: one, bugs: bugs(failpoint.BelievesBatches), long: true, do: func(s *run) { badFeed(s, failpoint.FeedForeign, s.alarmed) }},
	{id: "F7", name: "a Region is further behind than what is kept for it", shape: two, bugs: bugs(failpoint.ResumesAnyway), long: true, tools: firewall, do: func(s *run) {
		heal := s.cut(&drill.Cut{Nodes: []string{"eu-west-1a"}, From: s.ControlNodes()})
		s.under(&drill.Load{}, func() { // both Regions answer all the time, this one also while it fetches a snapshot
			for range 1100 {
				s.tag(s.controlClient(0), "f7")
			}
			heal()
			s.converge(30 * time.Second)
		})
	}},
	{id: "F10", name: "a record is larger than any may be", shape: one, bugs: bugs(failpoint.NoSizeLimit), do: func(s *run) {
		big := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get","Resource":"` + strings.Repeat("a", 100_000) + `"}}`
		a := s.call(s.admin, "iam", "PutUserPolicy", "UserName", s.cast.Name, "PolicyName", "big", "PolicyDocument", big)
		s.check(a.Status >= 400 && a.Status < 500, "a policy of 100 kB: %s", a)
		a = s.call(s.admin, "iam", "PutUserPolicy", "UserName", s.cast.Name, "PolicyName", "big", "PolicyDocument", strings.Repeat(big, 6))
		s.check(a.Status == 413, "a body of 600 kB: %s", a)
		s.announced(600 << 20)
		s.written("TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", "f10", "Tags.member.1.Value", fmt.Sprint(time.Now().UnixNano()))
		s.converge(10 * time.Second)
	}},
	{id: "F15", name: "a node is slow to apply", shape: two, bugs: bugs(failpoint.NeverLeaves, failpoint.NoWait), long: true, do: func(s *run) {
		s.waitedFor("control", 2)
		s.on("eu-west-1a", "trouble "+string(failpoint.SlowApply))
		begun := time.Now()
		a := s.tag(s.Client("us-east-1"), "f15")
		took := time.Since(begun)
		eu := s.callAt(s.Client("eu-west-1"), s.admin, "iam", "ListUserTags", "UserName", s.cast.Name)
		s.check(a.Header.Get("X-Holdfast-Applied") != "all" || strings.Contains(string(eu.Body), "f15"), "a write was answered, and is not where it was said to be")
		s.check(a.Header.Get("X-Holdfast-Applied") == "all" || took > 400*time.Millisecond, "a node of the set is named as missing after %s, without being waited for", took)
		s.until("no longer waited for", 30*time.Second, func() bool {
			s.tag(s.Client("us-east-1"), "f15")
			c := s.Look(s.ctx)["control"]
			return c != nil && len(c.InSync) == 1
		})
		s.off("trouble ")
		s.converge(30 * time.Second)
	}},
}

// announced says that a body of so many bytes comes, and must be told at once
// that it is not wanted.
func (s *run) announced(n int) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.Client("").Base, "http://"))
	s.must(err == nil, "%v", err)
	defer conn.Close()
	_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: holdfast\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n", n)
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 12)
	_, err = io.ReadFull(conn, b)
	s.check(err == nil && string(b) == "HTTP/1.1 413", "a body of %d bytes that is announced is answered %q %v", n, b, err)
}

// waitedFor waits until the node that sequences waits for so many nodes: on a busy
// machine some have left since they started.
func (s *run) waitedFor(sequencer string, n int) {
	s.until(fmt.Sprint(n, " nodes waited for"), patience, func() bool { c := s.Look(s.ctx)[sequencer]; return c != nil && len(c.InSync) == n })
}

// lost counts how often a stream was lost.
func (s *run) lost() string {
	out, _ := exec.Command("sh", "-c", `cat "$0"/logs/* | grep -c 'not following the control plane'`, s.Layout.Dir).Output()
	return string(out)
}

// tag makes one change, which must be taken.
func (s *run) tag(c *drill.Client, key string) *drill.Answer {
	a := s.callAt(c, s.admin, "iam", "TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", key, "Tags.member.1.Value", fmt.Sprint(time.Now().UnixNano()))
	s.must(a.Status == 200, "TagUser: %s %s", a, a.Body)
	return a
}

// burst makes changes, some at a time.
func (s *run) burst(n int) {
	c := s.controlClient(0)
	c.HTTP = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() {
			for range n / 4 {
				// A disk that stands still for a moment is no fault of the feed: a 503 is no answer.
				a := s.callAt(c, s.admin, "iam", "TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", fmt.Sprint("b", i), "Tags.member.1.Value", fmt.Sprint(time.Now().UnixNano()))
				s.check(a.Status == 200 || a.Status == 503, "TagUser: %s", a)
			}
		})
	}
	wait.Wait()
}

// badFeed has the feed go wrong under writes. Reads go on, and afterwards the
// state is the same everywhere.
func badFeed(s *run, t failpoint.Trouble, meanwhile func()) {
	s.on("control", "trouble "+string(t))
	s.under(&drill.Load{}, func() {
		s.burst(60)
		meanwhile()
	})
	s.off("trouble ")
	s.tag(s.controlClient(0), "after")
	s.converge(30 * time.Second)
}

// alarmed waits until the node says that it refuses what it is sent.
func (s *run) alarmed() {
	s.until("alarmed", 10*time.Second, func() bool {
		s.tag(s.controlClient(0), "alarm")
		n := s.Look(s.ctx)["us-east-1a"]
		return n != nil && n.Why != ""
	})
}
