package iam

import (
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/wire"
)

func roleOps() []api.Op {
	return []api.Op{
		write("CreateRole", newRole, createRole),
		read("GetRole", theRole[roleIn], getRole),
		write("UpdateRole", theRole[updateRoleIn], updateRole),
		write("UpdateRoleDescription", theRole[describeRoleIn], updateRoleDescription),
		write("UpdateAssumeRolePolicy", theRole[updateTrustIn], updateAssumeRolePolicy),
		write("DeleteRole", theRole[roleIn], deleteRole),
		read("ListRoles", anything[listIn], listRoles),
	}
}

// Role is a role on the wire.
type Role struct {
	Path                     string
	RoleName                 string
	RoleId                   string
	Arn                      string
	CreateDate               time.Time
	AssumeRolePolicyDocument wire.Document
	Description              string `q:"omitempty"`
	MaxSessionDuration       int
	PermissionsBoundary      *Boundary
	Tags                     []Tag `q:"omitempty"`
	RoleLastUsed             *roleLastUsed
}

type roleLastUsed struct {
	LastUsedDate *time.Time
	Region       string `q:"omitempty"`
}

func wireRole(c *api.Call, r *record.Role, full bool) (Role, error) {
	w := Role{Path: r.Path, RoleName: r.Name, RoleId: r.ID, Arn: roleARN(r), CreateDate: stamp(r.Created),
		AssumeRolePolicyDocument: encoded(shownTrust(c, r.Trust)), Description: r.Description, MaxSessionDuration: r.MaxSession}
	if !full {
		return w, nil
	}
	w.Tags = wireTags(r.Tags)
	w.RoleLastUsed = &roleLastUsed{}
	var err error
	w.PermissionsBoundary, err = wireBoundary(c, r.Boundary)
	return w, err
}

type roleNamed interface{ roleName() string }

type roleIn struct {
	RoleName RoleName `q:"required"`
}

func (in *roleIn) roleName() string { return string(in.RoleName) }

func theRole[In any](c *api.Call, in *In) ([]api.Access, error) {
	return roleAccess(c, any(in).(roleNamed).roleName(), nil)
}

func roleAccess(c *api.Call, name string, request []Tag) ([]api.Access, error) {
	r, err := findRole(c, name)
	if err != nil {
		return one(arnOf(c.Account, "role", "/", name), tagContext(request, nil))
	}
	return one(roleARN(r), boundaryContext(c, r.Boundary, tagContext(request, r.Tags)))
}

type createRoleIn struct {
	Path                     Path
	RoleName                 RoleName   `q:"required"`
	AssumeRolePolicyDocument PolicyText `q:"required"`
	Description              RoleDescription
	MaxSessionDuration       *SessionSeconds
	PermissionsBoundary      *ARN
	Tags                     Tags
}

func newRole(c *api.Call, in *createRoleIn) ([]api.Access, error) {
	m := tagContext(in.Tags, nil)
	if in.PermissionsBoundary != nil {
		m["iam:PermissionsBoundary"] = []string{string(*in.PermissionsBoundary)}
	}
	return created(arnOf(c.Account, "role", orSlash(in.Path), string(in.RoleName)), m, in.Tags, "iam:TagRole")
}

type roleOut struct{ Role Role }

func createRole(c *api.Call, in *createRoleIn) (*roleOut, error) {
	if nameTaken(c, record.Roles, record.RoleByName, string(in.RoleName)) {
		return nil, fault.EntityAlreadyExists.Errorf("Role with name %s already exists.", in.RoleName)
	}
	trust, err := keptTrust(c, string(in.AssumeRolePolicyDocument))
	if err != nil {
		return nil, err
	}
	tags, err := addTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	r := &record.Role{Account: c.Account, ID: c.NewID("AROA"), Name: string(in.RoleName), Path: orSlash(in.Path), Created: record.At(c.Now),
		Description: string(in.Description), Trust: trust, MaxSession: defaultRoleLimit, Tags: tags}
	if in.MaxSessionDuration != nil {
		r.MaxSession = int(*in.MaxSessionDuration)
	}
	if in.PermissionsBoundary != nil {
		p, err := findPolicy(c, string(*in.PermissionsBoundary))
		if err != nil {
			return nil, err
		}
		r.Boundary = p.Ref()
	}
	if err := record.Put(c.Tx, record.Roles, r); err != nil {
		return nil, err
	}
	w, err := wireRole(c, r, true)
	w.RoleLastUsed = nil
	return &roleOut{w}, err
}

func getRole(c *api.Call, in *roleIn) (*roleOut, error) {
	r, err := findRole(c, string(in.RoleName))
	if err != nil {
		return nil, err
	}
	w, err := wireRole(c, r, true)
	return &roleOut{w}, err
}

type updateRoleIn struct {
	RoleName           RoleName `q:"required"`
	Description        *RoleDescription
	MaxSessionDuration *SessionSeconds
}

func (in *updateRoleIn) roleName() string { return string(in.RoleName) }

func updateRole(c *api.Call, in *updateRoleIn) (*struct{}, error) {
	r, err := findRole(c, string(in.RoleName))
	if err != nil {
		return nil, err
	}
	if in.Description != nil {
		r.Description = string(*in.Description)
	}
	r.MaxSession = defaultRoleLimit
	if in.MaxSessionDuration != nil {
		r.MaxSession = int(*in.MaxSessionDuration)
	}
	return &struct{}{}, record.Put(c.Tx, record.Roles, r)
}

type describeRoleIn struct {
	RoleName    RoleName        `q:"required"`
	Description RoleDescription `q:"required"`
}

func (in *describeRoleIn) roleName() string { return string(in.RoleName) }

func updateRoleDescription(c *api.Call, in *describeRoleIn) (*roleOut, error) {
	r, err := findRole(c, string(in.RoleName))
	if err != nil {
		return nil, err
	}
	r.Description = string(in.Description)
	if err := record.Put(c.Tx, record.Roles, r); err != nil {
		return nil, err
	}
	w, err := wireRole(c, r, true)
	return &roleOut{w}, err
}

type updateTrustIn struct {
	RoleName       RoleName   `q:"required"`
	PolicyDocument PolicyText `q:"required"`
}

func (in *updateTrustIn) roleName() string { return string(in.RoleName) }

func updateAssumeRolePolicy(c *api.Call, in *updateTrustIn) (*api.Nothing, error) {
	r, err := findRole(c, string(in.RoleName))
	if err != nil {
		return nil, err
	}
	if r.Trust, err = keptTrust(c, string(in.PolicyDocument)); err != nil {
		return nil, err
	}
	return &api.Nothing{}, record.Put(c.Tx, record.Roles, r)
}

func deleteRole(c *api.Call, in *roleIn) (*api.Nothing, error) {
	r, err := findRole(c, string(in.RoleName))
	if err != nil {
		return nil, err
	}
	switch {
	case holds(c, record.ProfileByRole.Name, c.Account+record.Sep+r.ID+record.Sep):
		err = fault.DeleteConflict.Errorf("Cannot delete entity, must remove roles from instance profile first.")
	case len(r.Attached) > 0:
		err = fault.DeleteConflict.Errorf("Cannot delete entity, must detach all policies first.")
	case len(r.Inline) > 0:
		err = fault.DeleteConflict.Errorf("Cannot delete entity, must delete policies first.")
	}
	if err != nil {
		return nil, err
	}
	record.Delete(c.Tx, record.Roles, r)
	return &api.Nothing{}, nil
}

type listRolesOut struct {
	Roles []Role
	paged
}

func listRoles(c *api.Call, in *listIn) (*listRolesOut, error) {
	out := &listRolesOut{Roles: []Role{}}
	p, err := take(c, record.Roles, record.RoleByName, c.Account+record.Sep, in.page,
		func(r *record.Role) bool { return strings.HasPrefix(r.Path, string(in.PathPrefix)) },
		func(r *record.Role) {
			w, _ := wireRole(c, r, false) // cannot fail without the boundary
			out.Roles = append(out.Roles, w)
		})
	out.paged = p
	return out, err
}
