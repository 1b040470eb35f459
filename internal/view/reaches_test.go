package view

import (
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// What a client was told before a promotion it may demand after it.
func TestARevisionOfAnAncestorIsReachedUpToTheFork(t *testing.T) {
	tx := Empty(make([]byte, 16)).Begin()
	for _, s := range []*record.Successor{{Epoch: 1, Parent: "a", Fork: 10, Lineage: "b"}, {Epoch: 2, Parent: "b", Fork: 20, Lineage: "c"}} {
		if err := record.Put(tx, record.Successors, s); err != nil {
			t.Fatal(err)
		}
	}
	v := &View{State: tx.State(), Head: record.Head{Lineage: "c", Index: 30}}
	for _, x := range []struct {
		lineage   string
		index     uint64
		ok, error bool
	}{
		{"c", 30, true, false}, {"c", 31, false, false}, {"b", 20, true, false}, {"b", 21, false, true}, {"a", 10, true, false}, {"a", 11, false, true},
		{"stranger", 1, false, true}, {"stranger", 0, false, true},
	} {
		if index, ok, err := v.Reaches(record.Revision(x.lineage, x.index)); ok != x.ok || (err != nil) != x.error || index != x.index {
			t.Errorf("%s %d: %d %v %v", x.lineage, x.index, index, ok, err)
		}
	}
}
