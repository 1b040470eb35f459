package authz

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
	"github.com/holdfast-iam/holdfast/policy"
)

const (
	home    = "111122223333"
	abroad  = "444455556666"
	allowIt = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
	denyIt  = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"storage:Drop","Resource":"*"}}`
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func state() *view.View { return &view.View{State: view.Empty(make([]byte, 16))} }

// callers are one of each kind.
func callers() map[string]*authn.Caller {
	tags := []record.Tag{{Key: "team", Value: "photos"}, {Key: "desk", Value: "7"}}
	user := &authn.Form{ARN: "arn:aws:iam::" + home + ":user/x/alice", User: &record.User{Account: home, ID: "AIDAALICE", Name: "alice", Path: "/x/", Tags: tags,
		Inline: []record.Inline{{Name: "all", Document: allowIt}}}}
	role := &authn.Form{ARN: "arn:aws:iam::" + home + ":role/x/reader", Role: &record.Role{Account: home, ID: "AROAREADER", Name: "reader", Path: "/x/", Tags: tags,
		Inline: []record.Inline{{Name: "all", Document: allowIt}}}}
	root := &authn.Form{ARN: "arn:aws:iam::" + home + ":root", Account: &record.Account{ID: home}}
	session := func() *authn.Session { return &authn.Session{Name: "demo", Issued: noon.Add(-time.Hour)} }
	c := map[string]*authn.Caller{
		"user":          {Kind: authn.User, Account: home, ID: "AIDAALICE", UserID: "AIDAALICE", ARN: user.ARN, Form: user},
		"user's token":  {Kind: authn.TokenSession, Account: home, ID: "AIDAALICE", UserID: "AIDAALICE", ARN: user.ARN, Form: user, Session: session()},
		"root":          {Kind: authn.Root, Account: home, ID: home, UserID: home, ARN: root.ARN, Form: root},
		"root's token":  {Kind: authn.RootSession, Account: home, ID: home, UserID: home, ARN: root.ARN, Form: root, Session: session()},
		"role":          {Kind: authn.RoleSession, Account: home, ID: "AROAREADER", UserID: "AROAREADER:demo", ARN: "arn:aws:sts::" + home + ":assumed-role/reader/demo", Form: role, Session: session()},
		"role by OIDC":  {Kind: authn.RoleSession, Account: home, ID: "AROAREADER", UserID: "AROAREADER:demo", ARN: "arn:aws:sts::" + home + ":assumed-role/reader/demo", Form: role, Session: session()},
		"role by SAML":  {Kind: authn.RoleSession, Account: home, ID: "AROAREADER", UserID: "AROAREADER:demo", ARN: "arn:aws:sts::" + home + ":assumed-role/reader/demo", Form: role, Session: session()},
		"federated":     {Kind: authn.Federated, Account: home, ID: "AIDAALICE", UserID: home + ":bob", ARN: "arn:aws:sts::" + home + ":federated-user/bob", Form: user, Session: session()},
		"role, the lot": {Kind: authn.RoleSession, Account: home, ID: "AROAREADER", UserID: "AROAREADER:demo", ARN: "arn:aws:sts::" + home + ":assumed-role/reader/demo", Form: role, Session: session()},
	}
	c["role by OIDC"].Session.Provider = "arn:aws:iam::" + home + ":oidc-provider/id.example.com"
	c["role by SAML"].Session.Provider = "arn:aws:iam::" + home + ":saml-provider/corp"
	c["federated"].Session.Tags = []record.Tag{{Key: "team", Value: "guests"}}
	lot := c["role, the lot"].Session
	lot.MFA, lot.SourceIdentity, lot.Tags = noon.Add(-90*time.Second), "saanvi", []record.Tag{{Key: "Team", Value: "night"}}
	return c
}

// shown is what a condition sees: "" where a key is not in the request.
func shown(t *testing.T, z *Authorizer, q *Question) func(key string) string {
	t.Helper()
	a := new(assembly)
	if !z.assemble(state(), q, a) {
		t.Fatalf("%+v is not asked about", q)
	}
	return func(key string) string {
		if !a.request.Context.Has(key) {
			return ""
		}
		// The value is what a resource with the key as its variable matches.
		doc := fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:x:::${%s}"}}`, key)
		for _, v := range candidates {
			r := a.request
			r.Resource, r.Principal = "arn:aws:x:::"+v, policy.Principal{Kind: policy.User, ARN: "a", Account: home}
			r.ResourceAccount = home
			p := policy.Policies{Identity: []policy.Named{{Policy: z.Compiled(doc)}}, Boundary: policy.None, Session: policy.None, Endpoint: policy.None,
				ServiceControl: policy.None, ResourceControl: policy.None}
			if d := policy.Evaluate(&p, &r); d.Kind == policy.Allowed {
				return v
			}
		}
		return "something"
	}
}

// candidates are the values that these tests know.
var candidates = []string{"true", "false", "User", "AssumedRole", "Account", "FederatedUser", "Anonymous", "anonymous", home, abroad, "alice", "AIDAALICE", "AROAREADER:demo", home + ":bob",
	"arn:aws:iam::" + home + ":user/x/alice", "arn:aws:iam::" + home + ":role/x/reader", "arn:aws:iam::" + home + ":root", "arn:aws:sts::" + home + ":federated-user/bob",
	"photos", "night", "guests", "7", "90", "saanvi", "2026-11-24T12:00:00Z", "2026-11-24T11:00:00Z", "1795521600", "eu-west-1", "us-east-1", "10.1.2.3", "aws-cli",
	"arn:aws:iam::" + home + ":oidc-provider/id.example.com", "queue.example.com", "arn:aws:queue:::" + "q", "arn:aws:queue::" + abroad + ":q", "o-home", "o-abroad", "vpc-1", "o-home/r-1/ou-1/", "o-abroad/r-2/"}

func TestTheTableIsWhatAWSDocuments(t *testing.T) {
	b, err := os.ReadFile("testdata/global-keys.txt")
	if err != nil {
		t.Fatal(err)
	}
	var documented, ours []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			documented = append(documented, line)
		}
	}
	for _, g := range globalTable {
		ours = append(ours, g.name+" "+g.kind+" "+map[bool]string{false: "single", true: "multi"}[g.many])
	}
	if !slices.Equal(documented, ours) {
		t.Errorf("AWS documents\n%s\nthe table has\n%s", strings.Join(documented, "\n"), strings.Join(ours, "\n"))
	}
}

func TestTheDocumentHasEveryKey(t *testing.T) {
	b, err := os.ReadFile("../../docs/condition-keys.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := ""
	for _, g := range globalTable {
		kind := g.kind
		if g.many {
			kind += ", several"
		}
		name := g.name
		if strings.HasSuffix(name, "/") {
			name += "…"
		}
		rows += fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, g.says, kind, g.when)
	}
	if !strings.Contains(string(b), rows) {
		t.Errorf("docs/condition-keys.md should have these rows:\n%s", rows)
	}
}

func TestEachKindOfCallerHasItsKeys(t *testing.T) {
	always := map[string]string{"aws:CurrentTime": "2026-11-24T12:00:00Z", "aws:EpochTime": "1795521600", "aws:ViaAWSService": "false", "aws:ResourceAccount": home,
		"aws:RequestedRegion": "eu-west-1", "aws:SecureTransport": "true", "aws:SourceIp": "10.1.2.3", "aws:UserAgent": "aws-cli", "aws:PrincipalIsAWSService": "false", "aws:PrincipalAccount": home}
	issued := "2026-11-24T11:00:00Z"
	for name, want := range map[string]map[string]string{
		"user": {"aws:PrincipalArn": "arn:aws:iam::" + home + ":user/x/alice", "aws:PrincipalType": "User", "aws:userid": "AIDAALICE", "aws:username": "alice",
			"aws:PrincipalTag/Team": "photos", "aws:PrincipalTag/desk": "7"},
		"user's token": {"aws:PrincipalArn": "arn:aws:iam::" + home + ":user/x/alice", "aws:PrincipalType": "User", "aws:userid": "AIDAALICE", "aws:username": "alice",
			"aws:PrincipalTag/Team": "photos", "aws:PrincipalTag/desk": "7", "aws:TokenIssueTime": issued, "aws:MultiFactorAuthPresent": "false"},
		"root":         {"aws:PrincipalArn": "arn:aws:iam::" + home + ":root", "aws:PrincipalType": "Account", "aws:userid": home},
		"root's token": {"aws:PrincipalArn": "arn:aws:iam::" + home + ":root", "aws:PrincipalType": "Account", "aws:userid": home, "aws:TokenIssueTime": issued, "aws:MultiFactorAuthPresent": "false"},
		"role": {"aws:PrincipalArn": "arn:aws:iam::" + home + ":role/x/reader", "aws:PrincipalType": "AssumedRole", "aws:userid": "AROAREADER:demo",
			"aws:PrincipalTag/Team": "photos", "aws:PrincipalTag/desk": "7", "aws:TokenIssueTime": issued, "aws:MultiFactorAuthPresent": "false"},
		"role by OIDC": {"aws:PrincipalArn": "arn:aws:iam::" + home + ":role/x/reader", "aws:PrincipalType": "AssumedRole", "aws:userid": "AROAREADER:demo",
			"aws:PrincipalTag/Team": "photos", "aws:PrincipalTag/desk": "7", "aws:TokenIssueTime": issued, "aws:FederatedProvider": "arn:aws:iam::" + home + ":oidc-provider/id.example.com"},
		"role by SAML": {"aws:PrincipalArn": "arn:aws:iam::" + home + ":role/x/reader", "aws:PrincipalType": "AssumedRole", "aws:userid": "AROAREADER:demo",
			"aws:PrincipalTag/Team": "photos", "aws:PrincipalTag/desk": "7", "aws:TokenIssueTime": issued},
		"federated": {"aws:PrincipalArn": "arn:aws:sts::" + home + ":federated-user/bob", "aws:PrincipalType": "FederatedUser", "aws:userid": home + ":bob",
			"aws:PrincipalTag/Team": "guests", "aws:TokenIssueTime": issued},
		"role, the lot": {"aws:PrincipalArn": "arn:aws:iam::" + home + ":role/x/reader", "aws:PrincipalType": "AssumedRole", "aws:userid": "AROAREADER:demo",
			"aws:PrincipalTag/Team": "night", "aws:PrincipalTag/desk": "7", "aws:TokenIssueTime": issued, "aws:MultiFactorAuthPresent": "true", "aws:MultiFactorAuthAge": "90", "aws:SourceIdentity": "saanvi"},
	} {
		q := &Question{Caller: callers()[name], Action: "storage:Get", Resource: "*", Source: "10.1.2.3", Secure: true, Agent: "aws-cli", Region: "eu-west-1", Now: noon}
		value := shown(t, new(Authorizer), q)
		for k, v := range always {
			want[k] = v
		}
		for _, g := range globalTable {
			keys := []string{g.name}
			if g.name == "aws:PrincipalTag/" {
				keys = []string{"aws:PrincipalTag/Team", "aws:PrincipalTag/desk"}
			}
			for _, key := range keys {
				if got := value(key); got != want[key] {
					t.Errorf("%s: %s is %q, want %q", name, key, got, want[key])
				}
			}
		}
	}
}

func TestACallToAServiceWithoutRegionsIsMadeInOne(t *testing.T) {
	for action, want := range map[string]string{"iam:GetUser": "us-east-1", "IAM:GetUser": "us-east-1", "organizations:ListRoots": "us-east-1", "sts:AssumeRole": "eu-west-1", "iam": "eu-west-1"} {
		q := &Question{Caller: callers()["user"], Action: action, Resource: "*", Region: "eu-west-1", Now: noon}
		if got := shown(t, new(Authorizer), q)("aws:RequestedRegion"); got != want {
			t.Errorf("%s is called in %q", action, got)
		}
	}
}

// TestNobodySaysWhatIsNotHis gives every key of the table, as a service and as
// an operation of ours: what is not theirs to say stays as it was.
func TestNobodySaysWhatIsNotHis(t *testing.T) {
	z := new(Authorizer)
	for _, g := range globalTable {
		key := strings.ToUpper(g.name)
		if strings.HasSuffix(key, "/") {
			key += "team"
		}
		for _, door := range []bool{true, false} {
			q := &Question{Caller: callers()["user"], Action: "storage:Get", Resource: "*", Region: "eu-west-1", Now: noon, FromDoor: door}
			before := shown(t, z, q)(key)
			q.Context = map[string][]string{key: {"vpc-1"}}
			after := shown(t, z, q)(key)
			mine := g.says == byNetwork && door || g.says == byOperation && !door
			if mine && after != "vpc-1" || !mine && after != before {
				t.Errorf("%s, from a door %v: %q became %q", key, door, before, after)
			}
			if door && !mine && !Reserved(key) || OfNetwork(key) != (g.says == byNetwork) {
				t.Errorf("%s is not refused at a door", key)
			}
		}
	}
	for key, want := range map[string]bool{"storage:Bucket": true, "sts:ExternalId": false, "saml:sub": false, "holdfast:x": false, "iam:ResourceTag/x": false, "aws:Unheard": false} {
		q := &Question{Caller: callers()["user"], Action: "storage:Get", Resource: "*", Now: noon, FromDoor: true, Context: map[string][]string{key: {"vpc-1"}}}
		if got := shown(t, z, q)(key); (got != "") != want {
			t.Errorf("a service says %s: %q", key, got)
		}
		if Reserved(key) == want {
			t.Errorf("Reserved(%s)", key)
		}
	}
}
