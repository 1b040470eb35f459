package admission

import (
	"context"
	"hash/maphash"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Gate has the slots of one node. A nil Gate lets everybody in.
type Gate struct {
	slots int32
	now   func() time.Time
	yield func()       // runtime.Gosched
	seed  maphash.Seed // a stranger cannot choose with whom he shares a bucket
	// Waited is told how long a request waited for its slot; nil: nobody is.
	Waited func(Class, time.Duration)

	busy     atomic.Int32 // slots taken
	waiting  atomic.Int32 // requests in or on their way to the machine
	admitted [classes]atomic.Uint64
	refused  [classes][reasons]atomic.Uint64
	took     [classes]atomic.Int64 // nanoseconds of a request in its slot, on average

	mu      sync.Mutex // guards what follows
	machine *Machine
	places  map[uint64]chan any // the effect for each request that waits
	last    uint64
}

// NewGate makes a gate. Requests beyond its slots wait within the limits.
func NewGate(slots int, l Limits, now func() time.Time) *Gate {
	return &Gate{slots: int32(slots), now: now, yield: runtime.Gosched, seed: maphash.MakeSeed(), machine: NewMachine(l), places: map[uint64]chan any{}}
}

// Place is a request's slot, from Enter until Leave. A nil Place is none.
type Place struct {
	gate    *Gate
	held    bool
	class   Class
	address string // host:port
	named   string
	account string
	since   time.Time
	part    Part
}

// Enter waits for a slot. address is the client's, with or without its port,
// named the key id or token that the request names: not yet believed.
func (g *Gate) Enter(ctx context.Context, class Class, address, named string) (*Place, error) {
	if g == nil {
		return nil, nil
	}
	p := &Place{gate: g, class: class, address: address, named: named}
	if g.waiting.Load() == 0 && g.take() {
		g.admitted[class].Add(1)
		g.giveWay(class)
		p.held, p.since = true, g.now()
		return p, nil
	}
	begun := g.now()
	err := g.wait(ctx, p, begun)
	if err != nil {
		return nil, err
	}
	g.admitted[class].Add(1)
	g.giveWay(class)
	p.held, p.since = true, g.now()
	if g.Waited != nil {
		g.Waited(class, p.since.Sub(begun))
	}
	return p, nil
}

// worthIt is what a request has to take for it to be worth while that others are
// read first: to read and refuse one costs about a tenth of it. Of cheaper ones more
// are answered when those that are too many are left unread on their connections.
const worthIt = time.Millisecond

// giveWay lets requests that have arrived be read, and wait in the machine, before
// one that has a slot and takes long is worked on. Else they wait where nobody sees
// them, in the runtime's queue, first come first served.
func (g *Gate) giveWay(class Class) {
	if time.Duration(g.took[class].Load()) >= worthIt {
		g.yield()
	}
}

// Proven notes whose signature has verified: from here on the account pays.
func (p *Place) Proven(account string) {
	if p != nil {
		p.account = account
	}
}

// Leave gives the slot back. To leave twice is to leave once.
func (p *Place) Leave() {
	if p == nil || !p.held {
		return
	}
	g := p.gate
	p.held = false
	now := g.now()
	mean := g.took[p.class].Load()
	g.took[p.class].Store(mean + (int64(now.Sub(p.since))-mean)/16) // of two at once one counts
	g.busy.Add(-1)
	if g.waiting.Load() == 0 { // who comes after this line finds the slot
		return
	}
	e := Ended{Class: p.class, Account: -1, Part: p.part, Took: now.Sub(p.since)}
	e.Address, e.Lane = g.bucketsOf(p.address, p.named)
	if p.account != "" {
		e.Account = int(maphash.String(g.seed, p.account) % buckets)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.machine.Step(e, now)
	g.offer(now)
}

// Again enters again, after a wait that needed no slot.
func (p *Place) Again(ctx context.Context) error {
	if p == nil || p.held {
		return nil
	}
	again, err := p.gate.Enter(ctx, p.class, p.address, p.named)
	if err != nil {
		return err
	}
	again.account = p.account
	*p = *again
	return nil
}

func (g *Gate) take() bool {
	for {
		n := g.busy.Load()
		if n >= g.slots {
			return false
		}
		if g.busy.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// wait has the machine say what becomes of a request. The count of those who
// wait rises before the slots are looked at, and a slot is given back before
// the count is: one of the two sees the other.
func (g *Gate) wait(ctx context.Context, p *Place, now time.Time) error {
	g.waiting.Add(1)
	defer g.waiting.Add(-1)
	a := Arrived{Class: p.class}
	a.Address, a.Lane = g.bucketsOf(p.address, p.named)
	bound := g.machine.limits.Bound[p.class]
	if deadline, ok := ctx.Deadline(); ok {
		a.Until = deadline
		bound = min(bound, deadline.Sub(now))
	}
	told := make(chan any, 1)
	g.mu.Lock()
	g.last++
	a.ID = g.last
	g.places[a.ID] = told
	g.tell(g.machine.Step(a, now))
	g.offer(now)
	g.mu.Unlock()

	timer := time.NewTimer(bound)
	defer timer.Stop()
	var effect any
	select {
	case effect = <-told:
	case <-timer.C:
		effect = g.left(a.ID, told, Late)
	case <-ctx.Done():
		effect = g.left(a.ID, told, Gone)
	}
	if admitted, ok := effect.(Admit); ok {
		p.part = admitted.Part
		return nil
	}
	shed := effect.(Shed)
	g.refused[shed.Class][shed.Reason].Add(1)
	return &Refusal{shed.Class, shed.Reason}
}

// left takes a request out of the machine, unless its answer was faster.
func (g *Gate) left(id uint64, told chan any, r Reason) any {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tell(g.machine.Step(Left{id, r}, g.now()))
	return <-told
}

// offer gives free slots to who waits. The lock is held.
func (g *Gate) offer(now time.Time) {
	for g.machine.Waiting() > 0 && g.take() {
		if !g.tell(g.machine.Step(Freed{}, now)) {
			g.busy.Add(-1)
		}
	}
}

// tell hands the machine's effects to whom they concern, and says whether
// somebody was admitted. The lock is held.
func (g *Gate) tell(effects []any) (admitted bool) {
	for _, e := range effects {
		var id uint64
		switch e := e.(type) {
		case Admit:
			id, admitted = e.ID, true
		case Shed:
			id = e.ID
		}
		g.places[id] <- e
		delete(g.places, id)
	}
	return admitted
}

// bucketsOf hashes an address, and it together with a key id. Of an IPv6
// address the network counts: its host half is the client's to choose.
func (g *Gate) bucketsOf(address, named string) (bucket, lane int) {
	return bucketsOf(g.seed, address, named)
}

func bucketsOf(seed maphash.Seed, address, named string) (bucket, lane int) {
	var h maphash.Hash
	h.SetSeed(seed)
	ap, err := netip.ParseAddrPort(address)
	a := ap.Addr()
	if err != nil {
		a, _ = netip.ParseAddr(address) // what is neither shares a bucket
	}
	b := a.Unmap().AsSlice()
	h.Write(b[:min(len(b), 8)])
	bucket = int(h.Sum64() % buckets)
	h.WriteString(named)
	return bucket, int(h.Sum64() % lanes)
}

// Busy is how many of the slots are taken, as a part of all.
func (g *Gate) Busy() float64 { return min(float64(g.busy.Load())/float64(g.slots), 1) }

// Counts are a gate's counters.
type Counts struct {
	Busy, Waiting int
	Admitted      [classes]uint64
	Refused       [classes][reasons]uint64
}

// Counts reads the counters.
func (g *Gate) Counts() Counts {
	c := Counts{Busy: int(g.busy.Load()), Waiting: int(g.waiting.Load())}
	for i := range c.Admitted {
		c.Admitted[i] = g.admitted[i].Load()
		for j := range c.Refused[i] {
			c.Refused[i][j] = g.refused[i][j].Load()
		}
	}
	return c
}
