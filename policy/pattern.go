package policy

import "strings"

// In a compiled pattern anyText stands for * and anyByte for ?. Both are bytes
// that no policy may hold, so a literal star of a substituted value stays one.
const (
	anyText = 0x00
	anyByte = 0x01
)

// pattern is compiled text: literal bytes, wildcards, and variables.
type pattern struct {
	text string // without variables: the whole, compiled
	// parts is set when the text has variables: literal parts alternate with
	// them.
	parts []part
	plain bool // no wildcard in it
}

type part struct {
	text     string
	variable string // folded key; "" for a literal part
	fallback *string
}

// compilePattern reads wildcards, and variables where they count.
func compilePattern(s string, wildcards, variables bool) pattern {
	if !variables || !strings.Contains(s, "${") {
		text := literal(s, wildcards)
		return pattern{text: text, plain: !wild(text)}
	}
	var p pattern
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			break
		}
		j := strings.IndexByte(s[i:], '}')
		if j < 0 {
			break
		}
		p.parts = append(p.parts, part{text: literal(s[:i], wildcards)}, compileVariable(s[i+2:i+j]))
		s = s[i+j+1:]
	}
	p.parts = append(p.parts, part{text: literal(s, wildcards)})
	p.join()
	return p
}

// compileVariable reads what stands between ${ and }.
func compileVariable(s string) part {
	switch s {
	case "*", "?", "$":
		return part{text: s} // the character itself
	}
	name, rest, ok := strings.Cut(s, ",")
	v := part{variable: fold(strings.TrimSpace(name))}
	if ok {
		rest = strings.TrimSpace(rest)
		if len(rest) >= 2 && rest[0] == '\'' && rest[len(rest)-1] == '\'' {
			text := rest[1 : len(rest)-1]
			v.fallback = &text
		}
	}
	return v
}

// join turns a pattern whose variables were all single characters into text.
func (p *pattern) join() {
	var b strings.Builder
	for _, x := range p.parts {
		if x.variable != "" {
			return
		}
		b.WriteString(x.text)
	}
	p.text, p.parts = b.String(), nil
	p.plain = !wild(p.text)
}

func literal(s string, wildcards bool) string {
	if !wildcards || !strings.ContainsAny(s, "*?") {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case '*':
			return anyText
		case '?':
			return anyByte
		}
		return r
	}, s)
}

func wild(s string) bool {
	return strings.IndexByte(s, anyText) >= 0 || strings.IndexByte(s, anyByte) >= 0
}

// expand returns the pattern's text in a request; false when a variable has no
// value, more than one, or one that holds a wildcard's byte.
func (p *pattern) expand(e *evaluation) (string, bool) {
	if p.parts == nil {
		return p.text, true
	}
	b := e.buffer[:0]
	for i := range p.parts {
		x := &p.parts[i]
		if x.variable == "" {
			b = append(b, x.text...)
			continue
		}
		values, ok := e.request.Context.get(x.variable)
		switch {
		case ok && len(values) == 1 && !wild(values[0]):
			b = append(b, values[0]...)
		case (!ok || len(values) == 0) && x.fallback != nil:
			b = append(b, *x.fallback...)
		default:
			return "", false
		}
	}
	e.buffer = b
	return string(b), true
}

// glob matches compiled text. It keeps one place to come back to, the last
// star, and pays for each comparison out of the request's budget.
func (e *evaluation) glob(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0
	steps := 0
	for i < len(s) {
		steps++
		switch {
		case p < len(pattern) && pattern[p] == anyText:
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == anyByte || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			e.pay(steps)
			return false
		}
	}
	for p < len(pattern) && pattern[p] == anyText {
		p++
	}
	e.pay(steps)
	return p == len(pattern)
}

// matchARN matches part by part: a wildcard does not reach over the colons of
// the first five parts.
func (e *evaluation) matchARN(pattern, s string) bool {
	if pattern == "\x00" {
		return true
	}
	for range 5 {
		i, j := strings.IndexByte(pattern, ':'), strings.IndexByte(s, ':')
		if i < 0 || j < 0 || !e.glob(pattern[:i], s[:j]) {
			return false
		}
		pattern, s = pattern[i+1:], s[j+1:]
	}
	return e.glob(pattern, s)
}
