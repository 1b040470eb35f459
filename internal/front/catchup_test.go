package front

import (
	"context"
	"errors"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// TestAKeyThatNobodyHereKnowsIsLookedForOnceWhereAPeerIsAhead: what is refused
// for a node's ignorance is not told as a refusal (protocol rule 15).
func TestAKeyThatNobodyHereKnowsIsLookedForOnceWhereAPeerIsAhead(t *testing.T) {
	w := newWorld(t)
	newest, ahead, waits := w.view, uint64(0), 0
	w.view = &view.View{State: view.Empty(make([]byte, 16)), Head: record.Head{Lineage: "l1", Index: 39}}
	behind := w.view
	w.Ahead = func() uint64 { return ahead }
	w.Await = func(ctx context.Context, index uint64) error {
		waits++
		if index <= newest.Head.Index {
			w.view, ahead = newest, 0
			return nil
		}
		return errors.New("it does not come")
	}
	if r := w.do(w.get("x")); r.Code != 403 || waits != 0 {
		t.Errorf("nobody has more, and a stranger makes the node wait: %d, %d times", r.Code, waits)
	}
	ahead = newest.Head.Index + 1
	if r := w.do(w.get("x")); r.Code != 503 || codeOf(r) != "ServiceUnavailable" || waits != 1 {
		t.Errorf("a peer has more, and it does not come: %d %s, %d waits", r.Code, r.Body, waits)
	}
	ahead = newest.Head.Index
	if r := w.do(w.get("x")); r.Code != 200 || waits != 2 {
		t.Errorf("a peer has the key: %d %s, %d waits", r.Code, r.Body, waits)
	}
	w.view, ahead = behind, newest.Head.Index
	stranger := w.get("x")
	stranger.by.id = "AKIASTRANGER12345678"
	if r := w.do(stranger); r.Code != 403 || waits != 3 {
		t.Errorf("a stranger, once this node has what its peer has: %d %s, %d waits", r.Code, r.Body, waits)
	}
	w.view, ahead = behind, newest.Head.Index
	w.strangers.Store(maxStrangers)
	if r := w.do(w.get("x")); r.Code != 503 || waits != 3 {
		t.Errorf("one stranger too many waits: %d, %d waits", r.Code, waits)
	}
	if w.strangers.Load() != maxStrangers {
		t.Errorf("%d strangers are left", w.strangers.Load())
	}
}

// TestAnInactiveKeyIsRefusedWhateverOthersMayHave: that it is inactive is known, so
// that nobody waits to be told so, nor is told to come again.
func TestAnInactiveKeyIsRefusedWhateverOthersMayHave(t *testing.T) {
	w := newWorld(t)
	w.change(func(tx record.Tx) error {
		u, err := record.Get(tx, record.Users, account, "AIDAalice")
		if err != nil {
			return err
		}
		u.Keys[0].Active = false
		return record.Put(tx, record.Users, u)
	})
	w.Ahead = func() uint64 { return w.view.Head.Index + 1 }
	w.Await = func(context.Context, uint64) error {
		t.Error("it is waited for")
		return errors.New("it does not come")
	}
	if r := w.do(w.get("x")); r.Code != 403 || codeOf(r) != "InvalidClientTokenId" {
		t.Errorf("%d %s", r.Code, r.Body)
	}
}

// TestASessionThatRestsOnMoreIsJudgedAfterTryingToCatchUp in this order: catch
// up where somebody can bring it; then under a lease 503; else by what is here.
func TestASessionThatRestsOnMoreIsJudgedAfterTryingToCatchUp(t *testing.T) {
	c := &authn.Caller{Session: &authn.Session{Rests: 9}}
	at := func(index uint64) *view.View { return &view.View{Head: record.Head{Index: index}} }
	for name, x := range map[string]struct {
		leased  bool
		ahead   uint64
		brings  bool
		waits   bool // at all
		doubted bool // after that
	}{
		"a peer brings it":                          {ahead: 9, brings: true, waits: true},
		"the control plane brings it":               {leased: true, brings: true, waits: true},
		"under a lease it does not come":            {leased: true, waits: true, doubted: true},
		"a peer has it, and it does not come":       {ahead: 9, waits: true},
		"nobody in reach has it":                    {},
		"a peer has more, but not what it rests on": {ahead: 8, waits: true},
	} {
		v, waited := at(7), false
		h := &Handler{Leased: func() bool { return x.leased }, Ahead: func() uint64 { return x.ahead },
			View: func(context.Context) (*view.View, error) { return v, nil },
			Await: func(context.Context, uint64) error {
				if waited = true; x.brings {
					v = at(9)
				}
				return nil
			}}
		q := &request{h: h, r: httptest.NewRequest("GET", "/", nil), view: v}
		if got := q.behind(c) != nil; got != x.waits {
			t.Errorf("%s: judged at once is %v", name, !got)
		}
		err := q.catchUp(9)
		if waited != x.waits || (err != nil) != x.doubted {
			t.Errorf("%s: waited %v, %v", name, waited, err)
		}
		if !x.doubted && q.behind(c) != nil {
			t.Errorf("%s: it is to wait a second time", name)
		}
	}
}

// Anybody can demand a revision that never comes, and who waits looks up at every
// commit.
func TestSoManyRequestsAtMostWaitForARevision(t *testing.T) {
	w := newWorld(t)
	var waiting atomic.Int32
	release := make(chan struct{})
	w.Await = func(context.Context, uint64) error {
		waiting.Add(1)
		<-release
		return nil
	}
	a := w.get("x")
	a.header = map[string]string{HeaderMinRevision: record.Revision("l1", 1<<40)}
	w.demands.Store(maxDemands - 1)
	done := make(chan string)
	go func() { done <- codeOf(w.do(a)) }()
	for waiting.Load() == 0 {
		runtime.Gosched()
	}
	if r := w.do(a); codeOf(r) != "ServiceUnavailable" || waiting.Load() != 1 {
		t.Errorf("%d wait: %s", waiting.Load(), r.Body)
	}
	close(release)
	if code := <-done; code != "ServiceUnavailable" {
		t.Error(code)
	}
	if n := w.demands.Load(); n != maxDemands-1 {
		t.Errorf("%d are counted", n)
	}
}
