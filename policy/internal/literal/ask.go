package literal

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
)

var (
	requestActions = []string{"s3:GetObject", "s3:GetObject", "s3:GetObject", "s3:GetObject", "s3:GetObject", "s3:PutObject", "S3:getobject", "kms:Decrypt", "sts:AssumeRole", "s3", "ec2:GetX", "s3:GetObjects"}

	// Resources are what requests are about.
	Resources = []string{"arn:aws:s3:::b/a", "arn:aws:s3:::b/a", "arn:aws:s3:::b/alice", "arn:aws:s3:::b/a*", "arn:aws:s3:::b/A", "arn:aws:s3:::b/${aws:username}", "arn:aws:s3:::b/é",
		"arn:aws:s3:::b/x:a", "arn:aws:sqs:us-east-1:" + home + ":q", "arn:aws:kms:us-east-1:" + home + ":key/k", "arn:aws:iam::" + home + ":role/R", "*", "arn:aws:s3:::b/aé", "b/a", "arn:aws:s3", ""}

	contextValues = map[string][]string{
		"aws:username":          {"a", "alice", "A", "a*", "*", "é", "x:a"},
		"aws:PrincipalTag/team": {"a", "b", "A", "a*", "", "?", "é"},
		"aws:TagKeys":           {"a", "b", "ab", "A", "", "é", "z"},
		"s3:max-keys":           {"10", "10.0", "9", "-1", "0010", "1e1", "many", "9007199254740992", "0.10", "-0", "", "10.50"},
		"aws:CurrentTime": {"2020-01-01T00:00:00Z", "2020-01-01", "2020-01-01T01:00:00+01:00", "1577836800", "2020-01-01T00:00:00.5Z", "2020", "1577836801", "soon",
			"2020-01-01T00:00:00", "2020-01-01T0:00:00Z", "0"},
		"aws:SecureTransport":        {"true", "false", "True", "yes"},
		"x:binary":                   {"YQ==", "YWI=", "YQ", "%", ""},
		"aws:SourceIp":               {"10.0.0.1", "10.0.1.1", "2001:db8::1", "2001:db9::1", "10.0.0.300", "10.0.0.0/24", "::ffff:10.0.0.1", "fe80::1%eth0", "::1"},
		"aws:SourceArn":              {"arn:aws:sns:us-east-1:" + home + ":t", "arn:aws:sns:us-east-1:" + other + ":t", "arn:aws:sns:us-east-1:" + home + ":t:u", "not-an-arn", "a:b:c:d:e:f", roleARN},
		"aws:MultiFactorAuthPresent": {"true", "false"},
		"x:service":                  {"s3"},
		"x:arn":                      {"arn:aws:s3:::b/a", "b/a", "*"},
	}
	contextKeys = []string{"aws:username", "aws:PrincipalTag/team", "aws:TagKeys", "s3:max-keys", "aws:CurrentTime", "aws:SecureTransport",
		"x:binary", "aws:SourceIp", "aws:SourceArn", "aws:MultiFactorAuthPresent", "x:service", "x:arn"}
)

const (
	aliceARN         = "arn:aws:iam::" + home + ":user/alice"
	aliceID          = "AIDAALICEALICEALICEA"
	roleARN          = "arn:aws:iam::" + home + ":role/R"
	roleID           = "AROARRRRRRRRRRRRRRRR"
	sessionARN       = "arn:aws:sts::" + home + ":assumed-role/R/s"
	pathedRoleARN    = "arn:aws:iam::" + home + ":role/path/P"
	pathedSessionARN = "arn:aws:sts::" + home + ":assumed-role/P/s"
	federatedARN     = "arn:aws:sts::" + home + ":federated-user/fu"
	rootARN          = "arn:aws:iam::" + home + ":root"
	linkedARN        = "arn:aws:iam::" + home + ":role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX"
	linkedSessionARN = "arn:aws:sts::" + home + ":assumed-role/AWSServiceRoleForX/s"
	samlARN          = "arn:aws:iam::" + home + ":saml-provider/p"
)

var (
	alice   = Principal{Kind: "AWS", ARN: aliceARN, Account: home, ID: aliceID}
	session = Principal{Kind: "AWS", ARN: sessionARN, Account: home, RoleARN: roleARN, ID: roleID}
	callers = []Principal{alice, alice, alice, alice, alice, alice, alice, session, session, session, session, session, session, session,
		{Kind: "AWS", ARN: "arn:aws:iam::" + other + ":user/alice", Account: other, ID: "AIDAOTHEROTHEROTHERO"},
		{Kind: "AWS", ARN: pathedSessionARN, Account: home, RoleARN: pathedRoleARN, ID: "AROAPPPPPPPPPPPPPPPP"},
		{Kind: "AWS", ARN: roleARN, Account: home, RoleARN: roleARN, ID: roleID},
		{Kind: "AWS", ARN: federatedARN, Account: home},
		{Kind: "AWS", ARN: linkedSessionARN, Account: home, RoleARN: linkedARN, ID: "AROALINKEDLINKEDLINK", ServiceLinked: true},
		{Kind: "RootUser", ARN: rootARN, Account: home, ID: home},
		{Kind: "Anonymous"},
		{Kind: "Service", Names: []string{"x.amazonaws.com"}},
		{Kind: "Service", Names: []string{"x.us-east-1.amazonaws.com", "x.amazonaws.com"}},
		{Kind: "Federated", Names: []string{"accounts.google.com"}},
		{Kind: "Federated", Names: []string{samlARN}},
	}
)

// RandomRequest makes one request. The same generator state gives the same one.
func RandomRequest(r *rand.Rand) Request {
	q := Request{Principal: pick(r, callers), Action: pick(r, requestActions), Resource: pick(r, Resources), ResourceAccount: home}
	if chance(r, 20) {
		q.ResourceAccount = other
	} else if chance(r, 3) {
		q.ResourceAccount = ""
	}
	q.Context = make([]Key, 0, len(contextKeys)+1)
	for _, name := range contextKeys {
		if chance(r, 45) {
			continue
		}
		key := Key{Name: randomCase(r, name)}
		if name == "aws:TagKeys" || chance(r, 6) {
			for range r.IntN(4) {
				key.Values = append(key.Values, pick(r, contextValues[name]))
			}
		} else {
			key.Values = []string{pick(r, contextValues[name])}
		}
		q.Context = append(q.Context, key)
	}
	return q
}

// Line makes one random line of `policy eval`.
func Line(r *rand.Rand) []byte {
	q := RandomRequest(r)
	caller := map[string]any{"type": q.Principal.Kind}
	if q.Principal.ARN != "" {
		caller["arn"] = q.Principal.ARN
	}
	if len(q.Principal.Names) > 0 {
		caller["arn"] = q.Principal.Names[0]
	}
	if q.Principal.Account != "" {
		caller["accountId"] = q.Principal.Account
	}
	context := map[string]any{}
	for _, key := range q.Context {
		context[key.Name] = key.Values
		if len(key.Values) == 1 {
			context[key.Name] = key.Values[0]
		}
	}
	if q.Principal.RoleARN != "" && q.Principal.RoleARN != q.Principal.ARN {
		context["aws:PrincipalArn"] = q.Principal.RoleARN
	}
	text, _ := json.Marshal(map[string]any{ // maps of strings and lists marshal
		"id": strconv.FormatUint(r.Uint64(), 36),
		"request": map[string]any{"principal": caller, "action": q.Action, "resource": q.Resource,
			"resourceAccount": q.ResourceAccount, "context": context},
		"policies": json.RawMessage(RandomPolicies(r)),
	})
	return text
}
