// Package native is the decision API: is this request authenticated, and may
// it do that? gRPC and HTTP JSON are two spellings of the functions here, and
// every other door translates to them.
//
// Invariant: an answer is given only to a registered service whose own policy
// allows it to ask, and only about what its record covers; what it says about
// the request (context, resource policy) counts for its own actions alone.
package native

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/holdfast-iam/holdfast/arn"
	"github.com/holdfast-iam/holdfast/internal/admission"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
	"github.com/holdfast-iam/holdfast/policy"
)

// Decider answers on one Region node.
type Decider struct {
	View       func(context.Context) (*view.View, error)
	Verifier   *authn.Verifier
	Authorizer *authz.Authorizer
	Region     string
	Now        func() time.Time
	Age        func(time.Time) time.Duration
	// Await waits until the node serves an index, or ctx ends.
	Await func(ctx context.Context, index uint64) error
	// Leased says whether the node has what was acknowledged a lease ago, Ahead
	// is an index that another node of the Region serves and this one does not;
	// as in front.Handler.
	Leased func() bool
	Ahead  func() uint64
	// Waiting counts the questions with unknown keys that wait for a newer view;
	// nil: none may.
	Waiting *atomic.Int32
	// Demands counts the calls and questions that wait for the revision they demand;
	// nil: nobody counts.
	Demands *atomic.Int32
	// Gate bounds what the node works on at once; nil: nothing does.
	Gate *admission.Gate
	Log  *slog.Logger
	// Decided counts one answered question: its decision, or Error; nil:
	// nothing does.
	Decided func(decision string)
	// Turned is told of a gRPC call that was turned away for what its headers show;
	// nil: nobody is.
	Turned func(method string, err error)
}

// Asker is a proven caller and the service that it speaks for.
type Asker struct {
	Caller  *authn.Caller
	Service *record.Service
	place   *admission.Place
}

// Leave ends the work for an asker; what is left is to send the answer.
func (a *Asker) Leave() { a.place.Leave() }

// admit waits for a slot, before anything is verified.
func (d *Decider) admit(ctx context.Context, address, named string) (*admission.Place, error) {
	p, err := d.Gate.Enter(ctx, admission.Decide, address, named)
	if err != nil {
		return nil, throttled()
	}
	return p, nil
}

func throttled() error { return fault.Throttling.Errorf("Rate exceeded") }

// Limits of one question.
const (
	maxContextKeys   = 100
	maxContextValues = 100
	maxValue         = 2048
	maxPolicy        = 20 << 10
	maxBatch         = 1000
)

// Asker finds the service that a proven caller speaks for, and asks its
// identity policy whether it may do `action` (holdfast:Authorize, …).
func (d *Decider) Asker(v *view.View, c *authn.Caller, action, source string) (*Asker, error) {
	if err := authn.Allowed(c, "holdfast", strings.TrimPrefix(action, "holdfast:")); err != nil {
		return nil, err
	}
	s, err := serviceOf(v, callerARN(c))
	if err != nil {
		return nil, err
	}
	a := &Asker{Caller: c, Service: s}
	return a, d.may(v, a, action, source)
}

// may asks the asker's own policies.
func (d *Decider) may(v *view.View, a *Asker, action, source string) error {
	return d.Authorizer.Check(v, &authz.Question{Caller: a.Caller, Action: action, Resource: "*", Account: a.Caller.Account,
		Source: source, Region: d.Region, Now: d.Now()})
}

// callerARN is the ARN under which a caller stands in a Service record: a
// role's for its sessions.
func callerARN(c *authn.Caller) string {
	a, err := arn.Parse(c.ARN)
	if err != nil || a.Service != "sts" {
		return c.ARN
	}
	parts := strings.Split(a.Resource, "/")
	if len(parts) != 3 || parts[0] != "assumed-role" {
		return c.ARN
	}
	return "arn:aws:iam::" + a.Account + ":role/" + parts[1]
}

func serviceOf(r record.Reader, caller string) (*record.Service, error) {
	var found *record.Service
	err := record.Scan(r, record.Services, record.ServiceByCaller, caller+record.Sep, "", func(_ string, s *record.Service) bool {
		found = s
		return false
	})
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, fault.AccessDenied.Errorf("%s speaks for no registered service: an operator registers one with `holdfast service create`.", caller)
	}
	return found, nil
}

// Question is what a service asks.
type Question struct {
	Principal      string              `json:"principal,omitempty"` // bare ARN: needs holdfast:AuthorizeUnproven
	Handle         string              `json:"handle,omitempty"`    // from Authenticate
	Request        *SignedRequest      `json:"request,omitempty"`   // proves itself
	Action         string              `json:"action"`
	Resource       string              `json:"resource"`
	Account        string              `json:"resourceAccount,omitempty"` // owner, where the ARN names none
	Context        map[string][]string `json:"context,omitempty"`
	ResourcePolicy string              `json:"resourcePolicy,omitempty"`
	// MinRevision is what the answer must rest on at least: the answer waits
	// for it, within a bound.
	MinRevision string `json:"minRevision,omitempty"`
	// Explain adds the statements that were considered, and to a denial the
	// message that sts:DecodeAuthorizationMessage opens.
	Explain bool `json:"explain,omitempty"`
}

// Answer is the decision with its reasons.
type Answer struct {
	Decision string   `json:"decision"` // Allowed, ExplicitDeny, ImplicitDeny
	Allowed  bool     `json:"allowed"`
	Reason   string   `json:"reason,omitempty"` // AWS's sentence, for a denial
	By       string   `json:"decidedBy,omitempty"`
	Matched  []string `json:"matchedStatements,omitempty"`
	Subject  string   `json:"principal"`
	Proven   bool     `json:"proven"` // the principal proved itself, it is not a bare ARN
	Revision string   `json:"revision"`
	Age      float64  `json:"viewAgeSeconds"`
	// Considered and Encoded are there when the question asked to explain.
	Considered []Considered `json:"considered,omitempty"`
	Encoded    string       `json:"encodedMessage,omitempty"`
}

// revisionWait bounds how long a question waits for the revision it demands.
const revisionWait = 2 * time.Second

// at returns a view that rests on the revision that a question demands.
func (d *Decider) at(ctx context.Context, v *view.View, revision string) (*view.View, error) {
	if revision == "" {
		return v, nil
	}
	index, ok, err := v.Reaches(revision)
	if err != nil {
		return nil, fault.InvalidParameterValue.Errorf("minRevision: %v", err)
	}
	if !ok && d.Await != nil {
		d.await(ctx, index)
		if v, err = d.View(context.WithoutCancel(ctx)); err != nil {
			return nil, err
		}
	}
	if v.Head.Index < index {
		return nil, fault.ServiceUnavailable.Errorf("This node serves revision %s, not yet %s.", record.Revision(v.Head.Lineage, v.Head.Index), revision)
	}
	return v, nil
}

// maxDemands bounds those who wait for a revision: as in front.
const maxDemands = 1024

// await waits for a revision, if not too many do.
func (d *Decider) await(ctx context.Context, index uint64) {
	if d.Demands != nil {
		defer d.Demands.Add(-1)
		if d.Demands.Add(1) > maxDemands {
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, revisionWait)
	defer cancel()
	_ = d.Await(ctx, index) // who calls looks
}

// headerMinRevision demands a revision of a whole call, as gRPC metadata too.
const headerMinRevision = "X-Holdfast-Min-Revision"

// caughtUp is at, for an asker: to wait is no work.
func (d *Decider) caughtUp(ctx context.Context, v *view.View, a *Asker, revision string) (*view.View, error) {
	if revision == "" {
		return v, nil
	}
	if _, ok, _ := v.Reaches(revision); ok {
		return v, nil
	}
	a.Leave()
	newer, err := d.at(ctx, v, revision)
	if err != nil {
		return nil, err
	}
	if a.place.Again(ctx) != nil {
		return nil, throttled()
	}
	return newer, nil
}

// demanded is the view to answer from, when the call's header demands one.
func (d *Decider) demanded(ctx context.Context, header []string) (*view.View, error) {
	v, err := d.View(ctx)
	if err != nil || len(header) == 0 {
		return v, err
	}
	return d.at(ctx, v, header[0])
}

// again judges an asker on a newer view than it entered with.
func (d *Decider) again(v *view.View, a *Asker, source string) (*Asker, error) {
	if err := d.Verifier.Standing(v, a.Caller, d.Now()); err != nil {
		return nil, err
	}
	c, err := a.Caller.At(v)
	if err != nil {
		return nil, err
	}
	return d.Asker(v, c, "holdfast:Authorize", source)
}

// returned is an asker whose slot was given back, on a newer view.
func (d *Decider) returned(ctx context.Context, v *view.View, a *Asker, source string) (*Asker, error) {
	if a.place.Again(ctx) != nil {
		return nil, throttled()
	}
	b, err := d.again(v, a, source)
	if err == nil {
		b.place = a.place // which a gives back
	}
	return b, err
}

// Authorize answers one question of a service.
func (d *Decider) Authorize(ctx context.Context, v *view.View, a *Asker, q *Question, source string) (*Answer, error) {
	if a.place.Again(ctx) != nil { // an earlier question of the batch has waited
		return nil, throttled()
	}
	var answer *Answer
	err := d.judged(ctx, v, a.Leave, func(newer *view.View, waited bool) (err error) {
		asker := a
		if newer != v { // the asker too is judged at the revision that answers
			if asker, err = d.returned(ctx, newer, a, source); err != nil {
				return err
			}
		}
		answer, err = d.authorize(ctx, newer, asker, q, source, waited)
		return err
	})
	switch {
	case d.Decided == nil:
	case err != nil:
		d.Decided("Error")
	default:
		d.Decided(answer.Decision)
	}
	return answer, err
}

func (d *Decider) authorize(ctx context.Context, v *view.View, a *Asker, q *Question, source string, waited bool) (*Answer, error) {
	if err := bounded(a.Service, q); err != nil {
		return nil, err
	}
	newer, err := d.caughtUp(ctx, v, a, q.MinRevision)
	if err != nil {
		return nil, err
	}
	if newer != v { // the asker too is judged at the revision that answers
		v = newer
		if a, err = d.again(v, a, source); err == nil {
			err = bounded(a.Service, q)
		}
		if err != nil {
			return nil, err
		}
	}
	subject, proven, err := d.subject(v, a, q, source)
	if err == nil {
		err = fresh(v, subject, waited)
	}
	if err != nil {
		return nil, err
	}
	if !serves(a.Service, subject.Account) {
		return nil, fault.AccessDenied.Errorf("Service %s does not serve account %s.", a.Service.Name, subject.Account)
	}
	question := authz.Question{Caller: subject, Action: q.Action, Resource: q.Resource, Account: ownerOf(q, subject),
		Context: q.Context, Region: d.Region, Now: d.Now(), FromDoor: true}
	if !serves(a.Service, question.Account) {
		return nil, fault.AccessDenied.Errorf("Service %s does not serve account %s.", a.Service.Name, question.Account)
	}
	if err := d.fresh(v, subject.Account, &question); err != nil {
		return nil, err
	}
	if q.ResourcePolicy != "" {
		if question.ResourcePolicy, err = resourcePolicy(q.ResourcePolicy); err != nil {
			return nil, err
		}
	}
	if !q.Explain {
		decision := d.Authorizer.Decide(v, &question)
		return d.answer(v, a, subject, proven, &question, decision), inDoubt(v, subject, decision)
	}
	decision, considered := d.Authorizer.Explain(v, &question)
	if err := inDoubt(v, subject, decision); err != nil {
		return nil, err
	}
	out := d.answer(v, a, subject, proven, &question, decision)
	return out, d.explain(v, a, &question, considered, out)
}

// fresh refuses what the subject's account, or the resource's, wants answered from
// a younger view.
func (d *Decider) fresh(v *view.View, subject string, q *authz.Question) error {
	age := d.Age(d.Now())
	err := authz.Fresh(v, subject, q.Action, age)
	if err == nil && q.Account != subject {
		err = authz.Fresh(v, q.Account, q.Action, age)
	}
	return err
}

// inDoubt is an error where a view that is behind what the subject's session
// rests on would deny: it may not know yet what allows (protocol rule 15).
func inDoubt(v *view.View, subject *authn.Caller, decision policy.Decision) error {
	if decision.Kind != policy.Allowed && subject.Session != nil && subject.Session.Rests > v.Head.Index {
		return &authn.Behind{Rests: subject.Session.Rests, Err: fault.AccessDenied.Errorf("This node is behind what the session rests on.")}
	}
	return nil
}

// answer words a decision. Reasons that name another account's policies are
// not told.
func (d *Decider) answer(v *view.View, a *Asker, subject *authn.Caller, proven bool, q *authz.Question, decision policy.Decision) *Answer {
	out := &Answer{Decision: decision.Kind.String(), Allowed: decision.Kind == policy.Allowed, Subject: subject.ARN, Proven: proven,
		Revision: record.Revision(v.Head.Lineage, v.Head.Index), Age: d.Age(d.Now()).Seconds()}
	if !out.Allowed {
		out.Reason = d.Authorizer.Sentence(v, q, decision)
	}
	if subject.Account == a.Caller.Account {
		out.By, out.Matched = decision.By.String(), authz.Matched(decision)
	}
	return out
}

func ownerOf(q *Question, subject *authn.Caller) string {
	if a, err := arn.Parse(q.Resource); err == nil && a.Account != "" {
		return a.Account
	}
	if q.Account != "" {
		return q.Account
	}
	return subject.Account
}

func resourcePolicy(text string) (*policy.Policy, error) {
	doc, err := policy.Parse([]byte(text))
	if err == nil {
		err = doc.Validate(policy.Resource)
	}
	if err != nil {
		return nil, fault.MalformedPolicyDocument.Errorf("resourcePolicy: %v", err)
	}
	return policy.Compile(doc), nil
}

// subject finds whom the question is about, in exactly one of three ways.
func (d *Decider) subject(v *view.View, a *Asker, q *Question, source string) (c *authn.Caller, proven bool, err error) {
	switch {
	case q.Principal != "" && q.Handle == "" && q.Request == nil:
		if err := d.may(v, a, "holdfast:AuthorizeUnproven", source); err != nil {
			return nil, false, err
		}
		c, err := authn.Unproven(v, q.Principal)
		if err == nil && c.Account != a.Caller.Account {
			return nil, false, fault.AccessDenied.Errorf("A principal that has not proved itself can be asked about only in the asker's own account.")
		}
		return c, false, err
	case q.Handle != "" && q.Principal == "" && q.Request == nil:
		c, err := d.openHandle(v, a, q.Handle)
		return c, true, err
	case q.Request != nil && q.Principal == "" && q.Handle == "":
		c, err := d.prove(v, a, q.Request)
		return c, true, err
	}
	return nil, false, fault.InvalidParameterCombination.Errorf("A question names its subject by exactly one of principal, handle and request.")
}
