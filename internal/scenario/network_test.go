package scenario

import (
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
)

// firewall are the tools of scenarios that cut connections.
var firewall = []string{"nft", "ip", "ps"}

var networks = []scenario{
	{id: "N1", name: "a Region is cut off for 72 hours", shape: two, bugs: bugs(failpoint.StopsWhenSilent, failpoint.NeverReconnects), own: true, long: true, tools: firewall, do: func(s *run) { cutOff(s, 12, 6*time.Hour) }},
	{id: "N2a", name: "a Region hears the control plane and is not heard", shape: two, bugs: bugs(failpoint.NeverReconnects), long: true, tools: firewall, do: oneWay(drill.ToThem)},
	{id: "N2b", name: "a Region is heard by the control plane and hears nothing", shape: two, bugs: bugs(failpoint.StopsWhenSilent, failpoint.NeverReconnects), tools: firewall, do: oneWay(drill.ToUs)},
	{id: "N3", name: "one node of a Region is cut off from the control plane", shape: zones, bugs: bugs(failpoint.NeverReconnects), long: true, tools: firewall, do: func(s *run) {
		heal := s.cut(&drill.Cut{Nodes: []string{"us-east-1b"}, From: s.ControlNodes()})
		s.under(&drill.Load{Retries: 1}, func() {
			s.until("the node follows nobody", 20*time.Second, func() bool { n := s.Look(s.ctx)["us-east-1b"]; return n != nil && !n.Connected })
			s.written("TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", "n3", "Tags.member.1.Value", fmt.Sprint(time.Now().UnixNano()))
			s.pass(4 * time.Second)
		})
		heal()
		s.converge(30 * time.Second)
	}},
	{id: "N4", name: "the node that sequences is isolated", shape: zones, bugs: bugs(failpoint.RelayWaits), long: true, tools: firewall, do: func(s *run) {
		s.ledger(func(l *drill.Ledger) {
			s.acked(l, 10)
			name, term := s.Sequencer(s.ctx)
			var others []string
			for _, n := range s.nodes() {
				if n != name {
					others = append(others, n)
				}
			}
			heal := s.cut(&drill.Cut{Nodes: []string{name}, From: others})
			s.until("a write acknowledged through another node", 7*time.Second, func() bool {
				_, last := l.Acked()
				_, now := s.Sequencer(s.ctx)
				return now > term && time.Since(last) < time.Second
			})
			s.acked(l, 10)
			heal()
			s.acked(l, 10)
		})
	}},
	{id: "N7", name: "a link loses most of its packets", shape: two, bugs: bugs(failpoint.NeverReconnects), long: true, tools: firewall, do: func(s *run) {
		s.ledger(func(l *drill.Ledger) {
			heal := s.cut(&drill.Cut{Nodes: []string{"eu-west-1a"}, From: s.ControlNodes(), Lossy: 95})
			s.under(&drill.Load{}, func() {
				s.acked(l, 20)
				s.until("the stream is lost", 40*time.Second, func() bool { n := s.Look(s.ctx)["eu-west-1a"]; return n != nil && !n.Connected })
			})
			heal()
		})
	}},
	{id: "N9", name: "the connections of a Region are reset, again and again", shape: two, bugs: bugs(failpoint.NeverReconnects), long: true, tools: firewall, do: func(s *run) {
		s.ledger(func(l *drill.Ledger) {
			for range 3 {
				heal := s.cut(&drill.Cut{Nodes: []string{"eu-west-1a"}, From: s.ControlNodes(), Reset: true})
				s.acked(l, 10)
				s.pass(500 * time.Millisecond)
				heal()
				s.acked(l, 10)
			}
		})
	}},
	{id: "N10", name: "a connection is half open", shape: two, bugs: bugs(failpoint.NoSilenceLimit), tools: firewall, do: func(s *run) {
		heal := s.cut(&drill.Cut{Nodes: []string{"eu-west-1a"}, From: s.ControlNodes(), Link: drill.ToUs})
		s.until("noticed", 10*time.Second, func() bool { n := s.Look(s.ctx)["eu-west-1a"]; return n != nil && !n.Connected })
		a := s.callAt(s.Client("eu-west-1"), s.admin, "iam", "TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", "n10", "Tags.member.1.Value", "v")
		s.check(a.Status == 503 && a.Code() == "ServiceUnavailable", "a write into a connection that is half open: %s", a)
		heal()
		s.converge(30 * time.Second)
	}},
	{id: "N13", name: "there is no DNS", shape: one, bugs: bugs(failpoint.NeedsDNS), do: func(s *run) { // the network of these tests has no resolver at all
		_, err := net.DefaultResolver.LookupHost(s.ctx, "holdfast.example.com")
		s.must(err != nil, "a name was found")
		s.under(&drill.Load{}, func() { s.pass(2 * time.Second) })
		s.kill("us-east-1a")
		s.under(&drill.Load{Retries: 1}, func() { s.pass(time.Second) })
	}},
	{id: "N14", name: "strangers speak to the listener for nodes", shape: one, bugs: bugs(failpoint.AnyPeer), do: func(s *run) {
		address := s.Addresses.Control.Peer
		_, key, err := ed25519.GenerateKey(nil)
		s.must(err == nil, "%v", err)
		conn, err := peer.Dial(address, key, func(ed25519.PublicKey) bool { return true })
		s.must(err == nil, "%v", err)
		defer conn.Close()
		stream, err := peerpb.NewFeedClient(conn).Follow(s.ctx)
		if err == nil {
			_ = stream.Send(&peerpb.Up{Hello: &peerpb.Hello{}})
			_, err = stream.Recv()
		}
		s.check(err != nil, "a stranger's key is sent the state")
		_, err = tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
		s.check(err != nil, "TLS 1.2 is spoken")
		plain, err := net.Dial("tcp", address)
		s.must(err == nil, "%v", err)
		defer plain.Close()
		_, _ = fmt.Fprint(plain, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		_ = plain.SetReadDeadline(time.Now().Add(20 * time.Second))
		b := make([]byte, 9)
		n, _ := plain.Read(b)
		s.check(n == 0 || b[0] == 21, "plain text is answered %q", b[:n]) // 21 is a TLS alert
	}},
	{id: "N16", name: "a node of a Region is a black hole", shape: zones, bugs: bugs(failpoint.NoBound), long: true, do: func(s *run) {
		thaw := s.freeze("us-east-1c")
		s.under(&drill.Load{Retries: 1, Timeout: 3 * time.Second}, func() {
			s.until("a write answered", 20*time.Second, func() bool {
				a := s.call(s.admin, "iam", "TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", "n16", "Tags.member.1.Value", fmt.Sprint(time.Now().UnixNano()))
				return a.Status == 200 && a.Header.Get("X-Holdfast-Applied") != "all"
			})
			s.pass(2 * time.Second)
		})
		thaw()
		s.converge(30 * time.Second)
	}},
}

// oneWay cuts a Region off in one direction.
func oneWay(link drill.Link) func(*run) {
	return func(s *run) {
		heal := s.cut(&drill.Cut{Nodes: []string{"eu-west-1a"}, From: s.ControlNodes(), Link: link})
		s.ledger(func(l *drill.Ledger) {
			s.under(&drill.Load{}, func() {
				s.acked(l, 10)
				s.pass(5 * time.Second)
			})
			heal()
			s.acked(l, 10)
		})
	}
}

// cutOff cuts a Region off while the time goes on in steps.
func cutOff(s *run, steps int, step time.Duration) {
	heal := s.cut(&drill.Cut{Nodes: []string{"eu-west-1a"}, From: s.ControlNodes()})
	s.until("it follows nobody", 20*time.Second, func() bool { n := s.Look(s.ctx)["eu-west-1a"]; return n != nil && !n.Connected })
	for n := range steps {
		s.passed(time.Duration(n+1)*step, s.everybody()...)
		ended := s.cast.Session
		s.cast.Session = s.session("eu-west-1") // made while cut off, and good in both Regions
		s.under(&drill.Load{Rate: 100}, func() { s.pass(700 * time.Millisecond) })
		for _, region := range s.Regions() {
			a := s.callAt(s.Client(region), ended, "sts", "GetCallerIdentity")
			s.check(a.Code() == "ExpiredToken", "a session that has ended is answered %s in %s", a, region)
		}
	}
	s.written("TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", "n1", "Tags.member.1.Value", fmt.Sprint(time.Now().UnixNano()))
	heal()
	s.converge(30 * time.Second)
}

// session is a session of the cast's role, made in a Region.
func (s *run) session(region string) drill.Credential {
	a := s.callAt(s.Client(region), s.cast.User, "sts", "AssumeRole", "RoleArn", s.cast.RoleARN(), "RoleSessionName", "drill")
	s.must(a.Status == 200, "AssumeRole in %s: %s", region, a)
	return a.Credential()
}
