package admission

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func newGate(slots int, l Limits) *Gate { return NewGate(slots, l, time.Now) }

const home = "192.0.2.1:1000"

func TestAGateThatIsNoneLetsAllIn(t *testing.T) {
	var g *Gate
	p, err := g.Enter(context.Background(), SignIn, home, "")
	p.Proven("111122223333")
	p.Leave()
	if err != nil {
		t.Error(err)
	}
}

// waiters waits until so many wait.
func (g *Gate) waiters(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		g.mu.Lock()
		waiting := g.machine.Waiting()
		g.mu.Unlock()
		if waiting == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d wait, want %d", waiting, n)
		}
		runtime.Gosched()
	}
}

func TestWhoHoldsASlotForLongLetsOthersArriveFirst(t *testing.T) {
	for _, x := range []struct {
		each time.Duration // that requests take
		lets bool
	}{{100 * time.Microsecond, false}, {10 * time.Millisecond, true}} {
		var now time.Time
		g := NewGate(1, long, func() time.Time { return now })
		let := 0
		g.yield = func() {
			let++
			if g.Busy() != 1 {
				t.Error("others are let in before the slot is taken")
			}
		}
		for range 100 {
			p, err := g.Enter(context.Background(), Read, home, "a")
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(x.each)
			p.Leave()
		}
		if x.lets != (let > 80) || !x.lets && let > 0 {
			t.Errorf("of 100 requests that take %s, %d let others arrive first", x.each, let)
		}
	}
}

func TestASlotIsGivenOnWhenItIsGivenBack(t *testing.T) {
	g := newGate(1, long)
	first, err := g.Enter(context.Background(), Decide, home, "a")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan *Place)
	var waited atomic.Int64
	g.Waited = func(_ Class, d time.Duration) { waited.Add(int64(d)) }
	go func() {
		p, err := g.Enter(context.Background(), Decide, home, "a")
		if err != nil {
			t.Error(err)
		}
		got <- p
	}()
	g.waiters(t, 1)
	first.Proven("111122223333")
	first.Leave()
	first.Leave() // as a deferred one does
	p := <-got
	if c := g.Counts(); c.Busy != 1 || c.Admitted[Decide] != 2 || waited.Load() == 0 {
		t.Errorf("%+v, waited %d", c, waited.Load())
	}
	p.Leave()
	if c := g.Counts(); c.Busy != 0 || c.Waiting != 0 {
		t.Errorf("%+v", c)
	}
}

// TestWhoComesWhileASlotIsGivenBackFindsIt: the slot came free after the look
// at it and before the queue.
func TestWhoComesWhileASlotIsGivenBackFindsIt(t *testing.T) {
	g := newGate(1, long)
	g.waiting.Add(1) // as somebody who is on his way to the queue
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := g.Enter(ctx, Decide, home, "a"); err != nil {
		t.Error(err)
	}
}

func TestARefusalSaysWhy(t *testing.T) {
	limits := long
	limits.Flow, limits.Bound[SignIn] = 1, time.Nanosecond
	g := newGate(0, limits)
	refused := func(ctx context.Context, c Class) Reason {
		_, err := g.Enter(ctx, c, home, "a")
		var r *Refusal
		if !errors.As(err, &r) || r.Class != c {
			t.Fatalf("%v", err)
		}
		return r.Reason
	}
	if r := refused(context.Background(), SignIn); r != Late {
		t.Errorf("past its bound: %s", r)
	}
	late, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	if r := refused(late, Decide); r == Full {
		t.Errorf("past its client's deadline: %s", r)
	}
	gone, leave := context.WithCancel(context.Background())
	full := make(chan Reason)
	go func() { full <- refused(gone, Decide) }()
	g.waiters(t, 1)
	last := make(chan Reason)
	go func() { last <- refused(gone, Decide) }()
	if r := <-full; r != Full {
		t.Errorf("one more than may wait: %s", r)
	}
	leave()
	if r := <-last; r != Gone {
		t.Errorf("its client has left: %s", r)
	}
	if c := g.Counts(); c.Refused[SignIn][Late] != 1 || c.Refused[Decide][Full] != 1 || c.Refused[Decide][Gone] < 1 || c.Waiting != 0 {
		t.Errorf("%+v", c)
	}
}

// TestNoSlotIsLostAndNobodyIsForgotten: many come and go at once, some give up
// while they are told; in the end every slot is free and nobody waits.
func TestNoSlotIsLostAndNobodyIsForgotten(t *testing.T) {
	limits := Limits{Waiting: 20, Flow: 10}
	for c := range limits.Bound {
		limits.Bound[c] = time.Duration(c+1) * 200 * time.Microsecond
	}
	g := newGate(3, limits)
	var inside, most, done atomic.Int64
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for n := range 300 {
				ctx, cancel := context.WithCancel(context.Background())
				if n%7 == 0 {
					time.AfterFunc(100*time.Microsecond, cancel)
				}
				p, err := g.Enter(ctx, Class(n%Classes), home, string(rune('a'+i%5)))
				if err == nil {
					most.Store(max(most.Load(), inside.Add(1)))
					p.Proven(string(rune('A' + i%3)))
					for range 200 {
						done.Add(1)
					}
					inside.Add(-1)
					p.Leave()
				}
				cancel()
			}
		})
	}
	all.Wait()
	if c := g.Counts(); c.Busy != 0 || c.Waiting != 0 || g.machine.Waiting() != 0 || len(g.places) != 0 || most.Load() > 3 {
		t.Errorf("%+v, %d wait, %d places, %d at once", c, g.machine.Waiting(), len(g.places), most.Load())
	}
}

func TestAnIPv6NetworkIsOneAddress(t *testing.T) {
	g := newGate(1, long)
	one, _ := g.bucketsOf("[2001:db8::1]:1", "")
	two, _ := g.bucketsOf("[2001:db8::ffff]:2", "")
	other, _ := g.bucketsOf("[2001:db8:0:1::1]:1", "")
	four, lane := g.bucketsOf("192.0.2.1:1", "a")
	mapped, same := g.bucketsOf("[::ffff:192.0.2.1]:9", "a")
	if one != two || one == other || four != mapped || lane != same {
		t.Error(one, two, other, four, mapped, lane, same)
	}
}

func BenchmarkEnterAndLeave(b *testing.B) {
	g := newGate(1000, Standard)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p, _ := g.Enter(context.Background(), Decide, home, "AKIA")
			p.Leave()
		}
	})
}

func BenchmarkCrowded(b *testing.B) {
	g := newGate(1, Standard)
	b.SetParallelism(100)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if p, err := g.Enter(context.Background(), Decide, home, "AKIA"); err == nil {
				p.Leave()
			}
		}
	})
}
