package iam

import (
	"strconv"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/wire"
)

// The members' types carry their constraints (IAM API Reference).
type (
	// UserName and its like name entities.
	UserName string
	// NewUserName is a user's name where it is set.
	NewUserName string
	// GroupName of a group.
	GroupName string
	// RoleName of a role or instance profile.
	RoleName string
	// ProfileName of an instance profile.
	ProfileName string
	// PolicyName of any policy.
	PolicyName string
	// Path and PathPrefix begin and end with a slash.
	Path       string
	PathPrefix string
	// PolicyText is a policy document.
	PolicyText string
	// ARN of a policy or principal.
	ARN string
	// KeyID of an access key.
	KeyID string
	// Status of a key or credential.
	Status string
	// TagKey and TagValue of tags.
	TagKey   string
	TagValue string
	// Tags and TagKeys have a largest size.
	Tags    []Tag
	TagKeys []TagKey
	// Marker and MaxItems page a list.
	Marker   string
	MaxItems int
	// Description of a role or policy.
	Description string
	// SessionSeconds a role's sessions may last.
	SessionSeconds int
	// VersionID of a managed policy.
	VersionID string
	// Alias of an account.
	Alias string
	// TokenVersion of SetSecurityTokenServicePreferences.
	TokenVersion string
	// Scope of ListPolicies.
	Scope string
	// PolicyUsage says how a policy is used.
	PolicyUsage string
	// PolicyPath and RoleDescription are like their kin, with patterns of their own.
	PolicyPath      string
	RoleDescription string
	// AssignmentStatus of a virtual MFA device.
	AssignmentStatus string
)

var (
	namePattern       = wire.NewPattern(`[\w+=,.@-]+`)
	pathPattern       = wire.NewPatternAs(`(\u002F)|(\u002F[\u0021-\u007E]+\u002F)`, `(/)|(/[\x21-\x7E]+/)`)
	prefixPattern     = wire.NewPatternAs(`\u002F[\u0021-\u007F]*`, `/[\x21-\x7F]*`)
	textPattern       = wire.NewPattern(`[\u0009\u000A\u000D\u0020-\u00FF]+`)
	keyPattern        = wire.NewPattern(`[\w]+`)
	tagKeyPattern     = wire.NewPattern(`[\p{L}\p{Z}\p{N}_.:/=+\-@]+`)
	tagPattern        = wire.NewPattern(`[\p{L}\p{Z}\p{N}_.:/=+\-@]*`)
	policyPathPattern = wire.NewPattern(`((/[A-Za-z0-9\.,\+@=_-]+)*)/`)
	roleTextPattern   = wire.NewPattern(`[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*`)
	aliasPattern      = wire.NewPatternAs(`^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$`, `[a-z0-9](-?[a-z0-9])+`)
	markerPattern     = wire.NewPattern(`[\u0020-\u00FF]+`)
)

// Limits of the types.
func (UserName) Limits() wire.Limit    { return wire.Limit{Min: 1, Max: 128, Pattern: namePattern} }
func (NewUserName) Limits() wire.Limit { return wire.Limit{Min: 1, Max: 64, Pattern: namePattern} }
func (GroupName) Limits() wire.Limit   { return wire.Limit{Min: 1, Max: 128, Pattern: namePattern} }
func (RoleName) Limits() wire.Limit    { return wire.Limit{Min: 1, Max: 64, Pattern: namePattern} }
func (ProfileName) Limits() wire.Limit { return wire.Limit{Min: 1, Max: 128, Pattern: namePattern} }
func (PolicyName) Limits() wire.Limit  { return wire.Limit{Min: 1, Max: 128, Pattern: namePattern} }
func (Path) Limits() wire.Limit        { return wire.Limit{Min: 1, Max: 512, Pattern: pathPattern} }
func (PathPrefix) Limits() wire.Limit  { return wire.Limit{Min: 1, Max: 512, Pattern: prefixPattern} }
func (PolicyText) Limits() wire.Limit  { return wire.Limit{Min: 1, Max: 131072, Pattern: textPattern} }
func (ARN) Limits() wire.Limit         { return wire.Limit{Min: 20, Max: 2048} }
func (KeyID) Limits() wire.Limit       { return wire.Limit{Min: 16, Max: 128, Pattern: keyPattern} }
func (Status) Limits() wire.Limit      { return wire.Limit{Enum: []string{"Active", "Inactive", "Expired"}} }
func (TagKey) Limits() wire.Limit      { return wire.Limit{Min: 1, Max: 128, Pattern: tagKeyPattern} }
func (TagValue) Limits() wire.Limit    { return wire.Limit{Max: 256, Pattern: tagPattern} }
func (Tags) Limits() wire.Limit        { return wire.Limit{Max: 50} }
func (TagKeys) Limits() wire.Limit     { return wire.Limit{Max: 50} }
func (Marker) Limits() wire.Limit      { return wire.Limit{Min: 1, Max: 320, Pattern: markerPattern} }
func (MaxItems) Limits() wire.Limit    { return wire.Limit{Min: 1, Max: 1000} }
func (Description) Limits() wire.Limit { return wire.Limit{Max: 1000} }
func (SessionSeconds) Limits() wire.Limit {
	return wire.Limit{Min: 3600, Max: 43200}
}
func (VersionID) Limits() wire.Limit {
	return wire.Limit{Pattern: wire.NewPattern(`v[1-9][0-9]*(\.[A-Za-z0-9-]*)?`)}
}
func (TokenVersion) Limits() wire.Limit { return wire.Limit{Enum: []string{"v1Token", "v2Token"}} }
func (Scope) Limits() wire.Limit        { return wire.Limit{Enum: []string{"All", "AWS", "Local"}} }
func (Alias) Limits() wire.Limit        { return wire.Limit{Min: 3, Max: 63, Pattern: aliasPattern} }
func (PolicyUsage) Limits() wire.Limit {
	return wire.Limit{Enum: []string{"PermissionsPolicy", "PermissionsBoundary"}}
}
func (PolicyPath) Limits() wire.Limit {
	return wire.Limit{Min: 1, Max: 512, Pattern: policyPathPattern}
}
func (RoleDescription) Limits() wire.Limit { return wire.Limit{Max: 1000, Pattern: roleTextPattern} }
func (AssignmentStatus) Limits() wire.Limit {
	return wire.Limit{Enum: []string{"Assigned", "Unassigned", "Any"}}
}

// Quotas ("IAM and AWS STS quotas").
const (
	maxKeys          = 2
	maxGroups        = 10
	maxAttached      = 10
	maxVersions      = 5
	maxUserInline    = 2048
	maxGroupInline   = 5120
	maxRoleInline    = 10240
	maxManaged       = 6144
	maxTrust         = 2048
	defaultRoleLimit = 3600
)

// openMarker opens where a page starts. A marker of another caller, operation
// or account, and one that was made by hand, is refused.
func openMarker(c *api.Call, m Marker) (string, error) {
	text, err := c.OpenMarker(string(m))
	if err != nil {
		return "", fault.ValidationError.Errorf("Invalid Marker.")
	}
	return text, nil
}

// markerNumber is openMarker where the page starts at a place in a list.
func markerNumber(c *api.Call, m Marker, most int) (int, error) {
	if m == "" {
		return 0, nil
	}
	text, err := openMarker(c, m)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fault.ValidationError.Errorf("Invalid Marker.")
	}
	return min(n, most), nil // the list may have become shorter
}

// next is the output of a page that is not the last.
func next(c *api.Call, text string) (paged, error) {
	m, err := c.SealMarker(text)
	return paged{true, m}, err
}

func itoa(n int) string { return strconv.Itoa(n) }
