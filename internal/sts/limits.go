package sts

import "github.com/holdfast-iam/holdfast/internal/wire"

// The members' types carry their constraints (STS API Reference).
type (
	// ARN of a role or policy.
	ARN string
	// RoleSessionName and the name of a federated user, a source identity.
	RoleSessionName string
	// FederatedName of GetFederationToken.
	FederatedName string
	// ExternalID of a third party.
	ExternalID string
	// SessionPolicy is an inline session policy.
	SessionPolicy string
	// AccessKeyID of any kind.
	AccessKeyID string
	// EncodedMessage of an authorization failure.
	EncodedMessage string
	// Seconds a session lasts.
	Seconds int
	// RoleSeconds a role's session lasts.
	RoleSeconds int
	// ProvidedContexts are assertions of other providers, which we know none of.
	ProvidedContexts []ProvidedContext
	// ContextAssertion is one of them.
	ContextAssertion string
	// TagKey and TagValue of session tags.
	TagKey   string
	TagValue string
	// SerialNumber and TokenCode of an MFA device.
	SerialNumber string
	TokenCode    string
	// PolicyARNs and Tags are lists with a largest size.
	PolicyARNs []PolicyDescriptor
	// Tags are session tags.
	Tags []Tag
	// TagKeys are keys of transitive tags.
	TagKeys []TagKey
)

// PolicyDescriptor names one managed session policy.
type PolicyDescriptor struct {
	Arn ARN `q:"name=arn"`
}

// ProvidedContext is a context assertion and who made it.
type ProvidedContext struct {
	ProviderArn      ARN
	ContextAssertion ContextAssertion
}

// Tag is one session tag.
type Tag struct {
	Key   TagKey   `q:"required"`
	Value TagValue `q:"required"`
}

var (
	namePattern     = wire.NewPattern(`[\w+=,.@-]*`)
	arnPattern      = wire.NewPattern(`[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+`)
	externalPattern = wire.NewPattern(`[\w+=,.@:\/-]*`)
	policyPattern   = wire.NewPattern(`[\u0009\u000A\u000D\u0020-\u00FF]+`)
	wordPattern     = wire.NewPattern(`[\w]*`)
	tagKeyPattern   = wire.NewPattern(`[\p{L}\p{Z}\p{N}_.:/=+\-@]+`)
	tagPattern      = wire.NewPattern(`[\p{L}\p{Z}\p{N}_.:/=+\-@]*`)
	serialPattern   = wire.NewPattern(`[\w+=/:,.@-]*`)
	codePattern     = wire.NewPattern(`[\d]*`)
)

// Limits of the types.
func (ARN) Limits() wire.Limit             { return wire.Limit{Min: 20, Max: 2048, Pattern: arnPattern} }
func (RoleSessionName) Limits() wire.Limit { return wire.Limit{Min: 2, Max: 64, Pattern: namePattern} }
func (FederatedName) Limits() wire.Limit   { return wire.Limit{Min: 2, Max: 32, Pattern: namePattern} }
func (ExternalID) Limits() wire.Limit {
	return wire.Limit{Min: 2, Max: 1224, Pattern: externalPattern}
}
func (SessionPolicy) Limits() wire.Limit {
	return wire.Limit{Min: 1, Max: 2048, Pattern: policyPattern}
}
func (AccessKeyID) Limits() wire.Limit      { return wire.Limit{Min: 16, Max: 128, Pattern: wordPattern} }
func (EncodedMessage) Limits() wire.Limit   { return wire.Limit{Min: 1, Max: 10240} }
func (Seconds) Limits() wire.Limit          { return wire.Limit{Min: 900, Max: 129600} }
func (RoleSeconds) Limits() wire.Limit      { return wire.Limit{Min: 900, Max: 43200} }
func (ProvidedContexts) Limits() wire.Limit { return wire.Limit{Min: 1, Max: 5} }
func (ContextAssertion) Limits() wire.Limit { return wire.Limit{Min: 4, Max: 2048} }
func (TagKey) Limits() wire.Limit           { return wire.Limit{Min: 1, Max: 128, Pattern: tagKeyPattern} }
func (TagValue) Limits() wire.Limit         { return wire.Limit{Max: 256, Pattern: tagPattern} }
func (SerialNumber) Limits() wire.Limit     { return wire.Limit{Min: 9, Max: 256, Pattern: serialPattern} }
func (TokenCode) Limits() wire.Limit        { return wire.Limit{Min: 6, Max: 6, Pattern: codePattern} }
func (PolicyARNs) Limits() wire.Limit       { return wire.Limit{Max: 10} }
func (Tags) Limits() wire.Limit             { return wire.Limit{Max: 50} }
func (TagKeys) Limits() wire.Limit          { return wire.Limit{Max: 50} }
