package native

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/holdfast-iam/holdfast/internal/admission"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
	"github.com/holdfast-iam/holdfast/sigv4"
)

// maxBody bounds a request's body in bytes: a batch of questions.
const maxBody = 1 << 20

// Door is the HTTP JSON spelling, under /holdfast/v1/.
type Door struct {
	*Decider
	mux *http.ServeMux
}

// NewDoor makes the handler.
func NewDoor(d *Decider) *Door {
	door := &Door{Decider: d, mux: http.NewServeMux()}
	door.mux.HandleFunc("POST /holdfast/v1/authorize", door.authorize)
	door.mux.HandleFunc("POST /holdfast/v1/authenticate", door.authenticate)
	door.mux.HandleFunc("GET /holdfast/v1/caller", door.caller)
	return door
}

// ServeHTTP routes within /holdfast/v1/.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, pattern := d.mux.Handler(r); pattern == "" {
		Fail(w, fault.InvalidAction.Errorf("There is nothing at %s %s.", r.Method, r.URL.Path))
		return
	}
	d.mux.ServeHTTP(w, r)
}

// batch is one question, or many with a shared start.
type batch struct {
	Question
	Questions []Question `json:"questions,omitempty"`
}

// result is one answer of a batch, or why there is none.
type result struct {
	*Answer
	Error *errorBody `json:"error,omitempty"`
}

type errorBody struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (d *Door) authorize(w http.ResponseWriter, r *http.Request) {
	v, a, body, err := d.Enter(r, "holdfast:Authorize")
	if err != nil {
		Fail(w, err)
		return
	}
	defer a.Leave()
	var b batch
	if err := Decode(body, &b); err != nil {
		Fail(w, err)
		return
	}
	source := Source(r)
	if b.Questions == nil {
		answer, err := d.Authorize(r.Context(), v, a, &b.Question, source)
		if err != nil {
			Fail(w, err)
			return
		}
		d.Reply(w, v, a, answer)
		return
	}
	if len(b.Questions) > maxBatch {
		Fail(w, fault.InvalidParameterValue.Errorf("More than %d questions.", maxBatch))
		return
	}
	results := make([]result, len(b.Questions))
	d.each(r.Context(), v, a, &b.Question, b.Questions, source, func(i int, answer *Answer, err error) {
		if err != nil {
			code, message, _ := words(err)
			results[i].Error = &errorBody{code, message}
			return
		}
		results[i].Answer = answer
	})
	d.Reply(w, v, a, map[string]any{"answers": results})
}

// each answers the questions of a batch in order.
func (d *Decider) each(ctx context.Context, v *view.View, a *Asker, shared *Question, questions []Question, source string, answered func(int, *Answer, error)) {
	// All of them together wait no longer than one for the revision they demand.
	ctx, cancel := context.WithTimeout(ctx, revisionWait)
	defer cancel()
	for i := range questions {
		q := questions[i].over(shared)
		answer, err := d.Authorize(ctx, v, a, &q, source)
		answered(i, answer, err)
	}
}

// over fills what a question of a batch leaves out from the shared start.
func (q Question) over(shared *Question) Question {
	if q.Principal == "" && q.Handle == "" && q.Request == nil {
		q.Principal, q.Handle, q.Request = shared.Principal, shared.Handle, shared.Request
	}
	if q.Action == "" {
		q.Action = shared.Action
	}
	if q.Resource == "" {
		q.Resource = shared.Resource
	}
	if q.Context == nil {
		q.Context = shared.Context
	}
	if q.ResourcePolicy == "" {
		q.ResourcePolicy = shared.ResourcePolicy
	}
	if q.Account == "" {
		q.Account = shared.Account
	}
	if q.MinRevision == "" {
		q.MinRevision = shared.MinRevision
	}
	q.Explain = q.Explain || shared.Explain
	return q
}

func (d *Door) authenticate(w http.ResponseWriter, r *http.Request) {
	v, a, body, err := d.Enter(r, "holdfast:Authenticate")
	if err != nil {
		Fail(w, err)
		return
	}
	defer a.Leave()
	var s SignedRequest
	if err := Decode(body, &s); err != nil {
		Fail(w, err)
		return
	}
	proof, v, err := d.authenticated(r.Context(), v, a, &s)
	if err != nil {
		Fail(w, err)
		return
	}
	d.Reply(w, v, a, proof)
}

// caller tells a caller who it is and which service it speaks for.
func (d *Door) caller(w http.ResponseWriter, r *http.Request) {
	v, a, _, err := d.Enter(r, "holdfast:Authorize")
	if err != nil {
		Fail(w, err)
		return
	}
	d.Reply(w, v, a, map[string]string{"principal": a.Caller.ARN, "service": a.Service.Name})
}

// Enter proves the caller of a door's request, by SigV4 or Bearer, never by
// where it comes from, and finds its service.
func (d *Decider) Enter(r *http.Request, action string) (*view.View, *Asker, []byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if full := (*admission.Refusal)(nil); errors.As(err, &full) {
		return nil, nil, nil, throttled()
	}
	if err != nil || len(body) > maxBody {
		return nil, nil, nil, fault.RequestEntityTooLarge.Errorf("The request body is larger than %d bytes, or was cut short.", maxBody)
	}
	v, err := d.demanded(r.Context(), r.Header.Values(headerMinRevision))
	if err != nil {
		return nil, nil, nil, err
	}
	var c *authn.Caller
	var place *admission.Place
	err = d.judged(r.Context(), v, func() { place.Leave() }, func(newer *view.View, waited bool) (err error) {
		v = newer
		if c, place, err = d.identify(v, r, body); err == nil {
			err = fresh(v, c, waited)
		}
		return err
	})
	if err != nil {
		place.Leave()
		return nil, nil, nil, err
	}
	a, err := d.entered(v, c, place, action, Source(r))
	return v, a, body, err
}

// entered is the asker of a call whose caller has proven itself.
func (d *Decider) entered(v *view.View, c *authn.Caller, place *admission.Place, action, source string) (*Asker, error) {
	place.Proven(c.Account)
	a, err := d.Asker(v, c, action, source)
	if err != nil {
		place.Leave()
		return nil, err
	}
	a.place = place
	return a, nil
}

// identify proves the caller, within a place that it waits for.
func (d *Decider) identify(v *view.View, r *http.Request, body []byte) (c *authn.Caller, place *admission.Place, err error) {
	carriers := r.Header.Values("Authorization")
	if len(carriers) == 1 {
		if token, ok := strings.CutPrefix(carriers[0], "Bearer "); ok {
			if strings.Contains(r.URL.RawQuery, "X-Amz-") {
				return nil, place, fault.IncompleteSignature.Errorf("A request carries one credential, not a Bearer and a signature.")
			}
			if place, err = d.admit(r.Context(), r.RemoteAddr, token); err == nil {
				c, err = d.Verifier.Bearer(v, token, "holdfast.amazonaws.com", d.Now())
			}
			return c, place, err
		}
	}
	req := sigv4.FromHTTP(r, body)
	shown, err := sigv4.Parse(&req)
	if err != nil {
		return nil, place, err
	}
	if shown.Carrier == sigv4.InQuery && r.Method != http.MethodGet {
		return nil, place, fault.AccessDenied.Errorf("A presigned request may only read: sign a question in the Authorization header.")
	}
	if place, err = d.admit(r.Context(), r.RemoteAddr, shown.AccessKeyID); err == nil {
		c, err = d.Verifier.Signed(v, &req, shown, "holdfast", d.Now())
	}
	return c, place, err
}

// Decode reads a JSON body strictly: one value, no unknown member.
func Decode(body []byte, v any) error {
	if err := Strict(body); err != nil {
		return fault.MalformedInput.Errorf("The body is not the JSON that is expected here: %v", err)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fault.MalformedInput.Errorf("The body is not the JSON that is expected here: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return fault.MalformedInput.Errorf("The body holds more than one JSON value.")
	}
	return nil
}

// maxDepth bounds how deep a body may be nested.
const maxDepth = 32

// unique says whether every member of every object stands once: of two, one
// reader takes the first and another the last.
// Strict refuses JSON that two readers could read in two ways, and what is
// nested too deep.
func Strict(body []byte) error {
	if !utf8.Valid(body) {
		return errors.New("it is not UTF-8")
	}
	return unique(json.NewDecoder(bytes.NewReader(body)), 0)
}

func unique(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	open, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth == maxDepth {
		return errors.New("it is nested too deep")
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			name, err := d.Token()
			if err != nil {
				return err
			}
			folded := record.Fold(name.(string)) // an object's names are strings
			if seen[folded] {
				return fmt.Errorf("the member %q stands twice", name)
			}
			seen[folded] = true
		}
		if err := unique(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// Reply writes a JSON answer marked with the view's revision. A client that
// reads it slowly holds no slot.
func (d *Decider) Reply(w http.ResponseWriter, v *view.View, a *Asker, body any) {
	text, err := json.Marshal(body)
	a.Leave()
	if err != nil {
		Fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Holdfast-View-Age", strconv.FormatFloat(d.Age(d.Now()).Seconds(), 'f', 3, 64))
	w.Header().Set("X-Holdfast-Revision", record.Revision(v.Head.Lineage, v.Head.Index))
	_, _ = w.Write(append(text, '\n')) // the client may be gone
}

// Fail writes an error as JSON: {"error":{"code","message"}}.
func Fail(w http.ResponseWriter, err error) {
	code, message, status := words(err)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-ErrorType", code)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]errorBody{"error": {code, message}})
}

func words(err error) (code, message string, status int) {
	var s *sigv4.Error
	if errors.As(err, &s) {
		err = authn.Fault(s)
	}
	var behind *authn.Behind
	if errors.As(err, &behind) { // what may be wrong is not told as a refusal
		err = fault.ServiceUnavailable.Errorf("This node is behind what the session rests on.")
	}
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Kind.Code, f.Message, f.Kind.Status
	}
	return fault.InternalFailure.Code, "The request could not be answered.", fault.InternalFailure.Status
}

// Source is the client's address as the socket knows it.
func Source(r *http.Request) string {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return ap.Addr().Unmap().WithZone("").String()
}

// Words returns the code and message of an error as a client may read it.
func Words(err error) (code, message string) {
	code, message, _ = words(err)
	return code, message
}
