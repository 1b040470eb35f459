package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/holdfast-iam/holdfast/internal/feed"
	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/replica"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// memorySection holds many users of one account in a view: heap, one change,
// and a Region node's start from its disk copy.
func memorySection(p *plan) error {
	w, err := newWorld()
	if err != nil {
		return err
	}
	var t table
	t.add("", "ours", "floor", "ours ÷ floor", "spread of ours", "goal", "met")
	shared, _, err := w.millions(p.users, 1000)
	if err != nil {
		return err
	}
	texts := 0
	var v *view.View
	distinct, v, err := w.millions(p.users, p.users)
	if err != nil {
		return err
	}
	v.All(func(e *record.Entry) bool {
		stored, failed := e.Stored()
		texts += len(stored)
		err = failed
		return err == nil
	})
	if err != nil {
		return err
	}
	gib := func(bytes float64) string { return fmt.Sprintf("%.2f GiB", bytes/(1<<30)) }
	limit := float64(p.users) / 1e6 * (1 << 30) // the goals are for a million
	t.add(fmt.Sprintf("heap of %d users, distinct policies", p.users), gib(distinct), "its JSON, "+gib(float64(texts)), times(distinct, float64(texts)), "exact",
		"≤ 1.2 GiB a million", met(distinct <= 1.2*limit))
	t.add("the same, 1,000 shared policies", gib(shared), "–", "–", "exact", "≤ 0.6 GiB a million", met(shared <= 0.6*limit))
	if err := w.changeRow(p, &t, v); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hfb")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	followed, err := w.copyToDisk(v, dir)
	if err != nil {
		return err
	}
	v = nil
	if err := w.startRow(p, &t, dir); err != nil {
		return err
	}
	t.add("a new node's whole copy over the feed, to ready", nanos(float64(followed)), "–", "–", "once", "–", "–")
	t.print(p)
	return nil
}

// millions builds a view of users; texts is how many different policies they
// have.
func (w *world) millions(users, texts int) (held float64, v *view.View, err error) {
	held = heldBytes(func() any {
		var state *view.State
		state, err = w.build(users, texts)
		if err == nil {
			v = w.view(state)
		}
		return state
	})
	return held, v, err
}

func (w *world) build(users, texts int) (*view.State, error) {
	base := w.tx.State()
	var failed error
	state := view.Build(hashSeed, func(yield func(*record.Entry) bool) {
		base.All(yield)
		for i := range users {
			u := w.user(i, userPolicy(i%texts), madeUpKey(i))
			value, err := record.Users.Encode(u)
			if err != nil {
				failed = err
				return
			}
			if !yield(record.NewEntry(record.Users.Key(u), value)) {
				return
			}
		}
	}, runtime.NumCPU())
	return state, failed
}

// madeUpKey has a key's size; nobody signs with it.
func madeUpKey(i int) record.AccessKey {
	k := record.AccessKey{ID: fmt.Sprintf("AKIA%016d", i), Active: true, Generation: 1, Sealed: make([]byte, 68), PublicV4A: make([]byte, 65)}
	sum := sha256.Sum256(fmt.Append(nil, i))
	copy(k.Sealed, sum[:])
	copy(k.PublicV4A, sum[:])
	return k
}

// changeRow applies changes of single users one by one, as a follower does,
// with the new digest of each. The mean is CPU time.
func (w *world) changeRow(p *plan, t *table, v *view.View) error {
	const changes = 10_000
	var values []record.Change
	for i := range changes {
		u := w.user(i*(p.users/changes), userPolicy(p.users+i), madeUpKey(i*(p.users/changes)))
		value, err := record.Users.Encode(u)
		if err != nil {
			return err
		}
		values = append(values, record.Change{Key: record.Users.Key(u), Value: value})
	}
	ours := func() (took []time.Duration, perChange float64) {
		from := spent()
		state := v.State
		for _, c := range values {
			begun := time.Now()
			tx := state.Begin()
			tx.Apply([]record.Change{c})
			state = tx.State()
			state.Digest()
			took = append(took, time.Since(begun))
		}
		return took, float64(spent()-from) / changes
	}
	floor := func() float64 {
		from := spent()
		for _, c := range values {
			record.NewEntry(c.Key, c.Value)
		}
		return float64(spent()-from) / changes
	}
	if err := p.profile("change", func() { ours() }); err != nil {
		return err
	}
	var means, tails, floors []float64
	for range p.rounds {
		runtime.GC()
		took, each := ours()
		means, tails = append(means, each), append(tails, tail(took))
		floors = append(floors, floor())
	}
	slices.Sort(means)
	slices.Sort(tails)
	slices.Sort(floors)
	m, f, last := middle(means), middle(floors), middle(tails)
	t.add("one change with its digest, mean CPU time", nanos(m), "decode and hash, "+nanos(f), times(m, f),
		fmt.Sprintf("%s – %s – %s", nanos(means[0]), nanos(m), nanos(means[len(means)-1])), "≤ 50 µs", met(m <= 50e3))
	t.add("the same, p99 by the clock", nanos(last), "–", "–", fmt.Sprintf("%s – %s – %s", nanos(tails[0]), nanos(last), nanos(tails[len(tails)-1])), "≤ 200 µs", met(last <= 200e3))
	return nil
}

func tail(list []time.Duration) float64 {
	list = slices.Clone(list)
	slices.Sort(list)
	return float64(list[len(list)*99/100])
}

// copyToDisk follows a feed of the view on loopback until the copy is on disk,
// and says how long that took.
func (w *world) copyToDisk(v *view.View, dir string) (time.Duration, error) {
	h := &feed.Hub{Now: time.Now, Heartbeat: func(context.Context) (*record.Beat, error) {
		return record.NewBeat(&v.Head, v.Head.Node, time.Now(), w.head), nil
	}}
	h.Start(v)
	server, err := peer.Server(w.head, func(k ed25519.PublicKey) (*record.Node, bool) {
		return &record.Node{ID: "r", Role: record.RegionNode}, k.Equal(ed25519.PublicKey(public(w.follower)))
	})
	if err != nil {
		return 0, err
	}
	peerpb.RegisterFeedServer(server, h)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	defer func() { server.Stop(); <-ended }()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	go h.Run(ctx)
	conn, err := peer.Dial(l.Addr().String(), w.follower, func(k ed25519.PublicKey) bool { return k.Equal(ed25519.PublicKey(public(w.head))) })
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	r := &replica.Replica{Dir: dir, Root: w.rootHash(), Now: time.Now, Log: quiet()}
	if err := r.Open(); err != nil {
		return 0, err
	}
	begun := time.Now()
	done := make(chan error, 1)
	following, stop := context.WithCancel(ctx)
	go func() {
		done <- r.Run(following, []replica.Source{{Name: "control", Client: peerpb.NewFeedClient(conn)}})
	}()
	err = r.Await(ctx, v.Head.Index)
	took := time.Since(begun)
	stop()
	<-done
	if err != nil {
		return 0, fmt.Errorf("follow: %w: %s", err, r.Alarm())
	}
	return took, nil
}

// startRow opens the disk copy again and again until a user's record is read,
// and until every record is checked against the signed digest, beside reading
// and hashing the largest of the copy's files.
func (w *world) startRow(p *plan, t *table, dir string) error {
	var failed error
	if err := p.profile("start", func() { _, _, _, failed = w.start(dir, p.users) }); err != nil || failed != nil {
		return errors.Join(err, failed)
	}
	var ready, checked, floor []float64
	for range p.rounds {
		runtime.GC()
		a, b, _, err := w.start(dir, p.users)
		if err != nil {
			return err
		}
		ready, checked = append(ready, float64(a)), append(checked, float64(b))
		runtime.GC()
		begun := time.Now()
		if err := readAndHash(dir); err != nil {
			return err
		}
		floor = append(floor, float64(time.Since(begun)))
	}
	slices.Sort(floor)
	million := float64(p.users) / 1e6
	for _, x := range []struct {
		name string
		list []float64
	}{{"start from the disk copy, ready to answer", ready}, {"the same, every record checked against the signed digest", checked}} {
		slices.Sort(x.list)
		m := middle(x.list)
		t.add(x.name, nanos(m), "read and hash, "+nanos(middle(floor)), times(m, middle(floor)),
			fmt.Sprintf("%s – %s – %s", nanos(x.list[0]), nanos(m), nanos(x.list[len(x.list)-1])), "≤ 3 s a million", met(m <= 3e9*million))
	}
	held := heldBytes(func() any {
		var r *replica.Replica
		_, _, r, failed = w.start(dir, p.users)
		return r
	})
	t.add("heap after that start", fmt.Sprintf("%.2f GiB", held/(1<<30)), "–", "–", "exact", "≤ 1.2 GiB a million", met(held <= 1.2*million*(1<<30)))
	return failed
}

// start opens a replica and looks up the last user by name.
func (w *world) start(dir string, users int) (ready, checked time.Duration, r *replica.Replica, err error) {
	begun := time.Now()
	r = &replica.Replica{Dir: dir, Root: w.rootHash(), Now: time.Now, Log: quiet()}
	if err := r.Open(); err != nil {
		return 0, 0, nil, err
	}
	if r.View() == nil {
		return 0, 0, nil, fmt.Errorf("the disk copy in %s was not used", dir)
	}
	if _, err := record.Find(r.View(), record.Users, record.UserByName, record.NameTerm(account, fmt.Sprint("user-", users-1))); err != nil {
		return 0, 0, nil, err
	}
	ready = time.Since(begun)
	if err := r.Check(); err != nil {
		return 0, 0, nil, err
	}
	return ready, time.Since(begun), r, nil
}

func readAndHash(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	largest, size := "", int64(-1)
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			return err
		}
		if info.Size() > size {
			largest, size = f.Name(), info.Size()
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, largest))
	if err != nil {
		return err
	}
	sha256.Sum256(b)
	return nil
}
