package iam

import (
	"strings"
	"testing"
)

func TestOnlyThePrincipalsOfATrustPolicyAreReplaced(t *testing.T) {
	const arn = `"arn:aws:iam::1:user/bob"`
	upper := func(s string) string { return strings.ToUpper(s) }
	for in, want := range map[string]string{
		`{"Statement":{"Principal":{"AWS":"a"},"Action":"a"}}`:                                            `{"Statement":{"Principal":{"AWS":"A"},"Action":"a"}}`,
		` { "Statement" : [ {"Principal": {"AWS" : [ "a" , "b" ],"Service":"a"}} , {} ] } `:               ` { "Statement" : [ {"Principal": {"AWS" : [ "A" , "B" ],"Service":"a"}} , {} ] } `,
		`{"Statement":[{"NotPrincipal":{"AWS":"a"},"Sid":"AWS"}]}`:                                        `{"Statement":[{"NotPrincipal":{"AWS":"A"},"Sid":"AWS"}]}`,
		`{"Statement":[{"Principal":"*","Condition":{"StringEquals":{"aws:PrincipalArn":` + arn + `}}}]}`: `{"Statement":[{"Principal":"*","Condition":{"StringEquals":{"aws:PrincipalArn":` + arn + `}}}]}`,
		`{"Statement":[{"Condition":{"Principal":{"AWS":"a"}},"Principal":{"AWS":"\u0061\/"}}]}`:          `{"Statement":[{"Condition":{"Principal":{"AWS":"a"}},"Principal":{"AWS":"A/"}}]}`,
		`{"Principal":{"AWS":"a"},"Id":"a","Statement":[]}`:                                               `{"Principal":{"AWS":"a"},"Id":"a","Statement":[]}`,
	} {
		if got := eachPrincipal(in, upper); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
		if got := eachPrincipal(in, func(s string) string { return s }); got != in {
			t.Errorf("unchanged, %s came back as %s", in, got)
		}
	}
}

func FuzzEachPrincipalLeavesTheRestAsItIs(f *testing.F) {
	for _, s := range []string{`{"Statement":{"Principal":{"AWS":"a"}}}`, `{"Statement":[{"Principal":{"AWS":["a","b"]}}]}`, `{`, `[[`, `"`, ``} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got := eachPrincipal(text, func(s string) string { return s }); got != text {
			t.Errorf("%q came back as %q", text, got)
		}
	})
}
