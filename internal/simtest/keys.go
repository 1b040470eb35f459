package simtest

import (
	"encoding/binary"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/session"
)

// Times of the signing keys, as the processes have them.
const (
	growEach  = 2 * time.Second
	markEach  = 100 * time.Millisecond
	mintEach  = 700 * time.Millisecond
	publishIn = 300 * time.Millisecond
)

// dice are the world's randomness, for keys.
type dice struct{ w *world }

// Read never fails.
func (d dice) Read(b []byte) (int, error) {
	var word [8]byte
	for i := 0; i < len(b); i += len(word) {
		binary.LittleEndian.PutUint64(word[:], d.w.rand.Uint64())
		copy(b[i:], word[:])
	}
	return len(b), nil
}

// grow has the node make the signing keys that it needs, and hand up those that
// its state does not have.
func (r *region) grow() {
	if !r.w.withKeys {
		return
	}
	if r.serving != nil {
		r.keys = r.keys.Trim(r.serving, r.machine.Floor(), r.clock.wall())
	}
	var changed bool
	if r.keys, changed = r.keys.GrowFrom(r.clock.wall(), dice{r.w}); changed {
		r.w.seen["signing keys made"]++
	}
	r.publish()
	r.later(growEach, r.grow)
}

func (r *region) publish() {
	n := r.conn
	if n == nil || r.serving == nil || !r.machine.Linked() {
		return
	}
	var due []*record.SigningKey
	for i := range r.keys {
		if !record.Has(r.serving, record.SigningKeys, record.None, r.keys[i].ID) {
			due = append(due, r.keys[i].Public(r.id, r.region))
		}
	}
	if len(due) == 0 {
		return
	}
	r.w.after(r.w.latency(), func() {
		if r.blocked > r.w.now {
			return
		}
		n.control.system("signing keys of "+r.id, func(tx record.Tx) error {
			for _, k := range due {
				if record.Has(tx, record.SigningKeys, record.None, k.ID) {
					continue
				}
				if err := record.Put(tx, record.SigningKeys, k); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// mark has the node that sequences mark keys that every node has acknowledged.
func (c *control) mark() {
	if !c.w.withKeys {
		return
	}
	if v := c.machine.View(); c.machine.Sequences() && c.set.Known(v.Head.Index) && v.Terms(record.SigningKeyByNode.Name) > 0 {
		if due, err := session.Unknown(v); err != nil {
			c.w.fail("the signing keys of %s: %v", c.id, err)
		} else if len(due) > 0 {
			c.w.seen["signing keys known"]++
			c.internal("signing keys known", false, func(tx record.Tx) error { return session.MarkKnown(tx, due) }, func(error, uint64) {})
		}
	}
	c.later(markEach, c.mark)
}

// mint signs something: what it is not marked regional for has to be accepted by
// every node that serves this node's lineage.
func (r *region) mint() {
	w := r.w
	if !w.withKeys {
		return
	}
	if v := r.serving; v != nil {
		key, regional := r.keys.Choose(v, r.clock.wall())
		switch {
		case key == nil:
			w.seen["nothing to sign with"]++
		case regional:
			w.seen["token for one Region"]++
		default:
			w.seen["token for every Region"]++
			w.accepted(r, key)
		}
	}
	r.later(mintEach, r.mint)
}

func (w *world) accepted(by *region, key *session.PrivateKey) {
	for _, p := range w.regions {
		if p.serving == nil || p.serving.Head.Lineage != by.serving.Head.Lineage {
			continue
		}
		if k, err := record.Get(p.serving, record.SigningKeys, record.None, key.ID); err != nil || k.Revoked || k.Node != by.id {
			w.fail("Known: %s signs for every Region with a key that %s does not have: %v", by.id, p.id, err)
		}
	}
}
