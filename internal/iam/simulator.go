package iam

import (
	"errors"
	"strings"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/policy"
)

// simulator asks the one policy engine: about policies of a principal of this
// account, policies that the request holds, or both.
type simulator struct {
	c         *api.Call
	z         authz.Authorizer
	policies  policy.Policies
	principal policy.Principal
	context   policy.Context    // the principal's keys, then the request's
	sources   map[string]source // of the policies, by the name that matches give
	bounded   bool
	organized bool // SCPs take part
}

// source is where a policy in a simulation comes from.
type source struct{ text, id, kind string }

// newSimulator has none of the restrictions that a simulation does not name.
func newSimulator(c *api.Call, env Env) *simulator {
	return &simulator{c: c, z: authz.Authorizer{Organization: env.Organization}, sources: map[string]source{},
		principal: policy.Principal{Kind: policy.User, Account: c.Account},
		policies: policy.Policies{Boundary: policy.None, Session: policy.None, Endpoint: policy.None,
			ServiceControl: policy.None, ResourceControl: policy.None}}
}

// add names a policy of the simulation.
func (s *simulator) add(list *[]policy.Named, text, id, kind string) {
	name := itoa(len(s.sources))
	s.sources[name] = source{text, id, kind}
	*list = append(*list, policy.Named{Name: name, Policy: s.z.Compiled(text)})
}

// load takes the policies of a user, group or role, and of a user's groups,
// and what limits them.
func (s *simulator) load(text string) error {
	found, err := principalAt(s.c, text)
	if err != nil {
		return err
	}
	s.principal.ARN, s.principal.UniqueID = text, found.id
	if found.kind == "role" {
		s.principal.Kind, s.principal.RoleARN = policy.RoleSession, text
		s.principal.ServiceLinked = found.form.Role.Service != ""
	}
	if found.form != nil {
		authz.SetPrincipal(&s.context, found.form)
	}
	for _, b := range found.bearers {
		for _, p := range *b.inline {
			s.add(&s.policies.Identity, p.Document, b.quota+"_"+b.name+"_"+p.Name, b.quota)
		}
		if err := s.attached(*b.attached); err != nil {
			return err
		}
	}
	s.policies.ServiceControl, s.organized = s.z.ServiceControl(s.c.Tx, s.c.Account)
	return s.bound(found.boundary)
}

func (s *simulator) attached(refs []record.PolicyRef) error {
	for _, ref := range refs {
		m, err := policyAt(s.c, ref)
		if err != nil {
			return err
		}
		s.add(&s.policies.Identity, m.Document(), m.Name, managedKind(m))
	}
	return nil
}

func managedKind(p *record.Policy) string {
	if p.Account == record.AWS {
		return "aws-managed"
	}
	return "user-managed"
}

func (s *simulator) bound(ref record.PolicyRef) error {
	if ref == "" {
		return nil
	}
	m, err := policyAt(s.c, ref)
	if err != nil {
		return err
	}
	var list []policy.Named
	s.add(&list, m.Document(), m.Name, managedKind(m))
	s.policies.Boundary, s.bounded = policy.Restrict(list), true
	return nil
}

// control takes the SCPs of a request, level by level.
func (s *simulator) control(in []organizationLevel) error {
	if len(in) == 0 {
		return nil
	}
	levels := make([][]policy.Named, len(in))
	for i, level := range in {
		for j, text := range level.ServiceControlPolicyInputList {
			where := "OrderedOrganizationPolicyInputList." + itoa(i+1) + ".ServiceControlPolicyInputList." + itoa(j+1)
			if err := s.input(&levels[i], text, policy.ServiceControl, where, "none"); err != nil {
				return err
			}
		}
	}
	s.policies.ServiceControl, s.organized = policy.Restrict(levels...), true
	return nil
}

// input takes a policy that the request holds.
func (s *simulator) input(list *[]policy.Named, text PolicyText, as policy.Type, where, kind string) error {
	if err := document(string(text), as); err != nil {
		return fault.InvalidInput.Errorf("%s: %s", where, words(err))
	}
	s.add(list, string(text), where, kind)
	return nil
}

// words is an error's message without its code.
func words(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Message
	}
	return err.Error()
}

// take adds the policies that the request holds.
func (s *simulator) take(extra []PolicyText, in *simulation) error {
	for i, text := range extra {
		if err := s.input(&s.policies.Identity, text, policy.Identity, "PolicyInputList."+itoa(i+1), "none"); err != nil {
			return err
		}
	}
	if len(in.PermissionsBoundaryPolicyInputList) > 1 {
		return fault.InvalidInput.Errorf("PermissionsBoundaryPolicyInputList: only one permissions boundary can be simulated.")
	}
	for _, text := range in.PermissionsBoundaryPolicyInputList {
		var list []policy.Named
		if err := s.input(&list, text, policy.Identity, "PermissionsBoundaryPolicyInputList.1", "none"); err != nil {
			return err
		}
		s.policies.Boundary, s.bounded = policy.Restrict(list), true
	}
	if in.CallerArn != "" {
		if err := s.call(string(in.CallerArn)); err != nil {
			return err
		}
	}
	if in.ResourcePolicy == nil {
		return nil
	}
	if s.principal.ARN == "" {
		return fault.InvalidInput.Errorf("A CallerArn is needed with a ResourcePolicy: the policy names principals.")
	}
	return s.input(&s.policies.Resource, *in.ResourcePolicy, policy.Resource, "ResourcePolicy", "resource")
}

// call says who calls: a user, group or role, which need not exist. It calls
// with the policies of the simulation, whoever's they are.
func (s *simulator) call(text string) error {
	parts := strings.SplitN(text, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" || parts[4] == "" {
		return fault.InvalidInput.Errorf("CallerArn %s is not the ARN of a user, group or role.", text)
	}
	p := policy.Principal{Kind: policy.User, ARN: text, Account: parts[4]}
	switch kind, _, _ := strings.Cut(parts[5], "/"); {
	case kind == parts[5], kind != "user" && kind != "group" && kind != "role":
		return fault.InvalidInput.Errorf("CallerArn %s is not the ARN of a user, group or role.", text)
	case kind == "role":
		p.Kind, p.RoleARN = policy.RoleSession, text
	}
	if text != s.principal.ARN { // somebody else, of whom no more is known
		s.principal = p
		s.context.Reset(nil)
	}
	return nil
}

// found is a principal whose policies are asked about.
type found struct {
	kind, id string
	bearers  []*bearer
	boundary record.PolicyRef
	form     *authn.Form // nil for a group
}

// principalAt finds a user with its groups, a group, or a role by ARN.
func principalAt(c *api.Call, text string) (*found, error) {
	parts := strings.SplitN(text, ":", 6)
	if len(parts) != 6 || parts[2] != "iam" || parts[4] != c.Account {
		return nil, fault.InvalidInput.Errorf("Invalid ARN: %s is no user, group or role of this account.", text)
	}
	kind, rest, _ := strings.Cut(parts[5], "/")
	name := rest[strings.LastIndexByte(rest, '/')+1:]
	f, err := principalNamed(c, kind, name)
	if err == nil && f.bearers[0].arn != text {
		return nil, fault.NoSuchEntity.Errorf("The %s with ARN %s cannot be found.", kind, text)
	}
	return f, err
}

func principalNamed(c *api.Call, kind, name string) (*found, error) {
	switch kind {
	case "user":
		return userFound(c, name)
	case "group":
		b, err := groupBearer(c, name)
		return &found{kind: kind, bearers: []*bearer{b}}, err
	case "role":
		r, err := findRole(c, name)
		if err != nil {
			return nil, err
		}
		b, err := roleBearer(c, name)
		return &found{kind, r.ID, []*bearer{b}, r.Boundary, &authn.Form{Role: r, ARN: roleARN(r)}}, err
	}
	return nil, fault.InvalidInput.Errorf("Invalid ARN: %q is no user, group or role.", kind)
}

func userFound(c *api.Call, name string) (*found, error) {
	u, err := findUser(c, name)
	if err != nil {
		return nil, err
	}
	b, err := userBearer(c, name)
	if err != nil {
		return nil, err
	}
	f := &found{"user", u.ID, []*bearer{b}, u.Boundary, &authn.Form{User: u, ARN: b.arn}}
	for _, id := range u.Groups {
		g, err := record.Get(c.Tx, record.Groups, c.Account, id)
		if err != nil {
			return nil, err
		}
		group, err := groupBearer(c, g.Name)
		if err != nil {
			return nil, err
		}
		f.bearers = append(f.bearers, group)
	}
	return f, nil
}
