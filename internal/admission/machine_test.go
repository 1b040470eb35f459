package admission

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

var begin = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }

// long are limits that nothing in a table reaches.
var long = Limits{Waiting: 100, Flow: 100, Bound: [classes]time.Duration{time.Minute, time.Minute, time.Minute, time.Minute, time.Minute}}

// order lets all in, one after the other, and lists who came.
func order(m *Machine, now time.Time) (ids []uint64) {
	for m.Waiting() > 0 {
		for _, e := range m.Step(Freed{}, now) {
			if a, ok := e.(Admit); ok {
				ids = append(ids, a.ID)
			}
		}
	}
	return ids
}

func TestWhoIsNext(t *testing.T) {
	used := func(class Class, address, account int, took time.Duration) Ended {
		return Ended{Class: class, Address: address, Lane: address, Account: account, Took: took}
	}
	for name, x := range map[string]struct {
		events []any
		at     int // when slots come free
		want   []uint64
	}{
		"nobody":                   {nil, 0, nil},
		"first come, first served": {[]any{Arrived{ID: 1, Address: 1}, Arrived{ID: 2, Address: 1}, Arrived{ID: 3, Address: 1}}, 0, []uint64{1, 2, 3}},
		"the newest, where the oldest has waited half of his time": {[]any{Arrived{ID: 1, Address: 1}, Arrived{ID: 2, Address: 1}, Arrived{ID: 3, Address: 1}}, 30_001, []uint64{3, 2, 1}},
		"addresses in turn":         {[]any{Arrived{ID: 1, Address: 1}, Arrived{ID: 2, Address: 1}, Arrived{ID: 3, Address: 1}, Arrived{ID: 4, Address: 2}}, 0, []uint64{1, 4, 2, 3}},
		"an address's keys in turn": {[]any{Arrived{ID: 1, Lane: 3}, Arrived{ID: 2, Lane: 3}, Arrived{ID: 3, Lane: 3}, Arrived{ID: 4, Lane: 7}}, 0, []uint64{1, 4, 2, 3}},
		"decisions before sign-in": {[]any{Arrived{ID: 1, Class: SignIn}, Arrived{ID: 2, Class: SignIn}, Arrived{ID: 3, Class: Issue}, Arrived{ID: 4}, Arrived{ID: 5}}, 0,
			[]uint64{4, 3, 1, 5, 2}}, // each class once, and then as they have used
		"who has used less": {[]any{used(Decide, 1, -1, time.Second), Arrived{ID: 1, Address: 1}, Arrived{ID: 2, Address: 2}, Arrived{ID: 3, Address: 2}}, 0, []uint64{2, 3, 1}},
		"what a proven account used is not its address's": {[]any{used(Decide, 1, 9, time.Second), used(Decide, 2, -1, time.Millisecond), Arrived{ID: 1, Address: 1, Lane: 5}, Arrived{ID: 2, Address: 2, Lane: 2}}, 0,
			[]uint64{1, 2}},
		"an account from many addresses is one": {[]any{used(Decide, 1, 9, 0), used(Decide, 2, 9, 0), used(Decide, 3, 9, 0),
			Arrived{ID: 1, Address: 1, Lane: 1}, Arrived{ID: 2, Address: 2, Lane: 2}, Arrived{ID: 3, Address: 3, Lane: 3}, Arrived{ID: 4, Address: 4, Lane: 4}}, 0, []uint64{4, 1, 2, 3}},
		"a signature that does not verify costs the address": {[]any{used(Decide, 1, 9, 0), used(Decide, 1, -1, time.Second), used(Decide, 2, 9, 0),
			Arrived{ID: 1, Address: 1, Lane: 1}, Arrived{ID: 2, Address: 2, Lane: 2}}, 0, []uint64{2, 1}},
	} {
		m := NewMachine(long)
		for _, e := range x.events {
			m.Step(e, begin)
		}
		if got := order(m, at(x.at)); !reflect.DeepEqual(got, x.want) {
			t.Errorf("%s: %v, want %v", name, got, x.want)
		}
	}
}

func TestWhoIsRefused(t *testing.T) {
	limits := Limits{Waiting: 4, Flow: 2, Bound: [classes]time.Duration{100 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond, 50 * time.Millisecond}}
	for name, x := range map[string]struct {
		events []any
		want   []any // effects of the last event
	}{
		"the oldest of an address that has its part": {[]any{Arrived{ID: 1}, Arrived{ID: 2}, Arrived{ID: 3}}, []any{Shed{1, Decide, Full}}},
		"sign-in from a full room": {[]any{Arrived{ID: 1, Class: SignIn, Address: 1}, Arrived{ID: 2, Class: Issue, Address: 2}, Arrived{ID: 3, Address: 3}, Arrived{ID: 4, Address: 4}, Arrived{ID: 5, Address: 5}},
			[]any{Shed{1, SignIn, Full}}},
		"STS when no sign-in is left": {[]any{Arrived{ID: 2, Class: Issue, Address: 2}, Arrived{ID: 3, Address: 3}, Arrived{ID: 4, Address: 4}, Arrived{ID: 5, Address: 5}, Arrived{ID: 6, Address: 6}},
			[]any{Shed{2, Issue, Full}}},
		"itself, if it is the last": {[]any{Arrived{ID: 3, Address: 3}, Arrived{ID: 4, Address: 4}, Arrived{ID: 5, Address: 5}, Arrived{ID: 6, Address: 6}, Arrived{ID: 7, Class: SignIn}},
			[]any{Shed{7, SignIn, Full}}},
		"who has most in a full room": {[]any{Arrived{ID: 3, Address: 3}, Arrived{ID: 4, Address: 4}, Arrived{ID: 5, Address: 4}, Arrived{ID: 6, Address: 6}, Arrived{ID: 7, Address: 7}},
			[]any{Shed{4, Decide, Full}}},
		"who is gone":     {[]any{Arrived{ID: 1}, Left{1, Gone}}, []any{Shed{1, Decide, Gone}}},
		"nobody twice":    {[]any{Arrived{ID: 1}, Left{1, Gone}, Left{1, Late}}, []any{}},
		"nobody in a row": {[]any{Freed{}}, []any{}},
	} {
		m := NewMachine(limits)
		var got []any
		for _, e := range x.events {
			got = append([]any{}, m.Step(e, begin)...)
		}
		if !reflect.DeepEqual(got, x.want) {
			t.Errorf("%s: %v, want %v", name, got, x.want)
		}
	}
	m := NewMachine(limits)
	m.Step(Arrived{ID: 1, Class: SignIn}, begin)
	m.Step(Arrived{ID: 2, Address: 1, Until: at(20)}, begin)
	m.Step(Arrived{ID: 3, Address: 2}, begin)
	want := []any{Shed{2, Decide, Late}, Admit{3, Part{3, 100e-6}}}
	if got := m.Step(Freed{}, at(30)); !reflect.DeepEqual(got, want) {
		t.Errorf("after a client's own deadline: %v, want %v", got, want)
	}
	if got := m.Step(Freed{}, at(50)); !reflect.DeepEqual(got, []any{Shed{1, SignIn, Late}}) {
		t.Errorf("after a class's bound: %v", got)
	}
}

// sender sends requests of one class at a rate, in a simulated world.
type sender struct {
	class   Class
	address int
	lane    int           // of its key id, within its address
	account int           // that its signatures prove; -1: they do not verify
	every   time.Duration // between two requests, on average
	took    time.Duration // on average

	answered int
	refused  int
	worked   time.Duration
	stayed   time.Duration // waited and worked
	longest  time.Duration // wait
}

func (s *sender) pair() int { return s.address%4096*16 + s.lane }

// run simulates a node with so many slots and its senders.
type run struct {
	t       *testing.T
	rand    *rand.Rand
	m       *Machine
	slots   int
	now     time.Time
	waiting map[uint64]*asked
	working []*asked
	id      uint64
	most    int
	line    [classes][]uint64 // who came, in order
}

type asked struct {
	s     *sender
	came  time.Time
	until time.Time
	ends  time.Time
	part  Part
	took  time.Duration
}

func (r *run) effects(list []any) {
	for _, e := range list {
		var id uint64
		switch e := e.(type) {
		case Admit:
			id = e.ID
			a := r.waiting[id]
			if a == nil {
				r.t.Fatalf("%d is admitted and does not wait", id)
			}
			a.part = e.Part
			r.work(a)
		case Shed:
			id = e.ID
			r.waiting[id].s.refused++ // panics where it does not wait
		}
		delete(r.waiting, id)
	}
}

func (r *run) work(a *asked) {
	a.took = time.Duration(r.rand.ExpFloat64() * float64(a.s.took))
	a.ends = r.now.Add(a.took)
	a.s.longest = max(a.s.longest, r.now.Sub(a.came))
	r.working = append(r.working, a)
	if len(r.working) > r.slots {
		r.t.Fatalf("%d work, there are %d slots", len(r.working), r.slots)
	}
}

// during lets time pass in steps, and holds the bounds at each.
func (r *run) during(length time.Duration, senders []*sender) {
	const step = 50 * time.Microsecond
	for end := r.now.Add(length); r.now.Before(end); r.now = r.now.Add(step) {
		for i := 0; i < len(r.working); i++ {
			if a := r.working[i]; !a.ends.After(r.now) {
				r.working[i] = r.working[len(r.working)-1]
				r.working = r.working[:len(r.working)-1]
				i--
				a.s.answered++
				a.s.worked += a.took
				a.s.stayed += r.now.Sub(a.came)
				r.effects(r.m.Step(Ended{a.s.class, a.s.address, a.s.pair(), a.s.account, a.part, a.took}, r.now))
			}
		}
		r.late()
		for _, s := range senders {
			if r.rand.Float64() >= float64(step)/float64(s.every) {
				continue
			}
			a := &asked{s: s, came: r.now, until: r.now.Add(Standard.Bound[s.class])}
			if len(r.waiting) == 0 && len(r.working) < r.slots {
				r.work(a)
				continue
			}
			r.id++
			r.waiting[r.id] = a
			r.line[s.class] = append(r.line[s.class], r.id)
			r.effects(r.m.Step(Arrived{ID: r.id, Class: s.class, Address: s.address, Lane: s.pair()}, r.now))
		}
		for len(r.working) < r.slots && r.m.Waiting() > 0 {
			r.effects(r.m.Step(Freed{}, r.now))
		}
		r.bounds()
	}
}

// late is what the timers of those who wait do.
func (r *run) late() {
	for c := range r.line {
		for line := r.line[c]; len(line) > 0; line = r.line[c] {
			if a := r.waiting[line[0]]; a != nil && a.until.After(r.now) {
				break
			} else if a != nil {
				r.effects(r.m.Step(Left{line[0], Late}, r.now))
			}
			r.line[c] = line[1:]
		}
	}
}

func (r *run) bounds() {
	if r.m.Waiting() != len(r.waiting) || r.m.Waiting() > Standard.Waiting {
		r.t.Fatalf("%d wait, %d were not answered, the limit is %d", r.m.Waiting(), len(r.waiting), Standard.Waiting)
	}
	if r.m.Waiting() > 0 && len(r.working) < r.slots {
		r.t.Fatalf("%d wait and a slot is free", r.m.Waiting())
	}
	flows := 0
	for i := range r.m.classes {
		q := &r.m.classes[i]
		if len(q.flows) != len(q.backlog) {
			r.t.Fatalf("%d flows, %d in the heap", len(q.flows), len(q.backlog))
		}
		flows += len(q.flows)
	}
	if flows > r.m.Waiting() {
		r.t.Fatalf("%d flows are kept for %d requests", flows, r.m.Waiting())
	}
	r.most = max(r.most, r.m.Waiting())
}

func newRun(t *testing.T, seed uint64) *run {
	return &run{t: t, rand: rand.New(rand.NewPCG(seed, 1)), m: NewMachine(Standard), slots: 4, now: begin, waiting: map[uint64]*asked{}}
}

// TestAnySendersAreAnsweredOnceWithinTheBoundsAndNoneStarves: random worlds,
// mostly overloaded, of addresses, keys, accounts and forgers. A sender within
// half of an equal part is served nearly always, whatever the others do.
func TestAnySendersAreAnsweredOnceWithinTheBoundsAndNoneStarves(t *testing.T) {
	for seed := range uint64(15) {
		r := newRun(t, seed)
		n := 2 + r.rand.IntN(20)
		var all []*sender
		for i := range n {
			s := &sender{class: Decide, address: 1 + r.rand.IntN(3*n), lane: r.rand.IntN(16), account: i, took: time.Millisecond, every: time.Duration(1+r.rand.IntN(20)) * 100 * time.Microsecond}
			if r.rand.IntN(4) == 0 {
				s.account = -1
			}
			all = append(all, s)
		}
		// A node of 4 slots does 4,000 such a second; this one asks for a
		// quarter of an equal part, from an address of its own.
		modest := &sender{class: Decide, address: 4000, account: 4000, took: time.Millisecond, every: time.Duration(n+1) * time.Millisecond}
		all = append(all, modest)
		r.during(2*time.Second, all)
		if modest.answered == 0 || modest.refused*50 > modest.answered {
			t.Errorf("seed %d: of a modest sender among %d, %d were answered and %d refused", seed, n, modest.answered, modest.refused)
		}
		for _, s := range all {
			if s.longest > Standard.Bound[s.class] {
				t.Errorf("seed %d: one was admitted after %s", seed, s.longest)
			}
		}
	}
}

// TestASeedReplays: the machine is a function of its events.
func TestASeedReplays(t *testing.T) {
	once := func() []sender {
		r := newRun(t, 7)
		var out []sender
		var all []*sender
		for i := range 30 {
			all = append(all, &sender{class: Class(i % Classes), address: i / 3, lane: i % 16, account: i%7 - 1, took: time.Millisecond, every: 2 * time.Millisecond})
		}
		r.during(time.Second, all)
		for _, s := range all {
			out = append(out, *s)
		}
		return out
	}
	if a, b := once(), once(); !reflect.DeepEqual(a, b) {
		t.Errorf("%v\n%v", a, b)
	}
}

// TestAHotAccountLeavesAnotherItsPart: eight times what the node can do, from
// one address or from fifty, against an account that asks for a third of it: its
// requests take twice as long at most as without the other.
func TestAHotAccountLeavesAnotherItsPart(t *testing.T) {
	for name, addresses := range map[string]int{"from its neighbour's address": 0, "from its own": 1, "from fifty": 50} {
		quiet := &sender{class: Decide, address: 1, lane: 1, account: 1, took: time.Millisecond, every: 750 * time.Microsecond}
		newRun(t, 3).during(2*time.Second, []*sender{quiet})
		alone := quiet.stayed / time.Duration(quiet.answered)
		r := newRun(t, 3)
		all := []*sender{quiet}
		for i := range max(1, addresses) {
			s := &sender{class: Decide, address: 2 + i, lane: 2, account: 2, took: time.Millisecond, every: time.Duration(max(1, addresses)) * 31 * time.Microsecond}
			if addresses == 0 {
				s.address, s.every = 1, 51*time.Microsecond // once a step at most
			}
			all = append(all, s)
		}
		r.during(time.Second, all) // until the machine knows whose lanes these are, and who waited before is gone
		quiet.answered, quiet.refused, quiet.longest, quiet.stayed = 0, 0, 0, 0
		r.during(2*time.Second, all)
		if quiet.refused > quiet.answered/50 {
			t.Errorf("%s: of the quiet account %d were answered, %d refused, the longest waited %s", name, quiet.answered, quiet.refused, quiet.longest)
		}
		beside := quiet.stayed / time.Duration(quiet.answered)
		t.Logf("%s: %s alone, %s beside the hot account", name, alone, beside)
		if beside > 2*alone {
			t.Errorf("%s: %s alone, %s beside the hot account", name, alone, beside)
		}
	}
}

// TestEqualSendersShareEqually: each of them asks for more than it can get.
func TestEqualSendersShareEqually(t *testing.T) {
	r := newRun(t, 5)
	var all []*sender
	for i := range 5 { // dear requests and cheap ones: what counts is time
		all = append(all, &sender{class: Decide, address: i, account: i, took: time.Duration(1+i) * time.Millisecond, every: 200 * time.Microsecond})
	}
	r.during(3*time.Second, all)
	for _, s := range all {
		if part := s.worked.Seconds() / 12; part < 0.17 || part > 0.23 {
			t.Errorf("one of five, whose requests take %s, had %.2f of the time", s.took, part)
		}
	}
}

// TestAForgerPaysForHimself: who names another's key id from another address
// takes nothing of that account's part, and from the same address no more than
// the part of a lane.
func TestAForgerPaysForHimself(t *testing.T) {
	for name, forger := range map[string]sender{"elsewhere": {address: 2, lane: 1}, "beside": {address: 1, lane: 2}} {
		r := newRun(t, 9)
		forger.class, forger.account, forger.took, forger.every = Decide, -1, 500*time.Microsecond, 60*time.Microsecond
		honest := &sender{class: Decide, address: 1, lane: 1, account: 1, took: time.Millisecond, every: 750 * time.Microsecond}
		r.during(2*time.Second, []*sender{honest, &forger})
		if honest.refused > honest.answered/50 {
			t.Errorf("%s: of the honest sender %d were answered, %d refused", name, honest.answered, honest.refused)
		}
	}
}

// TestSignInIsRefusedBeforeSTSAndSTSBeforeDecisions: all ask for more than
// there is, and none gets nothing.
func TestSignInIsRefusedBeforeSTSAndSTSBeforeDecisions(t *testing.T) {
	r := newRun(t, 11)
	var all []*sender
	for c := range classes {
		all = append(all, &sender{class: c, address: 1, lane: int(c), account: 1, took: time.Millisecond, every: 400 * time.Microsecond})
	}
	r.during(4*time.Second, all)
	for c := 1; c < Classes; c++ {
		if all[c].answered == 0 || all[c].answered >= all[c-1].answered {
			t.Errorf("%s: %d answered, %s: %d", Class(c-1), all[c-1].answered, Class(c), all[c].answered)
		}
	}
	if d := all[Decide]; d.refused > d.answered {
		t.Errorf("of the decisions %d were answered, %d refused", d.answered, d.refused)
	}
}

// TestMemoryIsBoundWhateverAddressesCome: each request from another address,
// naming another key.
func TestMemoryIsBoundWhateverAddressesCome(t *testing.T) {
	r := newRun(t, 13)
	stranger := &sender{class: Decide, account: -1, took: time.Millisecond, every: 60 * time.Microsecond}
	for range 4000 {
		stranger.address, stranger.lane = r.rand.IntN(buckets), r.rand.IntN(16)
		r.during(250*time.Microsecond, []*sender{stranger})
	}
	if r.most != Standard.Waiting {
		t.Errorf("%d waited at most, the limit is %d", r.most, Standard.Waiting)
	}
}
