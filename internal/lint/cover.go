package lint

import (
	"slices"
	"strings"

	"github.com/holdfast-iam/holdfast/internal/lint/source"
)

// maxPairs bounds the pairs of statements and values that are compared.
const maxPairs = 4_000_000

func deniedAnyway(d *document, report report) {
	d.eachPair(func(deny, s *statement) bool {
		if deny.allow || !s.allow || len(deny.conditions) > 0 || !deny.speaksOf(s) {
			return false
		}
		report(s.node, "the statement grants nothing: the Deny, %s, takes all of it away", deny.place())
		return true
	})
}

func redundantStatement(d *document, report report) {
	place := map[*statement]int{}
	for i, s := range d.statements {
		place[s] = i
	}
	d.eachPair(func(wide, s *statement) bool {
		if wide.allow != s.allow || !wide.covers(s) || s.covers(wide) && place[wide] > place[s] {
			return false
		}
		report(s.node, "a wider statement says all of this already: %s", wide.place())
		return true
	})
}

// eachPair calls each with every statement and every other that might cover
// it, until it says that one does. What a template decides about covers nothing
// and is not called covered.
func (d *document) eachPair(each func(wide, s *statement) bool) {
	pairs := 0
	for _, s := range d.statements {
		for _, wide := range d.statements {
			pairs += 1 + len(wide.actions.values)*len(s.actions.values) + len(wide.resources.values)*len(s.resources.values)
			if pairs > maxPairs {
				return
			}
			if wide != s && !wide.maybe && !s.maybe && each(wide, s) {
				break
			}
		}
	}
}

// speaksOf says whether the statement is about every request that another is
// about, conditions apart.
func (s *statement) speaksOf(x *statement) bool {
	return s.actions.covers(x.actions, coversAction, meetsAction) &&
		s.resources.covers(x.resources, coversResource, meetsResource) && s.principals.covers(x.principals)
}

// covers says whether the statement matches every request that another does.
func (s *statement) covers(x *statement) bool {
	if !s.speaksOf(x) {
		return false
	}
	for _, c := range s.conditions {
		if !slices.ContainsFunc(x.conditions, c.same) {
			return false
		}
	}
	return true
}

func coversAction(a, b value) bool   { return a.glob.covers(b.glob) }
func meetsAction(a, b value) bool    { return a.glob.meets(b.glob) }
func coversResource(a, b value) bool { return a.resource.covers(b.resource) }
func meetsResource(a, b value) bool  { return a.resource.meets(b.resource) }

// covers says whether a set has all that another has.
func (x set) covers(y set, covers, meets func(a, b value) bool) bool {
	switch {
	case x.node == nil || y.node == nil:
		return x.node == nil // a policy of a resource without Resource is about it
	case !x.not && !y.not: // each of y's in one of x's
		return every(y.values, func(b value) bool { return some(x.values, func(a value) bool { return covers(a, b) }) })
	case x.not && y.not: // what x excludes, y excludes
		return every(x.values, func(a value) bool { return some(y.values, func(b value) bool { return covers(b, a) }) })
	case x.not: // x excludes nothing of y's
		return every(y.values, func(b value) bool { return !some(x.values, func(a value) bool { return meets(a, b) }) })
	}
	return listsAll(x) // "*" covers whatever is left over
}

func every(list []value, f func(value) bool) bool {
	return !slices.ContainsFunc(list, func(v value) bool { return !f(v) })
}

func some(list []value, f func(value) bool) bool { return slices.ContainsFunc(list, f) }

// covers says whether a principal element names all that another names. Names
// are compared as they are written.
func (p principals) covers(q principals) bool {
	switch {
	case p.node == nil || q.node == nil:
		return p.node == nil && q.node == nil
	case p.not || q.not:
		return p.not && q.not && p.everyone == q.everyone && subset(p.values, q.values) && subset(q.values, p.values)
	case p.everyone:
		return true
	}
	return !q.everyone && subset(q.values, p.values)
}

func subset(small, large []principal) bool {
	for _, a := range small {
		if !slices.ContainsFunc(large, func(b principal) bool { return a.kind == b.kind && a.text == b.text }) {
			return false
		}
	}
	return true
}

// same says whether two conditions ask for the same, in whatever order.
func (c condition) same(x condition) bool {
	if !strings.EqualFold(c.operator, x.operator) || !strings.EqualFold(c.key, x.key) {
		return false
	}
	return every(c.values, x.lists) && every(x.values, c.lists)
}

func (c condition) lists(v value) bool {
	return slices.ContainsFunc(c.values, func(w value) bool { return v.text == w.text })
}

func redundantValue(d *document, report report) {
	for _, s := range d.statements {
		inList(s.actions.values, coversAction, report)
		inList(s.resources.values, coversResource, report)
	}
}

// inList reports the values that another of the same list covers.
func inList(values []value, covers func(a, b value) bool, report report) {
	if len(values)*len(values) > maxPairs {
		return
	}
	for i, v := range values {
		for j, w := range values {
			if i != j && !v.node.Maybe && !w.node.Maybe && covers(w, v) && !(covers(v, w) && j > i) {
				report(v.node, "%s is covered by %s", v.text, shown(w))
				break
			}
		}
	}
}

func shown(v value) string { return source.Show(v.text) }
