package authz

import (
	"strings"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/policy"
)

// gathering collects the policies that take part. ok turns false when one of
// them cannot be read: the caller is denied.
type gathering struct {
	z  *Authorizer
	r  record.Reader
	ok bool
}

func (g *gathering) policies(q *Question) policy.Policies {
	c := q.Caller
	p := policy.Policies{Endpoint: policy.None, Boundary: policy.None, Session: policy.None,
		ServiceControl: policy.NoLevels, ResourceControl: policy.NoLevels}
	switch c.Kind {
	case authn.Root, authn.RootSession:
	case authn.RoleSession:
		g.role(&p, c.Principal)
	case authn.Federated:
		if c.ID != c.Account { // asked for by a user, not by root
			g.user(&p, c.Principal)
		}
	default:
		g.user(&p, c.Principal)
	}
	if c.Session != nil && c.Session.HasPolicy {
		p.Session = g.session(c.Session)
	}
	if q.Trust != "" {
		p.Resource = []policy.Named{{Name: "trust policy", Policy: g.z.Compiled(q.Trust)}}
		p.RequiresResource = true
	}
	if q.ResourcePolicy != nil {
		p.Resource = append(p.Resource, policy.Named{Name: "resource policy", Policy: q.ResourcePolicy})
	}
	return p
}

// UserPolicies gathers what a user's own record, its groups and its boundary
// say; RolePolicies the same of a role. For simulation.
func (z *Authorizer) UserPolicies(r record.Reader, e *record.Entry) (policy.Policies, bool) {
	g := gathering{z: z, r: r, ok: true}
	p := policy.Policies{Endpoint: policy.None, Boundary: policy.None, Session: policy.None,
		ServiceControl: policy.NoLevels, ResourceControl: policy.NoLevels}
	if e.Key.Kind() == record.Roles.Name {
		g.role(&p, e)
	} else {
		g.user(&p, e)
	}
	return p, g.ok
}

func (g *gathering) user(p *policy.Policies, e *record.Entry) {
	u, err := record.Users.Open(e)
	if err != nil {
		g.ok = false
		return
	}
	g.inline(p, u.Inline)
	g.attached(p, u.Attached)
	for _, id := range u.Groups {
		group, err := record.Get(g.r, record.Groups, u.Account, id)
		if err != nil {
			g.ok = false
			return
		}
		g.inline(p, group.Inline)
		g.attached(p, group.Attached)
	}
	g.boundary(p, u.Boundary)
}

func (g *gathering) role(p *policy.Policies, e *record.Entry) {
	role, err := record.Roles.Open(e)
	if err != nil {
		g.ok = false
		return
	}
	g.inline(p, role.Inline)
	g.attached(p, role.Attached)
	g.boundary(p, role.Boundary)
}

func (g *gathering) inline(p *policy.Policies, list []record.Inline) {
	for _, x := range list {
		p.Identity = append(p.Identity, policy.Named{Name: x.Name, Policy: g.z.Compiled(x.Document)})
	}
}

func (g *gathering) attached(p *policy.Policies, list []record.PolicyRef) {
	for _, ref := range list {
		if n, ok := g.managed(ref); ok {
			p.Identity = append(p.Identity, n)
		}
	}
}

func (g *gathering) managed(ref record.PolicyRef) (policy.Named, bool) {
	account, id := ref.Resolve()
	m, err := record.Get(g.r, record.Policies, account, id)
	if err != nil {
		g.ok = false
		return policy.Named{}, false
	}
	return policy.Named{Name: m.Name, Policy: g.z.Compiled(m.Document())}, true
}

func (g *gathering) boundary(p *policy.Policies, ref record.PolicyRef) {
	if ref == "" {
		return
	}
	n, _ := g.managed(ref)
	p.Boundary = policy.Restrict(n)
}

// session is the intersection's other side: what the session policies allow,
// all together. Without a document it allows nothing.
func (g *gathering) session(s *authn.Session) policy.Restriction {
	var list []policy.Named
	if s.Policy != "" {
		list = append(list, policy.Named{Name: "session policy", Policy: g.z.Compiled(s.Policy)})
	}
	for _, text := range s.PolicyARNs {
		parts := strings.SplitN(text, ":", 6)
		if len(parts) != 6 {
			g.ok = false
			continue
		}
		name := parts[5][strings.LastIndexByte(parts[5], '/')+1:]
		m, err := record.Find(g.r, record.Policies, record.PolicyByName, record.NameTerm(parts[4], name))
		if err != nil {
			g.ok = false
			continue
		}
		list = append(list, policy.Named{Name: m.Name, Policy: g.z.Compiled(m.Document())})
	}
	return policy.Restrict(list...)
}
