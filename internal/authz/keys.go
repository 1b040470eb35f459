package authz

import (
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/policy"
)

// Reserved says whether a condition key is set here alone: every global key
// (aws:), and what says how the caller came to its session.
func Reserved(key string) bool {
	k := record.Fold(key)
	for _, prefix := range []string{"aws:", "sts:", "iam:", "saml:", "holdfast:"} {
		if strings.HasPrefix(k, prefix) {
			return true
		}
	}
	return false
}

// NetworkKeys are the condition keys, folded, about a connection that whoever
// asks may say: it saw the client, we did not.
var NetworkKeys = []string{"aws:sourceip", "aws:useragent", "aws:securetransport", "aws:referer",
	"aws:vpcsourceip", "aws:sourcevpc", "aws:sourcevpce"}

// setKeys fills in the request's context: first what the operation says, then,
// over it, what is ours to say (IAM User Guide, "AWS global condition context
// keys").
func setKeys(r record.Reader, c *policy.Context, q *Question) {
	for key, values := range q.Context {
		c.Set(key, values...)
	}
	principalKeys(r, c, q.Caller)
	now := q.Now.UTC()
	c.Set("aws:CurrentTime", now.Format(time.RFC3339))
	c.Set("aws:EpochTime", strconv.FormatInt(now.Unix(), 10))
	if q.Region != "" {
		c.Set("aws:RequestedRegion", q.Region)
	}
	if q.Account != "" {
		c.Set("aws:ResourceAccount", q.Account)
	}
	if q.FromDoor {
		return
	}
	c.Set("aws:SecureTransport", strconv.FormatBool(q.Secure))
	c.Set("aws:ViaAWSService", "false")
	if q.Source != "" {
		c.Set("aws:SourceIp", q.Source)
	}
	if q.Agent != "" {
		c.Set("aws:UserAgent", q.Agent)
	}
}

func principalKeys(r record.Reader, c *policy.Context, caller *authn.Caller) {
	c.Set("aws:PrincipalAccount", caller.Account)
	c.Set("aws:PrincipalIsAWSService", "false")
	c.Set("aws:userid", caller.UserID)
	c.Set("aws:PrincipalArn", caller.ARN)
	switch caller.Kind {
	case authn.Root, authn.RootSession:
		c.Set("aws:PrincipalType", "Account")
	case authn.User, authn.TokenSession:
		c.Set("aws:PrincipalType", "User")
		if u, err := record.Users.Open(caller.Principal); err == nil {
			c.Set("aws:username", u.Name)
			tagKeys(c, u.Tags)
		}
	case authn.RoleSession:
		c.Set("aws:PrincipalType", "AssumedRole")
		if role, err := record.Roles.Open(caller.Principal); err == nil {
			c.Set("aws:PrincipalArn", "arn:aws:iam::"+role.Account+":role"+role.Path+role.Name)
			tagKeys(c, role.Tags)
		}
	case authn.Federated:
		c.Set("aws:PrincipalType", "FederatedUser")
	}
	if s := caller.Session; s != nil {
		sessionKeys(c, s)
	}
}

func sessionKeys(c *policy.Context, s *authn.Session) {
	tagKeys(c, s.Tags) // a session's tag wins over its principal's
	if !s.Issued.IsZero() {
		c.Set("aws:TokenIssueTime", s.Issued.UTC().Format(time.RFC3339))
	}
	c.Set("aws:MultiFactorAuthPresent", strconv.FormatBool(!s.MFA.IsZero()))
	if s.SourceIdentity != "" {
		c.Set("aws:SourceIdentity", s.SourceIdentity)
	}
	if s.Provider != "" {
		c.Set("aws:FederatedProvider", s.Provider)
	}
}

func tagKeys(c *policy.Context, tags []record.Tag) {
	for _, t := range tags {
		c.Set("aws:PrincipalTag/"+t.Key, t.Value)
	}
}
