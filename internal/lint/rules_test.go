package lint

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/lint/catalogue"
	"github.com/holdfast-iam/holdfast/policy"
)

// statements is a policy of the version that has variables.
func statements(list ...string) string {
	return "{\"Version\":\"2012-10-17\",\n\"Statement\":[\n" + strings.Join(list, ",\n") + "]}"
}

func allow(action, resource, rest string) string {
	return fmt.Sprintf(`{"Effect":"Allow","Action":%s,"Resource":%s%s}`, action, resource, rest)
}

// get is a statement that is right, with conditions.
func get(conditions string) string {
	return allow(`"s3:GetObject"`, `"arn:aws:s3:::b/*"`, `,"Condition":{`+conditions+`}`)
}

// cases: for each rule, documents that break it, with the places where they do,
// and documents that are as near as can be and do not.
var cases = []struct {
	rule string
	text string
	at   string // the rule's findings: line, and what begins there; empty: there is none
	o    Options
}{
	{"syntax", "{\"Statement\":[\n{\"Effect\":}]}", `2 }]}`, Options{}},
	{"syntax", `{"Statement":[],"Statement":[]}`, `1 "Statement"`, Options{}},
	{"syntax", `{"Statement":[]} x`, `1 x`, Options{}},
	{"syntax", "Statement:\n- Effect: Allow\n  Effect: Deny\n", `3 Effect: Deny`, Options{}},
	{"syntax", statements(allow(`"s3:*"`, `"*"`, "")), "", Options{}},

	{"grammar", statements(`{"Effect":"Allow","Action":"s3:*"}`), `3 {`, Options{}},
	{"grammar", statements(`{"Effect":"allow","Action":"s3:*","Resource":"*"}`), `3 "allow"`, Options{}},
	{"grammar", statements(`{"Effect":"Allow","Action":["s3:*","s3"],"Resource":"*"}`), `3 "s3"`, Options{}},
	{"grammar", statements(`{"Effect":"Allow","Action":"s3:*","Resource":["*","bucket"]}`), `3 "bucket"`, Options{}},
	{"grammar", statements(`{"Effect":"Allow","Action":"s3:*","Resource":"*","Kondition":{}}`), `3 {`, Options{}},
	{"grammar", statements(`{"Effect":"Allow","Action":[7],"Resource":"*"}`), `3 7],"Resource":"*"}]}`, Options{}},
	{"grammar", statements(get(`"StringIs":{"aws:username":"x"}`)), `3 "x"`, Options{}},
	{"grammar", statements(get(`"Bool":{"aws:SecureTransport":["true","yes"]}`)), `3 "yes"`, Options{}},
	{"grammar", statements(`{"Effect":"Allow","Principal":{"AWS":["123456789012","me*"]},"Action":"s3:GetObject","Resource":"*"}`), `3 "me*"`, Options{}},
	{"grammar", statements(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}`), `3 "*"`, Options{Type: policy.Identity}},
	{"grammar", statements(`{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"*"}`), "", Options{Type: policy.ResourceControl}},
	{"grammar", statements(`{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"s3:GetObject"}`), `3 "s3:GetObject"`, Options{Type: policy.Trust}},
	{"grammar", statements(`{"Effect":"Allow","Action":"sts:AssumeRole"}`), `3 {`, Options{Type: policy.Trust}},
	{"grammar", statements(`{"Sid":"A","Effect":"Allow","Action":"s3:*","Resource":"*"}`, `{"Sid":"A","Effect":"Allow","Action":"sqs:*","Resource":"*"}`), `4 "A"`, Options{}},
	{"grammar", `{"Version":"2012-10-18","Statement":[` + allow(`"s3:*"`, `"*"`, "") + `]}`, `1 "2012-10-18"`, Options{}},
	{"grammar", `{"Version":"2012-10-17"}`, `1 {`, Options{}},
	{"grammar", "Statement: !Ref Given\n", "", Options{}},
	{"grammar", "Resources:\n  R: {Type: 'AWS::IAM::RolePolicy', Properties: {PolicyDocument: {Statement: {Effect: Allow, Principal: '*', Action: 's3:GetObject', Resource: '*'}}}}\n", `2 '*', Action`, Options{}},
	{"grammar", "Statement: [!Ref Given]\n", "", Options{}},
	{"grammar", `{"Version":"2012-10-17","Statement":[]}`, `1 {`, Options{}},
	{"grammar", statements(allow(`"s3:*"`, `"*"`, "")), "", Options{Type: policy.Boundary}},
	{"grammar", statements(`{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"ecr:BatchGetImage"}`), "", Options{}}, // a repository's

	{"unknown-service", statements(allow(`["s3:*","storage:Get*"]`, `"*"`, "")), `3 "storage:Get*"`, Options{}},
	{"unknown-service", statements(allow(`["storage:Get*","holdfast:Authorize"]`, `"*"`, "")), "", Options{Services: []string{"Storage"}}},
	{"unknown-service", statements(allow(`["*","S3:GetObject","s?:*"]`, `"*"`, "")), "", Options{}},
	{"unknown-service", statements(allow(`"zz*:Get*"`, `"*"`, "")), `3 "zz*:Get*"`, Options{}},

	{"unknown-action", statements(allow(`["s3:GetObject","s3:GetObjct"]`, `"*"`, "")), `3 "s3:GetObjct"`, Options{}},
	{"unknown-action", statements(allow(`"s3:Gett*"`, `"*"`, "")), `3 "s3:Gett*"`, Options{}},
	{"unknown-action", statements(`{"Effect":"Deny","NotAction":"iam:GetUsr","Resource":"*"}`), `3 "iam:GetUsr"`, Options{}},
	{"unknown-action", statements(allow(`["s3:getobject","S3:Get*","iam:*","ec2:Describe?nstances"]`, `"*"`, "")), "", Options{}},

	{"unknown-condition-key", statements(get(`"StringEquals":{"aws:PrincipleArn":"x"}`)), `3 "aws:PrincipleArn"`, Options{}},
	{"unknown-condition-key", statements(get(`"StringEquals":{"s3:Nothing":"x"}`)), `3 "s3:Nothing"`, Options{}},
	{"unknown-condition-key", statements(get(`"StringEquals":{"nothing:Key":"x"}`)), `3 "nothing:Key"`, Options{}},
	{"unknown-condition-key", statements(allow(`"s3:GetObject"`, `"arn:aws:s3:::b/${aws:usernam}/*"`, "")), `3 "arn:aws:s3:::b/${aws:usernam}/*"`, Options{}},
	{"unknown-condition-key", statements(get(`"StringEquals":{"AWS:principalarn":"x","aws:ResourceTag/a":"b","s3:ExistingObjectTag/x/y":"z","s3:x-amz-acl":"private"}`)), "", Options{}},
	{"unknown-condition-key", statements(allow(`"secretsmanager:GetSecretValue"`, `"*"`, `,"Condition":{"StringEquals":{"secretsmanager:ResourceTag/owner":"me"}}`)), "", Options{}},
	{"unknown-condition-key", statements(allow(`"s3:GetObject"`, `"arn:aws:s3:::b/${*}${aws:username, 'x'}/*"`, "")), "", Options{}},
	{"unknown-condition-key", statements(`{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/A"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"oidc.eks.us-east-1.amazonaws.com/id/A:sub":"x","saml:aud":"y"}}}`), "", Options{}},

	{"key-not-for-action", statements(get(`"StringEquals":{"s3:prefix":"x"}`)), `3 "s3:prefix"`, Options{}},
	{"key-not-for-action", statements(allow(`["s3:GetObject","s3:ListBucket"]`, `["arn:aws:s3:::b/*","arn:aws:s3:::b"]`, `,"Condition":{"StringEquals":{"s3:prefix":"x"}}`)), "", Options{}},
	{"key-not-for-action", statements(allow(`"ec2:RunInstances"`, `"*"`, `,"Condition":{"StringEquals":{"ec2:InstanceType":"t3.nano","ec2:SourceInstanceARN":"x"}}`)), "", Options{}},

	{"resource-type", statements(allow(`["s3:GetObject","s3:ListAllMyBuckets"]`, `"arn:aws:s3:::b/*"`, "")), `3 "s3:ListAllMyBuckets"`, Options{}},
	{"resource-type", statements(allow(`"s3:GetObject"`, `["arn:aws:s3:::b/*","arn:aws:s3:::b"]`, "")), `3 "arn:aws:s3:::b"`, Options{}},
	{"resource-type", statements(allow(`["s3:GetObject","s3:ListBucket"]`, `["arn:aws:s3:::b/*","arn:aws:s3:::b"]`, "")), "", Options{}},
	{"resource-type", statements(allow(`["s3:GetObject","s3:ListAllMyBuckets"]`, `"*"`, "")), "", Options{}},
	{"resource-type", statements(allow(`["sqs:SendMessage","storage:Get"]`, `["arn:aws:sqs:*:*:q","arn:aws:storage:::b"]`, "")), "", Options{Services: []string{"storage"}}},
	{"resource-type", statements(allow(`"iam:PassRole"`, `"arn:aws:iam::*:role/${aws:PrincipalTag/team}-*"`, "")), "", Options{}},
	{"resource-type", statements(allow(`"codestar-connections:UseConnection"`, `["arn:aws:codestar-connections:*:*:connection/*","arn:aws:codeconnections:*:*:connection/*"]`, "")), "", Options{}},

	{"matches-nothing", statements(allow(`"s3:GetObject"`, `"arn:aws:sqs:us-east-1:123456789012:q"`, "")), `3 {`, Options{}},
	{"matches-nothing", statements(allow(`"s3:ListBucket"`, `"arn:aws:s3:us-east-1::b"`, "")), `3 {`, Options{}},
	{"matches-nothing", statements(`{"Effect":"Deny","NotAction":["s3:*","*"],"Resource":"*"}`), `3 "NotAction"`, Options{}},
	{"matches-nothing", statements(`{"Effect":"Deny","Action":"s3:*","NotResource":"*"}`), `3 "NotResource"`, Options{}},
	{"matches-nothing", statements(allow(`"s3:Get*"`, `"arn:aws:s3:::b"`, ""), allow(`"s3:GetObject"`, `"arn:*:s3:::*"`, "")), "", Options{}},

	{"contradiction", statements(get(`"StringEquals":{"aws:username":"a"},"StringLike":{"aws:username":"b*"}`)), `3 "aws:username":"b*"}`, Options{}},
	{"contradiction", statements(get(`"StringEquals":{"aws:username":["a","b"]},"StringLike":{"aws:username":"b*"}`)), "", Options{}},
	{"contradiction", statements(get(`"StringEquals":{"aws:TagKeys":"a"},"StringLike":{"aws:TagKeys":"b*"}`)), "", Options{}}, // several values
	{"contradiction", statements(get(`"StringEqualsIfExists":{"aws:username":"a"},"StringLikeIfExists":{"aws:username":"b*"}`)), "", Options{}},
	{"contradiction", statements(get(`"StringEqualsIfExists":{"aws:username":"a"},"StringLike":{"aws:username":"b*"}`)), `3 "aws:username":"b*"}`, Options{}},
	{"contradiction", statements(get(`"StringEquals":{"aws:username":"a*"},"StringNotLike":{"aws:username":"a*"}`)), `3 "aws:username":"a*"}`, Options{}},
	{"contradiction", statements(get(`"StringLike":{"aws:username":"a*"},"StringNotEquals":{"aws:username":"a*"}`)), "", Options{}}, // a star, not any text
	{"contradiction", statements(get(`"StringEqualsIgnoreCase":{"aws:username":"a"},"StringNotEquals":{"aws:username":"a"}`)), "", Options{}},
	{"contradiction", statements(get(`"Null":{"aws:username":"true"},"StringEquals":{"aws:username":"a"}`)), `3 "aws:username":"a"}`, Options{}},
	{"contradiction", statements(get(`"Null":{"aws:username":"true"},"StringNotEquals":{"aws:username":"a"}`)), "", Options{}},
	{"contradiction", statements(get(`"Null":{"aws:username":"false"},"StringEquals":{"aws:username":"a"}`)), "", Options{}},
	{"contradiction", statements(get(`"NumericLessThan":{"aws:MultiFactorAuthAge":"5"},"NumericGreaterThanEquals":{"aws:MultiFactorAuthAge":"5"}`)), `3 "aws:MultiFactorAuthAge":"5"}`, Options{}},
	{"contradiction", statements(get(`"NumericLessThanEquals":{"aws:MultiFactorAuthAge":"5"},"NumericGreaterThanEquals":{"aws:MultiFactorAuthAge":"5"}`)), "", Options{}},
	{"contradiction", statements(get(`"DateLessThan":{"aws:CurrentTime":"2026-01-01"},"DateGreaterThan":{"aws:CurrentTime":"2026-06-01T00:00:00Z"}`)), `3 "aws:CurrentTime":"2026-06-01T00:00:00Z"}`, Options{}},
	{"contradiction", statements(get(`"IpAddress":{"aws:SourceIp":"10.1.0.0/16"},"NotIpAddress":{"aws:SourceIp":["10.0.0.0/8"]}`)), `3 "aws:SourceIp":["10.0.0.0/8"]`, Options{}},
	{"contradiction", statements(get(`"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"NotIpAddress":{"aws:SourceIp":["10.1.0.0/16"]}`)), "", Options{}},
	{"contradiction", statements(get(`"Bool":{"aws:SecureTransport":"true"},"BoolIfExists":{"aws:SecureTransport":"false"}`)), `3 "aws:SecureTransport":"false"}`, Options{}},
	{"contradiction", statements(get(`"StringEquals":{"aws:username":[]}`)), `3 "aws:username":[]`, Options{}},
	{"contradiction", statements(get(`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/a"},"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/*"}`)), `3 "aws:PrincipalArn":"arn:aws:iam::*:role/*"}`, Options{}},

	{"literal-wildcard", statements(get(`"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::*:role/a"}`)), `3 "arn:aws:iam::*:role/a"`, Options{}},
	{"literal-wildcard", statements(get(`"StringLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/a"},"StringEquals":{"s3:prefix":"a*","aws:SourceArn":"${aws:PrincipalArn}"}`)), "", Options{}},

	{"old-version", `{"Statement":[` + allow(`"s3:GetObject"`, `"arn:aws:s3:::b/${aws:username}/*"`, "") + `]}`, `1 "arn:aws:s3:::b/${aws:username}/*"`, Options{}},
	{"old-version", statements(allow(`"s3:GetObject"`, `"arn:aws:s3:::b/${aws:username}/*"`, "")), "", Options{}},

	{"denied-anyway", statements(allow(`"s3:GetObject"`, `"arn:aws:s3:::b/*"`, ""), `{"Effect":"Deny","Action":"s3:Get*","Resource":"arn:aws:s3:::*"}`), `3 {`, Options{}},
	{"denied-anyway", statements(allow(`"s3:GetObject"`, `"arn:aws:s3:::b/*"`, ""), `{"Effect":"Deny","NotAction":"iam:*","NotResource":"arn:aws:s3:::c/*"}`), `3 {`, Options{}},
	{"denied-anyway", statements(allow(`"s3:GetObject"`, `"arn:aws:s3:::b/*"`, ""), `{"Effect":"Deny","Action":"s3:Get*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`), "", Options{}},
	{"denied-anyway", statements(allow(`"s3:GetObject"`, `"arn:aws:s3:::*"`, ""), `{"Effect":"Deny","Action":"s3:Get*","Resource":"arn:aws:s3:::b/*"}`), "", Options{}},
	{"denied-anyway", statements(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}`, `{"Effect":"Deny","Principal":{"AWS":"123456789012"},"Action":"s3:*","Resource":"*"}`), "", Options{}},

	{"redundant-statement", statements(allow(`"s3:Get*"`, `"*"`, ""), allow(`["s3:GetObject"]`, `"arn:aws:s3:::b/*"`, "")), `4 {`, Options{}},
	{"redundant-statement", statements(allow(`"s3:Get*"`, `"*"`, ""), allow(`"s3:Get*"`, `"*"`, "")), `4 {`, Options{}}, // the later of two equal ones
	{"redundant-statement", statements(get(`"Bool":{"aws:SecureTransport":"true"}`), allow(`"s3:GetObject"`, `"arn:aws:s3:::b/*"`, "")), `3 {`, Options{}},
	{"redundant-statement", statements(get(`"Bool":{"aws:SecureTransport":"true"}`), get(`"Bool":{"aws:SecureTransport":"true"},"StringEquals":{"aws:username":"a"}`)), `4 {`, Options{}},
	{"redundant-statement", statements(get(`"Bool":{"aws:SecureTransport":"true"}`), get(`"Bool":{"aws:SecureTransport":"false"}`)), "", Options{}},
	{"redundant-statement", statements(allow(`"s3:Get?"`, `"*"`, ""), allow(`"s3:Get*"`, `"*"`, "")), `3 {`, Options{}},
	{"redundant-statement", statements(`{"Effect":"Deny","NotAction":["s3:*","iam:*"],"Resource":"*"}`, `{"Effect":"Deny","Action":"sqs:*","Resource":"*"}`), `4 {`, Options{}},
	{"redundant-statement", statements(`{"Effect":"Deny","NotAction":["s3:*","iam:*"],"Resource":"*"}`, `{"Effect":"Deny","Action":"*:Get*","Resource":"*"}`), "", Options{}},
	{"redundant-statement", statements(`{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"s3:*","Resource":"*"}`, `{"Effect":"Allow","Principal":{"AWS":"210987654321"},"Action":"s3:GetObject","Resource":"*"}`), "", Options{}},

	{"redundant-value", statements(allow(`["s3:Get*","s3:GetObject"]`, `["arn:aws:s3:::b/*","arn:aws:s3:::b/c/*"]`, "")), `3 "s3:GetObject" | 3 "arn:aws:s3:::b/c/*"`, Options{}},
	{"redundant-value", statements(allow(`["s3:GetObject","s3:PutObject"]`, `["arn:aws:s3:::b/c/*","arn:aws:s3:::b/d/*"]`, "")), "", Options{}},

	{"full-access", statements(allow(`"*"`, `"*"`, "")), `3 "Action"`, Options{}},
	{"full-access", statements(allow(`"*"`, `"*"`, `,"Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`)), "", Options{}},
	{"full-access", statements(allow(`"*"`, `"*"`, "")), "", Options{Type: policy.ServiceControl}}, // it grants nothing
	{"full-access", "Resources:\n  R: {Type: 'AWS::Organizations::Policy', Properties: {Content: {Statement: {Effect: Allow, Action: '*', Resource: '*'}}}}\n", "", Options{}},

	{"allow-not-action", statements(`{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`), `3 "NotAction"`, Options{}},
	{"allow-not-action", statements(`{"Effect":"Deny","NotAction":"iam:*","Resource":"*"}`), "", Options{}},
	{"allow-not-action", statements(`{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`), "", Options{Type: policy.Boundary}},
	{"allow-not-resource", statements(`{"Effect":"Allow","Action":"s3:*","NotResource":"arn:aws:s3:::b"}`), `3 "NotResource"`, Options{}},
	{"allow-not-resource", statements(`{"Effect":"Deny","Action":"s3:*","NotResource":"arn:aws:s3:::b"}`), "", Options{}},
	{"allow-not-principal", statements(`{"Effect":"Allow","NotPrincipal":{"AWS":"123456789012"},"Action":"s3:*","Resource":"*"}`), `3 "NotPrincipal"`, Options{}},
	{"allow-not-principal", statements(`{"Effect":"Deny","NotPrincipal":{"AWS":"123456789012"},"Action":"s3:*","Resource":"*"}`), "", Options{}},

	{"everyone", statements(`{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"s3:GetObject","Resource":"*"}`), `3 "Principal"`, Options{}},
	{"everyone", statements(`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}`), `3 "Principal"`, Options{}},
	{"everyone", statements(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}}`, `{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}`), "", Options{}},

	{"confused-deputy", statements(`{"Effect":"Allow","Principal":{"Service":["sns.amazonaws.com"]},"Action":"sqs:SendMessage","Resource":"*"}`), `3 "sns.amazonaws.com"`, Options{}},
	{"confused-deputy", statements(`{"Effect":"Allow","Principal":{"Service":"scheduler.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringNotEquals":{"aws:SourceAccount":"123456789012"}}}`), `3 "scheduler.amazonaws.com"`, Options{}},
	{"confused-deputy", statements(`{"Effect":"Allow","Principal":{"Service":"scheduler.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"}}}`,
		`{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:sns:*:123456789012:*"}}}`,
		`{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"}`), "", Options{}},
}

func TestEachRuleFindsWhatBreaksItAtItsPlaceAndNothingInWhatDoesNot(t *testing.T) {
	tested := map[string]int{}
	for _, c := range cases {
		tested[c.rule]++
		found, err := File("f", []byte(c.text), c.o)
		if err != nil {
			t.Errorf("%s: %s\n%v", c.rule, c.text, err)
			continue
		}
		if missing := compare(c.text, found, c.rule, c.at); missing != "" {
			t.Errorf("%s: %s\n%s\n%v", c.rule, missing, c.text, found)
		}
	}
	for _, rule := range Rules {
		switch {
		case rule.ID == "privilege-escalation" || rule.ID == "unknown-policy": // tested by themselves
		case tested[rule.ID] < 2:
			t.Errorf("%s has no good and bad case", rule.ID)
		}
	}
}

// compare says how the findings of a rule differ from "LINE text | LINE text".
func compare(text string, found []Finding, rule, at string) string {
	lines := strings.Split(text, "\n")
	want := strings.Split(at, " | ")
	if at == "" {
		want = nil
	}
	for _, f := range found {
		if f.Rule != rule {
			continue
		}
		there := fmt.Sprintf("%d %s", f.At.Line, string([]rune(lines[f.At.Line-1])[f.At.Column-1:]))
		if len(want) == 0 || !strings.HasPrefix(there, want[0]) {
			return "found at " + there
		}
		want = want[1:]
	}
	if len(want) > 0 {
		return "not found at " + want[0]
	}
	return ""
}

func TestWhatIsIgnoredIsNotFound(t *testing.T) {
	text := []byte(statements(allow(`["s3:Get*","s3:GetObjct"]`, `"*"`, "")))
	found, err := File("f", text, Options{Ignore: []string{"unknown-action"}})
	if err != nil || compare(string(text), found, "unknown-action", "") != "" {
		t.Errorf("found %v, %v", found, err)
	}
}

func TestEveryRuleSaysWhatItIsForAndWhereItComesFrom(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rules {
		if r.Help == "" || !strings.HasPrefix(r.Source, "https://") || seen[r.ID] || strings.ToLower(r.ID) != r.ID {
			t.Errorf("rule %+v", r)
		}
		seen[r.ID] = true
	}
}

func TestEveryRuleIsInTheDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/lint.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Rules {
		severity := strings.ToUpper(r.Severity.String()[:1]) + r.Severity.String()[1:]
		if !strings.Contains(string(page), "\n### "+r.ID+"\n"+severity+". ") {
			t.Errorf("docs/lint.md has no section on %s with its severity", r.ID)
		}
	}
}

func TestEveryActionOfEveryPathExistsAndIsAskedForOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range paths {
		if seen[p.String()] && !slices.Contains([]string{"act with the role of any instance"}, p.gain) {
			t.Errorf("%s stands twice", p)
		}
		seen[p.String()] = true
		for _, name := range p.actions {
			prefix, bare, _ := strings.Cut(strings.ToLower(name), ":")
			if s := catalogue.Find(prefix); s == nil || s.Actions[bare] == nil {
				t.Errorf("there is no %s", name)
			} else if s.Actions[bare].Name != name[len(prefix)+1:] {
				t.Errorf("%s is written %s", name, s.Actions[bare].Name)
			}
		}
		if (p.actions[0] == passRole) != (p.services != nil) {
			t.Errorf("%s: a role is passed to a service", p)
		}
	}
}

func TestEachPathIsFoundWhereAllItsActionsAreGrantedAndNotWithoutOne(t *testing.T) {
	for _, p := range paths {
		var all []string
		for _, a := range p.actions {
			all = append(all, allow(`"`+a+`"`, `"*"`, ""))
		}
		if m := escalationsOf(t, statements(all...)); !strings.Contains(m, p.String()) {
			t.Errorf("%s is not found: %s", p, m)
		}
		for i := range all {
			rest := slices.Delete(slices.Clone(all), i, i+1)
			rest = append(rest, allow(`"s3:ListAllMyBuckets"`, `"*"`, ""))
			if m := escalationsOf(t, statements(rest...)); strings.Contains(m, p.String()) {
				t.Errorf("%s is found without %s", p, p.actions[i])
			}
		}
	}
}

// escalationsOf is all that the rule says of an identity-based policy.
func escalationsOf(t *testing.T, text string) string {
	t.Helper()
	found, err := File("f", []byte(text), Options{Type: policy.Identity})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range found {
		if f.Rule == "privilege-escalation" {
			all = append(all, f.Message)
		}
	}
	return strings.Join(all, "\n")
}

func TestAPathIsOpenOnlyWhereTheGrantIsBroadUnconditionalAndNotDenied(t *testing.T) {
	for _, c := range []struct {
		what, text string
		open       bool
	}{
		{"every policy", allow(`"iam:CreatePolicyVersion"`, `"arn:aws:iam::123456789012:policy/*"`, ""), true},
		{"some policies", allow(`"iam:CreatePolicyVersion"`, `"arn:aws:iam::123456789012:policy/team-*"`, ""), false},
		{"by a wildcard", allow(`"iam:*Policy*"`, `"*"`, ""), true},
		{"by NotAction", `{"Effect":"Allow","NotAction":"s3:*","Resource":"*"}`, true},
		{"excluded by NotAction", `{"Effect":"Allow","NotAction":["s3:*","i*","s*","e*","lambda:*","glue:*","cloud*","code*","states:*","a*","batch:*","datapipeline:*","bedrock-agentcore:*","cognito-identity:*"],"Resource":"*"}`, false},
		{"under a condition", allow(`"iam:CreatePolicyVersion"`, `"*"`, `,"Condition":{"StringEquals":{"aws:PrincipalTag/a":"b"}}`), false},
		{"denied", allow(`"iam:CreatePolicyVersion"`, `"*"`, "") + `,{"Effect":"Deny","Action":"iam:Create*","Resource":"*"}`, false},
		{"denied in part", allow(`"iam:CreatePolicyVersion"`, `"*"`, "") + `,{"Effect":"Deny","Action":"iam:Create*","Resource":"arn:aws:iam::*:policy/a"}`, true},
		{"denied under a condition", allow(`"iam:CreatePolicyVersion"`, `"*"`, "") + `,{"Effect":"Deny","Action":"iam:Create*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`, true},
		{"one's own keys", allow(`"iam:CreateAccessKey"`, `"arn:aws:iam::*:user/${aws:username}"`, ""), false},
		{"one's own policies", allow(`"iam:PutUserPolicy"`, `"arn:aws:iam::*:user/${aws:username}"`, ""), true},
		{"passed to the service", allow(`"iam:PassRole"`, `"*"`, `,"Condition":{"StringEquals":{"iam:PassedToService":"ec2.amazonaws.com"}}`) + "," + allow(`"ec2:RunInstances"`, `"*"`, ""), true},
		{"passed to another service", allow(`"iam:PassRole"`, `"*"`, `,"Condition":{"StringEquals":{"iam:PassedToService":"ecs-tasks.amazonaws.com"}}`) + "," + allow(`"ec2:RunInstances"`, `"*"`, ""), false},
		{"a role that is named", allow(`"iam:PassRole"`, `"arn:aws:iam::123456789012:role/web"`, "") + "," + allow(`"ec2:RunInstances"`, `"*"`, ""), false},
		{"an administrator has nothing to gain", allow(`"*"`, `"*"`, ""), false},
	} {
		if m := escalationsOf(t, statements(c.text)); (m != "") != c.open {
			t.Errorf("%s: %q", c.what, m)
		}
	}
}
