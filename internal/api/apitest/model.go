// Package apitest holds operation tables against the API models that AWS
// publishes.
//
// Invariant: what a table says on the wire differs from the model only where a
// test lists the difference.
package apitest

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/wire"
)

// model is an API model that AWS publishes, cut down to what a test can judge:
// members, required-ness and limits.
type model struct {
	Operations map[string]struct {
		Input, Output string
		Errors        []string
	}
	Shapes map[string]shape
}

type shape struct {
	Type, Pattern      string
	Min, Max           *int64
	Enum, Required     []string
	Members            map[string]string
	Member, Key, Value string
}

func readModel(t *testing.T, path string) *model {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := new(model)
	if err := json.Unmarshal(b, m); err != nil {
		t.Fatal(err)
	}
	return m
}

// Agrees holds every row's input and output against a model. An input has every
// member of the model and no other; an output may leave optional members out,
// and has no other. differs says where our types differ on purpose, and why.
func Agrees(t *testing.T, path string, ops []api.Op, differs map[string]string) {
	t.Helper()
	m := readModel(t, path)
	for _, op := range ops {
		o, ok := m.Operations[op.Name]
		if !ok {
			t.Errorf("%s: the model has no such operation", op.Name)
			continue
		}
		j := judge{m: m, report: func(place, format string, args ...any) {
			if differs[place] == "" {
				t.Errorf("%s: %s", place, fmt.Sprintf(format, args...))
			}
		}}
		j.members(op.Name+" input", op.In, o.Input, true)
		nothing := op.Out == reflect.TypeFor[api.Nothing]()
		if nothing != (o.Output == "") {
			t.Errorf("%s: the model has the output %q", op.Name, o.Output)
			continue
		}
		if !nothing {
			j.members(op.Name+" output", op.Out, o.Output, false)
		}
	}
}

// Unbuilt compares the model's operations without a row with the list that
// clients are told from: one that gains a row leaves it, none is forgotten.
func Unbuilt(t *testing.T, path string, ops []api.Op, said []string) {
	t.Helper()
	have := map[string]bool{}
	for _, op := range ops {
		have[op.Name] = true
	}
	var missing []string
	for name := range readModel(t, path).Operations {
		if !have[name] {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	if !slices.Equal(missing, said) {
		t.Errorf("unbuilt.txt should say:\n%s", strings.Join(missing, "\n"))
	}
}

type judge struct {
	m      *model
	report func(place, format string, args ...any)
}

type member struct {
	kind     reflect.Type
	required bool
}

func membersOf(t reflect.Type) map[string]member {
	all := map[string]member{}
	for f := range t.Fields() {
		tag := f.Tag.Get("q")
		if f.Anonymous && tag == "" {
			for name, x := range membersOf(f.Type) {
				all[name] = x
			}
			continue
		}
		name := f.Name
		for _, word := range strings.Split(tag, ",") {
			if other, ok := strings.CutPrefix(word, "name="); ok {
				name = other
			}
		}
		all[name] = member{f.Type, strings.Contains(tag, "required")}
	}
	return all
}

func (j *judge) members(place string, t reflect.Type, name string, input bool) {
	s := j.m.Shapes[name]
	ours := membersOf(t)
	for n, x := range ours {
		theirs, ok := s.Members[n]
		if !ok {
			j.report(place+" "+n, "the model has no such member")
			continue
		}
		if input && x.required != slices.Contains(s.Required, n) {
			j.report(place+" "+n, "required: %v, and not so in the model", x.required)
		}
		j.kind(place+" "+n, x.kind, theirs, input)
	}
	for n := range s.Members {
		if _, ok := ours[n]; !ok && (input || slices.Contains(s.Required, n)) {
			j.report(place+" "+n, "the model has this member (%s)", s.Members[n])
		}
	}
}

func (j *judge) kind(place string, t reflect.Type, name string, input bool) {
	s := j.m.Shapes[name]
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if input {
		j.limits(place, t, s)
	}
	want := map[string]reflect.Kind{"string": reflect.String, "integer": reflect.Int, "boolean": reflect.Bool,
		"list": reflect.Slice, "map": reflect.Map, "structure": reflect.Struct, "timestamp": reflect.Struct}[s.Type]
	if t.Kind() != want {
		j.report(place, "is a %v, and a %s in the model", t, s.Type)
		return
	}
	switch s.Type {
	case "structure":
		j.members(place, t, name, input)
	case "list":
		j.kind(place+"[]", t.Elem(), s.Member, input)
	case "map":
		j.kind(place+"{}", t.Elem(), s.Value, input)
	case "timestamp":
		if t != reflect.TypeFor[time.Time]() {
			j.report(place, "is a %v, and a time in the model", t)
		}
	}
}

func (j *judge) limits(place string, t reflect.Type, s shape) {
	var ours wire.Limit
	if l, ok := reflect.Zero(t).Interface().(wire.Limited); ok {
		ours = l.Limits()
	}
	number := func(p *int64) int64 {
		if p == nil {
			return 0
		}
		return *p
	}
	if ours.Min != number(s.Min) || ours.Max != number(s.Max) {
		j.report(place, "from %d to %d, and from %d to %d in the model", ours.Min, ours.Max, number(s.Min), number(s.Max))
	}
	pattern := ""
	if ours.Pattern != nil {
		pattern = ours.Pattern.String()
	}
	if pattern != s.Pattern {
		j.report(place, "pattern %s, and %s in the model", pattern, s.Pattern)
	}
	if !slices.Equal(ours.Enum, s.Enum) {
		j.report(place, "one of %v, and of %v in the model", ours.Enum, s.Enum)
	}
}
