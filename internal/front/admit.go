package front

import (
	"github.com/holdfast-iam/holdfast/internal/admission"
	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/fault"
)

// enter waits for a slot. The whole request has been read by now, and what it
// waits for itself (a revision, the control plane, its client) it waits for
// without a slot.
func (q *request) enter() error {
	place, err := q.h.Gate.Enter(q.r.Context(), class(q.op), q.r.RemoteAddr, q.shown.AccessKeyID)
	if err != nil {
		return throttled()
	}
	q.place = place
	return nil
}

func class(op *api.Op) admission.Class {
	switch {
	case op.Effect == api.Write:
		return admission.Change
	case op.Service == "sts":
		return admission.Issue
	}
	return admission.Read
}

// throttled is the answer of a node that has more to do than it can: AWS's
// code, which every SDK repeats with pauses that it makes longer and spreads.
// Never a 5xx, which a balancer would take for a broken node.
func throttled() error { return fault.Throttling.Errorf("Rate exceeded") }
