package iam

import (
	"strings"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/record"
)

func entityOps() []api.Op {
	return []api.Op{read("ListEntitiesForPolicy", thePolicy[entitiesIn], listEntitiesForPolicy)}
}

// EntityType filters what a list is about.
type EntityType string

type entitiesIn struct {
	PolicyArn         ARN `q:"required"`
	EntityFilter      EntityType
	PathPrefix        Path
	PolicyUsageFilter PolicyUsage
	page
}

func (in *entitiesIn) policyARN() string { return string(in.PolicyArn) }

type policyUser struct {
	UserName string
	UserId   string
}

type policyGroup struct {
	GroupName string
	GroupId   string
}

type policyRole struct {
	RoleName string
	RoleId   string
}

type entitiesOut struct {
	PolicyGroups []policyGroup
	PolicyUsers  []policyUser
	PolicyRoles  []policyRole
	paged
}

// entity is one holder of a policy.
type entity struct {
	kind           EntityType
	name, id, path string
}

func listEntitiesForPolicy(c *api.Call, in *entitiesIn) (*entitiesOut, error) {
	p, err := findPolicy(c, string(in.PolicyArn))
	if err != nil {
		return nil, err
	}
	all, err := holdersOf(c, p, in)
	if err != nil {
		return nil, err
	}
	list, next, err := slice(c, all, in.page)
	if err != nil {
		return nil, err
	}
	out := &entitiesOut{PolicyGroups: []policyGroup{}, PolicyUsers: []policyUser{}, PolicyRoles: []policyRole{}, paged: next}
	for _, e := range list {
		switch e.kind {
		case "Group":
			out.PolicyGroups = append(out.PolicyGroups, policyGroup{e.name, e.id})
		case "User":
			out.PolicyUsers = append(out.PolicyUsers, policyUser{e.name, e.id})
		case "Role":
			out.PolicyRoles = append(out.PolicyRoles, policyRole{e.name, e.id})
		}
	}
	return out, nil
}

// holdersOf finds everything in the account that the policy is attached to or
// bounds, as far as the request's filters want it.
func holdersOf(c *api.Call, p *record.Policy, in *entitiesIn) ([]entity, error) {
	var all []entity
	add := func(e entity) bool {
		if (in.EntityFilter == "" || in.EntityFilter == e.kind) && strings.HasPrefix(e.path, string(in.PathPrefix)) {
			all = append(all, e)
		}
		return true
	}
	user := func(_ string, u *record.User) bool { return add(entity{"User", u.Name, u.ID, u.Path}) }
	group := func(_ string, g *record.Group) bool { return add(entity{"Group", g.Name, g.ID, g.Path}) }
	role := func(_ string, r *record.Role) bool { return add(entity{"Role", r.Name, r.ID, r.Path}) }
	term := record.PolicyTerm(c.Account, p.Ref())
	var scans []func() error
	if in.PolicyUsageFilter != "PermissionsBoundary" {
		scans = append(scans,
			func() error { return record.Scan(c.Tx, record.Groups, record.GroupByPolicy, term, "", group) },
			func() error { return record.Scan(c.Tx, record.Users, record.UserByPolicy, term, "", user) },
			func() error { return record.Scan(c.Tx, record.Roles, record.RoleByPolicy, term, "", role) })
	}
	if in.PolicyUsageFilter != "PermissionsPolicy" {
		scans = append(scans,
			func() error { return record.Scan(c.Tx, record.Users, record.UserByBoundary, term, "", user) },
			func() error { return record.Scan(c.Tx, record.Roles, record.RoleByBoundary, term, "", role) })
	}
	for _, scan := range scans {
		if err := scan(); err != nil {
			return nil, err
		}
	}
	return unique(all), nil
}

// unique leaves each entity out after its first: one may be both attached to
// and bounded by a policy.
func unique(all []entity) []entity {
	seen := map[string]bool{}
	var out []entity
	for _, e := range all {
		if !seen[e.id] {
			seen[e.id] = true
			out = append(out, e)
		}
	}
	return out
}
