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
	"fmt"
	"strings"
)

// Limits of a document, whatever its type.
const (
	maxDocument = 256 << 10 // bytes
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
	start, end int // bytes of the text
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

// Statement returns where a statement stands in the text, from its opening
// brace to behind its closing one, in bytes; n counts from 0, as in a Match.
func (d *Document) Statement(n int) (start, end int) {
	if n < 0 || n >= len(d.statements) {
		return 0, 0
	}
	return d.statements[n].start, d.statements[n].end
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
