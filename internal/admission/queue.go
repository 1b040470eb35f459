package admission

import (
	"container/heap"
	"slices"
)

// queue is who waits in one class.
type queue struct {
	tag     float64 // of the class among the classes: time used over weight
	virtual float64 // tag of the flow that was served last
	tags    [2 * buckets]float64
	flows   map[int]*flow // those in which somebody waits
	backlog backlog       // the same, the one that has used least first
	waiting int
	mean    float64 // seconds that a request of this class takes
}

// flow is who waits of one address or one account.
type flow struct {
	who     int // address, or buckets + account
	tag     float64
	at      int // in the backlog
	waiting int
	lanes   []*lane // the one whose turn it is first
}

// lane is who waits of one flow with one key id from one address.
type lane struct {
	id   int
	list []*waiter // the oldest first
}

// credit is how much less than its part, in seconds, an account may have used
// and still be given it later: the requests of a quiet one come in bunches. For
// addresses there is none, or whoever has many would always be first.
const credit = 0.02

// rejoin has one who is not in the backlog begin near where the others are:
// having been idle is not worth more than the credit.
func (q *queue) rejoin(who int) {
	from := q.virtual
	if who >= buckets {
		from -= credit
	}
	q.tags[who] = max(q.tags[who], from)
}

// flow finds one, or makes it.
func (q *queue) flow(who int) *flow {
	f := q.flows[who]
	if f == nil {
		q.rejoin(who)
		f = &flow{who: who, tag: q.tags[who]}
		q.flows[who] = f
		heap.Push(&q.backlog, f)
	}
	return f
}

func (q *queue) drop(f *flow) {
	heap.Remove(&q.backlog, f.at)
	delete(q.flows, f.who)
}

// charge adds to what somebody has used.
func (q *queue) charge(who int, seconds float64) {
	q.tags[who] += seconds
	if f := q.flows[who]; f != nil {
		f.tag = q.tags[who]
		heap.Fix(&q.backlog, f.at)
	}
}

// longest is the flow in which most wait. Somebody waits.
func (q *queue) longest() *flow {
	most := q.backlog[0]
	for _, f := range q.backlog {
		if f.waiting > most.waiting {
			most = f
		}
	}
	return most
}

// lane finds one, or makes it. There are no more than requests wait in a flow.
func (f *flow) lane(id int) *lane {
	for _, l := range f.lanes {
		if l.id == id {
			return l
		}
	}
	l := &lane{id: id}
	f.lanes = append(f.lanes, l)
	return l
}

// turn is the lane whose turn it is. Somebody waits.
func (f *flow) turn() *lane {
	l := f.lanes[0]
	f.lanes = append(slices.Delete(f.lanes, 0, 1), l)
	return l
}

// tidy takes an empty lane away.
func (f *flow) tidy(l *lane) {
	if len(l.list) == 0 {
		i := slices.Index(f.lanes, l)
		f.lanes = slices.Delete(f.lanes, i, i+1)
	}
}

// oldest is who waits longest in the fullest lane. Somebody waits.
func (f *flow) oldest() *waiter {
	fullest := f.lanes[0]
	for _, l := range f.lanes {
		if len(l.list) > len(fullest.list) {
			fullest = l
		}
	}
	return fullest.list[0]
}

// backlog is a heap of flows by tag.
type backlog []*flow

func (b backlog) Len() int { return len(b) }
func (b backlog) Less(i, j int) bool {
	return b[i].tag < b[j].tag || b[i].tag == b[j].tag && b[i].who < b[j].who
}
func (b backlog) Swap(i, j int) {
	b[i], b[j] = b[j], b[i]
	b[i].at, b[j].at = i, j
}

// Push is heap.Push's.
func (b *backlog) Push(x any) {
	f := x.(*flow)
	f.at = len(*b)
	*b = append(*b, f)
}

// Pop is heap.Pop's.
func (b *backlog) Pop() any {
	old := *b
	f := old[len(old)-1]
	old[len(old)-1] = nil
	*b = old[:len(old)-1]
	return f
}
