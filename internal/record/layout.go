package record

import (
	"crypto/sha256"
	"fmt"
	"io"
	"reflect"
)

// layoutVersion changes with the compact form's own rules.
const layoutVersion = 1

// Layout names what the compact forms and index terms of this build mean: a
// copy that was written under another layout is not read.
func Layout() [32]byte {
	h := sha256.New()
	fmt.Fprintf(h, "layout %d\n", layoutVersion)
	for _, f := range Forms {
		fmt.Fprintf(h, "%s %d %v", f.Name, f.Version, f.indexes)
		describe(h, f.kind)
		fmt.Fprintln(h)
	}
	return [32]byte(h.Sum(nil))
}

// describe writes a type's fields in order, as pack does.
func describe(w io.Writer, t reflect.Type) {
	fmt.Fprintf(w, " %s", t.Kind())
	switch t.Kind() {
	case reflect.Slice:
		describe(w, t.Elem())
	case reflect.Struct:
		for f := range t.Fields() {
			fmt.Fprintf(w, " %s", f.Name)
			describe(w, f.Type)
		}
		fmt.Fprint(w, " .")
	}
}
