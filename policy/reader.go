package policy

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// reader reads JSON (RFC 8259) and stops at the first error. It is our own
// because a general decoder keeps the last of two members of one name, and
// tells neither where a value stands nor what was expected there.
type reader struct {
	text   string
	at     int
	err    error
	tokens int
	// What the document's lists hold lies behind each other.
	names      []string // of the members so far, of the objects around this place
	values     []string
	conditions []condition
}

// read begins a text, with room for what it seems to have.
func read(text string) *reader {
	strings := min(strings.Count(text, `"`)/2, maxTokens)
	return &reader{text: text, names: make([]string, 0, 16), values: make([]string, 0, strings/2)}
}

func (r *reader) fail(message string) {
	if r.err == nil {
		r.err = &SyntaxError{r.at, message}
	}
}

func (r *reader) space() {
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case ' ', '\t', '\r', '\n':
			r.at++
		default:
			return
		}
	}
}

// peek is the first byte of the next token, 0 at the end or after an error.
func (r *reader) peek() byte {
	if r.err != nil {
		return 0
	}
	if r.tokens++; r.tokens > maxTokens {
		r.fail("the policy has too many parts")
		return 0
	}
	if r.space(); r.at == len(r.text) {
		return 0
	}
	return r.text[r.at]
}

// take reads one byte of punctuation.
func (r *reader) take(c byte) bool {
	if r.peek() != c || r.err != nil {
		return false
	}
	r.at++
	return true
}

// want is take where nothing else may stand.
func (r *reader) want(c byte, what string) bool {
	if r.take(c) {
		return true
	}
	if r.at == len(r.text) {
		r.fail("the policy ends early: " + what + " is expected")
	} else {
		r.fail(what + " is expected")
	}
	return false
}

// object reads an object. The grammar nests four of them and no more, so no
// depth is counted. each is called at every member's value.
func (r *reader) object(each func(name string)) {
	if !r.want('{', "an object") {
		return
	}
	outside := len(r.names)
	for first := true; r.err == nil && !r.take('}'); first = false {
		if !first && !r.want(',', "a comma or a closing brace") {
			return
		}
		r.peek()
		start := r.at
		name := r.string("the name of a member")
		if r.err != nil {
			return
		}
		if known := r.unseen(r.names[outside:], name); !known {
			r.at = start
			r.fail(fmt.Sprintf("the member %q stands twice or its name is not ASCII", name))
			return
		}
		r.names = append(r.names, name)
		if !r.want(':', "a colon") {
			return
		}
		r.peek() // so that a complaint is about the value, not the space before it
		each(name)
	}
	r.names = r.names[:outside]
}

// unseen says whether a member's name is ASCII and new: names that differ in
// case only would mean different things to different readers.
func (r *reader) unseen(names []string, name string) bool {
	if !ascii(name) {
		return false
	}
	for _, n := range names {
		if len(n) == len(name) && strings.EqualFold(n, name) {
			return false
		}
	}
	return true
}

// oneOrMany reads one object or a list of them; each is called before one.
func (r *reader) oneOrMany(each func()) {
	if r.peek() != '[' {
		each()
		return
	}
	r.array(func() {
		r.peek()
		each()
	})
}

// array reads a list; each reads one value.
func (r *reader) array(each func()) {
	r.at++ // the bracket
	for first := true; r.err == nil && !r.take(']'); first = false {
		if !first && !r.want(',', "a comma or a closing bracket") {
			return
		}
		each()
	}
}

// list reads a string or a list of strings; with scalars also numbers and
// booleans, as they are written.
func (r *reader) list(what string, scalars bool) []string {
	start := len(r.values)
	if r.peek() != '[' {
		r.values = append(r.values, r.scalar(scalars, what))
	} else {
		r.array(func() { r.values = append(r.values, r.scalar(scalars, "every value of ", what)) })
	}
	return r.values[start:len(r.values):len(r.values)]
}

func (r *reader) scalar(any bool, what ...string) string {
	c := r.peek()
	if c == '"' || !any {
		return r.string(what...)
	}
	start := r.at
	for r.at < len(r.text) && !strings.ContainsRune(" \t\r\n,]}:[{\"", rune(r.text[r.at])) {
		r.at++
	}
	word := r.text[start:r.at]
	if word == "true" || word == "false" || isNumber(word) {
		return word
	}
	r.at = start
	r.fail(strings.Join(what, "") + " must be a string, a number or a boolean")
	return ""
}

// isNumber says whether a word is a JSON number (RFC 8259, section 6).
func isNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole := digits(s)
	if whole == 0 || whole > 1 && s[0] == '0' {
		return false
	}
	s = s[whole:]
	if rest, ok := strings.CutPrefix(s, "."); ok {
		n := digits(rest)
		if n == 0 {
			return false
		}
		s = rest[n:]
	}
	if s == "" {
		return true
	}
	if s[0] != 'e' && s[0] != 'E' {
		return false
	}
	s = s[1:]
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	return s != "" && digits(s) == len(s)
}

func digits(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}

// string reads a string; what names it in a complaint.
func (r *reader) string(what ...string) string {
	if r.peek() != '"' {
		if r.err == nil {
			r.fail(strings.Join(what, "") + " must be a string")
		}
		return ""
	}
	r.at++
	start := r.at
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == '"':
			r.at++
			return r.text[start : r.at-1]
		case c == '\\':
			return r.escaped(start)
		case c < 0x20:
			r.fail("a control character in a string must be escaped")
			return ""
		}
		r.at++
	}
	r.fail("a string has no end")
	return ""
}

// escaped reads on from the first escape of a string that began at start.
func (r *reader) escaped(start int) string {
	b := []byte(r.text[start:r.at])
	for r.at < len(r.text) {
		c := r.text[r.at]
		switch {
		case c == '"':
			r.at++
			return string(b)
		case c < 0x20:
			r.fail("a control character in a string must be escaped")
			return ""
		case c != '\\':
			b = append(b, c)
			r.at++
			continue
		}
		v, n := unescape(r.text[r.at:])
		if n == 0 {
			r.fail("this escape is none of JSON")
			return ""
		}
		if v < 0x20 && v != '\t' && v != '\n' && v != '\r' {
			r.fail("a policy holds no control characters") // as AWS's pattern of a document; ours mean wildcards when compiled
			return ""
		}
		b = utf8.AppendRune(b, v)
		r.at += n
	}
	r.fail("a string has no end")
	return ""
}

// unescape reads one escape: its character and its length, 0 for none. Half of
// a surrogate pair is none: it is no character.
func unescape(s string) (rune, int) {
	if len(s) < 2 {
		return 0, 0
	}
	if i := strings.IndexByte(`"\/bfnrt`, s[1]); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), 2
	}
	high, ok := hex4(s)
	if !ok {
		return 0, 0
	}
	if high < 0xd800 || high > 0xdfff {
		return high, 6
	}
	low, ok := hex4(s[6:])
	if !ok || high > 0xdbff || low < 0xdc00 || low > 0xdfff {
		return 0, 0
	}
	return (high-0xd800)<<10 + (low - 0xdc00) + 0x10000, 12
}

// hex4 reads \uXXXX.
func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	v := rune(0)
	for _, c := range []byte(s[2:6]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		v = v<<4 | rune(c)
	}
	return v, true
}
