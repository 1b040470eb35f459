package feed

import (
	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// partBytes is about how big a part of a snapshot is.
const partBytes = 1 << 20

// ringBytes bounds what the commits of a ring come to.
const ringBytes = 64 << 20

// Commit is one commit as followers get it.
type Commit struct {
	First, Last uint64 // indexes of its records
	Bytes       []byte // a record.Batch as JSON
}

// Ring is the settled view and the newest commits before it: what a follower
// can be served from. It is for one goroutine at a time.
type Ring struct {
	limit   int
	view    *view.View
	commits []Commit
	bytes   int // of all commits
}

// NewRing starts at a view and keeps at most limit commits.
func NewRing(v *view.View, limit int) *Ring { return &Ring{limit: limit, view: v} }

// View returns the newest view that may be sent.
func (r *Ring) View() *view.View { return r.view }

// Publish adds a confirmed commit and the view that it made.
func (r *Ring) Publish(l *record.LogValue, v *view.View) {
	b, err := record.Marshal(l.Batch())
	if err != nil {
		panic("feed: a committed batch does not encode: " + err.Error()) // plain data: a mistake of ours
	}
	r.Add(Commit{l.Head.Index - uint64(len(l.Records)) + 1, l.Head.Index, b}, v)
}

// Add adds a commit as followers get it, and the view that it made.
func (r *Ring) Add(c Commit, v *view.View) {
	if c.First != r.view.Head.Index+1 {
		r.commits, r.bytes = nil, 0 // never a gap: who is before it needs a snapshot
	}
	r.view = v
	r.commits = append(r.commits, c)
	r.bytes += len(c.Bytes)
	drop := 0
	for len(r.commits)-drop > r.limit || r.bytes > ringBytes && len(r.commits)-drop > 1 {
		r.bytes -= len(r.commits[drop].Bytes)
		drop++
	}
	if drop > 0 {
		r.commits = append([]Commit{}, r.commits[drop:]...)
	}
}

// Resumes says whether a follower can go on from where it is; otherwise it
// needs a snapshot.
func (r *Ring) Resumes(hello *peerpb.Hello) bool {
	head := &r.view.Head
	switch {
	case hello.Lineage != head.Lineage || hello.Index > head.Index:
		return false
	case failpoint.On(failpoint.ResumesAnyway):
		return true
	case hello.Index == head.Index:
		return string(hello.Chain) == string(head.Chain[:])
	}
	return len(r.commits) > 0 && hello.Index > 0 && hello.Index+1 >= r.commits[0].First
}

// After returns the commits above an index; false says that they are not all
// here any more.
func (r *Ring) After(at uint64) ([]Commit, bool) {
	if at >= r.view.Head.Index {
		return nil, true
	}
	var list []Commit
	for _, c := range r.commits {
		if c.Last > at {
			list = append(list, c)
		}
	}
	return list, len(list) > 0 && list[0].First <= at+1
}

// Snapshot sends a view in parts.
func Snapshot(v *view.View, send func(*peerpb.Down) error) error {
	head, err := record.Marshal(&v.Head)
	if err != nil {
		return err
	}
	var seed []byte
	if g, err := record.Get(v, record.Geneses, record.None, "genesis"); err == nil {
		seed = g.HashSeed
	}
	if err := send(&peerpb.Down{Frame: &peerpb.Down_Snapshot{Snapshot: &peerpb.SnapshotBegin{Head: head, Seed: seed, Records: uint64(v.Len())}}}); err != nil {
		return err
	}
	part, size := &peerpb.SnapshotPart{}, 0
	var failed error
	v.All(func(e *record.Entry) bool {
		value, err := e.Stored()
		if err != nil {
			failed = err
			return false
		}
		part.Entries = append(part.Entries, &peerpb.Entry{Key: string(e.Key), Value: value})
		if size += len(value) + len(e.Key); size >= partBytes {
			failed = send(&peerpb.Down{Frame: &peerpb.Down_Part{Part: troubledPart(part)}})
			part, size = &peerpb.SnapshotPart{}, 0
		}
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	part.Last = true
	return send(&peerpb.Down{Frame: &peerpb.Down_Part{Part: troubledPart(part)}})
}
