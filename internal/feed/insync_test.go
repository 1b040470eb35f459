package feed

import (
	"slices"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// at is a time in milliseconds.
func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

func TestANodeThatIsSlowLeavesTheSetAlsoWhileWritesKeepComing(t *testing.T) {
	s := NewInSync([]string{"fast", "slow"}, 1, start)
	for ms := 10; ms <= 1000; ms += 10 { // one write each 10 ms; "slow" is 200 ms behind
		index := uint64(1 + ms/10)
		s.Step(Published{index}, at(ms))
		s.Step(Acked{"fast", index}, at(ms))
		s.Step(Acked{"slow", max(index, 21) - 20}, at(ms))
	}
	if got := s.Members(); !slices.Equal(got, []string{"fast"}) {
		t.Errorf("members %v", got)
	}
}

func TestANodeThatIsBehindWhileWritesKeepComingDoesNotComeBack(t *testing.T) {
	s := NewInSync([]string{"a"}, 1, start)
	s.Step(Tick{}, at(2500)) // its lease ends
	for ms := 2500; ms <= 12_500; ms += 10 {
		index := uint64(ms / 10)
		s.Step(Published{index}, at(ms))
		s.Step(Acked{"a", index - 20}, at(ms))
	}
	s.Step(Acked{"a", 1250}, at(12_501))
	if got := s.Members(); len(got) != 0 {
		t.Errorf("members %v: it has kept up for an instant, not for its hold", got)
	}
}

func TestAfterAStartANodeComesBackOnlyWithWhatWasAnsweredBeforeIt(t *testing.T) {
	s := NewInSync([]string{"a"}, 10, start)
	s.Step(Tick{}, at(2500))
	for ms := 2500; ms <= 20_000; ms += 500 {
		s.Step(Acked{"a", 9}, at(ms))
	}
	if got := s.Members(); len(got) != 0 {
		t.Errorf("members %v at index 9, and 10 was answered", got)
	}
}

func TestANodeComesBackAfterFiveSecondsAndThenAfterTen(t *testing.T) {
	s := NewInSync([]string{"a"}, 1, start)
	for _, c := range []struct{ left, back int }{{2000, 7000}, {20_000, 30_000}} {
		s.Step(Tick{}, at(c.left))
		for ms := c.left; ms < c.back; ms += 100 {
			s.Step(Acked{"a", 1}, at(ms))
			if len(s.Members()) > 0 {
				t.Fatalf("back %d ms after it began to keep up", ms-c.left)
			}
		}
		s.Step(Acked{"a", 1}, at(c.back))
		if len(s.Members()) != 1 {
			t.Fatalf("not back %d ms after it began to keep up", c.back-c.left)
		}
	}
}

func TestAWriteWaitsForTheBoundAtMostAndTheNextNotAtAll(t *testing.T) {
	s := NewInSync([]string{"a", "b"}, 1, start)
	s.Step(Published{2}, at(0))
	s.Step(Acked{"a", 2}, at(1))
	if out := s.Step(Asked{1, 2}, at(2)); len(out) != 0 {
		t.Fatalf("%v", out)
	}
	if out := s.Step(Tick{}, at(501)); len(out) != 0 {
		t.Fatalf("%v", out)
	}
	if out := s.Step(Tick{}, at(502)); len(out) != 1 || !slices.Equal(out[0].Missing, []string{"b"}) {
		t.Fatalf("%v", out)
	}
	s.Step(Published{3}, at(510))
	s.Step(Acked{"a", 3}, at(511))
	if out := s.Step(Asked{2, 3}, at(512)); len(out) != 1 || !slices.Equal(out[0].Missing, []string{"b"}) {
		t.Fatalf("%v", out)
	}
}

func TestAfterATakeOverEveryNodeIsWaitedForOneLeaseAndItsAcknowledgementsStayTrue(t *testing.T) {
	s := NewInSync([]string{"a", "b"}, 1, start)
	s.Step(Tick{}, at(2400))
	s.Step(Acked{"a", 5}, at(2500)) // followed here all the time; b elsewhere
	if got := s.Members(); len(got) != 0 {
		t.Fatalf("members %v after their leases", got)
	}
	s.Step(TakenOver{5}, at(3000))
	if got := s.Members(); !slices.Equal(got, []string{"a", "b"}) {
		t.Fatalf("members %v after the take-over", got)
	}
	s.Step(Published{6}, at(3001))
	if out := s.Step(Asked{1, 6}, at(3002)); len(out) != 0 {
		t.Fatalf("%v", out)
	}
	s.Step(Acked{"a", 6}, at(3003))
	out := s.Step(Acked{"b", 6}, at(3004))
	if len(out) != 1 || len(out[0].Missing) != 0 {
		t.Fatalf("%v", out)
	}
	if out := s.Step(Asked{2, 5}, at(3005)); len(out) != 1 || len(out[0].Missing) != 0 {
		t.Errorf("%v", out)
	}
	s.Step(Tick{}, at(5004)) // one lease after its last word
	if got := s.Members(); len(got) != 0 {
		t.Errorf("members %v", got)
	}
}
