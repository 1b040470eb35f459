package authz

import (
	"sync"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/policy"
)

// Place is an account's place in its organization, as decisions need it. It
// does not change once it was given.
type Place struct {
	Organization string // o-…
	Path         string // o-…/r-…/ou-…/, as aws:PrincipalOrgPaths has it
	// Management says that the account is the organization's management
	// account, whose principals and resources no policy of it restricts.
	Management bool
	// Levels are the root, the organizational units and the account itself,
	// in this order. Without any, everything is denied.
	Levels []Level

	once  sync.Once
	paths []string
	scp   policy.Restriction
	rcp   policy.Restriction
}

// Level is what is attached to one of them. Each must allow, so one without a
// policy denies; where a type of policy is not enabled, that is the policy
// which allows everything, as Organizations attaches it.
type Level struct {
	ServiceControl  []record.Inline
	ResourceControl []record.Inline
}

// placeOf finds an account's place; nil: it is in no organization.
func (z *Authorizer) placeOf(r record.Reader, account string) *Place {
	if z.Organization == nil || account == "" {
		return nil
	}
	p := z.Organization(r, account)
	if p != nil {
		p.once.Do(func() { z.compilePlace(p) })
	}
	return p
}

func (z *Authorizer) compilePlace(p *Place) {
	p.paths, p.scp, p.rcp = []string{p.Path}, policy.None, policy.None
	if p.Management {
		return
	}
	scp, rcp := make([][]policy.Named, len(p.Levels)), make([][]policy.Named, len(p.Levels))
	for i, level := range p.Levels {
		scp[i], rcp[i] = z.named(level.ServiceControl), z.named(level.ResourceControl)
	}
	p.scp, p.rcp = policy.Restrict(scp...), policy.Restrict(rcp...)
}

func (z *Authorizer) named(list []record.Inline) []policy.Named {
	var out []policy.Named
	for _, x := range list {
		out = append(out, policy.Named{Name: x.Name, Policy: z.Compiled(x.Document)})
	}
	return out
}

// serviceControl is what the organization lets the account's principals do.
func (p *Place) serviceControl() policy.Restriction {
	if p == nil {
		return policy.None
	}
	return p.scp
}

// resourceControl is what it lets anybody do with the account's resources.
func (p *Place) resourceControl() policy.Restriction {
	if p == nil {
		return policy.None
	}
	return p.rcp
}

// ServiceControl is what an account's organization lets its principals do, for
// simulations; in says whether it is in one.
func (z *Authorizer) ServiceControl(r record.Reader, account string) (scp policy.Restriction, in bool) {
	p := z.placeOf(r, account)
	return p.serviceControl(), p != nil
}

// setKeys sets the two keys of an account's place.
func (p *Place) setKeys(c *policy.Context, id, paths string) {
	if p == nil {
		return
	}
	c.SetOne(id, p.Organization)
	c.Set(paths, p.paths...)
}
