package literal

import (
	"fmt"
	"strings"
	"testing"
)

const (
	userLine    = `{"type":"AWS","arn":"arn:aws:iam::111122223333:user/exampleuser","accountId":"111122223333"}`
	sessionLine = `{"type":"AWS","arn":"arn:aws:sts::111122223333:assumed-role/examplerole/examplerolesessionname","accountId":"111122223333"}`
	federated   = `{"type":"AWS","arn":"arn:aws:sts::111122223333:federated-user/exampleuser","accountId":"111122223333"}`
	rootLine    = `{"type":"RootUser","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333"}`
	anonymous   = `{"type":"Anonymous"}`
	serviceLine = `{"type":"Service","arn":"sns.amazonaws.com"}`
	linkedRole  = `{"type":"AWS","arn":"arn:aws:iam::111122223333:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX","accountId":"111122223333"}`

	allowAll     = `[{"document":{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}}]`
	denyAll      = `[{"document":{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}}]`
	allowAllRCP  = `[{"document":{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}}]`
	bucketObject = "arn:aws:s3:::bucket/object"
)

func policyFor(principal, effect string) string {
	return `[{"document":{"Version":"2012-10-17","Statement":{"Effect":"` + effect + `",` + principal + `,"Action":"*","Resource":"*"}}}]`
}

func principalNamed(arn string) string { return `"Principal":{"AWS":"` + arn + `"}` }

func ask(principal, account, policies string) string {
	return fmt.Sprintf(`{"id":"c","request":{"principal":%s,"action":"s3:GetObject","resource":%q,"resourceAccount":%q},"policies":{%s}}`,
		principal, bucketObject, account, policies)
}

func check(t *testing.T, line, want string) {
	t.Helper()
	got := Decide([]byte(line))
	if got.Err != nil {
		t.Fatalf("%s: %v", line, got.Err)
	}
	if got.Decision+"/"+got.DecidedBy != want && got.Decision != want {
		t.Errorf("%s\n got %s by %s, want %s", line, got.Decision, got.DecidedBy, want)
	}
}

// Each row is a sentence of reference_policies_evaluation-logic*.html or of the page named in the row.
func TestPolicyTypesCombineAsTheEvaluationPagesSay(t *testing.T) {
	const home, other = "111122223333", "999999999999"
	user := principalNamed("arn:aws:iam::111122223333:user/exampleuser")
	role := principalNamed("arn:aws:iam::111122223333:role/examplerole")
	session := principalNamed("arn:aws:sts::111122223333:assumed-role/examplerole/examplerolesessionname")
	fed := principalNamed("arn:aws:sts::111122223333:federated-user/exampleuser")
	account := principalNamed(home)
	everyone := `"Principal":"*"`
	nobody := `"boundary":[],"session":[]`
	for _, row := range []struct{ says, principal, account, policies, want string }{
		{"By default, all requests are implicitly denied", userLine, home, ``, "ImplicitDeny"},
		{"with the exception of the root user", rootLine, home, ``, "Allowed"},
		{"the SCP maximum applies to each root user", rootLine, home, `"serviceControl":[[]]`, "ImplicitDeny/serviceControl"},
		{"an explicit deny overrides an allow", userLine, home, `"identity":` + allowAll + `,"session":` + denyAll, "ExplicitDeny/session"},
		{"identity or resource allows", userLine, home, `"identity":` + allowAll, "Allowed/identity"},
		{"user ARN: not limited by a boundary", userLine, home, `"resource":` + policyFor(user, "Allow") + `,"boundary":[]`, "Allowed/resource"},
		{"role ARN: limited by a boundary", sessionLine, home, `"resource":` + policyFor(role, "Allow") + `,"boundary":[]`, "ImplicitDeny/boundary"},
		{"role ARN: limited by a session policy", sessionLine, home, `"resource":` + policyFor(role, "Allow") + `,"session":[]`, "ImplicitDeny/session"},
		{"role ARN: not limited by identity policies", sessionLine, home, `"resource":` + policyFor(role, "Allow"), "Allowed/resource"},
		{"session ARN: not limited", sessionLine, home, nobody + `,"resource":` + policyFor(session, "Allow"), "Allowed/resource"},
		{"federated session ARN: not limited", federated, home, nobody + `,"resource":` + policyFor(fed, "Allow"), "Allowed/resource"},
		{"federated user without a session policy", federated, home, `"identity":` + allowAll, "ImplicitDeny/session"},
		{"federated user: the intersection", federated, home, `"identity":` + allowAll + `,"session":` + allowAll, "Allowed/identity"},
		{"an account principal delegates", userLine, home, `"resource":` + policyFor(account, "Allow"), "ImplicitDeny/identity"},
		{"cross-account: resource alone", userLine, other, `"resource":` + policyFor(user, "Allow"), "ImplicitDeny/identity"},
		{"cross-account: identity alone", userLine, other, `"identity":` + allowAll, "ImplicitDeny/resource"},
		{"cross-account: both", userLine, other, `"identity":` + allowAll + `,"resource":` + policyFor(account, "Allow"), "Allowed"},
		{"cross-account: the boundary limits a user ARN", userLine, other, `"boundary":[],"identity":` + allowAll + `,"resource":` + policyFor(user, "Allow"), "ImplicitDeny/boundary"},
		{"Principal *: anonymous access", anonymous, home, `"resource":` + policyFor(everyone, "Allow"), "Allowed"},
		{"an account is not anonymous", anonymous, home, `"resource":` + policyFor(account, "Allow"), "ImplicitDeny"},
		{"a service principal, by name", serviceLine, home, `"resource":` + policyFor(`"Principal":{"Service":"sns.amazonaws.com"}`, "Allow"), "Allowed"},
		{"another service principal", serviceLine, home, `"resource":` + policyFor(`"Principal":{"Service":"sqs.amazonaws.com"}`, "Allow"), "ImplicitDeny"},
		{"SCP evaluation: an Allow at every level", userLine, home, `"identity":` + allowAll + `,"serviceControl":[` + allowAll + `,[],` + allowAll + `]`, "ImplicitDeny/serviceControl"},
		{"SCP evaluation: all levels", userLine, home, `"identity":` + allowAll + `,"serviceControl":[` + allowAll + `,` + allowAll + `]`, "Allowed"},
		{"no levels deny", userLine, home, `"identity":` + allowAll + `,"serviceControl":[]`, "ImplicitDeny/serviceControl"},
		{"SCPs do not affect any service-linked role", linkedRole, home, `"identity":` + allowAll + `,"serviceControl":[],"resourceControl":[` + policyFor(everyone, "Deny") + `]`, "Allowed"},
		{"RCP: any level denies", userLine, home, `"identity":` + allowAll + `,"resourceControl":[` + allowAllRCP + `,` + policyFor(everyone, "Deny") + `]`, "ExplicitDeny/resourceControl"},
		{"RCP: external principals too", anonymous, home, `"resource":` + policyFor(everyone, "Allow") + `,"resourceControl":[[]]`, "ImplicitDeny/resourceControl"},
		{"RCP: service principals too", serviceLine, home, `"resource":` + policyFor(`"Principal":{"Service":"sns.amazonaws.com"}`, "Allow") + `,"resourceControl":[` + allowAllRCP + `,` + policyFor(everyone, "Deny") + `]`, "ExplicitDeny/resourceControl"},
		{"an endpoint policy does not replace others", userLine, home, `"endpoint":` + allowAllRCP, "ImplicitDeny/identity"},
		{"an endpoint policy limits", userLine, home, `"identity":` + allowAll + `,"endpoint":[]`, "ImplicitDeny/endpoint"},
		{"NotPrincipal: all except", userLine, home, `"identity":` + allowAll + `,"resource":` + policyFor(`"NotPrincipal":{"AWS":"arn:aws:iam::111122223333:user/Bob"}`, "Deny"), "ExplicitDeny/resource"},
		{"NotPrincipal: the exception", userLine, home, `"identity":` + allowAll + `,"resource":` + policyFor(strings.Replace(user, "Principal", "NotPrincipal", 1), "Deny"), "Allowed"},
		{"NotPrincipal: always denies who has a boundary", userLine, home, `"identity":` + allowAll + `,"boundary":` + allowAll + `,"resource":` + policyFor(strings.Replace(user, "Principal", "NotPrincipal", 1), "Deny"), "ExplicitDeny/resource"},
	} {
		t.Run(row.says, func(t *testing.T) { check(t, ask(row.principal, row.account, row.policies), row.want) })
	}
}

// Rows of reference_policies_elements_condition_operators.html, reference_policies_variables.html and
// reference_policies_condition-single-vs-multi-valued-context-keys.html.
func TestConditionsHoldAsTheOperatorPagesSay(t *testing.T) {
	for _, row := range []struct {
		condition, context string
		want               bool
	}{
		{`"StringEquals":{"aws:PrincipalTag/job-category":"iamuser-admin"}`, `"aws:principaltag/Job-Category":"iamuser-admin"`, true},
		{`"StringEquals":{"aws:username":"johndoe"}`, `"aws:username":"JohnDoe"`, false},
		{`"StringEqualsIgnoreCase":{"aws:username":"johndoe"}`, `"aws:username":"JohnDoe"`, true},
		{`"StringEquals":{"k":"v"}`, ``, false},
		{`"StringNotEquals":{"k":"v"}`, ``, true},
		{`"StringEqualsIfExists":{"k":"v"}`, ``, true},
		{`"StringNotEquals":{"k":["a","b"]}`, `"k":"b"`, false},
		{`"StringNotEquals":{"k":["a","b"]}`, `"k":"c"`, true},
		{`"StringLike":{"s3:prefix":["","home/","home/${aws:username}/"]}`, `"s3:prefix":"home/David/","aws:username":"David"`, true},
		{`"StringLike":{"ec2:InstanceType":["t1.*","m3.*"]}`, `"ec2:InstanceType":"t2.micro"`, false},
		{`"StringLikeIfExists":{"ec2:InstanceType":["t1.*","m3.*"]}`, ``, true},
		{`"NumericLessThanEquals":{"s3:max-keys":"10"}`, `"s3:max-keys":"10.0"`, true},
		{`"DateGreaterThan":{"aws:TokenIssueTime":"2020-01-01T00:00:01Z"}`, `"aws:TokenIssueTime":"1577836802"`, true},
		{`"DateGreaterThan":{"aws:TokenIssueTime":"2020-01-01T00:00:01Z"}`, `"aws:TokenIssueTime":"2020-01-01T01:00:01+01:00"`, false},
		{`"Bool":{"aws:SecureTransport":"false"}`, `"aws:SecureTransport":false`, true},
		{`"BinaryEquals":{"key":"QmluYXJ5VmFsdWVJbkJhc2U2NA=="}`, `"key":"QmluYXJ5VmFsdWVJbkJhc2U2NA=="`, true},
		{`"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}`, `"aws:SourceIp":"203.0.113.255"`, true},
		{`"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}`, `"aws:SourceIp":"203.0.114.0"`, false},
		{`"IpAddress":{"aws:SourceIp":["203.0.113.0/24","2001:DB8:1234:5678::/64"]}`, `"aws:SourceIp":"2001:db8:1234:5678::1"`, true},
		{`"NotIpAddress":{"aws:SourceIp":"203.0.113.7"}`, `"aws:SourceIp":"203.0.113.7"`, false},
		{`"StringLike":{"k":"arn:aws:someservice:*:111122223333:finance/*"}`, `"k":"arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"`, true},
		{`"ArnLike":{"k":"arn:aws:someservice:*:111122223333:finance/*"}`, `"k":"arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"`, false},
		{`"ArnEquals":{"k":"arn:aws:sns:*:123456789012:TOPIC-?"}`, `"k":"arn:aws:sns:eu-west-1:123456789012:TOPIC-1"`, true},
		{`"Null":{"aws:TokenIssueTime":"true"}`, ``, true},
		{`"Null":{"aws:TokenIssueTime":"false"}`, `"aws:TokenIssueTime":"2020-01-01T00:00:00Z"`, true},
		{`"ForAllValues:StringEquals":{"dynamodb:Attributes":["PostDateTime","Message","Tags"]}`, `"dynamodb:Attributes":["PostDateTime","UserName"]`, false},
		{`"ForAllValues:StringEquals":{"dynamodb:Attributes":["ID","Message","Tags"]}`, `"dynamodb:Attributes":["Message","Tags"]`, true},
		{`"ForAllValues:StringEquals":{"dynamodb:Attributes":["ID"]}`, ``, true},
		{`"ForAllValues:StringEquals":{"dynamodb:Attributes":["ID"]}`, `"dynamodb:Attributes":""`, true},
		{`"ForAnyValue:StringEquals":{"dynamodb:Attributes":["ID","PostDateTime"]}`, `"dynamodb:Attributes":["UserName","Message","PostDateTime"]`, true},
		{`"ForAnyValue:StringEquals":{"dynamodb:Attributes":["ID","PostDateTime"]}`, `"dynamodb:Attributes":["UserName"]`, false},
		{`"ForAnyValue:StringEquals":{"dynamodb:Attributes":["ID"]}`, ``, false},
		{`"ForAllValues:StringNotLike":{"aws:TagKeys":"key1*"}`, `"aws:TagKeys":["key1:hr","key1:personnel"]`, false},
		{`"ForAllValues:StringNotLike":{"aws:TagKeys":"key1*"}`, `"aws:TagKeys":["key2:audit"]`, true},
		{`"StringEquals":{"s3:ExistingObjectTag/Team":"${aws:PrincipalTag/Team}"}`, `"s3:ExistingObjectTag/Team":"a"`, false},
		{`"StringNotEquals":{"s3:ExistingObjectTag/Team":"${aws:PrincipalTag/Team}"}`, `"s3:ExistingObjectTag/Team":"a"`, true},
		{`"StringEquals":{"k":"${aws:PrincipalTag/team, 'company-wide'}"}`, `"k":"company-wide"`, true},
		{`"StringEquals":{"k":"${aws:PrincipalTag/team, 'company-wide'}"}`, `"k":"yellow","aws:PrincipalTag/team":"yellow"`, true},
		{`"StringLike":{"k":"a${*}${?}${$}"}`, `"k":"a*?$"`, true},
		{`"StringLike":{"k":"a${*}"}`, `"k":"ab"`, false},
		{`"StringLike":{"k":"a"}`, `"k":"ab"`, false},
		{`"Null":{"aws:TokenIssueTime":"true"}`, `"aws:TokenIssueTime":"2020-01-01T00:00:00Z"`, false},
	} {
		t.Run(row.condition+" of "+row.context, func(t *testing.T) {
			for effect, want := range map[string]string{"Allow": "Allowed", "Deny": "ExplicitDeny"} {
				if !row.want {
					want = map[string]string{"Allow": "ImplicitDeny", "Deny": "Allowed"}[effect]
				}
				document := `{"document":{"Version":"2012-10-17","Statement":{"Effect":"` + effect + `","Action":"*","Resource":"*","Condition":{` + row.condition + `}}}}`
				if effect == "Deny" {
					document += "," + strings.Trim(allowAll, "[]")
				}
				line := `{"request":{"principal":` + userLine + `,"action":"a:b","resource":"*","context":{` + row.context + `}},"policies":{"identity":[` + document + `]}}`
				check(t, line, want)
			}
		})
	}
}

// "ForAllValues:ForAnyValue:StringEquals" is no operator, as fuzzing asked: a Deny holds and an Allow does not.
func TestAnOperatorHasOneSetPrefix(t *testing.T) {
	for _, operator := range []string{"ForAllValues:ForAnyValue:StringEquals", "ForAnyValue:ForAllValues:StringEquals", "ForAnyValue:ForAnyValue:StringEquals"} {
		for effect, want := range map[string]string{"Allow": "ImplicitDeny", "Deny": "ExplicitDeny"} {
			for _, value := range []string{"v", "w"} {
				check(t, `{"request":{"principal":`+userLine+`,"action":"a:b","resource":"*","context":{"k:v":"`+value+`"}},"policies":{"identity":[{"document":{"Version":"2012-10-17","Statement":`+
					`{"Effect":"`+effect+`","Action":"*","Resource":"*","Condition":{"`+operator+`":{"k:v":"v"}}}}}]}}`, want)
			}
		}
	}
}

// Rows of reference_policies_elements_resource.html, ..._action.html, ..._notaction.html and ..._version.html.
func TestActionsAndResourcesMatchAsTheElementPagesSay(t *testing.T) {
	const bucket = "arn:aws:s3:::DOC-EXAMPLE-BUCKET/"
	for _, row := range []struct {
		version, elements, action, resource string
		want                                bool
	}{
		{"2012-10-17", `"Action":"iam:*AccessKey*","Resource":"*"`, "IAM:createaccesskey", "x", true},
		{"2012-10-17", `"NotAction":"iam:*","Resource":"*"`, "iam:CreateUser", "x", false},
		{"2012-10-17", `"NotAction":"iam:*","Resource":"*"`, "s3:GetObject", "x", true},
		{"2012-10-17", `"Action":"*","Resource":"` + bucket + `*/test/*"`, "s3:GetObject", bucket + "1///test///object.jpg", true},
		{"2012-10-17", `"Action":"*","Resource":"` + bucket + `*/test/*"`, "s3:GetObject", bucket + "/test/object.jpg", true},
		{"2012-10-17", `"Action":"*","Resource":"` + bucket + `*/test/*"`, "s3:GetObject", bucket + "test/object.jpg", false},
		{"2012-10-17", `"Action":"*","Resource":"` + bucket + `*/test/*"`, "s3:GetObject", bucket + "1-test/object.jpg", false},
		{"2012-10-17", `"Action":"*","NotResource":"` + bucket + `*"`, "s3:GetObject", bucket + "x", false},
		{"2012-10-17", `"Action":"*","Resource":"` + bucket + `${aws:username}"`, "s3:GetObject", bucket + "David", true},
		{"2012-10-17", `"Action":"*","Resource":"` + bucket + `${aws:userid}"`, "s3:GetObject", bucket + "David", false},
		{"2012-10-17", `"Action":"*","NotResource":"` + bucket + `${aws:userid}"`, "s3:GetObject", bucket + "David", true},
		{"2008-10-17", `"Action":"*","Resource":"` + bucket + `${aws:username}"`, "s3:GetObject", bucket + "David", false},
		{"2008-10-17", `"Action":"*","Resource":"` + bucket + `${aws:username}"`, "s3:GetObject", bucket + "${aws:username}", true},
	} {
		t.Run(row.elements+" of "+row.action+" "+row.resource, func(t *testing.T) {
			line := `{"request":{"principal":` + userLine + `,"action":"` + row.action + `","resource":"` + row.resource +
				`","resourceAccount":"111122223333","context":{"aws:username":"David"}},"policies":{"identity":[{"document":{"Version":"` +
				row.version + `","Statement":{"Effect":"Allow",` + row.elements + `}}}]}}`
			want := "ImplicitDeny"
			if row.want {
				want = "Allowed"
			}
			check(t, line, want)
		})
	}
}

func TestWhatCannotBeReadGrantsNothingAndDenies(t *testing.T) {
	for _, bad := range []string{`"NumericNotEquals":{"many":"10"}`, `"DateLessThan":{"many":"2020"}`, `"NotIpAddress":{"many":"10.0.0.1"}`, `"Bool":{"many":"true"}`,
		`"BinaryEquals":{"many":"YQ=="}`, `"NumericEquals":{"list":"10"}`, `"Foo":{"k":"v"}`, `"NumericEquals":{"k":"many"}`, `"NullIfExists":{"k":"true"}`, `"IpAddress":{"k":"1.2.3"}`} {
		for effect, want := range map[string]string{"Allow": "ImplicitDeny", "Deny": "ExplicitDeny"} {
			line := `{"request":{"principal":` + userLine + `,"action":"a:b","resource":"*","context":{"k":"1","many":"many!","list":["10","many"]}},"policies":{"identity":[{"document":{"Statement":{"Effect":"` +
				effect + `","Action":"*","Resource":"*","Condition":{` + bad + `}}}}]}}`
			check(t, line, want)
		}
	}
}

func TestALineThatCannotBeReadIsAnErrorAndNoDecision(t *testing.T) {
	for _, line := range []string{``, `[]`, `{}`, `{"request":{"principal":{"type":"Alien"}}}`,
		`{"request":{"principal":` + userLine + `},"policies":{"identity":[{"document":{"Statement":{"Effect":"Allow","Effect":"Deny"}}}]}}`,
		`{"request":{"principal":` + userLine + `},"policies":{"identity":[{"document":{"Version":"2020-01-01","Statement":[]}}]}}`} {
		if got := Decide([]byte(line)); got.Err == nil || got.Decision != "" {
			t.Errorf("%s: got %+v, want an error", line, got)
		}
	}
}
