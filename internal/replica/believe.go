package replica

import (
	"encoding/json"
	"fmt"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// readAll says whether this build can read all that a batch changes. No release
// build calls it either.
func readAll(changes []record.Change) error {
	for _, c := range changes {
		if c.Value != nil && record.NewEntry(c.Key, c.Value).Bad {
			return fmt.Errorf("replica: the batch holds %s, which this build cannot read", c.Key)
		}
	}
	return nil
}

// believe applies a batch without a look at chain, signature or digest. No
// release build calls it: it is a bug that fault tests have to find.
func believe(v *view.View, b *record.Batch) *view.View {
	p := v.Begin()
	for _, r := range b.Records {
		var public record.Public
		if json.Unmarshal(r.Public, &public) == nil {
			p.Apply(public.Changes)
		}
	}
	return &view.View{State: p.State(), Head: b.Head}
}
