package iam

import (
	"slices"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/wire"
	"github.com/holdfast-iam/holdfast/policy"
)

func simulateOps(env Env) []api.Op {
	return []api.Op{
		read("SimulateCustomPolicy", anything[simulateCustomIn], func(c *api.Call, in *simulateCustomIn) (*simulateOut, error) {
			s := newSimulator(c, env)
			if err := s.control(in.OrderedOrganizationPolicyInputList); err != nil {
				return nil, err
			}
			return s.answer(in.PolicyInputList, &in.simulation)
		}),
		read("SimulatePrincipalPolicy", theSource[simulatePrincipalIn], func(c *api.Call, in *simulatePrincipalIn) (*simulateOut, error) {
			s := newSimulator(c, env)
			if err := s.load(in.source()); err != nil {
				return nil, err
			}
			return s.answer(in.PolicyInputList, &in.simulation)
		}),
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
	// ResourceHandling names a scenario of EC2.
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
	PolicyInputList                    []PolicyText `q:"required"`
	OrderedOrganizationPolicyInputList []organizationLevel
	simulation
}

// organizationLevel is the SCPs of the root, of a unit or of the account.
type organizationLevel struct {
	ServiceControlPolicyInputList []PolicyText
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

type organizationsDecision struct{ AllowedByOrganizations bool }

// decisionDetails is the decision by type of policy.
type decisionDetails map[string]string

// evaluationResult is what an action comes to on all resources together: the
// most restrictive of them.
type evaluationResult struct {
	EvalActionName                    string
	EvalResourceName                  string
	EvalDecision                      string
	MatchedStatements                 []simulatedMatch
	MissingContextValues              []string
	OrganizationsDecisionDetail       *organizationsDecision
	PermissionsBoundaryDecisionDetail *boundaryDecision
	EvalDecisionDetails               *decisionDetails
	ResourceSpecificResults           []resourceResult `q:"omitempty"`
}

type resourceResult struct {
	EvalResourceName                  string
	EvalResourceDecision              string
	MatchedStatements                 []simulatedMatch
	MissingContextValues              []string
	EvalDecisionDetails               *decisionDetails
	PermissionsBoundaryDecisionDetail *boundaryDecision
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
	s := newSimulator(c, Env{})
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
