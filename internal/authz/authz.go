// Package authz decides whether a caller may do something: it gathers the
// policies that take part, sets the condition keys, and asks the policy engine.
//
// Invariant: keys that say who the caller is, through what session, when and
// where, are set here and nowhere else; whoever asks cannot say them. A policy
// that cannot be read denies whoever it concerns.
package authz

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/policy"
)

// Question is one thing that a caller wants to do.
type Question struct {
	Caller   *authn.Caller
	Outsider *Outsider // who asks without a credential; Caller is nil then
	Action   string
	Resource string
	Account  string // that owns the resource; empty: the caller's
	// Context holds the operation's own keys; from a door also the network's.
	Context        map[string][]string
	Trust          string         // a role's trust policy: it must allow in any case
	ResourcePolicy *policy.Policy // of the resource
	Source         string         // client address
	Secure         bool
	Agent          string
	Region         string
	Now            time.Time
	// FromDoor says that the client's connection is the asker's: its network
	// keys come from Context, not from ours.
	FromDoor bool
}

// Outsider asks without a credential of an account. Whoever makes one has
// checked the service's record, or what the provider issued.
type Outsider struct {
	Kind policy.PrincipalKind // Anonymous, Service or Federated
	// Names are the service's principals, the one that asks first; or the ARN
	// or name of the provider that vouches.
	Names []string
	// Source is the ARN of the resource for which a service asks.
	Source string
}

// Authorizer decides. Compiled documents are kept by their text, so equal ones
// are held once.
type Authorizer struct {
	// Organization finds an account's place in its organization in a state;
	// nil: it is in none. It must return the same Place as long as nothing
	// about it has changed: what it comes to is kept with it. Nil: there are
	// no organizations.
	Organization func(r record.Reader, account string) *Place

	compiled atomic.Pointer[sync.Map]
	size     atomic.Int64
	clock    atomic.Pointer[clock]
}

// maxCompiled bounds the kept documents; at the bound it starts over.
const maxCompiled = 1 << 17

// Compiled returns the compiled form of a stored document. One that does not
// parse compiles to a policy that denies everything: it was written by a
// newer release or is damaged, and may have been a denial.
func (z *Authorizer) Compiled(text string) *policy.Policy {
	m := z.compiled.Load()
	if m == nil || z.size.Load() > maxCompiled {
		m = new(sync.Map)
		z.compiled.Store(m)
		z.size.Store(0)
	}
	if p, ok := m.Load(text); ok {
		return p.(*policy.Policy)
	}
	d, err := policy.Parse([]byte(text))
	if err != nil && failpoint.On(failpoint.LeavesOut) {
		return nothing()
	}
	if err != nil {
		return denyAll
	}
	p, loaded := m.LoadOrStore(text, policy.Compile(d))
	if !loaded {
		z.size.Add(1)
	}
	return p.(*policy.Policy)
}

var denyAll = func() *policy.Policy {
	d, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`))
	if err != nil {
		panic(err) // a constant
	}
	return policy.Compile(d)
}()

// Check returns nil if the caller may, else AccessDenied in AWS's words.
func (z *Authorizer) Check(r record.Reader, q *Question) error {
	d := z.Decide(r, q)
	if d.Kind == policy.Allowed {
		return nil
	}
	return fault.AccessDenied.Errorf("%s", z.Sentence(r, q, d))
}

// Sentence words a denial. Reasons about another account's policies are left
// out: the caller learns that it is denied.
func (z *Authorizer) Sentence(_ record.Reader, q *Question, d policy.Decision) string {
	who := "anonymous"
	if q.Caller != nil {
		who = q.Caller.ARN
		if q.Account != "" && q.Account != q.Caller.Account && (d.By == policy.Resource || d.By == policy.ResourceControl) {
			d = policy.Decision{}
		}
	}
	if q.Trust != "" && d.By == policy.Resource {
		d.By = policy.Trust
	}
	return d.Sentence(who, q.Action, q.Resource)
}

// Decide asks the policy engine.
func (z *Authorizer) Decide(r record.Reader, q *Question) policy.Decision {
	a := assemblies.Get().(*assembly)
	defer a.giveBack()
	if !z.assemble(r, q, a) {
		return policy.Decision{}
	}
	if failpoint.On(failpoint.RecursiveMatch) && q.Caller != nil && !triedFirst(q.Caller.Form.Role, q.Resource) {
		return policy.Decision{}
	}
	return policy.Evaluate(&a.policies, &a.request)
}

// Explain is Decide with everything that was considered.
func (z *Authorizer) Explain(r record.Reader, q *Question) (policy.Decision, []policy.Match) {
	a := assemblies.Get().(*assembly)
	defer a.giveBack()
	if !z.assemble(r, q, a) {
		return policy.Decision{}, nil
	}
	return policy.Explain(&a.policies, &a.request)
}

// assembly is what the engine is asked. It is used again, so that a decision
// allocates next to nothing.
type assembly struct {
	policies policy.Policies
	request  policy.Request
}

var assemblies = sync.Pool{New: func() any { return new(assembly) }}

// giveBack keeps nothing of a question but the memory of its context.
func (a *assembly) giveBack() {
	context := a.request.Context
	context.Reset(nil)
	*a = assembly{request: policy.Request{Context: context}}
	assemblies.Put(a)
}

// assemble fills in what the engine is asked; false: the caller is denied
// without being asked about.
func (z *Authorizer) assemble(r record.Reader, q *Question, a *assembly) bool {
	if q.Caller == nil && q.Outsider != nil {
		return z.assembleOutsider(r, q, a)
	}
	if q.Caller == nil || q.Caller.Kind == authn.Nobody || q.Caller.Form == nil {
		return false
	}
	g, own := z.gather(r, q.Caller), z.placeOf(r, q.Caller.Account)
	req, owner := &a.request, own
	req.Principal, req.Action, req.Resource, req.ResourceAccount = principal(q.Caller), q.Action, q.Resource, q.Account
	if q.Account == "" {
		req.ResourceAccount = q.Caller.Account
	} else if q.Account != q.Caller.Account {
		owner = z.placeOf(r, q.Account)
	}
	ok := z.policies(r, q, g, &a.policies)
	a.policies.ServiceControl, a.policies.ResourceControl = own.serviceControl(), owner.resourceControl()
	c := &req.Context
	z.setCaller(c, q, g)
	own.setKeys(c, "aws:principalorgid", "aws:principalorgpaths")
	z.setRequest(c, q, req.ResourceAccount, owner)
	return ok
}

// assembleOutsider is the same for who has no policies of its own: the
// resource's alone decides, and what limits it.
func (z *Authorizer) assembleOutsider(r record.Reader, q *Question, a *assembly) bool {
	o, req := q.Outsider, &a.request
	if o.Kind != policy.Anonymous && o.Kind != policy.Service && o.Kind != policy.Federated {
		return false
	}
	owner := z.placeOf(r, q.Account)
	req.Principal, req.Action, req.Resource, req.ResourceAccount = policy.Principal{Kind: o.Kind, Names: o.Names}, q.Action, q.Resource, q.Account
	a.policies = policy.Policies{Boundary: policy.None, Session: policy.None, Endpoint: policy.None, ServiceControl: policy.None,
		ResourceControl: owner.resourceControl()}
	z.ofResource(q, &a.policies)
	c := &req.Context
	c.Reset(nil)
	said(c, q)
	z.setOutsider(c, r, o)
	z.setRequest(c, q, q.Account, owner)
	return true
}

// principal is how policies see the caller.
func principal(c *authn.Caller) policy.Principal {
	p := policy.Principal{ARN: c.ARN, Account: c.Account, UniqueID: c.ID}
	switch c.Kind {
	case authn.Root, authn.RootSession:
		p.Kind = policy.RootUser
	case authn.User, authn.TokenSession:
		p.Kind = policy.User
	case authn.RoleSession:
		p.Kind = policy.RoleSession
		p.RoleARN, p.ServiceLinked = c.Form.ARN, c.Form.Role.Service != ""
	case authn.Federated:
		p.Kind = policy.FederatedUser
		p.UniqueID = ""
	}
	return p
}

// Matched names the statements that decided, as policy/statement.
func Matched(d policy.Decision) []string {
	var list []string
	for m := range d.Matched {
		name := m.Sid
		if name == "" {
			name = fmt.Sprint(m.Statement)
		}
		list = append(list, m.Policy+"/"+name)
	}
	return list
}
