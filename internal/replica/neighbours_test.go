package replica

import (
	"testing"
	"time"
)

// hood is a Neighbours at an index, with a clock of its own.
type hood struct {
	*Neighbours
	now time.Time
}

func newHood(index uint64, leased bool) *hood {
	h := &hood{NewNeighbours(), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	h.Step(Own{Lineage: "l", Index: index, Leased: leased}, h.now)
	return h
}

// after lets time pass in gossip's steps, in which every peer says the same.
func (h *hood) after(d time.Duration, peers ...Standing) (out []CatchUpFrom) {
	for end := h.now.Add(d); h.now.Before(end); {
		h.now = h.now.Add(10 * time.Millisecond)
		for _, p := range peers {
			out = append(out, h.Step(Heard{p}, h.now)...)
		}
		out = append(out, h.Step(Pulse{}, h.now)...)
	}
	return out
}

func at(node string, index uint64) Standing {
	return Standing{Node: node, Zone: node, Lineage: "l", Index: index, Ready: true}
}

func TestANodeCatchesUpFromThePeerThatHasMost(t *testing.T) {
	h := newHood(5, false)
	if out := h.after(10*time.Millisecond, at("c", 5), at("b", 4)); len(out) != 0 {
		t.Fatalf("%v", out)
	}
	h.Step(Heard{at("b", 9)}, h.now)
	out := h.Step(CaughtUp{nil}, h.now) // at 5 still: b is left aside
	if len(out) != 0 || h.Ahead(h.now) != 9 {
		t.Fatalf("%v", out)
	}
	out = h.after(10*time.Millisecond, at("b", 9), at("c", 7), at("d", 7))
	if len(out) != 1 || out[0].Node != "c" {
		t.Fatalf("%v", out)
	}
	h.Step(Own{Lineage: "l", Index: 7}, h.now)
	if out = h.Step(CaughtUp{nil}, h.now); len(out) != 0 {
		t.Fatalf("%v", out)
	}
	if out = h.after(firstAside, at("b", 9)); len(out) != 1 || out[0].Node != "b" {
		t.Errorf("%v", out)
	}
}

func TestUnderALeaseTheControlPlanesOwnStreamGetsAMomentUnlessSomebodyWaits(t *testing.T) {
	h := newHood(5, true)
	if out := h.after(40*time.Millisecond, at("b", 6)); len(out) != 0 {
		t.Fatalf("%v", out)
	}
	if out := h.after(30*time.Millisecond, at("b", 6)); len(out) != 1 {
		t.Fatalf("%v", out)
	}
	h = newHood(5, true)
	h.after(10*time.Millisecond, at("b", 6))
	if out := h.Step(Wanted{6}, h.now); len(out) != 1 {
		t.Errorf("%v", out)
	}
}

func TestARevisionThatNeverComesHurriesNobody(t *testing.T) {
	h := newHood(5, true)
	h.Step(Wanted{1 << 60}, h.now)
	if out := h.after(40*time.Millisecond, at("b", 6)); len(out) != 0 {
		t.Errorf("the control plane's own stream gets no moment any more: %v", out)
	}
	if out := h.Step(Wanted{6}, h.now); len(out) != 1 {
		t.Errorf("one that is there is not hurried for: %v", out)
	}
}

func TestANodeThatIsBehindForASecondLeavesRequestsToOneThatIsAhead(t *testing.T) {
	h := newHood(5, false)
	h.after(900*time.Millisecond, at("b", 6))
	if ready, why := h.Ready(h.now); !ready {
		t.Fatal(why)
	}
	h.after(200*time.Millisecond, at("b", 6))
	if ready, _ := h.Ready(h.now); ready {
		t.Fatal("ready, and a second behind")
	}
	unready := at("b", 6)
	unready.Ready = false
	h.after(10*time.Millisecond, unready)
	if ready, why := h.Ready(h.now); !ready {
		t.Errorf("the last ready node does not serve: %s", why)
	}
	h.after(10*time.Millisecond, at("b", 6))
	h.now = h.now.Add(heardFor)
	h.Step(Pulse{}, h.now)
	if ready, why := h.Ready(h.now); !ready {
		t.Errorf("it waits for a peer that is gone: %s", why)
	}
}

func TestANodeThatKeepsUpWithALagIsReady(t *testing.T) {
	h := newHood(5, true)
	for index := uint64(6); index < 400; index++ { // ten milliseconds behind, for four seconds
		h.after(10*time.Millisecond, at("b", index))
		h.Step(CaughtUp{nil}, h.now)
		h.Step(Own{Lineage: "l", Index: index - 1, Leased: true}, h.now)
	}
	if ready, why := h.Ready(h.now); !ready {
		t.Error(why)
	}
}

func TestAPeerOfAnotherHistoryDoesNotCount(t *testing.T) {
	h := newHood(5, false)
	other := at("b", 900)
	other.Lineage = "other"
	if out := h.after(2*time.Second, other); len(out) != 0 {
		t.Errorf("%v", out)
	}
	if ready, why := h.Ready(h.now); !ready || h.Ahead(h.now) != 0 {
		t.Error(why)
	}
}

func TestAClockFarFromTheMedianOfThreeTakesItsNodeOutWhileAnotherIsReady(t *testing.T) {
	off := func(s Standing, by time.Duration) Standing {
		s.Clock = by
		return s
	}
	h := newHood(5, true)
	h.after(10*time.Millisecond, off(at("b", 5), time.Hour))
	if ready, why := h.Ready(h.now); !ready {
		t.Fatalf("of two nobody knows who is right: %s", why)
	}
	h.after(10*time.Millisecond, off(at("b", 5), time.Hour), off(at("c", 5), time.Hour+time.Second))
	if ready, _ := h.Ready(h.now); ready {
		t.Fatal("an hour off two others, and ready")
	}
	h.after(10*time.Millisecond, off(at("b", 5), time.Hour), off(at("c", 5), 0))
	if ready, why := h.Ready(h.now); !ready {
		t.Fatalf("the median is this node's: %s", why)
	}
	b, c := off(at("b", 5), time.Hour), off(at("c", 5), time.Hour)
	b.Ready, c.Ready = false, false
	h.after(10*time.Millisecond, b, c)
	if ready, why := h.Ready(h.now); !ready {
		t.Errorf("the last ready node does not serve: %s", why)
	}
}

func TestAClockBelowTheFloorTakesItsNodeOutWhileAPeerIsAboveIt(t *testing.T) {
	h := newHood(5, true)
	h.Step(Own{Lineage: "l", Index: 5, Leased: true, Floor: h.now.Add(time.Minute)}, h.now)
	h.after(10*time.Millisecond, at("b", 5))
	if ready, why := h.Ready(h.now); !ready {
		t.Fatalf("b's clock is below it too: %s", why)
	}
	ahead := at("b", 5)
	ahead.Clock = 2 * time.Minute
	h.after(10*time.Millisecond, ahead)
	if ready, _ := h.Ready(h.now); ready {
		t.Error("ready with a clock below the floor")
	}
	h.Step(Own{Lineage: "l", Index: 5, Leased: true, Floor: h.now.Add(time.Second)}, h.now)
	if ready, why := h.Ready(h.now); !ready {
		t.Errorf("by a second, as after any commit: %s", why)
	}
}

func TestWhatIsLeftOfARegionWithoutItsBusiestZone(t *testing.T) {
	a, b, c := at("a", 1), at("b", 1), at("c", 1)
	a.Load, b.Load, c.Load = 0.3, 0.4, 0.2
	if got, ok := Without([]Standing{a, b, c}); !ok || got < 0.449 || got > 0.451 {
		t.Errorf("%v %v: 0.9 on two nodes", got, ok)
	}
	c.Ready = false
	if got, ok := Without([]Standing{a, b, c}); !ok || got < 0.899 || got > 0.901 {
		t.Errorf("%v %v: 0.9 on one node", got, ok)
	}
	b.Ready = false
	if _, ok := Without([]Standing{a, b, c}); ok {
		t.Error("one node is left, and its zone can go")
	}
}
