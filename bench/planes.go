package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/local"
)

// takeOvers is how often the node that sequences is killed.
const takeOvers = 20

// planesSection kills the node that sequences again and again, and freezes a
// Region, in deployments of the built binary.
func planesSection(p *plan) error {
	var t table
	t.add("", "least", "median", "nine in ten", "most", "goal", "met")
	kills := takeOvers
	if p.rounds < 5 {
		kills = 5
	}
	took, err := killSequencers(p, kills)
	if err != nil {
		return err
	}
	t.add(quantiles(fmt.Sprintf("the node that sequences is killed, %d times: next write acknowledged after", kills), took, "≤ 2 s", took[len(took)-1] <= 2*time.Second)...)
	before, after, waits, span, err := freezeRegion(p)
	if err != nil {
		return err
	}
	t.add(quantiles("two Regions: a write, before", before, "–", true)...)
	bounds := fmt.Sprintf("%d writes waited, within %s of the first", len(waits), span.Round(time.Millisecond))
	t.add(quantiles("one of them frozen: "+bounds, waits, "500 ms, once", len(waits) > 0 && waits[len(waits)-1] <= 700*time.Millisecond && span <= 700*time.Millisecond)...)
	t.add(quantiles("the same, after those", after, "as before (median within 1.5 ×)", after[len(after)/2] <= before[len(before)/2]*3/2)...)
	t.print(p)
	return nil
}

func quantiles(name string, list []time.Duration, goal string, ok bool) []string {
	if len(list) == 0 {
		return []string{name, "–", "–", "–", "–", goal, met(ok)}
	}
	ms := func(d time.Duration) string { return nanos(float64(d)) }
	return []string{name, ms(list[0]), ms(list[len(list)/2]), ms(list[len(list)*9/10]), ms(list[len(list)-1]), goal, met(ok)}
}

// writing is a deployment and who writes to it.
type writing struct {
	*drill.Deployment
	admin  drill.Credential
	client *drill.Client
	n      int
}

func startPlanes(p *plan, args ...string) (*process, *writing, error) {
	d, err := startDeployment(p, args...)
	if err != nil {
		return nil, nil, err
	}
	a, err := drill.Attach(local.Layout{Dir: d.data}, time.Now)
	if err != nil {
		d.stop()
		return nil, nil, err
	}
	return d, &writing{Deployment: a, admin: drill.Credential{ID: d.credentials.AdminKeyID, Secret: d.credentials.AdminSecret}, client: a.Client("")}, nil
}

// write makes a user, asked for again until that is answered, as SDKs do.
func (w *writing) write() (time.Duration, error) {
	w.n++
	name, begun := fmt.Sprint("bench-", w.n), time.Now()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		a, err := w.client.CallAs(ctx, name, w.admin, "iam", "CreateUser", "UserName", name)
		cancel()
		switch {
		case err == nil && a.Status == http.StatusOK:
			return time.Since(begun), nil
		case err == nil && a.Status < 500, time.Since(begun) > time.Minute:
			return 0, fmt.Errorf("CreateUser: %v %v", a, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func killSequencers(p *plan, kills int) (took []time.Duration, err error) {
	d, w, err := startPlanes(p, "--azs", "3")
	if err != nil {
		return nil, err
	}
	defer d.stop()
	for range kills {
		if _, err := w.Converge(context.Background(), time.Minute); err != nil {
			return nil, err
		}
		if _, err := w.write(); err != nil {
			return nil, err
		}
		name, _ := w.Sequencer(context.Background())
		before := w.Pids(name)
		if err := w.Kill(name); err != nil {
			return nil, err
		}
		after, err := w.write()
		if err != nil {
			return nil, err
		}
		took = append(took, after)
		if err := w.Restarted(before, time.Minute); err != nil {
			return nil, err
		}
	}
	slices.Sort(took)
	return took, nil
}

// waited is a write that a frozen node was waited for.
const waited = 400 * time.Millisecond

// freezeRegion returns the times of writes before and after, and of those that
// waited, with the time from the first of those to the end of the last.
func freezeRegion(p *plan) (before, after, waits []time.Duration, span time.Duration, err error) {
	d, w, err := startPlanes(p, "--regions", "us-east-1,eu-west-1")
	if err != nil {
		return nil, nil, nil, 0, err
	}
	defer d.stop()
	many := 20 * p.rounds
	for range 2 * many { // the first half warms up
		took, err := w.write()
		if err != nil {
			return nil, nil, nil, 0, err
		}
		before = append(before, took)
	}
	before = before[many:]
	thaw, err := w.Freeze("eu-west-1a")
	if err != nil {
		return nil, nil, nil, 0, err
	}
	defer thaw()
	var first time.Time
	for range many {
		begun := time.Now()
		took, err := w.write()
		if err != nil {
			return nil, nil, nil, 0, err
		}
		if took < waited {
			after = append(after, took)
			continue
		}
		if waits = append(waits, took); first.IsZero() {
			first = begun
		}
		span = time.Since(first)
	}
	for _, l := range [][]time.Duration{before, after, waits} {
		slices.Sort(l)
	}
	return before, after, waits, span, nil
}
