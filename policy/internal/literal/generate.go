package literal

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
)

// The alphabets are small, so that what a policy names is often what a request has, and nearly so the rest of the time.
const (
	home  = "111111111111"
	other = "222222222222"
)

var (
	requestActions = []string{"s3:GetObject", "s3:GetObject", "s3:GetObject", "s3:PutObject", "S3:getobject", "kms:Decrypt", "sts:AssumeRole"}
	policyActions  = []string{"*", "*", "*", "s3:*", "s3:*", "s3:Get*", "s3:GetObject", "S3:GETOBJECT", "s3:?etObject", "s3:Put*", "s3:GetObjec", "kms:*", "sts:*"}

	requestResources = []string{"arn:aws:s3:::b/a", "arn:aws:s3:::b/a", "arn:aws:s3:::b/alice", "arn:aws:s3:::b/a*", "arn:aws:s3:::b/A",
		"arn:aws:s3:::b/x:a", "arn:aws:sqs:us-east-1:" + home + ":q", "arn:aws:kms:us-east-1:" + home + ":key/k", "arn:aws:iam::" + home + ":role/R", "*"}
	policyResources = []string{"*", "*", "*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/a", "arn:aws:s3:::b/?", "arn:aws:s3:::*/a",
		"arn:aws:s3:::b/${aws:username}", "arn:aws:s3:::b/${AWS:UserName, 'a'}", "arn:aws:s3:::b/a${*}", "arn:aws:s3:::b/${aws:TagKeys}",
		"arn:aws:s3:::b/${x:none}", "arn:aws:*:*:*:*", "arn:aws:s3:*", "arn:aws:s3:::b/*:a", "arn:aws:*:b/a", "arn:aws:sqs:*:" + home + ":q", "arn:aws:iam::*:role/*", "arn:aws:kms:*:*:key/*"}

	contextValues = map[string][]string{
		"aws:username":               {"a", "alice", "A", "a*", "*"},
		"aws:PrincipalTag/team":      {"a", "b", "A", "a*", "", "?"},
		"aws:TagKeys":                {"a", "b", "ab", "A", ""},
		"s3:max-keys":                {"10", "10.0", "9", "-1", "0010", "1e1", "many"},
		"aws:CurrentTime":            {"2020-01-01T00:00:00Z", "2020-01-01", "2020-01-01T01:00:00+01:00", "1577836800", "2020-01-01T00:00:00.5Z", "2020", "1577836801", "soon"},
		"aws:SecureTransport":        {"true", "false", "True", "yes"},
		"x:binary":                   {"YQ==", "YWI=", "YQ", "%"},
		"aws:SourceIp":               {"10.0.0.1", "10.0.1.1", "2001:db8::1", "2001:db9::1", "10.0.0.300", "10.0.0.0/24"},
		"aws:SourceArn":              {"arn:aws:sns:us-east-1:" + home + ":t", "arn:aws:sns:us-east-1:" + other + ":t", "arn:aws:sns:us-east-1:" + home + ":t:u", "not-an-arn"},
		"aws:PrincipalArn":           {"arn:aws:iam::" + home + ":role/R", "arn:aws:iam::" + home + ":user/alice"},
		"aws:MultiFactorAuthPresent": {"true", "false"},
	}
	contextKeys = []string{"aws:username", "aws:PrincipalTag/team", "aws:TagKeys", "s3:max-keys", "aws:CurrentTime", "aws:SecureTransport",
		"x:binary", "aws:SourceIp", "aws:SourceArn", "aws:MultiFactorAuthPresent"}
	policyValues = map[string][]string{
		"String":  {"a", "b", "A", "alice", "a*", "*", "?", "", "${aws:username}", "${aws:PrincipalTag/team}", "${AWS:USERNAME}*", "${aws:username, 'a'}", "${x:none}", "${x:none, 'b'}", "${aws:TagKeys}", "${*}", "${?}", "a${*}", "${$}"},
		"Numeric": {"10", "9.5", "0", "10.00", "-1", "+10", "ten", ""},
		"Date":    {"2020-01-01T00:00:00Z", "2020-01-01", "2020-01", "2020", "1577836800", "2020-01-01T02:00+02:00", "2020-13-01", "soon"},
		"Bool":    {"true", "false", "TRUE", "yes", "${aws:SecureTransport}"},
		"Binary":  {"YQ==", "YWI=", "%%"},
		"Ip":      {"10.0.0.0/24", "10.0.0.1", "10.0.0.1/32", "10.0.0.77/24", "0.0.0.0/0", "2001:db8::/32", "2001:db8::1", "::/0", "10.0.0/24"},
		"Arn": {"arn:aws:sns:us-east-1:" + home + ":t", "arn:aws:sns:*:*:t", "arn:aws:sns:*:t", "arn:aws:sns:us-east-1:" + home + ":*", "arn:*:*:*:*:*",
			"arn:aws:sns:us-east-?:" + home + ":${x:none}", "${aws:SourceArn}", "arn:aws:iam::*:role/${aws:PrincipalTag/team}", "*", "t"},
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
)

const (
	aliceARN     = "arn:aws:iam::" + home + ":user/alice"
	roleARN      = "arn:aws:iam::" + home + ":role/R"
	sessionARN   = "arn:aws:sts::" + home + ":assumed-role/R/s"
	federatedARN = "arn:aws:sts::" + home + ":federated-user/fu"
	rootARN      = "arn:aws:iam::" + home + ":root"
	linkedARN    = "arn:aws:iam::" + home + ":role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX"
	samlARN      = "arn:aws:iam::" + home + ":saml-provider/p"
)

var callers = []struct{ kind, arn, account string }{
	{"AWS", aliceARN, home}, {"AWS", aliceARN, home}, {"AWS", aliceARN, home}, {"AWS", sessionARN, home}, {"AWS", sessionARN, home},
	{"AWS", sessionARN, home}, {"AWS", roleARN, home}, {"AWS", federatedARN, home}, {"AWS", aliceARN, home}, {"AWS", sessionARN, home}, {"AWS", linkedARN, home},
	{"RootUser", rootARN, home}, {"Anonymous", "", ""}, {"Service", "x.amazonaws.com", ""}, {"Federated", "accounts.google.com", ""}, {"Federated", samlARN, ""},
}

func pick[T any](r *rand.Rand, list []T) T  { return list[r.IntN(len(list))] }
func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }
func scalarOrList(r *rand.Rand, l []string) any {
	if len(l) == 1 && chance(r, 60) {
		return l[0]
	}
	return l
}

// Case makes one random `policy eval` line. The same generator state gives the same line.
func Case(r *rand.Rand) []byte {
	who := pick(r, callers)
	caller := map[string]any{"type": who.kind}
	if who.arn != "" {
		caller["arn"] = who.arn
	}
	if who.account != "" {
		caller["accountId"] = who.account
	}
	owner := home
	if chance(r, 20) {
		owner = other
	}
	line := map[string]any{
		"id": strconv.FormatUint(r.Uint64(), 36),
		"request": map[string]any{"principal": caller, "action": pick(r, requestActions), "resource": pick(r, requestResources),
			"resourceAccount": owner, "context": randomContext(r, who.arn)},
		"policies": randomPolicies(r),
	}
	if who.account == "" && chance(r, 90) { // what AWS has no place to attach to; now and then it is there all the same
		for _, name := range []string{"identity", "boundary", "session", "serviceControl"} {
			delete(line["policies"].(map[string]any), name)
		}
	}
	text, _ := json.Marshal(line) // maps of strings and lists marshal
	return text
}

func randomContext(r *rand.Rand, arn string) map[string]any {
	context := map[string]any{}
	for _, key := range contextKeys {
		if chance(r, 45) {
			continue
		}
		value := any(pick(r, contextValues[key]))
		if key == "aws:TagKeys" || chance(r, 6) {
			values := []string{}
			for range r.IntN(4) {
				values = append(values, pick(r, contextValues[key]))
			}
			value = values
		}
		if value == "true" && chance(r, 20) {
			value = true
		}
		context[randomCase(r, key)] = value
	}
	if arn == sessionARN && chance(r, 50) {
		context["aws:PrincipalArn"] = roleARN
	}
	return context
}

// randomCase: key names are not case-sensitive.
func randomCase(r *rand.Rand, key string) string {
	if chance(r, 90) {
		return key
	}
	return asciiLower(key)
}

func randomPolicies(r *rand.Rand) map[string]any {
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
	return given
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
	if chance(r, 70) {
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
	return st
}

// named says whether a type of policy has a Principal element.
func named(name string) bool {
	return name == "resource" || name == "endpoint" || name == "resourceControl"
}

func randomPrincipal(r *rand.Rand, element, name string) any {
	if name == "resourceControl" || element == "Principal" && chance(r, 25) {
		return "*"
	}
	kinds := map[string]any{}
	aws := []string{aliceARN, aliceARN, roleARN, sessionARN, sessionARN, federatedARN, rootARN, home, linkedARN, other, "*",
		"arn:aws:iam::" + home + ":user/Alice", "arn:aws:iam::" + home + ":user/*", "arn:aws:sts::" + home + ":assumed-role/R/t", "arn:aws:sts::" + home + ":federated-user/alice"}
	list := []string{pick(r, aws)}
	for chance(r, 40) {
		list = append(list, pick(r, aws))
	}
	if chance(r, 90) {
		kinds["AWS"] = scalarOrList(r, list)
	}
	if len(kinds) == 0 || chance(r, 15) {
		kinds["Service"] = scalarOrList(r, []string{pick(r, []string{"x.amazonaws.com", "x.amazonaws.com", "y.amazonaws.com"})})
	}
	if chance(r, 12) {
		kinds["Federated"] = pick(r, []string{"accounts.google.com", samlARN, "www.amazon.com"})
	}
	if chance(r, 3) {
		kinds["CanonicalUser"] = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"
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
			return condition
		}
	}
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
	} else {
		operator = pick(r, operatorFamilies[family])
		values = []string{pick(r, policyValues[family])}
		for chance(r, 40) {
			values = append(values, pick(r, policyValues[family]))
		}
	}
	if chance(r, 20) && operator != "Null" || chance(r, 1) {
		operator += "IfExists"
	}
	if key == "aws:TagKeys" && chance(r, 70) || chance(r, 8) {
		operator = pick(r, []string{"ForAllValues:", "ForAnyValue:"}) + operator
	}
	if chance(r, 1) {
		operator = pick(r, []string{"Foo", "stringequals", "ForSome:StringEquals", "StringEqualsIfExistsIfExists"})
	}
	return operator, randomCase(r, key), values
}
