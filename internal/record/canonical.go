package record

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"
)

// The canonical JSON of a record is made from its compact form and read into
// it, without a struct in between: it is what every commit, every applied
// change and every check of a copy does. encoding/json defines the bytes;
// TestCanonicalJSONIsTheLibrarys holds this against it. What is not canonical
// is left to the library.

// appendJSON appends the JSON of the compact form at the beginning of s, and
// returns what follows it.
func (sh *shape) appendJSON(b []byte, s string) (out []byte, rest string, err error) {
	switch sh.kind {
	case reflect.String:
		text, rest, err := cutText(s)
		return appendText(b, text), rest, err
	case reflect.Bool:
		if s == "" || s[0] > 1 {
			return nil, "", errPacked
		}
		return strconv.AppendBool(b, s[0] == 1), s[1:], nil
	case reflect.Int64:
		u, rest, err := cutUvarint(s)
		n := int64(u>>1) ^ -int64(u&1)
		if sh.time {
			b = append(Time(n).Std().AppendFormat(append(b, '"'), time.RFC3339), '"')
			return b, rest, err
		}
		return strconv.AppendInt(b, n, 10), rest, err
	case reflect.Uint64:
		u, rest, err := cutUvarint(s)
		return strconv.AppendUint(b, u, 10), rest, err
	case reflect.Slice:
		return sh.appendList(b, s)
	}
	return sh.appendObject(b, s)
}

func (sh *shape) appendList(b []byte, s string) (out []byte, rest string, err error) {
	if sh.bytes {
		text, rest, err := cutText(s)
		if text == "" {
			return append(b, "null"...), rest, err
		}
		b = append(base64.StdEncoding.AppendEncode(append(b, '"'), []byte(text)), '"')
		return b, rest, err
	}
	n, s, err := cutUvarint(s)
	if err != nil || n > uint64(len(s)) { // every element takes a byte or more
		return nil, "", errPacked
	}
	if n == 0 {
		return append(b, "null"...), s, nil
	}
	b = append(b, '[')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		if b, s, err = sh.elem.appendJSON(b, s); err != nil {
			return nil, "", err
		}
	}
	return append(b, ']'), s, nil
}

func (sh *shape) appendObject(b []byte, s string) (out []byte, rest string, err error) {
	b = append(b, '{')
	first := true
	for i := range sh.fields {
		f := &sh.fields[i]
		// Every empty value that may be left out is one zero byte.
		if f.omit && s != "" && s[0] == 0 {
			s = s[1:]
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, f.name...)
		if b, s, err = f.shape.appendJSON(b, s); err != nil {
			return nil, "", err
		}
	}
	return append(b, '}'), s, nil
}

// stored returns the stored form of a compact form.
func (k *Kind[R]) stored(packed string) ([]byte, error) {
	b := make([]byte, 0, len(packed)+len(packed)/2+256)
	b = strconv.AppendInt(append(b, `{"v":`...), int64(k.Version), 10)
	b, rest, err := k.shape().appendJSON(append(b, `,"r":`...), packed)
	if err == nil && rest != "" {
		err = errPacked
	}
	return append(b, '}'), err
}

// readStored reads a stored form of this build's version, and says whether the
// compact form stands for exactly these bytes.
func (k *Kind[R]) readStored(value []byte) (packed string, exact bool) {
	r := &reader{s: string(value), b: make([]byte, 0, len(value))}
	r.need(`{"v":`)
	r.need(strconv.Itoa(k.Version))
	r.need(`,"r":`)
	r.value(k.shape())
	r.need("}")
	if r.bad || r.s != "" {
		return "", false
	}
	packed = string(r.b)
	again, err := k.stored(packed)
	return packed, err == nil && bytes.Equal(again, value)
}

// reader reads canonical JSON into the compact form. It may take more than is
// canonical: whoever uses it writes the JSON again and compares.
type reader struct {
	s   string // what is left
	b   []byte // the compact form so far
	bad bool
}

// take removes a prefix, if it is there.
func (r *reader) take(prefix string) bool {
	if len(r.s) < len(prefix) || r.s[:len(prefix)] != prefix {
		return false
	}
	r.s = r.s[len(prefix):]
	return true
}

func (r *reader) need(prefix string) {
	if !r.take(prefix) {
		r.bad = true
	}
}

func (r *reader) value(sh *shape) {
	switch sh.kind {
	case reflect.String:
		r.text()
	case reflect.Bool:
		if r.take("true") {
			r.b = append(r.b, 1)
		} else {
			r.need("false")
			r.b = append(r.b, 0)
		}
	case reflect.Int64:
		if sh.time {
			r.time()
			return
		}
		n, err := strconv.ParseInt(r.digits(), 10, 64)
		r.bad = r.bad || err != nil
		r.b = binary.AppendVarint(r.b, n)
	case reflect.Uint64:
		n, err := strconv.ParseUint(r.digits(), 10, 64)
		r.bad = r.bad || err != nil
		r.b = binary.AppendUvarint(r.b, n)
	case reflect.Slice:
		r.list(sh)
	case reflect.Struct:
		r.object(sh)
	}
}

func (r *reader) digits() string {
	i := 0
	for i < len(r.s) && (r.s[i] == '-' || '0' <= r.s[i] && r.s[i] <= '9') {
		i++
	}
	d := r.s[:i]
	r.s = r.s[i:]
	return d
}

func (r *reader) time() {
	at := len(r.b)
	r.text()
	if r.bad {
		return
	}
	text, _, _ := cutText(string(r.b[at:]))
	var t Time
	if t.UnmarshalText([]byte(text)) != nil {
		r.bad = true
	}
	r.b = binary.AppendVarint(r.b[:at], int64(t))
}

// object reads fields in declaration order; one that may be left out and is
// not there is empty: one zero byte.
func (r *reader) object(sh *shape) {
	r.need("{")
	first := true
	for i := range sh.fields {
		f, rest := &sh.fields[i], r.s
		if !first {
			r.take(",")
		}
		switch {
		case r.bad:
			return
		case r.take(f.name):
			r.value(f.shape)
			first = false
		case f.omit:
			r.s = rest
			r.b = append(r.b, 0)
		default:
			r.bad = true
		}
	}
	r.need("}")
}

func (r *reader) list(sh *shape) {
	if r.take("null") {
		r.b = append(r.b, 0)
		return
	}
	at := len(r.b)
	if sh.bytes {
		r.text()
		if r.bad {
			return
		}
		coded, _, _ := cutText(string(r.b[at:]))
		plain, err := base64.StdEncoding.DecodeString(coded)
		r.bad = r.bad || err != nil
		r.b = append(binary.AppendUvarint(r.b[:at], uint64(len(plain))), plain...)
		return
	}
	r.need("[")
	n := 0
	for !r.bad && !r.take("]") {
		if n > 0 {
			r.need(",")
		}
		r.value(sh.elem)
		n++
	}
	r.count(at, n)
}

// count puts a number before what was appended since at.
func (r *reader) count(at, n int) {
	var b [binary.MaxVarintLen64]byte
	size := binary.PutUvarint(b[:], uint64(n))
	r.b = append(r.b, b[:size]...)
	copy(r.b[at+size:], r.b[at:len(r.b)-size])
	copy(r.b[at:], b[:size])
}

// text reads a JSON string into its length and its bytes.
func (r *reader) text() {
	r.need(`"`)
	at := len(r.b)
	for !r.bad {
		i := 0
		for i < len(r.s) && r.s[i] != '"' && r.s[i] != '\\' {
			i++
		}
		r.b = append(r.b, r.s[:i]...)
		r.s = r.s[i:]
		if r.take(`"`) {
			break
		}
		r.escape()
	}
	r.count(at, len(r.b)-at)
}

// escapes are the characters behind a backslash, and what they mean.
var escapes = [256]byte{'"': '"', '\\': '\\', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func (r *reader) escape() {
	switch {
	case len(r.s) >= 2 && escapes[r.s[1]] != 0:
		r.b = append(r.b, escapes[r.s[1]])
		r.s = r.s[2:]
	case len(r.s) >= 6 && r.s[1] == 'u':
		c, err := strconv.ParseUint(r.s[2:6], 16, 16)
		r.bad = r.bad || err != nil
		r.b = utf8.AppendRune(r.b, rune(c))
		r.s = r.s[6:]
	default:
		r.bad = true
	}
}
