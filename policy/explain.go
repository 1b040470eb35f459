package policy

import (
	"fmt"
	"strings"
)

// Explanation is a decision with everything that led to it.
type Explanation struct {
	Decision   Decision
	Considered []Considered
}

// Considered is a statement that matched the request in principal, action and
// resource.
type Considered struct {
	Match
	Matched bool
	// Failed names the first condition that did not hold, as operator and key;
	// MissingKey says that the request lacks the key.
	Failed     string
	MissingKey bool
}

// Explain decides a request and tells every statement that matched, or would
// have but for a condition.
func Explain(p *Policies, r *Request) Explanation {
	x := Explanation{}
	e := evaluation{request: r, left: budget, names: &x}
	x.Decision = e.decide(p)
	return x
}

func (x *Explanation) note(e *evaluation, source Source, policy string, n int, s *compiled, held bool) {
	c := Considered{Match: Match{source, policy, n, s.sid, s.deny}, Matched: held}
	for i := range s.tests {
		v := s.tests[i].eval(e)
		if held || v == yes || v == invalid && s.deny {
			continue
		}
		c.Failed = s.tests[i].name + " " + s.tests[i].keyName
		_, present := e.request.Context.get(s.tests[i].key)
		c.MissingKey = !present
		break
	}
	x.Considered = append(x.Considered, c)
}

// Sentence words a denial as AWS does. who is the principal's ARN.
func (d *Decision) Sentence(who, action, resource string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "User: %s is not authorized to perform: %s", who, action)
	if resource != "" && resource != "*" {
		fmt.Fprintf(&b, " on resource: %s", resource)
	}
	switch {
	case d.Kind == ExplicitDeny:
		fmt.Fprintf(&b, " with an explicit deny in %s", article(d.By))
	case d.By == Budget:
		b.WriteString(" because evaluating its policies takes too much work")
	case d.By != NoPolicy:
		fmt.Fprintf(&b, " because no %s allows the %s action", d.By, action)
	}
	return b.String()
}

func article(s Source) string {
	if s == Identity {
		return "an " + s.String()
	}
	return "a " + s.String()
}
