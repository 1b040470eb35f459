package authz

import (
	"strings"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/policy"
)

// gathered is what a principal's record and those that it names come to: its
// policies and the condition keys that say who it is. It is kept at the
// principal's form and good as long as every record that it rests on is still
// the same.
type gathered struct {
	ok       bool // false: a policy cannot be read, and the caller is denied
	rests    []rest
	identity []policy.Named
	boundary policy.Restriction
	keys     policy.Context
}

// rest is one other record that was read.
type rest struct {
	key   record.Key
	entry *record.Entry // nil: there was none
}

// current says whether all that was read is still the same.
func (g *gathered) current(r record.Reader) bool {
	for i := range g.rests {
		if e, _ := r.Entry(g.rests[i].key); e != g.rests[i].entry {
			return false
		}
	}
	return true
}

// gather returns what a caller's principal comes to in a state.
func (z *Authorizer) gather(r record.Reader, c *authn.Caller) *gathered {
	if kept := c.Form.Derived.Load(); kept != nil {
		if g := (*kept).(*gathered); g.current(r) {
			return g
		}
	}
	g := &gathered{ok: c.Form.Err == nil, boundary: policy.None}
	b := gathering{z: z, r: r, g: g}
	switch {
	case c.Form.User != nil:
		b.user(c.Form.User)
	case c.Form.Role != nil:
		b.role(c.Form.Role)
	}
	principalKeys(&g.keys, c.Form)
	var kept any = g
	c.Form.Derived.Store(&kept)
	return g
}

// gathering reads the records that a principal's names.
type gathering struct {
	z *Authorizer
	r record.Reader
	g *gathered
}

// entry reads another record and remembers that it did.
func (b *gathering) entry(key record.Key) *record.Entry {
	e, _ := b.r.Entry(key)
	b.g.rests = append(b.g.rests, rest{key, e})
	if e == nil {
		b.g.ok = false
	}
	return e
}

func (b *gathering) user(u *record.User) {
	b.inline(u.Inline)
	b.attached(u.Attached)
	for _, id := range u.Groups {
		e := b.entry(record.MakeKey(record.Groups.Name, u.Account, id))
		if e == nil {
			return
		}
		group, err := record.Groups.Open(e)
		if err != nil {
			b.g.ok = false
			return
		}
		b.inline(group.Inline)
		b.attached(group.Attached)
	}
	b.bound(u.Boundary)
}

func (b *gathering) role(role *record.Role) {
	b.inline(role.Inline)
	b.attached(role.Attached)
	b.bound(role.Boundary)
}

func (b *gathering) inline(list []record.Inline) {
	for _, x := range list {
		b.g.identity = append(b.g.identity, policy.Named{Name: x.Name, Policy: b.z.Compiled(x.Document)})
	}
}

func (b *gathering) attached(list []record.PolicyRef) {
	for _, ref := range list {
		if n, ok := b.managed(ref); ok {
			b.g.identity = append(b.g.identity, n)
		}
	}
}

func (b *gathering) managed(ref record.PolicyRef) (policy.Named, bool) {
	account, id := ref.Resolve()
	e := b.entry(record.MakeKey(record.Policies.Name, account, id))
	if e == nil {
		return policy.Named{}, false
	}
	m, err := record.Policies.Open(e)
	if err != nil {
		b.g.ok = false
		return policy.Named{}, false
	}
	return policy.Named{Name: m.Name, Policy: b.z.Compiled(m.Document())}, true
}

func (b *gathering) bound(ref record.PolicyRef) {
	if ref == "" {
		return
	}
	n, _ := b.managed(ref) // unreadable: nothing is allowed
	b.g.boundary = policy.Restrict([]policy.Named{n})
}

// policies are all that take part in a question but for the organization's. ok
// is false when one of them cannot be read: the caller is denied.
func (z *Authorizer) policies(r record.Reader, q *Question, g *gathered, p *policy.Policies) (ok bool) {
	c, ok := q.Caller, g.ok
	*p = policy.Policies{Identity: g.identity, Boundary: g.boundary, Endpoint: policy.None, Session: policy.None}
	if c.Session != nil && c.Session.HasPolicy {
		var readable bool
		p.Session, readable = z.session(r, c.Session)
		ok = ok && readable
	}
	z.ofResource(q, p)
	return ok
}

// ofResource adds what is attached to the resource.
func (z *Authorizer) ofResource(q *Question, p *policy.Policies) {
	if q.Trust != "" {
		p.Resource = []policy.Named{{Name: "trust policy", Policy: z.Compiled(q.Trust)}}
		p.RequiresResource = true
	}
	if q.ResourcePolicy != nil {
		p.Resource = append(p.Resource, policy.Named{Name: "resource policy", Policy: q.ResourcePolicy})
	}
}

// session is the intersection's other side: what the session policies allow,
// all together. Without a document it allows nothing.
func (z *Authorizer) session(r record.Reader, s *authn.Session) (policy.Restriction, bool) {
	var list []policy.Named
	if s.Policy != "" {
		list = append(list, policy.Named{Name: "session policy", Policy: z.Compiled(s.Policy)})
	}
	ok := true
	for _, text := range s.PolicyARNs {
		parts := strings.SplitN(text, ":", 6)
		if len(parts) != 6 {
			ok = false
			continue
		}
		name := parts[5][strings.LastIndexByte(parts[5], '/')+1:]
		m, err := record.Find(r, record.Policies, record.PolicyByName, record.NameTerm(parts[4], name))
		if err != nil {
			ok = false
			continue
		}
		list = append(list, policy.Named{Name: m.Name, Policy: z.Compiled(m.Document())})
	}
	return policy.Restrict(list), ok
}
