package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Each case here is a change of one place in the package that no other test noticed.

func TestEveryOperatorAtItsEdge(t *testing.T) {
	holding := map[string][]string{ // the values of the request, among these, for which the operator with the value holds
		"StringEquals=b*":             {"b*"},
		"StringNotEquals=b*":          {"B*", "bc", "d", "d*", "", "}"},
		"StringEqualsIgnoreCase=b*":   {"b*", "B*"},
		"StringLike=b*":               {"b*", "bc"},
		"StringNotLike=b*":            {"B*", "d", "d*", "", "}"},
		"NumericEquals=2":             {"2"},
		"NumericNotEquals=2":          {"1", "3"},
		"NumericLessThan=2":           {"1"},
		"NumericLessThanEquals=2":     {"1", "2"},
		"NumericGreaterThan=2":        {"3"},
		"NumericGreaterThanEquals=2":  {"2", "3"},
		"DateEquals=2002":             {"2002-01"},
		"DateNotEquals=2002":          {"2001-01", "2003-01"},
		"DateLessThan=2002":           {"2001-01"},
		"DateLessThanEquals=2002":     {"2001-01", "2002-01"},
		"DateGreaterThan=2002":        {"2003-01"},
		"DateGreaterThanEquals=2002":  {"2002-01", "2003-01"},
		"Bool=true":                   {"true", "TRUE"},
		"Bool=${k:true}":              {"true", "TRUE"},
		"Bool=${k:false}":             {"false"},
		"BinaryEquals=YQ==":           {"YQ=="},
		"IpAddress=10.0.0.0/8":        {"10.1.2.3", "::ffff:10.1.2.3"},
		"NotIpAddress=10.0.0.0/8":     {"11.1.2.3"},
		"ArnEquals=arn:a:b:c:d:*":     {"arn:a:b:c:d:e", "arn:a:b:c:d:x:e"},
		"ArnLike=arn:a:b:c:d:*":       {"arn:a:b:c:d:e", "arn:a:b:c:d:x:e"},
		"ArnNotEquals=arn:a:b:c:d:*":  {"arn:a:b:c:x:e"},
		"ArnNotLike=arn:a:b:c:d:*":    {"arn:a:b:c:x:e"},
		"ArnLike=arn:a:b:c:${k:d}:*":  {"arn:a:b:c:d:e", "arn:a:b:c:d:x:e"},
		"StringLike=${k:d}*":          {"d", "d*"},
		"StringEquals=${k:star}":      {"b*"},
		"StringLike=${k:star}":        {"b*"},
		"StringEquals=${k:d}${*}":     {"d*"},
		"StringEquals=${k:no, 'd'}":   {"d"},
		"StringEquals=${k:no,''}":     {""},
		"StringEquals=${k:no, 'd}":    {},
		"StringEquals=${k:no, d'}":    {},
		"StringEquals=${k:no, '}":     {},
		"StringEquals=${k:none, 'd'}": {"d"},
		"StringLike=${k:wild}":        {},
		"StringLike=${k:one}":         {},
		"StringLike=ab**":             {"ab", "abc"},
		"StringLike=${k:arn}*e":       {"arn:a:b:c:d:e", "arn:a:b:c:x:e"},
		"ArnLike=${k:arn}*e":          {},
		"ArnLike=arn:a:b:${k:c}:*:e":  {"arn:a:b:c:d:e", "arn:a:b:c:x:e"},
		"StringEqualsIgnoreCase=Z":    {"z", "Z"},
		"StringEqualsIgnoreCase=${k}": {},
	}
	values := map[string][]string{"String": {"b*", "B*", "bc", "d", "d*", "", "}"}, "Numeric": {"1", "2", "3"}, "Date": {"2001-01", "2002-01", "2003-01"}, "Bool": {"true", "TRUE", "false"},
		"Binary": {"YQ==", "YWI="}, "Ip": {"10.1.2.3", "11.1.2.3", "::ffff:10.1.2.3"}, "Arn": {"arn:a:b:c:d:e", "arn:a:b:c:x:e", "arn:a:b:c:d:x:e"}}
	for row, want := range holding {
		operator, value, _ := strings.Cut(row, "=")
		among := slices.Clone(want)
		for family, list := range values {
			if len(among) == 0 || strings.HasPrefix(operator, family) || operator == "NotIpAddress" && family == "Ip" {
				among = append(among, list...)
			}
		}
		for _, v := range among {
			p := open()
			p.Identity = named(t, `"Effect":"Allow","Action":"*","Resource":"*","Condition":{"`+operator+`":{"k:v":"`+value+`"}}`)
			r := ask()
			for key, value := range map[string]string{"k:v": v, "k:true": "true", "k:false": "false", "k:d": "d", "k:star": "b*", "k:wild": "\x00", "k:one": "\x01", "k:arn": "arn:a:b", "k:c": "c"} {
				r.Context.SetOne(key, value)
			}
			r.Context.Set("k:none")
			if got := Evaluate(&p, r).Kind == Allowed; got != slices.Contains(want, v) {
				t.Errorf("%s of %s: %v", row, v, got)
			}
		}
	}
}

func TestOneUnreadableValueSpoilsAConditionWhereverItStands(t *testing.T) {
	for operator, values := range map[string][2]string{"NumericEquals": {"1", "one"}, "DateEquals": {"2002", "soon"}, "Bool": {"true", "yes"}, "BinaryEquals": {"YQ==", "%"},
		"IpAddress": {"10.0.0.1", "10.0.0"}, "ArnEquals": {"arn:a:b:c:d:e", "arn:a"}, "Null": {"false", "no"}} {
		for _, list := range []string{`"` + values[0] + `","` + values[1] + `"`, `"` + values[1] + `","` + values[0] + `"`} {
			for effect, want := range map[string]Kind{"Allow": ImplicitDeny, "Deny": ExplicitDeny} {
				p := open()
				p.Identity = named(t, `"Effect":"`+effect+`","Action":"*","Resource":"*","Condition":{"`+operator+`":{"k:v":[`+list+`]}}`)
				r := ask()
				r.Context.SetOne("k:v", values[0])
				if d := Evaluate(&p, r); d.Kind != want {
					t.Errorf("%s %s %s: %s", effect, operator, list, d.Kind)
				}
			}
		}
	}
}

func TestOnlyLettersOfASCIIFold(t *testing.T) {
	for c := range rune(0x250) {
		want := c
		if 'A' <= c && c <= 'Z' {
			want += 'a' - 'A'
		}
		if got := fold(string(c)); got != string(want) {
			t.Errorf("%q: %q", c, got)
		}
		if got := new(texts).fold(string(c)); got != string(want) {
			t.Errorf("%q: %q", c, got)
		}
		if c < 0x80 && lower(byte(c)) != byte(want) {
			t.Errorf("%q: %q", c, lower(byte(c)))
		}
	}
}

func TestWhichVariablesADocumentAsksFor(t *testing.T) {
	for resource, want := range map[string][]string{
		"${}${k:v}":      {"k:v"},
		"${ k:v }":       {"k:v"},
		"${ k:v , 'd'}":  {"k:v"},
		"${a${b}":        {"a${b"},
		"}${k:v}}${k:w}": {"k:v", "k:w"},
		"${*}${?}${$}":   nil,
		"${k:v":          nil,
		"$k:v}":          nil,
	} {
		d, err := Parse([]byte(statementPolicy(`"Resource":"` + resource + `"`)))
		if err != nil {
			t.Fatal(err)
		}
		if got := d.ContextKeys(); !slices.Equal(got, want) {
			t.Errorf("%s: %q", resource, got)
		}
	}
}

func TestWhomAPrincipalNames(t *testing.T) {
	const account = "111122223333"
	service := Principal{Kind: Service, Names: []string{"s.amazonaws.com"}}
	federated := Principal{Kind: Federated, Names: []string{"accounts.google.com"}}
	user := Principal{Kind: User, ARN: bob, Account: account, UniqueID: "AIDABOBBOBBOBBOB"}
	known := func(kind PrincipalKind) Principal { // more than is known of one of the kind
		return Principal{Kind: kind, ARN: bob, Account: account, UniqueID: "AIDABOBBOBBOBBOB", RoleARN: "r"}
	}
	for _, c := range []struct {
		who      Principal
		kind     string
		value    string
		allowed  bool
		accounts bool // by what the account's own policies allow
	}{
		{user, "AWS", bob, true, true},
		{user, "AWS", account, false, true},
		{user, "AWS", "arn:aws:iam::" + account + ":root", false, true},
		{user, "AWS", "arn:aws-cn:iam::" + account + ":root", false, true},
		{user, "AWS", "arn:aws:x:iam::" + account + ":root", false, false},
		{user, "AWS", "arn:aws:sts::" + account + ":root", false, false},
		{user, "AWS", "arn:a" + account + ":root", false, false},
		{user, "AWS", "aws:aws:iam::" + account + ":root", false, false},
		{user, "AWS", "arn:iam::" + account + ":root", false, false},
		{user, "AWS", "arn:aws:iam::" + account + ":user", false, false},
		{user, "AWS", "arn:aws:iam::x:root", false, false},
		{Principal{Kind: User}, "AWS", "", false, false},
		{Principal{Kind: User}, "AWS", "arn:aws:iam:::root", false, false},
		{service, "Service", "s.amazonaws.com", true, true},
		{service, "Service", "t.amazonaws.com", false, false},
		{service, "Federated", "s.amazonaws.com", false, false},
		{service, "AWS", "s.amazonaws.com", false, false},
		{service, "AWS", "*", false, false},
		{federated, "Federated", "accounts.google.com", true, true},
		{federated, "Federated", "x", false, false},
		{federated, "Service", "accounts.google.com", false, false},
		{federated, "AWS", "*", false, false},
		{Principal{}, "AWS", "*", true, true},
		{Principal{Names: []string{"s"}}, "Service", "s", false, false},
		{Principal{Names: []string{"s"}}, "Federated", "s", false, false},
		{known(Anonymous), "AWS", account, false, false},
		{known(Service), "AWS", account, false, false},
		{known(Federated), "AWS", account, false, false},
		{known(Anonymous), "AWS", bob, false, false},
		{known(Service), "AWS", bob, false, false},
		{known(Federated), "AWS", bob, false, false},
	} {
		for _, own := range []bool{false, true} {
			p := open()
			if p.RequiresResource = true; own {
				p.Identity = each(t, allow)
			}
			p.Resource = named(t, `"Effect":"Allow","Action":"*","Resource":"*","Principal":{"`+c.kind+`":"`+c.value+`"}`)
			r := ask()
			r.Principal = c.who
			want := own && c.accounts || c.allowed
			if got := Evaluate(&p, r).Kind == Allowed; got != want {
				t.Errorf("%+v by %s %s, with a policy of its own %v: %v", c.who, c.kind, c.value, own, got)
			}
		}
	}
}

func TestWhomANotPrincipalSpares(t *testing.T) {
	for name, c := range map[string]struct {
		who     Principal
		bounded bool
		listed  string
		spared  bool
	}{
		"a user":                              {ask().Principal, false, `{"AWS":"` + bob + `"}`, true},
		"a user with a boundary":              {ask().Principal, true, `{"AWS":"` + bob + `"}`, false},
		"a federated user with a boundary":    {Principal{Kind: FederatedUser, ARN: "f", Account: "111122223333"}, true, `{"AWS":"f"}`, false},
		"a session with a boundary":           {Principal{Kind: RoleSession, ARN: "f", Account: "111122223333"}, true, `{"AWS":"f"}`, false},
		"a service where there is a boundary": {Principal{Kind: Service, Names: []string{"s.amazonaws.com"}}, true, `{"Service":"s.amazonaws.com"}`, true},
		"a service, of everybody":             {Principal{Kind: Service, Names: []string{"s.amazonaws.com"}}, false, `{"AWS":"*"}`, false},
		"an anonymous caller, of everybody":   {Principal{}, false, `{"AWS":"*"}`, true},
	} {
		p := open()
		p.Identity = each(t, allow)
		if c.bounded {
			p.Boundary = Restrict(each(t, allow))
		}
		p.Resource = named(t, `"Effect":"Deny","Action":"*","Resource":"*","NotPrincipal":`+c.listed)
		r := ask()
		r.Principal = c.who
		if got := Evaluate(&p, r).Kind != ExplicitDeny; got != c.spared {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAPartOfAnARNStaysInItsPart(t *testing.T) {
	for resource, found := range map[string]string{"arn:aws:s*:::b": "arn:aws:s3:r:::b", "${k:a}*:::b": "arn:aws:s3:r:::b", "arn:aws:s3::*:${k:b}": "arn:aws:s3::x:y:b"} {
		p := open()
		p.Identity = named(t, `"Effect":"Allow","Action":"*","Resource":"`+resource+`"`)
		r := ask()
		r.Context.SetOne("k:a", "arn:aws:s")
		r.Context.SetOne("k:b", "b")
		if r.Resource = found; Evaluate(&p, r).Kind == Allowed {
			t.Errorf("%s is %s", found, resource)
		}
	}
}

func TestAByteThatStandsForAWildcardIsNoneInARequest(t *testing.T) {
	for pattern, found := range map[string]string{"*b": "\x00ab", "?b": "\x01b", "a?": "a\x00"} {
		p := compilePattern(pattern, true, false, false)
		if !p.matches(&evaluation{left: budget}, found, asText) {
			t.Errorf("%s does not match %q", pattern, found)
		}
	}
	for s, want := range map[string]bool{"\x00": true, "\x01": true, "a\x00": true, "a\x01": true, "*?\x02": false, "": false} {
		if wild(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

func TestNumbersInOrder(t *testing.T) {
	rows := [][]string{{"-10.5"}, {"-10"}, {"-9.5", "-09.50"}, {"-0.5"}, {"-0.05"}, {"0", "-0", "+0", "0.0", "-0.0", "00"}, {"0.05"}, {"0.5", "+0.50"}, {"1", "+1"}, {"1.5"}, {"9"}, {"10"}, {"9007199254740993"}}
	for i, row := range rows {
		for k, other := range rows {
			for _, x := range row {
				for _, y := range other {
					a, ok := toNumber(x)
					b, also := toNumber(y)
					if order := a.compare(b); !ok || !also || order < 0 != (i < k) || order > 0 != (i > k) {
						t.Errorf("%s and %s: %d, %v, %v", x, y, order, ok, also)
					}
				}
			}
		}
	}
	for _, x := range []string{"", "-", "+", "--1", "-+1", "+-1", "1.", ".5", "1.5.5", "1e1", "1.x", "x.1", " 1"} {
		if n, ok := toNumber(x); ok {
			t.Errorf("%s is %+v", x, n)
		}
	}
}

func TestFlagsDatesAndRangesOfAddresses(t *testing.T) {
	for text, want := range map[string][2]bool{"true": {true, true}, "TRUE": {true, true}, "false": {false, true}, "False": {false, true}, "": {}, "t": {}, "tru": {}, "trux": {}, "truee": {}, "f": {}, "fals": {}, "falsx": {}, "falsee": {}, "xxxxx": {}} {
		if value, ok := toFlag(text); value != want[0] || ok != want[1] {
			t.Errorf("%s: %v %v", text, value, ok)
		}
	}
	for text, want := range map[string]int64{"2020": 1577836800, "2020-01": 1577836800, "2020-01-01": 1577836800, "2020-01-01T00:00Z": 1577836800, "2020-01-01T02:00+02:00": 1577836800,
		"2020-01-01T00:00:00Z": 1577836800, "2020-01-01T00:00:00.5Z": 1577836800, "1577836800": 1577836800, "123456789012345678": 123456789012345678, "0": 0, "01577": 1577} {
		if d, ok := toDate(text); !ok || d.Unix() != want {
			t.Errorf("%s: %v %v", text, d, ok)
		}
	}
	for _, text := range []string{"", "soon", "2020-13", "2020-01-01T00Z", "2020-01-01T00:00", "2020-01-01T00:00:00", "2020-01-01T0:00:00Z", "2020-01-01T0:00+01:00", "2020-01-01T00:00:00,5Z", "1234567890123456789", "-1", "1.5"} {
		if d, ok := toDate(text); ok {
			t.Errorf("%s is %s", text, d)
		}
	}
	for text, want := range map[string]string{"10.0.0.1": "10.0.0.1/32", "10.0.0.77/24": "10.0.0.0/24", "::1": "::1/128", "2001:db8::1/96": "2001:db8::/96", "2001:db8::1/127": "2001:db8::/127",
		"::ffff:10.0.0.1": "10.0.0.1/32", "::ffff:10.1.2.3/104": "10.0.0.0/8", "::ffff:10.0.0.1/96": "0.0.0.0/0", "::ffff:10.0.0.1/95": "::fffe:0:0/95", "::ffff:10.0.0.1/97": "0.0.0.0/1"} {
		if p, ok := toPrefix(text); !ok || p.String() != want {
			t.Errorf("%s: %s %v", text, p, ok)
		}
	}
	for _, text := range []string{"", "10.0.0", "10.0.0.0/33", "fe80::1%eth0", "fe80::1%eth0/64", "10.0.0.1/"} {
		if p, ok := toPrefix(text); ok {
			t.Errorf("%s is %s", text, p)
		}
	}
}

func TestEveryStatementOfALongPolicyIsFoundUnderItsPlace(t *testing.T) {
	var list []string
	for i := range 200 {
		list = append(list, fmt.Sprintf(`{"Sid":"s%d","Effect":"Allow","Action":["a:A%d","a:B%d*"],"Resource":"*"}`, i, i, i))
	}
	p := open()
	p.Identity = []Named{{"p", compiledFrom(t, `{"Version":"2012-10-17","Statement":[`+strings.Join(list, ",")+`]}`)}}
	for i := range list {
		for _, action := range []string{"a:A%d", "a:B%d-x"} {
			r := ask()
			r.Action = fmt.Sprintf(action, i)
			d := Evaluate(&p, r)
			var found []string
			for m := range d.Matched {
				found = append(found, m.Sid)
			}
			if !slices.Contains(found, fmt.Sprint("s", i)) || strings.HasPrefix(action, "a:A") && len(found) != 1 {
				t.Errorf("%s: %v", r.Action, found)
			}
		}
	}
}

func TestAUniqueIDNamesAUserDirectlyAndASessionByItsRole(t *testing.T) {
	for kind, want := range map[PrincipalKind]Kind{User: Allowed, RoleSession: ImplicitDeny} { // of whom the boundary allows nothing
		p := open()
		p.Boundary = Restrict(nil)
		p.Resource = named(t, `"Effect":"Allow","Action":"*","Resource":"*","Principal":{"AWS":"AIDABOBBOBBOBBOB"}`)
		r := ask()
		r.Principal.Kind = kind
		if d := Evaluate(&p, r); d.Kind != want {
			t.Errorf("%d: %s by %s", kind, d.Kind, d.By)
		}
	}
}
