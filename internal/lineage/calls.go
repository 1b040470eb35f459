package lineage

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// Calls are the records whose calls a control plane that goes on from a fork
// answers when they come again: those within the window before it that carry a
// call id, from the logs that replicas have kept. Each of them is of use, since a
// replica that was sent a snapshot has nothing of before it, the highest one too.
func Calls(fork *record.Head, window time.Duration, logs ...[]*record.Batch) ([]record.Public, error) {
	found := map[uint64]record.Public{}
	for _, log := range logs {
		for _, b := range log {
			if b.Head.Lineage != fork.Lineage {
				continue
			}
			for _, r := range b.Records {
				var p record.Public
				if err := json.Unmarshal(r.Public, &p); err != nil {
					return nil, fmt.Errorf("lineage: a record of the log up to %d: %w", b.Head.Index, err)
				}
				if p.Call != "" && p.Index <= fork.Index && p.Time > fork.Time-window.Milliseconds() {
					found[p.Index] = p
				}
			}
		}
	}
	list := make([]record.Public, 0, len(found))
	for _, p := range found {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b record.Public) int { return cmp.Compare(a.Index, b.Index) })
	return list, nil
}
