package lint

import (
	"strings"

	"github.com/holdfast-iam/holdfast/internal/lint/catalogue"
	"github.com/holdfast-iam/holdfast/internal/lint/source"
	"github.com/holdfast-iam/holdfast/policy"
)

// document is one policy under the rules. Everything keeps its place.
type document struct {
	root       *source.Node
	version    string
	kind       policy.Type
	statements []*statement
	own        map[string]bool // services that are the user's own, folded
	forms      map[*catalogue.Type]resource
}

// statement is one statement.
type statement struct {
	node       *source.Node
	sid        string
	allow      bool
	actions    set
	resources  set
	principals principals
	conditions []condition
	// maybe: a template decides whether this, or a part of it, is there.
	maybe bool
}

// set is an Action, NotAction, Resource or NotResource.
type set struct {
	node   *source.Node // nil: there is none
	not    bool
	values []value
}

// value is one text of a list.
type value struct {
	node     *source.Node
	text     string
	resource resource // of a Resource
	glob     glob     // of an Action, folded
}

// principals is a Principal or NotPrincipal.
type principals struct {
	node     *source.Node // nil: there is none
	not      bool
	everyone bool
	values   []principal
}

type principal struct {
	node       *source.Node
	kind, text string
}

// condition is an operator with one key.
type condition struct {
	node     *source.Node // of the key
	operator string
	key      string
	values   []value
}

// build reads a document whose form is right. It drops what only a deployment
// knows, and marks the statement.
func build(root *source.Node) *document {
	d := &document{root: root, forms: map[*catalogue.Type]resource{}}
	if v := root.Get("Version"); v != nil {
		d.version = v.Text
	}
	for _, n := range many(root.Get("Statement")) {
		if n.Kind == source.Object {
			d.statements = append(d.statements, buildStatement(n))
		}
	}
	return d
}

// many is one value or a list of them.
func many(n *source.Node) []*source.Node {
	switch {
	case n == nil:
		return nil
	case n.Kind == source.List:
		return n.Items
	}
	return []*source.Node{n}
}

func buildStatement(n *source.Node) *statement {
	s := &statement{node: n, maybe: n.Maybe}
	for _, m := range n.Members {
		switch m.Name {
		case "Sid":
			s.sid = m.Value.Text
		case "Effect":
			s.allow = m.Value.Text == "Allow"
			s.maybe = s.maybe || m.Value.Text != "Allow" && m.Value.Text != "Deny"
		case "Action", "NotAction":
			s.actions = set{m.Key, m.Name == "NotAction", s.list(m.Value)}
			for i := range s.actions.values {
				v := &s.actions.values[i]
				v.glob = compileGlob(strings.ToLower(v.text))
			}
		case "Resource", "NotResource":
			s.resources = set{m.Key, m.Name == "NotResource", s.list(m.Value)}
			for i := range s.resources.values {
				v := &s.resources.values[i]
				v.resource = compileResource(v.text)
			}
		case "Principal", "NotPrincipal":
			s.buildPrincipals(m)
		case "Condition":
			s.buildConditions(m.Value)
		}
	}
	return s
}

func (s *statement) list(n *source.Node) []value {
	var values []value
	for _, item := range many(n) {
		s.maybe = s.maybe || item.Maybe
		values = append(values, value{node: item, text: item.Text})
	}
	return values
}

func (s *statement) buildPrincipals(m source.Member) {
	s.principals = principals{node: m.Key, not: m.Name == "NotPrincipal"}
	switch {
	case m.Value.Kind == source.Text && m.Value.Text == "*":
		s.principals.everyone = true
	case m.Value.Kind != source.Object:
		s.maybe = true
	}
	for _, t := range m.Value.Members {
		for _, v := range s.list(t.Value) {
			s.principals.everyone = s.principals.everyone || t.Name == "AWS" && v.text == "*"
			s.principals.values = append(s.principals.values, principal{v.node, t.Name, v.text})
		}
	}
}

func (s *statement) buildConditions(n *source.Node) {
	if n.Kind != source.Object {
		s.maybe = true
	}
	for _, operator := range n.Members {
		if operator.Value.Kind != source.Object {
			s.maybe = true
		}
		for _, key := range operator.Value.Members {
			s.conditions = append(s.conditions, condition{key.Key, operator.Name, key.Name, s.list(key.Value)})
		}
	}
}

// guess tells a document's type from its form: Principal stands in policies
// of resources, and in trust policies, whose actions are STS's.
func (d *document) guess() policy.Type {
	for _, s := range d.statements {
		if s.principals.node == nil {
			continue
		}
		if s.resources.node == nil && s.assumes() {
			return policy.Trust
		}
		return policy.Resource
	}
	return policy.Identity
}

// assumes says whether a statement is about assuming a role.
func (s *statement) assumes() bool {
	for _, a := range s.actions.values {
		if strings.HasPrefix(strings.ToLower(a.text), "sts:") {
			return true
		}
	}
	return false
}

// place says which statement this is, for a message about another.
func (s *statement) place() string {
	if s.sid == "" || source.Unknown(s.sid) {
		return "the one at " + s.node.Position().String()
	}
	return s.sid + " (" + s.node.Position().String() + ")"
}
