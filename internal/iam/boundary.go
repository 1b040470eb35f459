package iam

import (
	"slices"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// Permissions boundaries of users and roles.
func boundaryOps() []api.Op {
	return []api.Op{
		write("PutUserPermissionsBoundary", bounding(theUser[putUserBoundaryIn]), func(c *api.Call, in *putUserBoundaryIn) (*api.Nothing, error) {
			return setUserBoundary(c, in.userName(), string(in.PermissionsBoundary))
		}),
		write("DeleteUserPermissionsBoundary", theUser[heldIn], func(c *api.Call, in *heldIn) (*api.Nothing, error) {
			return setUserBoundary(c, in.userName(), "")
		}),
		write("PutRolePermissionsBoundary", bounding(theRole[putRoleBoundaryIn]), func(c *api.Call, in *putRoleBoundaryIn) (*api.Nothing, error) {
			return setRoleBoundary(c, in.roleName(), string(in.PermissionsBoundary))
		}),
		write("DeleteRolePermissionsBoundary", theRole[roleIn], func(c *api.Call, in *roleIn) (*api.Nothing, error) {
			return setRoleBoundary(c, in.roleName(), "")
		}),
	}
}

type putUserBoundaryIn struct {
	heldIn
	PermissionsBoundary ARN `q:"required"`
}

type putRoleBoundaryIn struct {
	roleIn
	PermissionsBoundary ARN `q:"required"`
}

func (in *putUserBoundaryIn) boundary() string { return string(in.PermissionsBoundary) }
func (in *putRoleBoundaryIn) boundary() string { return string(in.PermissionsBoundary) }

// bounding adds iam:PermissionsBoundary to what the caller is asked for.
func bounding[In any](on func(*api.Call, *In) ([]api.Access, error)) func(*api.Call, *In) ([]api.Access, error) {
	return func(c *api.Call, in *In) ([]api.Access, error) {
		list, err := on(c, in)
		for i := range list {
			list[i].Context["iam:PermissionsBoundary"] = []string{any(in).(interface{ boundary() string }).boundary()}
		}
		return list, err
	}
}

// boundarySeen are the operations whose conditions see the boundary that a user
// or role has (Service Authorization Reference, iam:PermissionsBoundary).
var boundarySeen = []string{
	"AttachRolePolicy", "AttachUserPolicy", "DeleteRole", "DeleteRolePermissionsBoundary", "DeleteRolePolicy",
	"DeleteUserPermissionsBoundary", "DeleteUserPolicy", "DetachRolePolicy", "DetachUserPolicy", "GetRole", "PutRolePolicy",
	"PutUserPolicy", "UpdateAssumeRolePolicy", "UpdateRole", "UpdateRoleDescription",
}

// boundaryContext adds iam:PermissionsBoundary to m as far as the operation's
// conditions see it. One that cannot be read is no boundary that a policy asks
// for.
func boundaryContext(c *api.Call, ref record.PolicyRef, m map[string][]string) map[string][]string {
	if ref == "" || !slices.Contains(boundarySeen, c.Op) {
		return m
	}
	if p, err := policyAt(c, ref); err == nil {
		m["iam:PermissionsBoundary"] = []string{policyARN(p)}
	}
	return m
}

// boundaryRef finds the policy of a boundary; "" is none.
func boundaryRef(c *api.Call, text string) (record.PolicyRef, error) {
	if text == "" {
		return "", nil
	}
	p, err := findPolicy(c, text)
	if err != nil {
		return "", err
	}
	return p.Ref(), nil
}

func setUserBoundary(c *api.Call, name, text string) (*api.Nothing, error) {
	u, err := findUser(c, name)
	if err != nil {
		return nil, err
	}
	if u.Boundary, err = boundaryRef(c, text); err != nil {
		return nil, err
	}
	return &api.Nothing{}, record.Put(c.Tx, record.Users, u)
}

func setRoleBoundary(c *api.Call, name, text string) (*api.Nothing, error) {
	r, err := findRole(c, name)
	if err != nil {
		return nil, err
	}
	if r.Boundary, err = boundaryRef(c, text); err != nil {
		return nil, err
	}
	return &api.Nothing{}, record.Put(c.Tx, record.Roles, r)
}
