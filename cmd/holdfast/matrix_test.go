package main

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/api"
)

// refusals are the codes that say: you may not.
var refusals = []string{"AccessDenied", "MissingAuthenticationToken", "InvalidClientTokenId", "SignatureDoesNotMatch"}

// cast is one kind of caller in the matrix.
type cast struct {
	name string
	credential
	// may says whether the operation is open to it; an operation that is must
	// not answer with a refusal, one that is not must.
	may func(op *api.Op) bool
}

// TestWhoMayCallWhat is the authorization matrix, generated from the operation
// table: every kind of caller calls every operation.
func TestWhoMayCallWhat(t *testing.T) {
	d := start(t)
	e, admin := d.endpoint(), d.admin()
	callers := casts(d, e, admin)
	before := stateOf(e, admin)
	for _, c := range callers {
		keyID := admin.id
		if c.name == "another account's administrator" {
			keyID = c.id
		}
		t.Run(c.name, func(t *testing.T) {
			for _, op := range everyOperation() {
				if c.name == "the account's root" && op.Effect == api.Write {
					continue // may do everything, and would: the alias, its own keys
				}
				r, err := e.try(c.credential, op.Service, op.Version, op.Name, wellFormed(op, keyID))
				if err != nil {
					t.Fatal(err)
				}
				refused := slices.Contains(refusals, r.code())
				if c.may(op) == refused {
					t.Errorf("%s: %d %s", op.Name, r.status, r.body)
				}
				if !c.may(op) && r.status < 400 {
					t.Errorf("%s: answered %d", op.Name, r.status)
				}
			}
		})
	}
	if after := stateOf(e, admin); after != before {
		t.Errorf("the matrix changed the account:\n%s\n%s", before, after)
	}
}

func stateOf(e *endpoint, admin credential) string {
	e.t.Helper()
	r := e.made(e.iam(admin, "GetAccountAuthorizationDetails"))
	_, list, _ := strings.Cut(string(r.body), "<GetAccountAuthorizationDetailsResult>")
	list, _, _ = strings.Cut(list, "</GetAccountAuthorizationDetailsResult>")
	return list
}

func casts(d *deploymentUnderTest, e *endpoint, admin credential) []cast {
	only := func(names ...string) func(*api.Op) bool {
		return func(op *api.Op) bool { return slices.Contains(names, op.Name) }
	}
	identity := only("GetCallerIdentity")
	e.newRole(admin, "all", allowAll)
	nothing := e.newUser(admin, "nothing", "")
	federated := e.made(e.sts(admin, "GetFederationToken", "Name", "fed", "Policy", allowAll)).credential()
	return []cast{
		{"nobody", credential{}, only()},
		{"a key that nobody has", credential{id: "AKIAABSENTABSENT0000", secret: admin.secret}, only()},
		{"a wrong secret", credential{id: admin.id, secret: "wrong"}, only()},
		{"a user without a policy", nothing, func(op *api.Op) bool { return op.Open && op.Service == "sts" }},
		{"a user that may only read", e.newUser(admin, "reader", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["iam:Get*","iam:List*","iam:Simulate*"],"Resource":"*"}}`),
			func(op *api.Op) bool {
				return op.Service == "iam" && op.Effect == api.Read || op.Service == "sts" && op.Open
			}},
		{"a user denied what it is allowed", e.newUser(admin, "denied", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"iam:*","Resource":"*"}]}`),
			func(op *api.Op) bool { return op.Service == "sts" && op.Name != "AssumeRole" }},
		{"another account's administrator", e.newUser(d.otherAccount(), "chief", allowAll), func(op *api.Op) bool { return op.Name != "AssumeRole" }},
		{"a role's session", e.made(e.assume(admin, "all", "ses")).credential(),
			func(op *api.Op) bool {
				return op.Name != "GetSessionToken" && op.Name != "GetFederationToken" && op.Name != "AssumeRole"
			}},
		{"a role's session with a session policy", e.made(e.assume(admin, "all", "ses", "Policy", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*"}}`)).credential(),
			only("GetCallerIdentity", "ListUsers")},
		{"a federated user", federated, identity},
		{"a session token without MFA", e.made(e.sts(admin, "GetSessionToken")).credential(), identity},
		{"the account's root", d.root(), func(op *api.Op) bool { return op.Name != "AssumeRole" }},
		{"the session of the account's root", e.made(e.sts(d.root(), "GetSessionToken")).credential(), identity},
	}
}

// otherAccount makes an account of its own and returns its root.
func (d *deploymentUnderTest) otherAccount() credential {
	d.t.Helper()
	out, err := exec.Command(d.bin, "--data", d.data, "account", "create", "--id", "444455556666", "--format", "json").Output()
	if err != nil {
		d.t.Fatalf("%v %s", err, out)
	}
	var v map[string]string
	if err := json.Unmarshal(out, &v); err != nil {
		d.t.Fatal(err)
	}
	return credential{id: v["AWS_ACCESS_KEY_ID"], secret: v["AWS_SECRET_ACCESS_KEY"]}
}
