package wire

import (
	"encoding"
	"encoding/base64"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/holdfast-iam/holdfast/internal/fault"
)

// A Decoder fills one input struct type. It is made once, when a table of
// operations is built, and is safe for concurrent use.
type Decoder struct {
	kind reflect.Type
	fill decodeFunc
}

// A decodeFunc stores what a node holds in v. What is wrong it adds to d.
type decodeFunc func(d *decoding, n *node, at *place, v reflect.Value)

// A decoding is the outcome of one Decode.
type decoding struct {
	broken    []violation
	malformed error // the first thing that is not even of the right form
}

// A place is where a member stands, for messages.
type place struct {
	up    *place
	name  string
	index int // in a list, from 1; else 0
}

// NewDecoder returns the decoder for a struct type. It panics if the type has
// a member that the wire does not know.
func NewDecoder(t reflect.Type) *Decoder {
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("wire: input %v is not a struct", t))
	}
	return &Decoder{kind: t, fill: structDecoder(t, 0, true)}
}

// Decode fills the struct that in points to. Parameters that the struct does
// not know are ignored, as AWS does; what stands beneath a parameter that it
// knows must fit.
//
// Errors: MalformedInput for a text that is no number, boolean, time or list
// where there must be one; InvalidInput for a text that the member's own
// UnmarshalText refuses; else ValidationError, which tells all broken
// constraints at once. After an error the struct is partly filled.
func (dec *Decoder) Decode(f Form, in any) error {
	v := reflect.ValueOf(in)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Type() != dec.kind {
		panic(fmt.Sprintf("wire: decode into %T, made for *%v", in, dec.kind))
	}
	var d decoding
	dec.fill(&d, &f.root, nil, v.Elem())
	switch {
	case d.malformed != nil:
		return d.malformed
	case len(d.broken) > 0:
		return fault.ValidationError.Errorf("%s", message(d.broken))
	}
	return nil
}

// Decode is NewDecoder and Decoder.Decode in one, for uses that are rare.
func Decode(f Form, in any) error {
	return NewDecoder(reflect.TypeOf(in).Elem()).Decode(f, in)
}

// decoderFor returns the function for a member's type.
func decoderFor(t reflect.Type, depth int) decodeFunc {
	if depth > maxNesting {
		panic(fmt.Sprintf("wire: %v is nested too deeply", t))
	}
	switch {
	case t.Kind() == reflect.Pointer:
		return pointerDecoder(t, depth)
	case t == timeType:
		return leaf(setTime)
	case reflect.PointerTo(t).Implements(textUnmarshaler):
		return ownDecoder(t)
	case isBytes(t):
		return bytesDecoder(t)
	}
	switch t.Kind() {
	case reflect.String:
		return stringDecoder(t)
	case reflect.Bool:
		return leaf(setBool)
	case reflect.Int, reflect.Int32, reflect.Int64:
		return numberDecoder(t)
	case reflect.Struct:
		return structDecoder(t, depth, false)
	case reflect.Slice:
		return listDecoder(t, depth)
	}
	panic(fmt.Sprintf("wire: an input cannot hold a %v", t))
}

// leaf makes a decodeFunc of one that handles a single text.
func leaf(set func(d *decoding, text string, at *place, v reflect.Value)) decodeFunc {
	return func(d *decoding, n *node, at *place, v reflect.Value) {
		if len(n.kids) > 0 || !n.set {
			d.refuse("The parameter %s has a single value.", at)
			return
		}
		set(d, n.value, at, v)
	}
}

func pointerDecoder(t reflect.Type, depth int) decodeFunc {
	element := decoderFor(t.Elem(), depth+1)
	return func(d *decoding, n *node, at *place, v reflect.Value) {
		v.Set(reflect.New(t.Elem()))
		element(d, n, at, v.Elem())
	}
}

func stringDecoder(t reflect.Type) decodeFunc {
	limit := limitOf(t)
	return leaf(func(d *decoding, text string, at *place, v reflect.Value) {
		if limit != nil {
			d.add(limit, limit.brokenByText(text), text, at)
		}
		v.SetString(text)
	})
}

func numberDecoder(t reflect.Type) decodeFunc {
	limit, bits := limitOf(t), t.Bits()
	return leaf(func(d *decoding, text string, at *place, v reflect.Value) {
		number, err := strconv.ParseInt(text, 10, bits)
		if err != nil {
			d.refuse("The value of parameter %s is not a valid integer.", at)
			return
		}
		if limit != nil {
			d.add(limit, limit.brokenByNumber(number), text, at)
		}
		v.SetInt(number)
	})
}

func setBool(d *decoding, text string, at *place, v reflect.Value) {
	switch {
	case equalFold(text, "true"):
		v.SetBool(true)
	case equalFold(text, "false"):
		v.SetBool(false)
	default:
		d.refuse("The value of parameter %s is not a valid boolean.", at)
	}
}

// setTime takes what the SDKs send: ISO 8601 with a zone, or, in JSON, whole
// or decimal seconds since 1970.
func setTime(d *decoding, text string, at *place, v reflect.Value) {
	when, err := time.Parse(time.RFC3339, text)
	if seconds, notNumber := strconv.ParseFloat(text, 64); notNumber == nil && math.Abs(seconds) < 1e11 {
		when, err = time.UnixMilli(int64(math.Round(seconds*1000))), nil
	}
	if err != nil || when.IsZero() {
		d.refuse("The value of parameter %s is not a valid timestamp.", at)
		return
	}
	v.Set(reflect.ValueOf(when.UTC()))
}

func bytesDecoder(t reflect.Type) decodeFunc {
	limit := limitOf(t)
	return leaf(func(d *decoding, text string, at *place, v reflect.Value) {
		blob, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil {
			d.refuse("The value of parameter %s is not valid base64.", at)
			return
		}
		if limit != nil {
			d.add(limit, limit.brokenByLength(len(blob)), text, at)
		}
		v.SetBytes(blob)
	})
}

// ownDecoder serves types that read their own text, after their Limits.
func ownDecoder(t reflect.Type) decodeFunc {
	limit := limitOf(t)
	return leaf(func(d *decoding, text string, at *place, v reflect.Value) {
		if limit != nil {
			if broken := limit.brokenByText(text); broken != nil {
				d.add(limit, broken, text, at)
				return
			}
		}
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil && d.malformed == nil {
			shown := cut(text)
			if limit != nil && limit.Sensitive {
				shown = "at " + at.String()
			}
			// IAM says: ARN x is not valid.
			d.malformed = fault.InvalidInput.Errorf("%s %s is not valid. %w", t.Name(), shown, err)
		}
	})
}

// structDecoder fills a struct's members. At the top of an input, names that
// it does not know are ignored.
func structDecoder(t reflect.Type, depth int, top bool) decodeFunc {
	type member struct {
		field
		lower string
		fill  decodeFunc
	}
	var members []member
	for _, f := range fieldsOf(t) {
		members = append(members, member{f, lowerFirst(f.name), decoderFor(f.kind, depth+1)})
	}
	return func(d *decoding, n *node, at *place, v reflect.Value) {
		if n.set {
			d.refuse("The parameter %s has members, not a value.", at)
			return
		}
		known := 0
		for i := range members {
			m := &members[i]
			kid := n.kids[m.name]
			if kid != nil {
				known++
				m.fill(d, kid, &place{up: at, name: m.lower}, v.FieldByIndex(m.index))
			} else if m.required {
				inner := place{up: at, name: m.lower}
				d.broken = append(d.broken, violation{" null", inner.String(), nullText})
			}
		}
		if !top && known < len(n.kids) {
			d.refuse("The parameter %s has members that are not known.", at)
		}
	}
}

// listDecoder fills a list from X.member.1, X.member.2, …; an empty X is the
// empty list. Gaps close up.
func listDecoder(t reflect.Type, depth int) decodeFunc {
	element := decoderFor(t.Elem(), depth+1)
	limit := limitOf(t)
	return func(d *decoding, n *node, at *place, v reflect.Value) {
		indices, ok := n.memberIndices()
		if !ok {
			d.refuse("The parameter %s is not a valid list.", at)
			return
		}
		v.Set(reflect.MakeSlice(t, len(indices), len(indices)))
		if limit != nil {
			if broken := limit.brokenByLength(len(indices)); broken != nil {
				d.add(limit, broken, n.shown(indices), at)
			}
		}
		d.members(t.Elem(), element, n, indices, at, v)
	}
}

// members fills a list's elements. For lists of single values AWS names the
// list, and all constraints of its elements, whichever is broken.
func (d *decoding) members(t reflect.Type, element decodeFunc, n *node, indices []int, at *place, v reflect.Value) {
	limit := limitOf(t)
	before := len(d.broken)
	for i, index := range indices {
		kid := n.kids["member"].kids[strconv.Itoa(index)]
		element(d, kid, &place{up: at, name: "member", index: index}, v.Index(i))
	}
	if limit != nil && len(d.broken) > before && (t.Kind() != reflect.Struct || isLeaf(t)) {
		whole := violation{limit.quoted(n.shown(indices)), at.String(), limit.all()}
		d.broken = append(d.broken[:before], whole)
	}
}

// memberIndices returns a list's indices in order. It refuses what is not
// exactly X.member.N with N ≥ 1 in its shortest form, so that no member can be
// passed over in silence.
func (n *node) memberIndices() ([]int, bool) {
	if n.set {
		return nil, n.value == "" && len(n.kids) == 0
	}
	list := n.kids["member"]
	if list == nil || list.set || len(n.kids) > 1 {
		return nil, false
	}
	indices := make([]int, 0, len(list.kids))
	for name := range list.kids {
		index, err := strconv.Atoi(name)
		if err != nil || index < 1 || strconv.Itoa(index) != name {
			return nil, false
		}
		indices = append(indices, index)
	}
	slices.Sort(indices)
	return indices, true
}

// shown prints a list as a message repeats it.
func (n *node) shown(indices []int) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, index := range indices {
		if i > 0 {
			b.WriteString(", ")
		}
		kid := n.kids["member"].kids[strconv.Itoa(index)]
		if len(kid.kids) > 0 {
			b.WriteString("{...}")
		} else {
			b.WriteString(kid.value)
		}
		if b.Len() > maxEcho {
			break
		}
	}
	b.WriteByte(']')
	return b.String()
}

// add records broken constraints of the value at a place.
func (d *decoding) add(limit *Limit, broken []string, value string, at *place) {
	for _, constraint := range broken {
		d.broken = append(d.broken, violation{limit.quoted(value), at.String(), constraint})
	}
}

// refuse records the first malformed member.
func (d *decoding) refuse(format string, at *place) {
	if d.malformed == nil {
		d.malformed = fault.MalformedInput.Errorf(format, at.String())
	}
}

// String prints the place as AWS does: tags.1.member.key.
func (p *place) String() string {
	if p == nil {
		return ""
	}
	name := p.name
	if p.index > 0 {
		name = strconv.Itoa(p.index) + "." + name
	}
	if p.up == nil {
		return name
	}
	return p.up.String() + "." + name
}

// lowerFirst lowers the first letter only: sAMLAssertion, as AWS says it.
func lowerFirst(name string) string {
	r, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToLower(r)) + name[size:]
}
