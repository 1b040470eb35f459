package iam

import "github.com/holdfast-iam/holdfast/internal/api"

// Attachments of managed policies to users, groups and roles.
func attachedOps() []api.Op {
	return []api.Op{
		write("AttachUserPolicy", attaching(theUser[attachUserIn]), func(c *api.Call, in *attachUserIn) (*api.Nothing, error) {
			return onBearer(userBearer, c, in.userName(), func(b *bearer) (*api.Nothing, error) { return b.attach(c, string(in.PolicyArn)) })
		}),
		write("DetachUserPolicy", attaching(theUser[attachUserIn]), func(c *api.Call, in *attachUserIn) (*api.Nothing, error) {
			return onBearer(userBearer, c, in.userName(), func(b *bearer) (*api.Nothing, error) { return b.detach(c, string(in.PolicyArn)) })
		}),
		read("ListAttachedUserPolicies", theUser[attachedUserIn], func(c *api.Call, in *attachedUserIn) (*attachedOut, error) {
			return onBearer(userBearer, c, in.userName(), func(b *bearer) (*attachedOut, error) { return b.list(c, in.PathPrefix, in.page) })
		}),
		write("AttachGroupPolicy", attaching(theGroup[attachGroupIn]), func(c *api.Call, in *attachGroupIn) (*api.Nothing, error) {
			return onBearer(groupBearer, c, in.groupName(), func(b *bearer) (*api.Nothing, error) { return b.attach(c, string(in.PolicyArn)) })
		}),
		write("DetachGroupPolicy", attaching(theGroup[attachGroupIn]), func(c *api.Call, in *attachGroupIn) (*api.Nothing, error) {
			return onBearer(groupBearer, c, in.groupName(), func(b *bearer) (*api.Nothing, error) { return b.detach(c, string(in.PolicyArn)) })
		}),
		read("ListAttachedGroupPolicies", theGroup[attachedGroupIn], func(c *api.Call, in *attachedGroupIn) (*attachedOut, error) {
			return onBearer(groupBearer, c, in.groupName(), func(b *bearer) (*attachedOut, error) { return b.list(c, in.PathPrefix, in.page) })
		}),
		write("AttachRolePolicy", attaching(theRole[attachRoleIn]), func(c *api.Call, in *attachRoleIn) (*api.Nothing, error) {
			return onBearer(roleBearer, c, in.roleName(), func(b *bearer) (*api.Nothing, error) { return b.attach(c, string(in.PolicyArn)) })
		}),
		write("DetachRolePolicy", attaching(theRole[attachRoleIn]), func(c *api.Call, in *attachRoleIn) (*api.Nothing, error) {
			return onBearer(roleBearer, c, in.roleName(), func(b *bearer) (*api.Nothing, error) { return b.detach(c, string(in.PolicyArn)) })
		}),
		read("ListAttachedRolePolicies", theRole[attachedRoleIn], func(c *api.Call, in *attachedRoleIn) (*attachedOut, error) {
			return onBearer(roleBearer, c, in.roleName(), func(b *bearer) (*attachedOut, error) { return b.list(c, in.PathPrefix, in.page) })
		}),
	}
}

// attaching adds iam:PolicyARN to what the caller is asked for.
func attaching[In any](on func(*api.Call, *In) ([]api.Access, error)) func(*api.Call, *In) ([]api.Access, error) {
	return func(c *api.Call, in *In) ([]api.Access, error) {
		list, err := on(c, in)
		for i := range list {
			if list[i].Context == nil {
				list[i].Context = map[string][]string{}
			}
			list[i].Context["iam:PolicyARN"] = []string{any(in).(interface{ policyARN() string }).policyARN()}
		}
		return list, err
	}
}

type attachUserIn struct {
	heldIn
	PolicyArn ARN `q:"required"`
}

func (in *attachUserIn) policyARN() string { return string(in.PolicyArn) }

type attachedUserIn struct {
	heldIn
	PathPrefix PolicyPath
	page
}

type attachGroupIn struct {
	groupIn
	PolicyArn ARN `q:"required"`
}

func (in *attachGroupIn) policyARN() string { return string(in.PolicyArn) }

type attachedGroupIn struct {
	groupIn
	PathPrefix PolicyPath
	page
}

type attachRoleIn struct {
	roleIn
	PolicyArn ARN `q:"required"`
}

func (in *attachRoleIn) policyARN() string { return string(in.PolicyArn) }

type attachedRoleIn struct {
	roleIn
	PathPrefix PolicyPath
	page
}
