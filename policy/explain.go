package policy

import (
	"fmt"
	"strings"
)

// Explain decides a request and tells every statement that matched, or would
// have but for a condition.
func Explain(p *Policies, r *Request) (d Decision, considered []Match) {
	e := new(evaluation)
	e.begin(r)
	e.names = &considered
	e.decide(p, &d)
	return d, considered
}

func (e *evaluation) note(p *Named, s *compiled, by Type, holds bool) {
	m := (&matched{p, s, by}).match()
	m.Holds = holds
	for i := range s.tests {
		t := &s.tests[i]
		v := t.eval(e)
		if holds || v == yes || v == invalid && s.deny {
			continue
		}
		m.Failed = t.name + " " + t.keyName
		_, present := e.request.Context.get(t.key, t.mark)
		m.MissingKey = !present
		break
	}
	*e.names = append(*e.names, m)
}

// Sentence words a denial as AWS does (IAM User Guide, "Troubleshoot access
// denied error messages"). who is the principal's ARN.
func (d *Decision) Sentence(who, action, resource string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "User: %s is not authorized to perform: %s", who, action)
	if resource != "" && resource != "*" {
		fmt.Fprintf(&b, " on resource: %s", resource)
	}
	article, name := inSentence(d.By)
	switch {
	case d.Kind == ExplicitDeny:
		fmt.Fprintf(&b, " with an explicit deny in %s %s", article, name)
	case d.By == workBudget:
		b.WriteString(" because evaluating its policies takes too much work")
	case d.By != NoPolicy:
		fmt.Fprintf(&b, " because no %s allows the %s action", name, action)
	}
	return b.String()
}

// inSentence gives a type of policy as denials name it, and its article: a
// role has one trust policy.
func inSentence(t Type) (article, name string) {
	switch t {
	case Identity:
		return "an", t.String()
	case Trust:
		return "the", "role trust policy"
	}
	return "a", t.String()
}
