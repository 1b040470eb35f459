package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/holdfast-iam/holdfast/internal/lint/catalogue"
	"github.com/holdfast-iam/holdfast/policy"
)

// escalation finds the paths that the Allow statements of an identity-based
// policy open together, and tells of them once for each set of statements.
func escalation(d *document, report report) {
	if d.kind != policy.Identity || slices.ContainsFunc(d.statements, (*statement).administers) {
		return
	}
	type opened struct {
		by    []*statement
		paths []string
	}
	var all []opened
	for _, p := range paths {
		by := d.opens(p)
		if by == nil {
			continue
		}
		i := slices.IndexFunc(all, func(o opened) bool { return slices.Equal(o.by, by) })
		if i < 0 {
			i = len(all)
			all = append(all, opened{by: by})
		}
		all[i].paths = append(all[i].paths, p.String())
	}
	for _, o := range all {
		report(o.by[0].actions.node, "the holder can gain more than is granted here%s: %s", alsoBy(o.by[1:]), few(o.paths))
	}
}

// administers says whether a statement grants all there is: nothing more can
// be gained.
func (s *statement) administers() bool {
	return s.allow && !s.maybe && len(s.conditions) == 0 && !s.actions.not && !s.resources.not && listsAll(s.actions) && listsAll(s.resources)
}

func fullAccess(d *document, report report) {
	for _, s := range d.statements {
		if d.grants() && s.administers() && (s.principals.node == nil || d.kind == policy.Identity) {
			report(s.actions.node, "the statement grants every action on every resource")
		}
	}
}

func alsoBy(others []*statement) string {
	var places []string
	for _, s := range others {
		places = append(places, s.place())
	}
	if places == nil {
		return ""
	}
	return ", with " + strings.Join(places, " and ")
}

func few(list []string) string {
	const shown = 4
	if len(list) <= shown {
		return strings.Join(list, "; ")
	}
	return fmt.Sprintf("%s; and %d more ways", strings.Join(list[:shown], "; "), len(list)-shown)
}

// opens returns the statements that grant all of a path's actions, each once;
// nil if they do not.
func (d *document) opens(p path) []*statement {
	var by []*statement
	for _, name := range p.actions {
		s := d.grantor(name, p)
		if s == nil {
			return nil
		}
		if !slices.Contains(by, s) {
			by = append(by, s)
		}
	}
	return by
}

// grantor finds the first statement that grants an action broadly and that no
// Deny takes it from.
func (d *document) grantor(name string, p path) *statement {
	action := value{glob: compileGlob(strings.ToLower(name))}
	prefix, bare, _ := strings.Cut(strings.ToLower(name), ":")
	known := catalogue.Find(prefix).Actions[bare]
	for _, s := range d.statements {
		if s.allow && !s.maybe && s.principals.node == nil && s.names(action) && s.unconstrained(p, name) && s.broad(known, p.self) && !d.takenAway(s, action) {
			return s
		}
	}
	return nil
}

// names says whether the statement is about an action.
func (s *statement) names(action value) bool {
	listed := some(s.actions.values, func(v value) bool { return v.glob.covers(action.glob) })
	return listed != s.actions.not
}

// unconstrained says whether no condition limits the grant. To pass a role to
// the very service that the path needs is no limit.
func (s *statement) unconstrained(p path, name string) bool {
	for _, c := range s.conditions {
		t := c.test()
		passes := name == passRole && strings.EqualFold(c.key, "iam:PassedToService") && t.family == texts && !t.negated &&
			some(c.values, func(v value) bool {
				return slices.ContainsFunc(p.services, func(s string) bool { return t.pattern(v.text, false).covers(compileGlob(s)) })
			})
		if !passes {
			return false
		}
	}
	return true
}

// broad says whether the statement's resources are all of a type that the
// action works on, or with self the caller's own user.
func (s *statement) broad(a *catalogue.Action, self bool) bool {
	if s.resources.not {
		return !listsAll(s.resources)
	}
	return some(s.resources.values, func(v value) bool {
		if v.resource.everything() || self && strings.Contains(v.text, "user/${aws:username}") {
			return true
		}
		return slices.ContainsFunc(a.Types, func(t *catalogue.Type) bool { return allOf(v.resource, typeForm(t)) })
	})
}

// allOf says whether a pattern matches every resource of a form in some account
// and Region.
func allOf(r, form resource) bool {
	return r.parts != nil && r.parts[2].covers(form.parts[2]) && r.parts[5].covers(form.parts[5])
}

// takenAway says whether an unconditional Deny covers all that a statement
// grants of an action.
func (d *document) takenAway(s *statement, action value) bool {
	for _, deny := range d.statements {
		if !deny.allow && !deny.maybe && len(deny.conditions) == 0 && deny.names(action) && deny.resources.covers(s.resources, coversResource, meetsResource) {
			return true
		}
	}
	return false
}
