package simtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/store"
)

// faulty is the store's KV: it keeps what it was given, but its answers may be
// late or lost, and a commit whose answer was lost may happen later.
type faulty struct {
	store.Memory
	plane   *plane
	trouble time.Duration      // until then most answers are lost, whoever asks
	values  []*record.LogValue // of the log, each read once
}

var errLost = errors.New("the answer was lost")

// troubled says whether most answers to a node are lost.
func (k *faulty) troubled(c *control) bool {
	return k.plane.w.now < k.trouble || k.plane.w.now < c.away
}

// commit answers through done. Where the outcome is unknown, the commit has
// happened, happens later, or never happens.
func (k *faulty) commit(c *control, t *store.Txn, done func(ok bool, err error)) {
	w := k.plane.w
	lost := 0
	apply := func() bool { return k.apply(t) }
	if !w.quiets() {
		lost = 15
	}
	if k.troubled(c) {
		lost = 800
	}
	if !w.chance(lost) {
		w.after(w.between(200*time.Microsecond, 8*time.Millisecond), func() {
			ok := apply()
			w.after(w.between(100*time.Microsecond, 4*time.Millisecond), func() { done(ok, nil) })
		})
		return
	}
	w.seen["commit with unknown outcome"]++
	answer := w.between(10*time.Millisecond, 1500*time.Millisecond)
	switch w.rand.IntN(3) {
	case 0:
		w.after(w.between(0, answer), func() { apply() })
	case 1:
		w.after(answer+w.between(0, 2*time.Second), func() {
			if apply() {
				w.seen["commit that happened after its error"]++
			}
		})
	}
	w.after(answer, func() { done(false, errLost) })
}

// apply commits and tells the history, which is what the invariants are held
// against.
func (k *faulty) apply(t *store.Txn) bool {
	w := k.plane.w
	if failpoint.On(failpoint.NoHeadCompare) {
		t.Expect, _ = k.Memory.Head(context.Background())
	}
	ok, err := k.Memory.Commit(context.Background(), t)
	if err != nil {
		w.fail("the memory store: %v", err)
	}
	if !ok {
		w.note("kv refuses %d", t.Index)
		return false
	}
	return k.tell(t.Log)
}

// tell notes a commit.
func (k *faulty) tell(value []byte) bool {
	w := k.plane.w
	l := new(record.LogValue)
	if err := json.Unmarshal(value, l); err != nil {
		w.fail("a log value cannot be read: %v", err)
		return false
	}
	w.note("kv of %s commits %d (%d records)", k.plane.lineage, l.Head.Index, len(l.Records))
	k.values = append(k.values, l)
	k.plane.history.add(w, l)
	for _, c := range k.plane.controls { // the watch, which may leave something out
		if c.id != l.Head.Node && (w.quiets() || w.chance(900)) {
			c.later(w.between(500*time.Microsecond, 30*time.Millisecond), c.woken)
		}
	}
	return true
}

// after are the commits whose last index is at least from.
func (k *faulty) after(from uint64) []*record.LogValue {
	i := len(k.values)
	for i > 0 && k.values[i-1].Head.Index >= from {
		i--
	}
	return k.values[i:]
}

// current says whether a view is of the head that stands in the store.
func (k *faulty) current(h *record.Head) bool {
	stored := &k.plane.history.heads[len(k.plane.history.heads)-1]
	return stored.Index == h.Index && stored.Chain == h.Chain && bytes.Equal(stored.Sig, h.Sig)
}

// history is the log as the store has it: the truth.
type history struct {
	heads   []record.Head     // of every commit, in order
	at      map[uint64]int    // index of a commit's head, by the index it ends at
	calls   map[string]uint64 // call ids, and the index that each was done at
	doing   map[uint64]string // call ids by index
	deny    map[string]bool   // denials, by id: lifted
	gone    []deletion        // users, in order
	retired bool              // it says that it has a successor
	written time.Duration     // when the newest was

	acknowledged uint64 // the highest index answered to a client
	all          uint64 // the highest acknowledged as applied by all
}

func (h *history) begin() {
	h.at, h.calls, h.doing, h.deny = map[uint64]int{}, map[string]uint64{}, map[uint64]string{}, map[string]bool{}
}

// add takes a commit and checks that it continues the log and repeats no call.
func (h *history) add(w *world, l *record.LogValue) {
	if h.at == nil {
		h.begin()
	}
	before := h.newest()
	records, err := l.Batch().Open(before.Index, before.Chain)
	if err != nil {
		w.fail("the log does not continue: %v", err)
		return
	}
	if before.Index > 0 {
		if took := l.Head.Node != before.Node; took && l.Head.Term != before.Term+1 || !took && l.Head.Term != before.Term {
			w.fail("OneSequencer: %s commits %d in term %d after %s in term %d", l.Head.Node, l.Head.Index, l.Head.Term, before.Node, before.Term)
		} else if took {
			w.seen["take-over"]++
		}
	}
	if h.retired {
		w.fail("Retired: %s commits %d in a lineage that has a successor", l.Head.Node, l.Head.Index)
	}
	limit := honest
	if before.Node == "" || len(h.heads) < 50 && h.heads != nil && h.heads[0].Node == "" {
		limit += time.Second // a lineage begins a second after its fork
	}
	if ahead := l.Head.At().Sub(epoch.Add(w.now)); ahead > limit && w.shape.controls > 1 {
		w.fail("Time: %s commits %d with a time %v ahead of the truth", l.Head.Node, l.Head.Index, ahead)
	}
	if l.Head.Time < before.Time {
		w.fail("commit %d is older in time than the one before", l.Head.Index)
	}
	for _, r := range records {
		h.changes(w, l.Head.Lineage, &r)
		if old, ok := h.calls[r.Call]; ok && r.Call != "" {
			w.fail("NotTwice: the call done at %d is done again at %d", old, r.Index)
		}
		if o := w.calls[r.Call]; o != nil && o.open == 0 {
			w.fail("Refused: %s is in the log at %d, and every attempt of it was refused", o.name, r.Index)
		}
		if r.Call != "" {
			h.calls[r.Call], h.doing[r.Index] = r.Index, r.Call
		}
	}
	h.at[l.Head.Index] = len(h.heads)
	h.heads, h.written = append(h.heads, l.Head), w.now
}

func (h *history) newest() record.Head {
	if len(h.heads) == 0 {
		return record.Head{}
	}
	return h.heads[len(h.heads)-1]
}

// holds says whether a head is one of the log.
func (h *history) holds(x *record.Head) bool {
	i, ok := h.at[x.Index]
	return ok && h.heads[i].Chain == x.Chain && h.heads[i].State == x.State
}
