package record

import (
	"fmt"
	"reflect"
	"strings"
)

// shape is what a record's type looks like to the codecs: worked out once, so
// that no codec asks the type again for each record.
type shape struct {
	kind   reflect.Kind // String, Bool, Int64, Uint64, Slice or Struct
	bytes  bool         // a slice of bytes: base64 in JSON
	time   bool         // a Time: RFC 3339 in JSON
	elem   *shape       // of any other slice
	fields []field      // of a struct, in declaration order
}

type field struct {
	name  string // as JSON has it, with quotes and colon
	omit  bool   // not written when empty
	shape *shape
}

// shapeOf works out a type's shape. It panics on what the codecs do not know:
// every kind is shaped when the program starts.
func shapeOf(t reflect.Type) *shape {
	switch t.Kind() {
	case reflect.String:
		return &shape{kind: reflect.String}
	case reflect.Bool:
		return &shape{kind: reflect.Bool}
	case reflect.Int, reflect.Int64, reflect.Int32:
		return &shape{kind: reflect.Int64, time: t == reflect.TypeFor[Time]()}
	case reflect.Uint8, reflect.Uint64, reflect.Uint32:
		return &shape{kind: reflect.Uint64}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return &shape{kind: reflect.Slice, bytes: true}
		}
		return &shape{kind: reflect.Slice, elem: shapeOf(t.Elem())}
	case reflect.Struct:
		s := &shape{kind: reflect.Struct}
		for f := range t.Fields() {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" || name == "-" || f.Anonymous || options != "" && options != "omitempty" {
				panic(fmt.Sprintf("record: field %s.%s has a JSON tag that the codecs do not know", t, f.Name))
			}
			if options != "" && f.Type.Kind() == reflect.Struct {
				panic(fmt.Sprintf("record: field %s.%s is a struct, which JSON never leaves out", t, f.Name))
			}
			s.fields = append(s.fields, field{name: `"` + name + `":`, omit: options != "", shape: shapeOf(f.Type)})
		}
		return s
	}
	panic(fmt.Sprintf("record: a %s cannot be packed", t))
}
