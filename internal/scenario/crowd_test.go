package scenario

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

// crowds are faults of those who open connections and do nothing with them.
var crowds = []scenario{
	{id: "N15", name: "thousands of connections say nothing, say it slowly, or stop in their handshake", shape: one, bugs: bugs(failpoint.WaitsForSlow), long: true, early: true, do: held},
}

// held has strangers hold connections. Others are served meanwhile, and each of
// the strangers is hung up on.
func held(s *run) {
	api, peer := strings.TrimPrefix(s.Client("").Base, "http://"), s.Addresses.Control.Peer
	before := s.files("us-east-1a") + s.files("control")
	hello := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" // a ClientHello of 512 bytes, of which no more comes
	kinds := []*strangers{
		{what: "say nothing", to: api, n: 5000},
		{what: "send their header a byte a second", to: api, n: 400, first: "POST / HTTP/1.1\r\nX-Slow: ", then: "a"},
		{what: "send their body a byte a second", to: api, n: 400, first: "POST / HTTP/1.1\r\nHost: holdfast\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000\r\n\r\n", then: "a"},
		{what: "say nothing to the listener for nodes", to: peer, n: 400},
		{what: "stop in their handshake", to: peer, n: 400, first: hello},
		{what: "send their handshake a byte a second", to: peer, n: 400, first: hello, then: "\x00"},
	}
	s.under(&drill.Load{}, func() {
		for _, k := range kinds {
			k.come(s)
		}
		s.tag(s.Client(""), "n15") // by the control plane's listener for nodes
		for _, k := range kinds {
			begun := time.Now()
			for k.gone.Load() < int64(k.n) && time.Since(begun) < 30*time.Second {
				s.pass(50 * time.Millisecond)
			}
			s.must(k.gone.Load() == int64(k.n), "%d of %d that %s were hung up on", k.gone.Load(), k.n, k.what)
		}
	})
	s.until("their descriptors given back", 20*time.Second, func() bool { return s.files("us-east-1a")+s.files("control") < before+100 })
	s.converge(30 * time.Second)
}

// strangers are connections of one kind.
type strangers struct {
	what, to    string
	n           int
	first, then string // what they send at once, and each second
	gone        atomic.Int64
}

// come opens them. They go when they are hung up on.
func (k *strangers) come(s *run) {
	for range k.n {
		conn, err := net.Dial("tcp", k.to)
		s.must(err == nil, "one that would %s cannot connect: %v", k.what, err)
		s.heals = append(s.heals, func() { conn.Close() })
		_, _ = fmt.Fprint(conn, k.first)
		go func() {
			b := make([]byte, 512)
			for _, err := conn.Read(b); err == nil; _, err = conn.Read(b) { // it may be told why
			}
			k.gone.Add(1)
			conn.Close()
		}()
		if k.then != "" {
			go func() {
				for err := error(nil); err == nil; _, err = fmt.Fprint(conn, k.then) {
					s.pass(time.Second)
				}
			}()
		}
	}
}

// files is how many descriptors a node has open.
func (s *run) files(node string) int {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.Pid(node)))
	s.must(err == nil, "%v", err)
	return len(list)
}
