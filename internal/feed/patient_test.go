package feed

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// reader is a stream whose other end takes so many messages and no more.
type reader struct {
	grpc.BidiStreamingServer[peerpb.Up, peerpb.Down]
	ctx  context.Context
	room chan struct{}
}

func (r *reader) Context() context.Context { return r.ctx }

func (r *reader) Send(*peerpb.Down) error {
	select {
	case r.room <- struct{}{}:
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

func TestAFollowerThatReadsNoMoreIsCutOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel() // as gRPC does when the handler returns
	send, end := patient(&reader{ctx: ctx, room: make(chan struct{}, 5)}, 20*time.Millisecond)
	defer end()
	sent := 0
	for err := error(nil); ; sent++ {
		if err = send(&peerpb.Down{}); err != nil {
			if !errors.Is(err, errSlow) {
				t.Errorf("%v", err)
			}
			break
		}
	}
	if sent != 6 { // five are read, one is on its way
		t.Errorf("%d messages", sent)
	}
}

func TestOnlySoManySnapshotsAreSentAtOnce(t *testing.T) {
	var s slots
	for range maxSnapshots {
		if !s.take() {
			t.Fatal("no room")
		}
	}
	if s.take() {
		t.Error("one too many")
	}
	s.give()
	if !s.take() {
		t.Error("a slot that was given back is not free")
	}
}

func TestARingIsBoundedInBytesToo(t *testing.T) {
	r := NewRing(&view.View{State: view.Empty(make([]byte, 16))}, 1024)
	big := make([]byte, ringBytes/4)
	for i := range uint64(9) {
		r.Add(Commit{i + 1, i + 1, big}, &view.View{State: r.View().State, Head: record.Head{Index: i + 1}})
	}
	if len(r.commits) != 4 || r.bytes != ringBytes {
		t.Errorf("%d commits of %d bytes", len(r.commits), r.bytes)
	}
	if _, ok := r.After(5); !ok {
		t.Error("what is kept cannot be had")
	}
	if _, ok := r.After(4); ok {
		t.Error("there is a gap")
	}
}
