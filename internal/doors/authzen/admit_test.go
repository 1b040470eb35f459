package authzen_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/admission"
	"github.com/holdfast-iam/holdfast/internal/doors/native"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

const question = `{"subject":{"type":"aws.principal","id":"` + alice + `"},"resource":{"type":"x","id":"arn:aws:storage:::cat"},"action":{"name":"storage:Get"}}`

// crowded is a gate that has nothing left for anybody.
func crowded() *admission.Gate { return admission.NewGate(0, admission.Limits{}, time.Now) }

func TestADoorOfACrowdedNodeAnswersThrottling(t *testing.T) {
	w := newWorld(t)
	w.Decider.Gate = crowded()
	for name, r := range map[string]*httptest.ResponseRecorder{
		"AuthZEN": w.post("/access/v1/evaluation", question),
		"signed":  w.send("POST", "/access/v1/evaluation", question, w.signed(question)),
	} {
		if r.Code != 400 || r.Header().Get("X-Amzn-ErrorType") != "Throttling" || !strings.Contains(r.Body.String(), `"code":"Throttling"`) {
			t.Errorf("%s: %d %v %s", name, r.Code, r.Header(), r.Body)
		}
	}
}

// TestADoorHoldsNoSlotWhileItSendsOrWaits: an answer that blocks while it is sent, and
// a question that waits for a revision.
func TestADoorHoldsNoSlotWhileItSendsOrWaits(t *testing.T) {
	w := newWorld(t)
	w.Decider.Gate = admission.NewGate(1, admission.Standard, time.Now)
	gate := w.Decider.Gate
	json := native.NewDoor(w.Decider)
	for path, handler := range map[string]http.Handler{"/access/v1/evaluation": w, "/holdfast/v1/authorize": json} {
		body := question
		if handler != w {
			body = `{"principal":"` + alice + `","action":"storage:Get","resource":"arn:aws:storage:::cat"}`
		}
		r := httptest.NewRequest("POST", path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+w.bearer)
		out := &looking{ResponseWriter: httptest.NewRecorder(), gate: gate}
		handler.ServeHTTP(out, r)
		if out.sent == 0 || out.busy != 0 {
			t.Errorf("%s: %d bytes were sent while %d slots were taken", path, out.sent, out.busy)
		}
	}
	waited := -1
	w.Decider.Await = func(context.Context, uint64) error {
		waited = gate.Counts().Busy
		w.view = &view.View{State: w.view.State, Head: record.Head{Lineage: "l", Index: 9}}
		return nil
	}
	r := httptest.NewRequest("POST", "/holdfast/v1/authorize", strings.NewReader(`{"principal":"`+alice+`","action":"storage:Get","resource":"arn:aws:storage:::cat","minRevision":"`+record.Revision("l", 9)+`"}`))
	r.Header.Set("Authorization", "Bearer "+w.bearer)
	json.ServeHTTP(httptest.NewRecorder(), r)
	if c := gate.Counts(); waited != 0 || c.Busy != 0 || c.Admitted[admission.Decide] != 2+2 { // and two before
		t.Errorf("a question waited for its revision with %d slots taken; afterwards: %+v", waited, gate.Counts())
	}
}

func TestAQuestionIsRefusedWhereTheResourcesAccountDemandsAYoungerView(t *testing.T) {
	w := newWorld(t)
	ask := func() string { return w.post("/access/v1/evaluation", question).Body.String() }
	w.Decider.Age = func(time.Time) time.Duration { return time.Minute }
	if said := ask(); strings.Contains(said, "ServiceUnavailable") {
		t.Errorf("without a rule: %s", said)
	}
	w.change(func(tx record.Tx) error {
		return record.Put(tx, record.Freshnesses, &record.Freshness{Account: account, Rules: []record.FreshRule{{Action: "storage:*", Within: 30}}})
	})
	if said := ask(); !strings.Contains(said, "ServiceUnavailable") || !strings.Contains(said, "younger than 30s") {
		t.Errorf("with one: %s", said)
	}
}

// looking counts the slots that are taken while an answer is sent.
type looking struct {
	http.ResponseWriter
	gate       *admission.Gate
	busy, sent int
}

func (l *looking) Write(b []byte) (int, error) {
	l.busy += l.gate.Counts().Busy
	l.sent += len(b)
	return len(b), nil
}
