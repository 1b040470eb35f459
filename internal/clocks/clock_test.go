package clocks

import (
	"testing"
	"time"
)

var start = Reading{time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), 1000 * time.Second}

// after is a reading d later by the boot clock, whose wall clock was set by step.
func after(d, step time.Duration) Reading {
	return Reading{start.Wall.Add(d + step), start.Boot + d}
}

func TestAClockThatWasSetIsNotBelievedForAMinute(t *testing.T) {
	for _, step := range []time.Duration{2 * time.Second, -2 * time.Second, 87600 * time.Hour} {
		b := NewBound(start)
		if err := b.Judge(after(30*time.Second, 0), nil); err != nil {
			t.Fatal(err)
		}
		for _, d := range []time.Duration{31, 60, 90} {
			if err := b.Judge(after(d*time.Second, step), nil); err == nil {
				t.Errorf("set by %s: believed after %d seconds", step, d-31)
			}
		}
		if err := b.Judge(after(91*time.Second, step), nil); err != nil {
			t.Errorf("set by %s and even since: %v", step, err)
		}
	}
}

func TestAClockThatIsSetBackAtOnceIsNotBelievedForAMinuteEither(t *testing.T) {
	b := NewBound(start)
	b.Judge(after(time.Second, time.Hour), nil)
	if err := b.Judge(after(2*time.Second, 0), nil); err == nil {
		t.Error("believed")
	}
	if err := b.Judge(after(61500*time.Millisecond, 0), nil); err == nil {
		t.Error("believed a minute after the first step and less than one after the second")
	}
	if err := b.Judge(after(62*time.Second, 0), nil); err != nil {
		t.Error(err)
	}
}

func TestSlowDriftAgainstTheBootClockIsNoStep(t *testing.T) {
	b := NewBound(start)
	for s := time.Duration(0); s < 3600*time.Second; s += 10 * time.Second {
		if err := b.Judge(after(s, s/2000), nil); err != nil {
			t.Fatalf("500 ppm after %s: %v", s, err)
		}
	}
}

func TestACommitNeedsAMajorityOfClocksThatAgree(t *testing.T) {
	others := []string{"b", "c"}
	tell := func(b *Bound, node string, ahead time.Duration, at time.Duration) {
		r := after(at, ahead)
		b.Heard(node, r.Wall, r.Boot-time.Millisecond, r.Boot+time.Millisecond)
	}
	cases := []struct {
		name  string
		hear  func(b *Bound)
		works bool
	}{
		{"nobody was heard", func(*Bound) {}, false},
		{"one agrees, one was not heard", func(b *Bound) { tell(b, "b", 900*time.Millisecond, time.Second) }, true},
		{"one agrees, one is an hour off", func(b *Bound) { tell(b, "b", 0, time.Second); tell(b, "c", time.Hour, time.Second) }, true},
		{"both are an hour off", func(b *Bound) { tell(b, "b", time.Hour, time.Second); tell(b, "c", time.Hour, time.Second) }, false},
		{"both are behind by more than the bound", func(b *Bound) {
			tell(b, "b", -1100*time.Millisecond, time.Second)
			tell(b, "c", -1100*time.Millisecond, time.Second)
		}, false},
		{"what was heard is old", func(b *Bound) { tell(b, "b", 0, -29*time.Second) }, false},
		{"a stranger agrees", func(b *Bound) { tell(b, "x", 0, time.Second) }, false},
	}
	for _, x := range cases {
		b := NewBound(start)
		x.hear(b)
		if err := b.Judge(after(2*time.Second, 0), others); (err == nil) != x.works {
			t.Errorf("%s: %v", x.name, err)
		}
	}
}

func TestASlowAnswerWidensTheBoundByHalfItsTime(t *testing.T) {
	b := NewBound(start)
	r := after(time.Second, 1200*time.Millisecond)
	b.Heard("b", r.Wall, r.Boot-300*time.Millisecond, r.Boot+300*time.Millisecond)
	if err := b.Judge(after(2*time.Second, 0), []string{"b", "c"}); err != nil {
		t.Error(err)
	}
}
