package policy

import "strings"

// Policy is a compiled document: immutable, safe for concurrent use.
type Policy struct {
	statements []compiled
	// services lists, for each service that an action names, the statements
	// that can concern it, in order; others lists those that concern any.
	services map[string][]int
	others   []int
}

// compiled is one statement ready to be matched.
type compiled struct {
	sid       string
	deny      bool
	principal *principals
	notPrin   bool
	actions   []pattern
	notAction bool
	resources []pattern
	anyRes    bool // trust and resource policies may leave Resource out
	notRes    bool
	tests     []test
}

// Compile makes a document ready to be evaluated. It takes every parsed
// document, also one that Validate refuses: what cannot be understood then
// allows nothing and denies what it would.
func Compile(d *Document) *Policy {
	p := &Policy{services: map[string][]int{}}
	variables := d.version == Version2012
	for i := range d.statements {
		c, ok := compileStatement(&d.statements[i], variables)
		if !ok {
			continue
		}
		p.statements = append(p.statements, c)
	}
	p.index()
	return p
}

// The versions of the language.
const (
	Version2012 = "2012-10-17"
	Version2008 = "2008-10-17"
)

func compileStatement(s *statement, variables bool) (compiled, bool) {
	c := compiled{sid: s.sid, deny: s.effect == "Deny", principal: s.principal, notPrin: s.not, notAction: s.notAction, notRes: s.notRes, anyRes: !s.hasRes}
	if !c.deny && s.effect != "Allow" {
		return c, false
	}
	for _, a := range s.actions {
		c.actions = append(c.actions, compilePattern(fold(a), true, false))
	}
	for _, r := range s.resources {
		c.resources = append(c.resources, compilePattern(completeARN(r), true, variables))
	}
	for _, cond := range s.conditions {
		c.tests = append(c.tests, compileCondition(cond, variables))
	}
	return c, true
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
	for i := range p.statements {
		s := &p.statements[i]
		names, all := s.serviceNames()
		if all {
			p.others = append(p.others, i)
			continue
		}
		for _, name := range names {
			if p.services[name] == nil {
				p.services[name] = []int{}
			}
		}
	}
	for name := range p.services {
		for i := range p.statements {
			names, all := p.statements[i].serviceNames()
			if all || contains(names, name) {
				p.services[name] = append(p.services[name], i)
			}
		}
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
	return names, false
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// about returns the statements that can concern a service.
func (p *Policy) about(service string) []int {
	if list, ok := p.services[service]; ok {
		return list
	}
	return p.others
}
