package policy

import (
	"strings"
	"unicode/utf8"
	"unsafe"
)

// In a compiled pattern anyText stands for * and anyChar for ?. Both are bytes
// that no policy may hold, so a literal star of a substituted value stays one.
const (
	anyText = 0x00
	anyChar = 0x01
)

// shape is how a pattern is matched, found when it is compiled.
type shape uint8

const (
	exact     shape = iota // no wildcard
	anything               // * alone
	prefix                 // one *, at the end
	tail                   // literal up to head, a glob from there on
	segments               // an ARN with a wildcard before its sixth part
	variables              // text is made in each request
)

// pattern is compiled text: literal bytes, wildcards, and variables.
type pattern struct {
	text  string // without variables: the whole; prefix: without the star
	more  *more
	head  uint16 // literal bytes at the start
	shape shape
}

// more is what few patterns have.
type more struct {
	parts    []part    // variables: literals and variables in turn
	segments [6]string // segments: the ARN's parts
}

// part is a literal, or a variable.
type part struct {
	text     string
	named    bool   // a variable: text is made in the request
	variable string // folded key
	mark     uint32
	fallback *string
}

// compilePattern reads wildcards, and variables where they count. An ARN's
// first five parts are matched one by one.
func compilePattern(s string, wildcards, withVariables, arn bool) pattern {
	return compileFrom(s, 0, wildcards, withVariables, arn)
}

// compileResource is compilePattern for a Resource, where an ARN takes
// variables behind its fifth colon only (IAM User Guide, "Variables").
func compileResource(s string, withVariables bool) pattern {
	s = completeARN(s)
	if !strings.HasPrefix(s, "arn:") {
		return compilePattern(s, true, withVariables, false)
	}
	head := 0
	for range 5 {
		head += strings.IndexByte(s[head:], ':') + 1
	}
	return compileFrom(s, head, true, withVariables, true)
}

// compileFrom reads variables from a place on.
func compileFrom(s string, from int, wildcards, withVariables, arn bool) pattern {
	if !withVariables || !strings.Contains(s[from:], "${") {
		return shaped(literal(s, wildcards), arn)
	}
	parts := []part{{text: literal(s[:from], wildcards)}}
	s = s[from:]
	plain := true
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			break
		}
		j := strings.IndexByte(s[i:], '}')
		if j < 0 {
			break
		}
		v := compileVariable(s[i+2 : i+j])
		plain = plain && !v.named
		parts = append(parts, part{text: literal(s[:i], wildcards)}, v)
		s = s[i+j+1:]
	}
	parts = append(parts, part{text: literal(s, wildcards)})
	if plain {
		var b strings.Builder
		for _, x := range parts {
			b.WriteString(x.text)
		}
		return shaped(b.String(), arn)
	}
	return pattern{shape: variables, more: &more{parts: parts}}
}

// shaped finds how text is matched.
func shaped(text string, arn bool) pattern {
	i := strings.IndexAny(text, "\x00\x01")
	p := pattern{text: text, head: uint16(min(max(i, 0), 1<<16-1))}
	switch {
	case i < 0:
		p.shape = exact
	case text == "\x00":
		p.shape = anything
	case arn && strings.Count(text[:i], ":") < 5:
		p.shape, p.more = segments, &more{segments: split6(text)}
	case i == len(text)-1 && text[i] == anyText:
		p.shape, p.text = prefix, text[:i]
	default:
		p.shape = tail
	}
	return p
}

// compileVariable reads what stands between ${ and }.
func compileVariable(s string) part {
	switch s {
	case "*", "?", "$":
		return part{text: s} // the character itself
	}
	name, rest, ok := strings.Cut(s, ",")
	v := part{named: true, variable: fold(strings.TrimSpace(name))}
	v.mark = markOf(v.variable)
	if ok {
		rest = strings.TrimSpace(rest)
		if len(rest) >= 2 && rest[0] == '\'' && rest[len(rest)-1] == '\'' {
			text := rest[1 : len(rest)-1]
			v.fallback = &text
		}
	}
	return v
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
			return anyChar
		}
		return r
	}, s)
}

func wild(s string) bool {
	return strings.IndexByte(s, anyText) >= 0 || strings.IndexByte(s, anyChar) >= 0
}

// how says what a pattern whose text is made in the request is matched as.
type how uint8

const (
	asText     how = iota
	asResource     // part by part where it comes to an ARN
	asARN          // part by part
)

// matches says whether the pattern matches a text.
func (p *pattern) matches(e *evaluation, s string, h how) bool {
	e.left -= 8
	switch p.shape {
	case exact:
		return p.text == s
	case anything:
		return true
	case prefix:
		return len(s) >= len(p.text) && s[:len(p.text)] == p.text
	case tail:
		n := int(p.head)
		return len(s) >= n && s[:n] == p.text[:n] && e.glob(p.text[n:], s[n:])
	case segments:
		n := int(p.head)
		return len(s) >= n && s[:n] == p.text[:n] && e.matchParts(&p.more.segments, s)
	}
	text, ok := p.expand(e)
	if !ok {
		return false
	}
	if h == asARN || h == asResource && strings.HasPrefix(text, "arn:") {
		return e.matchARN(text, s)
	}
	return e.glob(text, s)
}

// expand returns the text that variables come to in a request; false when one
// has no value, more than one, or one that holds a wildcard's byte.
func (p *pattern) expand(e *evaluation) (string, bool) {
	if p.shape != variables {
		return p.text, true
	}
	b := e.buffer[:0]
	for i := range p.more.parts {
		x := &p.more.parts[i]
		if !x.named {
			b = append(b, x.text...)
			continue
		}
		values, ok := e.request.Context.get(x.variable, x.mark)
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
	e.left -= len(b)
	return view(b), true // used before the buffer is
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
		case p < len(pattern) && pattern[p] == anyChar:
			p++
			i += width(s[i:])
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			mark += width(s[mark:])
			p, i = star+1, mark
		default:
			e.left -= steps
			return false
		}
		if steps > e.left { // the request has spent its budget
			e.left = -1
			return false
		}
	}
	for p < len(pattern) && pattern[p] == anyText {
		p++
	}
	e.left -= steps
	return p == len(pattern)
}

// width is how many bytes the first character has; a byte that is no UTF-8 is
// one of its own.
func width(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// matchARN matches part by part: a wildcard does not reach over the colons of
// the first five parts.
func (e *evaluation) matchARN(pattern, s string) bool {
	if pattern == "\x00" {
		return true
	}
	parts := split6(pattern)
	return e.matchParts(&parts, s)
}

// split6 cuts an ARN at its first five colons. One with fewer matches nothing
// that has five: its last parts are empty.
func split6(s string) (parts [6]string) {
	for i := range 5 {
		parts[i], s, _ = strings.Cut(s, ":")
	}
	parts[5] = s
	return parts
}

func (e *evaluation) matchParts(parts *[6]string, s string) bool {
	for i := range 5 {
		n := 0
		for n < len(s) && s[n] != ':' {
			n++
		}
		if n == len(s) {
			return false
		}
		e.left -= n
		if p := parts[i]; p != s[:n] && p != "\x00" && (len(p) == 0 || !e.glob(p, s[:n])) {
			return false
		}
		s = s[n+1:]
	}
	return e.glob(parts[5], s)
}

// view is the text of bytes without a copy: good until they are written again.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
