package native

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"

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
	var b batch
	if err := Decode(body, &b); err != nil {
		Fail(w, err)
		return
	}
	source := Source(r)
	if b.Questions == nil {
		answer, err := d.Authorize(v, a, &b.Question, source)
		if err != nil {
			Fail(w, err)
			return
		}
		Reply(w, v, answer)
		return
	}
	if len(b.Questions) > maxBatch {
		Fail(w, fault.InvalidParameterValue.Errorf("More than %d questions.", maxBatch))
		return
	}
	results := make([]result, len(b.Questions))
	for i := range b.Questions {
		q := b.Questions[i].over(&b.Question)
		answer, err := d.Authorize(v, a, &q, source)
		if err != nil {
			code, message, _ := words(err)
			results[i].Error = &errorBody{code, message}
			continue
		}
		results[i].Answer = answer
	}
	Reply(w, v, map[string]any{"answers": results})
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
	return q
}

func (d *Door) authenticate(w http.ResponseWriter, r *http.Request) {
	v, a, body, err := d.Enter(r, "holdfast:Authenticate")
	if err != nil {
		Fail(w, err)
		return
	}
	var s SignedRequest
	if err := Decode(body, &s); err != nil {
		Fail(w, err)
		return
	}
	proof, err := d.Authenticate(v, a, &s)
	if err != nil {
		Fail(w, err)
		return
	}
	Reply(w, v, proof)
}

// caller tells a caller who it is and which service it speaks for.
func (d *Door) caller(w http.ResponseWriter, r *http.Request) {
	v, a, _, err := d.Enter(r, "holdfast:Authorize")
	if err != nil {
		Fail(w, err)
		return
	}
	Reply(w, v, map[string]string{"principal": a.Caller.ARN, "service": a.Service.Name})
}

// Enter proves the caller of a door's request, by SigV4 or Bearer, never by
// where it comes from, and finds its service.
func (d *Decider) Enter(r *http.Request, action string) (*view.View, *Asker, []byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil || len(body) > maxBody {
		return nil, nil, nil, fault.RequestEntityTooLarge.Errorf("The request body is larger than %d bytes, or was cut short.", maxBody)
	}
	v, err := d.View(r.Context())
	if err != nil {
		return nil, nil, nil, err
	}
	c, err := d.identify(v, r, body)
	if err != nil {
		return nil, nil, nil, err
	}
	a, err := d.Asker(v, c, action, Source(r))
	return v, a, body, err
}

func (d *Decider) identify(v *view.View, r *http.Request, body []byte) (*authn.Caller, error) {
	carriers := r.Header.Values("Authorization")
	if len(carriers) == 1 {
		if token, ok := strings.CutPrefix(carriers[0], "Bearer "); ok {
			if strings.Contains(r.URL.RawQuery, "X-Amz-") {
				return nil, fault.IncompleteSignature.Errorf("A request carries one credential, not a Bearer and a signature.")
			}
			return d.Verifier.Bearer(v, token, "holdfast.amazonaws.com", d.Now())
		}
	}
	req := sigv4.FromHTTP(r, body)
	shown, err := sigv4.Parse(&req)
	if err != nil {
		return nil, err
	}
	return d.Verifier.Signed(v, &req, shown, "holdfast", d.Now())
}

// Decode reads a JSON body strictly: one value, no unknown member.
func Decode(body []byte, v any) error {
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

// Reply writes a JSON answer marked with the view's revision.
func Reply(w http.ResponseWriter, v *view.View, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Holdfast-Revision", record.Revision(v.Head.Lineage, v.Head.Index))
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}

// Fail writes an error as JSON: {"error":{"code","message"}}.
func Fail(w http.ResponseWriter, err error) {
	code, message, status := words(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]errorBody{"error": {code, message}})
}

func words(err error) (code, message string, status int) {
	var s *sigv4.Error
	if errors.As(err, &s) {
		err = authn.Fault(s)
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
