package iam

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/wire"
	"github.com/holdfast-iam/holdfast/policy"
)

func simulateOps() []api.Op {
	return []api.Op{
		read("SimulateCustomPolicy", anything[simulateCustomIn], simulateCustomPolicy),
		read("SimulatePrincipalPolicy", theSource[simulatePrincipalIn], simulatePrincipalPolicy),
		read("GetContextKeysForCustomPolicy", anything[keysCustomIn], getContextKeysForCustomPolicy),
		read("GetContextKeysForPrincipalPolicy", theSource[keysPrincipalIn], getContextKeysForPrincipalPolicy),
	}
}

// The members' types of a simulation.
type (
	// ActionName is what a simulation asks for.
	ActionName string
	// ResourceName is an ARN or *.
	ResourceName string
	// ContextKeyName and ContextKeyType of a context entry.
	ContextKeyName string
	ContextKeyType string
	// ResourceHandling names a scenario of EC2, which decides nothing here.
	ResourceHandling string
)

// Limits of the types.
func (ActionName) Limits() wire.Limit       { return wire.Limit{Min: 3, Max: 128} }
func (ResourceName) Limits() wire.Limit     { return wire.Limit{Min: 1, Max: 2048} }
func (ContextKeyName) Limits() wire.Limit   { return wire.Limit{Min: 5, Max: 256} }
func (ResourceHandling) Limits() wire.Limit { return wire.Limit{Min: 1, Max: 64} }
func (EntityType) Limits() wire.Limit {
	return wire.Limit{Enum: []string{"User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"}}
}
func (ContextKeyType) Limits() wire.Limit {
	return wire.Limit{Enum: []string{"string", "stringList", "numeric", "numericList", "boolean", "booleanList",
		"ip", "ipList", "binary", "binaryList", "date", "dateList"}}
}

type contextEntry struct {
	ContextKeyName   ContextKeyName
	ContextKeyValues []string
	ContextKeyType   ContextKeyType
}

// simulation is what both simulations share.
type simulation struct {
	PermissionsBoundaryPolicyInputList []PolicyText
	ActionNames                        []ActionName `q:"required"`
	ResourceArns                       []ResourceName
	ResourcePolicy                     *PolicyText
	ResourceOwner                      ResourceName
	CallerArn                          ResourceName
	ContextEntries                     []contextEntry
	ResourceHandlingOption             ResourceHandling
	page
}

type simulateCustomIn struct {
	PolicyInputList []PolicyText `q:"required"`
	simulation
}

type simulatePrincipalIn struct {
	PolicySourceArn ARN `q:"required"`
	PolicyInputList []PolicyText
	simulation
}

func (in *simulatePrincipalIn) source() string { return string(in.PolicySourceArn) }

type position struct {
	Line   int
	Column int
}

type simulatedMatch struct {
	SourcePolicyId   string
	SourcePolicyType string
	StartPosition    *position
	EndPosition      *position
}

type boundaryDecision struct{ AllowedByPermissionsBoundary bool }

type evaluationResult struct {
	EvalActionName                    string
	EvalResourceName                  string
	EvalDecision                      string
	MatchedStatements                 []simulatedMatch
	MissingContextValues              []string
	PermissionsBoundaryDecisionDetail *boundaryDecision
	EvalDecisionDetails               map[string]string
}

type simulateOut struct {
	EvaluationResults []evaluationResult
	paged
}

// theSource is the access of an operation on the user, group or role whose
// policies are asked about.
func theSource[In any](c *api.Call, in *In) ([]api.Access, error) {
	return one(any(in).(interface{ source() string }).source(), nil)
}

func simulateCustomPolicy(c *api.Call, in *simulateCustomIn) (*simulateOut, error) {
	s := newSimulator(c)
	s.policies = s.free(policy.Policies{})
	return s.answer(in.PolicyInputList, &in.simulation)
}

func simulatePrincipalPolicy(c *api.Call, in *simulatePrincipalIn) (*simulateOut, error) {
	s := newSimulator(c)
	if err := s.load(in.source()); err != nil {
		return nil, err
	}
	return s.answer(in.PolicyInputList, &in.simulation)
}

// simulator asks the one policy engine: about policies of a principal of this
// account, policies that the request holds, or both.
type simulator struct {
	c         *api.Call
	z         authz.Authorizer
	policies  policy.Policies
	principal policy.Principal
	sources   map[string]source // of the policies, by the name that matches give
	bounded   bool
}

// source is where a policy in a simulation comes from.
type source struct{ text, id, kind string }

func newSimulator(c *api.Call) *simulator {
	return &simulator{c: c, sources: map[string]source{}, principal: policy.Principal{Kind: policy.User, Account: c.Account}}
}

// free has none of the restrictions that a simulation does not name.
func (s *simulator) free(p policy.Policies) policy.Policies {
	p.Boundary, p.Session, p.Endpoint = policy.None, policy.None, policy.None
	p.ServiceControl, p.ResourceControl = policy.None, policy.None
	return p
}

// add names a policy of the simulation.
func (s *simulator) add(list *[]policy.Named, text, id, kind string) {
	name := itoa(len(s.sources))
	s.sources[name] = source{text, id, kind}
	*list = append(*list, policy.Named{Name: name, Policy: s.z.Compiled(text)})
}

// load takes the policies of a user, group or role, and of a user's groups.
func (s *simulator) load(text string) error {
	s.policies = s.free(policy.Policies{})
	found, err := principalAt(s.c, text)
	if err != nil {
		return err
	}
	s.principal.ARN = text
	s.principal.UniqueID = found.id
	if found.kind == "role" {
		s.principal.Kind = policy.RoleSession
		s.principal.RoleARN = text
	}
	for _, b := range found.bearers {
		for _, p := range *b.inline {
			s.add(&s.policies.Identity, p.Document, b.quota+"_"+b.name+"_"+p.Name, b.quota)
		}
		if err := s.attached(*b.attached); err != nil {
			return err
		}
	}
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

// found is a principal whose policies are asked about.
type found struct {
	kind, id string
	bearers  []*bearer
	boundary record.PolicyRef
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
		u, err := findUser(c, name)
		if err != nil {
			return nil, err
		}
		b, err := userBearer(c, name)
		f := &found{kind, u.ID, []*bearer{b}, u.Boundary}
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
		return f, err
	case "group":
		b, err := groupBearer(c, name)
		return &found{kind: kind, bearers: []*bearer{b}}, err
	case "role":
		r, err := findRole(c, name)
		if err != nil {
			return nil, err
		}
		b, err := roleBearer(c, name)
		return &found{kind, r.ID, []*bearer{b}, r.Boundary}, err
	}
	return nil, fault.InvalidInput.Errorf("Invalid ARN: %q is no user, group or role.", kind)
}

// answer evaluates every action on every resource, in the request's order.
func (s *simulator) answer(extra []PolicyText, in *simulation) (*simulateOut, error) {
	if err := s.take(extra, in); err != nil {
		return nil, err
	}
	context, err := s.context(in)
	if err != nil {
		return nil, err
	}
	resources := in.ResourceArns
	if len(resources) == 0 {
		resources = []ResourceName{"*"}
	}
	var asked []policy.Request
	for _, action := range in.ActionNames {
		if !strings.Contains(string(action), ":") {
			return nil, fault.InvalidInput.Errorf("Invalid action %s: an action is a service and a name with a colon between.", action)
		}
		for _, resource := range resources {
			asked = append(asked, policy.Request{Principal: s.principal, Action: string(action), Resource: string(resource), Context: context,
				ResourceAccount: ownerOf(in, s.c.Account)})
		}
	}
	list, next, err := slice(s.c, asked, in.page)
	if err != nil {
		return nil, err
	}
	out := &simulateOut{EvaluationResults: []evaluationResult{}, paged: next}
	for i := range list {
		out.EvaluationResults = append(out.EvaluationResults, s.one(&list[i]))
	}
	return out, nil
}

// take adds the policies that the request holds.
func (s *simulator) take(extra []PolicyText, in *simulation) error {
	for i, text := range extra {
		if err := document(string(text), policy.Identity); err != nil {
			return fault.InvalidInput.Errorf("PolicyInputList.%d: %s", i+1, words(err))
		}
		s.add(&s.policies.Identity, string(text), "PolicyInputList."+itoa(i+1), "none")
	}
	if len(in.PermissionsBoundaryPolicyInputList) > 0 {
		var list []policy.Named
		for i, text := range in.PermissionsBoundaryPolicyInputList {
			if err := document(string(text), policy.Identity); err != nil {
				return fault.InvalidInput.Errorf("PermissionsBoundaryPolicyInputList.%d: %s", i+1, words(err))
			}
			s.add(&list, string(text), "PermissionsBoundaryPolicyInputList."+itoa(i+1), "none")
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
	if err := document(string(*in.ResourcePolicy), policy.Resource); err != nil {
		return fault.InvalidInput.Errorf("ResourcePolicy: %s", words(err))
	}
	s.add(&s.policies.Resource, string(*in.ResourcePolicy), "ResourcePolicy", "resource")
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

// call says who calls: the ARN of a user.
func (s *simulator) call(text string) error {
	parts := strings.SplitN(text, ":", 6)
	if len(parts) != 6 || parts[2] != "iam" || !strings.HasPrefix(parts[5], "user/") {
		return fault.InvalidInput.Errorf("CallerArn %s is not the ARN of a user.", text)
	}
	s.principal = policy.Principal{Kind: policy.User, ARN: text, Account: parts[4]}
	return nil
}

// ownerOf is the account that owns the resources: the one of ResourceOwner, or
// the caller's.
func ownerOf(in *simulation, account string) string {
	parts := strings.SplitN(string(in.ResourceOwner), ":", 6)
	if len(parts) == 6 && parts[4] != "" {
		return parts[4]
	}
	return cmp.Or(string(in.ResourceOwner), account)
}

// context is the condition keys that the request gives: a laboratory's, so any.
func (s *simulator) context(in *simulation) (policy.Context, error) {
	var c policy.Context
	for _, e := range in.ContextEntries {
		if e.ContextKeyName == "" {
			return c, fault.InvalidInput.Errorf("A context entry has no ContextKeyName.")
		}
		if !strings.HasSuffix(string(e.ContextKeyType), "List") && len(e.ContextKeyValues) > 1 {
			return c, fault.InvalidInput.Errorf("Context key %s has type %s and more than one value.", e.ContextKeyName, e.ContextKeyType)
		}
		c.Set(string(e.ContextKeyName), e.ContextKeyValues...)
	}
	return c, nil
}

func (s *simulator) one(r *policy.Request) evaluationResult {
	d, considered := policy.Explain(&s.policies, r)
	out := evaluationResult{EvalActionName: r.Action, EvalResourceName: r.Resource, MatchedStatements: []simulatedMatch{}, MissingContextValues: []string{},
		EvalDecision: map[policy.Kind]string{policy.Allowed: "allowed", policy.ExplicitDeny: "explicitDeny"}[d.Kind]}
	if out.EvalDecision == "" {
		out.EvalDecision = "implicitDeny"
	}
	byBoundary := !s.bounded
	for _, m := range considered {
		if m.MissingKey {
			_, key, _ := strings.Cut(m.Failed, " ")
			if !slices.Contains(out.MissingContextValues, key) {
				out.MissingContextValues = append(out.MissingContextValues, key)
			}
		}
		if !m.Holds {
			continue
		}
		if m.Type == policy.Boundary {
			byBoundary = !m.Deny
			continue
		}
		out.MatchedStatements = append(out.MatchedStatements, s.match(m))
	}
	if s.bounded {
		out.PermissionsBoundaryDecisionDetail = &boundaryDecision{byBoundary && (d.Kind == policy.Allowed || d.By != policy.Boundary)}
	}
	return out
}

// match says where a statement that matched stands.
func (s *simulator) match(m policy.Match) simulatedMatch {
	from := s.sources[m.Policy]
	out := simulatedMatch{SourcePolicyId: from.id, SourcePolicyType: from.kind}
	d, err := policy.Parse([]byte(from.text))
	if err != nil {
		return out
	}
	start, end := d.Statement(m.Statement)
	out.StartPosition, out.EndPosition = place(from.text, start), place(from.text, end)
	return out
}

// place counts lines and columns from 1.
func place(text string, at int) *position {
	before := text[:at]
	return &position{Line: strings.Count(before, "\n") + 1, Column: at - strings.LastIndexByte(before, '\n')}
}

type keysCustomIn struct {
	PolicyInputList []PolicyText `q:"required"`
}

type keysPrincipalIn struct {
	PolicySourceArn ARN `q:"required"`
	PolicyInputList []PolicyText
}

func (in *keysPrincipalIn) source() string { return string(in.PolicySourceArn) }

type keysOut struct{ ContextKeyNames []string }

func getContextKeysForCustomPolicy(_ *api.Call, in *keysCustomIn) (*keysOut, error) {
	out := &keysOut{ContextKeyNames: []string{}}
	return out, out.add(in.PolicyInputList)
}

func getContextKeysForPrincipalPolicy(c *api.Call, in *keysPrincipalIn) (*keysOut, error) {
	s := newSimulator(c)
	if err := s.load(in.source()); err != nil {
		return nil, err
	}
	out := &keysOut{ContextKeyNames: []string{}}
	for _, from := range s.sources {
		if err := out.add([]PolicyText{PolicyText(from.text)}); err != nil {
			return nil, err
		}
	}
	err := out.add(in.PolicyInputList)
	slices.Sort(out.ContextKeyNames)
	return out, err
}

func (out *keysOut) add(texts []PolicyText) error {
	for _, text := range texts {
		d, err := policy.Parse([]byte(text))
		if err != nil {
			return fault.InvalidInput.Errorf("Syntax errors in policy. %v", err)
		}
		for _, key := range d.ContextKeys() {
			if !slices.ContainsFunc(out.ContextKeyNames, func(k string) bool { return record.Fold(k) == record.Fold(key) }) {
				out.ContextKeyNames = append(out.ContextKeyNames, key)
			}
		}
	}
	return nil
}
