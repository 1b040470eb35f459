package policy

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	naive "github.com/holdfast-iam/holdfast/policy/internal/literal"
)

// seeds are documents that between them hold every element; the engine makes the rest.
var seeds = []string{
	`{"Version":"2012-10-17","Id":"i","Statement":[{"Sid":"s","Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::b/${aws:username, 'x'}"}]}`,
	`{"Statement":{"Effect":"Deny","NotAction":["a:?","b:*"],"NotResource":"arn:aws","NotPrincipal":{"AWS":["*","111122223333"],"Service":"s.amazonaws.com"}}}`,
	`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"StringLike":{"k:v":["a*","?é","${*}"]},"Null":{"k:n":true}}}}`,
	`{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForAllValues:NumericLessThanIfExists":{"k:v":[1.5,"2"]},"ForAnyValue:DateEquals":{"k:v":"2020-01-01"}}}}`,
	`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"k:v":"10.0.0.0/8"},"ArnNotLike":{"k:v":"arn:*:*:*:*:*"},"BinaryEquals":{"k:v":"YQ=="},"Bool":{"k:v":"${k:v}"}}}}`,
}

func FuzzParse(f *testing.F) {
	for _, text := range seeds {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"Statement":[{"Sid":"\ud83d\ude00\u0000"}]}x`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := Parse(text)
		if err != nil {
			if e, ok := err.(*SyntaxError); !ok || e.Offset < 0 || e.Offset > len(text) {
				t.Fatalf("%#v", err)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatal("what is no JSON parses")
		}
		for n := range d.statements {
			start, end := d.Statement(n)
			if again, err := Parse([]byte(`{"Statement":` + string(text[start:end]) + `}`)); err != nil || len(again.statements) != 1 {
				t.Fatalf("statement %d does not stand at %d-%d: %v", n, start, end, err)
			}
		}
		d.ContextKeys()
	})
}

func FuzzValidate(f *testing.F) {
	for i, text := range seeds {
		f.Add([]byte(text), uint8(i+1))
	}
	f.Fuzz(func(t *testing.T, text []byte, kind uint8) {
		d, err := Parse(text)
		if err != nil {
			return
		}
		err = d.Validate(Type(kind))
		p := Compile(d)
		if err != nil {
			return
		}
		if len(p.statements) != len(d.statements) {
			t.Fatal("a valid statement is not compiled")
		}
		for i := range p.statements {
			for _, c := range p.statements[i].tests {
				if c.bad && !strings.Contains(string(text), "${") {
					t.Fatalf("%s %s is valid and not understood", c.name, c.keyName)
				}
			}
		}
	})
}

func FuzzMatch(f *testing.F) {
	f.Add("arn:aws:s3:::b/*", "arn:aws:s3:::b/a")
	f.Add("*?é*a", "xéa")
	f.Add("a:*:?:d*:e:*x", "a:b:c:d:e:f:x")
	f.Fuzz(func(t *testing.T, wanted, found string) {
		if len(wanted) > 100 || len(found) > 200 || strings.ContainsAny(wanted+found, "\x00\x01") {
			return
		}
		if !utf8.ValidString(wanted) {
			return // no policy parses that holds it
		}
		e := &evaluation{left: budget}
		text := naive.Matches(wanted, found)
		if p := compilePattern(wanted, true, false, false); p.matches(e, found, asText) != text {
			t.Fatalf("%q matches %q: literal %v", wanted, found, text)
		}
		arn := naive.MatchesARN(wanted, found)
		if p := compilePattern(wanted, true, false, true); p.matches(e, found, asARN) != arn && strings.Count(wanted, ":") >= 5 && strings.Count(found, ":") >= 5 {
			t.Fatalf("%q matches the ARN %q: literal %v", wanted, found, arn)
		}
		if spent := budget - e.left; spent > 64+2*(len(wanted)+8)*(len(found)+8) {
			t.Fatalf("%q and %q cost %d steps", wanted, found, spent)
		}
	})
}

// FuzzDecide gives a document to both evaluators, as a policy of the identity, of the resource and of the organization.
func FuzzDecide(f *testing.F) {
	for _, text := range seeds {
		f.Add(text, "s3:GetObject", "arn:aws:s3:::b/a", "v", "w")
	}
	f.Fuzz(func(t *testing.T, text, action, resource, one, two string) {
		if len(text) > 600 || len(action)+len(resource)+len(one)+len(two) > 120 || strings.ContainsAny(action+resource+one+two, "\x00\x01") {
			return
		}
		d, err := Parse([]byte(text))
		if err != nil {
			return
		}
		other, err := naive.ReadPolicies([]byte(`{"identity":[{"document":` + text + `}],"resource":[{"document":` + text + `}],"serviceControl":[[{"document":` + text + `}]]}`))
		if err != nil {
			return // it is stricter about versions and types of principals
		}
		list := []Named{{"p", Compile(d)}}
		p := open()
		p.Identity, p.Resource, p.ServiceControl = list, list, Restrict(list)
		r := ask()
		r.Action, r.Resource = action, resource
		r.Context.Set("k:v", one, two)
		r.Context.SetOne("aws:username", one)
		q := &naive.Request{Principal: naive.Principal{Kind: "AWS", ARN: bob, Account: r.Principal.Account, ID: r.Principal.UniqueID}, Action: action, Resource: resource,
			Context: []naive.Key{{Name: "k:v", Values: []string{one, two}}, {Name: "aws:username", Values: []string{one}}}}
		got := Evaluate(&p, r)
		if want, by := other.Decide(q); got.Kind.String() != want {
			t.Fatalf("compiled %s by %s, literal %s by %s", got.Kind, got.By, want, by)
		}
		if explained, _ := Explain(&p, r); explained != got {
			t.Fatal("explained, it is another decision")
		}
	})
}
