package wire

import (
	"strings"
	"unicode/utf8"

	"github.com/holdfast-iam/holdfast/internal/fault"
)

// Limits of a form, whoever sends it. The size of a body is the caller's to
// choose.
const (
	MaxQueryParameters = 300  // in a query string
	MaxFormMembers     = 3000 // in query string and body together
	MaxQueryString     = 64 << 10
	maxName            = 256 // bytes of one parameter's decoded name
	maxSegments        = 12  // parts of a name between dots
)

// A Form is the parameters of one query-protocol request, each present once.
// Its zero value has none. It is not changed after ParseForm and may be
// decoded any number of times.
type Form struct {
	root node
	size int
}

// A node is one name, or one part of a dotted name: Tags.member.1.Key is four.
type node struct {
	value string
	set   bool // a parameter ends here
	null  bool // while reading JSON: the member is absent
	kids  map[string]*node
}

// ParseForm reads a request's raw query string and its form body (empty if it
// has none of that content type). maxBody is in bytes.
//
// Errors: RequestEntityTooLarge for a longer body; MalformedQueryString for a
// query string or body that breaks the percent-encoding or is not UTF-8;
// InvalidQueryParameter for too many parameters, and for one that is given
// twice, be it once in the query string and once in the body.
func ParseForm(rawQuery string, body []byte, maxBody int) (Form, error) {
	var f Form
	if len(body) > maxBody {
		return Form{}, fault.RequestEntityTooLarge.Errorf("The request body must not be longer than %d bytes.", maxBody)
	}
	if len(rawQuery) > MaxQueryString {
		return Form{}, fault.InvalidQueryParameter.Errorf("The query string must not be longer than %d bytes.", MaxQueryString)
	}
	if err := f.parse(rawQuery, MaxQueryParameters); err != nil {
		return Form{}, err
	}
	if err := f.parse(string(body), MaxFormMembers); err != nil {
		return Form{}, err
	}
	return f, nil
}

// parse adds the pairs of one encoded text, up to most parameters in all.
func (f *Form) parse(encoded string, most int) error {
	for encoded != "" {
		var pair string
		pair, encoded, _ = strings.Cut(encoded, "&")
		if pair == "" {
			continue
		}
		f.size++
		if f.size > most {
			return fault.InvalidQueryParameter.Errorf("The request has more than %d parameters.", most)
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, ok := unescape(rawName)
		if !ok || name == "" || len(name) > maxName {
			return fault.MalformedQueryString.Errorf("The name of a parameter is malformed.")
		}
		value, ok := unescape(rawValue)
		if !ok {
			return fault.MalformedQueryString.Errorf("The value of parameter %s is malformed.", name)
		}
		if !f.root.put(name, value) {
			return fault.InvalidQueryParameter.Errorf("The parameter %s is given more than once.", name)
		}
	}
	return nil
}

// put stores a value and reports whether it is the first of that name.
func (n *node) put(name, value string) bool {
	for depth := 1; ; depth++ {
		part, rest, more := name, "", false
		if depth < maxSegments { // what is deeper stays one odd part that nothing knows
			part, rest, more = strings.Cut(name, ".")
		}
		kid := n.kids[part]
		if kid == nil {
			kid = &node{}
			if n.kids == nil {
				n.kids = map[string]*node{}
			}
			n.kids[part] = kid
		}
		if !more {
			first := !kid.set
			kid.value, kid.set = value, true
			return first
		}
		n, name = kid, rest
	}
}

// Get returns the value of an undotted parameter, such as Action.
func (f *Form) Get(name string) (value string, present bool) {
	if n := f.root.kids[name]; n != nil && n.set {
		return n.value, true
	}
	return "", false
}

// Each calls yield with every parameter's full name and value, for records of
// what was asked. The order is not fixed.
func (f *Form) Each(yield func(name, value string)) { f.root.each("", yield) }

func (n *node) each(prefix string, yield func(name, value string)) {
	if n.set {
		yield(prefix, n.value)
	}
	for name, kid := range n.kids {
		if prefix != "" {
			name = prefix + "." + name
		}
		kid.each(name, yield)
	}
}

// Len returns the number of parameters.
func (f *Form) Len() int { return f.size }

// unescape decodes application/x-www-form-urlencoded text: every % must begin
// two hex digits, and the result must be UTF-8.
// Source: https://url.spec.whatwg.org/#application/x-www-form-urlencoded, but
// strict where that is lenient.
func unescape(s string) (string, bool) {
	if !strings.ContainsAny(s, "%+") {
		return s, utf8.ValidString(s)
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			out = append(out, ' ')
		case '%':
			if len(s)-i < 3 {
				return "", false
			}
			high, ok1 := unhex(s[i+1])
			low, ok2 := unhex(s[i+2])
			if !ok1 || !ok2 {
				return "", false
			}
			out = append(out, high<<4|low)
			i += 2
		default:
			out = append(out, s[i])
		}
	}
	return string(out), utf8.Valid(out)
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// IsForm reports whether a Content-Type header names a form body.
func IsForm(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	return equalFold(strings.Trim(kind, " \t"), "application/x-www-form-urlencoded")
}

// AcceptsJSON reports whether an Accept header asks for application/json by
// name, which makes AWS's query services answer in JSON. */* does not.
func AcceptsJSON(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		kind, _, _ := strings.Cut(part, ";")
		if equalFold(strings.Trim(kind, " \t"), "application/json") {
			return true
		}
	}
	return false
}

// equalFold compares with a lower-case ASCII word, folding ASCII only.
func equalFold(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
