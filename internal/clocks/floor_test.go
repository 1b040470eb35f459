package clocks

import (
	"testing"
	"time"
)

func TestAFloorRisesWithCommitTimesThatTheClockBearsOutAndNeverFalls(t *testing.T) {
	now := start.Wall
	var f Floor
	for _, x := range []struct {
		commit time.Time
		ok     bool
		floor  time.Time
	}{
		{now.Add(-time.Hour), true, now.Add(-time.Hour)},
		{now.Add(-2 * time.Hour), true, now.Add(-time.Hour)},
		{now.Add(MaxAhead + time.Second), false, now.Add(-time.Hour)},
		{now.Add(MaxAhead), true, now.Add(MaxAhead)},
		{now, true, now.Add(MaxAhead)},
	} {
		if ok := f.Raise(x.commit, now); ok != x.ok || !f.At().Equal(x.floor) {
			t.Errorf("a commit at %s: %v, floor %s", x.commit, ok, f.At())
		}
	}
}

func TestAFloorThatTheDiskHadHoldsWhateverTheClockShows(t *testing.T) {
	f := FloorAt(start.Wall)
	long := time.Unix(0, 0)
	if !f.Raise(start.Wall, long) || f.Raise(start.Wall.Add(time.Second), long) || !f.At().Equal(start.Wall) {
		t.Errorf("floor %s", f.At())
	}
}

func TestAFloorIsKeptOnceAMinute(t *testing.T) {
	f := FloorAt(start.Wall)
	var kept []time.Duration
	for s := range 150 {
		d := time.Duration(s) * time.Second
		f.Raise(start.Wall.Add(d), start.Wall.Add(d))
		if f.Due() {
			kept = append(kept, d)
		}
	}
	if len(kept) != 2 || kept[0] != time.Minute || kept[1] != 2*time.Minute {
		t.Errorf("kept at %v", kept)
	}
	var fresh Floor
	if fresh.Raise(start.Wall, start.Wall); !fresh.Due() || fresh.Due() {
		t.Error("the first floor is not kept once")
	}
}
