package iam

import (
	"cmp"
	"encoding/base64"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/policy"
)

// answer evaluates every action on every resource, in the request's order.
func (s *simulator) answer(extra []PolicyText, in *simulation) (*simulateOut, error) {
	if err := s.take(extra, in); err != nil {
		return nil, err
	}
	for _, action := range in.ActionNames {
		if !strings.Contains(string(action), ":") || strings.ContainsAny(string(action), "*?") {
			return nil, fault.InvalidInput.Errorf("Invalid action %s: an action is a service and a name with a colon between, without wildcards.", action)
		}
	}
	if err := handled(in); err != nil {
		return nil, err
	}
	for _, e := range in.ContextEntries {
		if err := e.check(); err != nil {
			return nil, err
		}
		s.context.Set(string(e.ContextKeyName), e.ContextKeyValues...)
	}
	actions, next, err := slice(s.c, in.ActionNames, in.page)
	if err != nil {
		return nil, err
	}
	out := &simulateOut{EvaluationResults: []evaluationResult{}, paged: next}
	for _, action := range actions {
		out.EvaluationResults = append(out.EvaluationResults, s.action(string(action), in))
	}
	return out, nil
}

// scenarios are the kinds of resources that a simulation of EC2 must name (IAM
// API Reference, SimulateCustomPolicy, ResourceHandlingOption).
var scenarios = map[ResourceHandling][]string{
	"EC2-VPC-InstanceStore":        {"instance", "image", "security-group", "network-interface"},
	"EC2-VPC-InstanceStore-Subnet": {"instance", "image", "security-group", "network-interface", "subnet"},
	"EC2-VPC-EBS":                  {"instance", "image", "security-group", "network-interface", "volume"},
	"EC2-VPC-EBS-Subnet":           {"instance", "image", "security-group", "network-interface", "subnet", "volume"},
}

func handled(in *simulation) error {
	if in.ResourceHandlingOption == "" {
		return nil
	}
	kinds, known := scenarios[in.ResourceHandlingOption]
	if !known {
		return fault.InvalidInput.Errorf("ResourceHandlingOption %s is no scenario.", in.ResourceHandlingOption)
	}
	for _, kind := range kinds {
		if !slices.ContainsFunc(in.ResourceArns, func(r ResourceName) bool {
			parts := strings.SplitN(string(r), ":", 6)
			return len(parts) == 6 && parts[2] == "ec2" && strings.HasPrefix(parts[5], kind+"/")
		}) {
			return fault.InvalidInput.Errorf("ResourceHandlingOption %s needs a resource of EC2 of the type %s.", in.ResourceHandlingOption, kind)
		}
	}
	return nil
}

// check says whether the values are of the type: a laboratory takes any key,
// but a number that is none would only look like a denial.
func (e *contextEntry) check() error {
	if e.ContextKeyName == "" {
		return fault.InvalidInput.Errorf("A context entry has no ContextKeyName.")
	}
	kind, many := strings.CutSuffix(string(e.ContextKeyType), "List")
	if !many && len(e.ContextKeyValues) > 1 {
		return fault.InvalidInput.Errorf("Context key %s has type %s and more than one value.", e.ContextKeyName, cmp.Or(kind, "string"))
	}
	for _, v := range e.ContextKeyValues {
		if !valueIs(kind, v) {
			return fault.InvalidInput.Errorf("Context key %s: %q is not of type %s.", e.ContextKeyName, v, kind)
		}
	}
	return nil
}

func valueIs(kind, v string) bool {
	var err error
	switch kind {
	case "numeric":
		_, err = strconv.ParseFloat(v, 64)
	case "boolean":
		return strings.EqualFold(v, "true") || strings.EqualFold(v, "false")
	case "ip":
		if _, err = netip.ParseAddr(v); err != nil {
			_, err = netip.ParsePrefix(v)
		}
	case "binary":
		_, err = base64.StdEncoding.DecodeString(v)
	case "date":
		return isDate(v)
	}
	return err == nil
}

// isDate takes seconds since 1970 and the profiles of ISO 8601.
func isDate(v string) bool {
	if _, err := strconv.ParseInt(v, 10, 64); err == nil {
		return true
	}
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02"} {
		if _, err := time.Parse(form, v); err == nil {
			return true
		}
	}
	return false
}

// ownerOf is the account that owns a resource: what its ARN says, or else
// ResourceOwner, an account or its ARN, or else the caller's.
func (s *simulator) ownerOf(resource ResourceName, in *simulation) string {
	for _, text := range []ResourceName{resource, in.ResourceOwner} {
		if parts := strings.SplitN(string(text), ":", 6); len(parts) == 6 && parts[4] != "" {
			return parts[4]
		}
	}
	if in.ResourceOwner != "" && !strings.Contains(string(in.ResourceOwner), ":") {
		return string(in.ResourceOwner)
	}
	return s.principal.Account
}

// action is what one action comes to on all resources (IAM API Reference,
// EvaluationResult).
func (s *simulator) action(action string, in *simulation) evaluationResult {
	resources := in.ResourceArns
	if len(resources) == 0 {
		resources = []ResourceName{"*"}
	}
	out := evaluationResult{EvalActionName: action, EvalResourceName: "*", EvalDecision: verdicts[policy.Allowed], MatchedStatements: []simulatedMatch{},
		MissingContextValues: []string{}}
	if len(resources) == 1 {
		out.EvalResourceName = string(resources[0])
	}
	var each []resourceResult
	allowed := true
	for _, resource := range resources {
		r := policy.Request{Principal: s.principal, Action: action, Resource: string(resource), Context: s.context, ResourceAccount: s.ownerOf(resource, in)}
		one := s.one(&r)
		each = append(each, one)
		out.EvalDecision = stricter(out.EvalDecision, one.EvalResourceDecision)
		out.add(&one)
		allowed = allowed && s.allowedByOrganizations(&r)
	}
	if s.organized {
		out.OrganizationsDecisionDetail = &organizationsDecision{allowed}
	}
	for i := range each {
		if d := out.EvalDecision; d == each[i].EvalResourceDecision && d != verdicts[policy.ImplicitDeny] {
			out.MatchedStatements = union(out.MatchedStatements, each[i].MatchedStatements)
		}
	}
	if len(resources) > 1 || resources[0] != "*" {
		out.ResourceSpecificResults = each
		if out.EvalDecisionDetails == nil && allowed {
			out.EvalDecisionDetails = &decisionDetails{} // AWS: present and empty within the account
		}
	}
	if !allowed { // AWS: the simulation ends there
		out.EvalDecisionDetails = nil
	}
	return out
}

// add takes in what is told of all resources together.
func (out *evaluationResult) add(one *resourceResult) {
	out.MissingContextValues = union(out.MissingContextValues, one.MissingContextValues)
	if b := one.PermissionsBoundaryDecisionDetail; b != nil {
		if out.PermissionsBoundaryDecisionDetail == nil {
			out.PermissionsBoundaryDecisionDetail = &boundaryDecision{true}
		}
		out.PermissionsBoundaryDecisionDetail.AllowedByPermissionsBoundary = out.PermissionsBoundaryDecisionDetail.AllowedByPermissionsBoundary && b.AllowedByPermissionsBoundary
	}
	if one.EvalDecisionDetails == nil {
		return
	}
	if out.EvalDecisionDetails == nil {
		out.EvalDecisionDetails = &decisionDetails{}
	}
	for name, d := range *one.EvalDecisionDetails {
		before, known := (*out.EvalDecisionDetails)[name]
		if !known {
			before = verdicts[policy.Allowed]
		}
		(*out.EvalDecisionDetails)[name] = stricter(before, d)
	}
}

// union adds what is not there yet.
func union[T any](list, more []T) []T {
	for _, x := range more {
		if !slices.ContainsFunc(list, func(y T) bool { return same(x, y) }) {
			list = append(list, x)
		}
	}
	return list
}

func same(x, y any) bool {
	a, ok := x.(simulatedMatch)
	if !ok {
		return x == y
	}
	b := y.(simulatedMatch)
	return a.SourcePolicyId == b.SourcePolicyId && *a.StartPosition == *b.StartPosition
}

var verdicts = map[policy.Kind]string{policy.Allowed: "allowed", policy.ImplicitDeny: "implicitDeny", policy.ExplicitDeny: "explicitDeny"}

// stricter returns the more restrictive of two decisions.
func stricter(a, b string) string {
	order := []string{"allowed", "implicitDeny", "explicitDeny"}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

// one evaluates an action on one resource.
func (s *simulator) one(r *policy.Request) resourceResult {
	d, considered := policy.Explain(&s.policies, r)
	out := resourceResult{EvalResourceName: r.Resource, EvalResourceDecision: verdicts[d.Kind], MatchedStatements: []simulatedMatch{},
		MissingContextValues: []string{}}
	for _, m := range considered {
		if m.Type != policy.Identity && m.Type != policy.Resource {
			continue
		}
		out.MissingContextValues = union(out.MissingContextValues, s.missing(m, r))
		if m.Holds && m.Deny == (d.Kind == policy.ExplicitDeny) {
			out.MatchedStatements = append(out.MatchedStatements, s.match(m))
		}
	}
	if s.bounded {
		out.PermissionsBoundaryDecisionDetail = &boundaryDecision{said(considered, policy.Boundary) == policy.Allowed}
	}
	if r.ResourceAccount == s.principal.Account {
		return out
	}
	details := decisionDetails{"IAM Policy": verdicts[said(considered, policy.Identity)]}
	if len(s.policies.Resource) > 0 {
		details["Resource Policy"] = verdicts[said(considered, policy.Resource)]
	}
	if s.bounded {
		details["Permissions Boundary Policy"] = verdicts[said(considered, policy.Boundary)]
	}
	out.EvalDecisionDetails = &details
	return out
}

// said is what the policies of one type come to by themselves.
func said(considered []policy.Match, by policy.Type) policy.Kind {
	kind := policy.ImplicitDeny
	for _, m := range considered {
		switch {
		case m.Type != by || !m.Holds:
		case m.Deny:
			return policy.ExplicitDeny
		default:
			kind = policy.Allowed
		}
	}
	return kind
}

const everything = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`

// allowedByOrganizations asks the SCPs alone.
func (s *simulator) allowedByOrganizations(r *policy.Request) bool {
	alone := *r
	alone.Principal.Account = r.ResourceAccount
	p := policy.Policies{Identity: []policy.Named{{Policy: s.z.Compiled(everything)}}, Boundary: policy.None, Session: policy.None, Endpoint: policy.None,
		ServiceControl: s.policies.ServiceControl, ResourceControl: policy.None}
	d := policy.Evaluate(&p, &alone)
	return d.Kind == policy.Allowed
}

// match says where a statement that matched stands.
func (s *simulator) match(m policy.Match) simulatedMatch {
	from := s.sources[m.Policy]
	out := simulatedMatch{SourcePolicyId: from.id, SourcePolicyType: from.kind, StartPosition: &position{}, EndPosition: &position{}}
	if start, end, ok := from.statement(m.Statement); ok {
		out.StartPosition, out.EndPosition = place(from.text, start+1), place(from.text, end)
	}
	return out
}

func (f *source) statement(n int) (start, end int, ok bool) {
	d, err := policy.Parse([]byte(f.text))
	if err != nil {
		return 0, 0, false
	}
	start, end = d.Statement(n)
	return start, end, end > start
}

// place counts lines and columns from 1. AWS counts to behind the brace that
// opens or closes a statement.
func place(text string, at int) *position {
	before := text[:at]
	return &position{Line: strings.Count(before, "\n") + 1, Column: at - strings.LastIndexByte(before, '\n')}
}

// missing lists the keys that a statement asks for and the request lacks.
func (s *simulator) missing(m policy.Match, r *policy.Request) []string {
	from := s.sources[m.Policy]
	start, end, ok := from.statement(m.Statement)
	if !ok {
		return nil
	}
	d, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":` + from.text[start:end] + `}`))
	if err != nil {
		return nil
	}
	var keys []string
	for _, key := range d.ContextKeys() {
		if !r.Context.Has(key) && !slices.ContainsFunc(keys, func(k string) bool { return record.Fold(k) == record.Fold(key) }) {
			keys = append(keys, key)
		}
	}
	return keys
}
