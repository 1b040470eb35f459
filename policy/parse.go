package policy

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Parse reads a document strictly: one JSON object (RFC 8259), no member
// twice, no unknown element, nothing after it. Errors are *SyntaxError.
func Parse(text []byte) (*Document, error) {
	if len(text) > maxDocument {
		return nil, &SyntaxError{0, fmt.Sprintf("the policy is longer than %d bytes", maxDocument)}
	}
	if !utf8.Valid(text) {
		return nil, &SyntaxError{0, "the policy is not UTF-8"}
	}
	r := read(string(text))
	doc := &Document{statements: make([]statement, 0, min(strings.Count(r.text, `"Effect"`), 64))}
	r.object(func(name string) { r.documentMember(doc, name) })
	if r.space(); r.err == nil && r.at < len(r.text) {
		r.fail("nothing may follow the policy")
	}
	if r.err != nil {
		return nil, r.err
	}
	return doc, nil
}

func (r *reader) documentMember(doc *Document, name string) {
	switch name {
	case "Version":
		doc.version = r.string("Version")
	case "Id":
		doc.id = r.string("Id")
	case "Statement":
		r.oneOrMany(func() {
			doc.statements = append(doc.statements, statement{start: r.at})
			s := &doc.statements[len(doc.statements)-1]
			r.object(func(name string) { r.statementMember(s, name) })
			s.end = r.at
		})
	default:
		r.fail(fmt.Sprintf("unknown element %q; a policy has Version, Id and Statement", name))
	}
}

func (r *reader) statementMember(s *statement, name string) {
	switch name {
	case "Sid":
		s.sid = r.string("Sid")
	case "Effect":
		s.effect = r.string("Effect")
	case "Principal", "NotPrincipal":
		if s.principal != nil {
			r.fail("a statement has Principal or NotPrincipal, once")
			return
		}
		s.principal, s.not = r.principals(), name == "NotPrincipal"
	case "Action", "NotAction":
		if s.hasAction {
			r.fail("a statement has Action or NotAction, once")
			return
		}
		s.actions, s.notAction, s.hasAction = r.list(name, false), name == "NotAction", true
	case "Resource", "NotResource":
		if s.hasRes {
			r.fail("a statement has Resource or NotResource, once")
			return
		}
		s.resources, s.notRes, s.hasRes = r.list(name, false), name == "NotResource", true
	case "Condition":
		start := len(r.conditions)
		r.object(func(operator string) {
			r.object(func(key string) {
				r.conditions = append(r.conditions, condition{operator, key, r.list(key, true)})
			})
		})
		s.conditions = r.conditions[start:len(r.conditions):len(r.conditions)]
	default:
		r.fail(fmt.Sprintf("unknown element %q in a statement", name))
	}
}

func (r *reader) principals() *principals {
	p := new(principals)
	switch r.peek() {
	case '"':
		if v := r.string("Principal"); v != "*" && r.err == nil {
			r.fail(`a Principal that is a string must be "*"`)
		}
		p.everyone = true
	case '{':
		r.object(func(name string) {
			p.byType = append(p.byType, typedPrincipals{name, r.list(name, false)})
		})
	default:
		r.fail("a Principal is an object or \"*\"")
	}
	return p
}
