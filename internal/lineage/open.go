package lineage

import (
	"crypto/ed25519"
	"fmt"
	"slices"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// Stretch is the part of a history that one lineage has made.
type Stretch struct {
	Lineage string
	Records []record.Public
	// From is the index after which it begins, Missing how many records after
	// that nobody has kept.
	From, Missing uint64

	chain record.Hash       // at From
	until *record.Successor // the history goes over to it; nil: it goes on to the end
	pins  []record.Pin
}

// Open verifies a surplus: what lineage of had after the common prefix with
// lineage own, to which it is handed up. fork is the time of the prefix's end, in
// milliseconds.
//
// It can begin in an ancestor of of: a sibling that came later may go on from an
// earlier fork. An ancestor's stretch is believed because its chain ends in the
// fork that the root has signed, and its beginning may be missing. The last one is
// whole, each commit under the head of a control-plane node that the root has
// pinned, or that was enrolled on the way. What comes before, the successor has
// itself.
func Open(batches []*record.Batch, d record.Descent, of, own string) (list []Stretch, fork int64, err error) {
	_, at := d.Common(of, own)
	if at == nil {
		return nil, 0, fmt.Errorf("lineage: %s has nothing that %s has not, or is a stranger to it", of, own)
	}
	list = stretches(d, at, of)
	for _, b := range batches {
		if b.Head.Index > list[0].From && !slices.ContainsFunc(list, func(s Stretch) bool { return s.Lineage == b.Head.Lineage }) {
			return nil, 0, fmt.Errorf("lineage: the commit at index %d is of %s, not of %s or what it goes on from", b.Head.Index, b.Head.Lineage, of)
		}
	}
	for i := range list {
		if s := &list[i]; s.until != nil {
			s.past(batches)
		} else if err := s.last(batches); err != nil {
			return nil, 0, err
		}
	}
	return list, int64(at.Time), nil
}

// stretches leads from the fork at to the end of lineage of.
func stretches(d record.Descent, at *record.Successor, of string) []Stretch {
	var down []*record.Successor // from the common ancestor on
	for of != at.Parent {
		s := d.Of(of)
		down, of = append(down, s), s.Parent // Common has come this way: there is one, and no loop
	}
	slices.Reverse(down)
	list := []Stretch{{Lineage: at.Parent, From: uint64(at.Fork), chain: record.Hash(at.Chain), pins: at.Old}}
	for _, s := range down {
		list[len(list)-1].until = s
		list = append(list, Stretch{Lineage: s.Lineage, From: uint64(s.Fork), chain: record.Hash(s.Chain), pins: s.New})
	}
	return list
}

// past takes what leads to the fork at which the stretch ends, back to where the
// stretch begins or as far as it is kept.
func (s *Stretch) past(batches []*record.Batch) {
	within := slices.DeleteFunc(slices.Clone(batches), func(b *record.Batch) bool { return b.Head.Index <= s.From })
	known := claimsOf(s.Lineage, within)
	known.add(&record.Batch{Head: record.Head{Index: s.From, Chain: s.chain}})
	p := known.prove(uint64(s.until.Fork), record.Hash(s.until.Chain))
	s.Records, s.Missing = p.records, p.index-s.From
}

// last takes what follows the fork at which the stretch begins.
func (s *Stretch) last(batches []*record.Batch) error {
	keys := map[string]ed25519.PublicKey{}
	for _, p := range s.pins {
		keys[p.Node] = p.Head
	}
	index, chain := s.From, s.chain
	for _, b := range batches {
		if b.Head.Lineage != s.Lineage || b.Head.Index <= s.From {
			continue
		}
		if !b.Head.Verify(keys[b.Head.Node]) {
			return fmt.Errorf("lineage: the head at index %d is not signed by a control-plane node of %s", b.Head.Index, s.Lineage)
		}
		list, err := b.Open(index, chain)
		if err != nil {
			return err
		}
		for _, r := range list {
			for _, c := range r.Changes {
				if c.Key.Kind() != record.Nodes.Name || c.Value == nil {
					continue
				}
				if n, err := record.Nodes.Decode(c.Value); err == nil && n.Role == record.ControlNode {
					keys[n.ID] = n.Head
				}
			}
		}
		s.Records = append(s.Records, list...)
		index, chain = b.Head.Index, b.Head.Chain
	}
	return nil
}

// maxPast bounds what a control plane keeps of the history before its own fork, in
// bytes: about as much as a replica keeps of its log.
const maxPast = 64 << 20

// Past is what of the kept logs leads to a fork, oldest first: a control plane
// that goes on from there hands it up, should another go on from an earlier one.
// Each log is of use, since a replica that was sent a snapshot has nothing of
// before it. One that is wrong takes nothing from the others: of each lineage on
// the way that is kept which the chain proves, and what the proof begins behind.
func Past(fork *record.Head, d record.Descent, logs ...[]*record.Batch) (list []*record.Batch) {
	if failpoint.On(failpoint.PastForgotten) {
		return nil
	}
	of, index, chain := fork.Lineage, fork.Index, fork.Chain
	for range len(d) + 1 { // more would be a loop
		known := claimsOf(of, logs...)
		p := known.prove(index, chain)
		list = slices.Concat(known.to(p.index, p.chain), p.batches, list)
		s := d.Of(of)
		if s == nil {
			break
		}
		of, index, chain = s.Parent, uint64(s.Fork), record.Hash(s.Chain)
	}
	size, first := 0, len(list)
	for first > 0 && size < maxPast {
		first--
		for _, r := range list[first].Records {
			size += len(r.Public) + 128
		}
	}
	return list[first:]
}
