package wire

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// A field is one member of an input or output struct.
type field struct {
	name      string // on the wire
	index     []int
	kind      reflect.Type
	required  bool
	omitEmpty bool
}

// maxNesting bounds a type's depth, so that a type that contains itself is
// refused when its table is built.
const maxNesting = 12

// fieldsOf lists a struct's members, those of embedded structs included. It
// panics on a tag it does not know and on a name used twice: both are mistakes
// in a table of operations.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for f := range t.Fields() {
		tag := f.Tag.Get("q")
		if tag == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if f.Anonymous && tag == "" && f.Type.Kind() == reflect.Struct && !isLeaf(f.Type) {
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{f.Index[0]}, inner.index...)
				fields = append(fields, inner)
			}
			continue
		}
		fields = append(fields, tagged(t, f, tag))
	}
	seen := map[string]bool{}
	for _, f := range fields {
		if seen[f.name] {
			panic(fmt.Sprintf("wire: %v has two members named %s", t, f.name))
		}
		seen[f.name] = true
	}
	return fields
}

// tagged reads one field's tag.
func tagged(t reflect.Type, f reflect.StructField, tag string) field {
	if !f.IsExported() {
		panic(fmt.Sprintf("wire: %v embeds %v, which is not a plain struct", t, f.Type))
	}
	member := field{name: f.Name, index: f.Index, kind: f.Type}
	for word := range strings.SplitSeq(tag, ",") {
		switch name, isName := strings.CutPrefix(word, "name="); {
		case isName:
			member.name = name
		case word == "required":
			member.required = true
		case word == "omitempty":
			member.omitEmpty = true
		case word != "":
			panic(fmt.Sprintf("wire: %v.%s: unknown word %q in its tag", t, f.Name, word))
		}
	}
	return member
}

var (
	timeType        = reflect.TypeFor[time.Time]()
	documentType    = reflect.TypeFor[Document]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// isLeaf reports whether a struct stands on the wire as one text.
func isLeaf(t reflect.Type) bool {
	return t == timeType || t.Implements(textMarshaler) || reflect.PointerTo(t).Implements(textUnmarshaler)
}

func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}
