package authn

import "github.com/holdfast-iam/holdfast/internal/fault"

// rule is what AWS lets a kind of caller do in one service, before any policy
// is asked (IAM User Guide, "Compare AWS STS credentials").
type rule struct {
	all    bool     // every operation
	only   []string // these
	except []string // all but these
	mfa    bool     // only with MFA
}

// kinds is the table of kinds of callers. What is not in it is refused.
var kinds = map[Kind]map[string]rule{
	Root: {
		"iam": {all: true}, "holdfast": {all: true},
		"sts": {except: []string{"AssumeRole"}},
	},
	User: {"iam": {all: true}, "sts": {all: true}, "holdfast": {all: true}},
	RoleSession: {
		"iam": {all: true}, "holdfast": {all: true},
		"sts": {except: []string{"GetFederationToken", "GetSessionToken"}},
	},
	Federated: {
		"sts": {only: []string{"GetCallerIdentity"}}, "holdfast": {all: true},
	},
	TokenSession: {
		"iam": {mfa: true}, "holdfast": {all: true},
		"sts": {only: []string{"AssumeRole", "GetCallerIdentity"}},
	},
	RootSession: {
		"iam": {mfa: true}, "holdfast": {all: true},
		"sts": {only: []string{"GetCallerIdentity"}},
	},
}

func (r rule) allows(op string, mfa bool) bool {
	if r.mfa {
		return mfa
	}
	if r.all {
		return true
	}
	for _, name := range r.only {
		if name == op {
			return true
		}
	}
	if r.only != nil || r.except == nil {
		return false
	}
	for _, name := range r.except {
		if name == op {
			return false
		}
	}
	return true
}

// Allowed says whether the caller's kind may call an operation at all.
func Allowed(c *Caller, service, op string) error {
	if c != nil {
		if r, ok := kinds[c.Kind][service]; ok && r.allows(op, c.Session != nil && !c.Session.MFA.IsZero()) {
			return nil
		}
	}
	switch {
	case c == nil || c.Kind == Nobody:
		return fault.MissingAuthenticationToken.Errorf("Request is missing Authentication Token")
	case c.Kind == Root && op == "AssumeRole":
		return fault.AccessDenied.Errorf("Roles may not be assumed by root accounts.")
	case service == "sts":
		return fault.AccessDenied.Errorf("Cannot call %s with session credentials", op)
	}
	return fault.InvalidClientTokenId.Errorf("The security token included in the request is invalid")
}
