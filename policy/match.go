package policy

import (
	"net/netip"
	"slices"
	"strings"
)

// budget is the work that one request may cost, in byte comparisons: a few
// milliseconds. Exceeding it is a denial.
const budget = 8_000_000

// evaluation is one request under way.
type evaluation struct {
	request     *Request
	action      string // folded
	service     string // folded
	hash        uint64 // of action
	left        int
	names       *[]Match // nil unless somebody asked
	folded      []byte
	buffer      []byte
	bounded     bool // the principal has a permissions boundary
	addressText string
	addressRead netip.Addr
	survey      survey
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
	e.request, e.left, e.names = r, budget, nil
	e.addressText = ""
	e.folded = e.folded[:0]
	for i := 0; i < len(r.Action); i++ {
		e.folded = append(e.folded, lower(r.Action[i]))
	}
	e.action = view(e.folded)
	e.hash = hashOf(e.folded)
	e.service, _, _ = strings.Cut(e.action, ":")
}

// covers says whether the statement matches the request but for its
// conditions, and how it names the principal.
func (e *evaluation) covers(s *compiled, by Type) (grant, bool) {
	if !e.actionMatches(s) || !e.resourceMatches(s, by) {
		return noGrant, false
	}
	g := e.addressed(s, by)
	return g, g != noGrant
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

func (e *evaluation) actionMatches(s *compiled) bool {
	return e.actionListed(s) != s.notAction
}

func (e *evaluation) actionListed(s *compiled) bool {
	for i, h := range s.hashes {
		if h == e.hash && s.names[i] == e.action {
			return true
		}
	}
	for i := range s.actions {
		if s.actions[i].matches(e, e.action, asText) {
			return true
		}
	}
	return false
}

// resourceMatches: a resource's policy may leave Resource out, and means its
// resource then. Elsewhere it must not: nothing is allowed then.
func (e *evaluation) resourceMatches(s *compiled, by Type) bool {
	if s.anyRes {
		return s.deny || by == Resource
	}
	resource := e.request.Resource
	for i := range s.resources {
		p := &s.resources[i]
		if p.shape == prefix { // most are: without a call
			e.left -= 8
			if len(resource) >= len(p.text) && resource[:len(p.text)] == p.text {
				return !s.notRes
			}
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
			e.left -= 8
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
