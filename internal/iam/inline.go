package iam

import (
	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/wire"
)

// Inline policies of users, groups and roles: the same four operations on a
// bearer; only the name's member differs on the wire.
func inlineOps() []api.Op {
	return []api.Op{
		write("PutUserPolicy", theUser[putUserPolicyIn], func(c *api.Call, in *putUserPolicyIn) (*api.Nothing, error) {
			return onBearer(userBearer, c, in.userName(), func(b *bearer) (*api.Nothing, error) {
				return b.put(c, string(in.PolicyName), string(in.PolicyDocument))
			})
		}),
		read("GetUserPolicy", theUser[oneUserPolicyIn], func(c *api.Call, in *oneUserPolicyIn) (*getUserPolicyOut, error) {
			return onBearer(userBearer, c, in.userName(), func(b *bearer) (*getUserPolicyOut, error) {
				p, err := b.get(string(in.PolicyName))
				if err != nil {
					return nil, err
				}
				return &getUserPolicyOut{b.name, p.Name, encoded(p.Document)}, nil
			})
		}),
		write("DeleteUserPolicy", theUser[oneUserPolicyIn], func(c *api.Call, in *oneUserPolicyIn) (*api.Nothing, error) {
			return onBearer(userBearer, c, in.userName(), func(b *bearer) (*api.Nothing, error) { return b.remove(c, string(in.PolicyName)) })
		}),
		read("ListUserPolicies", theUser[listUserPoliciesIn], func(c *api.Call, in *listUserPoliciesIn) (*namesOut, error) {
			return onBearer(userBearer, c, in.userName(), func(b *bearer) (*namesOut, error) { return b.names(c, in.page) })
		}),
		write("PutGroupPolicy", theGroup[putGroupPolicyIn], func(c *api.Call, in *putGroupPolicyIn) (*api.Nothing, error) {
			return onBearer(groupBearer, c, in.groupName(), func(b *bearer) (*api.Nothing, error) {
				return b.put(c, string(in.PolicyName), string(in.PolicyDocument))
			})
		}),
		read("GetGroupPolicy", theGroup[oneGroupPolicyIn], func(c *api.Call, in *oneGroupPolicyIn) (*getGroupPolicyOut, error) {
			return onBearer(groupBearer, c, in.groupName(), func(b *bearer) (*getGroupPolicyOut, error) {
				p, err := b.get(string(in.PolicyName))
				if err != nil {
					return nil, err
				}
				return &getGroupPolicyOut{b.name, p.Name, encoded(p.Document)}, nil
			})
		}),
		write("DeleteGroupPolicy", theGroup[oneGroupPolicyIn], func(c *api.Call, in *oneGroupPolicyIn) (*api.Nothing, error) {
			return onBearer(groupBearer, c, in.groupName(), func(b *bearer) (*api.Nothing, error) { return b.remove(c, string(in.PolicyName)) })
		}),
		read("ListGroupPolicies", theGroup[listGroupPoliciesIn], func(c *api.Call, in *listGroupPoliciesIn) (*namesOut, error) {
			return onBearer(groupBearer, c, in.groupName(), func(b *bearer) (*namesOut, error) { return b.names(c, in.page) })
		}),
		write("PutRolePolicy", theRole[putRolePolicyIn], func(c *api.Call, in *putRolePolicyIn) (*api.Nothing, error) {
			return onBearer(roleBearer, c, in.roleName(), func(b *bearer) (*api.Nothing, error) {
				return b.put(c, string(in.PolicyName), string(in.PolicyDocument))
			})
		}),
		read("GetRolePolicy", theRole[oneRolePolicyIn], func(c *api.Call, in *oneRolePolicyIn) (*getRolePolicyOut, error) {
			return onBearer(roleBearer, c, in.roleName(), func(b *bearer) (*getRolePolicyOut, error) {
				p, err := b.get(string(in.PolicyName))
				if err != nil {
					return nil, err
				}
				return &getRolePolicyOut{b.name, p.Name, encoded(p.Document)}, nil
			})
		}),
		write("DeleteRolePolicy", theRole[oneRolePolicyIn], func(c *api.Call, in *oneRolePolicyIn) (*api.Nothing, error) {
			return onBearer(roleBearer, c, in.roleName(), func(b *bearer) (*api.Nothing, error) { return b.remove(c, string(in.PolicyName)) })
		}),
		read("ListRolePolicies", theRole[listRolePoliciesIn], func(c *api.Call, in *listRolePoliciesIn) (*namesOut, error) {
			return onBearer(roleBearer, c, in.roleName(), func(b *bearer) (*namesOut, error) { return b.names(c, in.page) })
		}),
	}
}

// onBearer finds a bearer and does something with it.
func onBearer[Out any](find func(*api.Call, string) (*bearer, error), c *api.Call, name string, do func(*bearer) (*Out, error)) (*Out, error) {
	b, err := find(c, name)
	if err != nil {
		return nil, err
	}
	return do(b)
}

type putUserPolicyIn struct {
	userIn
	PolicyName     PolicyName `q:"required"`
	PolicyDocument PolicyText `q:"required"`
}

type oneUserPolicyIn struct {
	userIn
	PolicyName PolicyName `q:"required"`
}

type listUserPoliciesIn struct {
	userIn
	page
}

type getUserPolicyOut struct {
	UserName       string
	PolicyName     string
	PolicyDocument wire.Document
}

type putGroupPolicyIn struct {
	groupIn
	PolicyName     PolicyName `q:"required"`
	PolicyDocument PolicyText `q:"required"`
}

type oneGroupPolicyIn struct {
	groupIn
	PolicyName PolicyName `q:"required"`
}

type listGroupPoliciesIn struct {
	groupIn
	page
}

type getGroupPolicyOut struct {
	GroupName      string
	PolicyName     string
	PolicyDocument wire.Document
}

type putRolePolicyIn struct {
	roleIn
	PolicyName     PolicyName `q:"required"`
	PolicyDocument PolicyText `q:"required"`
}

type oneRolePolicyIn struct {
	roleIn
	PolicyName PolicyName `q:"required"`
}

type listRolePoliciesIn struct {
	roleIn
	page
}

type getRolePolicyOut struct {
	RoleName       string
	PolicyName     string
	PolicyDocument wire.Document
}
