// Package drill rehearses faults on a running deployment from outside, under
// load whose answers are known before they are asked for, and says which
// guarantees held. `holdfast drill` and the scenarios of internal/scenario run
// the same load and the same checks.
//
// Invariant: a drill touches processes of its own data directory alone, and what
// it does ends: also when it is interrupted, or killed.
package drill

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Drill is one run of scenarios on a deployment.
type Drill struct {
	Deployment *Deployment
	Options    Options
	Admin      Credential
	Account    string
	// Register has the operator admit a user's ARN as the caller of the drill's
	// service, so that decisions are asked for as well; "" takes it back. Nil:
	// none are.
	Register func(caller string) error
	Say      func(format string, args ...any)
}

// Result is what one scenario came to.
type Result struct {
	Scenario   string      `json:"scenario"`
	What       string      `json:"what"`
	Began      time.Time   `json:"began"`
	Faulty     time.Time   `json:"faultBegan"`
	Healed     time.Time   `json:"faultEnded"`
	Ended      time.Time   `json:"ended"`
	Load       Summary     `json:"load"`
	Writes     *Writes     `json:"writes,omitempty"`
	Invariants []Invariant `json:"invariants"`
	Error      string      `json:"error,omitempty"`
	Skipped    string      `json:"notRun,omitempty"` // what was missing for it
	Retries    int         `json:"retriesAllowed"`
	Rate       int         `json:"requestsPerSecond"`
}

// Invariant is one thing that had to hold.
type Invariant struct {
	Name string `json:"name"` // as in docs/guarantees.md
	Held bool   `json:"held"`
	Says string `json:"says"` // by what that is known
}

// Held says whether the scenario ran and everything held.
func (r *Result) Held() bool {
	held := r.Error == "" && r.Skipped == "" && len(r.Invariants) > 0
	for _, i := range r.Invariants {
		held = held && i.Held
	}
	return held
}

// Times around the fault.
const (
	before          = 2 * time.Second
	after           = 2 * time.Second
	convergence     = 10 * time.Second // that is promised
	convergeAtMost  = 60 * time.Second
	tellEach        = 2 * time.Second
	cleanUpPatience = 60 * time.Second
)

// Run runs one scenario. When ctx ends the fault is ended and what was made is
// taken away as well.
func (r *Drill) Run(ctx context.Context, s *Scenario) *Result {
	out := &Result{Scenario: s.Name, What: s.What(r.Deployment, &r.Options), Began: r.Deployment.Now().UTC(), Retries: r.Options.Retries, Rate: r.Options.Rate}
	if s.Needs != nil {
		if err := s.Needs(r.Deployment, &r.Options); err != nil {
			out.Skipped = err.Error()
			return out
		}
	}
	client := r.Deployment.Client("")
	cast, err := NewCast(ctx, client, r.Admin, r.Account)
	defer r.cleanUp(client, cast)
	if err == nil && r.Register != nil {
		err = r.Register("arn:aws:iam::" + r.Account + ":user" + Path + cast.Name)
		cast.Door = err == nil
	}
	if err == nil {
		_, err = r.Deployment.Converge(ctx, convergeAtMost)
	}
	if err == nil {
		err = r.under(ctx, s, cast, out)
	}
	if err != nil {
		out.Error = err.Error()
	}
	out.Ended = r.Deployment.Now().UTC()
	return out
}

// cleanUp takes away what the drill made.
func (r *Drill) cleanUp(c *Client, cast *Cast) {
	ctx, cancel := context.WithTimeout(context.Background(), cleanUpPatience)
	defer cancel()
	err := Remove(ctx, c, r.Admin)
	if cast.Door {
		err = errors.Join(err, r.Register(""))
	}
	if err != nil {
		r.Say("what the drill made under %s could not be removed: %v", Path, err)
	}
}

// under runs the fault under load.
func (r *Drill) under(ctx context.Context, s *Scenario, cast *Cast, out *Result) error {
	load := &Load{Rate: r.Options.Rate, Retries: r.Options.Retries, Timeout: r.Options.Timeout, Now: r.Deployment.Now}
	for _, region := range r.Deployment.Regions() {
		load.Questions = append(load.Questions, cast.Questions(r.Deployment.Client(region))...)
	}
	ledger := &Ledger{Client: r.Deployment.Client(""), Admin: r.Admin, Prefix: cast.Name + "-w", Path: Path, Rate: r.Options.Writes, Patience: r.Options.For + convergeAtMost}
	watch := &Watch{Deployment: r.Deployment, Pause: 4 * lookPause}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var all sync.WaitGroup
	all.Go(func() { load.Run(running) })
	all.Go(func() { ledger.Run(running) })
	all.Go(func() { watch.Run(running) })
	r.pass(ctx, before, "before", load, ledger)
	out.Faulty = r.Deployment.Now().UTC()
	heal, err := s.Begin(r.Deployment, &r.Options)
	if heal != nil {
		defer heal()
		if err == nil {
			r.pass(ctx, r.Options.For, "fault", load, ledger)
			if s.Felt != nil && ctx.Err() == nil && !s.Felt(r.Deployment, &r.Options) {
				err = errors.New("the fault was not felt")
			}
		}
		heal()
	}
	out.Healed = r.Deployment.Now().UTC()
	took, diverged := r.Deployment.Converge(ctx, convergeAtMost)
	r.pass(ctx, after, "after", load, ledger)
	stop()
	all.Wait()
	out.Load = Sum(load.Calls())
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return errors.New("interrupted: the fault was ended")
	}
	if _, err := r.Deployment.Converge(ctx, convergeAtMost); err != nil {
		diverged = err
	}
	out.Invariants = append(out.Invariants, availability(&out.Load), r.written(ctx, ledger, s, out), revocation(&out.Load), monotonic(watch), converged(took, diverged))
	return nil
}

// pass lets time pass, and tells what happens.
func (r *Drill) pass(ctx context.Context, d time.Duration, phase string, load *Load, ledger *Ledger) {
	end := time.After(d)
	tell := time.NewTicker(tellEach)
	defer tell.Stop()
	for {
		sum := Sum(load.Calls())
		acked, _ := ledger.Acked()
		refused, _ := ledger.Refused()
		r.Say("  %-6s %6d requests, %d failed, %d repeated; %d writes acknowledged, %d refused", phase, sum.Sent, sum.Failed, sum.Retried, acked, refused)
		select {
		case <-ctx.Done():
			return
		case <-end:
			return
		case <-tell.C:
		}
	}
}

func availability(s *Summary) Invariant {
	return Invariant{"StaticStability, RegionIndependence, ZoneLoss", s.Failed == 0 && s.Sent > 0,
		fmt.Sprintf("%d of %d requests were not answered as was known before", s.Failed, s.Sent)}
}

// written checks the ledger in every Region.
func (r *Drill) written(ctx context.Context, l *Ledger, s *Scenario, out *Result) Invariant {
	i := Invariant{Name: "NoLostWrite", Held: true}
	for _, region := range r.Deployment.Regions() {
		w, err := l.Check(ctx, r.Deployment.Client(region))
		if err != nil {
			i.Held, i.Says = false, err.Error()
			return i
		}
		i.Held = i.Held && w.Held() && w.Acknowledged > 0
		if out.Writes == nil || !w.Held() {
			out.Writes = w
		}
	}
	w := out.Writes
	i.Says = fmt.Sprintf("%d acknowledged, %d lost, %d done twice, %d answered wrongly", w.Acknowledged, len(w.Lost), len(w.Doubled), len(w.Wrong))
	if s.Refuses && w.Refused == 0 {
		i.Held, i.Says = false, i.Says+"; none was refused: the fault was not felt"
	}
	return i
}

func revocation(s *Summary) Invariant {
	return Invariant{"RevocationHolds", s.Admitted == 0 && s.Revoked > 0, fmt.Sprintf("%d of %d requests with an inactive key were admitted", s.Admitted, s.Revoked)}
}

func monotonic(w *Watch) Invariant {
	samples, back := w.Found()
	says := fmt.Sprintf("%d looks at the nodes' indexes, none went back", samples)
	if len(back) > 0 {
		says = strings.Join(back, "; ")
	}
	return Invariant{"Monotonic", samples > 0 && len(back) == 0, says}
}

func converged(took time.Duration, err error) Invariant {
	if err != nil {
		return Invariant{"Atomic, Ordered, Gapless", false, err.Error()}
	}
	return Invariant{"Atomic, Ordered, Gapless", took <= convergence, fmt.Sprintf("all nodes had the same digest %s after the fault", took.Round(time.Millisecond))}
}
