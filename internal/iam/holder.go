package iam

import (
	"slices"
	"strings"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/policy"
)

// bearer is a user, group or role as far as policies go: the families of
// operations on inline and attached policies are written once over it.
type bearer struct {
	name     string
	arn      string
	inline   *[]record.Inline
	attached *[]record.PolicyRef
	tags     []record.Tag
	limit    int // of inline policies together
	quota    string
	save     func(*api.Call) error
}

func userBearer(c *api.Call, name string) (*bearer, error) {
	u, err := findUser(c, name)
	if err != nil {
		return nil, err
	}
	return &bearer{u.Name, userARN(u), &u.Inline, &u.Attached, u.Tags, maxUserInline, "user",
		func(c *api.Call) error { return record.Put(c.Tx, record.Users, u) }}, nil
}

func groupBearer(c *api.Call, name string) (*bearer, error) {
	g, err := findGroup(c, name)
	if err != nil {
		return nil, err
	}
	return &bearer{g.Name, groupARN(g), &g.Inline, &g.Attached, nil, maxGroupInline, "group",
		func(c *api.Call) error { return record.Put(c.Tx, record.Groups, g) }}, nil
}

func roleBearer(c *api.Call, name string) (*bearer, error) {
	r, err := findRole(c, name)
	if err != nil {
		return nil, err
	}
	return &bearer{r.Name, roleARN(r), &r.Inline, &r.Attached, r.Tags, maxRoleInline, "role",
		func(c *api.Call) error { return record.Put(c.Tx, record.Roles, r) }}, nil
}

// put adds or replaces an inline policy.
func (b *bearer) put(c *api.Call, name, text string) (*api.Nothing, error) {
	if err := document(text, policy.Identity); err != nil {
		return nil, err
	}
	i := b.find(name)
	if i < 0 {
		*b.inline = append(*b.inline, record.Inline{Name: name, Document: text})
	} else {
		(*b.inline)[i].Document = text
	}
	var texts []string
	for _, p := range *b.inline {
		texts = append(texts, p.Document)
	}
	if !sized(b.limit, texts...) {
		return nil, fault.LimitExceeded.Errorf("Maximum policy size of %d bytes exceeded for %s %s", b.limit, b.quota, b.name)
	}
	slices.SortFunc(*b.inline, func(x, y record.Inline) int {
		if x.Name < y.Name {
			return -1
		}
		return 1
	})
	return &api.Nothing{}, b.save(c)
}

func (b *bearer) find(name string) int {
	return slices.IndexFunc(*b.inline, func(p record.Inline) bool { return record.Fold(p.Name) == record.Fold(name) })
}

func (b *bearer) get(name string) (*record.Inline, error) {
	i := b.find(name)
	if i < 0 {
		return nil, fault.NoSuchEntity.Errorf("The %s policy with name %s cannot be found.", b.quota, name)
	}
	return &(*b.inline)[i], nil
}

func (b *bearer) remove(c *api.Call, name string) (*api.Nothing, error) {
	i := b.find(name)
	if i < 0 {
		return nil, fault.NoSuchEntity.Errorf("The %s policy with name %s cannot be found.", b.quota, name)
	}
	*b.inline = slices.Delete(*b.inline, i, i+1)
	return &api.Nothing{}, b.save(c)
}

func (b *bearer) attach(c *api.Call, text string) (*api.Nothing, error) {
	p, err := findPolicy(c, text)
	if err != nil {
		return nil, err
	}
	if slices.Contains(*b.attached, p.Ref()) {
		return &api.Nothing{}, nil
	}
	if len(*b.attached) >= maxAttached {
		return nil, fault.LimitExceeded.Errorf("Cannot exceed quota for PoliciesPer%s: %d", b.quota, maxAttached)
	}
	*b.attached = append(*b.attached, p.Ref())
	return &api.Nothing{}, b.save(c)
}

func (b *bearer) detach(c *api.Call, text string) (*api.Nothing, error) {
	p, err := findPolicy(c, text)
	if err != nil {
		return nil, err
	}
	i := slices.Index(*b.attached, p.Ref())
	if i < 0 {
		return nil, fault.NoSuchEntity.Errorf("Policy %s was not found.", text)
	}
	*b.attached = slices.Delete(*b.attached, i, i+1)
	return &api.Nothing{}, b.save(c)
}

// attachedPolicy is an attachment on the wire.
type attachedPolicy struct {
	PolicyName string
	PolicyArn  string
}

type attachedOut struct {
	AttachedPolicies []attachedPolicy
	paged
}

func (b *bearer) list(c *api.Call, prefix PolicyPath, p page) (*attachedOut, error) {
	all, err := attachedTo(c, *b.attached, string(prefix))
	if err != nil {
		return nil, err
	}
	list, next, err := slice(c, all, p)
	return &attachedOut{AttachedPolicies: list, paged: next}, err
}

// attachedTo is what is attached, as far as its path begins with prefix.
func attachedTo(c *api.Call, refs []record.PolicyRef, prefix string) ([]attachedPolicy, error) {
	list := []attachedPolicy{}
	for _, ref := range refs {
		m, err := policyAt(c, ref)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(m.Path, prefix) {
			list = append(list, attachedPolicy{m.Name, policyARN(m)})
		}
	}
	return list, nil
}

type namesOut struct {
	PolicyNames []string
	paged
}

func (b *bearer) names(c *api.Call, p page) (*namesOut, error) {
	list, next, err := slice(c, *b.inline, p)
	if err != nil {
		return nil, err
	}
	out := &namesOut{PolicyNames: []string{}, paged: next}
	for _, i := range list {
		out.PolicyNames = append(out.PolicyNames, i.Name)
	}
	return out, nil
}
