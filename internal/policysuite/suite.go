// Package policysuite runs unit tests of policies: a file of cases, each with
// what it expects, against the policies that it names.
//
// Invariant: what a file says is either understood in full or an error with its
// file, line and column; a case that expects nothing is an error, so that no
// test passes because it says nothing. Reading files is the only I/O.
package policysuite

import (
	"fmt"
	"slices"
	"strings"

	"github.com/holdfast-iam/holdfast/internal/policyline"
	"github.com/holdfast-iam/holdfast/policy"
)

// Place is where something stands, lines and columns from 1.
type Place struct {
	File         string
	Line, Column int
}

func (p Place) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Error is what is wrong with a file, and where.
type Error struct {
	Place
	Message string
}

func (e *Error) Error() string { return e.Place.String() + ": " + e.Message }

// Check is one question of a case, and what came of it.
type Check struct {
	Place     Place // of the case
	Case      string
	Action    string
	Resource  string
	Decision  policy.Kind
	DecidedBy policy.Type
	Decided   []string // the statements that decided, as policy/Sid
	Reason    string   // AWS's sentence, for a denial
	// Considered tells the statements that matched or would have but for a
	// condition.
	Considered []string
	Faults     []string // what was expected and is not so; none: the check passed
}

// Result is what came of a file.
type Result struct {
	File   string
	Checks []Check
}

// Failed counts the checks that did not pass.
func (r *Result) Failed() int {
	n := 0
	for i := range r.Checks {
		if len(r.Checks[i].Faults) > 0 {
			n++
		}
	}
	return n
}

// ask asks a case's questions.
func (s *Suite) ask(c *testCase, each func(Check)) {
	for _, action := range c.actions {
		for _, resource := range c.resources {
			each(s.check(c, action, resource))
		}
	}
}

func (s *Suite) check(c *testCase, action, resource string) Check {
	r := policy.Request{Principal: c.principal.Asked(), Action: action, Resource: resource, ResourceAccount: c.account}
	for _, k := range c.context {
		r.Context.Set(k.name, k.values...)
	}
	p := c.policies.compiled()
	policyline.Complete(&p, &r)
	d, considered := policy.Explain(&p, &r)
	out := Check{Place: c.place, Case: c.name, Action: action, Resource: resource, Decision: d.Kind, DecidedBy: d.By}
	if d.Kind != policy.Allowed {
		out.Reason = policyline.Sentence(&d, &r)
	}
	var sids []string
	for _, m := range considered {
		doc := s.called(m.Policy)
		m.Policy = doc.name
		out.Considered = append(out.Considered, policyline.Words(&m))
		if m.Holds && d.Kind != policy.ImplicitDeny && m.Deny == (d.Kind == policy.ExplicitDeny) {
			doc.decided[m.Statement] = true
			sids = append(sids, policyline.StatementName(&m))
			out.Decided = append(out.Decided, doc.name+"/"+policyline.StatementName(&m))
		}
	}
	out.Faults = c.expect.faults(&out, sids)
	return out
}

// expectation is what a case expects. Its zero value expects nothing and is
// refused.
type expectation struct {
	decision   string // allowed, denied, explicitDeny or implicitDeny
	decidedBy  string // a type of policy; empty: any
	statements []string
}

// faults lists what is not as it was expected.
func (e *expectation) faults(got *Check, sids []string) (faults []string) {
	is := map[string]bool{"allowed": got.Decision == policy.Allowed, "denied": got.Decision != policy.Allowed,
		"explicitDeny": got.Decision == policy.ExplicitDeny, "implicitDeny": got.Decision == policy.ImplicitDeny}
	if !is[e.decision] {
		faults = append(faults, fmt.Sprintf("expected %s, got %s by %s", e.decision, got.Decision, got.DecidedBy))
	}
	if e.decidedBy != "" && e.decidedBy != got.DecidedBy.String() {
		faults = append(faults, fmt.Sprintf("expected to be decided by %s, was by %s", e.decidedBy, got.DecidedBy))
	}
	for _, want := range e.statements {
		if !slices.Contains(sids, want) && !slices.Contains(got.Decided, want) {
			faults = append(faults, fmt.Sprintf("expected statement %s to decide, %s", want, didDecide(got.Decided)))
		}
	}
	return faults
}

func didDecide(decided []string) string {
	if len(decided) == 0 {
		return "none did"
	}
	return strings.Join(decided, ", ") + " did"
}
