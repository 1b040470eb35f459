package policy_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/managed"
	"github.com/holdfast-iam/holdfast/policy"
	"github.com/holdfast-iam/holdfast/policy/internal/literal"
)

// texts reads a text, or a list of them; numbers and booleans stand for theirs.
type texts []string

func (s *texts) UnmarshalJSON(b []byte) error {
	var x any
	if err := json.Unmarshal(b, &x); err != nil {
		return err
	}
	list, many := x.([]any)
	if !many {
		list = []any{x}
	}
	for _, item := range list {
		*s = append(*s, fmt.Sprint(item))
	}
	return nil
}

// managedStatement is what requests are made of.
type managedStatement struct {
	Action, Resource texts
	Condition        map[string]map[string]texts
}

var variable = regexp.MustCompile(`\$\{[^*?}]*\}`)

// concrete is a text that a pattern matches where every variable comes to v.
func concrete(pattern string) string {
	return strings.NewReplacer("${*}", "*", "*", "Xyz", "?", "q").Replace(variable.ReplaceAllString(pattern, "v"))
}

// context is keys with which the statement's conditions hold, mostly.
func (s *managedStatement) context(variables []string) (keys []literal.Key) {
	values := map[string][]string{}
	for _, name := range variables {
		values[strings.ToLower(name)] = []string{"v"}
	}
	for operator, byKey := range s.Condition {
		for name, wanted := range byKey {
			name = strings.ToLower(name)
			switch negated := strings.Contains(operator, "Not"); {
			case operator == "Null" && wanted[0] == "true":
				delete(values, name)
			case operator != "Null" && !negated:
				values[name] = []string{concrete(wanted[0])}
			}
		}
	}
	for name, v := range values {
		keys = append(keys, literal.Key{Name: name, Values: v})
	}
	return keys
}

// requests makes requests that meet the statement's elements, and some that just miss them.
func (s *managedStatement) requests(variables []string) (list []literal.Request) {
	actions := texts{"nothing:Else"}
	for i := 0; i < len(s.Action); i += 1 + len(s.Action)/4 {
		actions = append(actions, s.Action[i])
	}
	for _, action := range actions {
		for _, resource := range append(s.Resource[:min(len(s.Resource), 2):min(len(s.Resource), 2)], "arn:aws:nothing:::else") {
			for _, context := range [][]literal.Key{s.context(variables), nil} {
				list = append(list, literal.Request{Principal: literal.Principal{Kind: "AWS", ARN: "arn:aws:iam::111122223333:user/u", Account: "111122223333"},
					Action: concrete(action), Resource: concrete(resource), Context: context})
			}
		}
	}
	return list
}

func TestEveryPolicyThatAWSManagesIsValidAndDecidedAlikeByBothEvaluators(t *testing.T) {
	all, err := managed.Policies()
	if err != nil {
		t.Fatal(err)
	}
	decided := map[string]int{}
	for _, p := range all {
		text := p.Document()
		d, err := policy.Parse([]byte(text))
		if err == nil {
			err = d.Validate(policy.Identity)
		}
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
			continue
		}
		w, err := readWorld([]byte(`{"identity":[{"name":"m","document":` + text + `}]}`))
		if err != nil {
			t.Fatalf("%s: %v", p.Name, err)
		}
		var document struct{ Statement json.RawMessage }
		var statements []managedStatement
		if err := json.Unmarshal([]byte(text), &document); err != nil {
			t.Fatal(err)
		}
		if document.Statement[0] != '[' {
			document.Statement = append(append([]byte{'['}, document.Statement...), ']')
		}
		if err := json.Unmarshal(document.Statement, &statements); err != nil {
			t.Fatal(err)
		}
		met := 0
		for i := range statements {
			for _, asked := range statements[i].requests(d.ContextKeys()) {
				var q policy.Request
				translate(&asked, &q)
				if difference := w.compare(&asked, &q); difference != "" {
					t.Errorf("%s: %s: %+v", p.Name, difference, asked)
				}
				kind := policy.Evaluate(w.compiled, &q).Kind
				decided[kind.String()]++
				if kind != policy.ImplicitDeny {
					met++
				}
			}
		}
		if met == 0 {
			t.Errorf("%s: no request meets a statement", p.Name)
		}
	}
	if len(all) < 1400 || decided["Allowed"] < 10000 || decided["ExplicitDeny"] < 50 {
		t.Errorf("%d policies, %v", len(all), decided)
	}
	t.Logf("%d policies, %v", len(all), decided)
}
