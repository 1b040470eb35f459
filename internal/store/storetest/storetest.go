// Package storetest is what every KV must pass.
//
// Invariant: it asks for nothing that KV's contract does not promise, and for
// everything that it does.
package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/store"
)

// Run judges a KV. open returns an empty one; again opens the same anew, nil
// when it cannot outlive itself.
func Run(t *testing.T, open func(t *testing.T) store.KV, again func(t *testing.T, old store.KV) store.KV) {
	ctx := context.Background()
	kv := open(t)
	defer func() { kv.Close() }()

	if h, err := kv.Head(ctx); h != nil || err != nil {
		t.Fatalf("an empty store has a head: %q %v", h, err)
	}
	fill(t, kv, true, 1500)
	fill(t, kv, true, 0) // takes the place of what was left half
	commit(t, kv, nil, "h1", 2, true, record.Change{Key: "user/1/a", Value: []byte("A")}, record.Change{Key: "user/1/b", Value: []byte("B")})
	commit(t, kv, nil, "hx", 3, false, record.Change{Key: "user/1/c", Value: []byte("C")})
	commit(t, kv, []byte("h0"), "hx", 3, false)
	expect(t, kv, "user/1/a=A user/1/b=B ", "2:log2 ")
	commit(t, kv, []byte("h1"), "h2", 5, true, record.Change{Key: "user/1/a"}, record.Change{Key: "user/1/c", Value: []byte("C")})
	expect(t, kv, "user/1/b=B user/1/c=C ", "2:log2 5:log5 ")
	if h, err := kv.Head(ctx); string(h) != "h2" || err != nil {
		t.Errorf("head is %q %v", h, err)
	}
	if again != nil {
		kv = again(t, kv)
		expect(t, kv, "user/1/b=B user/1/c=C ", "2:log2 5:log5 ")
	}
	fill(t, kv, false, 1)
	if err := kv.Trim(ctx, 5); err != nil {
		t.Fatal(err)
	}
	expect(t, kv, "user/1/b=B user/1/c=C ", "5:log5 ")
	many := make([]record.Change, 1000)
	for i := range many {
		many[i] = record.Change{Key: record.Key(fmt.Sprintf("user/2/%04d", i)), Value: []byte("x")}
	}
	commit(t, kv, []byte("h2"), "h3", 6, true, many...)
	n := 0
	if head, err := kv.State(ctx, func(record.Key, []byte) bool { n++; return true }); err != nil || n != 1002 || string(head) != "h3" {
		t.Errorf("%d records of head %q, %v", n, head, err)
	}
	watches(t, kv)
}

// fill fills the KV with records, or expects to be refused.
func fill(t *testing.T, kv store.KV, want bool, records int) {
	t.Helper()
	ok, err := kv.Fill(context.Background(), func(yield func(record.Key, []byte) bool) {
		for i := range records {
			if !yield(record.Key(fmt.Sprintf("user/3/%04d", i)), []byte("x")) {
				return
			}
		}
	})
	if ok != want || err != nil {
		t.Errorf("fill with %d records: %v %v", records, ok, err)
	}
}

// watches expects a watch to tell of the head there is and of the next.
func watches(t *testing.T, kv store.KV) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	told, ended := make(chan string, 100), make(chan struct{})
	go func() {
		defer close(ended)
		kv.Watch(ctx, func(head []byte) { told <- string(head) })
	}()
	if head := <-told; head != "h3" {
		t.Errorf("the watch begins with %q", head)
	}
	commit(t, kv, []byte("h3"), "h4", 7, true)
	for head := range told {
		if head == "h4" {
			break
		}
	}
	cancel()
	<-ended
}

func commit(t *testing.T, kv store.KV, expect []byte, head string, index uint64, want bool, changes ...record.Change) {
	t.Helper()
	ok, err := kv.Commit(context.Background(), &store.Txn{Expect: expect, Head: []byte(head), Index: index, Log: []byte(fmt.Sprint("log", index)), Changes: changes})
	if err != nil || ok != want {
		t.Fatalf("commit of %s: %v %v, want %v", head, ok, err, want)
	}
}

func expect(t *testing.T, kv store.KV, state, log string) {
	t.Helper()
	var gotState, gotLog string
	_, err := kv.State(context.Background(), func(k record.Key, v []byte) bool {
		gotState += fmt.Sprintf("%s=%s ", k, v)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	err = kv.Log(context.Background(), 0, func(i uint64, v []byte) bool {
		gotLog += fmt.Sprintf("%d:%s ", i, v)
		return true
	})
	if err != nil || gotState != state || gotLog != log {
		t.Errorf("state %q log %q, want %q and %q (%v)", gotState, gotLog, state, log, err)
	}
}
