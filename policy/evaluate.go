package policy

import (
	"strings"
	"sync"
)

// Named is a policy with the name that reasons give it.
type Named struct {
	Name   string
	Policy *Policy
}

// Restriction is a slot of policies that can only take away: a boundary, a
// session policy, an endpoint policy. The zero value is empty and denies; None
// says that there is none.
type Restriction struct {
	none     bool
	policies []Named
}

// None is the absence of a restriction.
var None = Restriction{none: true}

// Restrict is a restriction to what any of the policies allows.
func Restrict(policies ...Named) Restriction { return Restriction{policies: policies} }

// Levels are SCPs or RCPs from the root to the account: each level must allow.
// The zero value denies; NoLevels says that there are none.
type Levels struct {
	none   bool
	levels [][]Named
}

// NoLevels is the absence of an organization.
var NoLevels = Levels{none: true}

// Hierarchy is a list of levels; one without a policy denies.
func Hierarchy(levels ...[]Named) Levels { return Levels{levels: levels} }

// Policies are all policies that take part in a decision.
type Policies struct {
	Identity         []Named // the principal's own and its groups'
	Resource         []Named // of the resource; a role's trust policy
	Boundary         Restriction
	Session          Restriction
	Endpoint         Restriction
	ServiceControl   Levels // of the principal's account
	ResourceControl  Levels // of the resource's account
	RequiresResource bool   // trust: the resource's policy must allow in any case
}

// Kind is what a decision comes to.
type Kind uint8

// The kinds of decisions; the zero value denies.
const (
	ImplicitDeny Kind = iota
	ExplicitDeny
	Allowed
)

// String gives the kind's name in answers.
func (k Kind) String() string {
	return [...]string{"ImplicitDeny", "ExplicitDeny", "Allowed"}[min(k, 2)]
}

// Source is the type of policy that decided.
type Source uint8

// The sources, in the order in which AWS names them.
const (
	NoPolicy Source = iota
	Identity
	Resource
	Boundary
	Session
	ServiceControl
	ResourceControl
	Endpoint
	Budget // the request cost too much work
)

var sourceNames = [...]string{"none", "identity-based policy", "resource-based policy", "permissions boundary", "session policy",
	"service control policy", "resource control policy", "VPC endpoint policy", "work budget"}

// String gives the source in AWS's words.
func (s Source) String() string { return sourceNames[min(int(s), len(sourceNames)-1)] }

// Match is one statement that matched: its policy and its place in it.
type Match struct {
	Source    Source
	Policy    string
	Statement int // from 0
	Sid       string
	Deny      bool
}

// maxMatches bounds how many deciding statements a decision holds without
// being asked to explain.
const maxMatches = 8

// Decision is the answer. Its zero value is an implicit denial.
type Decision struct {
	Kind    Kind
	By      Source // that denied, or that allowed
	matches [maxMatches]Match
	count   int
}

// Matched returns the statements that decided, at most eight of them.
func (d *Decision) Matched() []Match { return d.matches[:d.count] }

func (d *Decision) add(m Match) {
	if d.count < maxMatches {
		d.matches[d.count] = m
		d.count++
	}
}

// Evaluate decides a request (IAM User Guide, "Policy evaluation logic"). It
// neither fails nor blocks.
func Evaluate(p *Policies, r *Request) Decision {
	e := evaluations.Get().(*evaluation)
	*e = evaluation{request: r, left: budget, buffer: e.buffer[:0]}
	d := e.decide(p)
	e.request = nil
	evaluations.Put(e)
	return d
}

// evaluations are reused, so that a decision allocates nothing.
var evaluations = sync.Pool{New: func() any { return new(evaluation) }}

func (e *evaluation) decide(p *Policies) Decision {
	e.action = fold(e.request.Action)
	e.service, _, _ = strings.Cut(e.action, ":")
	var d Decision
	s := e.survey(p)
	if e.left < 0 {
		return Decision{Kind: ImplicitDeny, By: Budget}
	}
	if s.denied != NoPolicy {
		d.Kind, d.By = ExplicitDeny, s.denied
		for _, m := range s.matched[:s.count] {
			if m.Deny {
				d.add(m)
			}
		}
		return d
	}
	d.Kind, d.By = s.conclude(p, e.request)
	if d.Kind == Allowed {
		for _, m := range s.matched[:s.count] {
			if !m.Deny {
				d.add(m)
			}
		}
	}
	return d
}

// survey is what every policy says.
type survey struct {
	denied   Source
	identity bool
	resource grant // the strongest way in which an Allow names the principal
	boundary bool
	session  bool
	endpoint bool
	scp, rcp bool
	matched  [maxMatches]Match
	count    int
}

func (e *evaluation) survey(p *Policies) survey {
	var s survey
	q := &e.request.Principal
	s.scp = q.ServiceLinked || e.levels(&s, p.ServiceControl, ServiceControl)
	s.rcp = q.ServiceLinked || e.levels(&s, p.ResourceControl, ResourceControl)
	s.endpoint = e.restriction(&s, p.Endpoint, Endpoint)
	s.identity = e.list(&s, p.Identity, Identity) != noGrant
	s.resource = e.list(&s, p.Resource, Resource)
	s.boundary = e.restriction(&s, p.Boundary, Boundary)
	s.session = e.restriction(&s, p.Session, Session)
	if q.Kind == RootUser {
		s.identity = true // root has every right in its account that nothing denies
	}
	return s
}

func (e *evaluation) levels(s *survey, l Levels, source Source) bool {
	if l.none {
		return true
	}
	allowed := len(l.levels) > 0
	for _, level := range l.levels {
		if e.list(s, level, source) == noGrant {
			allowed = false
		}
	}
	return allowed
}

func (e *evaluation) restriction(s *survey, r Restriction, source Source) bool {
	return r.none || e.list(s, r.policies, source) != noGrant
}

// list looks through policies of one type: notes denials, and returns the
// strongest grant of those that allow.
func (e *evaluation) list(s *survey, policies []Named, source Source) grant {
	best := noGrant
	principal := source == Resource
	for i := range policies {
		p := policies[i].Policy
		if p == nil {
			continue
		}
		for _, n := range p.about(e.service) {
			st := &p.statements[n]
			g, covered := e.covers(st, principal)
			if !covered || e.left < 0 {
				continue
			}
			held := e.conditionsHold(st)
			if e.names != nil {
				e.names.note(e, source, policies[i].Name, n, st, held)
			}
			if !held {
				continue
			}
			if s.count < maxMatches {
				s.matched[s.count] = Match{source, policies[i].Name, n, st.sid, st.deny}
				s.count++
			}
			if !st.deny {
				best = max(best, g)
			} else if s.denied == NoPolicy {
				s.denied = source
				s.keepDenial(Match{source, policies[i].Name, n, st.sid, true})
			}
		}
	}
	return best
}

// keepDenial makes sure that the statement that denied is among the matched
// ones.
func (s *survey) keepDenial(m Match) {
	for _, x := range s.matched[:s.count] {
		if x == m {
			return
		}
	}
	s.matched[maxMatches-1] = m
}

// conclude combines what was found when nothing denies. The order is that in
// which AWS names the missing one.
func (s *survey) conclude(p *Policies, r *Request) (Kind, Source) {
	switch {
	case !s.scp:
		return ImplicitDeny, ServiceControl
	case !s.rcp:
		return ImplicitDeny, ResourceControl
	case !s.endpoint:
		return ImplicitDeny, Endpoint
	}
	q := &r.Principal
	if q.Kind == Anonymous || q.Kind == Service || q.Kind == WebIdentity || q.Kind == SAML {
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
// enough. A direct grant to a user or session is not limited by what boundary
// and session policy leave out; one to a role, or to everyone, is.
func (s *survey) grantsAlone() bool {
	switch s.resource {
	case direct:
		return true
	case role, everyone:
		return s.boundary && s.session
	}
	return false
}

// own is what the principal's own policies come to.
func (s *survey) own(byIdentity bool) (Kind, Source) {
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
