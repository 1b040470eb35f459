package native

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

func TestSoManyQuestionsAtMostWaitForARevision(t *testing.T) {
	v := &view.View{State: view.Empty(make([]byte, 16)), Head: record.Head{Lineage: "l", Index: 7}}
	waits := 0
	d := &Decider{View: func(context.Context) (*view.View, error) { return v, nil }, Demands: new(atomic.Int32),
		Await: func(context.Context, uint64) error { waits++; return nil }}
	for _, n := range []int32{maxDemands - 1, maxDemands} {
		d.Demands.Store(n)
		if _, err := d.at(t.Context(), v, record.Revision("l", 8)); err == nil || statusOf(err) != http.StatusServiceUnavailable {
			t.Errorf("%d wait: %v", n, err)
		}
		if waits != 1 || d.Demands.Load() != n {
			t.Errorf("%d wait: %d waits, %d counted", n, waits, d.Demands.Load())
		}
	}
}

func statusOf(err error) int {
	_, _, status := words(err)
	return status
}
