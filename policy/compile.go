package policy

import (
	"strings"
	"sync"
)

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
	c := compilers.Get().(*compiler)
	defer c.end()
	c.begin(d)
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
// from lists, so that what is looked at in turn lies in a row.
type compiler struct {
	actionsBuilder
	statements []compiled
	resources  []pattern
	operands   []pattern // of conditions
	tests      []test
	variables  bool   // count in this version
	folded     []byte // of the operator under way
}

// compilers are reused: what the index of actions is made of is copied into it.
var compilers = sync.Pool{New: func() any { return &compiler{actionsBuilder: actionsBuilder{known: map[string]int32{}}} }}

// begin makes room for what the document has.
func (c *compiler) begin(d *Document) {
	resources, operands, tests := 0, 0, 0
	for i := range d.statements {
		s := &d.statements[i]
		resources += len(s.resources)
		tests += len(s.conditions)
		for k := range s.conditions {
			if strings.Contains(s.conditions[k].operator, "Like") { // which holds patterns; others mostly do not
				operands += len(s.conditions[k].values)
			}
		}
	}
	c.statements, c.tests = make([]compiled, 0, len(d.statements)), make([]test, 0, tests)
	c.resources, c.operands = make([]pattern, 0, resources), make([]pattern, 0, operands)
	c.variables = d.version == version2012
}

// end forgets the document.
func (c *compiler) end() {
	if len(c.known) > maxTokens/10 {
		return // its memory is not worth being kept
	}
	clear(c.known)
	clear(c.keys)
	clear(c.actions.patterns)
	*c = compiler{folded: c.folded, actionsBuilder: actionsBuilder{known: c.known,
		actions: actions{keys: c.keys[:0], patterns: c.actions.patterns[:0], chunks: c.chunks[:0]}}}
	compilers.Put(c)
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
		c.resources = append(c.resources, c.compileResource(r, c.variables))
	}
	for i := range s.conditions {
		c.tests = append(c.tests, c.condition(&s.conditions[i]))
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

// texts holds short texts behind each other, so that those of a document cost
// one piece of memory together.
type texts struct{ free []byte }

const (
	textsPiece = 256
	shortText  = 64
)

// room is memory for a text of n bytes: it is written before it is viewed.
func (t *texts) room(n int) []byte {
	if n > shortText {
		return make([]byte, n)
	}
	if n > len(t.free) {
		t.free = make([]byte, textsPiece)
	}
	b := t.free[:n:n]
	t.free = t.free[n:]
	return b
}

// fold is fold for the text of a document, which is UTF-8.
func (t *texts) fold(s string) string {
	for i := 0; i < len(s); i++ {
		if lower(s[i]) != s[i] {
			b := t.room(len(s))
			for k := range b {
				b[k] = lower(s[k])
			}
			return view(b)
		}
	}
	return s
}
