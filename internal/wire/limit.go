package wire

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Limit is what a type's values must satisfy on the wire.
//
// For strings, Min and Max count characters (Unicode code points); for
// []byte, bytes; for lists, members; for numbers they bound the value, and Min
// holds also when it is 0. A Max of 0 is no maximum.
type Limit struct {
	Min, Max  int64
	Pattern   *Pattern
	Enum      []string
	Sensitive bool // the value is not repeated in a message
}

// Limited is a type that has a Limit. The method is asked once for each type,
// on the zero value.
type Limited interface{ Limits() Limit }

// A Pattern is a regular expression that a whole value must match, with the
// text that AWS prints for it.
type Pattern struct {
	source string
	expr   *regexp.Regexp
}

// NewPattern takes a pattern as AWS's API models write it, such as
// [\w+=,.@-]+ or [\u0020-\u00FF]+. It panics on what Go's regexp does not know
// (lookahead); use NewPatternAs for that.
func NewPattern(source string) *Pattern {
	return NewPatternAs(source, javaEscape.ReplaceAllString(source, `\x{$1}`))
}

// javaEscape finds \uXXXX; STS's model also means \u10000 and \u10FFFF by it.
var javaEscape = regexp.MustCompile(`\\u(10000|10FFFF|[0-9A-Fa-f]{4})`)

// NewPatternAs matches with the Go expression expr and prints source.
func NewPatternAs(source, expr string) *Pattern {
	return &Pattern{source: source, expr: regexp.MustCompile(`\A(?:` + expr + `)\z`)}
}

// String returns the pattern in AWS's words.
func (p *Pattern) String() string { return p.source }

// Match reports whether the whole of s matches.
func (p *Pattern) Match(s string) bool { return p.expr.MatchString(s) }

// limitOf asks a type for its Limit; nil is no limit.
func limitOf(t reflect.Type) *Limit {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return nil
	}
	limited, ok := reflect.Zero(t).Interface().(Limited)
	if !ok {
		return nil
	}
	limit := limited.Limits()
	return &limit
}

// What the constraints are called, in AWS's words.

func (l *Limit) patternText() string {
	return "Member must satisfy regular expression pattern: " + l.Pattern.source
}

func (l *Limit) enumText() string {
	return "Member must satisfy enum value set: [" + strings.Join(l.Enum, ", ") + "]"
}

func maxText(what string, n int64) string {
	return "Member must have " + what + " less than or equal to " + strconv.FormatInt(n, 10)
}

func minText(what string, n int64) string {
	return "Member must have " + what + " greater than or equal to " + strconv.FormatInt(n, 10)
}

const nullText = "Member must not be null"

// brokenByText returns the constraints that a string breaks.
func (l *Limit) brokenByText(s string) (broken []string) {
	if l.Pattern != nil && !l.Pattern.Match(s) {
		broken = append(broken, l.patternText())
	}
	broken = append(broken, l.brokenByLength(utf8.RuneCountInString(s))...)
	if l.Enum != nil && !slices.Contains(l.Enum, s) {
		broken = append(broken, l.enumText())
	}
	return broken
}

// brokenByLength returns the constraints that n characters, bytes or members
// break.
func (l *Limit) brokenByLength(n int) (broken []string) {
	if l.Max > 0 && int64(n) > l.Max {
		broken = append(broken, maxText("length", l.Max))
	}
	if int64(n) < l.Min {
		broken = append(broken, minText("length", l.Min))
	}
	return broken
}

// brokenByNumber returns the constraints that a number breaks.
func (l *Limit) brokenByNumber(n int64) (broken []string) {
	if l.Max > 0 && n > l.Max {
		broken = append(broken, maxText("value", l.Max))
	}
	if n < l.Min {
		broken = append(broken, minText("value", l.Min))
	}
	return broken
}

// all returns every constraint on a text, as AWS lists them for the members of
// a list of which one breaks one.
func (l *Limit) all() string {
	var texts []string
	if l.Max > 0 {
		texts = append(texts, maxText("length", l.Max), minText("length", l.Min))
	} else if l.Min > 0 {
		texts = append(texts, minText("length", l.Min))
	}
	if l.Pattern != nil {
		texts = append(texts, l.patternText())
	}
	if l.Enum != nil {
		texts = append(texts, l.enumText())
	}
	return "Member must satisfy constraint: [" + strings.Join(texts, ", ") + "]"
}

// A violation is one broken constraint.
type violation struct{ value, path, constraint string }

// quoted puts a value between quotes, or what stands for it.
func (l *Limit) quoted(value string) string {
	if l != nil && l.Sensitive {
		return "" // AWS says: Value at 'password' failed …
	}
	return " '" + cut(value) + "'"
}

// cut shortens a value that a message repeats.
func cut(value string) string {
	if len(value) > maxEcho {
		return strings.ToValidUTF8(value[:maxEcho], "") + "..."
	}
	return value
}

const (
	maxEcho       = 1024 // bytes of a refused value that its message repeats
	maxViolations = 100  // that one message spells out
)

// message tells all violations at once.
func message(broken []violation) string {
	var b strings.Builder
	s := "s"
	if len(broken) == 1 {
		s = ""
	}
	fmt.Fprintf(&b, "%d validation error%s detected: ", len(broken), s)
	for i, v := range broken {
		if i == maxViolations {
			b.WriteString("; ...")
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "Value%s at '%s' failed to satisfy constraint: %s", v.value, v.path, v.constraint)
	}
	return b.String()
}
