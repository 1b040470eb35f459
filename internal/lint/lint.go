// Package lint finds what is wrong with policies before anybody stores them:
// what AWS would refuse, names that do not exist, statements that never match
// or say nothing new, and grants that are wider than they look.
//
// Invariant: a finding is about what is written, not about what might be. What
// cannot be known (a template's parameter, a service that the catalogue has
// not) is not held against a policy.
package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/holdfast-iam/holdfast/internal/lint/source"
	"github.com/holdfast-iam/holdfast/policy"
)

// Severity says how bad a finding is. The zero value is the least.
type Severity uint8

// The severities, in SARIF's words. A note alone leaves a file clean.
const (
	Note Severity = iota
	Warning
	Error
)

// String gives SARIF's word.
func (s Severity) String() string { return [...]string{"note", "warning", "error"}[s] }

// Finding is one thing that a rule found.
type Finding struct {
	Rule     string
	Severity Severity
	File     string
	At       source.Position
	Document string // the resource that holds the policy; empty: the file is it
	Message  string
}

// Options say how to look.
type Options struct {
	// Type is the type of the policies; NoPolicy: their holders say, or their form.
	Type policy.Type
	// Services are prefixes of the user's own services.
	Services []string
	// Ignore lists rules that are left out.
	Ignore []string
}

// Types of policies by the words that the command and the files use.
var Types = map[string]policy.Type{"identity": policy.Identity, "resource": policy.Resource, "trust": policy.Trust, "scp": policy.ServiceControl,
	"rcp": policy.ResourceControl, "boundary": policy.Boundary, "session": policy.Session}

// File lints all policies of one file, in order of their places. The error
// says that there is nothing to lint, and is a *source.Error; a text that
// cannot be read is a finding.
func File(name string, text []byte, o Options) ([]Finding, error) {
	f, failed := source.Read(text)
	if failed != nil && !failed.Syntax {
		return nil, failed
	}
	var found []Finding
	keep := func(rule *Rule, at source.Position, holder, message string) {
		if !slices.Contains(o.Ignore, rule.ID) {
			found = append(found, Finding{rule.ID, rule.Severity, name, at, source.Show(holder), source.Show(message)})
		}
	}
	if failed != nil {
		keep(&syntax, failed.At, "", failed.Message)
		return found, nil
	}
	for _, x := range f.Faults {
		keep(&syntax, x.Err.At, x.Name, x.Err.Message)
	}
	for _, g := range f.Gaps {
		keep(&unknownPolicy, g.At, g.Name, g.Why)
	}
	for _, x := range f.Documents {
		o.document(x, func(rule *Rule, n *source.Node, message string) { keep(rule, n.Position(), x.Name, message) })
	}
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.At.Column, b.At.Column))
	})
	return found, nil
}

// document runs all rules over one policy. One whose form is wrong is not
// looked at further.
func (o Options) document(x source.Document, keep func(*Rule, *source.Node, string)) {
	if n, message := wrongForm(x.Root); n != nil {
		keep(&grammar, n, message)
		return
	}
	d := build(x.Root)
	d.own = map[string]bool{"holdfast": true}
	for _, s := range o.Services {
		d.own[strings.ToLower(s)] = true
	}
	d.kind = cmp.Or(o.Type, Types[x.Type], d.guess())
	for i := range Rules {
		rule := &Rules[i]
		if rule.check == nil {
			continue
		}
		rule.check(d, func(n *source.Node, format string, args ...any) { keep(rule, n, fmt.Sprintf(format, args...)) })
	}
}
