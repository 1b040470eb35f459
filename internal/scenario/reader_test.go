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
		s.check(status.Code(err) == codes.ResourceExhausted, "slow reader %d is told %v after %d messages", n, err, took)
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
