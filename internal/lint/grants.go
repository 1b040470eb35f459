package lint

import (
	"slices"
	"strings"

	"github.com/holdfast-iam/holdfast/internal/lint/source"
	"github.com/holdfast-iam/holdfast/policy"
)

// grants says whether the type of policy gives access by itself, rather than
// only limits it.
func (d *document) grants() bool {
	return d.kind == policy.Identity || d.kind == policy.Resource || d.kind == policy.Trust
}

func allowNotAction(d *document, report report) {
	for _, s := range d.statements {
		if d.grants() && s.allow && s.actions.not {
			report(s.actions.node, "Allow with NotAction grants every action but those listed, of every service; list what is meant in Action")
		}
	}
}

func allowNotResource(d *document, report report) {
	for _, s := range d.statements {
		if d.grants() && s.allow && s.resources.not {
			report(s.resources.node, "Allow with NotResource grants access to every resource but those listed; list what is meant in Resource")
		}
	}
}

// allowNotPrincipal is left to grammar where AWS refuses it.
func allowNotPrincipal(d *document, report report) {
	for _, s := range d.statements {
		if d.kind == policy.Resource && s.allow && s.principals.not {
			report(s.principals.node, "Allow with NotPrincipal speaks of everybody but those listed, anonymous callers included; list who is meant in Principal")
		}
	}
}

func everyone(d *document, report report) {
	for _, s := range d.statements {
		if (d.kind == policy.Resource || d.kind == policy.Trust) && s.allow && !s.principals.not && s.principals.everyone && len(s.conditions) == 0 && !s.maybe {
			report(s.principals.node, "this allows everybody, in every account, without a condition")
		}
	}
}

// sources are the keys that say for whom a service acts (IAM User Guide, "The
// confused deputy problem").
var sources = []string{"aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths"}

func confusedDeputy(d *document, report report) {
	if d.kind != policy.Resource && d.kind != policy.Trust {
		return
	}
	for _, s := range d.statements {
		if !s.allow || s.principals.not || s.maybe || slices.ContainsFunc(s.conditions, namesSource) {
			continue
		}
		for _, p := range s.principals.values {
			if p.kind == "Service" {
				report(p.node, "%s may act here for anybody: add a condition with aws:SourceAccount or aws:SourceArn, where the service sends them", source.Show(p.text))
			}
		}
	}
}

// namesSource says whether a condition fails for whoever it does not list.
func namesSource(c condition) bool {
	t := c.test()
	return slices.Contains(sources, strings.ToLower(c.key)) && !t.negated && t.base != "null" && !t.forAll
}
