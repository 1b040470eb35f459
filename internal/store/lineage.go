package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// ErrSucceeded says that this node's lineage has a successor: it commits nothing
// any more, for good.
var ErrSucceeded = errors.New("store: this control plane has a successor and takes no writes any more")

// Inherited is a call id that a successor's control plane takes over from the feed: a hash, as
// it stands in the log. Its answer is not known (protocol rule 24).
type Inherited struct {
	ID    string `json:"id"`
	Index uint64 `json:"index"`
	At    int64  `json:"at"` // milliseconds since 1970
}

// forkPause is by how much the successor's first commit is later than the fork:
// what is older than it in whole seconds was there at the fork.
const forkPause = time.Second

// Succeed makes the first commit of a lineage that goes on from a fork: the
// fork's state, and the changes that make it the successor's.
func (w *Writer) Succeed(ctx context.Context, fork *view.View, s *record.Successor, changes []record.Change) error {
	ok, err := w.KV.Fill(ctx, func(yield func(record.Key, []byte) bool) {
		fork.All(func(e *record.Entry) bool {
			value, err := e.Stored()
			return err == nil && yield(e.Key, value) // one that fails: the digest will not agree
		})
	})
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("store: there is a log already")
	}
	head := fork.Head
	head.Lineage, head.Node, head.Time = s.Lineage, "", head.Time+forkPause.Milliseconds()
	w.start(NewSequencer(w.Node, w.Sign, &view.View{State: fork.State, Head: head}, nil))
	return w.begin(ctx, &Call{Insist: true, Apply: func(tx record.Tx, _ time.Time, _ uint64) ([]byte, error) {
		if err := putAll(tx, changes); err != nil {
			return nil, err
		}
		return record.Marshal(record.Private{Caller: "root", Operation: fmt.Sprintf("successor of %s at index %d", s.Parent, s.Fork)})
	}})
}

func putAll(tx record.Tx, changes []record.Change) error {
	for _, c := range changes {
		if c.Value == nil {
			tx.Delete(c.Key)
		} else if err := tx.Put(record.NewEntry(c.Key, c.Value), c.Value); err != nil {
			return err
		}
	}
	return nil
}

// Inherit takes over the call ids of before a fork.
func (w *Writer) Inherit(list []Inherited) {
	for _, x := range list {
		if _, known := w.machine.ids[x.ID]; !known {
			w.machine.Remember(x.ID, x.Index, x.At)
		}
	}
}

// retires says whether changes say that the lineage has a successor: retirement
// is a log record, so that the control plane's other nodes stop too.
func retires(changes []record.Change, r record.Reader) bool {
	return slices.ContainsFunc(changes, func(c record.Change) bool { return c.Key.Kind() == record.Successors.Name }) && record.Retired(r) != nil
}
