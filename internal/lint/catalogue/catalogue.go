// Package catalogue knows AWS's services: their actions, the types of
// resources that an action works on, and the condition keys.
//
// Invariant: what it holds are facts as AWS publishes them, at one date; what
// it does not hold may still exist.
//
// Source: AWS, "Service Authorization Reference", and IAM User Guide, "AWS
// global condition context keys".
package catalogue

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"strings"
	"sync"
)

// data is a text of lines, sorted; `zcat` shows it and generate.go makes it.
//
//	service  PREFIX
//	key      NAME    TYPE
//	type     NAME    ARN    KEYS of the resource
//	action   NAME    TYPES  KEYS of the action
//
//go:embed catalogue.txt.gz
var data []byte

// Service is what one prefix has. Names are folded where they are map keys.
type Service struct {
	Prefix  string
	Actions map[string]*Action
	Types   map[string]*Type
	keys    []key
}

// Action is one action: the types of resources that can be named for it (none:
// it works on "*" alone) and the condition keys that it can have.
type Action struct {
	Name  string
	Types []*Type
	Keys  []string
}

// Type is a type of resources: the form of its ARNs, with ${Names} in it.
type Type struct {
	Name, ARN string
	Keys      []string
}

type key struct{ name, kind string }

// sections is the text by service prefix, unpacked once, when first asked for.
var sections = sync.OnceValue(func() map[string]string {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		panic("catalogue: " + err.Error()) // what the build embedded
	}
	text, err := io.ReadAll(z)
	if err != nil {
		panic("catalogue: " + err.Error())
	}
	byPrefix := map[string]string{}
	for _, s := range strings.Split("\n"+string(text), "\nservice\t")[1:] {
		prefix, rest, _ := strings.Cut(s, "\n")
		byPrefix[prefix] = rest
	}
	return byPrefix
})

var (
	mutex  sync.Mutex
	parsed = map[string]*Service{} // guarded by mutex
)

// Find returns the service with a prefix, in any case; nil for none.
func Find(prefix string) *Service {
	prefix = strings.ToLower(prefix)
	mutex.Lock()
	defer mutex.Unlock()
	if s, known := parsed[prefix]; known {
		return s
	}
	section, ok := sections()[prefix]
	if !ok {
		return nil
	}
	s := parse(prefix, section)
	parsed[prefix] = s
	return s
}

// Prefixes calls each with every service's prefix, in no order.
func Prefixes(each func(prefix string)) {
	for prefix := range sections() {
		each(prefix)
	}
}

func parse(prefix, section string) *Service {
	s := &Service{Prefix: prefix, Actions: map[string]*Action{}, Types: map[string]*Type{}}
	for line := range strings.Lines(section) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		switch f[0] {
		case "key":
			s.keys = append(s.keys, key{f[1], f[2]})
		case "type":
			s.Types[f[1]] = &Type{Name: f[1], ARN: f[2], Keys: names(f[3])}
		case "action":
			a := &Action{Name: f[1], Keys: names(f[3])}
			for _, t := range names(f[2]) {
				a.Types = append(a.Types, s.Types[t])
			}
			s.Actions[strings.ToLower(f[1])] = a
		}
	}
	return s
}

func names(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// Key returns the type of a condition key that the service has: String,
// ArrayOfString, ARN, Bool, Numeric, Date, IPAddress.
func (s *Service) Key(name string) (kind string, ok bool) {
	for _, k := range s.keys {
		if SameKey(k.name, name) {
			return k.kind, true
		}
	}
	return "", false
}

// SameKey says whether a key's name as the reference writes it stands for a
// key as a policy writes it: ${TagKey}, and <key>, stand for any text.
func SameKey(form, name string) bool {
	form, name = strings.ToLower(form), strings.ToLower(name)
	for {
		i := strings.IndexAny(form, "$<")
		if i < 0 {
			return form == name
		}
		if !strings.HasPrefix(name, form[:i]) {
			return false
		}
		end := strings.IndexAny(form[i:], "}>")
		if end < 0 {
			return false
		}
		name, form = name[i:], form[i+end+1:]
		if form == "" {
			return name != ""
		}
		// what is variable ends where the rest of the form begins again
		next := form
		if j := strings.IndexAny(form, "$<"); j >= 0 {
			next = form[:j]
		}
		at := strings.LastIndex(name, next)
		if at <= 0 {
			return false
		}
		name = name[at:]
	}
}
