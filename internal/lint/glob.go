package lint

import (
	"hash/fnv"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/holdfast-iam/holdfast/internal/lint/source"
)

// glob is a text with wildcards, ready to be compared with another. A policy
// variable, and what a template leaves open, is one symbol of its own: equal
// to itself, and otherwise any text.
type glob []rune

// Symbols that are no character; below them are the variables.
const (
	star rune = -1 - iota
	one
	firstVariable
)

// compileGlob reads wildcards and variables.
func compileGlob(text string) glob {
	g := make(glob, 0, len(text))
	for text != "" {
		if n := variableLength(text); n > 0 {
			g = append(g, variable(text[:n]))
			text = text[n:]
			continue
		}
		c, n := utf8.DecodeRuneInString(text)
		text = text[n:]
		switch c {
		case '*':
			c = star
		case '?':
			c = one
		}
		g = append(g, c)
	}
	return g
}

// variableLength says how long the variable is that a text begins with, 0 if
// it begins with none.
func variableLength(text string) int {
	end := "}"
	switch {
	case strings.HasPrefix(text, "${"):
	case strings.HasPrefix(text, source.UnknownBegin):
		end = source.UnknownEnd
	default:
		return 0
	}
	i := strings.Index(text, end)
	if i < 0 {
		return 0
	}
	return i + len(end)
}

// variable is a symbol for a variable's text. ${*}, ${?} and ${$} are the
// characters themselves.
func variable(text string) rune {
	if len(text) == 4 && strings.Contains("*?$", text[2:3]) {
		return rune(text[2])
	}
	h := fnv.New32a()
	h.Write([]byte(strings.ToLower(text)))
	return firstVariable - rune(h.Sum32()&0x3fffffff)
}

// open says whether a symbol can stand for several texts of any length.
func open(c rune) bool { return c == star || c <= firstVariable }

// covers says whether p matches all that q matches. It never says so wrongly,
// and may miss it where wildcards stand against wildcards.
func (p glob) covers(q glob) bool {
	i, j := 0, 0
	back, mark := -1, 0
	for j < len(q) {
		switch {
		case i < len(p) && p[i] == star:
			back, mark = i, j
			i++
		case i < len(p) && (p[i] == q[j] || p[i] == one && !open(q[j])):
			i++
			j++
		case back >= 0:
			mark++
			i, j = back+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == star {
		i++
	}
	return i == len(p)
}

// meets says whether some text matches both.
func (p glob) meets(q glob) bool {
	for len(p) > 0 && len(q) > 0 && !open(p[0]) && !open(q[0]) {
		if !same(p[0], q[0]) {
			return false
		}
		p, q = p[1:], q[1:]
	}
	for len(p) > 0 && len(q) > 0 && !open(p[len(p)-1]) && !open(q[len(q)-1]) {
		if !same(p[len(p)-1], q[len(q)-1]) {
			return false
		}
		p, q = p[:len(p)-1], q[:len(q)-1]
	}
	if len(p) == 1 && open(p[0]) || len(q) == 1 && open(q[0]) {
		return true
	}
	// row[j]: what is left of p from i on meets what is left of q from j on
	row := make([]bool, len(q)+1)
	for i := len(p); i >= 0; i-- {
		right := false // the row below, one to the right
		for j := len(q); j >= 0; j-- {
			below := row[j]
			switch {
			case i == len(p) && j == len(q):
				row[j] = true
			case i < len(p) && open(p[i]):
				row[j] = below || j < len(q) && row[j+1]
			case j < len(q) && open(q[j]):
				row[j] = row[j+1] || i < len(p) && below
			default:
				row[j] = i < len(p) && j < len(q) && same(p[i], q[j]) && right
			}
			right = below
		}
	}
	return row[0]
}

func same(a, b rune) bool { return a == b || a == one || b == one }

// resource is a pattern of resources: an ARN's six parts, or any text.
type resource struct {
	all   glob
	parts []glob // nil: no ARN
}

// compileResource reads a Resource's value; a short ARN is completed (IAM User
// Guide, "Resource").
func compileResource(text string) resource {
	r := resource{all: compileGlob(text)}
	if !strings.HasPrefix(text, "arn:") {
		return r
	}
	rest := r.all
	for range 5 {
		i := slices.Index(rest, ':')
		if i < 0 {
			break
		}
		r.parts, rest = append(r.parts, rest[:i]), rest[i+1:]
	}
	r.parts = append(r.parts, rest)
	for len(r.parts) < 6 {
		r.parts = append(r.parts, glob{star})
	}
	return r
}

func (r resource) everything() bool { return len(r.all) == 1 && r.all[0] == star }

// covers says whether r matches all that q matches.
func (r resource) covers(q resource) bool {
	switch {
	case r.everything():
		return true
	case r.parts == nil || q.parts == nil:
		return r.all.covers(q.all)
	}
	for i := range r.parts {
		if !r.parts[i].covers(q.parts[i]) {
			return false
		}
	}
	return true
}

// meets says whether some resource matches both.
func (r resource) meets(q resource) bool {
	switch {
	case r.everything() || q.everything():
		return true
	case r.parts == nil || q.parts == nil:
		return r.all.meets(q.all)
	}
	for i := range r.parts {
		if !r.parts[i].meets(q.parts[i]) {
			return false
		}
	}
	return true
}
