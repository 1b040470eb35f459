package node

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

func TestANodeThatIsNotReadyLeavesConnectionsToTheOthersOnItsSocket(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var away atomic.Bool
	l := newYielding(inner, away.Load)
	got := make(chan error, 1)
	accept := func() {
		c, err := l.Accept()
		if err == nil {
			c.Close()
		}
		got <- err
	}
	dial := func() {
		t.Helper()
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	away.Store(true)
	go accept()
	for !l.Away.Load() {
		time.Sleep(time.Millisecond)
	}
	dial()
	select {
	case err := <-got:
		t.Fatalf("a connection was taken: %v", err)
	case <-time.After(2 * yieldEach):
	}
	away.Store(false)
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	away.Store(true)
	go accept()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed while it waits: %v", err)
	}
}

func TestAnswersOfANodeThatLeavesRequestsToOthersTellClientsToLeave(t *testing.T) {
	l := newYielding(nil, nil)
	h := leaving(http.NotFoundHandler(), nil, l)
	for _, away := range []bool{false, true} {
		l.Away.Store(away)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if got := w.Header().Get("Connection") == "close"; got != away {
			t.Errorf("away %v: told to leave %v", away, got)
		}
	}
}
