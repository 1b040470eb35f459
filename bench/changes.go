package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Of the decisions that are made while changes stream in.
const (
	asked      = 500  // users who ask in turns
	askedEach  = 2000 // decisions a second
	changedPer = 500  // changes a second
)

// changesSection times decisions on a replica that follows a log over gRPC, first
// without a change, then while 500 a second stream in; and denials, until they are
// in force on every node that is in sync.
func changesSection(p *plan) error {
	var t table
	t.add("", "p50", "p99", "p99.9", "most", "goal", "met")
	row := func(name string, list []time.Duration, goal string, ok func(at func(int) time.Duration) bool) {
		slices.Sort(list)
		at := func(permille int) time.Duration { return list[min(len(list)*permille/1000, len(list)-1)] }
		ms := func(permille int) string { return nanos(float64(at(permille))) }
		t.add(name, ms(500), ms(990), ms(999), ms(1000), goal, met(ok(at)))
	}
	length := 20 * p.load
	for _, x := range []struct {
		name string
		rate int
	}{{"decisions at 2,000/s, nothing changes (the control)", 0}, {"the same while 500 changes/s stream in", changedPer}} {
		took, refused, err := decideWhile(x.rate, length)
		if err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
		if refused > 0 {
			x.name = fmt.Sprintf("%s (%d changes refused)", x.name, refused)
		}
		row(fmt.Sprintf("%s, %s", x.name, length), took, "p99.9 ≤ 1 ms", func(at func(int) time.Duration) bool { return refused == 0 && at(999) <= time.Millisecond })
	}
	took, missing, err := denials(p, 100*p.rounds)
	if err != nil {
		return fmt.Errorf("denials: %w", err)
	}
	row(fmt.Sprintf("%d denials of a key, three control-plane and six Region nodes (%d while some node was not in sync, and named)", len(took), missing), took, "p99 ≤ 500 ms",
		func(at func(int) time.Duration) bool { return at(990) <= 500*time.Millisecond })
	t.print(p)
	return nil
}

// decideWhile authenticates and authorizes on a follower's view at a constant rate,
// and returns how long each decision took.
func decideWhile(rate int, length time.Duration) (took []time.Duration, refused int, err error) {
	dir, err := os.MkdirTemp("", "hfb")
	if err != nil {
		return nil, 0, err
	}
	defer os.RemoveAll(dir)
	var list []asking
	f, err := newFanned(dir, 1, rate*int(length/time.Second+10)+asked+1000, func(w *world) (err error) {
		list, _, err = w.askers(asked)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	ctx, all, end := f.run()
	defer end()
	r, err := f.follow(ctx, all, 0, filepath.Join(dir, "copy"))
	if err != nil {
		return nil, 0, err
	}
	if err := f.everywhere(f.writer.writer.View().Head.Index); err != nil {
		return nil, 0, err
	}
	d := &decider{view: r.View(), verifier: &authn.Verifier{Ring: f.world.ring, Region: region, Hot: new(view.Ring)}, authorizer: &authz.Authorizer{}, now: f.world.now}
	d.each(list)(len(list)) // everybody has been here before
	var asking sync.WaitGroup
	asking.Go(func() {
		begun := time.Now()
		for i := range int(length.Seconds() * askedEach) {
			time.Sleep(time.Until(begun.Add(time.Duration(i) * time.Second / askedEach)))
			d.view = r.View()
			from := time.Now()
			d.decide(&list[i%len(list)], d.verifier)
			took = append(took, time.Since(from))
		}
	})
	if rate > 0 {
		err = f.write(rate, length, 0)
	}
	asking.Wait()
	return took, f.refused, err
}

// denials denies made-up keys, one after the other, and returns how long each took
// to be acknowledged, and how many of them some node did not have by then.
func denials(p *plan, many int) (took []time.Duration, missing int, err error) {
	d, w, err := startPlanes(p, "--regions", "us-east-1,eu-west-1", "--azs", "3")
	if err != nil {
		return nil, 0, err
	}
	defer d.stop()
	if _, err := w.Converge(context.Background(), time.Minute); err != nil {
		return nil, 0, err
	}
	if err := w.inSync(6, time.Minute); err != nil {
		return nil, 0, err
	}
	layout := local.Layout{Dir: d.data}
	key, err := operator.LoadKey(layout.OperatorKey())
	if err != nil {
		return nil, 0, err
	}
	client, err := operator.Dial(layout.OperatorSockets(), key)
	if err != nil {
		return nil, 0, err
	}
	defer client.Close()
	for i := range many {
		begun := time.Now()
		var out operator.Denied
		r, err := client.Execute(context.Background(), "deny.create", map[string]string{"scope": record.DenyKey, "target": fmt.Sprintf("AKIA%016d", i)}, &out, time.Now())
		if err != nil {
			return nil, 0, err
		}
		if took = append(took, time.Since(begun)); len(r.Missing) > 0 {
			missing++
		}
	}
	return took, missing, nil
}

// inSync waits until the node that sequences has so many nodes in its in-sync set: a
// node that has just come is waited for only after a while.
func (w *writing) inSync(nodes int, within time.Duration) error {
	for deadline := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		name, _ := w.Sequencer(context.Background())
		s := w.Look(context.Background())[name]
		switch {
		case s != nil && len(s.InSync) == nodes:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("not %d nodes in sync after %s", nodes, within)
		}
	}
}
