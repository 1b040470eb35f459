package native

import (
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/doors/native/nativepb"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
	"github.com/holdfast-iam/holdfast/sigv4"
)

// maxMessage bounds a gRPC message in bytes, as maxBody bounds a body.
const maxMessage = maxBody

// callerTarget is what a stream's caller signs: a request to this door, which
// a request to any other cannot be taken for.
const callerTarget = "/holdfast/v1/caller"

// server is the gRPC spelling.
type server struct {
	nativepb.UnimplementedDecisionsServer
	*Decider
	strangers atomic.Int32 // calls whose callers have proven nothing yet
}

// NewServer makes the gRPC server of the decision API. creds is nil for
// plaintext on loopback.
func NewServer(d *Decider, creds credentials.TransportCredentials, more ...grpc.ServerOption) *grpc.Server {
	door := &server{Decider: d}
	options := append(more, grpc.InTapHandle(door.tap), grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(4*maxMessage), grpc.MaxConcurrentStreams(1000),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.ConnectionTimeout(10*time.Second))
	if creds != nil {
		options = append(options, grpc.Creds(creds))
	}
	s := grpc.NewServer(options...)
	nativepb.RegisterDecisionsServer(s, door)
	return s
}

// enter proves a call's caller by its Bearer.
func (s *server) enter(ctx context.Context, action string) (*view.View, *Asker, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	v, err := s.demanded(ctx, md.Get(headerMinRevision))
	if err != nil {
		return nil, nil, err
	}
	source := from(ctx)
	place, err := s.admit(ctx, source, named(md))
	if err != nil {
		return nil, nil, err
	}
	var c *authn.Caller
	err = s.judged(ctx, v, place.Leave, func(newer *view.View, _ bool) (err error) {
		if v = newer; place.Again(ctx) != nil {
			return throttled()
		}
		c, err = s.bearer(ctx, v)
		return err
	})
	if err != nil {
		place.Leave()
		return nil, nil, err
	}
	a, err := s.entered(v, c, place, action, source)
	if err == nil {
		proven(ctx)
	}
	return v, a, err
}

// named is the credential that a call shows, not yet believed.
func named(md metadata.MD) string {
	if list := md.Get("authorization"); len(list) == 1 {
		return list[0]
	}
	return ""
}

func (s *server) bearer(ctx context.Context, v *view.View) (*authn.Caller, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	return s.bearerIn(md, v)
}

func (s *server) bearerIn(md metadata.MD, v *view.View) (*authn.Caller, error) {
	carriers := md.Get("authorization")
	if len(carriers) != 1 || !strings.HasPrefix(carriers[0], "Bearer ") {
		return nil, fault.MissingAuthenticationToken.Errorf("A call carries one credential: the metadata authorization: Bearer …; a stream may open with a signed caller.")
	}
	return s.Verifier.Bearer(v, strings.TrimPrefix(carriers[0], "Bearer "), "holdfast.amazonaws.com", s.Now())
}

// from is the client's address as the connection knows it.
func from(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	tcp, ok := p.Addr.(*net.TCPAddr)
	if !ok {
		return ""
	}
	addr, _ := netip.AddrFromSlice(tcp.IP)
	return addr.Unmap().WithZone("").String()
}

// mark says in the call's metadata which revision answers.
func (s *server) mark(ctx context.Context, v *view.View) {
	_ = grpc.SetHeader(ctx, metadata.Pairs("x-holdfast-revision", record.Revision(v.Head.Lineage, v.Head.Index),
		"x-holdfast-view-age", strconv.FormatFloat(s.Age(s.Now()).Seconds(), 'f', 3, 64))) // the stream may be gone
}

// failed turns an error into gRPC's: AWS's code stands before the message.
func failed(err error) error {
	code, message, httpStatus := words(err)
	c := codes.PermissionDenied
	switch {
	case code == fault.MissingAuthenticationToken.Code:
		c = codes.Unauthenticated
	case code == fault.Throttling.Code:
		c = codes.ResourceExhausted
	case httpStatus == 400:
		c = codes.InvalidArgument
	case httpStatus == 503:
		c = codes.Unavailable
	case httpStatus >= 500:
		c = codes.Internal
	}
	return status.Error(c, code+": "+message)
}

// Authenticate implements the service.
func (s *server) Authenticate(ctx context.Context, r *nativepb.SignedRequest) (*nativepb.Proof, error) {
	v, a, err := s.enter(ctx, "holdfast:Authenticate")
	if err != nil {
		return nil, failed(err)
	}
	defer a.Leave()
	p, v, err := s.Decider.authenticated(ctx, v, a, signedFrom(r))
	if err != nil {
		return nil, failed(err)
	}
	s.mark(ctx, v)
	return &nativepb.Proof{Principal: p.Principal, Account: p.Account, UserId: p.UserID, Handle: p.Handle, Expires: p.Expires.Unix(), Revision: p.Revision}, nil
}

// Authorize implements the service.
func (s *server) Authorize(ctx context.Context, in *nativepb.Question) (*nativepb.Answer, error) {
	v, a, err := s.enter(ctx, "holdfast:Authorize")
	if err != nil {
		return nil, failed(err)
	}
	defer a.Leave()
	q := questionFrom(in)
	answer, err := s.Decider.Authorize(ctx, v, a, &q, from(ctx))
	if err != nil {
		return nil, failed(err)
	}
	s.mark(ctx, v)
	return answerTo(answer, nil), nil
}

// AuthorizeBatch implements the service.
func (s *server) AuthorizeBatch(ctx context.Context, in *nativepb.Batch) (*nativepb.Answers, error) {
	v, a, err := s.enter(ctx, "holdfast:Authorize")
	if err != nil {
		return nil, failed(err)
	}
	defer a.Leave()
	if len(in.Questions) > maxBatch {
		return nil, failed(fault.InvalidParameterValue.Errorf("More than %d questions.", maxBatch))
	}
	shared := questionFrom(in.Shared)
	questions := make([]Question, len(in.Questions))
	for i, q := range in.Questions {
		questions[i] = questionFrom(q)
	}
	out := &nativepb.Answers{Answers: make([]*nativepb.Answer, len(questions))}
	s.each(ctx, v, a, &shared, questions, from(ctx), func(i int, answer *Answer, err error) { out.Answers[i] = answerTo(answer, err) })
	s.mark(ctx, v)
	return out, nil
}

// AuthorizeStream implements the service. Every message has the caller checked
// again at the view that answers it.
func (s *server) AuthorizeStream(stream grpc.BidiStreamingServer[nativepb.StreamQuestion, nativepb.Answer]) error {
	ctx := stream.Context()
	prove := func(v *view.View) (*authn.Caller, error) { return s.bearer(ctx, v) }
	for first := true; ; first = false {
		in, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		answer, err := s.message(ctx, in, first, &prove)
		if err != nil {
			return failed(err)
		}
		if answer == nil {
			continue // the opening alone
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

// message answers one message of a stream; an error ends the stream. To be
// refused for want of a slot does not, unless the message was to open it.
func (s *server) message(ctx context.Context, in *nativepb.StreamQuestion, first bool, prove *func(*view.View) (*authn.Caller, error)) (*nativepb.Answer, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	v, err := s.demanded(ctx, md.Get(headerMinRevision))
	if err != nil {
		return nil, err
	}
	source := from(ctx)
	place, err := s.admit(ctx, source, named(md))
	if err != nil {
		if in.Caller != nil || in.Question == nil {
			return nil, err
		}
		return answerTo(nil, err), nil
	}
	defer place.Leave()
	var c *authn.Caller
	err = s.judged(ctx, v, place.Leave, func(newer *view.View, _ bool) (err error) {
		if v = newer; place.Again(ctx) != nil {
			return throttled()
		}
		if in.Caller != nil {
			if *prove, err = s.opened(ctx, v, in.Caller, first); err != nil {
				return err
			}
		}
		c, err = (*prove)(v)
		return err
	})
	if err != nil {
		return nil, err
	}
	a, err := s.entered(v, c, place, "holdfast:Authorize", source)
	if err != nil {
		return nil, err
	}
	proven(ctx)
	if in.Question == nil {
		return nil, nil
	}
	q := questionFrom(in.Question)
	answer, err := s.Decider.Authorize(ctx, v, a, &q, source)
	return answerTo(answer, err), nil
}

// opened proves a stream's caller by a signed request for this door, and
// returns how to prove it again: its credential, at another view.
func (s *server) opened(ctx context.Context, v *view.View, r *nativepb.SignedRequest, first bool) (func(*view.View) (*authn.Caller, error), error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if !first || len(md.Get("authorization")) > 0 {
		return nil, fault.IncompleteSignature.Errorf("A stream carries one credential: a Bearer, or a signed caller in its first message.")
	}
	if r.Method != "GET" || r.Target != callerTarget {
		return nil, fault.InvalidParameterValue.Errorf("A stream's caller signs GET %s.", callerTarget)
	}
	req, err := signedFrom(r).received()
	if err != nil {
		return nil, err
	}
	shown, err := sigv4.Parse(req)
	if err != nil {
		return nil, err
	}
	c, err := s.Verifier.Signed(v, req, shown, "holdfast", s.Now())
	if err != nil {
		return nil, err
	}
	claim := authn.Claim{Kind: c.Kind, Account: c.Account, ID: c.ID, KeyID: c.KeyID, Session: c.Session}
	return func(v *view.View) (*authn.Caller, error) { return s.Verifier.Again(v, claim, s.Now()) }, nil
}

func signedFrom(r *nativepb.SignedRequest) *SignedRequest {
	if r == nil {
		return nil
	}
	out := &SignedRequest{Method: r.Method, Target: r.Target, Host: r.Host, Body: r.Body}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, [2]string{h.GetName(), h.GetValue()})
	}
	if len(r.PayloadSha256) > 0 {
		out.PayloadHash = hex.EncodeToString(r.PayloadSha256)
	}
	return out
}

func questionFrom(q *nativepb.Question) Question {
	if q == nil {
		return Question{}
	}
	out := Question{Principal: q.Principal, Handle: q.Handle, Request: signedFrom(q.Request), Action: q.Action, Resource: q.Resource,
		Account: q.ResourceAccount, ResourcePolicy: q.ResourcePolicy, MinRevision: q.MinRevision, Explain: q.Explain}
	if len(q.Context) > 0 {
		out.Context = make(map[string][]string, len(q.Context))
		for k, v := range q.Context {
			out.Context[k] = v.GetValues()
		}
	}
	return out
}

var decisions = map[string]nativepb.Decision{"Allowed": nativepb.Decision_DECISION_ALLOWED,
	"ExplicitDeny": nativepb.Decision_DECISION_EXPLICIT_DENY, "ImplicitDeny": nativepb.Decision_DECISION_IMPLICIT_DENY}

func answerTo(a *Answer, err error) *nativepb.Answer {
	if err != nil {
		code, message, _ := words(err)
		return &nativepb.Answer{Error: &nativepb.Error{Code: code, Message: message}}
	}
	out := &nativepb.Answer{Decision: decisions[a.Decision], Reason: a.Reason, DecidedBy: a.By, MatchedStatements: a.Matched, Principal: a.Subject,
		Proven: a.Proven, Revision: a.Revision, ViewAgeSeconds: a.Age, EncodedMessage: a.Encoded}
	for _, c := range a.Considered {
		out.Considered = append(out.Considered, &nativepb.Considered{Statement: c.Statement, Matched: c.Matched, Failed: c.Failed, MissingKey: c.MissingKey})
	}
	return out
}
