package policy

import (
	"testing"
)

func compiledFrom(t testing.TB, text string) *Policy {
	t.Helper()
	d, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return Compile(d)
}

// statementPolicy is a policy of one statement given by its members.
func statementPolicy(members string) string {
	return `{"Version":"2012-10-17","Statement":{` + members + `}}`
}

func named(t testing.TB, members string) []Named {
	return []Named{{"p", compiledFrom(t, statementPolicy(members))}}
}

const (
	bob   = "arn:aws:iam::111122223333:user/bob"
	thing = "arn:aws:storage:::photos/cat"
)

func open() Policies {
	return Policies{Boundary: None, Session: None, Endpoint: None, ServiceControl: None, ResourceControl: None}
}

func ask() *Request {
	return &Request{Principal: Principal{Kind: User, ARN: bob, Account: "111122223333", UniqueID: "AIDABOBBOBBOBBOB"}, Action: "storage:GetObject", Resource: thing}
}

func TestTheZeroValuesDeny(t *testing.T) {
	if d := Evaluate(&Policies{}, &Request{}); d.Kind != ImplicitDeny {
		t.Errorf("the empty world says %s", d.Kind)
	}
	allow := named(t, `"Effect":"Allow","Action":"*","Resource":"*"`)
	for name, change := range map[string]func(*Policies){
		"boundary": func(p *Policies) { p.Boundary = Restriction{} }, "session": func(p *Policies) { p.Session = Restriction{} },
		"endpoint": func(p *Policies) { p.Endpoint = Restriction{} }, "scp": func(p *Policies) { p.ServiceControl = Restriction{} },
		"rcp": func(p *Policies) { p.ResourceControl = Restriction{} }, "empty level": func(p *Policies) { p.ServiceControl = Restrict(allow, nil) },
	} {
		p := open()
		p.Identity = allow
		if Evaluate(&p, ask()).Kind != Allowed {
			t.Fatal("the full world denies")
		}
		change(&p)
		if d := Evaluate(&p, ask()); d.Kind != ImplicitDeny {
			t.Errorf("an empty %s says %s", name, d.Kind)
		}
	}
}

func TestActionsAndResourcesMatch(t *testing.T) {
	for members, want := range map[string]bool{
		`"Action":"storage:GetObject","Resource":"*"`:                              true,
		`"Action":"STORAGE:getobject","Resource":"*"`:                              true,
		`"Action":"storage:Get*","Resource":"arn:aws:storage:::photos/*"`:          true,
		`"Action":"*","Resource":"arn:aws:storage:::photos/c?t"`:                   true,
		`"Action":"s*:Get*","Resource":"*"`:                                        true,
		`"Action":"storage:GetObject","Resource":"arn:aws:storage"`:                true,
		`"Action":"storage:GetObject","Resource":"ARN:aws:storage:::*"`:            false,
		`"Action":"storage:GetObject","Resource":"arn:aws:storage:::pHotos/*"`:     false,
		`"Action":"storage:PutObject","Resource":"*"`:                              false,
		`"Action":"stor\u0061ge:GetObject","Resource":"*"`:                         true,
		`"Action":"iam:*","Resource":"*"`:                                          false,
		`"NotAction":"iam:*","Resource":"*"`:                                       true,
		`"NotAction":"storage:*","Resource":"*"`:                                   false,
		`"Action":"storage:${my:verb}*","Resource":"*"`:                            false, // a variable is none in an action
		`"Action":"*","NotResource":"arn:aws:storage:::photos/*"`:                  false,
		`"Action":"*","NotResource":"arn:aws:storage:::docs/*"`:                    true,
		`"Action":"*","Resource":"arn:aws:storage:::photos/${aws:missing}"`:        false,
		`"Action":"*","Resource":"arn:aws:storage:::photos/${aws:missing, 'cat'}"`: true,
		`"Action":"*","Resource":"arn:aws:storage:::${my:star}/cat"`:               false,
	} {
		p := open()
		p.Identity = named(t, `"Effect":"Allow",`+members)
		r := ask()
		r.Context.Set("my:verb", "get")
		r.Context.Set("my:star", "*") // a substituted star is a star, not a wildcard
		if got := Evaluate(&p, r).Kind == Allowed; got != want {
			t.Errorf("%s: allowed %v", members, got)
		}
	}
}

func TestConditions(t *testing.T) {
	for members, want := range map[string]bool{
		`"StringEquals":{"k:s":"v"}`:                        true,
		`"StringEquals":{"K:S":["x","v"]}`:                  true,
		`"StringEquals":{"k:s":"V"}`:                        false,
		`"StringEqualsIgnoreCase":{"k:s":"V"}`:              true,
		`"StringNotEquals":{"k:s":["x","v"]}`:               false,
		`"StringNotEquals":{"k:gone":"v"}`:                  true,
		`"StringEquals":{"k:gone":"v"}`:                     false,
		`"StringEqualsIfExists":{"k:gone":"v"}`:             true,
		`"StringEqualsIfExists":{"k:s":"x"}`:                false,
		`"StringLike":{"k:s":"?"}`:                          true,
		`"StringLike":{"k:s":"${k:s}"}`:                     true,
		`"StringEquals":{"k:s":"${k:gone}"}`:                false,
		`"Null":{"k:gone":"true"}`:                          true,
		`"Null":{"k:s":"true"}`:                             false,
		`"Null":{"k:s":false}`:                              true,
		`"Null":{"k:empty":"true"}`:                         true,
		`"NumericLessThan":{"k:n":11}`:                      true,
		`"NumericLessThan":{"k:n":"10"}`:                    false,
		`"NumericLessThanEquals":{"k:n":"10.0"}`:            true,
		`"NumericEquals":{"k:s":"10"}`:                      false,
		`"NumericEquals":{"k:n":"ten"}`:                     false,
		`"DateGreaterThan":{"k:d":"2026-01-01T00:00:00Z"}`:  true,
		`"DateLessThan":{"k:d":"1767225600"}`:               false,
		`"DateLessThan":{"k:d":"tomorrow"}`:                 false,
		`"Bool":{"k:b":"True"}`:                             true,
		`"Bool":{"k:b":"false"}`:                            false,
		`"Bool":{"k:b":"yes"}`:                              false,
		`"BinaryEquals":{"k:bin":"AQI="}`:                   true,
		`"IpAddress":{"k:ip":"10.0.0.0/8"}`:                 true,
		`"IpAddress":{"k:ip":"::ffff:10.0.0.0/104"}`:        true,
		`"NotIpAddress":{"k:ip":"10.0.0.0/8"}`:              false,
		`"IpAddress":{"k:ip":"10.0.0.0/33"}`:                false,
		`"ArnLike":{"k:arn":"arn:aws:iam::*:user/*"}`:       true,
		`"ArnEquals":{"k:arn":"arn:aws:*:user/bob"}`:        false,
		`"ForAllValues:StringEquals":{"k:m":["a","b","c"]}`: true,
		`"ForAllValues:StringEquals":{"k:m":["a"]}`:         false,
		`"ForAllValues:StringEquals":{"k:m":["b"]}`:         false,
		`"ForAnyValue:StringEquals":{"k:m":["a"]}`:          true,
		`"ForAnyValue:StringEquals":{"k:m":["b"]}`:          true,
		`"Null":{"k:gone":["true","false"]}`:                true,
		`"Null":{"k:s":["false","true"]}`:                   true,
		`"ForAllValues:StringEquals":{"k:gone":["a"]}`:      true,
		`"ForAnyValue:StringEquals":{"k:m":["b","z"]}`:      true,
		`"ForAnyValue:StringEquals":{"k:m":["z"]}`:          false,
		`"ForAnyValue:StringEquals":{"k:gone":["z"]}`:       false,
		`"ForAnyValue:StringNotEquals":{"k:m":["a"]}`:       true,
		`"ForAllValues:StringNotEquals":{"k:m":["z"]}`:      true,
		`"StringEquals":{"k:s":"v","k:n":"11"}`:             false,
		`"Sounds":{"k:s":"v"}`:                              false,
	} {
		for _, effect := range []string{"Allow", "Deny"} {
			p := open()
			p.Identity = named(t, `"Effect":"`+effect+`","Action":"*","Resource":"*","Condition":{`+members+`}`)
			if effect == "Deny" {
				p.Identity = append(p.Identity, named(t, `"Effect":"Allow","Action":"*","Resource":"*"`)...)
			}
			kind := Evaluate(&p, conditioned()).Kind
			switch {
			case effect == "Allow" && (kind == Allowed) != want:
				t.Errorf("Allow %s: %s", members, kind)
			case effect == "Deny" && want && kind != ExplicitDeny:
				t.Errorf("Deny %s: %s", members, kind)
			}
		}
	}
}

func conditioned() *Request {
	r := ask()
	for key, values := range map[string][]string{"k:s": {"v"}, "k:n": {"10"}, "k:d": {"2026-11-24T00:00:00Z"}, "k:b": {"true"}, "k:bin": {"AQI="},
		"k:ip": {"10.1.2.3"}, "k:arn": {bob}, "k:m": {"a", "b"}, "k:empty": {}} {
		r.Context.Set(key, values...)
	}
	return r
}

func TestWhatCannotBeUnderstoodStillDenies(t *testing.T) {
	for _, members := range []string{`"Sounds":{"k:s":"v"}`, `"NumericEquals":{"k:s":"10"}`, `"DateLessThan":{"k:d":"tomorrow"}`, `"Bool":{"k:b":"yes"}`, `"IpAddress":{"k:ip":"10.0.0.0/33"}`,
		`"ForAllValues:ForAnyValue:StringEquals":{"k:s":"w"}`, `"ForAnyValue:ForAllValues:StringEquals":{"k:s":"w"}`} {
		p := open()
		p.Identity = append(named(t, `"Effect":"Allow","Action":"*","Resource":"*"`), named(t, `"Effect":"Deny","Action":"*","Resource":"*","Condition":{`+members+`}`)...)
		if d := Evaluate(&p, conditioned()); d.Kind != ExplicitDeny {
			t.Errorf("%s: %s", members, d.Kind)
		}
	}
}

// TestHowPoliciesCombine is a truth table from "Policy evaluation logic".
func TestHowPoliciesCombine(t *testing.T) {
	allow := `"Effect":"Allow","Action":"*","Resource":"*"`
	yes, deny, none := Restrict(named(t, allow)), Restrict(named(t, `"Effect":"Deny","Action":"*","Resource":"*"`)), Restrict()
	resource := func(principal string) []Named {
		return named(t, allow+`,"Principal":`+principal)
	}
	session := Principal{Kind: RoleSession, ARN: "arn:aws:sts::111122223333:assumed-role/r/s", RoleARN: "arn:aws:iam::111122223333:role/r", Account: "111122223333", UniqueID: "AROAR"}
	for name, c := range map[string]struct {
		p     Policies
		who   *Principal
		other bool // the resource is another account's
		want  Kind
		by    Type
	}{
		"identity allows":                                         {p: Policies{Identity: named(t, allow), Boundary: None, Session: None}, want: Allowed, by: Identity},
		"nothing allows":                                          {p: Policies{Boundary: None, Session: None}, want: ImplicitDeny, by: Identity},
		"boundary leaves out":                                     {p: Policies{Identity: named(t, allow), Boundary: none, Session: None}, want: ImplicitDeny, by: Boundary},
		"boundary denies":                                         {p: Policies{Identity: named(t, allow), Boundary: deny, Session: None}, want: ExplicitDeny, by: Boundary},
		"session leaves out":                                      {p: Policies{Identity: named(t, allow), Boundary: yes, Session: none}, want: ImplicitDeny, by: Session},
		"resource names the user":                                 {p: Policies{Resource: resource(`{"AWS":"` + bob + `"}`), Boundary: none, Session: None}, want: Allowed, by: Resource},
		"resource names the account":                              {p: Policies{Resource: resource(`{"AWS":"111122223333"}`), Boundary: None, Session: None}, want: ImplicitDeny, by: Identity},
		"resource names the account by ARN":                       {p: Policies{Identity: named(t, allow), Resource: resource(`{"AWS":"arn:aws:iam::111122223333:root"}`), Boundary: None, Session: None}, want: Allowed, by: Identity},
		"resource names everyone":                                 {p: Policies{Resource: resource(`"*"`), Boundary: None, Session: None}, want: Allowed, by: Resource},
		"resource names the unique id":                            {p: Policies{Resource: resource(`{"AWS":"AIDABOBBOBBOBBOB"}`), Boundary: None, Session: None}, want: Allowed, by: Resource},
		"resource names a deleted namesake's id":                  {p: Policies{Resource: resource(`{"AWS":"AIDAOLDOLDOLDOLD"}`), Boundary: None, Session: None}, want: ImplicitDeny, by: Identity},
		"trust: identity alone is not enough":                     {p: Policies{Identity: named(t, allow), Boundary: None, Session: None, RequiresResource: true}, want: ImplicitDeny, by: Resource},
		"trust: account and identity":                             {p: Policies{Identity: named(t, allow), Resource: resource(`{"AWS":"111122223333"}`), Boundary: None, Session: None, RequiresResource: true}, want: Allowed, by: Resource},
		"trust: account without identity":                         {p: Policies{Resource: resource(`{"AWS":"111122223333"}`), Boundary: None, Session: None, RequiresResource: true}, want: ImplicitDeny, by: Identity},
		"trust: the user":                                         {p: Policies{Resource: resource(`{"AWS":"` + bob + `"}`), Boundary: None, Session: None, RequiresResource: true}, want: Allowed, by: Resource},
		"cross-account: identity alone":                           {p: Policies{Identity: named(t, allow), Boundary: None, Session: None}, other: true, want: ImplicitDeny, by: Resource},
		"cross-account: resource alone":                           {p: Policies{Resource: resource(`{"AWS":"` + bob + `"}`), Boundary: None, Session: None}, other: true, want: ImplicitDeny, by: Identity},
		"cross-account: both":                                     {p: Policies{Identity: named(t, allow), Resource: resource(`{"AWS":"111122223333"}`), Boundary: None, Session: None}, other: true, want: Allowed, by: Resource},
		"resource names the role, session leaves out":             {p: Policies{Resource: resource(`{"AWS":"arn:aws:iam::111122223333:role/r"}`), Boundary: None, Session: none}, who: &session, want: ImplicitDeny, by: Identity},
		"resource names the role":                                 {p: Policies{Resource: resource(`{"AWS":"arn:aws:iam::111122223333:role/r"}`), Boundary: None, Session: None}, who: &session, want: Allowed, by: Resource},
		"resource names the session, session leaves out":          {p: Policies{Resource: resource(`{"AWS":"arn:aws:sts::111122223333:assumed-role/r/s"}`), Boundary: none, Session: none}, who: &session, want: Allowed, by: Resource},
		"NotPrincipal denies the others":                          {p: Policies{Identity: named(t, allow), Resource: named(t, `"Effect":"Deny","Action":"*","Resource":"*","NotPrincipal":{"AWS":"arn:aws:iam::111122223333:user/eve"}`), Boundary: None, Session: None}, want: ExplicitDeny, by: Resource},
		"NotPrincipal spares the one":                             {p: Policies{Identity: named(t, allow), Resource: named(t, `"Effect":"Deny","Action":"*","Resource":"*","NotPrincipal":{"AWS":["`+bob+`","111122223333"]}`), Boundary: None, Session: None}, want: Allowed, by: Identity},
		"root has every right":                                    {p: Policies{Boundary: None, Session: None}, who: &Principal{Kind: RootUser, ARN: "arn:aws:iam::111122223333:root", Account: "111122223333"}, want: Allowed, by: Identity},
		"anonymous and everyone":                                  {p: Policies{Resource: resource(`"*"`), Boundary: None, Session: None}, who: &Principal{}, want: Allowed, by: Resource},
		"anonymous without":                                       {p: Policies{Identity: named(t, allow), Boundary: None, Session: None}, who: &Principal{}, want: ImplicitDeny, by: Resource},
		"a service":                                               {p: Policies{Resource: resource(`{"Service":"s.example.com"}`), Boundary: None, Session: None}, who: &Principal{Kind: Service, Names: []string{"s.example.com"}}, want: Allowed, by: Resource},
		"a service is no AWS principal":                           {p: Policies{Resource: resource(`{"AWS":"*"}`), Boundary: None, Session: None}, who: &Principal{Kind: Service, Names: []string{"s.example.com"}}, want: ImplicitDeny, by: Resource},
		"a service is among all principals":                       {p: Policies{Resource: resource(`"*"`), Boundary: None, Session: None}, who: &Principal{Kind: Service, Names: []string{"s.example.com"}}, want: Allowed, by: Resource},
		"in doubt, a Deny of AWS's principals is a service's too": {p: Policies{Resource: append(resource(`"*"`), named(t, `"Effect":"Deny","Action":"*","Resource":"*","Principal":{"AWS":"*"}`)...), Boundary: None, Session: None}, who: &Principal{Kind: Service, Names: []string{"s.example.com"}}, want: ExplicitDeny, by: Resource},
		"everyone and the role: the boundary limits only what the role is granted": {p: Policies{Resource: append(resource(`"*"`), resource(`{"AWS":"arn:aws:iam::111122223333:role/r"}`)...), Boundary: none, Session: None}, who: &session, want: Allowed, by: Resource},
	} {
		c.p.Endpoint, c.p.ServiceControl, c.p.ResourceControl = None, None, None
		r := ask()
		if c.who != nil {
			r.Principal = *c.who
		}
		if c.other {
			r.ResourceAccount = "999999999999"
		}
		d := Evaluate(&c.p, r)
		if d.Kind != c.want || d.By != c.by {
			t.Errorf("%s: %s by %s, want %s by %s", name, d.Kind, d.By, c.want, c.by)
		}
		if x, _ := Explain(&c.p, r); x != d {
			t.Errorf("%s: explained, it is %s by %s", name, x.Kind, x.By)
		}
	}
}

func BenchmarkSmall(b *testing.B) {
	p := open()
	p.Identity = []Named{{"small", compiledFrom(b, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:Get*","Resource":"*"},{"Effect":"Deny","Action":"iam:*","Resource":"*"},{"Effect":"Allow","Action":"storage:GetObject","Resource":"arn:aws:storage:::photos/*","Condition":{"StringEquals":{"k:s":"v"}}}]}`)}}
	r := conditioned()
	r.Action = "storage:getobject"
	b.ReportAllocs()
	for b.Loop() {
		if Evaluate(&p, r).Kind != Allowed {
			b.Fatal()
		}
	}
}
