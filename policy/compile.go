package policy

import "strings"

// Policy is a compiled document: immutable, safe for concurrent use.
type Policy struct {
	actions    actions // finds the statements that a request's action concerns
	statements []compiled
}

// compiled is one statement ready to be matched, but for its actions.
type compiled struct {
	resources []pattern
	tests     []test
	principal *principals
	sid       string
	place     int32 // in the document, from 0
	deny      bool
	notRes    bool
	anyRes    bool // Resource is left out
	notPrin   bool
}

// Compile makes a document ready to be evaluated. It takes every parsed
// document, also one that Validate refuses: what cannot be understood then
// allows nothing and denies what it would.
func Compile(d *Document) *Policy {
	c := compiler{actionsBuilder: actionsBuilder{known: map[string]int32{}}, variables: d.version == version2012}
	c.count(d)
	for i := range d.statements {
		if s := &d.statements[i]; s.effect == "Allow" || s.effect == "Deny" {
			c.statement(s, i)
		}
	}
	return &Policy{actions: c.index(), statements: c.statements}
}

// The versions of the language.
const (
	version2012 = "2012-10-17"
	version2008 = "2008-10-17"
)

// compiler makes one policy. Statements take their resources and conditions
// from two lists, so that what is looked at in turn lies in a row.
type compiler struct {
	actionsBuilder
	statements []compiled
	resources  []pattern
	tests      []test
	variables  bool // count in this version
}

// count makes room for what the document has.
func (c *compiler) count(d *Document) {
	resources, tests := 0, 0
	for i := range d.statements {
		resources += len(d.statements[i].resources)
		tests += len(d.statements[i].conditions)
	}
	c.statements = make([]compiled, 0, len(d.statements))
	c.resources, c.tests = make([]pattern, 0, resources), make([]test, 0, tests)
}

func (c *compiler) statement(s *statement, place int) {
	n := len(c.statements)
	for _, a := range s.actions {
		c.list(a, n)
	}
	if s.notAction {
		c.invert(n)
	}
	resources, tests := len(c.resources), len(c.tests)
	for _, r := range s.resources {
		c.resources = append(c.resources, compileResource(r, c.variables))
	}
	for _, cond := range s.conditions {
		c.tests = append(c.tests, compileCondition(cond, c.variables))
	}
	c.statements = append(c.statements, compiled{resources: c.resources[resources:], tests: c.tests[tests:], principal: s.principal, sid: s.sid,
		place: int32(place), deny: s.effect == "Deny", notRes: s.notRes, anyRes: !s.hasRes, notPrin: s.not})
}

// completeARN adds the parts that an incomplete ARN leaves out (IAM User
// Guide, "Resource": missing fields are completed with *).
func completeARN(r string) string {
	if !strings.HasPrefix(r, "arn:") {
		return r
	}
	for n := strings.Count(r, ":"); n < 5; n++ {
		r += ":*"
	}
	return r
}
