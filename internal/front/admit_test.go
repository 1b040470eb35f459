package front

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/admission"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// crowded is a gate that has nothing left for anybody.
func crowded() *admission.Gate { return admission.NewGate(0, admission.Limits{}, time.Now) }

// TestACrowdedNodeAnswersThrottlingInEveryDialect: 400 with AWS's code, which
// SDKs repeat, whatever is asked for; and it is not worth a line in the log.
func TestACrowdedNodeAnswersThrottlingInEveryDialect(t *testing.T) {
	for name, x := range map[string]struct {
		change func(a *ask)
		body   string
	}{
		"a read":                         {func(*ask) {}, "<Code>Throttling</Code>"},
		"a read, in JSON":                {func(a *ask) { a.header = map[string]string{"Accept": "application/json"} }, `"Throttling"`},
		"sts":                            {func(a *ask) { a.service, a.body = "sts", action("AssumeRole", stsAPI, "") }, "<Code>Throttling</Code>"},
		"a write":                        {func(a *ask) { a.body = action("PutThing", iamAPI, "") }, "<Code>Throttling</Code>"},
		"a key that nobody has":          {func(a *ask) { a.by = signer{"AKIAIOSFODNN7EXAMPLE", "x"} }, "<Code>Throttling</Code>"},
		"who need not sign":              {func(a *ask) { a.by, a.body = signer{}, action("AssumeRoleWithWebIdentity", stsAPI, "") }, "<Code>Throttling</Code>"},
		"a write whose commit has queue": {func(a *ask) { a.body = action("PutThing", iamAPI, "") }, "<Code>Throttling</Code>"},
	} {
		w := newWorld(t)
		if name == "a write whose commit has queue" {
			w.Changes = crowded()
		} else {
			w.Gate = crowded()
		}
		a := w.get("x")
		x.change(&a)
		r := w.do(a)
		if r.Code != 400 || !strings.Contains(r.Body.String(), x.body) || r.Header().Get("X-Amzn-RequestId") == "" {
			t.Errorf("%s: %d %s", name, r.Code, r.Body)
		}
		if w.log.Len() > 0 || w.last != nil {
			t.Errorf("%s: something was done or said: %s", name, &w.log)
		}
	}
	w := newWorld(t)
	w.Changes = crowded()
	w.Relay = func(context.Context, *Relayed) (*Reply, error) {
		t.Error("it was relayed")
		return &Reply{Status: 200}, nil
	}
	if r := w.do(w.write("x")); r.Code != 400 || codeOf(r) != "Throttling" {
		t.Errorf("relayed: %d %s", r.Code, r.Body)
	}
}

// slow is a client's body, or its end of an answer: it looks whether anybody
// else is served meanwhile.
type slow struct {
	http.ResponseWriter
	io.Reader
	t     *testing.T
	gates []*admission.Gate
	seen  int
}

func (s *slow) look() {
	s.seen++
	for _, g := range s.gates {
		if busy := g.Counts().Busy; busy > 0 {
			s.t.Errorf("%d slots are taken", busy)
		}
	}
}

func (s *slow) Read(b []byte) (int, error) { s.look(); return s.Reader.Read(b) }

func (s *slow) Write(b []byte) (int, error) { s.look(); return len(b), nil }

// TestASlotIsForWorkAlone: none is held while a body is read, an answer sent, a
// commit or a revision awaited.
func TestASlotIsForWorkAlone(t *testing.T) {
	w := newWorld(t)
	for name, a := range map[string]ask{"a read": w.get("x"), "a write": w.write("x"), "a refusal": w.get("absent")} {
		r := w.request(a)
		s := &slow{httptest.NewRecorder(), r.Body, t, []*admission.Gate{w.Gate, w.Changes}, 0}
		r.Body = io.NopCloser(s)
		w.ServeHTTP(s, r)
		if s.seen < 2 {
			t.Errorf("%s: %d reads and writes", name, s.seen)
		}
	}
	committing := false
	w.between = func() {
		committing = true
		if work, changes := w.Gate.Counts().Busy, w.Changes.Counts().Busy; work != 0 || changes != 1 {
			t.Errorf("a commit is awaited with %d slots for work and %d for changes", work, changes)
		}
	}
	w.do(w.write("y"))
	w.Await = func(context.Context, uint64) error {
		if busy := w.Gate.Counts().Busy; busy != 0 {
			t.Errorf("a revision is awaited with %d slots", busy)
		}
		return nil
	}
	a := w.get("x")
	a.header = map[string]string{HeaderMinRevision: record.Revision("l1", 99)}
	if r := w.do(a); r.Code != 503 || !committing {
		t.Errorf("%d %s", r.Code, r.Body)
	}
}

func TestAPanicGivesItsSlotBack(t *testing.T) {
	w := newWorld(t)
	for range 10 { // more than there are slots
		if r := w.do(w.get("panic")); r.Code != 500 {
			t.Errorf("%d %s", r.Code, r.Body)
		}
	}
}
