package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// in a statement of an otherwise good document
func inStatement(members string) string { return `{"Statement":[{` + members + `}]}` }

func TestWhatIsNotInTheGrammarIsRefusedWithPlaceAndExpectation(t *testing.T) {
	for _, c := range []struct{ text, at, want string }{ // at: the text that stands at the offset
		{``, ``, `the policy ends early: an object is expected`},
		{`  [] `, `[] `, `an object is expected`},
		{`"x"`, `"x"`, `an object is expected`},
		{`{`, ``, `the name of a member must be a string`},
		{`{"Version"`, ``, `the policy ends early: a colon is expected`},
		{`{"Version" "2012-10-17"}`, `"2012-10-17"}`, `a colon is expected`},
		{`{"Version":"2012-10-17"`, ``, `the policy ends early: a comma or a closing brace is expected`},
		{`{"Version":"2012-10-17" "Id":"i"}`, `"Id":"i"}`, `a comma or a closing brace is expected`},
		{`{"Version":"2012-10-17",}`, `}`, `the name of a member must be a string`},
		{`{"Version":20121017}`, `20121017}`, `Version must be a string`},
		{`{"Id":null}`, `null}`, `Id must be a string`},
		{`{"Statement":[]} x`, `x`, `nothing may follow the policy`},
		{`{"Statement":[]}{}`, `{}`, `nothing may follow the policy`},
		{`{"Statement":[{}`, ``, `the policy ends early: a comma or a closing bracket is expected`},
		{`{"Statement":[{} {}]}`, `{}]}`, `a comma or a closing bracket is expected`},
		{`{"Statement":[{},]}`, `]}`, `an object is expected`},
		{`{"Statement":"x"}`, `"x"}`, `an object is expected`},
		{`{"Version":"2012-10-17","version":"2008-10-17"}`, `"version":"2008-10-17"}`, `the member "version" stands twice or its name is not ASCII`},
		{`{"Version":"2012-10-17","Version":"2012-10-17"}`, `"Version":"2012-10-17"}`, `the member "Version" stands twice or its name is not ASCII`},
		{"{\"\u017ftatement\":[]}", "\"\u017ftatement\":[]}", `the member "ſtatement" stands twice or its name is not ASCII`},
		{`{"Statment":[]}`, `[]}`, `unknown element "Statment"; a policy has Version, Id and Statement`},
		{`{"version":"2012-10-17"}`, `"2012-10-17"}`, `unknown element "version"; a policy has Version, Id and Statement`},
		{inStatement(`"effect":"Allow"`), `"Allow"}]}`, `unknown element "effect" in a statement`},
		{inStatement(`"Effect":"Allow","Effect":"Deny"`), `"Effect":"Deny"}]}`, `the member "Effect" stands twice or its name is not ASCII`},
		{inStatement(`"Effect":true`), `true}]}`, `Effect must be a string`},
		{inStatement(`"Sid":["s"]`), `["s"]}]}`, `Sid must be a string`},
		{inStatement(`"Action":1`), `1}]}`, `Action must be a string`},
		{inStatement(`"Action":["a:b",1]`), `1]}]}`, `every value of Action must be a string`},
		{inStatement(`"Action":{"a":"b"}`), `{"a":"b"}}]}`, `Action must be a string`},
		{inStatement(`"Resource":1`), `1}]}`, `Resource must be a string`},
		{inStatement(`"NotResource":["*",true]`), `true]}]}`, `every value of NotResource must be a string`},
		{inStatement(`"Action":"a:b","NotAction":"c:d"`), `"c:d"}]}`, `a statement has Action or NotAction, once`},
		{inStatement(`"Resource":"*","NotResource":"*"`), `"*"}]}`, `a statement has Resource or NotResource, once`},
		{inStatement(`"Principal":"*","NotPrincipal":"*"`), `"*"}]}`, `a statement has Principal or NotPrincipal, once`},
		{inStatement(`"Principal":"x"`), `}]}`, `a Principal that is a string must be "*"`},
		{inStatement(`"Principal":["*"]`), `["*"]}]}`, `a Principal is an object or "*"`},
		{inStatement(`"Principal":{"AWS":7}`), `7}}]}`, `AWS must be a string`},
		{inStatement(`"Principal":{"AWS":"1","aws":"2"}`), `"aws":"2"}}]}`, `the member "aws" stands twice or its name is not ASCII`},
		{inStatement(`"Condition":[]`), `[]}]}`, `an object is expected`},
		{inStatement(`"Condition":{"Bool":"true"}`), `"true"}}]}`, `an object is expected`},
		{inStatement(`"Condition":{"Bool":{"a:b":{"c":"d"}}}`), `{"c":"d"}}}}]}`, `a:b must be a string, a number or a boolean`},
		{inStatement(`"Condition":{"Bool":{"a:b":null}}`), `null}}}]}`, `a:b must be a string, a number or a boolean`},
		{inStatement(`"Condition":{"Bool":{"a:b":True}}`), `True}}}]}`, `a:b must be a string, a number or a boolean`},
		{inStatement(`"Condition":{"Bool":{"a:b":"c","A:B":"c"}}`), `"A:B":"c"}}}]}`, `the member "A:B" stands twice or its name is not ASCII`},
		{inStatement(`"Condition":{"Bool":{},"bool":{}}`), `"bool":{}}}]}`, `the member "bool" stands twice or its name is not ASCII`},
		{`{"Id":"a` + "\n" + `b"}`, "\nb\"}", `a control character in a string must be escaped`},
		{`{"Id":"\t` + "\n" + `b"}`, "\nb\"}", `a control character in a string must be escaped`},
		{`{"Id":"abc`, ``, `a string has no end`},
		{`{"Id":"a\\`, ``, `a string has no end`},
		{`{"Id":"a\`, `\`, `this escape is none of JSON`},
		{`{"Id":"\u0041`, ``, `a string has no end`},
		{`{"Id":"\x"}`, `\x"}`, `this escape is none of JSON`},
		{`{"Id":"\u12g4"}`, `\u12g4"}`, `this escape is none of JSON`},
		{`{"Id":"\u12"}`, `\u12"}`, `this escape is none of JSON`},
		{`{"Id":"\ud800"}`, `\ud800"}`, `this escape is none of JSON`},
		{`{"Id":"\ud800\u0041"}`, `\ud800\u0041"}`, `this escape is none of JSON`},
		{`{"Id":"\udc00\udc00"}`, `\udc00\udc00"}`, `this escape is none of JSON`},
		{`{"Id":"\u0000"}`, `\u0000"}`, `a policy holds no control characters`},
		{`{"Id":"\b"}`, `\b"}`, `a policy holds no control characters`},
		{inStatement(`"Statement":[]`), `[]}]}`, `unknown element "Statement" in a statement`},
		{`{"Statement":[` + strings.Repeat(`{},`, 9000), "", `the policy has too many parts`},
		{`{"Id":"` + strings.Repeat("x", maxDocument) + `"}`, "", `the policy is longer than 262144 bytes`},
		{"{\"Id\":\"\xff\"}", "", `the policy is not UTF-8`},
	} {
		d, err := Parse([]byte(c.text))
		var e *SyntaxError
		if !errors.As(err, &e) {
			t.Errorf("%.60s: %v, %v", c.text, d, err)
			continue
		}
		if e.Message != c.want || c.at != "" && c.text[e.Offset:] != c.at {
			t.Errorf("%.60s: %q at %q, want %q at %q", c.text, e.Message, c.text[e.Offset:min(len(c.text), e.Offset+20)], c.want, c.at)
		}
		if !strings.Contains(err.Error(), c.want+" (at byte ") {
			t.Errorf("%q", err)
		}
	}
}

func TestEveryFormThatTheGrammarAllowsParses(t *testing.T) {
	d, err := Parse([]byte("\t{ \"Id\" : \"cd\\u0041\\ud83d\\ude00\\/\\\\\\\"\\n\\r\\t\" ,\r\n\"Version\":\"2012-10-17\",\"Statement\": [ {\"Sid\":\"\",\"Effect\":\"Allow\",\"Principal\":{\"AWS\":[\"1\",\"2\"],\"Service\":\"s\"},\"Action\":[],\"Resource\":\"*\"," +
		`"Condition":{"A":{"k:v":[1,-1.5e+10,0.5E-7,1e5,true,false,"x"]}} } ] }` + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "cdA\U0001f600/\\\"\n\r\t"; d.id != want {
		t.Errorf("%q", d.id)
	}
	if got := d.statements[0].conditions[0].values; !slices.Equal(got, []string{"1", "-1.5e+10", "0.5E-7", "1e5", "true", "false", "x"}) {
		t.Errorf("%q", got)
	}
	if got := d.Principals("AWS"); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("%q", got)
	}
	for _, number := range []string{"01", "-", "1.", ".5", "1e", "1e+", "+1", "0x1", "1.5.5", "truefalse", "-01", "NaN"} {
		if _, err := Parse([]byte(inStatement(`"Condition":{"A":{"k:v":` + number + `}}`))); err == nil {
			t.Errorf("%s is a value", number)
		}
	}
}

func TestAMemberMayHaveANameThatOneWithinItHas(t *testing.T) {
	d, err := Parse([]byte(`{"Statement":{"Condition":{"Bool":{"Version":"true","Bool":"true"},"Null":{"Bool":"true"}}},"Version":"2012-10-17"}`))
	if err != nil || d.version != "2012-10-17" || len(d.statements[0].conditions) != 3 {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestADocumentTellsItsPlacesPrincipalsAndKeys(t *testing.T) {
	text := `{"Statement":[{"Effect":"Deny"}, {"Resource":["arn:aws:s3:::${aws:username}/${*}/${x:y, 'z'}/${","${AWS:UserName}"],"Condition":{"StringLike":{"aws:userid":["${a:b}","c"]}}}]}`
	d, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if start, end := d.Statement(0); text[start:end] != `{"Effect":"Deny"}` {
		t.Errorf("%d-%d", start, end)
	}
	for _, n := range []int{-1, 2} {
		if start, end := d.Statement(n); start != 0 || end != 0 {
			t.Errorf("statement %d: %d-%d", n, start, end)
		}
	}
	if got := d.ContextKeys(); !slices.Equal(got, []string{"aws:username", "x:y", "aws:userid", "a:b"}) {
		t.Errorf("%q", got)
	}
	if got := d.Principals("AWS"); got != nil {
		t.Errorf("%q", got)
	}
}

// The words are those of MalformedPolicyDocument in IAM's answers.
func TestWhatAWSWouldNotStoreIsInvalid(t *testing.T) {
	const (
		identity = `"Effect":"Allow","Action":"s3:*","Resource":"*"`
		trust    = `"Effect":"Allow","Action":"sts:AssumeRole"`
		account  = `,"Principal":{"AWS":"111122223333"}`
		everyone = `,"Principal":"*"`
	)
	condition := func(c string) string { return statementPolicy(identity + `,"Condition":{` + c + `}`) }
	two := func(sid string) string {
		return `{"Version":"2012-10-17","Statement":[{"Sid":"` + sid + `",` + identity + `},{"Sid":"` + sid + `",` + identity + `}]}`
	}
	for _, c := range []struct {
		t          Type
		text, want string
	}{
		{Identity, statementPolicy(identity), ""},
		{Session, statementPolicy(identity), ""},
		{ServiceControl, statementPolicy(identity), ""},
		{ResourceControl, statementPolicy(identity + everyone), ""},
		{ResourceControl, statementPolicy(identity), errNoPrincipal.Error()},
		{ResourceControl, statementPolicy(identity + account), errEveryone.Error()},
		{ResourceControl, statementPolicy(identity + `,"Principal":{"AWS":"*"}`), errEveryone.Error()},
		{ResourceControl, statementPolicy(identity + `,"NotPrincipal":"*"`), errEveryone.Error()},
		{ResourceControl, statementPolicy(`"Effect":"Deny","NotAction":"s3:*","Resource":"*"` + everyone), errNotAction.Error()},
		{Resource, statementPolicy(identity + account), ""},
		{Trust, statementPolicy(trust + account), ""},
		{Endpoint, statementPolicy(identity), errSyntax.Error()},
		{Boundary, statementPolicy(identity), errSyntax.Error()},
		{NoPolicy, statementPolicy(identity), errSyntax.Error()},
		{200, statementPolicy(identity), errSyntax.Error()},
		{Identity, `{"Version":"2012-10-18","Statement":{` + identity + `}}`, errSyntax.Error()},
		{Identity, `{"Version":"2008-10-17","Statement":{` + identity + `}}`, ""},
		{Identity, `{"Statement":{` + identity + `}}`, ""},
		{ServiceControl, `{"Statement":{` + identity + `}}`, errNoVersion.Error()},
		{ResourceControl, `{"Version":"2008-10-17","Statement":{` + identity + everyone + `}}`, errNoVersion.Error()},
		{Identity, `{"Version":"2012-10-17","Statement":[]}`, errStatement.Error()},
		{Identity, `{"Version":"2012-10-17"}`, errStatement.Error()},
		{Identity, two("s"), errSids.Error()},
		{Identity, two(""), ""},
		{Identity, statementPolicy(`"Sid":"with space",` + identity), errSidForm.Error()},
		{Resource, statementPolicy(`"Sid":"with space",` + identity + account), ""},
		{Identity, statementPolicy(`"Action":"s3:*","Resource":"*"`), errEffect.Error()},
		{Identity, statementPolicy(`"Effect":"allow","Action":"s3:*","Resource":"*"`), errSyntax.Error()},
		{Identity, statementPolicy(`"Effect":"Allow","Resource":"*"`), errNoAction.Error()},
		{Identity, statementPolicy(`"Effect":"Allow","Action":[],"Resource":"*"`), errNoAction.Error()},
		{Identity, statementPolicy(`"Effect":"Allow","NotAction":[],"Resource":"*"`), errNoAction.Error()},
		{Identity, statementPolicy(`"Effect":"Allow","Action":"s3:*"`), errNoResource.Error()},
		{Identity, statementPolicy(`"Effect":"Allow","Action":"s3:*","Resource":[]`), errNoResource.Error()},
		{Identity, statementPolicy(identity + account), errPrincipal.Error()},
		{Session, statementPolicy(identity + `,"NotPrincipal":{"AWS":"111122223333"}`), errPrincipal.Error()},
		{Resource, statementPolicy(identity), errNoPrincipal.Error()},
		{Trust, statementPolicy(trust), errNoPrincipal.Error()},
		{Trust, statementPolicy(trust + account + `,"NotResource":"*"`), errHasResource.Error()},
		{Trust, statementPolicy(trust + `,"NotPrincipal":{"AWS":"111122223333"}`), "Allow with NotPrincipal is not allowed."},
		{Trust, statementPolicy(`"Effect":"Allow","Action":"*"` + account), errTrustAction.Error()},
		{Trust, statementPolicy(`"Effect":"Allow","Action":"s3:GetObject"` + account), errTrustAction.Error()},
		{Trust, statementPolicy(`"Effect":"Allow","Action":"STS:AssumeRole"` + account), ""},
		{Trust, statementPolicy(trust + `,"Principal":{"Group":"g"}`), errSyntax.Error()},
		{Trust, statementPolicy(trust + `,"Principal":{"AWS":[]}`), errNoPrincipal.Error()},
		{Trust, statementPolicy(trust + `,"Principal":{"AWS":"*"}`), ""},
		{Trust, statementPolicy(trust + `,"Principal":{"Service":"*"}`), `Invalid principal in policy: "Service":"*"`},
		{Trust, statementPolicy(trust + `,"Principal":{"Service":"ec2.amazonaws.com"}`), ""},
		{Trust, statementPolicy(trust + `,"Principal":{"Service":"ec2"}`), `Invalid principal in policy: "Service":"ec2"`},
		{Trust, statementPolicy(trust + `,"Principal":{"Federated":"accounts.google.com"}`), ""},
		{Trust, statementPolicy(trust + `,"Principal":{"Federated":""}`), `Invalid principal in policy: "Federated":""`},
		{Trust, statementPolicy(trust + `,"Principal":{"AWS":"arn:aws:iam::111122223333:user/*"}`), `Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:user/*"`},
		{Trust, statementPolicy(trust + `,"Principal":{"AWS":"arn:aws:iam"}`), `Invalid principal in policy: "AWS":"arn:aws:iam"`},
		{Trust, statementPolicy(trust + `,"Principal":{"AWS":"11112222333"}`), `Invalid principal in policy: "AWS":"11112222333"`},
		{Trust, statementPolicy(trust + `,"Principal":{"AWS":"AROA-BBBBBBBBBBBBBBB"}`), `Invalid principal in policy: "AWS":"AROA-BBBBBBBBBBBBBBB"`},
		{Trust, statementPolicy(trust + `,"Principal":{"AWS":"AROABBBBBBBBBBBBBBBBB"}`), ""},
		{Trust, statementPolicy(trust + `,"Principal":{"AWS":"arn:aws:iam::111122223333:user/é"}`), `Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:user/é"`},
		{Resource, statementPolicy(identity + `,"Principal":{"CanonicalUser":"79a5"}`), ""},
		{Identity, statementPolicy(`"Effect":"Allow","Action":"s3","Resource":"*"`), errVendor.Error()},
		{Identity, statementPolicy(`"Effect":"Allow","Action":":Get","Resource":"*"`), errVendor.Error()},
		{Identity, statementPolicy(`"Effect":"Allow","Action":"s3:","Resource":"*"`), errFormat.Error()},
		{Identity, statementPolicy(`"Effect":"Allow","Action":"s3:Get Object","Resource":"*"`), errFormat.Error()},
		{Identity, statementPolicy(`"Effect":"Allow","Action":"s 3:Get","Resource":"*"`), errFormat.Error()},
		{Identity, statementPolicy(`"Effect":"Allow","Action":"s3:${aws:username}","Resource":"*"`), errFormat.Error()},
		{Identity, statementPolicy(`"Effect":"Allow","Action":"*","Resource":"bucket"`), `Resource bucket must be in ARN format or "*".`},
		{Identity, condition(`"StringSounds":{"aws:username":"x"}`), "Invalid Condition type : StringSounds."},
		{Identity, condition(`"ForSomeValue:StringEquals":{"aws:username":"x"}`), "Invalid Condition type : ForSomeValue:StringEquals."},
		{Identity, condition(`"NullIfExists":{"aws:username":"true"}`), "Invalid Condition type : NullIfExists."},
		{Identity, condition(`"ForAnyValue:Null":{"aws:username":"true"}`), "Invalid Condition type : ForAnyValue:Null."},
		{Identity, condition(`"ForAllValues:StringEqualsIfExists":{"aws:username":"x"}`), ""},
		{Identity, condition(`"StringEquals":{"username":"x"}`), errVendor.Error()},
		{Identity, condition(`"StringEquals":{":username":"x"}`), errVendor.Error()},
		{Identity, condition(`"StringEquals":{"aws:":"x"}`), errVendor.Error()},
		{Identity, condition(`"Null":{"aws:username":"maybe"}`), errSyntax.Error()},
		{Identity, condition(`"Null":{"aws:username":[]}`), errSyntax.Error()},
		{Identity, condition(`"Null":{"aws:username":["true",false]}`), ""},
		{Identity, condition(`"NumericEquals":{"s3:max-keys":"ten"}`), "The value ten is not valid for the condition NumericEquals s3:max-keys."},
		{Identity, condition(`"NumericEquals":{"s3:max-keys":1e3}`), "The value 1e3 is not valid for the condition NumericEquals s3:max-keys."},
		{Identity, condition(`"NumericEquals":{"s3:max-keys":[10,"1.5","-3"]}`), ""},
		{Identity, condition(`"DateLessThan":{"aws:CurrentTime":"2026-02-30"}`), "The value 2026-02-30 is not valid for the condition DateLessThan aws:CurrentTime."},
		{Identity, condition(`"DateLessThan":{"aws:CurrentTime":"2026-02-28T00:00:00"}`), "The value 2026-02-28T00:00:00 is not valid for the condition DateLessThan aws:CurrentTime."},
		{Identity, condition(`"DateLessThan":{"aws:CurrentTime":["2026-02-28T00:00:00Z","1767225600"]}`), ""},
		{Identity, condition(`"Bool":{"aws:SecureTransport":"yes"}`), "The value yes is not valid for the condition Bool aws:SecureTransport."},
		{Identity, condition(`"Bool":{"aws:SecureTransport":"${aws:username}"}`), ""},
		{Identity, condition(`"BinaryEquals":{"k:b":"%"}`), "The value % is not valid for the condition BinaryEquals k:b."},
		{Identity, condition(`"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}`), "The value 10.0.0.0/33 is not valid for the condition IpAddress aws:SourceIp."},
		{Identity, condition(`"ArnLike":{"aws:SourceArn":"bucket"}`), "The value bucket is not valid for the condition ArnLike aws:SourceArn."},
	} {
		d, err := Parse([]byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := d.Validate(c.t); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s as %s: %q, want %q", c.text, c.t, got, c.want)
		}
	}
}

func TestWhatAnEscapeComesTo(t *testing.T) {
	for c := byte(' '); c < 0x7f; c++ {
		if c == '"' {
			continue
		}
		value := strings.IndexByte("0123456789abcdef", c|0x20)
		if c < '0' { // a digit has the bit
			value = -1
		}
		d, err := Parse([]byte(`{"Id":"\u1` + string(c) + `0ax"}`))
		if ok := err == nil; ok != (value >= 0) {
			t.Errorf("%q is a digit: %v", c, ok)
		} else if want := string(rune(0x100a+value<<8)) + "x"; ok && d.id != want {
			t.Errorf("%q: %q, want %q", c, d.id, want)
		}
	}
	for escape, want := range map[string]string{`\ud7ff`: "\ud7ff", `\ue000`: "\ue000", `\uffff`: "\uffff", `\ud800\udc00`: "\U00010000", `\udbff\udfff`: "\U0010ffff", `\uD83D\uDE00`: "\U0001f600",
		`\u0020`: " ", `\u0009`: "\t"} {
		if d, err := Parse([]byte(`{"Id":"` + escape + `x"}`)); err != nil || d.id != want+"x" {
			t.Errorf("%s: %v", escape, err)
		}
	}
	for _, escape := range []string{`\ud800`, `\udbff`, `\udc00`, `\udfff`, `\udfff\udc00`, `\udc00\udc00`, `\ud800\udbff`, `\ud800\ue000`, `\ud800\ud800`, `\ud800xudc00`, `\ud800\xdc00`, `\ud800\udc0`, `\u001f`, `\u000`, `\u`, `\`,
		"\\t\x1f", "\x1f", "\\t\x00"} {
		if d, err := Parse([]byte(`{"Id":"` + escape + `"}`)); err == nil {
			t.Errorf("%s is %q", escape, d.id)
		}
	}
	if d, err := Parse([]byte("{\"Id\":\"\\t \x7f\"}")); err != nil || d.id != "\t \x7f" {
		t.Error(err)
	}
}

func TestTheLimitsOfADocument(t *testing.T) {
	long := `{"Id":"` + strings.Repeat("x", 262144-9) + `"}`
	if _, err := Parse([]byte(long)); err != nil {
		t.Errorf("%d bytes: %v", len(long), err)
	}
	for _, text := range []string{long + " ", "{}\xff"} { // of neither is a place told
		if _, err := Parse([]byte(text)); err == nil || err.(*SyntaxError).Offset != 0 {
			t.Errorf("%d bytes: %v", len(text), err)
		}
	}
	for _, end := range []string{`1`, `-`, `true`, `[1`, `["x"`, `"x`, `"\`, ``} { // the text ends in a value
		if d, err := Parse([]byte(`{"Statement":{"Condition":{"A":{"k:v":` + end)); err == nil {
			t.Errorf("%s: %v", end, d)
		}
	}
	for number, ok := range map[string]bool{"9": true, "19": true, "1e9": true, "1e5x": false, "1ex": false, "9.9": true, "1.x": false, "1x": false} {
		if _, err := Parse([]byte(inStatement(`"Condition":{"A":{"k:v":` + number + `}}`))); (err == nil) != ok {
			t.Errorf("%s: %v", number, err)
		}
	}
}
