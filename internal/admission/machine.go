package admission

import (
	"slices"
	"time"
)

// Bounds of what is remembered. Addresses and accounts are known by a keyed
// hash of so many values: two that share one share a part.
const (
	buckets = 4096    // addresses, and as many accounts
	lanes   = 1 << 16 // pairs of an address and a key id
)

// Events of the Machine.
type (
	// Arrived is a request that found no slot.
	Arrived struct {
		ID            uint64
		Class         Class
		Address, Lane int       // hashes: of the address, of address and key id
		Until         time.Time // its client's own deadline; zero: none
	}
	// Freed offers a slot to who is next.
	Freed struct{}
	// Ended is a request that gave its slot back.
	Ended struct {
		Class         Class
		Address, Lane int
		Account       int // hash of the account that its signature proved; -1: none
		Part          Part
		Took          time.Duration
	}
	// Left is a request that waits no longer.
	Left struct {
		ID     uint64
		Reason Reason
	}
)

// Effects of the Machine.
type (
	// Admit gives the slot to a request; Part comes back with its end.
	Admit struct {
		ID   uint64
		Part Part
	}
	// Shed refuses a request.
	Shed struct {
		ID     uint64
		Class  Class
		Reason Reason
	}
)

// Part is what a request was charged with when it got its slot, in advance.
// The zero value: nothing, it never waited.
type Part struct {
	flow    int // 1 + who was charged
	seconds float64
}

// Machine is the single-threaded machine: no clock, goroutine, randomness or
// order of a map inside.
//
// Time is divided by start-time fair queueing, twice: among classes by their
// weights, and within a class among flows. A flow is an account where the last
// signature from this lane of this address proved it, and the address
// otherwise. Within a flow the lanes take turns.
type Machine struct {
	limits  Limits
	classes [classes]queue
	virtual float64 // tag of the class that was served last
	waiters map[uint64]*waiter
	// proved is 1 + the account that the last signature from a lane proved.
	proved [lanes]uint16
	out    []any
}

type waiter struct {
	id    uint64
	class Class
	flow  *flow
	lane  *lane
	half  time.Time // half of its time is over
	until time.Time
}

// NewMachine makes a machine in which nobody waits.
func NewMachine(l Limits) *Machine {
	m := &Machine{limits: l, waiters: map[uint64]*waiter{}}
	for i := range m.classes {
		m.classes[i] = queue{flows: map[int]*flow{}, mean: 100e-6}
	}
	return m
}

// Waiting says how many requests wait.
func (m *Machine) Waiting() int { return len(m.waiters) }

// Step takes one event and says what is to be done. The effects are good until
// the next step.
func (m *Machine) Step(event any, now time.Time) []any {
	m.out = m.out[:0]
	switch e := event.(type) {
	case Arrived:
		m.arrived(e, now)
	case Freed:
		m.freed(now)
	case Ended:
		m.ended(e)
	case Left:
		if w := m.waiters[e.ID]; w != nil {
			m.shed(w, e.Reason)
		}
	}
	return m.out
}

func (m *Machine) arrived(a Arrived, now time.Time) {
	until := now.Add(m.limits.Bound[a.Class])
	if !a.Until.IsZero() && a.Until.Before(until) {
		until = a.Until
	}
	q := &m.classes[a.Class]
	if q.waiting == 0 {
		q.tag = max(q.tag, m.virtual)
	}
	who := a.Address
	if p := m.proved[a.Lane]; p != 0 {
		who = buckets + int(p) - 1
	}
	f := q.flow(who)
	w := &waiter{id: a.ID, class: a.Class, flow: f, lane: f.lane(a.Lane), half: now.Add(until.Sub(now) / 2), until: until}
	m.waiters[a.ID] = w
	q.waiting++
	f.waiting++
	w.lane.list = append(w.lane.list, w)
	switch {
	case f.waiting > m.limits.Flow:
		m.shed(f.oldest(), Full)
	case len(m.waiters) > m.limits.Waiting:
		m.shed(m.dispensable(), Full)
	}
}

// dispensable is who leaves a full room: of the last class that waits, of the
// flow that has most in it.
func (m *Machine) dispensable() *waiter {
	for c := int(classes) - 1; ; c-- {
		if m.classes[c].waiting > 0 { // somebody waits: the room is full
			return m.classes[c].longest().oldest()
		}
	}
}

func (m *Machine) freed(now time.Time) {
	for len(m.waiters) > 0 {
		w := m.next(now)
		if !now.Before(w.until) {
			m.shed(w, Late)
			continue
		}
		q := &m.classes[w.class]
		m.virtual, q.virtual = q.tag, max(q.virtual, w.flow.tag)
		q.tag += q.mean / weights[w.class]
		q.charge(w.flow.who, q.mean)
		m.out = append(m.out, Admit{w.id, Part{1 + w.flow.who, q.mean}})
		m.remove(w)
		return
	}
}

// next is who gets the next slot. Somebody waits. In a lane the oldest go first,
// until one of them has waited half of his time: so many wait then that some
// wait in vain, and it is better that these do who are nearest to giving up.
func (m *Machine) next(now time.Time) *waiter {
	var q *queue
	for c := range m.classes {
		if x := &m.classes[c]; x.waiting > 0 && (q == nil || x.tag < q.tag) {
			q = x
		}
	}
	f := q.backlog[0]
	list := f.turn().list
	if list[0].half.Before(now) {
		return list[len(list)-1]
	}
	return list[0]
}

// ended corrects what was charged in advance: what a request took is its
// account's where it proved one, and its address's where it did not.
func (m *Machine) ended(e Ended) {
	q := &m.classes[e.Class]
	took := e.Took.Seconds()
	q.mean += (took - q.mean) / 64
	q.tag += (took - e.Part.seconds) / weights[e.Class]
	if e.Part.flow > 0 {
		q.charge(e.Part.flow-1, -e.Part.seconds)
	}
	who := e.Address
	if e.Account >= 0 {
		who = buckets + e.Account
	}
	m.proved[e.Lane] = uint16(e.Account + 1)
	if q.flows[who] == nil { // for one who waits, to be behind is a claim
		q.rejoin(who)
	}
	q.charge(who, took)
}

func (m *Machine) shed(w *waiter, r Reason) {
	m.remove(w)
	m.out = append(m.out, Shed{w.id, w.class, r})
}

func (m *Machine) remove(w *waiter) {
	delete(m.waiters, w.id)
	i := slices.Index(w.lane.list, w)
	w.lane.list = slices.Delete(w.lane.list, i, i+1)
	w.flow.tidy(w.lane)
	q := &m.classes[w.class]
	q.waiting--
	if w.flow.waiting--; w.flow.waiting == 0 {
		q.drop(w.flow)
	}
}
