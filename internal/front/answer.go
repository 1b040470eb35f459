package front

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/wire"
)

// Headers of ours, the same names in lower case as gRPC metadata (DESIGN §7).
const (
	HeaderRevision    = "X-Holdfast-Revision"
	HeaderApplied     = "X-Holdfast-Applied"
	HeaderViewAge     = "X-Holdfast-View-Age"
	HeaderMinRevision = "X-Holdfast-Min-Revision"
	// HeaderRetryAfter is milliseconds; botocore's standard mode reads it.
	HeaderRetryAfter = "X-Amz-Retry-After"
)

// answer sends an operation's output.
func (q *request) answer(out any, index uint64) {
	q.mark(index)
	c := q.h.Operations.codec[q.op]
	var body []byte
	if wire.AcceptsJSON(q.r.Header.Get("Accept")) {
		body = c.encode.AppendJSON(nil, out, q.id)
		q.w.Header().Set("Content-Type", "application/json")
	} else {
		body = c.encode.AppendXML(nil, out, q.id)
		q.w.Header().Set("Content-Type", "text/xml")
	}
	q.send(http.StatusOK, body)
}

// mark writes which revision answered and how old the view is.
func (q *request) mark(index uint64) {
	if q.view == nil {
		return
	}
	if index == 0 {
		index = q.view.Head.Index
	}
	q.w.Header().Set(HeaderRevision, record.Revision(q.view.Head.Lineage, index))
	q.w.Header().Set(HeaderViewAge, strconv.FormatFloat(q.h.Age(q.h.Now()).Seconds(), 'f', 3, 64))
}

func (q *request) send(status int, body []byte) {
	q.place.Leave() // a client that reads slowly holds no slot
	q.status = status
	q.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	q.w.WriteHeader(status)
	_, _ = q.w.Write(body) // the client may be gone
}

// fail is the only place that writes an error. What is no fault is an
// internal failure, whose cause goes to the log alone.
func (q *request) fail(err error) {
	var f *fault.Error
	if !errors.As(err, &f) {
		q.h.Log.Error("internal failure", "request", q.id, "operation", q.name(), "error", err)
		f = fault.InternalFailure.Errorf("The request processing has failed because of an unknown error, exception or failure.")
	}
	kind := q.dialect.Kind(f.Kind)
	q.code = kind.Code
	if f.RetryAfter > 0 {
		q.w.Header().Set(HeaderRetryAfter, strconv.FormatInt(f.RetryAfter.Milliseconds(), 10))
	}
	if v := q.dialect.ErrorTypeHeader(f.Kind); v != "" {
		q.w.Header().Set("X-Amzn-ErrorType", v)
	}
	q.w.Header().Set("Content-Type", q.dialect.ContentType())
	q.mark(0)
	failure := wire.Failure{Kind: f.Kind, Message: f.Message, RequestID: q.id, Resource: q.r.URL.Path}
	if q.op != nil {
		failure.Namespace = namespaces[q.op.Version]
	}
	q.send(kind.Status, q.dialect.AppendError(nil, failure))
}

// retryLater is what clients are told to wait when the control plane is out
// of reach.
const retryLater = time.Second

// Unavailable is the answer to a write that cannot be taken now.
func Unavailable(why string) error {
	return fault.ServiceUnavailable.Errorf("The control plane cannot take this change now (%s). Reads, STS and authorization go on working. Try again later.", why).
		WithRetryAfter(retryLater)
}

// applied says where a write has arrived.
func applied(missing []string) string {
	if len(missing) == 0 {
		return "all"
	}
	return "missing=" + strings.Join(missing, ",")
}
