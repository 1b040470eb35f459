package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/holdfast-iam/holdfast/internal/feed"
	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/replica"
	"github.com/holdfast-iam/holdfast/internal/store"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// shared is memory that is a file system: followers of their own have disks of
// their own, and these have one processor's worth of one.
const shared = "/dev/shm"

// fanoutSection has replicas follow a hub over gRPC on loopback while the store
// takes writes at a constant rate, and says how long after a commit the last
// replica serves it.
func fanoutSection(p *plan) error {
	length := 10 * p.load
	var t table
	t.add("commit → served by the last", "p50", "p99", "max", "spread of p99", "heap before / half way / after", "goal", "met")
	for _, x := range []struct {
		name            string
		followers, rate int
		memory          bool // the copies are in memory
		p50, p99        time.Duration
	}{
		{"9 nodes at 500 writes/s, one disk", 9, 500, false, 10 * time.Millisecond, 50 * time.Millisecond},
		{"9 nodes at 500 writes/s, copies in memory", 9, 500, true, 10 * time.Millisecond, 50 * time.Millisecond},
		{"100 nodes at 100 writes/s, copies in memory", 100, 100, true, 0, 500 * time.Millisecond},
	} {
		var p50s, p99s, maxima []float64
		var heap [3]uint64
		refused := 0
		for range p.rounds {
			lags, h, r, err := fan(x.followers, x.rate, length/time.Duration(p.rounds), x.memory)
			if err != nil {
				return fmt.Errorf("%s: %w", x.name, err)
			}
			heap, refused = h, refused+r
			p50s, p99s, maxima = append(p50s, float64(lags[len(lags)/2])), append(p99s, float64(lags[len(lags)*99/100])), append(maxima, float64(lags[len(lags)-1]))
		}
		slices.Sort(p50s)
		slices.Sort(p99s)
		slices.Sort(maxima)
		goal, good := fmt.Sprintf("p99 ≤ %s", x.p99), middle(p99s) <= float64(x.p99)
		if x.p50 > 0 {
			goal, good = fmt.Sprintf("p50 ≤ %s, ", x.p50)+goal, good && middle(p50s) <= float64(x.p50)
		}
		if refused > 0 {
			x.name, good = fmt.Sprintf("%s (%d refused)", x.name, refused), false
		}
		t.add(x.name, nanos(middle(p50s)), nanos(middle(p99s)), nanos(maxima[len(maxima)-1]), fmt.Sprintf("%s – %s – %s", nanos(p99s[0]), nanos(middle(p99s)), nanos(p99s[len(p99s)-1])),
			fmt.Sprintf("%d / %d / %d MiB", heap[0]>>20, heap[1]>>20, heap[2]>>20), goal, met(good))
	}
	t.print(p)
	return nil
}

// fanned is a control plane's writer and hub, with followers in this process.
type fanned struct {
	world     *world
	writer    *writerOverEtcd
	hub       *feed.Hub
	server    *grpc.Server
	address   string
	keys      []ed25519.PrivateKey // of the followers
	committed []atomic.Int64       // by index: nanoseconds since begun
	served    []atomic.Int64       // by the last so far
	by        []atomic.Int64       // how many
	begun     time.Time
	refused   int
}

// fan returns the lags, sorted, the heap before, half way and after, and how many
// writes were refused.
func fan(followers, rate int, length time.Duration, memory bool) (lags []time.Duration, heap [3]uint64, refused int, err error) {
	dir, err := os.MkdirTemp("", "hfb")
	if err != nil {
		return nil, heap, 0, err
	}
	defer os.RemoveAll(dir)
	copies := dir
	if memory {
		if copies, err = os.MkdirTemp(shared, "hfb"); err != nil {
			return nil, heap, 0, err
		}
		defer os.RemoveAll(copies)
	}
	f, err := newFanned(dir, followers, rate*int(length/time.Second+10)+1000, func(*world) error { return nil })
	if err != nil {
		return nil, heap, 0, err
	}
	ctx, all, end := f.run()
	defer end()
	for i := range followers {
		if _, err := f.follow(ctx, all, i, filepath.Join(copies, fmt.Sprint("copy", i))); err != nil {
			return nil, heap, 0, err
		}
	}
	from := f.writer.writer.View().Head.Index
	if err := f.everywhere(from); err != nil {
		return nil, heap, 0, err
	}
	heap[0] = inUse()
	for half := range 2 {
		if err := f.write(rate, length/2, half); err != nil {
			return nil, heap, 0, err
		}
		if err := f.everywhere(f.writer.writer.View().Head.Index); err != nil {
			return nil, heap, 0, err
		}
		heap[1+half] = inUse()
	}
	for i := from + 1; i <= f.writer.writer.View().Head.Index; i++ {
		lags = append(lags, time.Duration(f.served[i].Load()-f.committed[i].Load()))
	}
	slices.Sort(lags)
	return lags, heap, f.refused, nil
}

// run has the hub serve. What all holds ends with ctx, which end ends, and waits.
func (f *fanned) run() (ctx context.Context, all *sync.WaitGroup, end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	all = new(sync.WaitGroup)
	all.Go(func() { _ = f.hub.Run(ctx) })
	return ctx, all, func() {
		cancel()
		all.Wait()
		f.server.Stop()
		f.writer.close()
	}
}

func inUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func newFanned(dir string, followers, room int, more func(*world) error) (*fanned, error) {
	f := &fanned{committed: make([]atomic.Int64, room), served: make([]atomic.Int64, room), by: make([]atomic.Int64, room), begun: time.Now()}
	var err error
	if f.world, err = newWorld(); err != nil {
		return nil, err
	}
	put := &putter{tx: f.world.tx}
	nodes := map[string]*record.Node{}
	for i := range followers {
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			return nil, err
		}
		f.keys = append(f.keys, key)
		n := &record.Node{ID: fmt.Sprint("n", i), Role: record.RegionNode, Region: region, TLS: public(key), Format: record.Format}
		putRecord(put, record.Nodes, n)
		nodes[string(public(key))] = n
	}
	if err := errors.Join(put.err, more(f.world)); err != nil {
		return nil, err
	}
	kv, err := openMember(dir)
	if err != nil {
		return nil, err
	}
	f.hub = &feed.Hub{Now: time.Now, Heartbeat: func(context.Context) (*record.Beat, error) {
		h := f.writer.writer.View().Head
		return record.NewBeat(&h, h.Node, time.Now(), f.world.head), nil
	}}
	if f.writer, err = f.world.begin(kv, func(l *record.LogValue, v *view.View) {
		now := int64(time.Since(f.begun))
		for i := l.Head.Index + 1 - uint64(len(l.Records)); i <= l.Head.Index; i++ {
			f.committed[i].Store(now)
		}
		f.hub.Publish(l, v)
	}); err != nil {
		return nil, errors.Join(err, kv.Close())
	}
	f.hub.Start(f.writer.writer.View())
	if f.server, err = peer.Server(f.world.head, func(k ed25519.PublicKey) (*record.Node, bool) {
		n := nodes[string(k)]
		return n, n != nil
	}); err != nil {
		return nil, err
	}
	peerpb.RegisterFeedServer(f.server, f.hub)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f.address = l.Addr().String()
	go func() { _ = f.server.Serve(l) }() // until Stop
	return f, nil
}

// begin makes the world's records the first of a log, and runs its writer.
func (w *world) begin(kv *store.Etcd, committed func(*record.LogValue, *view.View)) (*writerOverEtcd, error) {
	wr := &store.Writer{KV: kv, Node: "control", Sign: func(h *record.Head) { h.Sign(w.head) }, Now: time.Now, Log: quiet()}
	ctx, cancel := context.WithCancel(context.Background())
	s := &writerOverEtcd{kv: kv, writer: wr, stop: cancel, done: make(chan error, 1), kept: userPolicy(0), told: []byte(`{}`)}
	err := wr.Open(ctx, func(*record.Head, *view.State) error { return nil })
	if err == nil {
		var g *record.Genesis
		if g, err = record.Get(w.tx, record.Geneses, record.None, "genesis"); err == nil {
			err = wr.Genesis(ctx, g, w.tx.Changes())
		}
	}
	if err != nil {
		cancel()
		return nil, err
	}
	wr.OnCommit = committed
	go func() { s.done <- wr.Run(ctx) }()
	return s, nil
}

// follow runs a follower and notes when it serves what.
func (f *fanned) follow(ctx context.Context, all *sync.WaitGroup, i int, dir string) (*replica.Replica, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	r := &replica.Replica{Dir: dir, Root: f.world.rootHash(), Now: time.Now, Log: quiet()}
	if err := r.Open(); err != nil {
		return nil, err
	}
	conn, err := peer.Dial(f.address, f.keys[i], func(k ed25519.PublicKey) bool { return k.Equal(ed25519.PublicKey(public(f.world.head))) })
	if err != nil {
		return nil, err
	}
	all.Go(func() {
		defer conn.Close()
		_ = r.Run(ctx, []replica.Source{{Name: "control", Client: peerpb.NewFeedClient(conn)}}) // ends with ctx
	})
	all.Go(func() {
		for at := uint64(0); r.Await(ctx, at+1) == nil; {
			now, head := int64(time.Since(f.begun)), r.View().Head.Index
			for ; at < head; at++ {
				for old := f.served[at+1].Load(); old < now && !f.served[at+1].CompareAndSwap(old, now); {
					old = f.served[at+1].Load()
				}
				f.by[at+1].Add(1)
			}
		}
	})
	return r, nil
}

// everywhere waits until every follower serves an index.
func (f *fanned) everywhere(index uint64) error {
	for deadline := time.Now().Add(time.Minute); f.by[index].Load() < int64(len(f.keys)); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("index %d is served by %d of %d followers after a minute", index, f.by[index].Load(), len(f.keys))
		}
	}
	return nil
}

// write has calls begin at a constant rate, whatever becomes of earlier ones.
func (f *fanned) write(rate int, length time.Duration, part int) error {
	var calls sync.WaitGroup
	var failed atomic.Pointer[error]
	var refused atomic.Int64
	begun := time.Now()
	for i := 0; i < int(length.Seconds()*float64(rate)); i++ {
		time.Sleep(time.Until(begun.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		calls.Go(func() {
			switch err := f.writer.update(part*64+i%64, i); {
			case errors.Is(err, store.ErrUnavailable): // the machine cannot keep the rate
				refused.Add(1)
			case err != nil:
				failed.Store(&err)
			}
		})
	}
	calls.Wait()
	f.refused += int(refused.Load())
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
