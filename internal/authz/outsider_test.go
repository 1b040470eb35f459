package authz

import (
	"testing"

	"github.com/holdfast-iam/holdfast/policy"
)

const (
	oidcProvider = "arn:aws:iam::" + home + ":oidc-provider/id.example.com"
	samlProvider = "arn:aws:iam::" + home + ":saml-provider/corp"
	trusted      = `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"Federated":"` + oidcProvider + `"},"Action":["sts:AssumeRoleWithWebIdentity","sts:TagSession"],
		 "Condition":{"StringEquals":{"id.example.com:aud":"holdfast","aws:FederatedProvider":"` + oidcProvider + `"}}},
		{"Effect":"Allow","Principal":{"Federated":"` + samlProvider + `"},"Action":["sts:AssumeRoleWithSAML","sts:SetSourceIdentity"],
		 "Condition":{"StringEquals":{"saml:aud":"https://signin.aws.amazon.com/saml"},"Null":{"aws:FederatedProvider":"true"}}},
		{"Effect":"Allow","Principal":{"Service":"queue.example.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:SourceAccount":"` + abroad + `"}}},
		{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + home + `:root"},"Action":"sts:AssumeRole"}]}`
)

// TestATrustPolicyNamesProvidersAndServicesEachWithItsAction asks a role's
// trust policy about those who have no credential of an account.
func TestATrustPolicyNamesProvidersAndServicesEachWithItsAction(t *testing.T) {
	oidc := &Outsider{Kind: policy.Federated, Names: []string{oidcProvider}}
	saml := &Outsider{Kind: policy.Federated, Names: []string{samlProvider}}
	queue := &Outsider{Kind: policy.Service, Names: []string{"queue.example.com", "queue.eu-west-1.example.com"}, Source: "arn:aws:queue::" + abroad + ":q"}
	claims, assertion := map[string][]string{"id.example.com:aud": {"holdfast"}}, map[string][]string{"saml:aud": {"https://signin.aws.amazon.com/saml"}}
	for _, c := range []struct {
		name    string
		who     *Outsider
		action  string
		context map[string][]string
		want    bool
	}{
		{"OIDC", oidc, "sts:AssumeRoleWithWebIdentity", claims, true},
		{"OIDC with tags", oidc, "sts:TagSession", claims, true},
		{"OIDC with a source identity", oidc, "sts:SetSourceIdentity", claims, false},
		{"OIDC for another audience", oidc, "sts:AssumeRoleWithWebIdentity", map[string][]string{"id.example.com:aud": {"other"}}, false},
		{"OIDC by SAML's action", oidc, "sts:AssumeRoleWithSAML", claims, false},
		{"OIDC by the users' action", oidc, "sts:AssumeRole", claims, false},
		{"SAML", saml, "sts:AssumeRoleWithSAML", assertion, true},
		{"SAML with a source identity", saml, "sts:SetSourceIdentity", assertion, true},
		{"SAML with tags", saml, "sts:TagSession", assertion, false},
		{"SAML without audience", saml, "sts:AssumeRoleWithSAML", nil, false},
		{"another provider", &Outsider{Kind: policy.Federated, Names: []string{samlProvider + "2"}}, "sts:AssumeRoleWithSAML", assertion, false},
		{"a service", queue, "sts:AssumeRole", nil, true},
		{"a service for nobody", &Outsider{Kind: policy.Service, Names: queue.Names}, "sts:AssumeRole", nil, false},
		{"a service for another account", &Outsider{Kind: policy.Service, Names: queue.Names, Source: "arn:aws:queue::" + home + ":q"}, "sts:AssumeRole", nil, false},
		{"another service", &Outsider{Kind: policy.Service, Names: []string{"other.example.com"}, Source: queue.Source}, "sts:AssumeRole", nil, false},
		{"nobody in particular", &Outsider{}, "sts:AssumeRole", nil, false},
		{"who says that it is a user", &Outsider{Kind: policy.User}, "sts:AssumeRole", nil, false},
		{"who says that it is root", &Outsider{Kind: policy.RootUser}, "sts:AssumeRole", nil, false},
	} {
		q := &Question{Outsider: c.who, Action: c.action, Resource: "arn:aws:iam::" + home + ":role/r", Account: home, Trust: trusted, Context: c.context, Now: noon}
		z := new(Authorizer)
		if d := z.Decide(state(), q); (d.Kind == policy.Allowed) != c.want {
			t.Errorf("%s: %s", c.name, d.Kind)
		}
		z.Organization = places{home: member(level(allowIt, `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"sts:*","Resource":"*"}}`))}.find
		if d := z.Decide(state(), q); d.Kind == policy.Allowed {
			t.Errorf("%s is allowed what the role's organization denies", c.name)
		}
	}
}

// TestAnOutsiderIsNoPrincipalOfAnAccount: root has every right in its account.
func TestAnOutsiderIsNoPrincipalOfAnAccount(t *testing.T) {
	for kind := policy.Anonymous; kind <= policy.Federated+1; kind++ {
		if d := new(Authorizer).Decide(state(), &Question{Outsider: &Outsider{Kind: kind}, Action: "storage:Drop", Resource: "*", Now: noon}); d.Kind != policy.ImplicitDeny {
			t.Errorf("kind %d: %s", kind, d.Kind)
		}
	}
}

func TestAnOutsiderHasTheKeysOfWhatItIs(t *testing.T) {
	in := places{abroad: {Organization: "o-abroad", Path: "o-abroad/r-2/"}}
	always := map[string]string{"aws:CurrentTime": "2026-11-24T12:00:00Z", "aws:EpochTime": "1795521600", "aws:ViaAWSService": "false", "aws:ResourceAccount": home}
	for _, c := range []struct {
		who  Outsider
		want map[string]string
	}{
		{Outsider{Kind: policy.Anonymous}, map[string]string{"aws:PrincipalType": "Anonymous", "aws:PrincipalAccount": "anonymous", "aws:userid": "anonymous"}},
		{Outsider{Kind: policy.Federated, Names: []string{oidcProvider}}, map[string]string{"aws:FederatedProvider": oidcProvider}},
		{Outsider{Kind: policy.Federated, Names: []string{samlProvider}}, map[string]string{}},
		{Outsider{Kind: policy.Service, Names: []string{"queue.example.com"}}, map[string]string{"aws:PrincipalIsAWSService": "true",
			"aws:PrincipalServiceName": "queue.example.com", "aws:PrincipalServiceNamesList": "queue.example.com"}},
		{Outsider{Kind: policy.Service, Names: []string{"queue.example.com"}, Source: "arn:aws:queue::" + abroad + ":q"}, map[string]string{"aws:PrincipalIsAWSService": "true",
			"aws:PrincipalServiceName": "queue.example.com", "aws:PrincipalServiceNamesList": "queue.example.com", "aws:SourceArn": "arn:aws:queue::" + abroad + ":q",
			"aws:SourceAccount": abroad, "aws:SourceOrgID": "o-abroad", "aws:SourceOrgPaths": "o-abroad/r-2/"}},
	} {
		q := &Question{Outsider: &c.who, Action: "storage:Get", Resource: "*", Account: home, Now: noon, FromDoor: true}
		value := shown(t, &Authorizer{Organization: in.find}, q)
		for k, v := range always {
			c.want[k] = v
		}
		for _, g := range globalTable {
			if got := value(g.name); got != c.want[g.name] {
				t.Errorf("%v: %s is %q, want %q", c.who, g.name, got, c.want[g.name])
			}
		}
	}
}
