package policyline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// reader reads one line of JSON (RFC 8259) and stops at the first complaint.
// It is our own because reflection took three quarters of a case's time, and
// because a general decoder keeps the last of two members of one name.
type reader struct {
	text string
	at   int
	err  *complaint
}

// complaint says what is wrong, and where: by the names of the members around
// it, and by the byte of the line.
type complaint struct {
	code    string
	path    string
	at      int
	message string
}

func (c *complaint) Error() string {
	if c.path == "" {
		return fmt.Sprintf("%s (at byte %d)", c.message, c.at)
	}
	return fmt.Sprintf("%s: %s (at byte %d)", strings.TrimPrefix(c.path, "."), c.message, c.at)
}

func (r *reader) fail(at int, message string) {
	if r.err == nil {
		r.err = &complaint{code: invalidInput, at: at, message: message}
	}
}

// inside adds to a complaint where it stands.
func (r *reader) inside(step string) {
	r.err.path = step + r.err.path
}

// peek is the first byte of the next token, 0 at the end or after a complaint.
func (r *reader) peek() byte {
	if r.err != nil {
		return 0
	}
	for r.at < len(r.text) {
		switch c := r.text[r.at]; c {
		case ' ', '\t', '\r', '\n':
			r.at++
		default:
			return c
		}
	}
	return 0
}

// want reads one byte of punctuation.
func (r *reader) want(c byte, what string) bool {
	if r.peek() == c {
		r.at++
		return true
	}
	if r.at >= len(r.text) {
		r.fail(r.at, "the line ends early: "+what+" is expected")
	} else {
		r.fail(r.at, what+" is expected")
	}
	return false
}

// null reads a null: an optional member that is null is one that is not there.
func (r *reader) null() bool {
	if r.peek() == 'n' && strings.HasPrefix(r.text[r.at:], "null") {
		r.at += len("null")
		return true
	}
	return false
}

// members reads an object of any names; each is called at a member's value.
func (r *reader) members(each func(name string, at int)) {
	if !r.want('{', "an object") {
		return
	}
	if r.peek() == '}' {
		r.at++
		return
	}
	for r.err == nil {
		r.peek()
		at := r.at
		name := r.string("the name of a member")
		if !r.want(':', "a colon") {
			return
		}
		r.peek() // so that a complaint is about the value, not the space before it
		if each(name, at); r.err != nil {
			r.inside("." + brief(name))
			return
		}
		if r.peek() == '}' {
			r.at++
			return
		}
		r.want(',', "a comma or a closing brace")
	}
}

// object reads an object of known names, at most 32; each is called with the
// place of a member's name in the list. A member that is null is passed over.
func (r *reader) object(known []string, each func(n int)) {
	seen := uint32(0)
	r.members(func(name string, at int) {
		n := slices.Index(known, name)
		switch {
		case n < 0:
			r.fail(at, "the member is unknown here; known are "+strings.Join(known, ", "))
		case seen&(1<<n) != 0:
			r.fail(at, "the member stands twice")
		case !r.null():
			each(n)
		}
		if n >= 0 {
			seen |= 1 << n
		}
	})
}

// array reads a list; each reads one value.
func (r *reader) array(what string, each func()) {
	if !r.want('[', what) {
		return
	}
	if r.peek() == ']' {
		r.at++
		return
	}
	for n := 0; r.err == nil; n++ {
		r.peek()
		if each(); r.err != nil {
			r.inside("[" + strconv.Itoa(n) + "]")
			return
		}
		if r.peek() == ']' {
			r.at++
			return
		}
		r.want(',', "a comma or a closing bracket")
	}
}

// string reads a text; what names it in a complaint.
func (r *reader) string(what string) string {
	if r.peek() != '"' {
		r.fail(r.at, what+" must be a text")
		return ""
	}
	start, escaped := r.at, false
	for r.at++; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; {
		case c == '"':
			r.at++
			if escaped {
				return r.unescape(start)
			}
			return r.text[start+1 : r.at-1]
		case c == '\\':
			escaped = true
			r.at++
		case c < 0x20:
			r.fail(r.at, "a control character in a text must be escaped")
			return ""
		}
	}
	r.fail(start, "the text has no end")
	return ""
}

// unescape reads the escapes of a text that has some. Half of a surrogate pair
// is no character: the decoder puts U+FFFD in its place.
func (r *reader) unescape(start int) (s string) {
	quoted := r.text[start:r.at]
	if json.Unmarshal([]byte(quoted), &s) != nil {
		r.fail(start, "the text has an escape that is none of JSON")
		return ""
	}
	if strings.ContainsRune(s, utf8.RuneError) && !strings.ContainsRune(quoted, utf8.RuneError) && !strings.Contains(strings.ToLower(quoted), `\ufffd`) {
		r.fail(start, "the text has half of a surrogate pair")
		return ""
	}
	return s
}

// scalar reads a text, a number or a boolean as it is written.
func (r *reader) scalar(what string) string {
	if r.peek() == '"' {
		return r.string(what)
	}
	start := r.at
	for r.at < len(r.text) && strings.IndexByte(" \t\r\n,]}:[{\"", r.text[r.at]) < 0 {
		r.at++
	}
	word := r.text[start:r.at]
	if word == "null" || !json.Valid([]byte(word)) {
		r.fail(start, what+" must be a text, a number or a boolean")
		return ""
	}
	return word
}

// skip passes over one value and returns its text. It finds the end and no
// more: whoever takes the text reads it strictly.
func (r *reader) skip() string {
	r.peek()
	start, depth := r.at, 0
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case '"':
			r.passText()
			if depth == 0 {
				return r.text[start:r.at]
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				r.at++
			}
			if depth <= 0 {
				return r.text[start:r.at]
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return r.text[start:r.at]
			}
		}
		r.at++
	}
	return r.text[start:]
}

// passText passes over a text, from its opening quote to behind its closing
// one: the first that an even number of backslashes precedes.
func (r *reader) passText() {
	for from := r.at + 1; ; {
		n := strings.IndexByte(r.text[from:], '"')
		if n < 0 {
			r.at = len(r.text)
			return
		}
		end := from + n
		slashes := 0
		for end-slashes > from && r.text[end-slashes-1] == '\\' {
			slashes++
		}
		if from = end + 1; slashes%2 == 0 {
			r.at = from
			return
		}
	}
}

// brief shortens what a complaint repeats.
func brief(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}
