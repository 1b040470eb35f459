package lint

import (
	"errors"
	"fmt"
	"strings"

	"github.com/holdfast-iam/holdfast/internal/lint/source"
	"github.com/holdfast-iam/holdfast/policy"
)

// wrongForm says where a document's form is wrong; nil: nowhere.
func wrongForm(root *source.Node) (*source.Node, string) {
	r := source.Render(known(root))
	_, err := policy.Parse([]byte(r.Text))
	var e *policy.SyntaxError
	if !errors.As(err, &e) {
		return nil, ""
	}
	return r.At(e.Offset), e.Message
}

// known is a document in which whatever a deployment may fill in has a form
// that is right: choices of a template are a text where a text must stand, and
// statements that are not known are left out.
func known(root *source.Node) *source.Node {
	c := *root
	c.Members = nil
	for _, m := range root.Members {
		m.Value = oneText(m.Value)
		if m.Name == "Statement" {
			m.Value = knownStatements(m.Value)
		}
		c.Members = append(c.Members, m)
	}
	return &c
}

func knownStatements(n *source.Node) *source.Node {
	list := *n
	if n.Kind == source.Text && !n.Known() {
		list.Kind = source.List
		return &list
	}
	if n.Kind == source.Object {
		return knownStatement(n)
	}
	list.Items = nil
	for _, item := range n.Items {
		if item.Known() {
			list.Items = append(list.Items, knownStatement(item))
		}
	}
	return &list
}

func knownStatement(n *source.Node) *source.Node {
	c := *n
	c.Members = nil
	for _, m := range n.Members {
		switch m.Name {
		case "Sid", "Effect":
			m.Value = oneText(m.Value)
		case "Condition", "Principal", "NotPrincipal":
			if m.Value.Choice || !m.Value.Known() {
				continue
			}
		}
		c.Members = append(c.Members, m)
	}
	return &c
}

// oneText turns a choice of texts into one.
func oneText(n *source.Node) *source.Node {
	if n.Choice && len(n.Items) > 0 && n.Items[0].Kind == source.Text {
		return n.Items[0]
	}
	return n
}

// checkGrammar asks the engine about every part by itself, in a policy that is
// right otherwise: so what AWS would refuse has a place.
func checkGrammar(d *document, report report) {
	before := 0
	tell := func(n *source.Node, what string, p probe) {
		if complaint := p.refused(d.kind); complaint != "" {
			before++
			if n.Kind == source.Text {
				what += fmt.Sprintf(", %q", n.Text)
			}
			report(n, "AWS refuses this %s: %s", what, strings.TrimSuffix(complaint, "."))
		}
	}
	if v := d.root.Get("Version"); v != nil && v.Known() && !v.Choice {
		tell(v, "Version", probe{version: v})
	}
	if len(d.statements) == 0 && !hasUnknown(d.root.Get("Statement")) {
		report(d.root, "AWS refuses a policy without a statement")
	}
	sids := map[string]bool{}
	for _, s := range d.statements {
		before = 0
		s.probes(d.kind, tell)
		if before == 0 && !s.maybe {
			tell(s.node, "statement", s.skeleton(d.kind))
		}
		if sid := s.node.Get("Sid"); sid != nil && sid.Kind == source.Text && sid.Known() && sid.Text != "" {
			if sids[sid.Text] {
				report(sid, "the Sid %q stands twice in this policy", sid.Text)
			}
			sids[sid.Text] = !s.node.Maybe
		}
	}
}

func hasUnknown(n *source.Node) bool {
	for _, item := range many(n) {
		if item.Kind == source.Text && !item.Known() {
			return true
		}
	}
	return false
}

// probe is a policy of one statement in which all is right but what is given.
type probe struct {
	version *source.Node
	members []source.Member // instead of the good ones of the same meaning
	without []string        // good members to leave out
}

// good are the members of a statement that AWS takes for a type of policy.
func good(kind policy.Type) []source.Member {
	list := []source.Member{member("Effect", text("Allow"))}
	switch kind {
	case policy.Trust:
		list = append(list, member("Action", text("sts:AssumeRole")))
	default:
		list = append(list, member("Action", text("s3:GetObject")), member("Resource", text("*")))
	}
	switch kind {
	case policy.Trust, policy.Resource:
		list = append(list, member("Principal", object(member("AWS", text("111122223333")))))
	case policy.ResourceControl:
		list = append(list, member("Principal", text("*")))
	}
	return list
}

func text(s string) *source.Node { return &source.Node{Kind: source.Text, Text: s} }

func member(name string, v *source.Node) source.Member { return source.Member{Name: name, Value: v} }

func object(members ...source.Member) *source.Node {
	return &source.Node{Kind: source.Object, Members: members}
}

// meaning is an element's name without its Not.
func meaning(name string) string { return strings.TrimPrefix(name, "Not") }

// refused is the engine's complaint, empty for none.
func (p probe) refused(kind policy.Type) string {
	if kind == policy.Boundary {
		kind = policy.Identity // stored as one
	}
	version := p.version
	if version == nil {
		version = text("2012-10-17")
	}
	var members []source.Member
	for _, g := range good(kind) {
		replaced := false
		for _, m := range p.members {
			replaced = replaced || meaning(m.Name) == g.Name
		}
		for _, name := range p.without {
			replaced = replaced || name == g.Name
		}
		if !replaced {
			members = append(members, g)
		}
	}
	members = append(members, p.members...)
	root := object(member("Version", version), member("Statement", object(members...)))
	doc, err := policy.Parse([]byte(source.Render(root).Text))
	if err == nil {
		err = doc.Validate(kind)
	}
	var e *policy.SyntaxError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Message // the place is the probe's
	}
	return err.Error()
}

// probes tells of every part of the statement by itself, as far as it is known.
func (s *statement) probes(kind policy.Type, tell func(*source.Node, string, probe)) {
	for _, m := range s.node.Members {
		switch m.Name {
		case "Sid", "Effect":
			if m.Value.Known() && !m.Value.Choice {
				tell(m.Value, m.Name, probe{members: []source.Member{m}})
			}
		case "Action", "NotAction", "Resource", "NotResource":
			for _, v := range many(m.Value) {
				if v.Known() {
					tell(v, m.Name, probe{members: []source.Member{member(m.Name, v)}})
				}
			}
		case "Principal", "NotPrincipal":
			s.principalProbes(m, tell)
		}
	}
	for _, c := range s.conditions {
		for _, v := range c.values {
			if v.node.Known() && source.Show(c.key) == c.key {
				tell(v.node, "condition", conditionProbe(c, v.node))
			}
		}
	}
}

func (s *statement) principalProbes(m source.Member, tell func(*source.Node, string, probe)) {
	effect := "Deny"
	if s.allow {
		effect = "Allow"
	}
	with := func(v *source.Node) probe {
		return probe{members: []source.Member{member("Effect", text(effect)), member(m.Name, v)}}
	}
	if m.Value.Kind != source.Object {
		if m.Value.Known() && !m.Value.Choice {
			tell(m.Value, m.Name, with(m.Value))
		}
		return
	}
	for _, t := range m.Value.Members {
		for _, v := range many(t.Value) {
			if v.Known() {
				tell(v, m.Name, with(object(member(t.Name, v))))
			}
		}
	}
}

func conditionProbe(c condition, v *source.Node) probe {
	return probe{members: []source.Member{member("Condition", object(member(c.operator, object(member(c.key, v)))))}}
}

// skeleton is the statement with good values in what it has: whether anything
// is missing. Policies of resources may leave Resource out: an ECR
// repository's do (Amazon ECR User Guide, "Repository policies").
func (s *statement) skeleton(kind policy.Type) probe {
	var p probe
	for _, g := range good(kind) {
		missing := s.node.Get(g.Name) == nil && s.node.Get("Not"+g.Name) == nil
		if missing && !(kind == policy.Resource && g.Name == "Resource") {
			p.without = append(p.without, g.Name)
		}
	}
	return p
}
