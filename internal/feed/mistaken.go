package feed

import (
	"bytes"
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
)

// keeping sends without ever waiting: what is not taken is kept, a copy for each
// follower. No release build calls it, or what is below: they are bugs that fault
// tests have to find.
func keeping(ctx context.Context, stream grpc.BidiStreamingServer[peerpb.Up, peerpb.Down]) sender {
	var mu sync.Mutex
	var kept []*peerpb.Down
	more := make(chan struct{}, 1)
	go func() {
		for ctx.Err() == nil {
			mu.Lock()
			list := kept
			kept = nil
			mu.Unlock()
			for _, m := range list {
				if stream.Send(m) != nil {
					return
				}
			}
			select {
			case <-more:
			case <-ctx.Done():
			}
		}
	}()
	return func(m *peerpb.Down) error {
		if b := m.GetBatch(); b != nil {
			m = &peerpb.Down{Frame: &peerpb.Down_Batch{Batch: bytes.Clone(b)}}
		}
		mu.Lock()
		kept = append(kept, m)
		mu.Unlock()
		select {
		case more <- struct{}{}:
		default:
		}
		return ctx.Err()
	}
}

// held sends while nobody else can: neither to another follower nor a commit.
func (h *Hub) held(send sender) sender {
	return func(m *peerpb.Down) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		return send(m)
	}
}

// taken waits until a follower has acknowledged an index.
func (h *Hub) taken(ctx context.Context, node string, index uint64) {
	for ctx.Err() == nil {
		h.mu.Lock()
		m := h.set.members[node]
		done := m == nil || m.acked >= index
		h.mu.Unlock()
		if done {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
	}
}
