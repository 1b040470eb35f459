package store_test

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/store"
)

// said is a log that can be read while it is written.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *said) holds(words string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.text.String(), words)
}

func TestAMemberInAGoneOnesPlaceWaitsUntilItIsTakenInAndIsNotTheOldOne(t *testing.T) {
	t.Parallel()
	c, ctx := newCluster(t), context.Background()
	c.members[2].Close()
	c.members[2] = nil
	lost := c.configs[2]
	lost.Dir, lost.Joining = filepath.Join(c.dir, "empty"), true
	if _, err := store.OpenMember(ctx, lost); err == nil || !strings.Contains(err.Error(), "its disk is empty") {
		t.Fatalf("a member that has lost its disk starts as before: %v", err)
	}

	log := new(said)
	fresh := lost
	fresh.Name, fresh.Dir, fresh.Log = "m3", filepath.Join(c.dir, "m3"), slog.New(slog.NewTextHandler(log, nil))
	fresh.Peers = maps.Clone(lost.Peers)
	delete(fresh.Peers, "m2")
	address := lost.Peers["m2"]
	fresh.Peers["m3"] = address
	opened := make(chan error)
	var joined *store.Etcd
	go func() {
		var err error
		joined, err = store.OpenMember(ctx, fresh)
		opened <- err
	}()
	until(t, "waiting", func() bool { return log.holds("lists member m2 at " + address) })

	nobody := func(string) bool { return false }
	if _, err := c.members[0].AddMember(ctx, "m3", address, nobody); err == nil {
		t.Fatal("taken in at the address of a member that is not gone")
	}
	gone := func(name string) bool { return name == "m2" }
	var left []string
	until(t, "taken in", func() bool { // etcd waits until those that stay have been connected for a while
		names, err := c.members[0].AddMember(ctx, "m3", address, gone)
		left = append(left, names...)
		return err == nil
	})
	if !slices.Equal(left, []string{"m2"}) {
		t.Errorf("for the new one left %q, not m2 alone", left)
	}
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	c.members[2] = joined
	if left, err := c.members[0].AddMember(ctx, "m3", address, nobody); err != nil || len(left) != 0 {
		t.Errorf("taken in twice: %v, %q left", err, left)
	}
	until(t, "voting", func() bool {
		what, _ := c.members[0].TendMembers(ctx, nobody)
		return what == "m3 votes"
	})
	c.members[1].Close()
	c.members[1] = nil
	until(t, "written with the new one's vote", func() bool {
		ok, err := c.members[0].Commit(ctx, &store.Txn{Head: []byte("h"), Index: 1, Log: []byte("l")})
		return ok && err == nil
	})
}

func TestAMemberThatNobodyTakesInSaysWhy(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	stranger := c.configs[2]
	stranger.Name, stranger.Dir, stranger.Joining = "m3", filepath.Join(c.dir, "m3"), true
	stranger.Peers = maps.Clone(stranger.Peers)
	stranger.Peers["m3"] = freePorts(t, 1)[0]
	log := new(said)
	stranger.Log = slog.New(slog.NewTextHandler(log, nil))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		_, err := store.OpenMember(ctx, stranger)
		ended <- err
	}()
	until(t, "waiting", func() bool { return log.holds("does not list " + stranger.Peers["m3"]) })
	cancel()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "was not taken in") {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("it does not end")
	}
}
