package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/store"
)

const large = 1 << 20

// chain commits again and again, each on the head of the one before.
type chain struct {
	kv    *store.Etcd
	index uint64
	head  []byte
}

func (c *chain) commit(log []byte, changes ...record.Change) error {
	next := fmt.Appendf(nil, "h%d", c.index+1)
	ok, err := c.kv.Commit(context.Background(), &store.Txn{Expect: c.head, Head: next, Index: c.index + 1, Log: log, Changes: changes})
	if err == nil && !ok { // unless an earlier try was made after all
		if head, _ := c.kv.Head(context.Background()); !bytes.Equal(head, next) {
			err = fmt.Errorf("commit %d was refused", c.index+1)
		}
	}
	if err == nil {
		c.index, c.head = c.index+1, next
	}
	return err
}

func TestAMembersFileIsWrittenAnewWhileTheOthersTakeWrites(t *testing.T) {
	members := newClusterOf(t, 64<<20).members
	c := &chain{kv: members[1]}
	for range 32 {
		until(t, "written", func() bool { return c.commit(make([]byte, large)) == nil })
	}
	if members[0].Fragmented(false) {
		t.Error("a file that is in use is fragmented")
	}
	if err := c.kv.Trim(t.Context(), c.index); err != nil {
		t.Fatal(err)
	}
	if err := c.kv.Forget(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	for i, m := range members {
		until(t, fmt.Sprint("fragmented: member ", i), func() bool {
			return c.commit([]byte("small")) == nil && m.Fragmented(false) // bbolt frees pages with the next write
		})
		if m.Fragmented(true) {
			t.Error("a member that is alone pauses before its quota is near")
		}
	}
	var made atomic.Int64
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				close(ended)
				return
			default:
			}
			if c.commit([]byte("small")) == nil { // a commit may time out: it is made again
				made.Add(1)
			}
		}
	}()
	for _, i := range []int{0, 2} {
		was := made.Load()
		freed, err := members[i].Defragment(t.Context())
		if size, _ := members[i].File(); err != nil || freed < 20*large || size > 8*large {
			t.Errorf("member %d: %d bytes freed, %d left: %v", i, freed, size, err)
		}
		until(t, "written meanwhile or since", func() bool { return made.Load() > was })
		if members[i].Fragmented(false) {
			t.Errorf("member %d is still fragmented", i)
		}
	}
	close(stop)
	<-ended
	for i, m := range members {
		until(t, fmt.Sprint("at the head: member ", i), func() bool {
			h, err := m.Head(t.Context())
			return err == nil && bytes.Equal(h, c.head)
		})
	}
}

func TestAMemberThatWasFullTakesWritesOnceItsFileIsWrittenAnew(t *testing.T) {
	dir, err := os.MkdirTemp("", "hf") // short: a unix socket's path is
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	kv, err := store.OpenMember(t.Context(), store.MemberConfig{Dir: filepath.Join(dir, "etcd"), Run: dir, Quota: 16 << 20, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer kv.Close()
	c := &chain{kv: kv}
	until(t, "full", func() bool {
		err := c.commit(make([]byte, large))
		return errors.Is(err, store.ErrFull) // a slow disk is not a full one
	})
	if err := kv.Trim(t.Context(), c.index); err != nil {
		t.Fatal(err)
	}
	if err := kv.Forget(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	until(t, "fragmented", func() bool { return kv.Disarm(t.Context()) == nil && kv.Fragmented(true) })
	if c.commit([]byte("small")) == nil {
		t.Error("a write is taken while the file is as large as its quota")
	}
	if freed, err := kv.Defragment(t.Context()); err != nil || freed < 8*large {
		t.Errorf("%d bytes freed: %v", freed, err)
	}
	until(t, "taking writes", func() bool { return c.commit([]byte("small")) == nil })
}

func TestMembersTakeTurnsThatDoNotMeet(t *testing.T) {
	from := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	last, at := -1, time.Time{}
	had := map[int]bool{}
	for s := range 2 * 3600 {
		now := from.Add(time.Duration(s) * time.Second)
		for n := range 3 {
			if !store.Turn(now, n, 3) {
				continue
			}
			if n != last && last >= 0 && now.Sub(at) < 9*time.Minute-time.Second {
				t.Fatalf("member %d may begin %s after member %d might have", n, now.Sub(at), last)
			}
			last, at, had[n] = n, now, true
		}
	}
	if len(had) != 3 {
		t.Errorf("only %v had a turn in two hours", had)
	}
}
