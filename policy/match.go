package policy

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// budget is the work that one request may cost, in byte comparisons, about a
// nanosecond each: a few milliseconds. Exceeding it is a denial. What else
// takes time is charged as many comparisons as take as long or less: the
// benchmarks have a hostile request for every kind of work.
const budget = 5_000_000

// keyCost is the charge for finding one of the request's keys.
const keyCost = 24

// evaluation is one request under way.
type evaluation struct {
	request     *Request
	action      string // folded
	service     string // of action, with the colon
	hash        uint64 // of action
	serviceHash uint64
	set         []uint64 // statements of the policy under way
	left        int
	names       *[]Match // nil unless somebody asked
	folded      []byte
	buffer      []byte
	bounded     bool // the principal has a permissions boundary
	lastDate    kept[time.Time]
	lastAddress kept[netip.Addr]
	survey      survey
	selection   // for many resources
}

// grant is how a statement's principal element names the one who asks.
type grant uint8

const (
	noGrant  grant = iota
	account        // the principal's account: its own policies must allow too
	role           // the role of a session: boundary and session policy still limit
	everyone       // "*"
	direct         // the user, the session, the federated user, the service itself
)

// begin takes a request.
func (e *evaluation) begin(r *Request) {
	e.request, e.left, e.names, e.phase = r, budget, nil, alone
	if cap(e.folded) < len(r.Action) {
		e.folded = make([]byte, len(r.Action))
	}
	folded := e.folded[:len(r.Action)]
	for i := range folded {
		folded[i] = lower(r.Action[i])
	}
	e.action = view(folded)
	e.service = serviceOf(e.action)
	e.hash, e.serviceHash = hashOf(e.action), hashOf(e.service)
}

// addressed says how a statement of a type of policy speaks of the one who
// asks. Only policies of resources name principals; those of endpoints, and
// RCPs, may narrow down whom they are about. A principal where none may stand,
// or none where one must, allows nothing and denies everybody.
func (e *evaluation) addressed(s *compiled, by Type) grant {
	switch by {
	case Resource:
		if s.principal == nil && s.deny {
			return everyone
		}
		return e.named(s)
	case Endpoint, ResourceControl:
		if s.principal == nil {
			return everyone
		}
		return e.named(s)
	}
	if s.principal != nil && !s.deny {
		return noGrant
	}
	return direct
}

// end forgets the request.
func (e *evaluation) end() {
	e.request = nil
	evaluations.Put(e)
}

// resourceMatches: a resource's policy may leave Resource out, and means its
// resource then. Elsewhere it must not: nothing is allowed then.
func (e *evaluation) resourceMatches(s *compiled, by Type) bool {
	if s.anyRes {
		return s.deny || by == Resource
	}
	resource := e.request.Resource
	text := bytesOf(resource)
	e.left -= 8 * len(s.resources)
	for i := range s.resources {
		p := &s.resources[i]
		// Most do not match, and most of them are told by this alone.
		if n := int(p.head); n > len(text) || n >= markSize && headMark(text[n-markSize:n]) != p.mark {
			continue
		}
		if p.matches(e, resource, asResource) {
			return !s.notRes
		}
	}
	return s.notRes
}

// conditionsHold says whether all conditions hold; one that cannot be
// understood holds for a Deny and not for an Allow.
func (e *evaluation) conditionsHold(s *compiled) bool {
	for i := range s.tests {
		switch s.tests[i].eval(e) {
		case no:
			return false
		case invalid:
			if !s.deny {
				return false
			}
		}
	}
	return true
}

// named says how the statement's Principal or NotPrincipal names the one who
// asks. A NotPrincipal names everybody that its list does not: only to deny,
// and whoever has a permissions boundary in any case (IAM User Guide,
// "NotPrincipal").
func (e *evaluation) named(s *compiled) grant {
	if s.principal == nil {
		return noGrant
	}
	if !s.notPrin {
		return e.listed(s.principal, s.deny, false)
	}
	k := e.request.Principal.Kind
	bounded := e.bounded && (k == User || k == RoleSession || k == FederatedUser)
	if !s.deny || !bounded && e.listed(s.principal, false, true) != noGrant {
		return noGrant
	}
	return everyone
}

// listed finds the strongest way in which a list names the principal. In a
// NotPrincipal the account alone does not exempt its users: AWS asks that both
// be listed, and a session's role with them. wide: in doubt it is named.
func (e *evaluation) listed(p *principals, wide, negated bool) grant {
	if p.everyone {
		return everyone
	}
	best := noGrant
	for _, t := range p.byType {
		for _, v := range t.values {
			e.left -= 16
			g := e.is(t.kind, v, wide)
			if negated && g == account && e.request.Principal.Kind != RootUser {
				continue
			}
			best = max(best, g)
		}
	}
	return best
}

// is compares one value of a principal list.
func (e *evaluation) is(kind, value string, wide bool) grant {
	q := &e.request.Principal
	switch kind {
	case "AWS":
		return q.isAWS(value, wide)
	case "Service":
		if q.Kind == Service && slices.Contains(q.Names, value) {
			return direct
		}
	case "Federated":
		if q.Kind == Federated && slices.Contains(q.Names, value) {
			return direct
		}
	}
	return noGrant // a canonical user id names nobody that we know
}

// isAWS compares a principal of type AWS. AWS calls {"AWS":"*"} equal to "*"
// for anonymous users and is silent about services and identities of providers:
// a Deny names them, an Allow does not.
func (q *Principal) isAWS(value string, wide bool) grant {
	switch {
	case value == "*" && !wide && (q.Kind == Service || q.Kind == Federated):
		return noGrant
	case value == "*":
		return everyone
	case q.Kind == Anonymous || q.Kind == Service || q.Kind == Federated:
		return noGrant
	case q.Account != "" && (value == q.Account || isRootOf(value, q.Account)):
		return account // the root user is the account
	case q.RoleARN != "" && value == q.RoleARN:
		return role
	case q.UniqueID != "" && value == q.UniqueID:
		if q.Kind == RoleSession {
			return role
		}
		return direct
	case q.ARN != "" && value == q.ARN:
		return direct
	}
	return noGrant
}

// isRootOf says whether value is arn:PARTITION:iam::ACCOUNT:root.
func isRootOf(value, account string) bool {
	rest, ok := strings.CutSuffix(value, ":root")
	if !ok {
		return false
	}
	rest, ok = strings.CutSuffix(rest, account)
	if !ok {
		return false
	}
	rest, ok = strings.CutSuffix(rest, ":iam::")
	return ok && strings.HasPrefix(rest, "arn:") && strings.Count(rest, ":") == 1
}
