package policy

import (
	"slices"
	"strings"
	"testing"
)

// grants is the table: for whom, where and as what a resource's policy names the principal, which of the principal's
// own policies must allow besides. The first row that fits counts; none means that nothing allows. It is written from
// "Policy evaluation logic" (requests within a single account, cross-account), "Principal" and "Permissions boundaries"
// of the IAM User Guide, and from neither evaluator.
var grants = []struct{ who, where, named, needs string }{
	// "Direct" grants to a user, a session or everyone are not limited by what other policies leave out.
	{"user session role federated root", "same trust", "direct everyone", ""},
	// A role's are, by boundary and session policy.
	{"session role linked", "same trust", "role", "boundary session"},
	{"linked", "same trust", "direct everyone", ""},
	// Within the account the principal's own policies are enough, and an account that is named delegates to them.
	{"user session role federated root linked", "same", "nothing account", "identity boundary session"},
	// But for roles' trust policies (and KMS keys), which must name somebody.
	{"user session role federated root linked", "trust", "account", "identity boundary session"},
	// Between accounts both sides must allow.
	{"user session role federated root linked", "cross cross-trust", "account role direct everyone", "identity boundary session"},
	// Who belongs to no account has the resource's policy alone.
	{"anonymous", "same trust cross cross-trust", "everyone", ""},
	{"service web saml", "same trust cross cross-trust", "direct everyone", ""},
}

var truthPrincipals = map[string]Principal{
	"user":      {Kind: User, ARN: bob, Account: "111122223333"},
	"session":   {Kind: RoleSession, ARN: "arn:aws:sts::111122223333:assumed-role/r/s", RoleARN: "arn:aws:iam::111122223333:role/r", Account: "111122223333"},
	"role":      {Kind: RoleSession, ARN: "arn:aws:iam::111122223333:role/r", RoleARN: "arn:aws:iam::111122223333:role/r", Account: "111122223333"},
	"linked":    {Kind: RoleSession, ARN: "arn:aws:sts::111122223333:assumed-role/l/s", RoleARN: "arn:aws:iam::111122223333:role/aws-service-role/s.amazonaws.com/l", Account: "111122223333", ServiceLinked: true},
	"federated": {Kind: FederatedUser, ARN: "arn:aws:sts::111122223333:federated-user/f", Account: "111122223333"},
	"root":      {Kind: RootUser, ARN: "arn:aws:iam::111122223333:root", Account: "111122223333"},
	"anonymous": {Kind: Anonymous},
	"service":   {Kind: Service, Names: []string{"s.amazonaws.com"}},
	"web":       {Kind: Federated, Names: []string{"accounts.google.com"}},
	"saml":      {Kind: Federated, Names: []string{"arn:aws:iam::111122223333:saml-provider/p"}},
}

// truthCase is one line of the enumeration. Policies say "none", "allows", "silent" or "denies".
type truthCase struct {
	who, where, named                                         string
	identity, resource, boundary, session, endpoint, scp, rcp string
}

// hasAccount says whether the principal can have policies of its own.
func hasAccount(who string) bool {
	return truthPrincipals[who].Account != ""
}

// expected is what the table says, and which types may be named as the reason.
func (c *truthCase) expected() (Kind, []Type) {
	levels := map[Type]string{Identity: c.identity, Resource: c.resource, Boundary: c.boundary, Session: c.session, Endpoint: c.endpoint, ServiceControl: c.scp, ResourceControl: c.rcp}
	if c.who == "linked" { // SCPs and RCPs do not concern service-linked roles
		levels[ServiceControl], levels[ResourceControl] = "none", "none"
	}
	var blamed []Type
	for by, says := range levels {
		if says == "denies" {
			blamed = append(blamed, by)
		}
	}
	if len(blamed) > 0 { // an explicit denial in any policy is final
		return ExplicitDeny, blamed
	}
	for _, by := range []Type{ServiceControl, ResourceControl, Endpoint} { // each of them must allow
		if levels[by] == "silent" {
			blamed = append(blamed, by)
		}
	}
	if len(blamed) > 0 {
		return ImplicitDeny, blamed
	}
	for _, row := range grants {
		if !in(c.who, row.who) || !in(c.where, row.where) || !in(c.named, row.named) {
			continue
		}
		for _, need := range strings.Fields(row.needs) {
			switch {
			case need == "identity" && c.identity != "allows" && c.who != "root":
				blamed = append(blamed, Identity)
			case need == "boundary" && c.boundary == "silent":
				blamed = append(blamed, Boundary)
			case need == "session" && (c.session == "silent" || c.session == "none" && c.who == "federated"):
				blamed = append(blamed, Session) // a federated user that was passed no policy has nothing
			}
		}
		if len(blamed) == 0 {
			return Allowed, []Type{Identity, Resource}
		}
		return ImplicitDeny, append(blamed, Identity) // a grant to the role is as none where they limit it
	}
	return ImplicitDeny, []Type{Resource}
}

func in(word, words string) bool { return slices.Contains(strings.Fields(words), word) }

// truthPolicies are the policies that say each of these.
type truthPolicies struct {
	identity map[string][]Named
	own      map[string]Restriction // boundary, session policy, SCP
	shared   map[string]Restriction // endpoint policy, RCP: they name principals
}

const allow, deny = `"Effect":"Allow"`, `"Effect":"Deny"`

// each is a policy for each of some statements on everything.
func each(t *testing.T, members ...string) (out []Named) {
	for _, m := range members {
		out = append(out, named(t, m+`,"Action":"*","Resource":"*"`)...)
	}
	return out
}

func makeTruthPolicies(t *testing.T) (w truthPolicies) {
	const everyone = `,"Principal":"*"`
	w.identity = map[string][]Named{"silent": nil, "allows": each(t, allow), "denies": each(t, allow, deny)}
	w.own = map[string]Restriction{"none": None, "silent": Restrict(nil), "allows": Restrict(w.identity["allows"]), "denies": Restrict(w.identity["denies"])}
	w.shared = map[string]Restriction{"none": None, "silent": Restrict(nil), "allows": Restrict(each(t, allow+everyone)), "denies": Restrict(each(t, allow+everyone, deny+everyone))}
	return w
}

// namings are the ways to name a principal.
func namings(q *Principal) map[string]string {
	ways := map[string]string{"everyone": `"*"`, "account": `{"AWS":"111122223333"}`, "nothing": `{"AWS":"999999999999"}`}
	switch q.Kind {
	case Service:
		ways["direct"] = `{"Service":"s.amazonaws.com"}`
	case Federated:
		ways["direct"] = `{"Federated":"` + q.Names[0] + `"}`
	case RoleSession:
		ways["role"] = `{"AWS":"` + q.RoleARN + `"}`
		if q.ARN != q.RoleARN {
			ways["direct"] = `{"AWS":"` + q.ARN + `"}`
		}
	case User, FederatedUser:
		ways["direct"] = `{"AWS":"` + q.ARN + `"}`
	}
	return ways
}

func TestHowAllTypesOfPoliciesCombineForAllPrincipals(t *testing.T) {
	w := makeTruthPolicies(t)
	decisions := 0
	for who, principal := range truthPrincipals {
		for where, owner := range map[string]string{"same": "111122223333", "trust": "", "cross": "222222222222", "cross-trust": "222222222222"} {
			r := &Request{Principal: principal, Action: "storage:GetObject", Resource: thing, ResourceAccount: owner}
			for name, naming := range namings(&principal) {
				c := truthCase{who: who, where: where, named: name, resource: "allows"}
				resource := each(t, allow+`,"Principal":`+naming)
				decisions += w.enumerate(t, &c, resource, r)
				if names := name != "nothing" && (name != "account" || hasAccount(who)); names {
					c.resource = "denies"
					decisions += w.enumerate(t, &c, append(each(t, deny+`,"Principal":`+naming), resource...), r)
				}
			}
		}
	}
	if decisions != 542080 {
		t.Errorf("%d combinations", decisions)
	}
}

// enumerate decides with all combinations of the other types.
func (w *truthPolicies) enumerate(t *testing.T, c *truthCase, resource []Named, r *Request) (decisions int) {
	all := []string{"none", "allows", "silent", "denies"}
	for c.identity = range w.identity {
		for n := range 1 << 10 {
			c.boundary, c.session, c.scp, c.rcp, c.endpoint = all[n&3], all[n>>2&3], all[n>>4&3], all[n>>6&3], all[n>>8&3]
			if !hasAccount(c.who) && (c.identity != "silent" || c.boundary != "none" || c.session != "none" || c.scp != "none") {
				continue // there is nothing that they could be attached to
			}
			p := Policies{Identity: w.identity[c.identity], Resource: resource, Boundary: w.own[c.boundary], Session: w.own[c.session],
				Endpoint: w.shared[c.endpoint], ServiceControl: w.own[c.scp], ResourceControl: w.shared[c.rcp], RequiresResource: strings.HasSuffix(c.where, "trust")}
			want, blamed := c.expected()
			d := Evaluate(&p, r)
			if decisions++; d.Kind != want || !slices.Contains(blamed, d.By) {
				t.Fatalf("%+v: %s by %s, want %s by one of %s", *c, d.Kind, d.By, want, blamed)
			}
		}
	}
	return decisions
}
