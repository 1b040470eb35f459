package feed

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// troubled is what a follower gets of batches when the way to it is to be bad:
// no proxy can reach into the encrypted stream. In a release build it is what
// it was given.
func troubled(list []Commit) []Commit {
	if !failpoint.Built {
		return list
	}
	list = slices.Clone(list)
	if failpoint.Wrong(failpoint.FeedDuplicates) {
		for i := len(list) - 1; i >= 0; i-- {
			list = slices.Insert(list, i, list[i])
		}
	}
	if failpoint.Wrong(failpoint.FeedReorders) {
		if len(list) == 1 {
			return nil // it waits for the next one
		}
		slices.Reverse(list)
	}
	if failpoint.Wrong(failpoint.FeedDrops) {
		list = slices.DeleteFunc(list, third)
	}
	for i, c := range list {
		if third(c) {
			list[i].Bytes = bent(c.Bytes)
		}
	}
	return list
}

// troubledPart is what a follower gets of a part of a snapshot.
func troubledPart(p *peerpb.SnapshotPart) *peerpb.SnapshotPart {
	n := len(p.Entries)
	switch {
	case !failpoint.Built || n == 0:
	case failpoint.Wrong(failpoint.FeedCuts):
		p.Entries = p.Entries[:n/2]
	case failpoint.Wrong(failpoint.FeedCorrupts):
		e := p.Entries[n/2]
		value := bytes.Clone(e.Value)
		value[len(value)/2] ^= 1
		p.Entries[n/2] = &peerpb.Entry{Key: e.Key, Value: value}
	}
	return p
}

func third(c Commit) bool { return c.Last%3 == 0 }

// bent is a batch as bad memory or a liar would have it.
func bent(text []byte) []byte {
	if failpoint.Wrong(failpoint.FeedCuts) {
		return text[:len(text)/2]
	}
	if failpoint.Wrong(failpoint.FeedCorrupts) {
		text = bytes.Clone(text)
		text[len(text)-len(text)/4] ^= 1
	}
	var b record.Batch
	if !failpoint.Wrong(failpoint.FeedForges) && !failpoint.Wrong(failpoint.FeedForeign) || json.Unmarshal(text, &b) != nil {
		return text
	}
	if failpoint.Wrong(failpoint.FeedForges) {
		b.Head.Sig = slices.Clone(b.Head.Sig)
		b.Head.Sig[0] ^= 1
	} else {
		b.Head.Lineage = "another-" + b.Head.Lineage
	}
	text, _ = record.Marshal(&b) // it was read just now
	return text
}
