package lineage

import (
	"bytes"
	"slices"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// claims are the batches that say they are a lineage's, by the index at which each
// ends. They are from disks that nobody has verified: one may be damaged, or forged.
type claims map[uint64][]*record.Batch

// maxClaims bounds what of one log is looked at for one index. A log says one thing
// of it, so more are a flood.
const maxClaims = 8

func claimsOf(lineage string, logs ...[]*record.Batch) claims {
	c := claims{}
	for _, log := range logs {
		counts := map[uint64]int{}
		for _, b := range log {
			if b.Head.Lineage == lineage && counts[b.Head.Index] < maxClaims {
				counts[b.Head.Index]++
				c.add(b)
			}
		}
	}
	return c
}

// add takes a batch, unless it is there already: most logs say the same.
func (c claims) add(b *record.Batch) {
	same := func(old *record.Batch) bool {
		return old.Head.Chain == b.Head.Chain && slices.EqualFunc(old.Records, b.Records, func(x, y record.Fed) bool {
			return x.Private == y.Private && bytes.Equal(x.Public, y.Public)
		})
	}
	if !slices.ContainsFunc(c[b.Head.Index], same) {
		c[b.Head.Index] = append(c[b.Head.Index], b)
	}
}

// proof is what leads up to a link of the chain that is believed. The chain is a hash
// over everything before it: a batch that comes to it behind another's head is genuine,
// and so is that head's link.
type proof struct {
	index   uint64 // it begins behind this one
	chain   record.Hash
	batches []*record.Batch // oldest first
	records []record.Public
}

// prove goes back from the link at an index, as far as the claims lead.
func (c claims) prove(index uint64, chain record.Hash) *proof {
	p := &proof{index: index, chain: chain}
	var parts [][]record.Public
	for {
		b, records, before := c.step(p.index, p.chain)
		if b == nil {
			break
		}
		p.batches, parts = append(p.batches, b), append(parts, records)
		p.index, p.chain = before.Index, before.Chain
	}
	slices.Reverse(p.batches)
	slices.Reverse(parts)
	p.records = slices.Concat(parts...)
	return p
}

// step finds the batch that comes to a link, and the head that it is behind.
func (c claims) step(index uint64, chain record.Hash) (*record.Batch, []record.Public, *record.Head) {
	for _, b := range c.to(index, chain) {
		for _, before := range c[index-min(index, uint64(len(b.Records)))] {
			if records, err := b.Open(before.Head.Index, before.Head.Chain); err == nil && len(records) > 0 {
				return b, records, &before.Head
			}
		}
	}
	return nil, nil, nil
}

// to are the batches that say that they come to a link. One of those where a proof
// begins says so rightly, of itself: where the next begins. Its records are not proved.
func (c claims) to(index uint64, chain record.Hash) (list []*record.Batch) {
	for _, b := range c[index] {
		if b.Head.Chain == chain {
			list = append(list, b)
		}
	}
	return list
}
