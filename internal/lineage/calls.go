package lineage

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// Calls are the records whose calls a control plane that goes on from a fork
// answers when they come again: those within the window before it that carry a
// call id, from the logs that replicas have kept. Each of them is of use, since a
// replica that was sent a snapshot has nothing of before it, the highest one too.
//
// Where the chain proves the records, they alone count. Before that all count that
// any log has: one too many has a call refused that was not done, one too few has a
// call done twice. What cannot be read is no record.
func Calls(fork *record.Head, window time.Duration, logs ...[]*record.Batch) (list []record.Public) {
	known := claimsOf(fork.Lineage, logs...)
	proved := known.prove(fork.Index, fork.Chain)
	within := func(p *record.Public) bool {
		return p.Call != "" && p.Time > fork.Time-window.Milliseconds()
	}
	type call struct {
		index uint64
		id    string
	}
	seen := map[call]bool{}
	for _, batches := range known {
		for _, b := range batches {
			for _, r := range b.Records {
				var p record.Public
				if json.Unmarshal(r.Public, &p) != nil || p.Index > proved.index || p.Time > fork.Time || !within(&p) || seen[call{p.Index, p.Call}] {
					continue
				}
				seen[call{p.Index, p.Call}] = true
				list = append(list, p)
			}
		}
	}
	for _, p := range proved.records {
		if within(&p) {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b record.Public) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Call, b.Call))
	})
	return list
}
