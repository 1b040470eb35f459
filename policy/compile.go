package policy

import "strings"

// Policy is a compiled document: immutable, safe for concurrent use.
type Policy struct {
	statements []compiled
	// groups lists, for each service that an action names, the statements
	// that can concern it, in order; others lists those that concern any.
	groups []group
	byName map[string]int32 // place in groups, where there are many
	others []int32
}

// group is the statements that can concern one service.
type group struct {
	service    string // folded
	statements []int32
}

// manyGroups is how many services are looked up rather than gone through.
const manyGroups = 8

// compiled is one statement ready to be matched.
type compiled struct {
	hashes    []uint64 // of names
	names     []string // actions without wildcard
	actions   []pattern
	resources []pattern
	tests     []test
	place     int32 // in the document, from 0
	deny      bool
	notAction bool
	notRes    bool
	anyRes    bool // Resource is left out
	notPrin   bool
	principal *principals
	sid       string
}

// Compile makes a document ready to be evaluated. It takes every parsed
// document, also one that Validate refuses: what cannot be understood then
// allows nothing and denies what it would.
func Compile(d *Document) *Policy {
	p := &Policy{statements: make([]compiled, 0, len(d.statements))}
	withVariables := d.version == version2012
	names := map[string]string{} // folded, by how they are written
	for i := range d.statements {
		s := &d.statements[i]
		if s.effect == "Allow" || s.effect == "Deny" {
			p.statements = append(p.statements, compileStatement(s, i, withVariables, names))
		}
	}
	p.index()
	return p
}

// The versions of the language.
const (
	version2012 = "2012-10-17"
	version2008 = "2008-10-17"
)

func compileStatement(s *statement, place int, withVariables bool, names map[string]string) compiled {
	c := compiled{sid: s.sid, place: int32(place), deny: s.effect == "Deny", principal: s.principal, notPrin: s.not,
		notAction: s.notAction, notRes: s.notRes, anyRes: !s.hasRes}
	c.compileActions(s.actions, names)
	if len(s.resources) > 0 {
		c.resources = make([]pattern, len(s.resources))
	}
	for i, r := range s.resources {
		c.resources[i] = compileResource(r, withVariables)
	}
	if len(s.conditions) > 0 {
		c.tests = make([]test, len(s.conditions))
	}
	for i, cond := range s.conditions {
		c.tests[i] = compileCondition(cond, withVariables)
	}
	return c
}

// compileActions keeps equal names once in a policy.
func (c *compiled) compileActions(actions []string, names map[string]string) {
	wilds := 0
	for _, a := range actions {
		if strings.ContainsAny(a, "*?") {
			wilds++
		}
	}
	c.actions = make([]pattern, 0, wilds)
	c.hashes, c.names = make([]uint64, 0, len(actions)-wilds), make([]string, 0, len(actions)-wilds)
	for _, a := range actions {
		name, known := names[a]
		if !known {
			name = fold(a)
			names[a] = name
		}
		if p := compilePattern(name, true, false, false); p.shape != exact {
			c.actions = append(c.actions, p)
		} else {
			c.hashes, c.names = append(c.hashes, hashOf(name)), append(c.names, name)
		}
	}
}

// hashOf is FNV-1a: it tells actions apart by one comparison of numbers. What
// it calls equal is compared again.
func hashOf[S string | []byte](s S) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
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

// index sorts the statements by the services that their actions name. A
// statement with NotAction, or a wildcard before the colon, concerns any.
func (p *Policy) index() {
	place := map[string]int32{}
	for i := range p.statements {
		names, all := p.statements[i].serviceNames()
		if all {
			for g := range p.groups {
				p.groups[g].statements = append(p.groups[g].statements, int32(i))
			}
			p.others = append(p.others, int32(i))
			continue
		}
		for _, name := range names {
			g, known := place[name]
			if !known {
				g = int32(len(p.groups))
				place[name] = g
				p.groups = append(p.groups, group{name, append([]int32(nil), p.others...)})
			}
			if list := p.groups[g].statements; len(list) == 0 || list[len(list)-1] != int32(i) {
				p.groups[g].statements = append(list, int32(i))
			}
		}
	}
	if len(p.groups) > manyGroups {
		p.byName = place
	}
}

func (s *compiled) serviceNames() (names []string, all bool) {
	if s.notAction {
		return nil, true
	}
	for i := range s.actions {
		name, _, ok := strings.Cut(s.actions[i].text, ":")
		if !ok || wild(name) {
			return nil, true
		}
		names = append(names, name)
	}
	for _, action := range s.names {
		name, _, ok := strings.Cut(action, ":")
		if !ok {
			return nil, true
		}
		names = append(names, name)
	}
	return names, false
}

// about returns the statements that can concern a service.
func (p *Policy) about(service string) []int32 {
	if p.byName != nil {
		if g, ok := p.byName[service]; ok {
			return p.groups[g].statements
		}
		return p.others
	}
	for i := range p.groups {
		if p.groups[i].service == service {
			return p.groups[i].statements
		}
	}
	return p.others
}
