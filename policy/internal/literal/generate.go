package literal

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"
)

// The alphabets are small, so that what a policy names is often what a request has, and nearly so the rest of the time.
const (
	home  = "111111111111"
	other = "222222222222"
)

var (
	policyActions = []string{"*", "*", "*", "s3:*", "s3:*", "s3:Get*", "s3:GetObject", "S3:GETOBJECT", "s3:?etObject", "s3:Put*", "s3:GetObjec", "kms:*", "sts:*",
		"*:GetObject", "s?:Get*", "s3:*Obj*t", "s3*", "s3", "s3:GetObject?", "kms:Decrypt", "sts:AssumeRole", "sts:Assume*", "k*:*"}

	policyResources = []string{"*", "*", "*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/a", "arn:aws:s3:::b/?", "arn:aws:s3:::*/a",
		"arn:aws:s3:::b/${aws:username}", "arn:aws:s3:::b/${AWS:UserName, 'a'}", "arn:aws:s3:::b/a${*}", "arn:aws:s3:::b/${aws:TagKeys}",
		"arn:aws:s3:::b/${x:none}", "arn:aws:*:*:*:*", "arn:aws:s3:*", "arn:aws:s3:::b/*:a", "arn:aws:*:b/a", "arn:aws:sqs:*:" + home + ":q", "arn:aws:iam::*:role/*",
		"arn:aws:kms:*:*:key/*", "arn:aws:s3", "arn:aws:${x:service}:::b/a", "arn:aws:s3::${aws:username}:b/a", "arn:aws:s3:::b/*é", "arn:aws:s3:::b/??", "arn:aws:s3:::b/*?a",
		"arn:aws:s3:::b/**a*", "arn:a?s:s3:::b/a", "arn:*:s3:::b/a", "b*", "${x:arn}", "arn:aws:s3:::b/${aws:username", "arn:aws:s3:::b/${x:none, \"a\"}", "arn:aws:s3:::${*}/a"}

	policyValues = map[string][]string{
		"String": {"a", "b", "A", "alice", "a*", "*", "?", "", "${aws:username}", "${aws:PrincipalTag/team}", "${AWS:USERNAME}*", "${aws:username, 'a'}", "${x:none}",
			"${x:none, 'b'}", "${x:none,'*'}", "${aws:TagKeys}", "${*}", "${?}", "a${*}", "${$}", "é", "?é", "*é", "${", "a${aws:username", "${}", "${aws:username}${aws:PrincipalTag/team}"},
		"Numeric": {"10", "9.5", "0", "10.00", "-1", "+10", "ten", "", "-0", "9007199254740993", "10.", ".5", "1e1", "0.1", "${s3:max-keys}", "-10.5", "10.05"},
		"Date": {"2020-01-01T00:00:00Z", "2020-01-01", "2020-01", "2020", "1577836800", "2020-01-01T02:00+02:00", "2020-13-01", "soon", "2020-01-01T00:00:00.500Z", "2020-01-01T00:00:00",
			"2020-01-01T0:00:00Z", "2020-01-01T00:00:00,5Z", "20200101", "0", "99999999999999999999"},
		"Bool":   {"true", "false", "TRUE", "yes", "${aws:SecureTransport}", "${aws:MultiFactorAuthPresent, 'true'}", "${x:none, 'yes'}"},
		"Binary": {"YQ==", "YWI=", "%%", "YQ", ""},
		"Ip": {"10.0.0.0/24", "10.0.0.1", "10.0.0.1/32", "10.0.0.77/24", "0.0.0.0/0", "2001:db8::/32", "2001:db8::1", "::/0", "10.0.0/24", "::ffff:10.0.0.0/120", "::ffff:10.0.0.1",
			"::ffff:0:0/95", "10.0.0.0/33", "fe80::1", "fe80::1%eth0", "10.0.0.0/31"},
		"Arn": {"arn:aws:sns:us-east-1:" + home + ":t", "arn:aws:sns:*:*:t", "arn:aws:sns:*:t", "arn:aws:sns:us-east-1:" + home + ":*", "arn:*:*:*:*:*",
			"arn:aws:sns:us-east-?:" + home + ":${x:none}", "${aws:SourceArn}", "arn:aws:iam::*:role/${aws:PrincipalTag/team}", "*", "t", "*:aws:sns:us-east-1:" + home + ":t",
			"arn:aws:sns:us-east-1:" + home + ":?", "arn:aws:iam::" + home + ":role/R", "arn:aws:s*:us-east-1:" + home + ":t"},
	}
	operatorFamilies = map[string][]string{
		"String":  {"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike"},
		"Numeric": {"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals"},
		"Date":    {"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals"},
		"Bool":    {"Bool"},
		"Binary":  {"BinaryEquals"},
		"Ip":      {"IpAddress", "NotIpAddress"},
		"Arn":     {"ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"},
	}
	familyOfKey = map[string]string{"s3:max-keys": "Numeric", "aws:CurrentTime": "Date", "aws:SecureTransport": "Bool",
		"aws:MultiFactorAuthPresent": "Bool", "x:binary": "Binary", "aws:SourceIp": "Ip", "aws:SourceArn": "Arn"}
	families = []string{"String", "Numeric", "Date", "Bool", "Binary", "Ip", "Arn"}

	principalsAWS = []string{aliceARN, aliceARN, roleARN, sessionARN, sessionARN, federatedARN, rootARN, home, linkedARN, other, "*", aliceID, roleID, pathedRoleARN, pathedSessionARN,
		"arn:aws:iam::" + home + ":user/Alice", "arn:aws:iam::" + home + ":user/*", "arn:aws:sts::" + home + ":assumed-role/R/t", "arn:aws:sts::" + home + ":federated-user/alice",
		"arn:aws-cn:iam::" + home + ":root", "arn:aws:iam:x:" + home + ":root", "arn:aws:iam::" + other + ":root", ""}
)

func pick[T any](r *rand.Rand, list []T) T  { return list[r.IntN(len(list))] }
func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }
func scalarOrList(r *rand.Rand, l []string) any {
	if len(l) == 1 && chance(r, 60) {
		return l[0]
	}
	return l
}

// RandomPolicies makes the policies of a case, as ReadPolicies takes them. The same generator state gives the same text.
func RandomPolicies(r *rand.Rand) []byte {
	given := map[string]any{}
	for _, slot := range []struct {
		name    string
		percent int
	}{{"identity", 88}, {"resource", 72}, {"boundary", 20}, {"session", 35}, {"endpoint", 15}} {
		if chance(r, slot.percent) {
			given[slot.name] = randomList(r, slot.name)
		}
	}
	for _, name := range []string{"serviceControl", "resourceControl"} {
		if chance(r, 20) {
			levels := []any{}
			for range 1 + r.IntN(3) - r.IntN(12)/11 {
				levels = append(levels, randomList(r, name))
			}
			given[name] = levels
		}
	}
	if chance(r, 12) {
		given["requiresResource"] = true
	}
	text, _ := json.Marshal(given) // maps of strings and lists marshal
	return text
}

// randomList is a list of policies; what only restricts is more often open, or hardly a request would pass.
func randomList(r *rand.Rand, name string) []any {
	open := map[string]int{"identity": 70, "resource": 50}
	percent, grants := open[name]
	if !grants {
		percent = 85
	}
	list := []any{}
	if chance(r, percent) {
		list = append(list, wholeDocument(r, name))
		if chance(r, 50) {
			return list
		}
	} else if !grants && chance(r, 15) {
		return list
	}
	for range 1 + r.IntN(6)/3 {
		list = append(list, map[string]any{"name": "p" + strconv.Itoa(len(list)), "document": randomDocument(r, name)})
	}
	return list
}

// wholeDocument allows everything; a resource policy allows it to a random principal.
func wholeDocument(r *rand.Rand, name string) any {
	st := map[string]any{"Effect": "Allow", "Action": "*", "Resource": "*"}
	if named(name) {
		st["Principal"] = "*"
	}
	if name == "resource" && chance(r, 75) {
		st["Principal"] = randomPrincipal(r, "Principal", name)
	}
	return map[string]any{"name": "Full", "document": map[string]any{"Version": "2012-10-17", "Statement": st}}
}

func randomDocument(r *rand.Rand, name string) map[string]any {
	doc := map[string]any{}
	if version := r.IntN(10); version < 8 {
		doc["Version"] = "2012-10-17"
	} else if version == 8 {
		doc["Version"] = "2008-10-17"
	}
	statements := []any{randomStatement(r, name)}
	for chance(r, 25) {
		statements = append(statements, randomStatement(r, name))
	}
	doc["Statement"] = statements
	if len(statements) == 1 && chance(r, 30) {
		doc["Statement"] = statements[0]
	}
	return doc
}

func randomStatement(r *rand.Rand, name string) map[string]any {
	st := map[string]any{"Effect": "Allow"}
	if chance(r, 72) {
		st["Effect"] = "Deny"
	}
	if chance(r, 12) {
		st["Sid"] = "S" + strconv.Itoa(r.IntN(9))
	}
	put := func(element string, negate int, values []string) {
		list := []string{pick(r, values)}
		for chance(r, 35) {
			list = append(list, pick(r, values))
		}
		if chance(r, 1) {
			list = []string{}
		}
		if element == "Action" && chance(r, 3) { // so many services that they are looked up
			for _, service := range strings.Fields("ec2 iam sns sqs sso ssm rds ecs eks") {
				list = append(list, service+":Get*")
			}
		}
		if chance(r, negate) {
			element = "Not" + element
		}
		st[element] = scalarOrList(r, list)
	}
	put("Action", 12, policyActions)
	if !(name == "resource" && chance(r, 10)) { // as in a trust policy
		put("Resource", 12, policyResources)
	}
	if named(name) {
		element := "Principal"
		if name == "resource" && chance(r, 12) || name == "endpoint" && chance(r, 6) {
			element = "NotPrincipal"
		}
		st[element] = randomPrincipal(r, element, name)
	}
	if chance(r, 55) {
		st["Condition"] = randomCondition(r)
	}
	if chance(r, 2) {
		spoil(r, st)
	}
	return st
}

// spoil makes a statement that AWS would not store, and that a document may hold all the same.
func spoil(r *rand.Rand, st map[string]any) {
	switch r.IntN(4) {
	case 0:
		if _, not := st["NotPrincipal"]; !not {
			st["Principal"] = map[string]any{"AWS": aliceARN}
		}
	case 1:
		delete(st, "Principal")
	case 2:
		delete(st, "Resource")
	case 3:
		st["Effect"] = "allow"
	}
}

// named says whether a type of policy has a Principal element.
func named(name string) bool {
	return name == "resource" || name == "endpoint" || name == "resourceControl"
}

func randomPrincipal(r *rand.Rand, element, name string) any {
	if name == "resourceControl" && chance(r, 90) || element == "Principal" && chance(r, 25) {
		return "*"
	}
	kinds := map[string]any{}
	list := []string{pick(r, principalsAWS)}
	for chance(r, 40) {
		list = append(list, pick(r, principalsAWS))
	}
	if chance(r, 90) {
		kinds["AWS"] = scalarOrList(r, list)
	}
	if len(kinds) == 0 || chance(r, 15) {
		kinds["Service"] = scalarOrList(r, []string{pick(r, []string{"x.amazonaws.com", "x.amazonaws.com", "y.amazonaws.com", "*"})})
	}
	if chance(r, 12) {
		kinds["Federated"] = pick(r, []string{"accounts.google.com", samlARN, "www.amazon.com", "*"})
	}
	if chance(r, 3) {
		kinds["CanonicalUser"] = pick(r, []string{"79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be", aliceID})
	}
	return kinds
}

func randomCondition(r *rand.Rand) map[string]any {
	condition := map[string]any{}
	for {
		operator, key, values := randomOperator(r)
		keys, ok := condition[operator].(map[string]any)
		if !ok {
			keys = map[string]any{}
			condition[operator] = keys
		}
		for written := range keys {
			if asciiLower(written) == asciiLower(key) { // one key in two spellings is no policy that AWS would take
				key = written
			}
		}
		keys[key] = scalarOrList(r, values)
		if chance(r, 70) {
			break
		}
	}
	for operator := range condition { // and neither is one operator in two
		if lower := asciiLower(operator); lower != operator && condition[lower] != nil {
			delete(condition, lower)
		}
	}
	return condition
}

func randomOperator(r *rand.Rand) (operator, key string, values []string) {
	key = pick(r, contextKeys)
	family, ok := familyOfKey[key]
	if !ok {
		family = "String"
	}
	if chance(r, 8) {
		family = pick(r, families)
	}
	if chance(r, 10) {
		operator = "Null"
		values = []string{pick(r, []string{"true", "false", "true", "false", "none"})}
		if chance(r, 5) {
			values = append(values, "true")
		}
	} else {
		operator = pick(r, operatorFamilies[family])
		values = []string{pick(r, policyValues[family])}
		for chance(r, 40) {
			values = append(values, pick(r, policyValues[family]))
		}
		if chance(r, 3) { // so many texts that they are looked up
			values = append(values, strings.Fields("m n o p q r s t u v w x y z")...)
		}
	}
	if chance(r, 1) {
		values = []string{}
	}
	if chance(r, 25) && operator != "Null" || chance(r, 1) {
		operator += "IfExists"
	}
	if key == "aws:TagKeys" && chance(r, 70) || chance(r, 15) {
		operator = pick(r, []string{"ForAllValues:", "ForAnyValue:"}) + operator
	}
	if chance(r, 2) {
		operator = pick(r, []string{"Foo", "stringequals", "ForSome:StringEquals", "StringEqualsIfExistsIfExists", "ForAllValues:ForAnyValue:StringLike"})
	}
	return operator, randomCase(r, key), values
}

// randomCase: key names are not case-sensitive.
func randomCase(r *rand.Rand, key string) string {
	if chance(r, 90) {
		return key
	}
	return asciiLower(key)
}
