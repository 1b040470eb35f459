package sts

import (
	"slices"
	"strings"

	"github.com/holdfast-iam/holdfast/arn"
	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// Lifetimes in seconds (STS API Reference, each operation's DurationSeconds).
const (
	roleDefault       = 3600
	chainedMost       = 3600
	tokenDefault      = 43200
	tokenMost         = 129600
	rootDefault       = 3600
	rootMost          = 3600
	federationDefault = 43200
)

type assumeRoleIn struct {
	RoleArn           ARN             `q:"required"`
	RoleSessionName   RoleSessionName `q:"required"`
	DurationSeconds   *RoleSeconds
	Policy            SessionPolicy
	PolicyArns        PolicyARNs
	Tags              Tags
	TransitiveTagKeys TagKeys
	ExternalId        *ExternalID
	SourceIdentity    *RoleSessionName
	SerialNumber      *SerialNumber
	TokenCode         *TokenCode
	ProvidedContexts  ProvidedContexts
}

type assumedRoleUser struct {
	AssumedRoleId string
	Arn           string
}

type assumeRoleOut struct {
	Credentials      *Credentials
	AssumedRoleUser  *assumedRoleUser
	PackedPolicySize *int
	SourceIdentity   string `q:"omitempty"`
}

// roleOf finds the role that an ARN names; path included, as AWS compares it.
// One that is absent looks like one that may not be assumed.
func roleOf(c *api.Call, text string) (*record.Role, error) {
	a, err := arn.Parse(text)
	if err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "role/") {
		return nil, fault.ValidationError.Errorf("%s is invalid", text)
	}
	name := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	role, err := record.Find(c.Tx, record.Roles, record.RoleByName, record.NameTerm(a.Account, name))
	if err != nil || "role"+role.Path+role.Name != a.Resource {
		return nil, denied(c, "sts:AssumeRole", text)
	}
	return role, nil
}

// assumeRoleAccess asks for AssumeRole, and for each thing that the request
// adds to the session, of the caller's policies and the role's trust alike.
func (s *room) assumeRoleAccess(c *api.Call, in *assumeRoleIn) ([]api.Access, error) {
	role, err := roleOf(c, string(in.RoleArn))
	if err != nil {
		return nil, err
	}
	context := map[string][]string{"sts:RoleSessionName": {string(in.RoleSessionName)}}
	if in.ExternalId != nil {
		context["sts:ExternalId"] = []string{string(*in.ExternalId)}
	}
	if in.SourceIdentity != nil {
		context["sts:SourceIdentity"] = []string{string(*in.SourceIdentity)}
	}
	for _, t := range role.Tags {
		context["aws:ResourceTag/"+t.Key] = []string{t.Value}
		context["iam:ResourceTag/"+t.Key] = []string{t.Value}
	}
	tagContext(in.Tags, in.TransitiveTagKeys, context)
	actions := []string{"sts:AssumeRole"}
	if len(in.Tags) > 0 || len(inherited(c.Caller)) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if in.SourceIdentity != nil || c.Caller.Session != nil && c.Caller.Session.SourceIdentity != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	var list []api.Access
	for _, action := range actions {
		list = append(list, api.Access{Action: action, Resource: string(in.RoleArn), Account: role.Account, Context: context, Trust: role.Trust})
	}
	return list, nil
}

func (s *room) assumeRole(c *api.Call, in *assumeRoleIn) (*assumeRoleOut, error) {
	role, err := roleOf(c, string(in.RoleArn))
	if err != nil {
		return nil, err
	}
	if in.SerialNumber != nil || in.TokenCode != nil {
		return nil, fault.AccessDenied.Errorf("MultiFactorAuthentication failed, no MFA device with the given serial number is enabled for the caller.")
	}
	if len(in.ProvidedContexts) > 0 {
		return nil, fault.NotImplemented.Errorf("ProvidedContexts are not built in this release.")
	}
	seconds, err := roleDuration(c, role, in.DurationSeconds)
	if err != nil {
		return nil, err
	}
	arns, err := sessionPolicy(c, role.Account, string(in.Policy), in.PolicyArns)
	if err != nil {
		return nil, err
	}
	session := authn.Session{Name: string(in.RoleSessionName), Policy: string(in.Policy), PolicyARNs: arns,
		HasPolicy: in.Policy != "" || len(arns) > 0, Depth: 1}
	if err := chain(c.Caller, in, &session); err != nil {
		return nil, err
	}
	credentials, packed, err := s.issue(c, Claims{Kind: authn.RoleSession, Account: role.Account, ID: role.ID, Session: session}, seconds)
	if err != nil {
		return nil, err
	}
	out := &assumeRoleOut{Credentials: credentials, SourceIdentity: session.SourceIdentity, AssumedRoleUser: &assumedRoleUser{
		AssumedRoleId: role.ID + ":" + session.Name,
		Arn:           "arn:aws:sts::" + role.Account + ":assumed-role/" + role.Name + "/" + session.Name}}
	if session.HasPolicy || len(session.Tags) > 0 {
		out.PackedPolicySize = &packed
	}
	return out, nil
}

func roleDuration(c *api.Call, role *record.Role, asked *RoleSeconds) (int, error) {
	if asked == nil {
		return roleDefault, nil
	}
	n := int(*asked)
	if n > role.MaxSession {
		return 0, fault.ValidationError.Errorf("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	if c.Caller.Kind == authn.RoleSession && n > chainedMost {
		return 0, fault.ValidationError.Errorf("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	return n, nil
}

// inherited are the tags that a chained session takes with it.
func inherited(caller *authn.Caller) []record.Tag {
	if caller.Session == nil {
		return nil
	}
	var list []record.Tag
	for _, t := range caller.Session.Tags {
		if slices.Contains(caller.Session.Transitive, t.Key) {
			list = append(list, t)
		}
	}
	return list
}

// chain fills in tags and source identity: what the caller's own session hands
// on cannot be changed.
func chain(caller *authn.Caller, in *assumeRoleIn, session *authn.Session) error {
	list, err := tags(in.Tags)
	if err != nil {
		return err
	}
	kept := inherited(caller)
	for _, t := range kept {
		if slices.ContainsFunc(list, func(n record.Tag) bool { return record.Fold(n.Key) == record.Fold(t.Key) }) {
			return fault.InvalidParameterValue.Errorf("One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
		}
		session.Transitive = append(session.Transitive, t.Key)
	}
	session.Tags = append(kept, list...)
	for _, k := range in.TransitiveTagKeys {
		i := slices.IndexFunc(list, func(t record.Tag) bool { return record.Fold(t.Key) == record.Fold(string(k)) })
		if i < 0 {
			return fault.InvalidParameterValue.Errorf("The specified transitive tag key must be included in the requested tags.")
		}
		session.Transitive = append(session.Transitive, list[i].Key)
	}
	if in.SourceIdentity != nil {
		session.SourceIdentity = string(*in.SourceIdentity)
	}
	if p := caller.Session; p != nil {
		session.Depth = p.Depth + 1
		if p.SourceIdentity != "" {
			if session.SourceIdentity != "" && session.SourceIdentity != p.SourceIdentity {
				return fault.AccessDenied.Errorf("The source identity of the calling session cannot be changed.")
			}
			session.SourceIdentity = p.SourceIdentity
		}
	}
	return nil
}

type getSessionTokenIn struct {
	DurationSeconds *Seconds
	SerialNumber    *SerialNumber
	TokenCode       *TokenCode
}

type getSessionTokenOut struct {
	Credentials *Credentials
}

func (s *room) getSessionToken(c *api.Call, in *getSessionTokenIn) (*getSessionTokenOut, error) {
	if in.SerialNumber != nil || in.TokenCode != nil {
		return nil, fault.AccessDenied.Errorf("MultiFactorAuthentication failed, no MFA device with the given serial number is enabled for the caller.")
	}
	kind, fallback, most := authn.TokenSession, tokenDefault, tokenMost
	if c.Caller.Kind == authn.Root {
		kind, fallback, most = authn.RootSession, rootDefault, rootMost
	}
	seconds, err := durationOf(in.DurationSeconds, fallback, most)
	if err != nil {
		if kind != authn.RootSession {
			return nil, err
		}
		seconds = rootMost // AWS: root's sessions default to one hour and are capped there
	}
	credentials, _, err := s.issue(c, Claims{Kind: kind, Account: c.Account, ID: c.Caller.ID}, seconds)
	if err != nil {
		return nil, err
	}
	return &getSessionTokenOut{credentials}, nil
}

type getFederationTokenIn struct {
	Name            FederatedName `q:"required"`
	Policy          SessionPolicy
	PolicyArns      PolicyARNs
	DurationSeconds *Seconds
	Tags            Tags
}

type federatedUser struct {
	FederatedUserId string
	Arn             string
}

type getFederationTokenOut struct {
	Credentials      *Credentials
	FederatedUser    *federatedUser
	PackedPolicySize *int
}

func (s *room) federationAccess(c *api.Call, in *getFederationTokenIn) ([]api.Access, error) {
	context := map[string][]string{}
	tagContext(in.Tags, nil, context)
	resource := "arn:aws:sts::" + c.Account + ":federated-user/" + string(in.Name)
	list := []api.Access{{Resource: resource, Context: context}}
	if len(in.Tags) > 0 {
		list = append(list, api.Access{Action: "sts:TagSession", Resource: resource, Context: context})
	}
	return list, nil
}

func (s *room) getFederationToken(c *api.Call, in *getFederationTokenIn) (*getFederationTokenOut, error) {
	most := tokenMost
	if c.Caller.Kind == authn.Root {
		most = rootMost
	}
	seconds, err := durationOf(in.DurationSeconds, min(federationDefault, most), most)
	if err != nil && c.Caller.Kind != authn.Root {
		return nil, err
	} else if err != nil {
		seconds = rootMost // AWS: root's sessions default to one hour and are capped there
	}
	arns, err := sessionPolicy(c, c.Account, string(in.Policy), in.PolicyArns)
	if err != nil {
		return nil, err
	}
	list, err := tags(in.Tags)
	if err != nil {
		return nil, err
	}
	// Without a session policy a federated user has no permissions of its own
	// (STS API Reference, GetFederationToken): HasPolicy is always set.
	session := authn.Session{Name: string(in.Name), Policy: string(in.Policy), PolicyARNs: arns, HasPolicy: true, Tags: list}
	credentials, packed, err := s.issue(c, Claims{Kind: authn.Federated, Account: c.Account, ID: c.Caller.ID, Session: session}, seconds)
	if err != nil {
		return nil, err
	}
	return &getFederationTokenOut{Credentials: credentials, PackedPolicySize: &packed, FederatedUser: &federatedUser{
		FederatedUserId: c.Account + ":" + string(in.Name), Arn: "arn:aws:sts::" + c.Account + ":federated-user/" + string(in.Name)}}, nil
}
