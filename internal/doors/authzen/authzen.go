// Package authzen is the decision API in the words of the OpenID AuthZEN
// Authorization API 1.0: evaluation, evaluations and metadata.
//
// Invariant: it translates to the native door and adds nothing; a denial is an
// answer (200), an error is about the call.
package authzen

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/holdfast-iam/holdfast/internal/doors/native"
	"github.com/holdfast-iam/holdfast/internal/fault"
)

// Door serves the AuthZEN paths.
type Door struct {
	Decider *native.Decider
	// Base is the URL under which clients reach this node, for the metadata;
	// empty: as the request names it.
	Base string
}

const (
	pathEvaluation  = "/access/v1/evaluation"
	pathEvaluations = "/access/v1/evaluations"
	pathMetadata    = "/.well-known/authzen-configuration"
	maxEvaluations  = 1000
)

// entity is a subject or a resource (AuthZEN 1.0 §5.1, §5.2).
type entity struct {
	Type       string         `json:"type"`
	ID         string         `json:"id"`
	Properties map[string]any `json:"properties"`
}

// action is what is asked about (§5.3).
type action struct {
	Name       string         `json:"name"`
	Properties map[string]any `json:"properties"`
}

// evaluation is one question; members of a batch inherit what they leave out
// from the top level (§7.1).
type evaluation struct {
	Subject  *entity        `json:"subject"`
	Resource *entity        `json:"resource"`
	Action   *action        `json:"action"`
	Context  map[string]any `json:"context"`
}

type evaluations struct {
	evaluation
	Evaluations []evaluation `json:"evaluations"`
	Options     struct {
		Semantic string `json:"evaluations_semantic"`
	} `json:"options"`
}

// decision is the answer (§5.5).
type decision struct {
	Decision bool           `json:"decision"`
	Context  map[string]any `json:"context,omitempty"`
}

// ServeHTTP answers the three paths.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if id := r.Header.Get("X-Request-ID"); id != "" && len(id) <= 256 {
		w.Header().Set("X-Request-ID", id) // §10.1.4: echoed
	}
	switch {
	case r.Method == http.MethodGet && r.URL.Path == pathMetadata:
		d.metadata(w, r)
	case r.Method == http.MethodPost && (r.URL.Path == pathEvaluation || r.URL.Path == pathEvaluations):
		d.evaluate(w, r)
	default:
		native.Fail(w, fault.InvalidAction.Errorf("There is nothing at %s %s.", r.Method, r.URL.Path))
	}
}

func (d *Door) metadata(w http.ResponseWriter, r *http.Request) {
	base := d.Base
	if base == "" {
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		base = scheme + "://" + r.Host
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"policy_decision_point": base,
		"access_evaluation_endpoint": base + pathEvaluation, "access_evaluations_endpoint": base + pathEvaluations})
}

func (d *Door) evaluate(w http.ResponseWriter, r *http.Request) {
	v, asker, body, err := d.Decider.Enter(r, "holdfast:Authorize")
	if err != nil {
		refuse(w, err)
		return
	}
	defer asker.Leave()
	var in evaluations
	if err := decode(body, &in); err != nil {
		native.Fail(w, fault.MalformedInput.Errorf("The body is not an AuthZEN request: %v", err))
		return
	}
	ask := func(e *evaluation) (*decision, error) {
		q, err := translate(e)
		if err != nil {
			return nil, err
		}
		a, err := d.Decider.Authorize(r.Context(), v, asker, q, native.Source(r))
		if err != nil {
			return nil, err
		}
		return &decision{Decision: a.Allowed, Context: explain(a)}, nil
	}
	if r.URL.Path == pathEvaluation || len(in.Evaluations) == 0 {
		one, err := ask(&in.evaluation)
		if err != nil {
			native.Fail(w, err)
			return
		}
		d.Decider.Reply(w, v, asker, one)
		return
	}
	all, err := each(&in, ask)
	if err != nil {
		native.Fail(w, err)
		return
	}
	d.Decider.Reply(w, v, asker, map[string]any{"evaluations": all})
}

// refuse answers 401 to who did not prove itself (§10.1.3), where AWS says 403.
func refuse(w http.ResponseWriter, err error) {
	code, message := native.Words(err)
	switch code {
	case fault.MissingAuthenticationToken.Code, fault.InvalidClientTokenId.Code, fault.ExpiredToken.Code, fault.SignatureDoesNotMatch.Code:
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.Header().Set("X-Amzn-ErrorType", code)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": code, "message": message}}) // the client may be gone
	default:
		native.Fail(w, err)
	}
}

// decode reads a body. Unknown members are ignored (§5), and numbers stay as
// they were written: a condition key's value is text.
func decode(body []byte, in *evaluations) error {
	if err := native.Strict(body); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(in); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is more than one JSON value")
	}
	return nil
}

// each runs a batch under its semantic (§7.1.2).
func each(in *evaluations, ask func(*evaluation) (*decision, error)) ([]*decision, error) {
	if len(in.Evaluations) > maxEvaluations {
		return nil, fault.InvalidParameterValue.Errorf("More than %d evaluations.", maxEvaluations)
	}
	var all []*decision
	for i := range in.Evaluations {
		e := in.Evaluations[i].over(&in.evaluation)
		one, err := ask(&e)
		if err != nil { // §7.2.1: an error of one is its answer
			code, message := native.Words(err)
			one = &decision{Context: map[string]any{"error": map[string]any{"status": status(err), "code": code, "message": message}}}
		}
		all = append(all, one)
		switch in.Options.Semantic {
		case "", "execute_all":
		case "deny_on_first_deny":
			if !one.Decision {
				return all, nil
			}
		case "permit_on_first_permit":
			if one.Decision {
				return all, nil
			}
		default:
			return nil, fault.InvalidParameterValue.Errorf("evaluations_semantic is %q, want execute_all, deny_on_first_deny or permit_on_first_permit.", in.Options.Semantic)
		}
	}
	return all, nil
}

// status is what an error would be answered with alone.
func status(err error) int {
	if f, ok := fault.From(err); ok {
		return f.Kind.Status
	}
	return fault.InternalFailure.Status
}

func (e evaluation) over(shared *evaluation) evaluation {
	if e.Subject == nil {
		e.Subject = shared.Subject
	}
	if e.Resource == nil {
		e.Resource = shared.Resource
	}
	if e.Action == nil {
		e.Action = shared.Action
	}
	if e.Context == nil {
		e.Context = shared.Context
	}
	return e
}

// Subject types: an ARN, or a handle from Authenticate.
const (
	typePrincipal = "aws.principal"
	typeHandle    = "holdfast.handle"
)

func translate(e *evaluation) (*native.Question, error) {
	if e.Subject == nil || e.Resource == nil || e.Action == nil || e.Subject.ID == "" || e.Resource.ID == "" || e.Action.Name == "" {
		return nil, fault.MissingParameter.Errorf("An evaluation needs subject, resource and action, each with its id or name.")
	}
	if e.Subject.Type == "" || e.Resource.Type == "" {
		return nil, fault.MissingParameter.Errorf("A subject and a resource need a type.")
	}
	q := &native.Question{Action: e.Action.Name, Resource: e.Resource.ID, Context: map[string][]string{}}
	switch e.Subject.Type {
	case typePrincipal:
		q.Principal = e.Subject.ID
	case typeHandle:
		q.Handle = e.Subject.ID
	default:
		return nil, fault.InvalidParameterValue.Errorf("The subject's type is %q, want %s (an ARN) or %s.", e.Subject.Type, typePrincipal, typeHandle)
	}
	for key, value := range e.Context {
		values, err := texts(value)
		if err != nil {
			return nil, fault.InvalidParameterValue.Errorf("Context member %q: %v", key, err)
		}
		q.Context[key] = values
	}
	return q, nil
}

// texts turns a JSON value into a condition key's values.
func texts(value any) ([]string, error) {
	switch v := value.(type) {
	case string:
		return []string{v}, nil
	case json.Number:
		return []string{v.String()}, nil
	case bool:
		return []string{strconv.FormatBool(v)}, nil
	case []any:
		var all []string
		for _, item := range v {
			one, err := texts(item)
			if err != nil {
				return nil, err
			}
			all = append(all, one...)
		}
		return all, nil
	}
	return nil, fmt.Errorf("want a string, a number, a boolean or a list of them")
}

func explain(a *native.Answer) map[string]any {
	context := map[string]any{"revision": a.Revision, "decision": a.Decision, "proven": a.Proven}
	if a.Reason != "" {
		context["reason"] = a.Reason
	}
	if len(a.Matched) > 0 {
		context["matched_statements"] = a.Matched
	}
	return context
}
