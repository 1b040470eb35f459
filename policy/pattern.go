package policy

import (
	"encoding/binary"
	"math/bits"
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
	segments               // an ARN with a wildcard before its sixth part; head ends at a part's end
	variables              // text is made in each request
)

// pattern is compiled text: literal bytes, wildcards, and variables.
type pattern struct {
	text  string  // the whole; prefix: without the star; variables: the head
	mark  uint64  // of the head, where it is as long as one needs
	parts *[]part // variables: literals and variables in turn
	head  uint16  // literal bytes at the start
	shape shape
	whole uint8 // segments: parts in the head
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
func (t *texts) compilePattern(s string, wildcards, withVariables, arn bool) pattern {
	return t.compileFrom(s, 0, wildcards, withVariables, arn)
}

// compileResource is compilePattern for a Resource, where an ARN takes
// variables behind its fifth colon only (IAM User Guide, "Variables").
func (t *texts) compileResource(s string, withVariables bool) pattern {
	s = completeARN(s)
	if !strings.HasPrefix(s, "arn:") {
		return t.compilePattern(s, true, withVariables, false)
	}
	head := 0
	for range 5 {
		head += strings.IndexByte(s[head:], ':') + 1
	}
	return t.compileFrom(s, head, true, withVariables, true)
}

// compileFrom reads variables from a place on.
func (t *texts) compileFrom(s string, from int, wildcards, withVariables, arn bool) pattern {
	if !withVariables || !strings.Contains(s[from:], "${") {
		if last := len(s) - 1; wildcards && last > 0 && strings.IndexAny(s, "*?") == last && s[last] == '*' && !(arn && strings.Count(s, ":") < 5) {
			p := pattern{text: s[:last], shape: prefix} // of the document's own bytes
			p.setHead(last)
			return p
		}
		return shaped(t.literal(s, wildcards), arn)
	}
	parts := append(make([]part, 0, 2+2*strings.Count(s[from:], "${")), part{text: t.literal(s[:from], wildcards)})
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
		v := t.compileVariable(s[i+2 : i+j])
		plain = plain && !v.named
		parts = append(parts, part{text: t.literal(s[:i], wildcards)}, v)
		s = s[i+j+1:]
	}
	parts = append(parts, part{text: t.literal(s, wildcards)})
	if plain {
		var b strings.Builder
		for _, x := range parts {
			b.WriteString(x.text)
		}
		return shaped(b.String(), arn)
	}
	head := parts[0].text
	for i := 1; !parts[i].named; i++ {
		head += parts[i].text
	}
	p := pattern{text: head, shape: variables, parts: &parts}
	p.setHead(letters(head))
	p.text = p.text[:p.head]
	return p
}

// letters is how many bytes of compiled text stand before its first wildcard.
func letters(text string) int {
	n := 0
	for n < len(text) && text[n] > anyChar {
		n++
	}
	return n
}

// shaped finds how text is matched.
func shaped(text string, arn bool) pattern {
	i := letters(text)
	p := pattern{text: text}
	head := i
	switch {
	case i == len(text):
		p.shape = exact
	case text == "\x00":
		p.shape = anything
	case arn && strings.Count(text[:i], ":") < 5:
		p.shape, p.whole = segments, uint8(strings.Count(text[:i], ":"))
		head = strings.LastIndexByte(text[:i], ':') + 1
	default:
		p.shape = tail
	}
	p.setHead(head)
	return p
}

// setHead notes how much of the text is compared as it is.
func (p *pattern) setHead(n int) {
	p.head = uint16(min(n, 1<<16-1))
	if n := int(p.head); n >= markSize {
		p.mark = headMark(bytesOf(p.text[n-markSize : n]))
	}
}

// markSize is how many bytes at the end of a head make its mark.
const markSize = 16

// headMark tells most heads apart by one comparison of numbers.
func headMark(end []byte) uint64 {
	return binary.LittleEndian.Uint64(end[8:]) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(end), 29)
}

// compileVariable reads what stands between ${ and }.
func (t *texts) compileVariable(s string) part {
	switch s {
	case "*", "?", "$":
		return part{text: s} // the character itself
	}
	name, rest, ok := strings.Cut(s, ",")
	v := part{named: true, variable: t.fold(strings.TrimSpace(name))}
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

// literal is text with its wildcards compiled. Of wildcards in a row, every ?
// goes before every *, which means the same: so a letter follows a star, and
// the matcher can search for it.
func (t *texts) literal(s string, wildcards bool) string {
	if !wildcards || !strings.ContainsAny(s, "*?") {
		return s
	}
	b := t.room(len(s))
	copy(b, s)
	for i := 0; i < len(b); i++ {
		from, chars := i, 0
		for i < len(b) && (b[i] == '*' || b[i] == '?') {
			if b[i] == '?' {
				chars++
			}
			i++
		}
		for k := from; k < i; k++ {
			b[k] = anyText
			if k < from+chars {
				b[k] = anyChar
			}
		}
	}
	return view(b)
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
	if e.left -= 8; e.left < 0 {
		return false
	}
	switch p.shape {
	case exact:
		return p.text == s
	case anything:
		return h != asARN || e.isARN(s)
	case prefix:
		return len(s) >= len(p.text) && s[:len(p.text)] == p.text
	}
	n := int(p.head)
	switch {
	case len(s) < n || s[:n] != p.text[:n]:
		return false
	case p.shape == tail:
		return e.glob(p.text[n:], s[n:])
	case p.shape == segments:
		return e.matchParts(p.text[n:], s[n:], int(p.whole))
	}
	text, ok := p.expand(e)
	if !ok {
		return false
	}
	if h == asARN || h == asResource && strings.HasPrefix(text, "arn:") {
		return e.matchParts(text, s, 0)
	}
	return e.glob(text, s)
}

// expand returns the text that variables come to in a request; false when one
// has no value, more than one, or one that holds a wildcard's byte, and when
// the budget is spent.
func (p *pattern) expand(e *evaluation) (string, bool) {
	if p.shape != variables {
		return p.text, true
	}
	b := e.buffer[:0]
	for i := range *p.parts {
		x := &(*p.parts)[i]
		if !x.named {
			b = append(b, x.text...)
			continue
		}
		if e.left -= keyCost; e.left < 0 {
			return "", false
		}
		values, ok := e.request.Context.get(x.variable, x.mark)
		switch {
		case ok && len(values) == 1 && !wild(values[0]):
			b = append(b, values[0]...)
			e.left -= len(values[0]) / 4
		case (!ok || len(values) == 0) && x.fallback != nil:
			b = append(b, *x.fallback...)
		default:
			return "", false
		}
	}
	e.buffer = b
	return view(b), true // used before the buffer is
}

// glob matches compiled text. It keeps one place to come back to, the last
// star, and pays for each comparison out of the request's budget. It looks at
// the ends first, where most that differ do. ASCII letters stand for themselves
// in UTF-8, good or bad; everything else is stepped over by characters. What
// follows a star is searched for.
func (e *evaluation) glob(pattern, s string) bool {
	for len(pattern) > 0 && ascii7(pattern[len(pattern)-1]) {
		last := len(pattern) - 1
		e.left--
		if len(s) == 0 || pattern[last] != s[len(s)-1] {
			return false
		}
		pattern, s = pattern[:last], s[:len(s)-1]
	}
	p, i, steps := 0, 0, 0
	star, back, run := -1, 0, ""
	for {
		for p < len(pattern) && i < len(s) && pattern[p] == s[i] && pattern[p] > anyChar {
			p, i, steps = p+1, i+1, steps+1
		}
		steps += 3 // which takes as long as three letters
		switch {
		case p == len(pattern) && i == len(s), p == len(pattern)-1 && pattern[p] == anyText:
			e.left -= steps
			return true
		case steps > e.left: // the request has spent its budget
			e.left = -1
			return false
		case p < len(pattern) && pattern[p] == anyText:
			p++
			star, back, run = p, i, literalRun(pattern[p:])
		case p < len(pattern) && pattern[p] == anyChar && i < len(s):
			w := width(s[i:])
			p, i, steps = p+1, i+w, steps+3*(w-1)
			continue
		case star >= 0 && i < len(s):
			w := width(s[back:])
			back, steps = back+w, steps+3*(w-1)
		default:
			e.left -= steps
			return false
		}
		if run != "" { // on to where it stands
			n := strings.Index(s[back:], run)
			if n < 0 {
				e.left -= steps + len(s[back:]) + 2*len(run)
				return false
			}
			back += n
			steps += 6 + n + 2*len(run)
		}
		p, i = star+len(run), back+len(run)
	}
}

// literalRun is what a pattern begins with that stands for itself: nothing
// where it begins inside a character, for the text has to be stepped over by
// characters then. The first byte of one stands inside no other.
func literalRun(pattern string) string {
	if !utf8.RuneStart(pattern[0]) {
		return ""
	}
	return pattern[:letters(pattern)]
}

// ascii7 says whether a byte of compiled text is a letter of ASCII.
func ascii7(c byte) bool { return anyChar < c && c < utf8.RuneSelf }

// width is how many bytes the first character has; a byte that is no UTF-8 is
// one of its own.
func width(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// isARN says whether a text has the parts of an ARN.
func (e *evaluation) isARN(s string) bool {
	e.left -= len(s) / 16
	return strings.Count(s, ":") >= 5
}

// matchParts matches two ARNs from their part of this number on. A pattern
// with fewer parts matches nothing that has six but empty ones.
func (e *evaluation) matchParts(pattern, s string, number int) bool {
	for ; number < 5; number++ {
		n := strings.IndexByte(s, ':')
		if n < 0 {
			return false
		}
		part, rest, _ := strings.Cut(pattern, ":")
		e.left -= 8 + (n+len(part))/8
		if part != s[:n] && part != "\x00" && !e.glob(part, s[:n]) {
			return false
		}
		pattern, s = rest, s[n+1:]
	}
	return e.glob(pattern, s)
}

// view is the text of bytes without a copy: good until they are written again.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// bytesOf is text as bytes without a copy: nobody may write them.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
