package iam

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

const (
	home   = "111122223333"
	abroad = "444455556666"
	mateo  = "arn:aws:iam::" + home + ":user/mateo"
	all    = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
	onlyIT = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["iam:*"],"Resource":["*"]}}`
)

// lab is a state with the user mateo, whose tags and group have policies, and
// a role of a service.
type lab struct {
	t *testing.T
	Env
	c *api.Call
}

func newLab(t *testing.T) *lab {
	t.Helper()
	tx := (&view.View{State: view.Empty(make([]byte, 16))}).Begin()
	l := &lab{t: t, c: &api.Call{Tx: tx, Account: home, Caller: &authn.Caller{Account: home, UserID: "AIDAME"}}}
	l.c.Markers.Seal = func(_ record.Reader, _, bound string, text []byte) ([]byte, error) {
		return append([]byte(bound+"|"), text...), nil
	}
	l.c.Markers.Open = func(_ record.Reader, _, bound string, sealed []byte) ([]byte, error) {
		return []byte(strings.TrimPrefix(string(sealed), bound+"|")), nil
	}
	own := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"storage:Get","Resource":"arn:aws:storage:::${aws:username}/*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"a"}}}}`
	for _, err := range []error{
		record.Put(tx, record.Groups, &record.Group{Account: home, ID: "AGPA1", Name: "g", Path: "/", Inline: []record.Inline{{Name: "list", Document: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"storage:List","Resource":"*"}}`}}}),
		record.Put(tx, record.Users, &record.User{Account: home, ID: "AIDAMATEO", Name: "mateo", Path: "/", Groups: []string{"AGPA1"}, Tags: []record.Tag{{Key: "team", Value: "a"}}, Inline: []record.Inline{{Name: "own", Document: own}}}),
		record.Put(tx, record.Roles, &record.Role{Account: home, ID: "AROASVC", Name: "linked", Path: "/", Service: "storage.amazonaws.com", Inline: []record.Inline{{Name: "all", Document: all}}}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func (l *lab) run(name string, in any) (*simulateOut, error) {
	for _, op := range simulateOps(l.Env) {
		if op.Name == name {
			out, err := op.Run(l.c, in)
			if err != nil {
				return nil, err
			}
			return out.(*simulateOut), nil
		}
	}
	panic(name)
}

func (l *lab) custom(in simulateCustomIn) []evaluationResult {
	l.t.Helper()
	out, err := l.run("SimulateCustomPolicy", &in)
	if err != nil {
		l.t.Fatal(err)
	}
	return out.EvaluationResults
}

func (l *lab) principal(in simulatePrincipalIn) []evaluationResult {
	l.t.Helper()
	out, err := l.run("SimulatePrincipalPolicy", &in)
	if err != nil {
		l.t.Fatal(err)
	}
	return out.EvaluationResults
}

func text(s string) *PolicyText { p := PolicyText(s); return &p }

// TestPositionsAreThoseOfAWSsExamples: the AWS CLI's example of
// simulate-custom-policy, and that of SimulatePrincipalPolicy in the API
// Reference.
func TestPositionsAreThoseOfAWSsExamples(t *testing.T) {
	for _, c := range []struct {
		document   string
		start, end position
	}{
		{`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}`, position{1, 38}, position{1, 167}},
		{"{\n  \"Version\":\"2012-10-17\",\n  \"Statement\":{\n    \"Effect\":\"Allow\",\n    \"Action\":\"dynamodb:*\",\n    \"Resource\":\"*\"\n  }\n}", position{3, 16}, position{7, 4}},
	} {
		got := newLab(t).custom(simulateCustomIn{PolicyInputList: []PolicyText{PolicyText(c.document)}, simulation: simulation{ActionNames: []ActionName{"dynamodb:CreateBackup"},
			ContextEntries: []contextEntry{{"aws:CurrentTime", []string{"2019-04-25T11:00:00Z"}, "date"}}}})
		m := got[0].MatchedStatements
		if got[0].EvalDecision != "allowed" || len(m) != 1 || m[0].SourcePolicyId != "PolicyInputList.1" || *m[0].StartPosition != c.start || *m[0].EndPosition != c.end {
			t.Errorf("%s: %+v %+v %+v", c.document, got[0], m[0].StartPosition, m[0].EndPosition)
		}
		if got[0].EvalDecisionDetails != nil || got[0].ResourceSpecificResults != nil || got[0].EvalResourceName != "*" {
			t.Errorf("without resources there is neither: %+v", got[0])
		}
	}
}

// TestWithinAnAccountTheResourcesPolicyIsEnough is AWS's example of a
// same-account simulation.
func TestWithinAnAccountTheResourcesPolicyIsEnough(t *testing.T) {
	got := newLab(t).custom(simulateCustomIn{PolicyInputList: []PolicyText{onlyIT}, simulation: simulation{ActionNames: []ActionName{"s3:PutObject"}, CallerArn: mateo,
		ResourceArns: []ResourceName{"arn:aws:s3:::production/Test"}, ResourceOwner: "arn:aws:iam::" + home + ":root", PermissionsBoundaryPolicyInputList: []PolicyText{onlyIT},
		ResourcePolicy: text(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + mateo + `"},"Action":["s3:List*","s3:Put*"],"Resource":["arn:aws:s3:::production/*"]}}`)}})[0]
	if got.EvalDecision != "allowed" || got.EvalDecisionDetails == nil || len(*got.EvalDecisionDetails) != 0 || got.PermissionsBoundaryDecisionDetail.AllowedByPermissionsBoundary {
		t.Errorf("%+v", got)
	}
	if len(got.MatchedStatements) != 1 || got.MatchedStatements[0].SourcePolicyId != "ResourcePolicy" || got.MatchedStatements[0].SourcePolicyType != "resource" {
		t.Errorf("%+v", got.MatchedStatements)
	}
	one := got.ResourceSpecificResults
	if len(one) != 1 || one[0].EvalResourceDecision != "allowed" || one[0].EvalResourceName != "arn:aws:s3:::production/Test" || one[0].EvalDecisionDetails != nil || len(one[0].MatchedStatements) != 1 ||
		one[0].PermissionsBoundaryDecisionDetail.AllowedByPermissionsBoundary {
		t.Errorf("%+v", one)
	}
}

// TestAcrossAccountsEveryTypeOfPolicyIsToldOf is AWS's example of a
// cross-account simulation.
func TestAcrossAccountsEveryTypeOfPolicyIsToldOf(t *testing.T) {
	grant := text(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + mateo + `"},"Action":["s3:List*","s3:Put*"],"Resource":["arn:aws:s3:::mary/*"]}}`)
	in := simulatePrincipalIn{PolicySourceArn: mateo, simulation: simulation{ActionNames: []ActionName{"s3:PutObject"}, ResourceArns: []ResourceName{"arn:aws:s3:::mary/Test"},
		ResourceOwner: "arn:aws:iam::" + abroad + ":root", PermissionsBoundaryPolicyInputList: []PolicyText{onlyIT}, ResourcePolicy: grant}}
	got := newLab(t).principal(in)[0]
	want := decisionDetails{"IAM Policy": "implicitDeny", "Resource Policy": "allowed", "Permissions Boundary Policy": "implicitDeny"}
	if got.EvalDecision != "implicitDeny" || !reflect.DeepEqual(*got.EvalDecisionDetails, want) || len(got.MatchedStatements) != 0 || got.PermissionsBoundaryDecisionDetail.AllowedByPermissionsBoundary {
		t.Errorf("%+v %v", got, got.EvalDecisionDetails)
	}
	one := got.ResourceSpecificResults[0]
	if !reflect.DeepEqual(*one.EvalDecisionDetails, want) || len(one.MatchedStatements) != 1 || one.MatchedStatements[0].SourcePolicyId != "ResourcePolicy" {
		t.Errorf("%+v", one)
	}
	in.PolicyInputList, in.PermissionsBoundaryPolicyInputList = []PolicyText{all}, nil
	if got := newLab(t).principal(in)[0]; got.EvalDecision != "allowed" || !reflect.DeepEqual(*got.EvalDecisionDetails, decisionDetails{"IAM Policy": "allowed", "Resource Policy": "allowed"}) {
		t.Errorf("both allow: %+v %v", got, got.EvalDecisionDetails)
	}
	in.ResourcePolicy = nil
	if got := newLab(t).principal(in)[0]; got.EvalDecision != "implicitDeny" {
		t.Errorf("the owner says nothing: %+v", got)
	}
	in.ResourceOwner = "" // then the caller's account owns it
	if got := newLab(t).principal(in)[0]; got.EvalDecision != "allowed" || len(*got.EvalDecisionDetails) != 0 {
		t.Errorf("the caller's own: %+v", got)
	}
	in.ResourceArns = []ResourceName{"arn:aws:queue:eu-west-1:" + abroad + ":q"} // the ARN names its owner
	if got := newLab(t).principal(in)[0]; got.EvalDecision != "implicitDeny" {
		t.Errorf("the ARN's account: %+v", got)
	}
}

func TestAnActionIsOneResultTheStrictestOfAllResources(t *testing.T) {
	some := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"storage:*","Resource":["arn:aws:storage:::a","arn:aws:storage:::c"],"Condition":{"Bool":{"aws:SecureTransport":"true"}}},
		{"Effect":"Deny","Action":"storage:*","Resource":"arn:aws:storage:::c"}]}`
	ask := func(resources ...ResourceName) evaluationResult {
		return newLab(t).custom(simulateCustomIn{PolicyInputList: []PolicyText{PolicyText(some)}, simulation: simulation{ActionNames: []ActionName{"storage:Get"}, ResourceArns: resources,
			ContextEntries: []contextEntry{{"aws:SecureTransport", []string{"true"}, "boolean"}}}})[0]
	}
	for _, c := range []struct {
		resources []ResourceName
		want      string
		each      []string
		matched   int
	}{
		{[]ResourceName{"arn:aws:storage:::a"}, "allowed", []string{"allowed"}, 1},
		{[]ResourceName{"arn:aws:storage:::a", "arn:aws:storage:::b"}, "implicitDeny", []string{"allowed", "implicitDeny"}, 0},
		{[]ResourceName{"arn:aws:storage:::a", "arn:aws:storage:::b", "arn:aws:storage:::c"}, "explicitDeny", []string{"allowed", "implicitDeny", "explicitDeny"}, 1},
		{[]ResourceName{"arn:aws:storage:::a", "arn:aws:storage:::a"}, "allowed", []string{"allowed", "allowed"}, 1},
	} {
		got := ask(c.resources...)
		var each []string
		for _, r := range got.ResourceSpecificResults {
			each = append(each, r.EvalResourceDecision)
		}
		if got.EvalDecision != c.want || !slices.Equal(each, c.each) || len(got.MatchedStatements) != c.matched || (got.EvalResourceName == "*") != (len(c.resources) > 1) {
			t.Errorf("%v: %s %v %d", c.resources, got.EvalDecision, each, len(got.MatchedStatements))
		}
	}
	if c := ask("arn:aws:storage:::c").ResourceSpecificResults[0].MatchedStatements; len(c) != 1 || c[0].StartPosition.Line != 2 {
		t.Errorf("the denial is the only entry: %+v", c)
	}
}

func TestServiceControlPoliciesAreLevelsOfASimulation(t *testing.T) {
	storage := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"storage:*","Resource":"*"}}`
	levels := func(texts ...string) (out []organizationLevel) {
		for _, x := range texts {
			l := organizationLevel{}
			if x != "" {
				l.ServiceControlPolicyInputList = []PolicyText{PolicyText(x)}
			}
			out = append(out, l)
		}
		return out
	}
	for name, c := range map[string]struct {
		in      []organizationLevel
		allowed string // by Organizations
		want    string
	}{
		"none":                     {nil, "", "allowed"},
		"all allow":                {levels(all, storage), "true", "allowed"},
		"one allows another thing": {levels(all, onlyIT), "false", "implicitDeny"},
		"one is empty":             {levels(all, ""), "false", "implicitDeny"},
		"one denies":               {levels(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"storage:Get","Resource":"*"}}`, all), "false", "explicitDeny"},
	} {
		got := newLab(t).custom(simulateCustomIn{PolicyInputList: []PolicyText{all}, OrderedOrganizationPolicyInputList: c.in,
			simulation: simulation{ActionNames: []ActionName{"storage:Get"}, ResourceArns: []ResourceName{"arn:aws:storage:::a"}}})[0]
		said := ""
		if d := got.OrganizationsDecisionDetail; d != nil {
			said = fmt.Sprint(d.AllowedByOrganizations)
		}
		if c.allowed == "false" { // across accounts too, where there would be details
			across := newLab(t).custom(simulateCustomIn{PolicyInputList: []PolicyText{all}, OrderedOrganizationPolicyInputList: c.in,
				simulation: simulation{ActionNames: []ActionName{"storage:Get"}, ResourceArns: []ResourceName{"arn:aws:storage::" + abroad + ":a"}}})[0]
			if across.EvalDecisionDetails != nil {
				t.Errorf("%s: details of a simulation that ended: %v", name, *across.EvalDecisionDetails)
			}
		}
		if said != c.allowed || got.EvalDecision != c.want || (got.EvalDecisionDetails == nil) != (c.allowed == "false") {
			t.Errorf("%s: %q %s %v", name, said, got.EvalDecision, got.EvalDecisionDetails)
		}
	}
}

// TestAPrincipalsOrganizationLimitsItsSimulation: the levels are those that
// decisions know of.
func TestAPrincipalsOrganizationLimitsItsSimulation(t *testing.T) {
	place := &authz.Place{Organization: "o-1", Levels: []authz.Level{{ServiceControl: []record.Inline{{Name: "p", Document: onlyIT}}}}}
	l := newLab(t)
	l.Organization = func(record.Reader, string) *authz.Place { return place }
	for source, want := range map[ARN]string{mateo: "implicitDeny false", "arn:aws:iam::" + home + ":role/linked": "allowed true"} {
		got := l.principal(simulatePrincipalIn{PolicySourceArn: source, simulation: simulation{ActionNames: []ActionName{"storage:List"}}})[0]
		if s := fmt.Sprint(got.EvalDecision, " ", got.OrganizationsDecisionDetail.AllowedByOrganizations); s != want {
			t.Errorf("%s: %s", source, s)
		}
	}
}

func TestAPrincipalsRecordSaysItsKeys(t *testing.T) {
	ask := func(caller ResourceName, entries ...contextEntry) evaluationResult {
		return newLab(t).principal(simulatePrincipalIn{PolicySourceArn: mateo, simulation: simulation{ActionNames: []ActionName{"storage:Get"}, CallerArn: caller,
			ResourceArns: []ResourceName{"arn:aws:storage:::mateo/x"}, ContextEntries: entries}})[0]
	}
	if got := ask(""); got.EvalDecision != "allowed" || got.MatchedStatements[0].SourcePolicyId != "user_mateo_own" || got.MatchedStatements[0].SourcePolicyType != "user" {
		t.Errorf("%+v", got)
	}
	if got := ask(mateo); got.EvalDecision != "allowed" {
		t.Errorf("as itself: %+v", got)
	}
	if got := ask("", contextEntry{"aws:PrincipalTag/Team", []string{"b"}, "string"}); got.EvalDecision != "implicitDeny" {
		t.Errorf("the request's key wins: %+v", got)
	}
	bob := ResourceName("arn:aws:iam::" + home + ":user/bob")
	if got := ask(bob, contextEntry{"aws:username", []string{"mateo"}, "string"}); got.EvalDecision != "implicitDeny" ||
		!slices.Equal(got.MissingContextValues, []string{"aws:PrincipalTag/team"}) || !slices.Equal(got.ResourceSpecificResults[0].MissingContextValues, got.MissingContextValues) {
		t.Errorf("as Bob, of whom nothing is known: %+v", got)
	}
}

func TestResultsComePageByPage(t *testing.T) {
	l := newLab(t)
	most := MaxItems(1)
	in := simulateCustomIn{PolicyInputList: []PolicyText{all}, simulation: simulation{ActionNames: []ActionName{"a:One", "a:Two"}, ResourceArns: []ResourceName{"arn:aws:a:::1", "arn:aws:a:::2"}, page: page{MaxItems: &most}}}
	first, err := l.run("SimulateCustomPolicy", &in)
	if err != nil || len(first.EvaluationResults) != 1 || !first.IsTruncated || len(first.EvaluationResults[0].ResourceSpecificResults) != 2 {
		t.Fatalf("%v %+v", err, first)
	}
	in.Marker = Marker(first.Marker)
	second, err := l.run("SimulateCustomPolicy", &in)
	if err != nil || len(second.EvaluationResults) != 1 || second.IsTruncated || second.EvaluationResults[0].EvalActionName != "a:Two" {
		t.Fatalf("%v %+v", err, second)
	}
}

func TestWhatASimulationCannotBeAskedIsRefused(t *testing.T) {
	entry := func(kind ContextKeyType, values ...string) func(*simulateCustomIn) {
		return func(in *simulateCustomIn) {
			in.ContextEntries = []contextEntry{{ContextKeyName: "a:Key", ContextKeyType: kind, ContextKeyValues: values}}
		}
	}
	ec2 := []ResourceName{"arn:aws:ec2:eu-west-1:" + home + ":instance/i-1", "arn:aws:ec2:eu-west-1::image/ami-1", "arn:aws:ec2:eu-west-1:" + home + ":security-group/sg-1",
		"arn:aws:ec2:eu-west-1:" + home + ":network-interface/eni-1", "arn:aws:ec2:eu-west-1:" + home + ":volume/vol-1"}
	scenario := func(name ResourceHandling, resources []ResourceName) func(*simulateCustomIn) {
		return func(in *simulateCustomIn) { in.ResourceHandlingOption, in.ResourceArns = name, resources }
	}
	caller := func(arn ResourceName) func(*simulateCustomIn) {
		return func(in *simulateCustomIn) { in.CallerArn = arn }
	}
	for name, c := range map[string]struct {
		change func(*simulateCustomIn)
		words  string // "": it is answered
	}{
		"a pattern of actions":      {func(in *simulateCustomIn) { in.ActionNames = []ActionName{"a:*"} }, "Invalid action a:*"},
		"an action without service": {func(in *simulateCustomIn) { in.ActionNames = []ActionName{"noColon"} }, "Invalid action noColon"},
		"two boundaries":            {func(in *simulateCustomIn) { in.PermissionsBoundaryPolicyInputList = []PolicyText{all, all} }, "only one"},
		"a boundary that is none":   {func(in *simulateCustomIn) { in.PermissionsBoundaryPolicyInputList = []PolicyText{"{"} }, "PermissionsBoundaryPolicyInputList.1: "},
		"an SCP that is none": {func(in *simulateCustomIn) {
			in.OrderedOrganizationPolicyInputList = []organizationLevel{{[]PolicyText{all, "{"}}}
		}, "OrderedOrganizationPolicyInputList.1.ServiceControlPolicyInputList.2: "},
		"a resource policy, no caller": {func(in *simulateCustomIn) { in.ResourcePolicy = text(all) }, "CallerArn"},
		"a session as caller":          {caller("arn:aws:sts::" + home + ":assumed-role/r/s"), "CallerArn"},
		"a federated caller":           {caller("arn:aws:sts::" + home + ":federated-user/b"), "CallerArn"},
		"a service as caller":          {caller("storage.amazonaws.com"), "CallerArn"},
		"root as caller":               {caller("arn:aws:iam::" + home + ":root"), "CallerArn"},
		"a policy as caller":           {caller("arn:aws:iam::" + home + ":policy/p"), "CallerArn"},
		"a user":                       {caller(mateo), ""},
		"a group":                      {caller("arn:aws:iam::" + home + ":group/g"), ""},
		"a role":                       {caller("arn:aws:iam::" + home + ":role/r"), ""},
		"no scenario":                  {scenario("EC2-Classic-EBS", ec2), "no scenario"},
		"a scenario":                   {scenario("EC2-VPC-EBS", ec2), ""},
		"without its subnet":           {scenario("EC2-VPC-EBS-Subnet", ec2), "subnet"},
		"without its volume":           {scenario("EC2-VPC-EBS", ec2[:4]), "volume"},
		"without resources":            {scenario("EC2-VPC-InstanceStore", nil), "instance"},
		"two strings":                  {entry("string", "a", "b"), "more than one value"},
		"strings":                      {entry("stringList", "a", "b"), ""},
		"a number":                     {entry("numeric", "1.5"), ""},
		"no number":                    {entry("numeric", "one"), "numeric"},
		"a flag":                       {entry("boolean", "True"), ""},
		"no flag":                      {entry("boolean", "yes"), "boolean"},
		"addresses":                    {entry("ipList", "10.0.0.1", "2001:db8::/32"), ""},
		"no address":                   {entry("ipList", "10.0.0.1", "10.0.0"), "ip"},
		"dates":                        {entry("dateList", "2026-11-24T12:00:00Z", "2026-11-24", "1795521600"), ""},
		"no date":                      {entry("date", "yesterday"), "date"},
		"bytes":                        {entry("binary", "aGk="), ""},
		"no bytes":                     {entry("binary", "?"), "binary"},
	} {
		in := simulateCustomIn{PolicyInputList: []PolicyText{all}, simulation: simulation{ActionNames: []ActionName{"a:Do"}}}
		c.change(&in)
		_, err := newLab(t).run("SimulateCustomPolicy", &in)
		if (err == nil) != (c.words == "") || err != nil && (!strings.Contains(err.Error(), c.words) || !strings.Contains(fmt.Sprintf("%+v", err), "Inv")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUntaggingSaysTheKeysOfTheTags(t *testing.T) {
	l := newLab(t)
	for _, op := range tagOps() {
		if op.Name != "UntagUser" {
			continue
		}
		list, err := op.Access(l.c, &untagUserIn{userIn{"mateo"}, untagIn{TagKeys{"team", "desk"}}})
		if err != nil || len(list) != 1 || !slices.Equal(list[0].Context["aws:TagKeys"], []string{"team", "desk"}) || list[0].Context["aws:ResourceTag/team"][0] != "a" {
			t.Errorf("%v %+v", err, list)
		}
	}
}
