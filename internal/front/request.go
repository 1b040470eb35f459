package front

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/admission"
	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
	"github.com/holdfast-iam/holdfast/internal/wire"
	"github.com/holdfast-iam/holdfast/sigv4"
)

var nothing = reflect.TypeFor[api.Nothing]()

// request is one request on its way through the pipeline.
type request struct {
	h       *Handler
	w       http.ResponseWriter
	r       *http.Request
	id      string
	start   time.Time
	body    []byte
	form    wire.Form
	signed  sigv4.Request
	shown   sigv4.Presented
	dialect wire.Dialect
	op      *api.Op
	door    string // which decision door, when it is one
	caller  *authn.Caller
	place   *admission.Place
	view    *view.View
	waited  bool // the view is the newest that was to be had
	insist  bool // run the write here also while another node sequences
	status  int
	code    string
}

func (q *request) name() string {
	if q.op == nil {
		return q.door
	}
	return q.op.Service + ":" + q.op.Name
}

func (q *request) log() {
	took := q.h.Now().Sub(q.start)
	if q.code == fault.Throttling.Code || q.code == fault.ThrottlingException.Code { // a line costs a tenth of an answer: they are counted
		q.observe(took)
		return
	}
	var room [7]slog.Attr
	attrs := append(room[:0], slog.String("request", q.id), slog.String("operation", q.name()), slog.Int("status", q.status), slog.Duration("took", took))
	if q.code != "" {
		attrs = append(attrs, slog.String("code", q.code))
	}
	if q.caller != nil {
		attrs = append(attrs, slog.String("principal", q.caller.ARN))
	}
	if q.global() {
		attrs = append(attrs, slog.Bool("global", true))
	}
	q.h.Log.LogAttrs(q.r.Context(), slog.LevelInfo, "request", attrs...)
	q.observe(took)
}

// global says whether the request came to the host of STS that names no Region:
// who still asks there is to be found (docs/operations.md).
func (q *request) global() bool {
	return q.op != nil && q.op.Service == "sts" && authn.GlobalHost(q.r.Host)
}

func (q *request) observe(took time.Duration) {
	if q.h.Global != nil && q.global() {
		q.h.Global()
	}
	if q.h.Observe != nil {
		service, operation := "none", "none"
		if q.op != nil {
			service, operation = q.op.Service, q.op.Name
		} else if q.door != "" {
			service, operation = "holdfast", q.door
		}
		q.h.Observe(service, operation, q.code, q.status, took)
	}
}

// serve takes the request through the pipeline. What it returns is answered by
// fail; nil means that an answer went out.
func (q *request) serve() error {
	if err := q.read(); err != nil {
		return err
	}
	if err := q.route(); err != nil {
		return err
	}
	if q.op.Effect == api.Write && q.h.Relay != nil {
		if answered, err := q.relay(); answered || err != nil {
			return err
		}
	}
	v, err := q.h.View(q.r.Context())
	if v == nil {
		return err
	}
	if err != nil && (q.op.Effect == api.Write || failpoint.On(failpoint.ReadsNeedQuorum)) { // its refusal must not rest on an old view
		q.h.Log.Warn("the newest state cannot be read", "request", q.id, "error", err)
		return Unavailable("a majority of it cannot be reached")
	}
	q.view = v
	if err := q.awaitRevision(); err != nil {
		return err
	}
	return q.judge()
}

// execute authenticates and runs the operation on the request's view.
func (q *request) execute() error {
	if err := q.enter(); err != nil {
		return err
	}
	defer q.place.Leave()
	if err := q.authenticate(); err != nil {
		return err
	}
	if err := q.fresh(); err != nil {
		return err
	}
	in := reflect.New(q.op.In).Interface()
	if err := q.h.Operations.codec[q.op].decode.Decode(q.form, in); err != nil {
		return err
	}
	if q.op.Effect == api.Write {
		return q.write(in)
	}
	return q.answerRead(in)
}

// fresh refuses what the caller's account wants answered from a younger view.
func (q *request) fresh() error {
	if q.caller == nil {
		return nil
	}
	return authz.Fresh(q.view, q.caller.Account, q.op.Action(), q.h.Age(q.h.Now()))
}

// read takes the body in, within its limit, and parses signature and form.
func (q *request) read() error {
	limit := int64(MaxBody)
	if failpoint.On(failpoint.NoSizeLimit) {
		limit = 1 << 30
	}
	if q.r.ContentLength > limit {
		return fault.RequestEntityTooLarge.Errorf("The request body is larger than %d bytes.", limit)
	}
	body, err := io.ReadAll(io.LimitReader(q.r.Body, limit+1))
	var full *admission.Refusal
	switch {
	case errors.As(err, &full):
		return throttled()
	case err != nil:
		return fault.IncompleteSignature.Errorf("The request body could not be read.")
	}
	if int64(len(body)) > limit {
		return fault.RequestEntityTooLarge.Errorf("The request body is larger than %d bytes.", limit)
	}
	q.body = body
	q.signed = sigv4.FromHTTP(q.r, body)
	q.shown, err = sigv4.Parse(&q.signed)
	q.dialect = q.speaks()
	if err != nil {
		return signatureFault(err)
	}
	return nil
}

// speaks finds the dialect in which the client reads errors.
func (q *request) speaks() wire.Dialect {
	ctype := q.r.Header.Get("Content-Type")
	switch {
	case strings.HasPrefix(ctype, "application/x-amz-json-1.0"):
		return wire.JSON10
	case q.r.Header.Get("X-Amz-Target") != "":
		return wire.JSON11
	case wire.AcceptsJSON(q.r.Header.Get("Accept")):
		return wire.QueryJSON
	case strings.HasPrefix(q.shown.Scope.Service, "s3"):
		return wire.RestXML
	case q.shown.Scope.Service == "ec2":
		return wire.EC2
	case q.r.URL.Path != "/" && restJSON(q.shown.Scope.Service):
		return wire.JSON11 // whose errors the REST-JSON protocol's clients read too
	}
	return wire.QueryXML
}

// restJSON says whether a service that is called by paths answers JSON: all do
// but these (their models' protocol is rest-xml) and ours, which have one path.
func restJSON(service string) bool {
	switch service {
	case "", "iam", "sts", "cloudfront", "route53":
		return false
	}
	return true
}

// revisionWait bounds how long a request waits for the revision it demands.
const revisionWait = 2 * time.Second

// maxDemands bounds the requests that wait for one: nobody has looked yet at who
// sent them, and each looks up at every commit.
const maxDemands = 1024

// awaitRevision waits until this node serves the revision that the request
// demands. Another lineage is an error at once: it will never come.
func (q *request) awaitRevision() error {
	text := q.r.Header.Get(HeaderMinRevision)
	if text == "" {
		return nil
	}
	index, ok, err := q.view.Reaches(text)
	if err != nil {
		return fault.InvalidParameterValue.Errorf("%s: %v", HeaderMinRevision, err)
	}
	if !ok && q.h.Await != nil {
		q.await(index)
		if q.view, err = q.h.View(q.r.Context()); q.view == nil {
			return err
		}
	}
	if q.view.Head.Index < index {
		return fault.ServiceUnavailable.Errorf("This node serves revision %s, not yet %s.", record.Revision(q.view.Head.Lineage, q.view.Head.Index), text).WithRetryAfter(retryLater)
	}
	return nil
}

// await waits for a revision, if not too many do.
func (q *request) await(index uint64) {
	defer q.h.demands.Add(-1)
	if q.h.demands.Add(1) > maxDemands {
		return
	}
	ctx, cancel := context.WithTimeout(q.r.Context(), revisionWait)
	defer cancel()
	_ = q.h.Await(ctx, index) // who calls looks
}

// authenticate finds the caller, and what kinds of session may not do here is
// refused before any policy is asked.
func (q *request) authenticate() error {
	if q.op.Unsigned {
		return nil
	}
	c, err := q.h.Verifier.Signed(q.view, &q.signed, q.shown, q.op.Service, q.start)
	if err != nil {
		return signatureFault(err)
	}
	if q.h.Via != nil {
		if region := q.h.Via(q.r.Context()); region != "" {
			if c, err = c.Through(q.view, region); err != nil {
				return err
			}
		}
	}
	q.caller = c
	q.place.Proven(c.Account)
	if err := q.behind(c); err != nil {
		return err
	}
	if q.h.Used != nil && c.Session == nil {
		q.h.Used(c.Account, c.KeyID, q.op.Service, q.start)
	}
	return nil
}

// signatureFault turns the signature library's errors, which carry AWS's code
// and words, into faults.
func signatureFault(err error) error {
	var e *sigv4.Error
	if errors.As(err, &e) {
		return authn.Fault(e)
	}
	return err
}

func (q *request) call(tx record.Tx, now time.Time) *api.Call {
	c := &api.Call{Tx: tx, Caller: q.caller, Now: now, Region: q.h.Region, RequestID: q.id,
		Source: hostOnly(q.r.RemoteAddr), Secure: q.r.TLS != nil, Agent: q.r.UserAgent()}
	c.Op, c.Markers, c.Global = q.op.Name, q.h.Markers, q.global()
	if q.caller != nil {
		c.Account = q.caller.Account
	}
	return c
}
