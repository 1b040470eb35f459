package node

import (
	"testing"
	"time"
)

func TestAListThatWasRefusedIsProposedLessAndLessOftenUntilItChanges(t *testing.T) {
	now := time.Unix(0, 0)
	var p proposals
	many := func(list string, refused bool, length time.Duration) (n int) {
		for end := now.Add(length); now.Before(end); now = now.Add(ownPulse) {
			if p.due([]byte(list), now) {
				n++
				p.done(refused, now)
			}
		}
		return n
	}
	if n := many("a", false, 10*time.Second); n != 20 {
		t.Errorf("a list that is not taken yet is proposed %d times in ten seconds, not 20", n)
	}
	if n := many("a", true, 10*time.Minute); n > 30 {
		t.Errorf("a refused list is proposed %d times in ten minutes", n)
	}
	if !p.due([]byte("b"), now) {
		t.Error("a new list waits for what was refused before it")
	}
	p.done(false, now)
	if n := many("b", false, 10*time.Second); n < 19 {
		t.Errorf("after a refusal of another a list is proposed %d times in ten seconds", n)
	}
}
