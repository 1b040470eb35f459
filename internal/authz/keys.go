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

// clock is a time as condition keys show it: made once a second.
type clock struct {
	unix  int64
	iso   string
	epoch string
}

func (z *Authorizer) at(now time.Time) *clock {
	if c := z.clock.Load(); c != nil && c.unix == now.Unix() {
		return c
	}
	c := &clock{now.Unix(), now.UTC().Format(time.RFC3339), strconv.FormatInt(now.Unix(), 10)}
	z.clock.Store(c)
	return c
}

// setKeys fills in the request's context: over the principal's own keys what
// the operation says, then, over that, what is ours to say (IAM User Guide,
// "AWS global condition context keys"). Keys of the principal that an
// operation says are set again. Names are lower case: they need no folding.
func (z *Authorizer) setKeys(c *policy.Context, q *Question, g *gathered) {
	base := &g.keys
	if q.Caller.Kind == authn.Federated {
		base = federatedKeys(q.Caller)
	}
	c.Reset(base)
	for key, values := range q.Context {
		if !principalKey(key) {
			c.Set(key, values...)
		}
	}
	c.SetOne("aws:userid", q.Caller.UserID)
	if q.Caller.Session != nil {
		sessionKeys(c, q.Caller.Session)
	}
	now := z.at(q.Now)
	c.SetOne("aws:currenttime", now.iso)
	c.SetOne("aws:epochtime", now.epoch)
	if q.Region != "" {
		c.SetOne("aws:requestedregion", q.Region)
	}
	if q.Account != "" {
		c.SetOne("aws:resourceaccount", q.Account)
	}
	if q.FromDoor {
		return
	}
	c.SetOne("aws:securetransport", strconv.FormatBool(q.Secure))
	c.SetOne("aws:viaawsservice", "false")
	if q.Source != "" {
		c.SetOne("aws:sourceip", q.Source)
	}
	if q.Agent != "" {
		c.SetOne("aws:useragent", q.Agent)
	}
}

// principalKey says whether a key is the principal's, which no operation says.
func principalKey(key string) bool {
	k := record.Fold(key)
	return strings.HasPrefix(k, "aws:principal") || k == "aws:username" || k == "aws:userid"
}

// principalKeys are the keys that a principal's record alone says.
func principalKeys(c *policy.Context, f *authn.Form) {
	c.SetOne("aws:principalisawsservice", "false")
	c.SetOne("aws:principalarn", f.ARN)
	switch {
	case f.User != nil:
		c.SetOne("aws:principalaccount", f.User.Account)
		c.SetOne("aws:principaltype", "User")
		c.SetOne("aws:username", f.User.Name)
		tagKeys(c, f.User.Tags)
	case f.Role != nil:
		c.SetOne("aws:principalaccount", f.Role.Account)
		c.SetOne("aws:principaltype", "AssumedRole")
		tagKeys(c, f.Role.Tags)
	case f.Account != nil:
		c.SetOne("aws:principalaccount", f.Account.ID)
		c.SetOne("aws:principaltype", "Account")
	}
}

// federatedKeys are those of a GetFederationToken session: it is somebody of
// its own, who has neither the name nor the tags of the user that asked.
func federatedKeys(caller *authn.Caller) *policy.Context {
	c := &policy.Context{}
	c.SetOne("aws:principalisawsservice", "false")
	c.SetOne("aws:principalaccount", caller.Account)
	c.SetOne("aws:principalarn", caller.ARN)
	c.SetOne("aws:principaltype", "FederatedUser")
	return c
}

func sessionKeys(c *policy.Context, s *authn.Session) {
	tagKeys(c, s.Tags) // a session's tag wins over its principal's
	if !s.Issued.IsZero() {
		c.SetOne("aws:tokenissuetime", s.Issued.UTC().Format(time.RFC3339))
	}
	c.SetOne("aws:multifactorauthpresent", strconv.FormatBool(!s.MFA.IsZero()))
	if s.SourceIdentity != "" {
		c.SetOne("aws:sourceidentity", s.SourceIdentity)
	}
	if s.Provider != "" {
		c.SetOne("aws:federatedprovider", s.Provider)
	}
}

func tagKeys(c *policy.Context, tags []record.Tag) {
	for _, t := range tags {
		c.SetOne("aws:PrincipalTag/"+t.Key, t.Value)
	}
}
