// Package overlay is a Region's own lists: what its operators deny, and whom they
// admit, while the control plane cannot be reached. List is the machine that decides
// about either; what it holds is laid over the state that a node serves, so that
// every check sees a denial, or a node, like any other.
//
// Invariant: one list only denies, the other only admits nodes that the state does
// not know. An entry is in force once it is on this node's disk, is acknowledged
// once it is on two, and leaves a node only when that node's own applied state holds
// what it comes to: its denials or their tombstones, its node in force or fenced.
package overlay

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// Limits of a Region's lists.
const (
	MaxEntries = 256
	MaxDenials = 1024 // of all entries
	MaxTickets = 5
)

// How long an entry is waited for.
const (
	// enough is how long the rest of the Region's nodes get once two have it.
	enough = 500 * time.Millisecond
	// patience is how long a second node gets.
	patience = 3 * time.Second
)

// Entry is one command of operators, with what it comes to: denials, or a node.
type Entry struct {
	ID      string
	Command []byte // as the operators have signed it: what proves the rest
	Denials []*record.Denial
	Ticket  *record.Ticket
}

// Events of the List.
type (
	// Loaded is what the disk holds.
	Loaded struct{ Entries []Entry }
	// Made is an operator's command, verified.
	Made struct{ Entry Entry }
	// Told is what another node of the Region has on its disk, verified.
	Told struct {
		Node    string
		Entries []Entry
	}
	// Enrolled names the Region's other nodes in force: those that the state knows,
	// and those by ticket. A node by ticket is unknown where its ticket is not yet, so
	// what it has on its disk is not the second disk.
	Enrolled struct{ Nodes, ByTicket []string }
	// Applied is the state that this node has applied.
	Applied struct{ State record.Reader }
	// Saved is the outcome of the Save under way.
	Saved struct{ Err error }
	// Tick lets time pass.
	Tick struct{}
)

// Effects of the List, to be performed in their order.
type (
	// Save makes the whole list durable; Saved is to follow.
	Save struct{ Entries []Entry }
	// Show has these denied from now on.
	Show struct{ Entries []Entry }
	// Answer tells an operator what became of a command: the nodes of the Region
	// that lack it, or why it is not acknowledged.
	Answer struct {
		ID      string
		Missing []string
		Err     error
	}
	// Void tells of a ticket that the list drops without its node being enrolled: an
	// operator who has signed it is none any more.
	Void struct{ Entry Entry }
)

// List is the machine: no goroutine of its own, channel, clock or I/O inside.
type List struct {
	kind     kind
	items    map[string]*item
	enrolled Enrolled
	state    record.Reader
	saving   []string // ids of the Save under way; nil: none is
	again    bool     // the list has changed since
}

type item struct {
	Entry
	durable bool
	holders map[string]bool // other nodes that have it on their disks
	waits   bool            // an operator does
	since   time.Time       // it was made
	two     time.Time       // two nodes have had it; zero: not yet
}

// kind is what sets the two lists apart.
type kind struct {
	most int // entries
	full error
	// held says whether a state holds what an entry comes to (protocol rule 21).
	held func(record.Reader, *Entry) bool
	// void says whether an entry counts no more for a state that does not hold it;
	// nil: none does.
	void func(record.Reader, *Entry) bool
}

// NewList returns an empty list of denials.
func NewList() *List {
	return &List{items: map[string]*item{}, kind: kind{most: MaxEntries, full: errFull, held: func(r record.Reader, e *Entry) bool {
		return !slices.ContainsFunc(e.Denials, func(d *record.Denial) bool { return !record.Has(r, record.Denials, record.None, d.ID) })
	}}}
}

// NewTickets returns an empty list of tickets. signed says whether a state still
// knows the operators of one: their removal ends it.
func NewTickets(signed func(record.Reader, *Entry) bool) *List {
	return &List{items: map[string]*item{}, kind: kind{most: MaxTickets, full: errTickets,
		held: func(r record.Reader, e *Entry) bool {
			return record.Has(r, record.Nodes, record.None, e.Ticket.Node.ID)
		},
		void: func(r record.Reader, e *Entry) bool { return !signed(r, e) },
	}}
}

// Step takes one event and says what is to be done.
func (l *List) Step(event any, now time.Time) []any {
	var out []any
	switch e := event.(type) {
	case Loaded:
		for _, entry := range e.Entries {
			l.items[entry.ID] = &item{Entry: entry, durable: true, holders: map[string]bool{}}
		}
		out = append(out, Show{l.Durable()})
	case Made:
		out = l.made(e.Entry, now)
	case Told:
		out = l.told(e)
	case Enrolled:
		l.enrolled = e
	case Applied:
		l.state = e.State
		out = l.applied()
	case Saved:
		out = l.saved(e.Err)
	}
	return append(out, l.answers(now)...)
}

// made takes an operator's entry; one that is there already is waited for
// again.
func (l *List) made(e Entry, now time.Time) []any {
	if err := errors.Join(l.room(e), l.named(e)); err != nil {
		return []any{Answer{ID: e.ID, Err: err}}
	}
	i := l.items[e.ID]
	if i == nil {
		i = &item{Entry: e, holders: map[string]bool{}}
		l.items[e.ID] = i
	}
	i.waits, i.since = true, now
	if i.durable {
		return nil
	}
	return l.save()
}

func (l *List) room(e Entry) error {
	total := len(e.Denials)
	for _, i := range l.items {
		if i.ID == e.ID {
			return nil
		}
		total += len(i.Denials)
	}
	if len(l.items) >= l.kind.most || total > MaxDenials {
		return l.kind.full
	}
	return nil
}

// named refuses a second ticket for one name: the first stays.
func (l *List) named(e Entry) error {
	for _, i := range l.items {
		if e.Ticket != nil && i.ID != e.ID && i.Ticket.Node.ID == e.Ticket.Node.ID {
			return errNamed
		}
	}
	return nil
}

// told takes what another node has, unless this node's own state has it.
func (l *List) told(e Told) []any {
	grown := false
	for _, entry := range e.Entries {
		i := l.items[entry.ID]
		if i == nil {
			if l.settled(&entry) || l.room(entry) != nil {
				continue
			}
			i = &item{Entry: entry, holders: map[string]bool{}}
			l.items[entry.ID], grown = i, true
		}
		if i.Ticket == nil || i.Ticket.Node.ID != e.Node { // its own node spreads it no further
			i.holders[e.Node] = true
		}
	}
	if !grown {
		return nil
	}
	return l.save()
}

// settled says whether this node's own applied state holds what an entry comes to, or
// it counts no more.
func (l *List) settled(e *Entry) bool {
	return failpoint.On(failpoint.DropsHandedUp) || l.state != nil && l.kind.held(l.state, e) || l.void(e)
}

// void says whether an entry counts no more, and came to nothing.
func (l *List) void(e *Entry) bool {
	return l.kind.void != nil && l.state != nil && !l.kind.held(l.state, e) && l.kind.void(l.state, e)
}

func (l *List) applied() []any {
	dropped := false
	var out []any
	for _, id := range l.ids() {
		i := l.items[id]
		if !l.settled(&i.Entry) || i.waits {
			continue
		}
		delete(l.items, id)
		dropped = true
		if l.void(&i.Entry) {
			out = append(out, Void{i.Entry})
		}
	}
	if !dropped {
		return nil
	}
	return append(append(out, Show{l.Durable()}), l.save()...)
}

func (l *List) save() []any {
	if l.saving != nil {
		l.again = true
		return nil
	}
	all := l.list(func(*item) bool { return true })
	l.saving = []string{}
	for _, e := range all {
		l.saving = append(l.saving, e.ID)
	}
	return []any{Save{all}}
}

func (l *List) saved(err error) []any {
	ids := l.saving
	l.saving = nil
	var out []any
	for _, id := range ids {
		i := l.items[id]
		switch {
		case i == nil || i.durable:
		case err == nil:
			i.durable = true
		default: // it is not on this disk: nobody is told that it is
			if i.waits {
				out = append(out, Answer{ID: id, Err: err})
			}
			delete(l.items, id)
		}
	}
	if err == nil {
		out = append(out, Show{l.Durable()})
	}
	if l.again {
		l.again = false
		out = append(out, l.save()...)
	}
	return out
}

// answers tells operators whose entries are on two nodes, or never will be in
// time. In a Region of one node that one is enough: of those that the state knows.
func (l *List) answers(now time.Time) []any {
	var out []any
	for _, id := range l.ids() {
		i := l.items[id]
		if !i.waits || !i.durable {
			continue
		}
		has := func(n string) bool { return i.holders[n] }
		missing := slices.DeleteFunc(slices.Concat(l.enrolled.Nodes, l.enrolled.ByTicket), func(n string) bool {
			return has(n) || i.Ticket != nil && i.Ticket.Node.ID == n
		})
		two := slices.ContainsFunc(l.enrolled.Nodes, has) || len(l.enrolled.Nodes) == 0 || failpoint.On(failpoint.DeniesAlone)
		if two && i.two.IsZero() {
			i.two = now
		}
		switch {
		case two && (len(missing) == 0 || now.Sub(i.two) >= enough):
			i.waits = false
			out = append(out, Answer{ID: id, Missing: missing})
		case !two && now.Sub(i.since) >= patience:
			i.waits = false
			out = append(out, Answer{ID: id, Missing: missing, Err: errAlone})
		}
	}
	return out
}

// Durable lists what is on this node's disk, by id.
func (l *List) Durable() []Entry { return l.list(func(i *item) bool { return i.durable }) }

func (l *List) list(which func(*item) bool) []Entry {
	list := []Entry{}
	for _, id := range l.ids() {
		if i := l.items[id]; which(i) {
			list = append(list, i.Entry)
		}
	}
	return list
}

func (l *List) ids() []string {
	ids := make([]string, 0, len(l.items))
	for id := range l.items {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, strings.Compare)
	return ids
}
