package wire

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/holdfast-iam/holdfast/internal/fault"
)

// Limits of a JSON body.
const (
	maxJSONDepth  = 16
	maxJSONTokens = 5000
)

// ParseJSON reads the body of AWS's JSON protocols (1.0 and 1.1) into the same
// Form, so that one input struct and one Decoder serve both. A member that is
// null is absent; an empty body is an empty object.
//
// Errors: RequestEntityTooLarge for a longer body; MalformedInput
// (SerializationException in JSON) for what is not one JSON object in UTF-8,
// nests or counts too much, or names a member twice.
func ParseJSON(body []byte, maxBody int) (Form, error) {
	if len(body) > maxBody {
		return Form{}, fault.RequestEntityTooLarge.Errorf("The request body must not be longer than %d bytes.", maxBody)
	}
	if len(body) == 0 {
		return Form{}, nil
	}
	r := jsonReader{tokens: json.NewDecoder(bytes.NewReader(body))}
	r.tokens.UseNumber()
	root := &node{}
	ok := utf8.Valid(body) && r.token() == json.Delim('{') && r.object(root, 1)
	if _, err := r.tokens.Token(); !ok || err != io.EOF {
		return Form{}, fault.MalformedInput.Errorf("The request body is not a valid JSON object.")
	}
	return Form{root: *root, size: len(root.kids)}, nil
}

// A jsonReader turns tokens into nodes. Its methods report whether all went
// well.
type jsonReader struct {
	tokens *json.Decoder
	count  int
}

// token returns the next token, nil where none is left or allowed.
func (r *jsonReader) token() json.Token {
	r.count++
	if r.count > maxJSONTokens {
		return nil
	}
	token, err := r.tokens.Token()
	if err != nil {
		return nil
	}
	return token
}

// object reads members up to the closing brace.
func (r *jsonReader) object(n *node, depth int) bool {
	n.kids = map[string]*node{}
	for r.tokens.More() {
		name, ok := r.token().(string)
		if !ok || len(name) > maxName {
			return false
		}
		if _, twice := n.kids[name]; twice {
			return false
		}
		kid := &node{}
		n.kids[name] = kid
		if !r.value(kid, depth) {
			return false
		}
	}
	for name, kid := range n.kids {
		if kid.null {
			delete(n.kids, name)
		}
	}
	return r.token() == json.Delim('}')
}

// array reads elements up to the closing bracket, as X.member.1, X.member.2, …
func (r *jsonReader) array(n *node, depth int) bool {
	list := &node{kids: map[string]*node{}}
	for r.tokens.More() {
		kid := &node{}
		if !r.value(kid, depth) || kid.null {
			return false
		}
		list.kids[strconv.Itoa(len(list.kids)+1)] = kid
	}
	if len(list.kids) == 0 {
		n.set = true // as X= in a form
	} else {
		n.kids = map[string]*node{"member": list}
	}
	return r.token() == json.Delim(']')
}

// value reads one value of any kind.
func (r *jsonReader) value(n *node, depth int) bool {
	r.count++
	if r.count > maxJSONTokens || depth >= maxJSONDepth {
		return false
	}
	token, err := r.tokens.Token()
	if err != nil {
		return false
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return r.object(n, depth+1)
		}
		return r.array(n, depth+1)
	case string:
		n.value, n.set = token, true
	case json.Number:
		n.value, n.set = token.String(), true
	case bool:
		n.value, n.set = strconv.FormatBool(token), true
	case nil:
		n.null = true
	}
	return true
}
