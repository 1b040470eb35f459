package store_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/store"
	"github.com/holdfast-iam/holdfast/internal/view"
)

var root = ed25519.NewKeyFromSeed([]byte(strings.Repeat("r", 32)))

// succession is what the root says of a lineage that goes on from a view, and
// the changes that begin it.
func succession(t *testing.T, fork *view.View) (*record.Successor, []record.Change) {
	t.Helper()
	s := &record.Successor{Epoch: 1, Cluster: "c", Parent: "l", Fork: int(fork.Head.Index), Chain: fork.Head.Chain[:], Time: int(fork.Head.Time), Lineage: "m",
		New: []record.Pin{{Node: "n"}}}
	s.Sign(root)
	g, err := record.Get(fork, record.Geneses, record.None, "genesis")
	if err != nil {
		t.Fatal(err)
	}
	g.Lineage, g.Root = "m", root.Public().(ed25519.PublicKey)
	p := fork.Begin()
	if err := errors.Join(record.Put(p, record.Geneses, g), record.Put(p, record.Successors, s)); err != nil {
		t.Fatal(err)
	}
	return s, p.Changes()
}

func users(t *testing.T, w *store.Writer, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if o := w.Do(context.Background(), counter(id)); o.Err != nil {
			t.Fatal(o.Err)
		}
	}
}

func TestASuccessorGoesOnFromTheForkInALineageOfItsOwn(t *testing.T) {
	old := writer(t, &store.Memory{})
	running(t, old)
	users(t, old, "a", "b")
	fork := old.View()
	s, changes := succession(t, fork)
	kv := &store.Memory{}
	if _, err := kv.Fill(context.Background(), func(yield func(record.Key, []byte) bool) { yield("user/1/left", []byte("by a crash")) }); err != nil {
		t.Fatal(err)
	}
	w := &store.Writer{KV: kv, Node: "n", Sign: old.Sign, Now: time.Now, Log: quiet()}
	open := func() {
		if err := w.Open(context.Background(), func(*record.Head, *view.State) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	open()
	if err := w.Succeed(context.Background(), fork, s, changes); err != nil {
		t.Fatal(err)
	}
	h := w.View().Head
	if h.Lineage != "m" || h.Index != fork.Head.Index+1 || h.Term != fork.Head.Term+1 || h.Time < fork.Head.Time+1000 {
		t.Errorf("head %+v after %+v", h, fork.Head)
	}
	values, err := w.ReadLog(context.Background(), 0, 1<<20)
	if err != nil || len(values) != 1 {
		t.Fatal(len(values), err)
	}
	if _, err := values[0].Batch().Open(fork.Head.Index, fork.Head.Chain); err != nil {
		t.Errorf("it does not continue the parent's chain: %v", err)
	}
	open()
	running(t, w)
	users(t, w, "c")
	if w.View().Len() != fork.Len()+2 {
		t.Errorf("%d records after %d", w.View().Len(), fork.Len())
	}
	if err := w.Succeed(context.Background(), fork, s, changes); err == nil {
		t.Error("a log that is there is begun again")
	}
}

func TestARetiredControlPlaneCommitsNothingAnyMoreOnAnyNodeNorAfterARestart(t *testing.T) {
	kv := &store.Memory{}
	w, sibling := writer(t, kv), writerOf(t, kv, "a")
	ended := make(chan error, 2)
	for _, x := range []*store.Writer{w, sibling} {
		go func() { ended <- x.Run(context.Background()) }()
	}
	users(t, w, "a")
	s, _ := succession(t, w.View())
	o := w.System(context.Background(), "retire", true, func(tx record.Tx, _ time.Time) error { return record.Put(tx, record.Successors, s) })
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	for range 2 {
		if err := <-ended; !errors.Is(err, store.ErrSucceeded) {
			t.Errorf("a node ends with %v", err)
		}
	}
	again := &store.Writer{KV: kv, Node: "n", Sign: w.Sign, Now: time.Now, Log: quiet()}
	if err := again.Open(context.Background(), func(*record.Head, *view.State) error { return nil }); !errors.Is(err, store.ErrSucceeded) {
		t.Errorf("it starts again: %v", err)
	}
}

func TestACallOfBeforeTheForkIsNotDoneAgain(t *testing.T) {
	w := writer(t, &store.Memory{})
	done := counter("done")
	w.Inherit([]store.Inherited{{ID: done.ID, Index: 1, At: w.View().Head.Time}})
	running(t, w)
	if o := w.Do(context.Background(), done); o.Err != nil || !o.Replayed || o.Index != 1 {
		t.Errorf("%+v", o)
	}
}
