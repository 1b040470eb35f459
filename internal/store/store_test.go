package store_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/store"
	"github.com/holdfast-iam/holdfast/internal/store/storetest"
	"github.com/holdfast-iam/holdfast/internal/view"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestMemoryKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.KV { return &store.Memory{} }, nil)
}

func TestEtcdKeepsTheContractAlsoWhenOpenedAgain(t *testing.T) {
	dir := t.TempDir()
	run, err := os.MkdirTemp("", "hf")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(run)
	open := func(t *testing.T) store.KV {
		kv, err := store.OpenMember(context.Background(), store.MemberConfig{Dir: filepath.Join(dir, "etcd"), Run: run, Quota: store.DefaultQuota, Log: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		return kv
	}
	storetest.Run(t, open, func(t *testing.T, old store.KV) store.KV {
		if err := old.Close(); err != nil {
			t.Fatal(err)
		}
		return open(t)
	})
}

// flaky is a memory store whose commits may lose their answers, before or
// after they took effect.
type flaky struct {
	store.Memory
	mu   sync.Mutex
	seed uint64
	rate uint64 // of 100
}

var errLost = errors.New("the answer was lost")

func (f *flaky) Commit(ctx context.Context, t *store.Txn) (bool, error) {
	f.mu.Lock()
	f.seed = f.seed*6364136223846793005 + 1442695040888963407
	draw, rate := f.seed>>33, f.rate
	f.mu.Unlock()
	if draw%100 < rate {
		if draw&1024 != 0 {
			_, _ = f.Memory.Commit(ctx, t)
		}
		return false, errLost
	}
	return f.Memory.Commit(ctx, t)
}

func genesis(t testing.TB) (*record.Genesis, []record.Change) {
	t.Helper()
	g := &record.Genesis{Cluster: "c", Lineage: "l", Mode: "development", HashSeed: make([]byte, 16)}
	value, err := record.Geneses.Encode(g)
	if err != nil {
		t.Fatal(err)
	}
	value = bytes.Replace(value, []byte(`{"v":2,`), []byte(`{"v":1,`), 1) // as 0.1.0 founded: the log begins at format 1
	changes := []record.Change{{Key: record.Geneses.Key(g), Value: value}}
	for _, id := range nodes {
		n := &record.Node{ID: id, Role: record.ControlNode, TLS: []byte(id), Invite: []byte(id), Head: headKey(id).Public().(ed25519.PublicKey), Format: record.Format}
		if value, err = record.Nodes.Encode(n); err != nil {
			t.Fatal(err)
		}
		changes = append(changes, record.Change{Key: record.Nodes.Key(n), Value: value})
	}
	return g, changes
}

// nodes are the control-plane nodes of every test; n is the one that is alone.
var nodes = []string{"a", "b", "c", "n"}

func headKey(node string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(node))
	return ed25519.NewKeyFromSeed(seed[:])
}

func writer(t testing.TB, kv store.KV) *store.Writer {
	t.Helper()
	return writerOf(t, kv, "n")
}

func writerOf(t testing.TB, kv store.KV, node string) *store.Writer {
	t.Helper()
	w := &store.Writer{KV: kv, Node: node, Sign: func(h *record.Head) { h.Sign(headKey(node)) }, Now: time.Now, Log: quiet()}
	if err := w.Open(context.Background(), func(*record.Head, *view.State) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if w.View() == nil {
		g, changes := genesis(t)
		if err := w.Genesis(context.Background(), g, changes); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func running(t testing.TB, w *store.Writer) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// counter is a call that adds one user, named after how many there are.
func counter(id string) store.Call {
	sum := sha256.Sum256([]byte(id))
	return store.Call{ID: hex.EncodeToString(sum[:]), Account: "1", Apply: func(tx record.Tx, _ time.Time, index uint64) ([]byte, error) {
		u := &record.User{Account: "1", ID: id, Name: id, Path: "/"}
		if record.Has(tx, record.Users, "1", id) {
			return nil, fmt.Errorf("%s happened twice", id)
		}
		return []byte(`{"op":"add"}`), record.Put(tx, record.Users, u)
	}}
}

func TestAnAcknowledgedCallIsInTheLogOnceWhateverAnswersAreLost(t *testing.T) {
	kv := &flaky{seed: 42}
	w := writer(t, kv)
	kv.mu.Lock()
	kv.rate = 30
	kv.mu.Unlock()
	running(t, w)
	var all sync.WaitGroup
	for c := range 8 {
		all.Go(func() {
			for i := range 25 {
				id := fmt.Sprintf("%d-%d", c, i)
				for { // as a client does: again, with the same call id
					o := w.Do(context.Background(), counter(id))
					if o.Err == nil {
						break
					}
					if !errors.Is(o.Err, store.ErrUnavailable) {
						t.Errorf("%s: %v", id, o.Err)
						return
					}
				}
			}
		})
	}
	all.Wait()
	kv.mu.Lock()
	kv.rate = 0
	kv.mu.Unlock()
	v := w.View()
	if n := v.Len() - 1 - len(nodes); n != 200 {
		t.Errorf("%d users, want 200", n)
	}
	again := writer(t, &kv.Memory)
	if again.View().Digest() != v.Digest() || again.View().Head.Index != v.Head.Index {
		t.Errorf("opened again it is another state")
	}
}

func TestACallIsAdmittedOnTheStateOfItsOwnCommit(t *testing.T) {
	w := writer(t, &store.Memory{})
	running(t, w)
	if o := w.Do(context.Background(), counter("key")); o.Err != nil {
		t.Fatal(o.Err)
	}
	remove := store.Call{Account: "1", Apply: func(tx record.Tx, _ time.Time, _ uint64) ([]byte, error) {
		tx.Delete(record.MakeKey("user", "1", "key"))
		return []byte(`{"op":"remove"}`), nil
	}}
	gone := errors.New("the credential is gone")
	late := counter("late")
	late.Admit = func(r record.Reader, _ time.Time) error {
		if !record.Has(r, record.Users, "1", "key") {
			return gone
		}
		return nil
	}
	var all sync.WaitGroup
	var removed store.Outcome
	all.Go(func() { removed = w.Do(context.Background(), remove) })
	all.Wait()
	if o := w.Do(context.Background(), late); removed.Err != nil || !errors.Is(o.Err, gone) || o.Index != 0 {
		t.Errorf("removed %v, late %+v", removed.Err, o)
	}
}

func TestARepeatedCallGetsTheIndexOfTheFirstAlsoAfterARestart(t *testing.T) {
	kv := &store.Memory{}
	w := writer(t, kv)
	running(t, w)
	first := w.Do(context.Background(), counter("a"))
	second := w.Do(context.Background(), counter("a"))
	if first.Err != nil || second.Err != nil || !second.Replayed || second.Index != first.Index {
		t.Fatalf("%+v %+v", first, second)
	}
	again := writer(t, kv)
	running(t, again)
	third := again.Do(context.Background(), counter("a"))
	if !third.Replayed || third.Index != first.Index {
		t.Errorf("%+v", third)
	}
	if p, err := again.Private(context.Background(), first.Index); err != nil || string(p) != `{"op":"add"}` {
		t.Errorf("%s %v", p, err)
	}
}

func TestAFullDiskRefusesWritesButNotWhatReduces(t *testing.T) {
	w := writer(t, &store.Memory{})
	w.Free, w.Floor = func() uint64 { return 70 }, 100
	running(t, w)
	if o := w.Do(context.Background(), counter("a")); !errors.Is(o.Err, store.ErrUnavailable) {
		t.Errorf("%v", o.Err)
	}
	c := counter("b")
	c.Reduces = true
	if o := w.Do(context.Background(), c); o.Err != nil {
		t.Errorf("%v", o.Err)
	}
}

func TestANodeWhoseClockIsNotBelievedCommitsNothing(t *testing.T) {
	w := writer(t, &store.Memory{})
	var wrong atomic.Bool
	w.Clock = func() error {
		if wrong.Load() {
			return errors.New("its clock was set")
		}
		return nil
	}
	running(t, w)
	before := w.Do(context.Background(), counter("a"))
	wrong.Store(true)
	c := counter("b")
	c.Reduces = true
	if o := w.Do(context.Background(), c); !errors.Is(o.Err, store.ErrUnavailable) || !strings.Contains(o.Err.Error(), "its clock was set") {
		t.Errorf("%v", o.Err)
	}
	wrong.Store(false)
	if o := w.Do(context.Background(), counter("b")); o.Err != nil || o.Index != before.Index+1 {
		t.Errorf("%v at %d", o.Err, o.Index)
	}
}

func TestTheFormatIsRaisedWhenSomethingNeedsItAndEveryNodeReadsIt(t *testing.T) {
	w := writer(t, &store.Memory{})
	running(t, w)
	change := func(do func(tx record.Tx) error) error {
		return w.System(context.Background(), "test", false, func(tx record.Tx, _ time.Time) error { return do(tx) }).Err
	}
	node := func(id string, format int, fenced bool) func(tx record.Tx) error {
		return func(tx record.Tx) error {
			return record.Put(tx, record.Nodes, &record.Node{ID: id, Role: record.RegionNode, Region: "r", Invite: []byte(id), Format: format, Fenced: fenced})
		}
	}
	fresh := func(tx record.Tx) error {
		return record.Put(tx, record.Freshnesses, &record.Freshness{Account: "1", Rules: []record.FreshRule{{Action: "*", Within: 5}}})
	}
	for _, id := range nodes {
		if err := change(func(tx record.Tx) error {
			n, err := record.Get(tx, record.Nodes, record.None, id)
			if err != nil {
				return err
			}
			n.Format = record.Format
			return record.Put(tx, record.Nodes, n)
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := change(node("old", 1, false)); err != nil || w.View().Head.Format != record.FirstFormat {
		t.Fatalf("%v at format %d", err, w.View().Head.Format)
	}
	if err := change(fresh); !errors.Is(err, store.ErrFormat) || !strings.Contains(err.Error(), "2: old") {
		t.Errorf("while one node does not read it: %v", err)
	}
	if err := change(node("old", 1, true)); err != nil {
		t.Fatal(err)
	}
	if err := change(fresh); err != nil || w.View().Head.Format != 2 {
		t.Errorf("%v at format %d", err, w.View().Head.Format)
	}
	if o := w.Do(context.Background(), counter("a")); o.Err != nil || w.View().Head.Format != 2 {
		t.Errorf("what came after it: %v at format %d", o.Err, w.View().Head.Format)
	}
	if err := change(node("late", 1, false)); !errors.Is(err, store.ErrFormat) {
		t.Errorf("a node that does not read the log: %v", err)
	}
	if err := change(node("late", 2, false)); err != nil {
		t.Error(err)
	}
}

func TestACallThatWaitsWhileTheClockIsSetIsNotCommittedWithItsTime(t *testing.T) {
	w := writer(t, &store.Memory{})
	var looks atomic.Int32
	w.Clock = func() error {
		if looks.Add(1) == 2 { // the first is at the call's arrival
			return errors.New("its clock was set")
		}
		return nil
	}
	before := w.View().Head
	running(t, w)
	if o := w.Do(context.Background(), counter("a")); !errors.Is(o.Err, store.ErrUnavailable) || w.View().Head.Index != before.Index {
		t.Errorf("%v, at %d after %d", o.Err, w.View().Head.Index, before.Index)
	}
	if o := w.Do(context.Background(), counter("a")); o.Err != nil || o.Index != before.Index+1 {
		t.Errorf("once it is believed: %v at %d", o.Err, o.Index)
	}
}

func TestALinearizableReadSeesEveryAcknowledgedWrite(t *testing.T) {
	w := writer(t, &store.Memory{})
	running(t, w)
	for i := range 100 {
		o := w.Do(context.Background(), counter(fmt.Sprint(i)))
		v, err := w.Linearizable(context.Background())
		if err != nil || v.Head.Index < o.Index {
			t.Fatalf("%v: read %d after %d", err, v.Head.Index, o.Index)
		}
	}
}

func TestADamagedStoreIsRefused(t *testing.T) {
	kv := &store.Memory{}
	w := writer(t, kv)
	head, err := kv.Head(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := kv.Commit(context.Background(), &store.Txn{Expect: head, Head: head, Index: 99, Log: []byte("{}"), Changes: []record.Change{{Key: "user/1/x", Value: []byte("{}")}}}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	_ = w
	again := &store.Writer{KV: kv, Node: "n", Sign: func(*record.Head) {}, Now: time.Now, Log: quiet()}
	if err := again.Open(context.Background(), func(*record.Head, *view.State) error { return nil }); err == nil {
		t.Error("opened")
	}
}

func BenchmarkWriterOverEtcdWith64Clients(b *testing.B) {
	run, err := os.MkdirTemp("", "hf")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(run)
	kv, err := store.OpenMember(context.Background(), store.MemberConfig{Dir: filepath.Join(run, "etcd"), Run: run, Quota: store.DefaultQuota, Log: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	defer kv.Close()
	w := writer(b, kv)
	running(b, w)
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		me := fmt.Sprintf("%p", pb)
		for i := 0; pb.Next(); i++ {
			if o := w.Do(context.Background(), counter(fmt.Sprint(me, i))); o.Err != nil {
				b.Error(o.Err)
			}
		}
	})
}

func TestAClockThatJumpsAheadDoesNotTrimTheCallIdWindow(t *testing.T) {
	kv := &store.Memory{}
	w := writer(t, kv)
	var ahead atomic.Int64
	w.LogBytes, w.Now = 2500, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	running(t, w)
	first := w.Do(context.Background(), counter("a"))
	for _, id := range []string{"b", "c"} {
		if o := w.Do(context.Background(), counter(id)); o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	ahead.Store(int64(time.Hour))
	refused := counter("d")
	refused.Admit = func(record.Reader, time.Time) error { return errors.New("stale") }
	for range 2 { // the second is taken after the first's trim
		if o := w.Do(context.Background(), refused); o.Err == nil {
			t.Fatal("admitted")
		}
	}
	ahead.Store(0)
	again := writer(t, kv)
	running(t, again)
	if o := again.Do(context.Background(), counter("a")); !o.Replayed || o.Index != first.Index {
		t.Errorf("%+v", o)
	}
}
