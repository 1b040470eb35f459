package replica

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Events and effects of the Follower that are about a change of lineage.
type (
	// Shown is the root's word on successors that came otherwise than on the
	// stream; what does not verify is passed over.
	Shown struct{ Records [][]byte }
	// Kept is the outcome of Keep.
	Kept struct{ Err error }

	// Keep makes successors durable before anything follows them.
	Keep struct{ Records [][]byte }
	// Offer hands up on the stream what this node has applied after an index,
	// from its kept log.
	Offer struct{ From uint64 }
)

// heirs is what a Follower knows of lineages beside its own (protocol rules 16
// to 18): from the time that a successor is on its disk it applies and
// acknowledges nothing of a predecessor. With surplus, which is what it applied
// after the common prefix, it serves its old state until the surplus is handed
// up, and switches where the denials of its surplus stand. Without, at once.
type heirs struct {
	known  record.Descent // on this node's disk, its own lineage's included
	fresh  record.Descent // on the way to the disk
	raw    [][]byte       // on the disk of a node that has no view to verify them with
	handed uint64         // index of the successor's at which this node's surplus is denied; 0: not handed up
}

var errSuccession = errors.New("replica: going over to the successor")

// maxSuccessors bounds what is taken at once.
const maxSuccessors = 1024

// heir is the successor that this node is to go over to; nil: none.
func (f *Follower) heir() *record.Successor {
	s := f.heirs.known.Newest()
	if f.view == nil || s == nil || s.Lineage == f.view.Head.Lineage || failpoint.On(failpoint.KeepsPredecessor) {
		return nil
	}
	return s
}

// Heir is the successor that this node has been shown and does not follow yet.
func (f *Follower) Heir() *record.Successor { return f.heir() }

// common is the last index that this node's lineage and its heir's have both.
func (f *Follower) common() uint64 {
	heir := f.heir()
	if heir == nil {
		return math.MaxUint64
	}
	index, _ := f.heirs.known.Common(f.view.Head.Lineage, heir.Lineage)
	return index
}

// surplus says whether this node has applied what its heir does not have.
func (f *Follower) surplus() bool {
	return f.view.Head.Index > f.common() && !failpoint.On(failpoint.SurplusForgotten)
}

// ask is from where the node goes on: in its heir's lineage from nothing, once
// nothing of its own is left to be handed up.
func (f *Follower) ask() Ask {
	v := f.view
	if v == nil {
		return Ask{}
	}
	records := encode(f.heirs.known)
	if heir := f.heir(); heir != nil && (!f.surplus() || f.heirs.handed > 0) {
		return Ask{Lineage: heir.Lineage, Successors: records}
	}
	return Ask{v.Head.Lineage, v.Head.Index, v.Head.Chain[:], records}
}

func encode(d record.Descent) (list [][]byte) {
	for _, s := range d {
		b, _ := record.Marshal(s) // plain fields: cannot fail
		list = append(list, b)
	}
	return list
}

// Descend reads successors and keeps those that a state's root vouches for.
func Descend(r record.Reader, list [][]byte) (d record.Descent, err error) {
	if len(list) > maxSuccessors {
		return nil, errors.New("replica: too many successors")
	}
	for _, b := range list {
		s := new(record.Successor)
		if err := json.Unmarshal(b, s); err != nil {
			return nil, fmt.Errorf("replica: a successor cannot be read: %w", err)
		}
		if err := s.Verify(r); err != nil {
			return nil, err
		}
		d = append(d, s)
	}
	return d, nil
}

// succession takes successors that the source shows.
func (f *Follower) succession(list [][]byte) ([]any, error) {
	if f.view == nil {
		return nil, errors.New("replica: successors before any snapshot")
	}
	d, err := Descend(f.view, list)
	if err != nil {
		return nil, err
	}
	if out := f.learn(d); out != nil {
		return out, nil
	}
	return f.turn()
}

// shown takes successors that did not come on the stream.
func (f *Follower) shown(list [][]byte) []any {
	if f.view == nil {
		return nil
	}
	d, err := Descend(f.view, list)
	if err != nil {
		return []any{Alarm{err.Error()}}
	}
	return f.learn(d)
}

// learn has successors written down that are news; nil: none is.
func (f *Follower) learn(d record.Descent) []any {
	all := f.heirs.known.With(d)
	if f.Busy() || len(all) == len(f.heirs.known) {
		return nil
	}
	f.heirs.fresh = all
	return []any{Keep{encode(all)}}
}

// kept goes on when successors are on the disk: what was handed up to another
// is nothing to the newest.
func (f *Follower) kept(err error) []any {
	fresh := f.heirs.fresh
	f.heirs.fresh = nil
	switch {
	case fresh == nil:
		return nil
	case err != nil:
		return f.refuse(err)
	}
	f.heirs.known, f.heirs.handed = fresh, 0
	if !f.open || f.heir() == nil {
		return nil
	}
	return f.onward() // and come back with the question that fits
}

// onward ends the stream because of a step towards the successor: what failed
// before it is no reason to wait with the next.
func (f *Follower) onward() []any {
	f.pause = firstPause
	return f.leave()
}

// leave ends the stream, to begin another.
func (f *Follower) leave() []any {
	f.open = false
	return []any{HangUp{errSuccession}}
}

// turn is what follows when the source has shown nothing new.
func (f *Follower) turn() ([]any, error) {
	switch {
	case f.heir() == nil:
		return nil, errors.New("replica: the source is of a lineage that this node has left, or has never heard of")
	case f.surplus() && f.heirs.handed == 0:
		return []any{Offer{f.common()}}, nil
	}
	return f.leave(), nil
}

// handed notes at which index the denials of this node's surplus stand.
func (f *Follower) handed(index uint64) []any {
	f.heirs.handed = max(index, 1)
	return f.onward()
}

// goes says whether a verified snapshot may take the place of the view.
func (f *Follower) goes(v *view.View) error {
	old, heir := f.view, f.heir()
	if old == nil {
		return f.begins(v)
	}
	switch {
	case v.Head.Cluster != old.Head.Cluster:
		return errors.New("replica: the snapshot is of another cluster")
	case v.Head.Lineage == old.Head.Lineage && heir != nil:
		return errors.New("replica: the snapshot is of a lineage that has a successor")
	case v.Head.Lineage == old.Head.Lineage && v.Head.Index < old.Head.Index:
		return fmt.Errorf("replica: the snapshot at index %d is older than what is served at %d", v.Head.Index, old.Head.Index)
	case v.Head.Lineage == old.Head.Lineage:
		return nil
	case heir == nil || heir.Lineage != v.Head.Lineage:
		return errors.New("replica: the snapshot is of another lineage, which this node has not the root's word for")
	case f.surplus() && (f.heirs.handed == 0 || v.Head.Index < f.heirs.handed):
		return errors.New("replica: the snapshot does not have the denials of this node's surplus")
	}
	return nil
}

// learnFrom has the successors of a verified snapshot of another lineage written
// down, when they are news: the root's word is in the state itself.
func (f *Follower) learnFrom(v *view.View) []any {
	d, err := record.DescentOf(v)
	if err != nil || f.view == nil || v.Head.Cluster != f.view.Head.Cluster {
		return nil
	}
	for _, s := range d {
		if s.Verify(f.view) != nil {
			return nil
		}
	}
	return f.learn(d)
}

// begins says whether a verified snapshot may be a node's first: not when this
// node was shown, before it lost its copy, that its lineage has ended.
func (f *Follower) begins(v *view.View) error {
	d, err := Descend(v, f.heirs.raw)
	if err != nil {
		return err
	}
	own, err := record.DescentOf(v)
	if err != nil {
		return err
	}
	if s := own.With(d).Newest(); s != nil && s.Lineage != v.Head.Lineage {
		return errors.New("replica: the snapshot is of a lineage that has a successor")
	}
	f.heirs.known = own.With(d)
	return nil
}

// succeeds says whether a batch that was verified ends its lineage: then it is
// not applied, and what it says is learnt.
func (f *Follower) succeeds(next *view.View) []any {
	if next.Terms(record.SuccessorByEpoch.Name) == f.view.Terms(record.SuccessorByEpoch.Name) || record.Retired(next) == nil {
		return nil
	}
	d, err := record.DescentOf(next)
	if err != nil {
		return f.refuse(err)
	}
	return f.learn(d)
}

// settled notes the successors of a view of another lineage than before.
func (f *Follower) settled(before *view.View) {
	if before != nil && before.Head.Lineage == f.view.Head.Lineage {
		return
	}
	if d, err := record.DescentOf(f.view); err == nil {
		f.heirs.known = f.heirs.known.With(d)
	}
	f.heirs.handed = 0
}
