package clocks

import "time"

const (
	// MaxAhead is how far ahead of the node's own clock a commit time may be to
	// raise the floor: further ahead, one of the two clocks is wrong.
	MaxAhead = 5 * time.Minute
	// keepEach is by how much the floor may be above what the disk has of it.
	keepEach = time.Minute
)

// Floor is the newest commit time that a node has verified: nothing that ended
// before it is accepted, whatever the node's clock shows. It never falls, and is
// on the node's disk but for its last minute, so that a node that starts with a
// clock of long ago has it. The zero Floor is of a node that has verified nothing.
type Floor struct {
	at, kept int64 // milliseconds since 1970
}

// FloorAt is a floor that the disk had.
func FloorAt(t time.Time) Floor {
	if t.IsZero() {
		return Floor{}
	}
	return Floor{t.UnixMilli(), t.UnixMilli()}
}

// Raise takes a verified commit time. It is false, and the floor as it was, when
// the time is too far ahead of the node's own clock.
func (f *Floor) Raise(commit, now time.Time) bool {
	if commit.After(now.Add(MaxAhead)) {
		return commit.UnixMilli() <= f.at
	}
	f.at = max(f.at, commit.UnixMilli())
	return true
}

// At is the floor; 1970 for none.
func (f *Floor) At() time.Time { return time.UnixMilli(f.at) }

// Due says, once for each, that the floor is to be kept.
func (f *Floor) Due() bool {
	if f.at-f.kept < keepEach.Milliseconds() {
		return false
	}
	f.kept = f.at
	return true
}
