package native

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/holdfast-iam/holdfast/internal/doors/native/nativepb"
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

func TestAStreamDemandsARevisionForEachOfItsQuestions(t *testing.T) {
	v := &view.View{State: view.Empty(make([]byte, 16)), Head: record.Head{Lineage: "l", Index: 7}}
	waited := uint64(0)
	s := &server{Decider: &Decider{View: func(context.Context) (*view.View, error) { return v, nil }, Demands: new(atomic.Int32),
		Await: func(_ context.Context, index uint64) error { waited = index; return context.DeadlineExceeded }}}
	for revision, want := range map[string]int{record.Revision("other", 3): http.StatusBadRequest, record.Revision("l", 8): http.StatusServiceUnavailable} {
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("x-holdfast-min-revision", revision))
		if _, err := s.message(ctx, &nativepb.StreamQuestion{Question: &nativepb.Question{}}, false, nil); err == nil || statusOf(err) != want {
			t.Errorf("%s: %v, want status %d", revision, err, want)
		}
	}
	if waited != 8 {
		t.Errorf("waited for %d", waited)
	}
}

func statusOf(err error) int {
	_, _, status := words(err)
	return status
}
