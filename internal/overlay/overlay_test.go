package overlay

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func entry(id string) Entry {
	return Entry{ID: id, Command: []byte(id), Denials: []*record.Denial{{ID: "d" + id, Scope: record.DenyKey, Target: "AKIA" + id, By: "op", Created: record.At(now)}}}
}

// disk performs what a list asks for, as a node does.
type disk struct {
	*List
	t       *testing.T
	fails   error
	saved   []Entry
	shown   []Entry
	answers []Answer
	void    []Entry
	now     time.Time
}

func newDisk(t *testing.T, others ...string) *disk {
	d := &disk{List: NewList(), t: t, now: now}
	d.do(Enrolled{Nodes: others})
	return d
}

func (d *disk) do(event any) {
	d.t.Helper()
	for events := []any{event}; len(events) > 0; {
		out := d.Step(events[0], d.now)
		events = events[1:]
		for _, effect := range out {
			switch e := effect.(type) {
			case Save:
				if d.fails == nil {
					d.saved = e.Entries
				}
				events = append(events, Saved{d.fails})
			case Show:
				d.shown = e.Entries
			case Answer:
				d.answers = append(d.answers, e)
			case Void:
				d.void = append(d.void, e.Entry)
			}
		}
	}
}

func ids(list []Entry) (out []string) {
	for _, e := range list {
		out = append(out, e.ID)
	}
	return out
}

// state is what the control plane has of some denials.
func state(t *testing.T, list ...*record.Denial) *view.View {
	t.Helper()
	p := view.Empty(make([]byte, 16)).Begin()
	for _, d := range list {
		if err := record.Put(p, record.Denials, d); err != nil {
			t.Fatal(err)
		}
	}
	return &view.View{State: p.State()}
}

func TestADenialIsInForceOnceItIsOnTheDiskAndAcknowledgedOnceItIsOnTwo(t *testing.T) {
	d := newDisk(t, "b", "c")
	d.do(Made{entry("1")})
	if !slices.Equal(ids(d.saved), []string{"1"}) || !slices.Equal(ids(d.shown), []string{"1"}) || len(d.answers) != 0 {
		t.Fatalf("saved %v, shown %v, %v", ids(d.saved), ids(d.shown), d.answers)
	}
	d.do(Told{"b", []Entry{entry("1")}})
	if len(d.answers) != 0 {
		t.Fatalf("the third node gets no time: %v", d.answers)
	}
	d.now = d.now.Add(enough)
	d.do(Tick{})
	if len(d.answers) != 1 || d.answers[0].Err != nil || !slices.Equal(d.answers[0].Missing, []string{"c"}) {
		t.Fatalf("%v", d.answers)
	}
}

func TestADenialThatEveryNodeHasIsAcknowledgedAtOnce(t *testing.T) {
	d := newDisk(t, "b", "c")
	d.do(Made{entry("1")})
	d.do(Told{"b", []Entry{entry("1")}})
	d.do(Told{"c", []Entry{entry("1")}})
	if len(d.answers) != 1 || d.answers[0].Err != nil || len(d.answers[0].Missing) != 0 {
		t.Fatalf("%v", d.answers)
	}
	alone := newDisk(t)
	if alone.do(Made{entry("1")}); len(alone.answers) != 1 || alone.answers[0].Err != nil {
		t.Errorf("a Region of one node: %v", alone.answers)
	}
}

func TestADenialOnOneNodeAloneIsInForceThereAndNotAcknowledged(t *testing.T) {
	d := newDisk(t, "b", "c")
	d.do(Made{entry("1")})
	d.now = d.now.Add(patience)
	d.do(Tick{})
	if len(d.answers) != 1 || d.answers[0].Err == nil || !slices.Equal(ids(d.shown), []string{"1"}) {
		t.Fatalf("%v, shown %v", d.answers, ids(d.shown))
	}
	d.do(Made{entry("1")}) // asked again
	d.do(Told{"b", []Entry{entry("1")}})
	d.do(Told{"c", []Entry{entry("1")}})
	if len(d.answers) != 2 || d.answers[1].Err != nil {
		t.Errorf("%v", d.answers)
	}
}

func TestADenialIsNotAcknowledgedByANodeThatTheOthersMayNotKnow(t *testing.T) {
	d := &disk{List: NewList(), t: t, now: now}
	d.do(Enrolled{Nodes: []string{"b"}, ByTicket: []string{"d"}})
	d.do(Made{entry("1")})
	d.do(Told{"d", []Entry{entry("1")}})
	d.now = d.now.Add(patience)
	d.do(Tick{})
	if len(d.answers) != 1 || d.answers[0].Err == nil || !slices.Equal(d.answers[0].Missing, []string{"b"}) {
		t.Fatalf("%v", d.answers)
	}
	d.do(Made{entry("1")}) // asked again
	if d.do(Told{"b", []Entry{entry("1")}}); len(d.answers) != 2 || d.answers[1].Err != nil || len(d.answers[1].Missing) != 0 {
		t.Errorf("%v", d.answers)
	}
	d = &disk{List: NewList(), t: t, now: now}
	d.do(Enrolled{Nodes: []string{"b"}, ByTicket: []string{"d"}})
	d.do(Made{entry("1")})
	d.do(Told{"b", []Entry{entry("1")}})
	d.now = d.now.Add(enough)
	if d.do(Tick{}); len(d.answers) != 1 || d.answers[0].Err != nil || !slices.Equal(d.answers[0].Missing, []string{"d"}) {
		t.Errorf("a node by ticket that lacks it is not named: %v", d.answers)
	}
}

func TestADenialThatTheDiskDoesNotTakeIsNeitherShownNorTold(t *testing.T) {
	d := newDisk(t, "b")
	d.fails = errors.New("no space")
	d.do(Made{entry("1")})
	if len(d.answers) != 1 || d.answers[0].Err == nil || len(d.shown) != 0 || len(d.Durable()) != 0 {
		t.Fatalf("%v, shown %v", d.answers, ids(d.shown))
	}
	d.fails = nil
	d.do(Told{"b", []Entry{entry("1")}})
	if !slices.Equal(ids(d.shown), []string{"1"}) {
		t.Errorf("shown %v", ids(d.shown))
	}
}

func TestADenialLeavesANodeOnlyWhenItsOwnStateHoldsItOrItsTombstone(t *testing.T) {
	for name, lifted := range map[string]bool{"in force": false, "lifted": true} {
		d := newDisk(t)
		d.do(Made{entry("1")})
		d.do(Applied{state(t)})
		if !slices.Equal(ids(d.shown), []string{"1"}) {
			t.Fatalf("%s: it left before the state has it", name)
		}
		has := *entry("1").Denials[0]
		has.Lifted = lifted
		d.do(Applied{state(t, &has)})
		if len(d.shown) != 0 || len(d.saved) != 0 {
			t.Fatalf("%s: shown %v, saved %v", name, ids(d.shown), ids(d.saved))
		}
		d.do(Told{"b", []Entry{entry("1")}}) // who is behind tells it again
		if len(d.shown) != 0 {
			t.Errorf("%s: it comes back from a peer that is behind", name)
		}
	}
}

func TestATombstoneBeatsItsIDAndNoViewIsChanged(t *testing.T) {
	lifted := *entry("1").Denials[0]
	lifted.Lifted = true
	base := state(t, &lifted)
	var o Overlaid
	if o.Over(base) != base {
		t.Error("nothing lies over it, and it is another view")
	}
	o.Show([]Entry{entry("1"), entry("2")})
	over := o.Over(base)
	if n := over.Terms(record.DenialByTarget.Name); n != 1 {
		t.Errorf("%d denials are in force", n)
	}
	if d, err := record.Get(over, record.Denials, record.None, "d1"); err != nil || !d.Lifted {
		t.Errorf("%v %v", d, err)
	}
	if base.Terms(record.DenialByTarget.Name) != 0 || over.Head.Index != base.Head.Index || o.Over(base) != over {
		t.Error("the view below has changed, or is laid over anew each time")
	}
	o.Show(nil)
	if o.Over(base) != base {
		t.Error("an empty list lies over it still")
	}
}

func TestTheListIsBounded(t *testing.T) {
	d := newDisk(t)
	for n := range MaxEntries {
		d.do(Made{entry(string(rune('A'+n/26)) + string(rune('a'+n%26)))})
	}
	before := len(d.answers)
	d.do(Made{entry("one too many")})
	if len(d.answers) != before+1 || d.answers[before].Err == nil || len(d.Durable()) != MaxEntries {
		t.Errorf("%d entries, %v", len(d.Durable()), d.answers[before:])
	}
	big := newDisk(t)
	e := entry("big")
	for range MaxDenials {
		e.Denials = append(e.Denials, e.Denials[0])
	}
	if big.do(Made{e}); len(big.answers) != 1 || big.answers[0].Err == nil {
		t.Errorf("%v", big.answers)
	}
}

func TestWhatIsOnTheDiskIsInForceAfterAStart(t *testing.T) {
	d := newDisk(t, "b")
	d.do(Loaded{[]Entry{entry("1")}})
	if !slices.Equal(ids(d.shown), []string{"1"}) || len(d.answers) != 0 {
		t.Errorf("%v %v", ids(d.shown), d.answers)
	}
}
