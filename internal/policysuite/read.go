package policysuite

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/holdfast-iam/holdfast/internal/policyline"
	"github.com/holdfast-iam/holdfast/policy"
	"go.yaml.in/yaml/v3"
)

// testCase is one case with the file's defaults filled in.
type testCase struct {
	place     Place
	name      string
	given     givens
	principal policyline.Principal
	context   []contextKey
	account   string // of the resource
	actions   []string
	resources []string
	policies  *slots
	expect    expectation
}

// givens is what a file gives to all its cases, and a case over that.
type givens struct {
	policies  slots
	principal *policyline.Principal
	context   []contextKey
	account   string
}

type contextKey struct {
	name   string // lower case
	values []string
	absent bool
}

// Run reads a file and asks what its cases ask.
func (s *Suite) Run(name string) (*Result, error) {
	text, err := s.readFile(name)
	if err != nil {
		return nil, err
	}
	return s.RunText(name, text)
}

// RunText is Run for a file that was read.
func (s *Suite) RunText(name string, text []byte) (*Result, error) {
	f, err := parseYAML(name, text)
	if err != nil {
		return nil, err
	}
	r := reader{file: f, suite: s, inline: map[*yaml.Node]*document{}}
	cases, err := r.cases()
	if err != nil {
		return nil, err
	}
	result := &Result{File: name}
	for i := range cases {
		s.ask(&cases[i], func(c Check) { result.Checks = append(result.Checks, c) })
	}
	return result, nil
}

// reader reads one file of cases.
type reader struct {
	*file
	suite  *Suite
	inline map[*yaml.Node]*document // policies that stand in the file, each once
	checks int
}

func (r *reader) cases() (cases []testCase, err error) {
	var all givens
	var list *yaml.Node
	known := r.givens(&all)
	known["cases"] = func(n *yaml.Node) error { list = n; return nil }
	if err := r.object(r.root, "a test file", known); err != nil {
		return nil, err
	}
	if list == nil || len(list.Content) == 0 {
		return nil, r.fail(r.root, "the file has no cases")
	}
	names := map[string]bool{}
	err = r.items(list, "cases", func(n *yaml.Node) error {
		c, err := r.readCase(n, all)
		if err == nil && names[c.name] {
			err = r.fail(n, "two cases have the name %q", c.name)
		}
		names[c.name] = true
		cases = append(cases, c)
		return err
	})
	return cases, err
}

// givens are the keys that a file and its cases both may have.
func (r *reader) givens(g *givens) map[string]func(*yaml.Node) error {
	return map[string]func(*yaml.Node) error{
		"policies":        func(n *yaml.Node) error { return r.readSlots(n, &g.policies) },
		"principal":       func(n *yaml.Node) (err error) { g.principal, err = r.readPrincipal(n); return err },
		"context":         func(n *yaml.Node) error { return r.readContext(n, &g.context) },
		"resourceAccount": func(n *yaml.Node) (err error) { g.account, err = r.text(n, "resourceAccount"); return err },
	}
}

func (r *reader) readCase(n *yaml.Node, all givens) (c testCase, err error) {
	c.place, c.given = r.place(n), all
	c.given.context = slices.Clone(all.context)
	known := r.givens(&c.given)
	known["name"] = func(n *yaml.Node) (err error) { c.name, err = r.text(n, "name"); return err }
	known["action"] = func(n *yaml.Node) (err error) { c.actions, err = r.texts(n, "action"); return err }
	known["resource"] = func(n *yaml.Node) (err error) { c.resources, err = r.texts(n, "resource"); return err }
	known["expect"] = func(n *yaml.Node) (err error) {
		c.expect.decision, err = r.oneOf(n, "expect", "allowed", "denied", "explicitDeny", "implicitDeny")
		return err
	}
	known["decidedBy"] = func(n *yaml.Node) (err error) {
		c.expect.decidedBy, err = r.oneOf(n, "decidedBy", typeNames()...)
		return err
	}
	known["statement"] = func(n *yaml.Node) (err error) { c.expect.statements, err = r.texts(n, "statement"); return err }
	if err := r.object(n, "a case", known); err != nil {
		return c, err
	}
	if len(c.resources) == 0 {
		c.resources = []string{"*"} // as AWS's simulator has it where none is given
	}
	switch {
	case c.name == "":
		return c, r.fail(n, "the case has no name")
	case len(c.actions) == 0:
		return c, r.fail(n, "the case has no action")
	case c.expect.decision == "":
		return c, r.fail(n, "the case does not say what to expect")
	case c.given.principal == nil:
		return c, r.fail(n, "neither the case nor the file names a principal")
	}
	for _, a := range c.actions {
		if service, name, ok := strings.Cut(a, ":"); !ok || service == "" || name == "" || strings.ContainsAny(a, "*?") {
			return c, r.fail(n, "action %q is not service:Name without wildcards", a)
		}
	}
	if r.checks += len(c.actions) * len(c.resources); r.checks > maxChecks {
		return c, r.fail(n, "the file asks more than %d questions", maxChecks)
	}
	c.complete()
	return c, nil
}

// complete turns what is given into what is asked.
func (c *testCase) complete() {
	c.principal, c.policies, c.account = *c.given.principal, &c.given.policies, c.given.account
	find := func(name string) int {
		return slices.IndexFunc(c.given.context, func(k contextKey) bool { return k.name == name })
	}
	if i := find("aws:principalarn"); i >= 0 && len(c.given.context[i].values) == 1 {
		c.principal.Role = c.given.context[i].values[0]
	}
	for _, k := range derived(c.principal.Asked()) {
		if find(k.name) < 0 {
			c.given.context = append(c.given.context, k)
		}
	}
	for _, k := range c.given.context {
		if !k.absent {
			c.context = append(c.context, k)
		}
	}
}

// derived are the keys that AWS sets from the principal (IAM User Guide, "AWS
// global condition context keys", "Properties of the principal").
func derived(p policy.Principal) (keys []contextKey) {
	add := func(name, value string) {
		if value != "" {
			keys = append(keys, contextKey{name: name, values: []string{value}})
		}
	}
	switch p.Kind {
	case policy.Anonymous:
		add("aws:principaltype", "Anonymous")
	case policy.User:
		_, path, _ := strings.Cut(p.ARN, ":user/")
		add("aws:username", path[strings.LastIndexByte(path, '/')+1:])
		add("aws:principaltype", "User")
	case policy.RoleSession:
		add("aws:principaltype", "AssumedRole")
	case policy.FederatedUser:
		add("aws:principaltype", "FederatedUser")
	case policy.RootUser:
		add("aws:principaltype", "Account")
	}
	switch p.Kind {
	case policy.RoleSession:
		add("aws:principalarn", p.RoleARN)
		add("aws:principalaccount", p.Account)
	case policy.User, policy.FederatedUser, policy.RootUser:
		add("aws:principalarn", p.ARN)
		add("aws:principalaccount", p.Account)
	}
	return keys
}

// readPrincipal: an ARN, the word anonymous, or a mapping as policies have it.
func (r *reader) readPrincipal(n *yaml.Node) (*policyline.Principal, error) {
	p := &policyline.Principal{Type: "AWS"}
	if n.Kind != yaml.MappingNode {
		who, err := r.text(n, "principal")
		switch p.ARN = who; {
		case err != nil:
			return nil, err
		case who == "anonymous":
			p.Type, p.ARN = "Anonymous", ""
		case !strings.HasPrefix(who, "arn:"):
			return nil, r.fail(n, "principal %q is no ARN; others are anonymous, {Service: NAME} or {Federated: NAME}", who)
		}
		return p, nil
	}
	set := func(kind string) func(*yaml.Node) error {
		return func(n *yaml.Node) (err error) {
			p.Type = kind
			p.ARN, err = r.text(n, kind)
			return err
		}
	}
	if len(n.Content) != 2 {
		return nil, r.fail(n, "a principal is one: AWS, Service or Federated")
	}
	err := r.object(n, "a principal", map[string]func(*yaml.Node) error{"AWS": set("AWS"), "Service": set("Service"), "Federated": set("Federated")})
	return p, err
}

// readContext sets keys over those that are there; null takes one away.
func (r *reader) readContext(n *yaml.Node, keys *[]contextKey) error {
	here := map[string]bool{}
	return r.members(n, "context", func(key, value *yaml.Node) (err error) {
		k := contextKey{name: strings.ToLower(key.Value), absent: isNull(value)}
		if here[k.name] {
			return r.fail(key, "%s stands twice; keys have no case", key.Value)
		}
		here[k.name] = true
		switch {
		case k.absent:
		case value.Kind == yaml.SequenceNode && len(value.Content) == 0:
			k.values = []string{}
		case value.Kind == yaml.ScalarNode && value.Value == "":
			k.values = []string{""}
		default:
			if k.values, err = r.texts(value, key.Value); err != nil {
				return err
			}
		}
		*keys = append(slices.DeleteFunc(*keys, func(old contextKey) bool { return old.name == k.name }), k)
		return nil
	})
}

// readSlots sets types of policy over those that are there; null takes one away.
func (r *reader) readSlots(n *yaml.Node, s *slots) error {
	one := func(t policy.Type, to *[]*document) func(*yaml.Node) error {
		return func(n *yaml.Node) (err error) { *to, err = r.readList(n, t); return err }
	}
	level := func(t policy.Type, to *[][]*document) func(*yaml.Node) error {
		return func(n *yaml.Node) error {
			if *to = nil; isNull(n) {
				return nil
			}
			list, err := r.readList(n, t)
			*to = [][]*document{list}
			return err
		}
	}
	levels := func(t policy.Type, to *[][]*document) func(*yaml.Node) error {
		return func(n *yaml.Node) error {
			if *to = nil; isNull(n) {
				return nil
			}
			*to = [][]*document{}
			return r.items(n, "a list of levels, root first,", func(n *yaml.Node) error {
				list, err := r.readList(n, t)
				*to = append(*to, list)
				return err
			})
		}
	}
	err := r.object(n, "policies", map[string]func(*yaml.Node) error{
		"identity": one(policy.Identity, &s.identity), "resource": one(policy.Resource, &s.resource),
		"boundary": level(policy.Identity, &s.boundary), "session": level(policy.Session, &s.session), "endpoint": level(policy.Endpoint, &s.endpoint),
		"serviceControl":  levels(policy.ServiceControl, &s.serviceControl),
		"resourceControl": levels(policy.ResourceControl, &s.resourceControl),
	})
	return err
}

func (r *reader) readList(n *yaml.Node, t policy.Type) (list []*document, err error) {
	if isNull(n) {
		return nil, nil
	}
	err = r.items(n, "policies of a type", func(n *yaml.Node) error {
		d, err := r.readPolicy(n)
		if err != nil {
			return err
		}
		if err := d.valid(t); err != nil {
			return &Error{d.place, fmt.Sprintf("AWS would refuse this as %s: %s", t, err)}
		}
		list = append(list, d)
		return nil
	})
	return list, err
}

// valid says whether AWS would store a policy for this use. Policies of a
// resource and trust policies share a slot; for those of endpoints there is no
// such check.
func (d *document) valid(t policy.Type) error {
	switch t {
	case policy.Endpoint:
		return nil
	case policy.Resource:
		if d.parsed.Validate(policy.Trust) == nil {
			return nil
		}
	}
	return d.parsed.Validate(t)
}

// readPolicy: the path of a file, or a mapping with file or document.
func (r *reader) readPolicy(n *yaml.Node) (*document, error) {
	if n.Kind == yaml.ScalarNode {
		return r.fromPath(n)
	}
	if d := r.inline[n]; d != nil {
		return d, nil
	}
	var d *document
	name := ""
	err := r.object(n, "a policy", map[string]func(*yaml.Node) error{
		"name":     func(n *yaml.Node) (err error) { name, err = r.text(n, "name"); return err },
		"document": func(n *yaml.Node) (err error) { d, err = r.fromNode(n); return err },
	})
	switch {
	case err != nil:
		return nil, err
	case d == nil:
		return nil, r.fail(n, "the policy has no document; a policy of a file is its path alone")
	}
	if d.name = name; name == "" {
		d.name = fmt.Sprintf("policy at line %d", d.place.Line)
	}
	r.inline[n] = d
	return d, nil
}

func (r *reader) fromPath(n *yaml.Node) (*document, error) {
	path, err := r.text(n, "the path of a policy's file")
	if err != nil {
		return nil, err
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(r.name), path)
	}
	d, err := r.suite.fromFile(path)
	if placed := (*Error)(nil); err != nil && !errors.As(err, &placed) {
		return nil, r.fail(n, "%s", err)
	}
	return d, err
}

func (r *reader) fromNode(n *yaml.Node) (*document, error) {
	text, position, err := r.policyText(n)
	if err != nil {
		return nil, err
	}
	d := &document{place: r.place(n), text: text, position: position}
	return d, r.suite.add(d)
}

func (r *reader) oneOf(n *yaml.Node, what string, known ...string) (string, error) {
	word, err := r.text(n, what)
	if err == nil && !slices.Contains(known, word) {
		err = r.fail(n, "%s is %q; known are %s", what, word, strings.Join(known, ", "))
	}
	return word, err
}

// typeNames are the types of policies that can decide, as answers name them.
func typeNames() (names []string) {
	for t := policy.Identity; t <= policy.Endpoint; t++ {
		names = append(names, t.String())
	}
	return names
}
