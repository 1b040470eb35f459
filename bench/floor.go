package main

import (
	"net/netip"
	"strings"
)

// The floors are prototypes that leave out parts of the language. They show
// what the machine can do: names interned at compile time, conditions on typed
// values, the request's attributes in a fixed array, reasons as indices.

// attribute is an interned condition key.
type attribute uint8

const (
	attrName attribute = iota
	attrAgent
	attrAddress
	attrSecure
	attrPrincipal
	attrs
)

var attributeOf = map[string]attribute{"aws:username": attrName, "aws:UserAgent": attrAgent, "aws:SourceIp": attrAddress,
	"aws:SecureTransport": attrSecure, "aws:PrincipalArn": attrPrincipal}

type floorRequest struct {
	service, action uint32
	name            string // of the action, without the service
	resource        string
	text            [attrs]string
	address         netip.Addr
	secure          bool
}

// glob is a pattern cut at its stars.
type glob struct {
	parts []string
	star  bool
}

func makeGlob(s string) glob { return glob{strings.Split(s, "*"), strings.Contains(s, "*")} }

func (g *glob) match(s string) bool {
	if !g.star {
		return s == g.parts[0]
	}
	last := len(g.parts) - 1
	if !strings.HasPrefix(s, g.parts[0]) {
		return false
	}
	s = s[len(g.parts[0]):]
	for _, p := range g.parts[1:last] {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return strings.HasSuffix(s, g.parts[last])
}

type floorAction struct {
	service, action uint32
	prefix          string
	isPrefix        bool
}

type floorCondition struct {
	key    attribute
	op     uint8 // 0 equal, 1 like, 2 address, 3 flag
	text   string
	like   glob
	prefix netip.Prefix
	flag   bool
}

type floorStatement struct {
	deny       bool
	actions    []floorAction
	resources  []glob
	conditions []floorCondition
}

// floorEngine is the flat scan; with index set, the indexed one.
type floorEngine struct {
	names      map[string]uint32
	statements []floorStatement
	exact      [][]int32          // by action
	prefixes   [][]floorPrefixSet // by service
}

type floorPrefixSet struct {
	prefix string
	list   []int32
}

func (f *floorEngine) intern(s string) uint32 {
	if id, ok := f.names[s]; ok {
		return id
	}
	id := uint32(len(f.names) + 1)
	f.names[s] = id
	return id
}

func newFloor(w *workload) (*floorEngine, *floorRequest) {
	f := &floorEngine{names: map[string]uint32{}}
	for _, list := range w.policies {
		for _, s := range list {
			f.statements = append(f.statements, f.compile(s))
		}
	}
	service, name, _ := strings.Cut(w.action, ":")
	q := &floorRequest{service: f.intern(service), action: f.intern(w.action), name: name, resource: w.resource,
		address: netip.MustParseAddr(askAddress), secure: true}
	q.text[attrName], q.text[attrAgent], q.text[attrPrincipal] = askerName, askAgent, asker
	f.index()
	return f, q
}

func (f *floorEngine) compile(s statement) floorStatement {
	out := floorStatement{deny: s.deny}
	for _, a := range s.actions {
		service, name, _ := strings.Cut(a, ":")
		prefix, isPrefix := strings.CutSuffix(name, "*")
		out.actions = append(out.actions, floorAction{f.intern(service), f.intern(a), prefix, isPrefix})
	}
	for _, r := range s.resources {
		out.resources = append(out.resources, makeGlob(r))
	}
	for _, c := range s.conditions {
		x := floorCondition{key: attributeOf[c.key], text: c.value}
		switch c.operator {
		case "StringLike", "ArnLike":
			x.op, x.like = 1, makeGlob(c.value)
		case "IpAddress":
			x.op, x.prefix = 2, netip.MustParsePrefix(c.value)
		case "Bool":
			x.op, x.flag = 3, c.value == "true"
		}
		out.conditions = append(out.conditions, x)
	}
	return out
}

func (f *floorEngine) index() {
	f.exact = make([][]int32, len(f.names)+1)
	f.prefixes = make([][]floorPrefixSet, len(f.names)+1)
	for i := range f.statements {
		for _, a := range f.statements[i].actions {
			if !a.isPrefix {
				f.exact[a.action] = append(f.exact[a.action], int32(i))
				continue
			}
			f.addPrefix(a, int32(i))
		}
	}
}

func (f *floorEngine) addPrefix(a floorAction, i int32) {
	sets := f.prefixes[a.service]
	for k := range sets {
		if sets[k].prefix == a.prefix {
			sets[k].list = append(sets[k].list, i)
			return
		}
	}
	f.prefixes[a.service] = append(sets, floorPrefixSet{a.prefix, []int32{i}})
}

// flat looks at every statement; the deciding one's index, or -1.
func (f *floorEngine) flat(q *floorRequest) (allowed bool, by int32) {
	by = -1
	for i := range f.statements {
		s := &f.statements[i]
		for k := range s.actions {
			a := &s.actions[k]
			if a.action == q.action || a.isPrefix && a.service == q.service && strings.HasPrefix(q.name, a.prefix) {
				if s.rest(q) {
					if s.deny {
						return false, int32(i)
					}
					allowed, by = true, int32(i)
				}
				break
			}
		}
	}
	return allowed, by
}

// indexed looks at the statements that the request's action leads to.
func (f *floorEngine) indexed(q *floorRequest) (allowed bool, by int32) {
	by = -1
	denied := false
	try := func(list []int32) {
		for _, i := range list {
			if s := &f.statements[i]; s.rest(q) {
				if s.deny {
					denied, by = true, i
					return
				}
				allowed, by = true, i
			}
		}
	}
	try(f.exact[q.action])
	for k := range f.prefixes[q.service] {
		if p := &f.prefixes[q.service][k]; strings.HasPrefix(q.name, p.prefix) {
			try(p.list)
		}
	}
	return allowed && !denied, by
}

func (s *floorStatement) rest(q *floorRequest) bool {
	matched := false
	for i := range s.resources {
		if s.resources[i].match(q.resource) {
			matched = true
			break
		}
	}
	if !matched {
		return false
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(q) {
			return false
		}
	}
	return true
}

func (c *floorCondition) holds(q *floorRequest) bool {
	switch c.op {
	case 0:
		return q.text[c.key] == c.text
	case 1:
		return c.like.match(q.text[c.key])
	case 2:
		return c.prefix.Contains(q.address)
	}
	return q.secure == c.flag
}
