package policy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// meets says in the plainest way whether a pattern of * and ? meets a text.
func meets(pattern, s []rune) bool {
	if len(pattern) == 0 {
		return len(s) == 0
	}
	switch pattern[0] {
	case '*':
		return meets(pattern[1:], s) || len(s) > 0 && meets(pattern, s[1:])
	case '?':
		return len(s) > 0 && meets(pattern[1:], s[1:])
	}
	return len(s) > 0 && s[0] == pattern[0] && meets(pattern[1:], s[1:])
}

func randomText(r *rand.Rand, letters string, most int) string {
	all := []rune(letters)
	text := make([]rune, r.IntN(most+1))
	for i := range text {
		text[i] = all[r.IntN(len(all))]
	}
	return string(text)
}

func TestEveryStatementIsFoundByItsActionsHoweverManyThereAre(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	for round := range 400 {
		var list []map[string]any
		for range 1 + r.IntN(200) {
			element := "Action"
			if r.IntN(8) == 0 {
				element = "NotAction"
			}
			actions := []string{}
			for range r.IntN(4) {
				actions = append(actions, randomText(r, "aB::b*?", 5))
			}
			list = append(list, map[string]any{"Effect": "Allow", element: actions, "Resource": "*"})
		}
		text, err := json.Marshal(map[string]any{"Version": version2012, "Statement": list})
		if err != nil {
			t.Fatal(err)
		}
		p, e := compiledFrom(t, string(text)), new(evaluation)
		for range 50 {
			action := randomText(r, "aAbB:", 6)
			e.begin(&Request{Action: action})
			set := e.statementsFor(p)
			if p.actions.silent(e.serviceHash) {
				set = nil
			}
			for i, s := range list {
				got := set != nil && set[i/64]>>(i%64)&1 == 1
				patterns, not := s["NotAction"].([]string)
				if !not {
					patterns = s["Action"].([]string)
				}
				listed := false
				for _, x := range patterns {
					listed = listed || meets([]rune(fold(x)), []rune(fold(action)))
				}
				if got != (listed != not) {
					t.Fatalf("round %d: %s in %v: found %v", round, action, s, got)
				}
			}
		}
	}
}

func TestAPatternMeetsWhatThePlainestMatcherSays(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	e := new(evaluation)
	e.begin(&Request{})
	for range 300_000 {
		pattern, text := randomText(r, "aab*?é", 8), randomText(r, "aabé", 10)
		p := compilePattern(pattern, true, false, false)
		e.left = budget
		if p.matches(e, text, asText) != meets([]rune(pattern), []rune(text)) {
			t.Fatalf("%q and %q", pattern, text)
		}
	}
}

func TestManyResourcesAreDecidedAsEachByItself(t *testing.T) {
	p := open()
	statements := `"Effect":"Allow","Action":"storage:Get*","Resource":"arn:aws:storage:::photos/${k:s}*","Condition":{"Bool":{"k:b":"true"}}},
		{"Effect":"Deny","Action":"*","Resource":"arn:aws:storage:::*/secret","Condition":{"StringEquals":{"k:s":"v"}}},
		{"Effect":"Deny","NotAction":"storage:Put*","Resource":"arn:aws:storage:::logs/*","Condition":{"StringEquals":{"k:s":"other"}}},
		{"Effect":"Allow","NotAction":"iam:*","NotResource":"arn:aws:storage:::photos/*"`
	p.Identity = []Named{{"own", compiledFrom(t, `{"Version":"2012-10-17","Statement":[{`+statements+`}]}`)}}
	p.Resource = named(t, `"Effect":"Allow","Action":"*","Resource":"arn:aws:storage:::shared/*","Principal":{"AWS":"`+bob+`"}`)
	p.Boundary = Restrict(named(t, `"Effect":"Allow","Action":"storage:*","NotResource":"arn:aws:storage:::outside/*"`))
	p.ServiceControl = Restrict(named(t, `"Effect":"Allow","Action":"*","Resource":"*"`), named(t, `"Effect":"Allow","Action":"storage:*","Resource":["arn:aws:storage:::*","${k:gone}"]`))
	r := conditioned()
	var resources []string
	for _, bucket := range []string{"photos", "logs", "shared", "outside", "docs"} {
		for _, name := range []string{"v1", "secret", "x"} {
			resources = append(resources, "arn:aws:storage:::"+bucket+"/"+name)
		}
	}
	resources = append(resources, "*", "")
	kinds := map[Kind]int{}
	n := 0
	p.EvaluateEach(r, resources, func(i int, d *Decision) bool {
		one := *r
		one.Resource = resources[i]
		if want := Evaluate(&p, &one); *d != want {
			t.Errorf("%s: %s by %s, alone %s by %s", resources[i], d.Kind, d.By, want.Kind, want.By)
		}
		kinds[d.Kind]++
		n++
		return true
	})
	if n != len(resources) || len(kinds) != 3 {
		t.Errorf("%d decisions of %d kinds", n, len(kinds))
	}
}

// What may not be chosen within one request's budget is decided one by one,
// and a resource that does not come so far is decided.
func TestManyResourcesCostNoMoreThanOneMayEach(t *testing.T) {
	p := open()
	values := make([]string, 200)
	for i := range values {
		values[i] = strings.Repeat("a", 1000)
	}
	var patterns []string
	for i := range 200 {
		patterns = append(patterns, fmt.Sprintf("*%sb%d*", strings.Repeat("a", 200), i))
	}
	list, err := json.Marshal(patterns)
	if err != nil {
		t.Fatal(err)
	}
	p.Identity = []Named{{"costly", compiledFrom(t, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"*","Resource":"arn:aws:storage:::cheap"},
		{"Effect":"Deny","Action":"*","Resource":"arn:aws:storage:::dear","Condition":{"ForAnyValue:StringLike":{"k:many":`+string(list)+`}}}]}`)}}
	r := ask()
	r.Context.Set("k:many", values...)
	var got []Kind
	p.EvaluateEach(r, []string{"arn:aws:storage:::cheap", "arn:aws:storage:::dear"}, func(_ int, d *Decision) bool {
		got = append(got, d.Kind)
		if d.Kind == ImplicitDeny && d.By != workBudget {
			t.Errorf("denied by %s", d.By)
		}
		return true
	})
	if len(got) != 2 || got[0] != Allowed || got[1] != ImplicitDeny {
		t.Errorf("%v", got)
	}
}
