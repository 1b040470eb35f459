package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonReader builds nodes from the tokens of a decoder, which tells where each
// ends.
type jsonReader struct {
	origin  *origin
	decoder *json.Decoder
	nodes   int
}

// readJSON reads one JSON value (RFC 8259), no member twice, nothing after it.
func readJSON(o *origin) (*Node, *Error) {
	if !utf8.ValidString(o.text) {
		return nil, &Error{o.position(firstInvalid(o.text)), "the text is not UTF-8", true}
	}
	r := &jsonReader{origin: o, decoder: json.NewDecoder(strings.NewReader(o.text))}
	r.decoder.UseNumber()
	n, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if start := r.next(); start < len(o.text) {
		return nil, r.fail(start, "nothing may follow the value")
	}
	return n, nil
}

func firstInvalid(s string) int {
	for i, c := range s {
		if c == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return len(s)
}

func (r *jsonReader) fail(offset int, message string) *Error {
	return &Error{r.origin.position(offset), message, true}
}

// next is where the next token begins.
func (r *jsonReader) next() int {
	at := int(r.decoder.InputOffset())
	for at < len(r.origin.text) && strings.IndexByte(" \t\r\n,:", r.origin.text[at]) >= 0 {
		at++
	}
	return at
}

// token reads a token and says where it began.
func (r *jsonReader) token() (json.Token, int, *Error) {
	start := r.next()
	t, err := r.decoder.Token()
	if err == nil {
		return t, start, nil
	}
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, 0, r.fail(len(r.origin.text), "the text ends early")
	case errors.As(err, &syntax):
		return nil, 0, r.fail(max(start, int(syntax.Offset)-1), syntax.Error())
	}
	return nil, 0, r.fail(start, err.Error())
}

func (r *jsonReader) value(depth int) (*Node, *Error) {
	t, start, err := r.token()
	if err != nil {
		return nil, err
	}
	if r.nodes++; r.nodes > maxNodes || depth > maxDepth {
		return nil, r.fail(start, "the text has too many values, or is nested too deep")
	}
	n := &Node{origin: r.origin, start: start}
	switch t := t.(type) {
	case string:
		n.Kind, n.Text = Text, t
	case json.Number:
		n.Kind, n.Text = Scalar, t.String()
	case bool:
		n.Kind, n.Text = Scalar, strconv.FormatBool(t)
	case json.Delim:
		if t == '[' {
			return n, r.list(n, depth)
		}
		return n, r.object(n, depth)
	}
	return n, nil
}

func (r *jsonReader) list(n *Node, depth int) *Error {
	n.Kind = List
	for r.decoder.More() {
		item, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.Items = append(n.Items, item)
	}
	_, _, err := r.token()
	return err
}

func (r *jsonReader) object(n *Node, depth int) *Error {
	n.Kind = Object
	seen := map[string]bool{}
	for r.decoder.More() {
		t, start, err := r.token()
		if err != nil {
			return err
		}
		name, ok := t.(string)
		switch {
		case !ok:
			return r.fail(start, "the name of a member is expected")
		case seen[name]:
			return r.fail(start, fmt.Sprintf("the member %q stands twice", name))
		}
		seen[name] = true
		value, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.Members = append(n.Members, Member{name, &Node{Kind: Text, Text: name, origin: r.origin, start: start}, value})
	}
	_, _, err := r.token()
	return err
}

// escapedRune says how many bytes a \u escape takes, with the second half of a
// surrogate pair, and how many bytes what it stands for has.
func escapedRune(raw string) (size, wide int) {
	first, ok := hex(raw)
	if !ok {
		return 2, 1
	}
	if utf16.IsSurrogate(first) && len(raw) > 6 {
		if second, ok := hex(raw[6:]); ok && utf16.DecodeRune(first, second) != utf8.RuneError {
			return 12, 4
		}
	}
	return 6, utf8.RuneLen([]rune(string(first))[0]) // half a pair stands for U+FFFD
}

func hex(s string) (rune, bool) {
	if len(s) < 6 || s[:2] != `\u` {
		return 0, false
	}
	v, err := strconv.ParseUint(s[2:6], 16, 16)
	return rune(v), err == nil
}
