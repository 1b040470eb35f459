// Package front is the one pipeline that every AWS API request takes: read,
// route, authenticate, authorize, run, answer. It knows no operation by name.
//
// Invariant: an operation cannot skip a step, because it supplies only its
// resource and its body; a write's steps run again at the commit revision, in
// the order credential, call id, kind of session, authorization, body.
package front

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"sync/atomic"
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
)

// MaxBody bounds a request's body in bytes.
const MaxBody = 512 << 10

// MaxHeader bounds a request's header block in bytes; for http.Server.
const MaxHeader = 16 << 10

// Handler answers AWS API requests on one node.
type Handler struct {
	Operations *Operations
	Region     string
	Verifier   *authn.Verifier
	Authorizer *authz.Authorizer
	// View returns what this node serves. On the control plane it waits for a
	// linearizable read of the head; a view with an error is what there is
	// when that fails: good for reads, marked with its age.
	View func(context.Context) (*view.View, error)
	// Age is how long ago the node last heard of the head.
	Age func(now time.Time) time.Duration
	// Await waits until the node serves an index, or ctx ends; nil: it never
	// is behind.
	Await func(ctx context.Context, index uint64) error
	// Leased says whether the node has what was acknowledged a lease ago, by
	// its own clock; nil: it never has.
	Leased func() bool
	// Ahead is an index that another node of the Region serves and this one
	// does not, as it has heard; 0: none. Nil: there are no others.
	Ahead func() uint64
	// Relay hands a write as it came to the node that commits it. Nil where
	// there is no other.
	Relay func(context.Context, *Relayed) (*Reply, error)
	// Commit has this node's sequencer run a write. Nil in a Region.
	Commit func(context.Context, *Write) *Outcome
	// Gate bounds what this node works on at once, Changes how many changes
	// are on their way to their commit, here or by relay. Nil: nothing does.
	Gate, Changes *admission.Gate
	// Doors answers the decision doors' paths; nil: there are none here.
	Doors http.Handler
	// Via is the opt-in Region by whose node a request came here; "": by none.
	// Nil where every request comes straight from its client.
	Via func(context.Context) string
	// Markers seals where pages of lists start.
	Markers api.Markers
	// Used notes that an access key was used; nil: nothing does.
	Used func(account, keyID, service string, now time.Time)
	// Global counts a request to the host of STS that names no Region; nil:
	// nothing does.
	Global func()
	Now    func() time.Time
	Log    *slog.Logger
	// Observe counts one answered request; nil: nothing does.
	Observe func(service, operation, code string, status int, took time.Duration)

	strangers atomic.Int32 // requests with unknown keys that wait for a newer view
	demands   atomic.Int32 // requests that wait for the revision they demand
}

// Operations is the operation table with a codec for each row, made once.
type Operations struct {
	table    *api.Table
	services []string // that the table has rows for
	codec    map[*api.Op]*codec
}

type codec struct {
	decode *wire.Decoder
	encode *wire.Encoder // nil: the operation answers nothing
}

// namespaces of the answers, by API version.
var namespaces = map[string]string{
	"2010-05-08": "https://iam.amazonaws.com/doc/2010-05-08/",
	"2011-06-15": "https://sts.amazonaws.com/doc/2011-06-15/",
}

// NewOperations makes the codecs of a table. It panics on a row whose structs
// the wire does not know: a mistake of ours.
func NewOperations(t *api.Table) *Operations {
	o := &Operations{table: t, services: t.Services(), codec: map[*api.Op]*codec{}}
	for _, op := range t.All() {
		c := &codec{decode: wire.NewDecoder(op.In)}
		if op.Out != nothing {
			c.encode = wire.NewEncoder(op.Name, namespaces[op.Version], op.Out)
		} else {
			c.encode = wire.NewEncoder(op.Name, namespaces[op.Version], nil)
		}
		o.codec[op] = c
	}
	return o
}

// Relayed is a request as it came, for the control plane.
type Relayed struct {
	Method  string
	Target  string // raw request target
	Host    string
	Header  [][2]string // in order as far as net/http kept it
	Body    []byte
	Source  string // client address, host:port
	Secure  bool
	Arrived time.Time
}

// Reply is the control plane's answer, passed on as it is.
type Reply struct {
	Status int
	Header [][2]string
	Body   []byte
	// Here has this node run the write itself, in place of all that; Insist
	// also while another node sequences, which did not answer.
	Here, Insist bool
}

// Write is one call for the sequencer.
type Write struct {
	CallID  string // hash, hex
	Account string
	Reduces bool // takes something away: deletion, deactivation
	Insist  bool // run it here also while another node sequences
	Admit   func(r record.Reader, now time.Time) error
	Apply   func(tx record.Tx, now time.Time, index uint64) (private []byte, err error)
}

// Outcome is what became of a Write.
type Outcome struct {
	Err      error
	Moved    bool   // nothing happened: another node sequences
	Index    uint64 // 0: nothing was committed
	Lineage  string
	Replayed bool
	Private  []byte   // the log record's private part, when Replayed
	Missing  []string // enrolled nodes that have not applied it
}

// NewRequestID returns a random id in the form of a UUID.
func NewRequestID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 36)
	for i, c := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(out)
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &request{h: h, w: w, r: r, id: NewRequestID(), start: h.Now(), dialect: wire.QueryXML}
	w.Header().Set("X-Amzn-RequestId", q.id)
	defer q.log()
	defer func() {
		if failpoint.On(failpoint.NoPanicBarrier) {
			return
		}
		if p := recover(); p != nil { // one request's panic is no other's (lesson L35)
			if p == http.ErrAbortHandler {
				panic(p)
			}
			h.Log.Error("panic in a request", "request", q.id, "operation", q.name(), "panic", p)
			q.fail(fault.InternalFailure.Errorf("The request processing has failed because of an unknown error, exception or failure."))
		}
	}()
	failpoint.Panic()
	if isDoor(r.URL.Path) && h.Doors != nil {
		q.knock()
		return
	}
	if err := q.serve(); err != nil {
		q.fail(err)
	}
}
