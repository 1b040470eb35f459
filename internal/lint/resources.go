package lint

import (
	"slices"
	"sort"
	"strings"

	"github.com/holdfast-iam/holdfast/internal/lint/catalogue"
	"github.com/holdfast-iam/holdfast/internal/lint/source"
)

// fit is how the actions of a statement go with its resources.
type fit struct {
	actions   []bool // by value: one of the actions it names works on one of the resources
	resources []bool // by value: one of the actions works on it
	known     bool   // everything could be looked at
}

// fits compares the two lists. Only lists of names can be compared: what a Not
// leaves over is not known.
func (d *document) fits(s *statement) fit {
	f := fit{actions: make([]bool, len(s.actions.values)), resources: make([]bool, len(s.resources.values)), known: true}
	if s.actions.node == nil || s.resources.node == nil || s.actions.not || s.resources.not {
		f.known = false
		return f
	}
	for i, v := range s.actions.values {
		actions := d.action(v).actions()
		if len(actions) == 0 {
			f.known = false
			f.actions[i] = true
		}
		for _, a := range actions {
			for j := range s.resources.values {
				if d.worksOn(a, s.resources.values[j]) {
					f.actions[i], f.resources[j] = true, true
				}
			}
		}
	}
	return f
}

// worksOn says whether an action can be asked for a resource that the pattern
// matches. Every action can be granted on "*"; one without types of resources
// only there.
func (d *document) worksOn(a *catalogue.Action, v value) bool {
	if v.resource.everything() || v.resource.parts == nil {
		return true // whatever stands there
	}
	for _, t := range a.Types {
		form, known := d.forms[t]
		if !known {
			form = typeForm(t)
			d.forms[t] = form
		}
		if v.resource.meets(form) || v.resource.meets(form.renamed()) {
			return true
		}
	}
	return false
}

// renamed is a form with the service's other name: what was CodeStar
// Connections has resources under both (Developer Tools console User Guide,
// "Rename").
func (r resource) renamed() resource {
	if r.parts == nil || !slices.Equal(r.parts[2], compileGlob("codestar-connections")) {
		return r
	}
	c := r
	c.parts = slices.Clone(r.parts)
	c.parts[2] = compileGlob("codeconnections")
	return c
}

// typeForm is a type's ARN as a pattern: what is ${Named} in it may be any
// text.
func typeForm(t *catalogue.Type) resource {
	var b strings.Builder
	for text := t.ARN; ; {
		before, rest, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			break
		}
		b.WriteByte('*')
		_, text, _ = strings.Cut(rest, "}")
	}
	return compileResource(b.String())
}

// none says whether nothing of a list is true.
func none(list []bool) bool {
	for _, b := range list {
		if b {
			return false
		}
	}
	return true
}

func resourceType(d *document, report report) {
	for _, s := range d.statements {
		f := d.fits(s)
		if none(f.actions) {
			continue // matches-nothing tells
		}
		for i, ok := range f.actions {
			if !ok {
				v := s.actions.values[i]
				report(v.node, "%s works on none of the statement's resources: by AWS's reference it works on %s", v.text, typesOf(d.action(v).actions()))
			}
		}
		for j, ok := range f.resources {
			if v := s.resources.values[j]; f.known && !ok {
				report(v.node, "none of the statement's actions works on %s", v.text)
			}
		}
	}
}

// typesOf lists the types of resources that actions work on, for people.
func typesOf(actions []*catalogue.Action) string {
	seen := map[string]bool{}
	var names []string
	for _, a := range actions {
		for _, t := range a.Types {
			if name := t.Name + " (" + t.ARN + ")"; !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	sort.Strings(names)
	switch {
	case len(names) == 0:
		return `"*" alone`
	case len(names) > 3:
		names = append(names[:3], "…")
	}
	return strings.Join(names, ", ")
}

func matchesNothing(d *document, report report) {
	for _, s := range d.statements {
		f := d.fits(s)
		switch {
		case len(f.actions) > 0 && len(f.resources) > 0 && f.known && none(f.actions):
			report(s.node, "the statement never matches: by AWS's reference none of its actions works on any of its resources; %s works on %s",
				s.actions.values[0].text, typesOf(d.action(s.actions.values[0]).actions()))
		case s.actions.not && listsAll(s.actions):
			report(s.actions.node, "the statement never matches: NotAction excludes every action")
		case s.resources.not && listsAll(s.resources):
			report(s.resources.node, "the statement never matches: NotResource excludes every resource")
		}
	}
}

// listsAll says whether one of the values is "*".
func listsAll(x set) bool {
	for _, v := range x.values {
		if v.text == "*" {
			return true
		}
	}
	return false
}

func oldVersion(d *document, report report) {
	if d.version == "2012-10-17" || source.Unknown(d.version) {
		return
	}
	told := map[*source.Node]bool{}
	for _, s := range d.statements {
		tell := func(n *source.Node, key string) {
			if !told[n] {
				told[n] = true
				report(n, "${%s} is plain text here: the policy has no \"Version\": \"2012-10-17\"", key)
			}
		}
		for _, v := range s.resources.values {
			eachVariable(v, tell)
		}
		for _, c := range s.conditions {
			for _, v := range c.values {
				eachVariable(v, tell)
			}
		}
	}
}
