package node

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

// yieldEach is how often a node that accepts on a shared socket asks whether it
// still should.
const yieldEach = 200 * time.Millisecond

// yielding is a socket that the nodes of a Region accept on together, as one of
// them sees it: while this one is to take no requests and another one does, it
// leaves new connections to that. Behind a balancer the balancer sees to it.
type yielding struct {
	net.Listener
	yield func() bool
	// Away says that it yields now.
	Away   atomic.Bool
	closed chan struct{}
	once   sync.Once
}

func newYielding(l net.Listener, yield func() bool) *yielding {
	return &yielding{Listener: l, yield: yield, closed: make(chan struct{})}
}

// Accept waits while others are to accept, and looks up from waiting for a
// connection now and then.
func (l *yielding) Accept() (net.Conn, error) {
	for {
		l.Away.Store(l.yield())
		if l.Away.Load() {
			select {
			case <-l.closed:
				return nil, net.ErrClosed
			case <-time.After(yieldEach):
			}
			continue
		}
		conn, err := l.acceptFor(yieldEach)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return conn, err
		}
	}
}

// acceptFor waits for a connection no longer than that, where the socket can be
// told so. The time is a timer's: a node's clock may be wrong.
func (l *yielding) acceptFor(d time.Duration) (net.Conn, error) {
	if s, ok := l.Listener.(interface{ SetDeadline(time.Time) error }); ok {
		if err := s.SetDeadline(time.Time{}); err != nil {
			return nil, err
		}
		defer time.AfterFunc(d, func() { _ = s.SetDeadline(time.Unix(1, 0)) }).Stop() // a closed one fails
	}
	return l.Listener.Accept()
}

// Close ends the waiting, too.
func (l *yielding) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// yields says whether this node leaves requests to others: it is not ready, and
// one of them is.
func (r *Region) yields() bool {
	if ready, _ := r.ready(); ready || failpoint.On(failpoint.NeverYields) {
		return false
	}
	r.peers.mu.Lock()
	defer r.peers.mu.Unlock()
	for _, p := range r.peers.machine.Live(clock()) {
		if p.Ready {
			return true
		}
	}
	return false
}
