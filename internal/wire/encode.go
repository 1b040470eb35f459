package wire

import (
	"encoding"
	"encoding/base64"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An Encoder writes the answers of one operation. It is made once, when a
// table of operations is built, and is safe for concurrent use.
type Encoder struct {
	kind     reflect.Type // nil: the operation has no output
	shape    shape
	xmlOpen  string // up to the result's members
	xmlClose string // from there to the request id
	xmlEnd   string
	jsonOpen string
	jsonMid  string
}

// A shape is how one type is written.
type shape struct {
	xml, json appendFunc
	// absent reports whether the value is never written; nil: it always is.
	absent func(reflect.Value) bool
}

type appendFunc func(dst []byte, v reflect.Value) []byte

// NewEncoder returns the encoder for an operation's output struct type, nil if
// its model has no output. An operation whose output has no members still has
// one: clients look for the result element. The namespace is the service's, as
// in https://iam.amazonaws.com/doc/2010-05-08/. It panics if the type has a
// member that the wire does not know.
func NewEncoder(operation, namespace string, out reflect.Type) *Encoder {
	e := &Encoder{kind: out}
	e.xmlOpen = "<" + operation + `Response xmlns="` + namespace + `">`
	e.xmlClose = "<ResponseMetadata><RequestId>"
	e.xmlEnd = "</RequestId></ResponseMetadata></" + operation + "Response>"
	e.jsonOpen = `{"` + operation + `Response":{`
	e.jsonMid = `"ResponseMetadata":{"RequestId":`
	if out != nil {
		if out.Kind() != reflect.Struct {
			panic(fmt.Sprintf("wire: output %v is not a struct", out))
		}
		e.shape = shapeOf(out, 0)
		e.xmlOpen += "<" + operation + "Result>"
		e.xmlClose = "</" + operation + "Result>" + e.xmlClose
		e.jsonOpen += `"` + operation + `Result":`
		e.jsonMid = "," + e.jsonMid
	}
	return e
}

// AppendXML appends the answer in the query protocol's XML. out is the output
// struct or a pointer to it; nil, if the operation has no output or an empty
// one.
func (e *Encoder) AppendXML(dst []byte, out any, requestID string) []byte {
	dst = append(dst, e.xmlOpen...)
	if v, ok := e.value(out); ok {
		dst = e.shape.xml(dst, v)
	}
	dst = append(dst, e.xmlClose...)
	dst = appendXMLText(dst, requestID)
	return append(dst, e.xmlEnd...)
}

// AppendJSON appends the answer as the query services give it to a client that
// accepts JSON: the same tree, times as seconds since 1970.
func (e *Encoder) AppendJSON(dst []byte, out any, requestID string) []byte {
	dst = append(dst, e.jsonOpen...)
	if e.kind != nil {
		dst = e.AppendBareJSON(dst, out)
	}
	dst = append(dst, e.jsonMid...)
	dst = appendJSONText(dst, requestID)
	return append(dst, "}}}"...)
}

// AppendBareJSON appends the output alone, as AWS's JSON protocols do.
func (e *Encoder) AppendBareJSON(dst []byte, out any) []byte {
	if v, ok := e.value(out); ok {
		return e.shape.json(dst, v)
	}
	return append(dst, "{}"...)
}

// value looks at an output; false if there is nothing to write.
func (e *Encoder) value(out any) (reflect.Value, bool) {
	if out == nil || e.kind == nil {
		return reflect.Value{}, false
	}
	v := reflect.ValueOf(out)
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return reflect.Value{}, false
		}
		v = v.Elem()
	}
	if v.Type() != e.kind {
		panic(fmt.Sprintf("wire: encode %T, made for %v", out, e.kind))
	}
	return v, true
}

// shapeOf returns how a type is written.
func shapeOf(t reflect.Type, depth int) shape {
	if depth > maxNesting {
		panic(fmt.Sprintf("wire: %v is nested too deeply", t))
	}
	switch {
	case t.Kind() == reflect.Pointer:
		return pointerShape(t, depth)
	case t == timeType:
		return shape{appendXMLTime, appendJSONTime, reflect.Value.IsZero}
	case t == documentType:
		return textShape(func(v reflect.Value) string { return string(appendEscapedURI(nil, v.String())) })
	case t.Implements(textMarshaler):
		return textShape(ownText)
	case isBytes(t):
		return textShape(func(v reflect.Value) string { return base64.StdEncoding.EncodeToString(v.Bytes()) })
	}
	switch t.Kind() {
	case reflect.String:
		return textShape(reflect.Value.String)
	case reflect.Bool:
		return sameShape(func(dst []byte, v reflect.Value) []byte { return strconv.AppendBool(dst, v.Bool()) })
	case reflect.Int, reflect.Int32, reflect.Int64:
		return sameShape(func(dst []byte, v reflect.Value) []byte { return strconv.AppendInt(dst, v.Int(), 10) })
	case reflect.Struct:
		return structShape(t, depth)
	case reflect.Slice:
		return listShape(t, depth)
	case reflect.Map:
		return mapShape(t, depth)
	}
	panic(fmt.Sprintf("wire: an output cannot hold a %v", t))
}

func textShape(text func(reflect.Value) string) shape {
	return shape{
		xml:  func(dst []byte, v reflect.Value) []byte { return appendXMLText(dst, text(v)) },
		json: func(dst []byte, v reflect.Value) []byte { return appendJSONText(dst, text(v)) },
	}
}

func sameShape(f appendFunc) shape { return shape{xml: f, json: f} }

// ownText asks a type for its text. One that fails has none: better an empty
// element than half an answer.
func ownText(v reflect.Value) string {
	text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return ""
	}
	return string(text)
}

func appendXMLTime(dst []byte, v reflect.Value) []byte {
	return v.Interface().(time.Time).UTC().AppendFormat(dst, "2006-01-02T15:04:05Z")
}

func appendJSONTime(dst []byte, v reflect.Value) []byte {
	return strconv.AppendInt(dst, v.Interface().(time.Time).Unix(), 10)
}

func pointerShape(t reflect.Type, depth int) shape {
	element := shapeOf(t.Elem(), depth+1)
	return shape{
		xml:    func(dst []byte, v reflect.Value) []byte { return element.xml(dst, v.Elem()) },
		json:   func(dst []byte, v reflect.Value) []byte { return element.json(dst, v.Elem()) },
		absent: func(v reflect.Value) bool { return v.IsNil() || element.skips(v.Elem()) },
	}
}

// skips reports whether a value is not written.
func (s *shape) skips(v reflect.Value) bool { return s.absent != nil && s.absent(v) }

// A member is one field with what surrounds it.
type member struct {
	field
	shape
	open, close, key string
}

func (m *member) skips(v reflect.Value) bool {
	return m.shape.skips(v) || m.omitEmpty && isEmpty(v)
}

// isEmpty reports whether omitempty leaves a value out.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return v.IsZero()
}

func structShape(t reflect.Type, depth int) shape {
	var members []member
	for _, f := range fieldsOf(t) {
		name := f.name
		if strings.ContainsAny(name, "<>&\"'\\ ") || name == "" {
			panic(fmt.Sprintf("wire: %v: member name %q", t, name))
		}
		members = append(members, member{f, shapeOf(f.kind, depth+1), "<" + name + ">", "</" + name + ">", `"` + name + `":`})
	}
	return shape{xml: xmlStruct(members), json: jsonStruct(members)}
}

func xmlStruct(members []member) appendFunc {
	return func(dst []byte, v reflect.Value) []byte {
		for i := range members {
			m := &members[i]
			value := v.FieldByIndex(m.index)
			if m.skips(value) {
				continue
			}
			dst = append(dst, m.open...)
			dst = m.xml(dst, value)
			dst = append(dst, m.close...)
		}
		return dst
	}
}

func jsonStruct(members []member) appendFunc {
	return func(dst []byte, v reflect.Value) []byte {
		dst = append(dst, '{')
		first := true
		for i := range members {
			m := &members[i]
			value := v.FieldByIndex(m.index)
			if m.skips(value) {
				continue
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(dst, m.key...)
			dst = m.json(dst, value)
		}
		return append(dst, '}')
	}
}

// listShape writes <member> elements, in JSON an array.
func listShape(t reflect.Type, depth int) shape {
	element := shapeOf(t.Elem(), depth+1)
	return shape{
		xml: func(dst []byte, v reflect.Value) []byte {
			for i := range v.Len() {
				if element.skips(v.Index(i)) {
					continue
				}
				dst = append(dst, "<member>"...)
				dst = element.xml(dst, v.Index(i))
				dst = append(dst, "</member>"...)
			}
			return dst
		},
		json: func(dst []byte, v reflect.Value) []byte {
			dst = append(dst, '[')
			start := len(dst)
			for i := range v.Len() {
				if element.skips(v.Index(i)) {
					continue
				}
				if len(dst) > start {
					dst = append(dst, ',')
				}
				dst = element.json(dst, v.Index(i))
			}
			return append(dst, ']')
		},
	}
}

// mapShape writes entries sorted by key, in JSON an object.
func mapShape(t reflect.Type, depth int) shape {
	if t.Key().Kind() != reflect.String {
		panic(fmt.Sprintf("wire: %v: keys must be strings", t))
	}
	element := shapeOf(t.Elem(), depth+1)
	if element.absent != nil {
		panic(fmt.Sprintf("wire: %v: values cannot be absent", t))
	}
	return shape{
		xml: func(dst []byte, v reflect.Value) []byte {
			for _, key := range sortedKeys(v) {
				dst = append(dst, "<entry><key>"...)
				dst = appendXMLText(dst, key.String())
				dst = append(dst, "</key><value>"...)
				dst = element.xml(dst, v.MapIndex(key))
				dst = append(dst, "</value></entry>"...)
			}
			return dst
		},
		json: func(dst []byte, v reflect.Value) []byte {
			dst = append(dst, '{')
			for i, key := range sortedKeys(v) {
				if i > 0 {
					dst = append(dst, ',')
				}
				dst = appendJSONText(dst, key.String())
				dst = append(dst, ':')
				dst = element.json(dst, v.MapIndex(key))
			}
			return append(dst, '}')
		},
	}
}

func sortedKeys(m reflect.Value) []reflect.Value {
	keys := m.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return keys
}
