package authz

import (
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/arn"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/policy"
)

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

// globalRegion is the Region that a call to a service without Regions is made
// in, wherever it is answered.
const globalRegion = "us-east-1"

// setCaller fills in a request's context: over the principal's own keys what
// the operation or the service says, then what is the session's to say. Names
// are lower case: they need no folding.
func (z *Authorizer) setCaller(c *policy.Context, q *Question, g *gathered) {
	if q.Caller.Kind == authn.Federated {
		c.Reset(nil)
		setFederated(c, q.Caller)
	} else {
		c.Reset(&g.keys)
	}
	said(c, q)
	c.SetOne("aws:userid", q.Caller.UserID)
	if s := q.Caller.Session; s != nil {
		z.setSession(c, s, q.Caller.Kind == authn.Federated, q.Now)
	}
}

// said sets what whoever asks says, and may say.
func said(c *policy.Context, q *Question) {
	for key, values := range q.Context {
		if k := record.Fold(key); maySay(k, q.FromDoor) {
			c.Set(k, values...)
		}
	}
}

// setRequest sets what no caller has to do with: when, where, whose the
// resource is, and by which connection.
func (z *Authorizer) setRequest(c *policy.Context, q *Question, account string, owner *Place) {
	now := z.at(q.Now)
	c.SetOne("aws:currenttime", now.iso)
	c.SetOne("aws:epochtime", now.epoch)
	if withoutRegions(q.Action) {
		c.SetOne("aws:requestedregion", globalRegion)
	} else if q.Region != "" {
		c.SetOne("aws:requestedregion", q.Region)
	}
	if account != "" {
		c.SetOne("aws:resourceaccount", account)
	}
	owner.setKeys(c, "aws:resourceorgid", "aws:resourceorgpaths")
	if q.FromDoor {
		return
	}
	c.SetOne("aws:securetransport", strconv.FormatBool(q.Secure))
	if q.Source != "" {
		c.SetOne("aws:sourceip", q.Source)
	}
	if q.Agent != "" {
		c.SetOne("aws:useragent", q.Agent)
	}
}

// withoutRegions says whether an action is of a service that has one endpoint
// for all Regions (IAM User Guide, aws:RequestedRegion).
func withoutRegions(action string) bool {
	return len(action) > 4 && strings.EqualFold(action[:4], "iam:") || len(action) > 14 && strings.EqualFold(action[:14], "organizations:")
}

// SetPrincipal sets the keys that a user's or role's record says, for
// simulations: nobody asks, so there is neither session nor connection.
func SetPrincipal(c *policy.Context, f *authn.Form) {
	principalKeys(c, f)
	if f.User != nil {
		c.SetOne("aws:userid", f.User.ID)
	}
}

// principalKeys are the keys that a principal's record alone says.
func principalKeys(c *policy.Context, f *authn.Form) {
	c.SetOne("aws:principalisawsservice", "false")
	c.SetOne("aws:viaawsservice", "false") // here, where it costs no request anything
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

// setFederated sets the principal's keys of a GetFederationToken session: it
// is somebody of its own, who has neither the name nor the tags of the user
// that asked.
func setFederated(c *policy.Context, caller *authn.Caller) {
	c.SetOne("aws:principalisawsservice", "false")
	c.SetOne("aws:viaawsservice", "false")
	c.SetOne("aws:principalaccount", caller.Account)
	c.SetOne("aws:principalarn", caller.ARN)
	c.SetOne("aws:principaltype", "FederatedUser")
}

// setSession sets what a session says. MFA has no meaning for federated
// identities: their providers know how they signed in.
func (z *Authorizer) setSession(c *policy.Context, s *authn.Session, federated bool, now time.Time) {
	tagKeys(c, s.Tags) // a session's tag wins over its principal's
	if !s.Issued.IsZero() {
		c.SetOne("aws:tokenissuetime", s.Issued.UTC().Format(time.RFC3339))
	}
	if !federated && s.Provider == "" {
		c.SetOne("aws:multifactorauthpresent", strconv.FormatBool(!s.MFA.IsZero()))
		if !s.MFA.IsZero() {
			c.SetOne("aws:multifactorauthage", strconv.FormatInt(max(0, int64(now.Sub(s.MFA)/time.Second)), 10))
		}
	}
	if s.SourceIdentity != "" {
		c.SetOne("aws:sourceidentity", s.SourceIdentity)
	}
	setProvider(c, s.Provider)
}

// setProvider names an OIDC provider: for SAML there is no such key.
func setProvider(c *policy.Context, provider string) {
	if provider != "" && !strings.Contains(provider, ":saml-provider/") {
		c.SetOne("aws:federatedprovider", provider)
	}
}

// setOutsider sets the keys of who has no credential (IAM User Guide,
// "Principal key values").
func (z *Authorizer) setOutsider(c *policy.Context, r record.Reader, o *Outsider) {
	c.SetOne("aws:viaawsservice", "false")
	switch o.Kind {
	case policy.Anonymous:
		c.SetOne("aws:principaltype", "Anonymous")
		c.SetOne("aws:principalaccount", "anonymous")
		c.SetOne("aws:userid", "anonymous")
	case policy.Federated:
		if len(o.Names) > 0 {
			setProvider(c, o.Names[0])
		}
	case policy.Service:
		c.SetOne("aws:principalisawsservice", "true")
		if len(o.Names) > 0 {
			c.SetOne("aws:principalservicename", o.Names[0])
			c.Set("aws:principalservicenameslist", o.Names...)
		}
		z.setSource(c, r, o.Source)
	}
}

// setSource names the resource for which a service asks, against confused
// deputies.
func (z *Authorizer) setSource(c *policy.Context, r record.Reader, source string) {
	if source == "" {
		return
	}
	c.SetOne("aws:sourcearn", source)
	if a, err := arn.Parse(source); err == nil && a.Account != "" {
		c.SetOne("aws:sourceaccount", a.Account)
		z.placeOf(r, a.Account).setKeys(c, "aws:sourceorgid", "aws:sourceorgpaths")
	}
}

func tagKeys(c *policy.Context, tags []record.Tag) {
	for _, t := range tags {
		c.SetOne("aws:PrincipalTag/"+t.Key, t.Value)
	}
}
