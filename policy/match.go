package policy

import "strings"

// budget is the work that one request may cost, in byte comparisons: about
// seven milliseconds. Exceeding it is a denial.
const budget = 20_000_000

// evaluation is one request under way.
type evaluation struct {
	request *Request
	action  string // folded
	service string // folded
	left    int
	buffer  []byte
	names   *Explanation // nil unless somebody asked
}

func (e *evaluation) pay(n int) { e.left -= n }

// grant is how a statement's principal element names the one who asks.
type grant uint8

const (
	noGrant  grant = iota
	account        // the principal's account: its own policies must allow too
	everyone       // "*"
	role           // the role of a session
	direct         // the user, the session, the federated user, the service itself
)

// covers says whether the statement matches the request but for its
// conditions, and how it names the principal.
func (e *evaluation) covers(s *compiled, principal bool) (grant, bool) {
	g := direct
	if principal {
		if g = e.named(s); g == noGrant {
			return g, false
		}
	}
	return g, e.actionMatches(s) && e.resourceMatches(s)
}

func (e *evaluation) actionMatches(s *compiled) bool {
	for i := range s.actions {
		p := &s.actions[i]
		if p.plain && p.text == e.action || !p.plain && e.glob(p.text, e.action) {
			return !s.notAction
		}
	}
	return s.notAction
}

func (e *evaluation) resourceMatches(s *compiled) bool {
	if s.anyRes {
		return true
	}
	for i := range s.resources {
		text, ok := s.resources[i].expand(e)
		if ok && e.resourceIs(text) {
			return !s.notRes
		}
	}
	return s.notRes
}

func (e *evaluation) resourceIs(text string) bool {
	if text == "\x00" || text == e.request.Resource {
		return true
	}
	if strings.HasPrefix(text, "arn:") {
		return e.matchARN(text, e.request.Resource)
	}
	return e.glob(text, e.request.Resource)
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
// asks. A NotPrincipal names everybody that its list does not.
func (e *evaluation) named(s *compiled) grant {
	if s.principal == nil {
		return noGrant
	}
	g := e.listed(s.principal, s.notPrin)
	if !s.notPrin {
		return g
	}
	if g != noGrant {
		return noGrant
	}
	return everyone
}

// listed finds the strongest way in which a list names the principal. In a
// NotPrincipal the account alone does not exempt its users: AWS asks that both
// be listed, and a session's role with them.
func (e *evaluation) listed(p *principals, negated bool) grant {
	if p.everyone {
		return everyone
	}
	best := noGrant
	for _, t := range p.byType {
		for _, v := range t.values {
			g := e.is(t.kind, v)
			if negated && g == account && e.request.Principal.Kind != RootUser {
				continue
			}
			best = max(best, g)
		}
	}
	return best
}

// is compares one value of a principal list.
func (e *evaluation) is(kind, value string) grant {
	q := &e.request.Principal
	switch kind {
	case "AWS":
		return q.isAWS(value)
	case "Service":
		if q.Kind == Service && contains(q.Names, value) {
			return direct
		}
	case "Federated":
		if (q.Kind == WebIdentity || q.Kind == SAML) && contains(q.Names, value) {
			return direct
		}
	case "CanonicalUser":
		if q.UniqueID != "" && value == q.UniqueID {
			return direct
		}
	}
	return noGrant
}

func (q *Principal) isAWS(value string) grant {
	switch {
	case value == "*":
		return everyone
	case q.Kind == Anonymous || q.Kind == Service || q.Kind == WebIdentity || q.Kind == SAML:
		return noGrant
	case value == q.ARN:
		if q.Kind == RootUser {
			return account
		}
		return direct
	case q.UniqueID != "" && value == q.UniqueID:
		if q.Kind == RoleSession {
			return role
		}
		return direct
	case q.RoleARN != "" && value == q.RoleARN:
		return role
	case q.Account != "" && (value == q.Account || isRootOf(value, q.Account)):
		return account
	}
	return noGrant
}

// isRootOf says whether value is arn:PARTITION:iam::ACCOUNT:root.
func isRootOf(value, account string) bool {
	rest, ok := strings.CutSuffix(value, ":iam::"+account+":root")
	return ok && strings.HasPrefix(rest, "arn:") && strings.Count(rest, ":") == 1
}
