package sts

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

const (
	home   = "111122223333"
	abroad = "444455556666"
	alice  = "arn:aws:iam::" + home + ":user/alice"
)

// assuming is one AssumeRole: who asks, whom, and what both sides' policies say.
type assuming struct {
	identity string // actions that the caller's own policy allows, with commas; "" for none
	trust    string // the trust policy's statement
	account  string // the role's; empty: the caller's
	in       assumeRoleIn
	session  *authn.Session // of a caller that is itself a role
}

func policyOf(statement string) string {
	return `{"Version":"2012-10-17","Statement":[` + statement + `]}`
}

// refused returns the action that the caller may not do, "" if it may assume
// the role, and the words.
func (a *assuming) refused(t *testing.T) (action, words string) {
	t.Helper()
	if a.account == "" {
		a.account = home
	}
	own := policyOf(`{"Effect":"Allow","Action":["` + strings.ReplaceAll(a.identity, ",", `","`) + `"],"Resource":"*"}`)
	if a.identity == "" {
		own = policyOf(`{"Effect":"Allow","Action":"iam:GetUser","Resource":"*"}`)
	}
	tx := (&view.View{State: view.Empty(make([]byte, 16))}).Begin()
	if err := record.Put(tx, record.Roles, &record.Role{Account: a.account, ID: "AROAREADER", Name: "reader", Path: "/x/", Trust: policyOf(a.trust), Tags: []record.Tag{{Key: "tier", Value: "1"}}}); err != nil {
		t.Fatal(err)
	}
	inline := []record.Inline{{Name: "own", Document: own}}
	caller := &authn.Caller{Kind: authn.User, Account: home, ID: "AIDAALICE", UserID: "AIDAALICE", ARN: alice,
		Form: &authn.Form{ARN: alice, User: &record.User{Account: home, ID: "AIDAALICE", Name: "alice", Path: "/", Inline: inline}}}
	if a.session != nil {
		role := "arn:aws:iam::" + home + ":role/first"
		caller = &authn.Caller{Kind: authn.RoleSession, Account: home, ID: "AROAFIRST", UserID: "AROAFIRST:s", ARN: "arn:aws:sts::" + home + ":assumed-role/first/s", Session: a.session,
			Form: &authn.Form{ARN: role, Role: &record.Role{Account: home, ID: "AROAFIRST", Name: "first", Path: "/", Inline: inline}}}
	}
	c := &api.Call{Tx: tx, Account: home, Caller: caller}
	a.in.RoleArn, a.in.RoleSessionName = ARN("arn:aws:iam::"+a.account+":role/x/reader"), "demo"
	list, err := (&room{}).assumeRoleAccess(c, &a.in)
	if err != nil {
		t.Fatal(err)
	}
	z := new(authz.Authorizer)
	for _, x := range list {
		q := &authz.Question{Caller: caller, Action: x.Action, Resource: x.Resource, Account: x.Account, Context: x.Context, Trust: x.Trust, Now: time.Unix(1795521600, 0)}
		if err := z.Check(tx, q); err != nil {
			return x.Action, err.Error()
		}
	}
	return "", ""
}

func pointer[T any](v T) *T { return &v }

// TestARoleIsAssumedWithEveryPermissionThatTheRequestNeeds (IAM User Guide,
// "Pass session tags in AWS STS", "Monitor and control actions taken with
// assumed roles"): tags need sts:TagSession, a source identity needs
// sts:SetSourceIdentity, of the caller's policies and of the trust policy.
func TestARoleIsAssumedWithEveryPermissionThatTheRequestNeeds(t *testing.T) {
	const (
		account  = `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + home + `:root"},"Action":["sts:AssumeRole"]}`
		withTags = `{"Effect":"Allow","Principal":{"AWS":"` + home + `"},"Action":["sts:AssumeRole","sts:TagSession"]}`
		withID   = `{"Effect":"Allow","Principal":{"AWS":"` + home + `"},"Action":["sts:AssumeRole","sts:SetSourceIdentity"]}`
		both     = `{"Effect":"Allow","Principal":{"AWS":"` + home + `"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}`
		assume   = "sts:AssumeRole"
		tag      = "sts:TagSession"
		set      = "sts:SetSourceIdentity"
	)
	tags, identity := assumeRoleIn{Tags: Tags{{"team", "a"}}}, assumeRoleIn{SourceIdentity: pointer(RoleSessionName("saanvi"))}
	transitive := &authn.Session{Name: "s", Tags: []record.Tag{{Key: "team", Value: "a"}}, Transitive: []string{"team"}}
	named := &authn.Session{Name: "s", SourceIdentity: "saanvi"}
	for name, c := range map[string]struct {
		a    assuming
		want string
	}{
		"both sides allow":                            {assuming{identity: assume, trust: account}, ""},
		"the caller's policy does not":                {assuming{trust: account}, assume},
		"the trust policy does not":                   {assuming{identity: assume, trust: `{"Effect":"Allow","Principal":{"AWS":"` + abroad + `"},"Action":"sts:AssumeRole"}`}, assume},
		"it allows another action":                    {assuming{identity: assume, trust: `{"Effect":"Allow","Principal":{"AWS":"` + home + `"},"Action":"sts:AssumeRoleWithSAML"}`}, assume},
		"it names the user":                           {assuming{trust: `{"Effect":"Allow","Principal":{"AWS":"` + alice + `"},"Action":"sts:AssumeRole"}`}, ""},
		"it names the user of another account":        {assuming{account: abroad, trust: `{"Effect":"Allow","Principal":{"AWS":"` + alice + `"},"Action":"sts:AssumeRole"}`}, assume},
		"another account's role, both sides":          {assuming{account: abroad, identity: assume, trust: `{"Effect":"Allow","Principal":{"AWS":"` + alice + `"},"Action":"sts:AssumeRole"}`}, ""},
		"it denies":                                   {assuming{identity: assume, trust: account + `,{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}`}, assume},
		"tags, both sides":                            {assuming{identity: assume + "," + tag, trust: withTags, in: tags}, ""},
		"tags, not in the trust policy":               {assuming{identity: assume + "," + tag, trust: account, in: tags}, tag},
		"tags, not in the caller's policy":            {assuming{identity: assume, trust: withTags, in: tags}, tag},
		"tags of another value than the trust allows": {assuming{identity: assume + "," + tag, trust: account + `,{"Effect":"Allow","Principal":{"AWS":"` + home + `"},"Action":"sts:TagSession","Condition":{"StringEquals":{"aws:RequestTag/team":"b"}}}`, in: tags}, tag},
		"tags that the trust allows":                  {assuming{identity: assume + "," + tag, trust: account + `,{"Effect":"Allow","Principal":{"AWS":"` + home + `"},"Action":"sts:TagSession","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}}`, in: tags}, ""},
		"a transitive key that the trust denies":      {assuming{identity: assume + "," + tag, trust: withTags + `,{"Effect":"Deny","Principal":"*","Action":"sts:TagSession","Condition":{"ForAnyValue:StringEquals":{"sts:TransitiveTagKeys":"team"}}}`, in: assumeRoleIn{Tags: tags.Tags, TransitiveTagKeys: TagKeys{"team"}}}, tag},
		"a source identity, both sides":               {assuming{identity: assume + "," + set, trust: withID, in: identity}, ""},
		"one not in the trust policy":                 {assuming{identity: assume + "," + set, trust: withTags, in: identity}, set},
		"one not in the caller's policy":              {assuming{identity: assume + "," + tag, trust: withID, in: identity}, set},
		"one that the trust does not know":            {assuming{identity: assume + "," + set, trust: account + `,{"Effect":"Allow","Principal":{"AWS":"` + home + `"},"Action":"sts:SetSourceIdentity","Condition":{"StringLike":{"sts:SourceIdentity":"diego"}}}`, in: identity}, set},
		"chained tags need the permission again":      {assuming{identity: assume, trust: both, session: transitive}, tag},
		"and of the second role too":                  {assuming{identity: assume + "," + tag, trust: account, session: transitive}, tag},
		"chained tags, both":                          {assuming{identity: assume + "," + tag, trust: withTags, session: transitive}, ""},
		"a chained source identity needs it again":    {assuming{identity: assume, trust: both, session: named}, set},
		"and of the second role":                      {assuming{identity: assume + "," + set, trust: account, session: named}, set},
		"a chained source identity, both":             {assuming{identity: assume + "," + set, trust: withID, session: named}, ""},
		"the trust sees the session's identity":       {assuming{identity: assume + "," + set, trust: `{"Effect":"Allow","Principal":{"AWS":"` + home + `"},"Action":["sts:AssumeRole","sts:SetSourceIdentity"],"Condition":{"StringEquals":{"aws:SourceIdentity":"saanvi"}}}`, session: named}, ""},
		"a third party's secret":                      {assuming{identity: assume, trust: `{"Effect":"Allow","Principal":{"AWS":"` + home + `"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"s3cret"}}}`, in: assumeRoleIn{ExternalId: pointer(ExternalID("s3cret"))}}, ""},
		"another secret":                              {assuming{identity: assume, trust: `{"Effect":"Allow","Principal":{"AWS":"` + home + `"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"s3cret"}}}`, in: assumeRoleIn{ExternalId: pointer(ExternalID("guess"))}}, assume},
		"a session's name that must be the user's":    {assuming{identity: assume, trust: `{"Effect":"Allow","Principal":{"AWS":"` + home + `"},"Action":"sts:AssumeRole","Condition":{"StringLike":{"sts:RoleSessionName":"${aws:username}"}}}`}, assume},
		"the role's tags":                             {assuming{identity: assume, trust: `{"Effect":"Allow","Principal":{"AWS":"` + home + `"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"iam:ResourceTag/tier":"1","aws:ResourceTag/tier":"1"}}}`}, ""},
		"a session without MFA":                       {assuming{identity: assume, trust: `{"Effect":"Allow","Principal":{"AWS":"` + home + `"},"Action":"sts:AssumeRole","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}`, session: &authn.Session{Name: "s"}}, assume},
		"a service is trusted, not the user":          {assuming{identity: assume, trust: `{"Effect":"Allow","Principal":{"Service":"storage.amazonaws.com"},"Action":"sts:AssumeRole"}`}, assume},
		"a provider is trusted, not the user":         {assuming{identity: assume, trust: `{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::` + home + `:saml-provider/corp"},"Action":"sts:AssumeRole"}`}, assume},
	} {
		if got, words := c.a.refused(t); got != c.want {
			t.Errorf("%s: %q is refused: %s", name, got, words)
		}
	}
}

func TestARefusalByTrustIsWordedAsAWSDoes(t *testing.T) {
	denied := assuming{identity: "sts:AssumeRole", trust: `{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}`}
	untrusted := assuming{identity: "sts:AssumeRole", trust: `{"Effect":"Allow","Principal":{"AWS":"` + abroad + `"},"Action":"sts:AssumeRole"}`}
	elsewhere := assuming{account: abroad, identity: "sts:AssumeRole", trust: denied.trust}
	var got []string
	for _, a := range []*assuming{&denied, &untrusted, &elsewhere} {
		_, words := a.refused(t)
		_, tail, _ := strings.Cut(words, ":role/x/reader")
		got = append(got, tail)
	}
	if want := []string{" with an explicit deny in the role trust policy", " because no role trust policy allows the sts:AssumeRole action", ""}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
