// Package policy parses, validates, compiles and evaluates AWS IAM policies:
// every element, operator and policy type, and how they combine.
//
// Invariant: evaluation is a pure function of policies and request; a zero
// value denies; what cannot be understood allows nothing and denies what it
// would deny. Nothing here panics, reads a clock, logs or does I/O.
//
// Source: IAM User Guide, "Grammar of the IAM JSON policy language" and
// "Policy evaluation logic".
package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Limits of a document, whatever its type.
const (
	MaxDocument = 256 << 10 // bytes
	maxDepth    = 16
	maxTokens   = 20000
)

// Document is a parsed policy. It keeps what was written; Validate says
// whether AWS would store it, Compile makes it ready to be evaluated.
type Document struct {
	version    string
	id         string
	statements []statement
}

// statement is one parsed statement.
type statement struct {
	sid        string
	effect     string
	principal  *principals
	not        bool // NotPrincipal
	actions    []string
	notAction  bool
	resources  []string
	notRes     bool
	conditions []condition
	hasAction  bool
	hasRes     bool
}

// principals is a Principal element: everyone, or lists by type.
type principals struct {
	everyone bool
	byType   []typedPrincipals
}

type typedPrincipals struct {
	kind   string // AWS, Service, Federated, CanonicalUser
	values []string
}

// condition is one operator with one key and its values.
type condition struct {
	operator string
	key      string
	values   []string
}

// SyntaxError says where a document is wrong, and what was expected there.
type SyntaxError struct {
	Offset  int // bytes from the start
	Message string
}

// Error gives the words and the place.
func (e *SyntaxError) Error() string { return fmt.Sprintf("%s (at byte %d)", e.Message, e.Offset) }

// Parse reads a document strictly: one JSON object, no member twice, no
// unknown element, nothing after it. Errors are *SyntaxError.
func Parse(text []byte) (*Document, error) {
	if len(text) > MaxDocument {
		return nil, &SyntaxError{0, fmt.Sprintf("the policy is longer than %d bytes", MaxDocument)}
	}
	if !utf8.Valid(text) {
		return nil, &SyntaxError{0, "the policy is not UTF-8"}
	}
	r := &reader{d: json.NewDecoder(bytes.NewReader(text))}
	r.d.UseNumber()
	doc := new(Document)
	r.object(func(name string) { r.documentMember(doc, name) })
	if r.err == nil {
		if _, err := r.d.Token(); err != io.EOF {
			r.fail("nothing may follow the policy")
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return doc, nil
}

func (r *reader) documentMember(doc *Document, name string) {
	switch name {
	case "Version":
		doc.version = r.text()
	case "Id":
		doc.id = r.text()
	case "Statement":
		r.oneOrMany(func() {
			var s statement
			r.members(func(name string) { r.statementMember(&s, name) })
			doc.statements = append(doc.statements, s)
		}, '{')
	default:
		r.fail(fmt.Sprintf("unknown element %q; a policy has Version, Id and Statement", name))
	}
}

func (r *reader) statementMember(s *statement, name string) {
	switch name {
	case "Sid":
		s.sid = r.text()
	case "Effect":
		s.effect = r.text()
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
		s.actions, s.notAction, s.hasAction = r.texts(), name == "NotAction", true
	case "Resource", "NotResource":
		if s.hasRes {
			r.fail("a statement has Resource or NotResource, once")
			return
		}
		s.resources, s.notRes, s.hasRes = r.texts(), name == "NotResource", true
	case "Condition":
		r.object(func(operator string) {
			r.object(func(key string) {
				s.conditions = append(s.conditions, condition{operator, key, r.scalars()})
			})
		})
	default:
		r.fail(fmt.Sprintf("unknown element %q in a statement", name))
	}
}

func (r *reader) principals() *principals {
	p := new(principals)
	t := r.next()
	switch v := t.(type) {
	case string:
		if v != "*" {
			r.fail(`a Principal that is a string must be "*"`)
		}
		p.everyone = true
	case json.Delim:
		if v != '{' {
			r.fail("a Principal is an object or \"*\"")
			return p
		}
		r.members(func(name string) {
			p.byType = append(p.byType, typedPrincipals{name, r.texts()})
		})
	default:
		r.fail("a Principal is an object or \"*\"")
	}
	return p
}

// reader reads tokens and stops at the first error.
type reader struct {
	d      *json.Decoder
	err    error
	depth  int
	tokens int
}

func (r *reader) fail(message string) {
	if r.err == nil {
		r.err = &SyntaxError{int(r.d.InputOffset()), message}
	}
}

func (r *reader) next() json.Token {
	if r.err != nil {
		return nil
	}
	if r.tokens++; r.tokens > maxTokens {
		r.fail("the policy has too many parts")
		return nil
	}
	t, err := r.d.Token()
	if err != nil {
		r.fail("this is not JSON")
		return nil
	}
	return t
}

// object reads an object; each is called at every member's value.
func (r *reader) object(each func(name string)) {
	if t := r.next(); t != json.Delim('{') {
		r.fail("an object is expected")
		return
	}
	r.members(each)
}

// members reads the members of an object whose brace was read.
func (r *reader) members(each func(name string)) {
	if r.depth++; r.depth > maxDepth {
		r.fail("the policy is nested too deep")
		return
	}
	seen := map[string]bool{}
	for r.err == nil && r.d.More() {
		name, ok := r.next().(string)
		if !ok {
			return
		}
		if !ascii(name) {
			r.fail(fmt.Sprintf("the name %q is not ASCII", name))
			return
		}
		if folded := fold(name); seen[folded] {
			r.fail(fmt.Sprintf("the member %q stands twice", name))
			return
		} else {
			seen[folded] = true
		}
		each(name)
	}
	r.next() // the closing brace
	r.depth--
}

// oneOrMany reads one value that starts with the delimiter, or a list of them;
// each is called after the delimiter.
func (r *reader) oneOrMany(each func(), delim json.Delim) {
	switch r.next() {
	case delim:
		each()
	case json.Delim('['):
		for r.err == nil && r.d.More() {
			if r.next() != delim {
				r.fail("an object is expected")
				return
			}
			each()
		}
		r.next()
	default:
		r.fail("an object or a list of objects is expected")
	}
}

func (r *reader) text() string {
	s, ok := r.next().(string)
	if !ok {
		r.fail("a string is expected")
	}
	return s
}

// texts reads a string or a list of strings.
func (r *reader) texts() []string { return r.list(false) }

// scalars reads a string, number or boolean, or a list of them, as text.
func (r *reader) scalars() []string { return r.list(true) }

func (r *reader) list(scalars bool) []string {
	t := r.next()
	if t != json.Delim('[') {
		s, ok := scalar(t, scalars)
		if !ok {
			r.fail("a string or a list of strings is expected")
		}
		return []string{s}
	}
	list := []string{}
	for r.err == nil && r.d.More() {
		s, ok := scalar(r.next(), scalars)
		if !ok {
			r.fail("a string is expected in the list")
		}
		list = append(list, s)
	}
	r.next()
	return list
}

func scalar(t json.Token, any bool) (string, bool) {
	switch v := t.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), any
	case bool:
		return fmt.Sprint(v), any
	}
	return "", false
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// fold lowers ASCII letters and no others (U+017F and U+212A must not meet s
// and k).
func fold(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return strings.Map(func(r rune) rune {
				if 'A' <= r && r <= 'Z' {
					return r + 'a' - 'A'
				}
				return r
			}, s)
		}
	}
	return s
}

// Principals lists the values of every Principal element of a type (AWS,
// Service, Federated, CanonicalUser), for checking that they exist.
func (d *Document) Principals(kind string) []string {
	var list []string
	for _, s := range d.statements {
		if s.principal == nil {
			continue
		}
		for _, t := range s.principal.byType {
			if t.kind == kind {
				list = append(list, t.values...)
			}
		}
	}
	return list
}

// ContextKeys lists the condition keys and variables that the document asks
// for, each once, as they are written.
func (d *Document) ContextKeys() []string {
	var keys []string
	seen := map[string]bool{}
	add := func(key string) {
		if !seen[fold(key)] {
			seen[fold(key)] = true
			keys = append(keys, key)
		}
	}
	for _, s := range d.statements {
		for _, r := range s.resources {
			eachVariable(r, add)
		}
		for _, c := range s.conditions {
			add(c.key)
			for _, v := range c.values {
				eachVariable(v, add)
			}
		}
	}
	return keys
}

func eachVariable(s string, add func(string)) {
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			return
		}
		s = s[i+2:]
		j := strings.IndexByte(s, '}')
		if j < 0 {
			return
		}
		name, _, _ := strings.Cut(s[:j], ",")
		if name = strings.TrimSpace(name); name != "" && !strings.Contains("*?$", name) {
			add(name)
		}
		s = s[j+1:]
	}
}
