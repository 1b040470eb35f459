package scenario

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
)

// readers are faults of who reads the feed, and of whom it is read from.
var readers = []scenario{
	{id: "N11", name: "sixty readers of the feed are slow, or read nothing", shape: two, bugs: bugs(failpoint.KeepsForSlow, failpoint.SendsLocked), long: true, do: slowReaders},
	{id: "N12", name: "what the nodes of a Region tell one that is cut off comes twice, in another order, in part, changed or cut", shape: zones, bugs: bugs(failpoint.OldBreaks, failpoint.BelievesBatches), long: true, tools: firewall, do: badPeers},
	{id: "F17", name: "a node without a copy finds a peer that is behind, and then peers that lie", shape: zones, bugs: bugs(failpoint.ForgetsLoss, failpoint.BelievesWhole), long: true, tools: firewall, do: badStart},
}

// follow opens a stream of the feed in a Region node's name.
func (s *run) follow(node string, hello *peerpb.Hello) grpc.BidiStreamingClient[peerpb.Up, peerpb.Down] {
	keys, err := keyring.LoadNodeKeys(filepath.Join(s.Layout.Node(node), "node.key"))
	s.must(err == nil, "%v", err)
	conn, err := peer.Dial(s.Addresses.Control.Peer, keys.TLS(), func(ed25519.PublicKey) bool { return true })
	s.must(err == nil, "%v", err)
	s.heals = append(s.heals, func() { _ = conn.Close() })
	stream, err := peerpb.NewFeedClient(conn).Follow(s.ctx)
	s.must(err == nil, "%v", err)
	s.must(stream.Send(&peerpb.Up{Hello: hello}) == nil, "a stream does not begin")
	return stream
}

// mayGrow is by how much a process may grow while others are slow: a few of its
// own garbage collections, and a tenth of what would be kept for them.
const mayGrow = 96 << 20

// slowReaders has readers that take nothing, or a message a second. What a slow one
// has not taken is not kept, it is told so, and nobody else waits for it.
func slowReaders(s *run) {
	head := s.Look(s.ctx)["control"]
	s.must(head != nil, "the control plane does not answer")
	lost, before := s.lost(), s.resident("control")
	var idle []grpc.BidiStreamingClient[peerpb.Up, peerpb.Down]
	for n := range 60 {
		hello := &peerpb.Hello{Lineage: head.Lineage, Index: head.Index, Format: 1}
		if n%10 == 0 {
			hello = &peerpb.Hello{Format: 1} // it asks for all
		}
		stream := s.follow("eu-west-1a", hello)
		if n%10 != 1 {
			idle = append(idle, stream)
			continue
		}
		go func() {
			for _, err := stream.Recv(); err == nil; _, err = stream.Recv() {
				s.pass(time.Second)
			}
		}()
	}
	text := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"drill:Read","Resource":"arn:aws:drill:::%s"}}`
	s.under(&drill.Load{}, func() {
		for range 200 {
			a := s.callAt(s.controlClient(0), s.admin, "iam", "PutRolePolicy", "RoleName", s.cast.Name, "PolicyName", "n11", "PolicyDocument", fmt.Sprintf(text, strings.Repeat("a", 9000)))
			s.must(a.Status == 200, "PutRolePolicy: %s %s", a, a.Body)
		}
		s.pass(6 * time.Second)
		now := s.resident("control")
		s.check(now-before < mayGrow, "the control plane grew from %d to %d MiB", before>>20, now>>20)
	})
	for n, stream := range idle {
		took, err := drain(stream)
		s.must(status.Code(err) == codes.ResourceExhausted, "slow reader %d is told %v after %d messages", n, err, took)
	}
	s.check(s.lost() == lost, "somebody else lost the stream")
	s.made(s.admin, "iam", "DeleteRolePolicy", "RoleName", s.cast.Name, "PolicyName", "n11")
	s.converge(30 * time.Second)
}

// drain reads what is left of a stream, for some seconds.
func drain(stream grpc.BidiStreamingClient[peerpb.Up, peerpb.Down]) (int, error) {
	var took atomic.Int64
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := stream.Recv(); err != nil {
				ended <- err
				return
			}
			took.Add(1)
		}
	}()
	select {
	case err := <-ended:
		return int(took.Load()), err
	case <-time.After(5 * time.Second):
		return int(took.Load()), context.DeadlineExceeded
	}
}

// resident is how much memory a node's process has, in bytes.
func (s *run) resident(node string) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.Pid(node)))
	s.must(err == nil, "%v", err)
	var size, pages int
	_, err = fmt.Sscan(string(b), &size, &pages)
	s.must(err == nil, "%v", err)
	return pages * os.Getpagesize()
}

// badPeers has a node live by its peers alone, which serve the feed badly. What it
// serves is a state that was, at each index, and in the end the newest.
func badPeers(s *run) {
	const node = "us-east-1b"
	peers := []string{"us-east-1a", "us-east-1c"}
	defer s.compared()()
	for _, t := range []failpoint.Trouble{failpoint.FeedDuplicates, failpoint.FeedReorders, failpoint.FeedDrops, failpoint.FeedCorrupts, failpoint.FeedCuts} {
		heal := s.cut(&drill.Cut{Nodes: []string{node}, From: s.ControlNodes()})
		s.until("it follows nobody", 20*time.Second, func() bool { n := s.Look(s.ctx)[node]; return n != nil && !n.Connected })
		s.onAll("trouble "+string(t), peers...)
		s.under(&drill.Load{Rate: 20, Retries: 1, Timeout: 10 * time.Second}, func() {
			for range 30 { // one after the other: each is a batch
				s.tagged("n12")
			}
			if t == failpoint.FeedDuplicates { // no reason to stop
				s.level(node, peers[0], 10*time.Second)
			}
			s.off("trouble ")
			s.tagged("n12")
			s.level(node, peers[0], 75*time.Second) // it leaves a peer aside that lied, for longer each time
		})
		heal()
		s.converge(30 * time.Second)
	}
}

// tagged makes one change through a control-plane node, whichever takes it.
func (s *run) tagged(key string) {
	n := 0
	s.until("a change made", patience, func() bool {
		n++
		a := s.callAt(s.controlClient(n%len(s.ControlNodes())), s.admin, "iam", "TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", key, "Tags.member.1.Value", fmt.Sprint(time.Now().UnixNano()))
		return a.Status == 200
	})
}

// level waits until a node has what another has now.
func (s *run) level(node, other string, within time.Duration) {
	was := s.Look(s.ctx)[other]
	s.must(was != nil, "%s does not answer", other)
	s.until(node+" level with "+other, within, func() bool { n := s.Look(s.ctx)[node]; return n != nil && n.Index >= was.Index })
}

// compared looks at all nodes until it is told otherwise: two that are at one index
// have one state.
func (s *run) compared() (end func()) {
	ctx, cancel := context.WithCancel(s.ctx)
	states, ended := map[string]string{}, make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			for node, n := range s.Look(ctx) {
				if known := states[n.Revision]; known != "" && known != n.Digest {
					s.check(false, "at %s %s has a state that nobody else has", n.Revision, node)
					return
				}
				states[n.Revision] = n.Digest
			}
			s.pass(150 * time.Millisecond)
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// badStart has a node lose its copy while the control plane is away and its only
// peer is behind what it had served; and then start like a new one, with two peers
// that send another state than they have.
func badStart(s *run) {
	const node = "us-east-1c"
	heal := s.cut(&drill.Cut{Nodes: []string{"us-east-1a"}, From: append(s.ControlNodes(), "us-east-1b", node)})
	s.until("us-east-1a follows nobody", 20*time.Second, func() bool { n := s.Look(s.ctx)["us-east-1a"]; return n != nil && !n.Connected })
	for range 5 {
		s.tag(s.controlClient(0), "f17")
	}
	s.level(node, s.ControlNodes()[0], 20*time.Second)
	was := s.Look(s.ctx)[node]
	thaw := s.freeze(append(s.ControlNodes(), "us-east-1b")...)
	s.bare(node, "replica")
	heal()
	for begun := time.Now(); time.Since(begun) < 5*time.Second; s.pass(150 * time.Millisecond) {
		now := s.Look(s.ctx)[node]
		s.must(now == nil || now.Index == 0 || now.Index >= was.Index, "%s serves what a peer has, an older state than it served before", node)
	}
	thaw()
	s.converge(patience)

	heal = s.cut(&drill.Cut{Nodes: []string{node}, From: s.ControlNodes()})
	s.onAll("trouble "+string(failpoint.FeedCorrupts), "us-east-1a", "us-east-1b")
	defer s.compared()()
	s.bare(node, "replica", "served")
	s.under(&drill.Load{Retries: 1}, func() {
		for begun := time.Now(); time.Since(begun) < 5*time.Second; s.pass(150 * time.Millisecond) {
			now := s.Look(s.ctx)[node]
			s.must(now == nil || now.Index == 0, "%s serves what peers that lie have sent", node)
		}
		s.off("trouble ")
		s.level(node, "us-east-1a", startPatience) // from a peer still
	})
	heal()
	s.converge(30 * time.Second)
}

// bare ends a node, takes files of its directory away and has it start.
func (s *run) bare(node string, names ...string) {
	before := s.Pids(node)
	thaw := s.freeze(node) // it writes nothing between
	for _, name := range names {
		err := os.RemoveAll(filepath.Join(s.Layout.Node(node), name))
		s.must(err == nil, "%v", err)
	}
	s.must(s.Kill(node) == nil, "kill")
	thaw()
	s.replaced(before)
}
