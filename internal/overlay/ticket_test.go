package overlay

import (
	"slices"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

func ticketFor(id, name string) Entry {
	return Entry{ID: id, Command: []byte(id), Ticket: &record.Ticket{
		Node: &record.Node{ID: name, Role: record.RegionNode, Region: "us-east-1", TLS: []byte("tls " + id), HPKE: []byte("hpke " + id), Invite: []byte(id)},
		Keys: []*record.SigningKey{{ID: "key " + id, Node: name, Region: "us-east-1"}}}}
}

func newTickets(t *testing.T, signed *bool) *disk {
	d := &disk{List: NewTickets(func(record.Reader, *Entry) bool { return *signed }), t: t, now: now}
	d.do(Enrolled{Nodes: []string{}})
	return d
}

func withNode(t *testing.T, n *record.Node) *view.View {
	t.Helper()
	p := view.Empty(make([]byte, 16)).Begin()
	if err := record.Put(p, record.Nodes, n); err != nil {
		t.Fatal(err)
	}
	return &view.View{State: p.State()}
}

func TestATicketLeavesANodeOnlyWhenItsOwnStateHasTheNodeOrNotTheOperatorsAnyMore(t *testing.T) {
	for name, fenced := range map[string]bool{"in force": false, "fenced": true} {
		signed := true
		d := newTickets(t, &signed)
		d.do(Made{ticketFor("1", "use-d")})
		d.do(Applied{withNode(t, &record.Node{ID: "use-a"})})
		if !slices.Equal(ids(d.shown), []string{"1"}) {
			t.Fatalf("%s: it left before the state has the node", name)
		}
		own := withNode(t, &record.Node{ID: "use-d", Fenced: fenced})
		d.do(Applied{own})
		if len(d.shown) != 0 || len(d.saved) != 0 || len(d.void) != 0 {
			t.Fatalf("%s: shown %v, saved %v, void %v", name, ids(d.shown), ids(d.saved), ids(d.void))
		}
		d.do(Told{"b", []Entry{ticketFor("1", "use-d")}}) // who is behind tells it again
		if len(d.shown) != 0 {
			t.Errorf("%s: it comes back from a peer that is behind", name)
		}
	}
	signed := true
	d := newTickets(t, &signed)
	d.do(Made{ticketFor("1", "use-d")})
	signed = false
	if d.do(Applied{withNode(t, &record.Node{ID: "use-a"})}); len(d.shown) != 0 {
		t.Error("the word of an operator who is none any more counts")
	}
	d.do(Told{"b", []Entry{ticketFor("1", "use-d")}})
	if d.do(Applied{withNode(t, &record.Node{ID: "use-b"})}); !slices.Equal(ids(d.void), []string{"1"}) {
		t.Errorf("that it came to nothing is not told, or not once: %v", ids(d.void))
	}
}

func TestATicketIsNotAcknowledgedByItsOwnNode(t *testing.T) {
	for name, others := range map[string]Enrolled{"by ticket": {Nodes: []string{"b"}, ByTicket: []string{"use-d"}}, "enrolled": {Nodes: []string{"b", "use-d"}}} {
		signed := true
		d := newTickets(t, &signed)
		d.do(others)
		d.do(Made{ticketFor("1", "use-d")})
		d.do(Told{"use-d", []Entry{ticketFor("1", "use-d")}})
		d.now = d.now.Add(enough)
		if d.do(Tick{}); len(d.answers) != 0 {
			t.Fatalf("%s: it counts as the second disk: %v", name, d.answers)
		}
		if d.do(Told{"b", []Entry{ticketFor("1", "use-d")}}); len(d.answers) != 1 || d.answers[0].Err != nil || len(d.answers[0].Missing) != 0 {
			t.Errorf("%s: %v", name, d.answers)
		}
	}
}

func TestTheOpenTicketsAreFewAndEachOfAnotherName(t *testing.T) {
	signed := true
	d := newTickets(t, &signed)
	for n := range MaxTickets {
		id := string(rune('a' + n))
		d.do(Made{ticketFor(id, "use-"+id)})
	}
	before := len(d.answers)
	d.do(Made{ticketFor("z", "use-z")})
	if len(d.answers) != before+1 || d.answers[before].Err == nil || len(d.Durable()) != MaxTickets {
		t.Errorf("%d tickets, %v", len(d.Durable()), d.answers[before:])
	}
	d = newTickets(t, &signed)
	d.do(Made{ticketFor("1", "use-d")})
	d.do(Made{ticketFor("2", "use-d")})
	if len(d.answers) != 2 || d.answers[1].Err == nil || !slices.Equal(ids(d.shown), []string{"1"}) {
		t.Errorf("a second ticket for a name: %v, shown %v", d.answers, ids(d.shown))
	}
}

func TestATicketIsLaidOverAStateThatKnowsNeitherItsNameNorItsKeys(t *testing.T) {
	base := withNode(t, &record.Node{ID: "use-a", TLS: []byte("tls 3")})
	var o Overlaid
	o.Show([]Entry{ticketFor("1", "use-d"), ticketFor("2", "use-d"), ticketFor("3", "use-e"), ticketFor("4", "use-a")})
	over := o.Over(base)
	n, err := record.Get(over, record.Nodes, record.None, "use-d")
	if err != nil || string(n.TLS) != "tls 1" || n.Fenced || !record.Has(over, record.SigningKeys, record.None, "key 1") {
		t.Errorf("%v %+v", err, n)
	}
	for _, key := range []string{"key 2", "key 3", "key 4"} {
		if record.Has(over, record.SigningKeys, record.None, key) {
			t.Errorf("%s is laid over a name or a key that is there", key)
		}
	}
	if n, err := record.Get(over, record.Nodes, record.None, "use-a"); err != nil || string(n.TLS) != "tls 3" {
		t.Errorf("what the state says of a node has changed: %+v", n)
	}
	if record.Has(base, record.Nodes, record.None, "use-d") || over.Head.Index != base.Head.Index {
		t.Error("the view below has changed")
	}
}
