package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/store"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// until waits for a condition.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("not %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

// three starts control-plane nodes a, b and c over one store.
func three(t *testing.T, kv store.KV) map[string]*store.Writer {
	t.Helper()
	all := map[string]*store.Writer{}
	for _, id := range []string{"a", "b", "c"} {
		all[id] = writerOf(t, kv, id)
		running(t, all[id])
	}
	return all
}

func TestANodeThatDoesNotSequenceSendsTheCallOnAndDoesNothing(t *testing.T) {
	all := three(t, &store.Memory{})
	before := all["b"].View().Head.Index
	if o := all["b"].Do(context.Background(), counter("x")); !errors.Is(o.Err, store.ErrMoved) || o.View.Head.Node != "a" {
		t.Fatalf("%+v", o)
	}
	if o := all["a"].Do(context.Background(), counter("x")); o.Err != nil || o.Index != before+1 {
		t.Errorf("%+v", o)
	}
}

func TestIdleNodesHoldTheStateAtTheHead(t *testing.T) {
	all := three(t, &store.Memory{})
	for i := range 20 {
		if o := all["a"].Do(context.Background(), counter(fmt.Sprint(i))); o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	want := all["a"].View()
	for _, id := range []string{"b", "c"} {
		until(t, id+" at the head", func() bool { return all[id].View().Head.Index == want.Head.Index })
		if all[id].View().Digest() != want.Digest() {
			t.Errorf("%s has another state", id)
		}
	}
}

func TestAReadOnAnIdleNodeSeesEveryAcknowledgedWrite(t *testing.T) {
	all := three(t, &store.Memory{})
	for i := range 50 {
		o := all["a"].Do(context.Background(), counter(fmt.Sprint(i)))
		v, err := all["c"].Linearizable(context.Background())
		if err != nil || v.Head.Index < o.Index {
			t.Fatalf("%v: read %d after %d", err, v.Head.Index, o.Index)
		}
	}
}

// Who answers a call that was done is who followers are counted by: the node that
// sequences may have that commit in doubt, and let a follower in again without it.
func TestACallThatWasDoneIsAnsweredByAnotherNodeOnlyOnceThatOneSequences(t *testing.T) {
	all := three(t, &store.Memory{})
	first := all["a"].Do(context.Background(), counter("x"))
	if o := all["b"].Do(context.Background(), counter("x")); !errors.Is(o.Err, store.ErrMoved) {
		t.Errorf("without insisting: %+v", o)
	}
	again := counter("x")
	again.Insist = true
	o := all["b"].Do(context.Background(), again)
	if o.Err != nil || !o.Replayed || o.Index != first.Index {
		t.Fatalf("%+v, first %+v", o, first)
	}
	if h := all["b"].View().Head; h.Node != "b" || h.Index != first.Index+1 {
		t.Errorf("it is answered at %+v", h)
	}
	again = counter("x")
	if o := all["b"].Do(context.Background(), again); !o.Replayed || all["b"].View().Head.Index != first.Index+1 {
		t.Errorf("the node that sequences commits something for it: %+v at %d", o, all["b"].View().Head.Index)
	}
}

func TestATakeOverRaisesTheTermAndTheOldNodeSendsItsCallsOn(t *testing.T) {
	all := three(t, &store.Memory{})
	first := all["a"].Do(context.Background(), counter("x"))
	take := counter("y")
	take.Insist = true
	o := all["b"].Do(context.Background(), take)
	if first.Err != nil || o.Err != nil || o.View.Head.Node != "b" || o.View.Head.Term != 2 {
		t.Fatalf("%v; %v %+v", first.Err, o.Err, o.View)
	}
	// It may not have heard yet: then its commit is refused, and it hears.
	if o := all["a"].Do(context.Background(), counter("z")); !errors.Is(o.Err, store.ErrMoved) {
		t.Errorf("%+v", o)
	}
	if o := all["b"].Do(context.Background(), counter("z")); o.Err != nil || o.View.Head.Term != 2 {
		t.Errorf("%+v", o)
	}
}

// frozen is a store whose commits stop at a gate, as a process does that is
// stopped between its decision and its write.
type frozen struct {
	*store.Memory
	gate chan struct{}
}

func (f *frozen) Commit(ctx context.Context, t *store.Txn) (bool, error) {
	<-f.gate
	return f.Memory.Commit(ctx, t)
}

// Watch tells nothing: the process is stopped.
func (f *frozen) Watch(ctx context.Context, _ func([]byte)) { <-ctx.Done() }

func TestAFrozenSequencerThatThawsCannotCommit(t *testing.T) {
	kv := &store.Memory{}
	b := writerOf(t, kv, "b") // a's genesis is b's here
	running(t, b)
	take := counter("first")
	take.Insist = true
	gate := make(chan struct{})
	a := writerOf(t, &frozen{kv, gate}, "a")
	running(t, a)
	late := counter("late")
	late.Insist = true
	outcome := make(chan store.Outcome, 1)
	go func() { outcome <- a.Do(context.Background(), late) }()
	if o := b.Do(context.Background(), take); o.Err != nil {
		t.Fatal(o.Err)
	}
	same := counter("late") // the client's retry through b
	o := b.Do(context.Background(), same)
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	close(gate)
	if thawed := <-outcome; !thawed.Replayed || thawed.Index != o.Index {
		t.Errorf("the thawed node answers %+v, want the answer at %d", thawed, o.Index)
	}
}

func TestNodesThatTakeOverFromEachOtherLoseNothingAndDoNothingTwice(t *testing.T) {
	kv := &flaky{seed: 7}
	all := three(t, kv)
	kv.mu.Lock()
	kv.rate = 20
	kv.mu.Unlock()
	order := []string{"a", "b", "c"}
	var clients sync.WaitGroup
	for c := range 6 {
		clients.Go(func() {
			for i := range 15 {
				call := counter(fmt.Sprintf("%d-%d", c, i))
				for try := 0; ; try++ { // another node each time, with the same call id
					call.Insist = try%2 == 1
					o := all[order[(c+i+try)%3]].Do(context.Background(), call)
					if o.Err == nil {
						break
					}
					if !errors.Is(o.Err, store.ErrUnavailable) && !errors.Is(o.Err, store.ErrMoved) {
						t.Errorf("%d-%d: %v", c, i, o.Err)
						return
					}
				}
			}
		})
	}
	clients.Wait()
	kv.mu.Lock()
	kv.rate = 0
	kv.mu.Unlock()
	again := writer(t, &kv.Memory)
	if n := again.View().Len() - 1 - len(nodes); n != 90 {
		t.Errorf("%d users, want 90", n)
	}
	if again.View().Head.Term < 3 {
		t.Errorf("only %d terms: nobody took over", again.View().Head.Term)
	}
	for _, id := range order {
		until(t, id+" at the head", func() bool { return all[id].View().Digest() == again.View().Digest() })
	}
}

// runFor runs a writer until it ends by itself, or half a minute.
func runFor(t *testing.T, w *store.Writer) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return w.Run(ctx)
}

func TestALogThatDoesNotContinueEndsTheNode(t *testing.T) {
	kv := &store.Memory{}
	a := writerOf(t, kv, "a")
	running(t, a)
	asleep := writerOf(t, kv, "b")
	for i := range 3 {
		if o := a.Do(context.Background(), counter(fmt.Sprint(i))); o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	if err := kv.Trim(context.Background(), a.View().Head.Index); err != nil {
		t.Fatal(err)
	}
	if err := runFor(t, asleep); !errors.Is(err, store.ErrBroken) {
		t.Errorf("%v", err)
	}
}

func TestACommitThatNoControlNodeSignedIsNotFollowed(t *testing.T) {
	kv := &store.Memory{}
	writerOf(t, kv, "a")
	b := writerOf(t, kv, "b")
	evil := &store.Writer{KV: kv, Node: "a", Sign: func(h *record.Head) { h.Sign(headKey("somebody")) }, Now: time.Now, Log: quiet()}
	if err := evil.Open(context.Background(), func(*record.Head, *view.State) error { return nil }); err != nil {
		t.Fatal(err)
	}
	running(t, evil)
	if o := evil.Do(context.Background(), counter("x")); o.Err != nil {
		t.Fatal(o.Err)
	}
	if err := runFor(t, b); !errors.Is(err, store.ErrBroken) {
		t.Errorf("%v", err)
	}
}

// away is a store that can be out of reach.
type away struct {
	store.Memory
	mu   sync.Mutex
	gone bool
}

func (a *away) set(gone bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gone = gone
}

func (a *away) out() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gone
}

func (a *away) Head(ctx context.Context) ([]byte, error) {
	if a.out() {
		return nil, errLost
	}
	return a.Memory.Head(ctx)
}

func (a *away) Commit(ctx context.Context, t *store.Txn) (bool, error) {
	for a.out() { // as etcd without quorum: no answer
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return a.Memory.Commit(ctx, t)
}

func TestWithoutAMajorityWritesAreRefusedReadsGoOnAndAfterwardsAllIsAsBefore(t *testing.T) {
	kv := &away{}
	w := writer(t, kv)
	w.Probe = time.Millisecond
	running(t, w)
	kv.set(true)
	if o := w.Do(context.Background(), counter("x")); !errors.Is(o.Err, store.ErrUnavailable) {
		t.Fatalf("%+v", o)
	}
	v, err := w.Linearizable(context.Background())
	if v == nil || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a read without a majority: %v, %v", v, err)
	}
	until(t, "lost", func() bool { return !w.Reachable() })
	kv.set(false)
	until(t, "back", w.Reachable)
	var o store.Outcome
	until(t, "written", func() bool { o = w.Do(context.Background(), counter("x")); return o.Err == nil })
	if o := w.Do(context.Background(), counter("x")); !o.Replayed {
		t.Errorf("the call was done again: %+v", o)
	}
}

func TestAReadOnANodeThatDoesNotFollowIsToldSoInTimeAndHowOldItsViewIs(t *testing.T) {
	kv := &store.Memory{}
	a, b := writerOf(t, kv, "a"), writerOf(t, kv, "b")
	running(t, a)
	if o := a.Do(context.Background(), counter("x")); o.Err != nil {
		t.Fatal(o.Err)
	}
	v, err := b.Linearizable(context.Background()) // which is not run
	if v == nil || !errors.Is(err, store.ErrUnavailable) || b.Age(time.Now()) < time.Second {
		t.Fatalf("%v, %v, age %v", v, err, b.Age(time.Now()))
	}
	running(t, b)
	if v, err := b.Linearizable(context.Background()); err != nil || v.Head.Index != a.View().Head.Index || b.Age(time.Now()) != 0 {
		t.Errorf("once it follows: %v, age %v", err, b.Age(time.Now()))
	}
}

func fence(node string) store.Call {
	return store.Call{Account: "1", Apply: func(tx record.Tx, _ time.Time, _ uint64) ([]byte, error) {
		n, err := record.Get(tx, record.Nodes, record.None, node)
		if err != nil {
			return nil, err
		}
		n.Fenced = true
		return []byte(`{"op":"fence"}`), record.Put(tx, record.Nodes, n)
	}}
}

func TestANodeIsFencedByAnotherOneAndThenEndsAndDoesNotStartAgain(t *testing.T) {
	kv := &store.Memory{}
	a := writerOf(t, kv, "a")
	b := writerOf(t, kv, "b")
	running(t, b)
	ended := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	go func() { ended <- a.Run(ctx) }()
	if o := a.Do(ctx, fence("a")); !errors.Is(o.Err, store.ErrOut) {
		t.Fatalf("a fences itself: %+v", o)
	}
	call := fence("a")
	call.Insist = true
	if o := b.Do(ctx, call); o.Err != nil {
		t.Fatal(o.Err)
	}
	if err := <-ended; !errors.Is(err, store.ErrOut) {
		t.Errorf("a ends with %v", err)
	}
	again := &store.Writer{KV: kv, Node: "a", Sign: func(h *record.Head) { h.Sign(headKey("a")) }, Now: time.Now, Log: quiet()}
	if err := again.Open(ctx, func(*record.Head, *view.State) error { return nil }); !errors.Is(err, store.ErrOut) {
		t.Errorf("a starts again: %v", err)
	}
	if o := b.Do(ctx, counter("x")); o.Err != nil {
		t.Errorf("b: %v", o.Err)
	}
}
