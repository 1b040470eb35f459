package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

// links are faults of a way that is long: this kernel may have no netem, so a
// proxy that connections are turned to holds back what comes.
var links = []scenario{
	{id: "N6", name: "the control plane is 50 to 300 ms away from the Regions, there and back", shape: two, bugs: bugs(failpoint.LockStep, failpoint.NoWait), long: true, tools: []string{"nft", "ps"}, do: farAway},
}

// farAway has the Regions far from the control plane. Nothing fails; what a write
// says is true; and a Region is behind by the way's length, however many writes
// are on it.
func farAway(s *run) {
	end := s.delay(s.Addresses.Control.Peer, 25*time.Millisecond, 150*time.Millisecond)
	s.kill(s.RegionNodes("")...) // they come by the proxy now
	s.converge(patience)
	lost := s.lost()
	s.under(&drill.Load{}, func() {
		for n := range 20 {
			key := fmt.Sprint("n6-", n)
			a := s.tag(s.Client("us-east-1"), key)
			here := s.callAt(s.Client("eu-west-1"), s.admin, "iam", "ListUserTags", "UserName", s.cast.Name)
			s.check(a.Header.Get("X-Holdfast-Applied") != "all" || strings.Contains(string(here.Body), key), "a write was answered, and is not where it was said to be")
		}
		for range 200 { // each a batch of its own
			s.tag(s.controlClient(0), "n6")
		}
		s.level("eu-west-1a", "control", 10*time.Second)
		s.level("us-east-1a", "control", 10*time.Second)
	})
	s.check(s.lost() == lost, "a stream was lost only because it is long")
	end()
	s.kill(s.RegionNodes("")...)
	s.converge(patience)
}

// mark is on the proxy's own connections, which are not turned to it again.
const mark = 77

// delay turns new connections to an address to a proxy that holds each way's bytes
// back for between least and most, until it is told otherwise.
func (s *run) delay(address string, least, most time.Duration) (end func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err == nil, "%v", err)
	_, port, _ := net.SplitHostPort(address)
	_, to, _ := net.SplitHostPort(listener.Addr().String())
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf("table inet scenario_delay {\n chain out {\n  type nat hook output priority -100; policy accept;\n  tcp dport %s meta mark != %d redirect to :%s\n }\n}\n", port, mark, to))
	out, err := cmd.CombinedOutput()
	s.must(err == nil, "%v %s", err, out)
	ctx, cancel := context.WithCancel(s.ctx)
	end = sync.OnceFunc(func() {
		_ = exec.Command("nft", "delete", "table", "inet", "scenario_delay").Run() // it ends with these tests otherwise
		listener.Close()
		cancel()
	})
	s.heals = append(s.heals, end)
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go far(ctx, near, address, least, most)
		}
	}()
	return end
}

// far carries one connection, until ctx ends.
func far(ctx context.Context, near net.Conn, address string, least, most time.Duration) {
	defer near.Close()
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		failed := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_MARK, mark) })
		if failed != nil {
			return failed
		}
		return err
	}}
	away, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer away.Close()
	stop := context.AfterFunc(ctx, func() { near.Close(); away.Close() })
	defer stop()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, away}, {away, near}} {
		both.Go(func() {
			late(way[0], way[1], least, most)
			near.Close() // one end is the end of both
			away.Close()
		})
	}
	both.Wait()
}

// late carries bytes one way, in their order.
func late(from, to net.Conn, least, most time.Duration) {
	type piece struct {
		bytes []byte
		due   time.Time
	}
	pieces := make(chan piece, 1024)
	go func() {
		defer close(pieces)
		var due time.Time
		for {
			b := make([]byte, 32<<10)
			n, err := from.Read(b)
			if n > 0 {
				if next := time.Now().Add(least + rand.N(most-least)); next.After(due) {
					due = next
				}
				pieces <- piece{b[:n], due}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		<-time.After(time.Until(p.due))
		if _, err := to.Write(p.bytes); err != nil {
			from.Close()
			for range pieces { // until its reader has seen that
			}
			return
		}
	}
}
