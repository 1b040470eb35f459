package policy

import (
	"math/bits"
	"sync"
)

// Named is a policy with the name that reasons give it.
type Named struct {
	Name   string
	Policy *Policy
}

// Restriction is a slot of policies that can only take away: a boundary, a
// session policy, an endpoint policy, SCPs or RCPs. It has levels, and each of
// them must allow. The zero value is empty and denies; None says that there is
// no restriction.
type Restriction struct {
	none   bool
	levels [][]Named
}

// None is the absence of a restriction.
var None = Restriction{none: true}

// Restrict is a restriction to what some policy of every level allows: one
// level of boundaries or session policies, a level each for root,
// organizational units and account. One without a policy denies.
func Restrict(levels ...[]Named) Restriction { return Restriction{levels: levels} }

// Policies are all policies that take part in a decision.
type Policies struct {
	Identity         []Named // the principal's own and its groups'
	Resource         []Named // of the resource; a role's trust policy
	Boundary         Restriction
	Session          Restriction
	Endpoint         Restriction
	ServiceControl   Restriction // levels of the principal's account
	ResourceControl  Restriction // levels of the resource's account
	RequiresResource bool        // trust: the resource's policy must allow in any case
}

// Kind is what a decision comes to.
type Kind uint8

// The kinds of decisions; the zero value denies.
const (
	ImplicitDeny Kind = iota
	ExplicitDeny
	Allowed
)

// String gives the kind's name in answers; what is no kind denies.
func (k Kind) String() string {
	switch k {
	case Allowed:
		return "Allowed"
	case ExplicitDeny:
		return "ExplicitDeny"
	}
	return "ImplicitDeny"
}

// Type is a type of policy: what a document is to be used as, and which one
// decided.
type Type uint8

// The types of policies. The zero value is none: nothing is valid as it, and a
// decision that it made was made before any policy was asked.
const (
	NoPolicy Type = iota
	Identity
	Resource
	Trust
	Boundary
	Session
	ServiceControl
	ResourceControl
	Endpoint
	workBudget // the request cost too much work
)

var typeNames = [...]string{"none", "identity-based policy", "resource-based policy", "trust policy", "permissions boundary", "session policy",
	"service control policy", "resource control policy", "VPC endpoint policy", "work budget"}

// String gives the type in AWS's words.
func (t Type) String() string { return typeNames[min(int(t), len(typeNames)-1)] }

// Match is one statement that was considered: it names the request in
// principal, action and resource.
type Match struct {
	Type      Type
	Policy    string // the name it was given
	Statement int    // its place in the document, from 0
	Sid       string
	Deny      bool
	// Holds says that its conditions hold. Where they do not, Failed names
	// the first that does not, as operator and key; MissingKey says that the
	// request lacks the key.
	Holds      bool
	Failed     string
	MissingKey bool
}

// maxMatches bounds how many deciding statements a decision holds without
// being asked to explain.
const maxMatches = 8

// Decision is the answer. Its zero value is an implicit denial.
type Decision struct {
	Kind    Kind
	By      Type // that denied, or that allowed
	count   uint8
	matches [maxMatches]matched
}

// matched is a statement that matched, as it is held while nobody asks.
type matched struct {
	policy    *Named
	statement *compiled
	by        Type
}

func (m *matched) match() Match {
	return Match{Type: m.by, Policy: m.policy.Name, Statement: int(m.statement.place), Sid: m.statement.sid, Deny: m.statement.deny, Holds: true}
}

// Matched yields the statements that decided, at most eight of them.
func (d *Decision) Matched(yield func(Match) bool) {
	for i := range d.matches[:d.count] {
		if !yield(d.matches[i].match()) {
			return
		}
	}
}

// Evaluate decides a request (IAM User Guide, "Policy evaluation logic"). It
// neither fails nor blocks.
func Evaluate(p *Policies, r *Request) (d Decision) {
	e := evaluations.Get().(*evaluation)
	e.begin(r)
	e.decide(p, &d)
	e.end()
	return d
}

// evaluations are reused, so that a decision allocates nothing.
var evaluations = sync.Pool{New: func() any { return new(evaluation) }}

func (e *evaluation) decide(p *Policies, d *Decision) {
	s := &e.survey
	s.begin()
	e.look(p)
	switch {
	case e.left < 0:
		d.By = workBudget
		return
	case s.denied != NoPolicy:
		d.Kind, d.By = ExplicitDeny, s.denied
	default:
		d.Kind, d.By = s.conclude(p, e.request)
	}
	if d.Kind == ImplicitDeny {
		return
	}
	for i := range s.matched[:s.count] {
		if m := &s.matched[i]; m.statement.deny == (d.Kind == ExplicitDeny) {
			d.matches[d.count] = *m
			d.count++
		}
	}
}

// survey is what every policy says.
type survey struct {
	denied   Type
	identity bool
	resource grant // the strongest way in which an Allow names the principal
	boundary bool
	session  bool
	endpoint bool
	scp, rcp bool
	count    uint8
	matched  [maxMatches]matched
}

// begin forgets what was found before; matched is counted.
func (s *survey) begin() {
	s.denied, s.resource, s.count = NoPolicy, noGrant, 0
}

func (e *evaluation) look(p *Policies) {
	s, q := &e.survey, &e.request.Principal
	e.bounded = !p.Boundary.none
	s.scp = e.restriction(&p.ServiceControl, ServiceControl) || q.ServiceLinked
	s.rcp = e.restriction(&p.ResourceControl, ResourceControl) || q.ServiceLinked
	s.endpoint = e.restriction(&p.Endpoint, Endpoint)
	s.identity = e.list(p.Identity, Identity) != noGrant || q.Kind == RootUser // who has every right in its account that nothing denies
	s.resource = e.list(p.Resource, Resource)
	s.boundary = e.restriction(&p.Boundary, Boundary)
	s.session = e.restriction(&p.Session, Session)
	if q.Kind == FederatedUser && p.Session.none {
		s.session = false // nothing was passed to it but by resources' policies
	}
}

func (e *evaluation) restriction(r *Restriction, by Type) bool {
	if r.none {
		return true
	}
	if e.request.Principal.ServiceLinked && (by == ServiceControl || by == ResourceControl) {
		return true // neither limits a service-linked role
	}
	allowed := len(r.levels) > 0
	for _, level := range r.levels {
		if e.list(level, by) == noGrant {
			allowed = false
		}
	}
	return allowed
}

// list looks through policies of one type: notes denials, and returns the
// strongest grant of those that allow.
func (e *evaluation) list(policies []Named, by Type) grant {
	if e.phase == selected {
		return e.listSelected()
	}
	best := noGrant
	for i := range policies {
		p := policies[i].Policy
		if p == nil || p.actions.silent(e.serviceHash) {
			continue
		}
		for w, set := range e.statementsFor(p) {
			for ; set != 0; set &= set - 1 {
				best = max(best, e.consider(&policies[i], &p.statements[w*64+bits.TrailingZeros64(set)], by))
				if e.left < 0 {
					return best
				}
			}
		}
	}
	if e.phase == selecting {
		e.ends = append(e.ends, len(e.rules))
	}
	return best
}

// consider looks at a statement that covers the action: how it allows, if it
// does.
func (e *evaluation) consider(p *Named, s *compiled, by Type) grant {
	if e.phase != selecting && !e.resourceMatches(s, by) {
		return noGrant
	}
	g := e.addressed(s, by)
	if g == noGrant {
		return noGrant
	}
	holds := e.conditionsHold(s)
	if e.names != nil {
		e.note(p, s, by, holds)
	}
	if !holds {
		return noGrant
	}
	if e.phase == selecting {
		e.rules = append(e.rules, rule{matched{p, s, by}, g})
		return noGrant
	}
	return e.survey.add(matched{p, s, by}, g)
}

// add keeps a statement that matched, the first that denies always, and
// returns how it allows.
func (s *survey) add(m matched, grants grant) grant {
	if s.count < maxMatches {
		s.matched[s.count] = m
		s.count++
	} else if m.statement.deny && s.denied == NoPolicy {
		s.matched[maxMatches-1] = m
	}
	if !m.statement.deny {
		return grants
	}
	if s.denied == NoPolicy {
		s.denied = m.by
	}
	return noGrant
}

// conclude combines what was found when nothing denies. The order is that in
// which AWS names the missing one.
func (s *survey) conclude(p *Policies, r *Request) (Kind, Type) {
	switch {
	case !s.scp:
		return ImplicitDeny, ServiceControl
	case !s.rcp:
		return ImplicitDeny, ResourceControl
	case !s.endpoint:
		return ImplicitDeny, Endpoint
	}
	q := &r.Principal
	if q.Kind == Anonymous || q.Kind == Service || q.Kind == Federated {
		if s.resource > account {
			return Allowed, Resource
		}
		return ImplicitDeny, Resource
	}
	same := r.ResourceAccount == "" || r.ResourceAccount == q.Account
	if same && s.grantsAlone() {
		return Allowed, Resource
	}
	if (!same || p.RequiresResource) && s.resource == noGrant {
		return ImplicitDeny, Resource
	}
	return s.own(same && !p.RequiresResource)
}

// grantsAlone says whether, within the account, the resource's policy is
// enough. A grant to a user or session, or to everyone, is not limited by what
// boundary and session policy leave out; one to a role is (IAM User Guide,
// "Principal", of role sessions and wildcards).
func (s *survey) grantsAlone() bool {
	switch s.resource {
	case everyone, direct:
		return true
	case role:
		return s.boundary && s.session
	}
	return false
}

// own is what the principal's own policies come to.
func (s *survey) own(byIdentity bool) (Kind, Type) {
	switch {
	case !s.identity:
		return ImplicitDeny, Identity
	case !s.boundary:
		return ImplicitDeny, Boundary
	case !s.session:
		return ImplicitDeny, Session
	case byIdentity:
		return Allowed, Identity
	}
	return Allowed, Resource
}
