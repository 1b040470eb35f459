package iam

import (
	"slices"
	"strings"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// Tags of users, roles, policies and instance profiles: three operations each
// over one taggable.
func tagOps() []api.Op {
	return []api.Op{
		write("TagUser", tagging(theUser[tagUserIn]), func(c *api.Call, in *tagUserIn) (*api.Nothing, error) {
			t, err := userTags(c, &in.userIn)
			return t.add(c, in.Tags, err)
		}),
		write("UntagUser", untagging(theUser[untagUserIn]), func(c *api.Call, in *untagUserIn) (*api.Nothing, error) {
			t, err := userTags(c, &in.userIn)
			return t.remove(c, in.TagKeys, err)
		}),
		read("ListUserTags", theUser[listUserTagsIn], func(c *api.Call, in *listUserTagsIn) (*tagsOut, error) {
			t, err := userTags(c, &in.userIn)
			return t.list(c, in.page, err)
		}),
		write("TagRole", tagging(theRole[tagRoleIn]), func(c *api.Call, in *tagRoleIn) (*api.Nothing, error) {
			t, err := roleTags(c, &in.roleIn)
			return t.add(c, in.Tags, err)
		}),
		write("UntagRole", untagging(theRole[untagRoleIn]), func(c *api.Call, in *untagRoleIn) (*api.Nothing, error) {
			t, err := roleTags(c, &in.roleIn)
			return t.remove(c, in.TagKeys, err)
		}),
		read("ListRoleTags", theRole[listRoleTagsIn], func(c *api.Call, in *listRoleTagsIn) (*tagsOut, error) {
			t, err := roleTags(c, &in.roleIn)
			return t.list(c, in.page, err)
		}),
		write("TagPolicy", tagging(thePolicy[tagPolicyIn]), func(c *api.Call, in *tagPolicyIn) (*api.Nothing, error) {
			t, err := policyTags(c, &in.policyIn)
			return t.add(c, in.Tags, err)
		}),
		write("UntagPolicy", untagging(thePolicy[untagPolicyIn]), func(c *api.Call, in *untagPolicyIn) (*api.Nothing, error) {
			t, err := policyTags(c, &in.policyIn)
			return t.remove(c, in.TagKeys, err)
		}),
		read("ListPolicyTags", thePolicy[listPolicyTagsIn], func(c *api.Call, in *listPolicyTagsIn) (*tagsOut, error) {
			t, err := policyTags(c, &in.policyIn)
			return t.list(c, in.page, err)
		}),
		write("TagInstanceProfile", tagging(theProfile[tagInstanceProfileIn]), func(c *api.Call, in *tagInstanceProfileIn) (*api.Nothing, error) {
			t, err := profileTags(c, &in.profileIn)
			return t.add(c, in.Tags, err)
		}),
		write("UntagInstanceProfile", untagging(theProfile[untagInstanceProfileIn]), func(c *api.Call, in *untagInstanceProfileIn) (*api.Nothing, error) {
			t, err := profileTags(c, &in.profileIn)
			return t.remove(c, in.TagKeys, err)
		}),
		read("ListInstanceProfileTags", theProfile[listInstanceProfileTagsIn], func(c *api.Call, in *listInstanceProfileTagsIn) (*tagsOut, error) {
			t, err := profileTags(c, &in.profileIn)
			return t.list(c, in.page, err)
		}),
	}
}

// taggable is something whose tags an operation works on.
type taggable struct {
	tags *[]record.Tag
	save func(*api.Call) error
}

type tagsOut struct {
	Tags []Tag
	paged
}

func (t taggable) add(c *api.Call, tags []Tag, err error) (*api.Nothing, error) {
	if err != nil {
		return nil, err
	}
	if *t.tags, err = addTags(*t.tags, tags); err != nil {
		return nil, err
	}
	return &api.Nothing{}, t.save(c)
}

func (t taggable) remove(c *api.Call, keys []TagKey, err error) (*api.Nothing, error) {
	if err != nil {
		return nil, err
	}
	*t.tags = slices.DeleteFunc(*t.tags, func(x record.Tag) bool {
		return slices.ContainsFunc(keys, func(k TagKey) bool { return record.Fold(string(k)) == record.Fold(x.Key) })
	})
	return &api.Nothing{}, t.save(c)
}

func (t taggable) list(c *api.Call, p page, err error) (*tagsOut, error) {
	if err != nil {
		return nil, err
	}
	all := slices.Clone(*t.tags) // IAM API Reference, ListUserTags and its kin: "sorted by tag key"
	slices.SortFunc(all, func(a, b record.Tag) int { return strings.Compare(a.Key, b.Key) })
	list, next, err := slice(c, all, p)
	if err != nil {
		return nil, err
	}
	return &tagsOut{wireTags(list), next}, nil
}

// tagging adds the request's tags to what the caller is asked for.
func tagging[In any](on func(*api.Call, *In) ([]api.Access, error)) func(*api.Call, *In) ([]api.Access, error) {
	return func(c *api.Call, in *In) ([]api.Access, error) {
		list, err := on(c, in)
		for i := range list {
			if list[i].Context == nil {
				list[i].Context = map[string][]string{}
			}
			for k, v := range tagContext(any(in).(interface{ requestTags() []Tag }).requestTags(), nil) {
				list[i].Context[k] = v
			}
		}
		return list, err
	}
}

// untagging adds the keys of the tags that the request takes away.
func untagging[In any](on func(*api.Call, *In) ([]api.Access, error)) func(*api.Call, *In) ([]api.Access, error) {
	return func(c *api.Call, in *In) ([]api.Access, error) {
		list, err := on(c, in)
		for i := range list {
			if list[i].Context == nil {
				list[i].Context = map[string][]string{}
			}
			list[i].Context["aws:TagKeys"] = any(in).(interface{ removed() []string }).removed()
		}
		return list, err
	}
}

// untagIn is the tags that a request takes away.
type untagIn struct {
	TagKeys TagKeys `q:"required"`
}

func (in *untagIn) removed() []string {
	var keys []string
	for _, k := range in.TagKeys {
		keys = append(keys, string(k))
	}
	return keys
}

func userTags(c *api.Call, in *userIn) (taggable, error) {
	x, err := findUser(c, string(in.UserName))
	if err != nil {
		return taggable{}, err
	}
	return taggable{&x.Tags, func(c *api.Call) error { return record.Put(c.Tx, record.Users, x) }}, nil
}

type tagUserIn struct {
	userIn
	Tags Tags `q:"required"`
}

func (in *tagUserIn) requestTags() []Tag { return in.Tags }

type untagUserIn struct {
	userIn
	untagIn
}

type listUserTagsIn struct {
	userIn
	page
}

func roleTags(c *api.Call, in *roleIn) (taggable, error) {
	x, err := findRole(c, string(in.RoleName))
	if err != nil {
		return taggable{}, err
	}
	return taggable{&x.Tags, func(c *api.Call) error { return record.Put(c.Tx, record.Roles, x) }}, nil
}

type tagRoleIn struct {
	roleIn
	Tags Tags `q:"required"`
}

func (in *tagRoleIn) requestTags() []Tag { return in.Tags }

type untagRoleIn struct {
	roleIn
	untagIn
}

type listRoleTagsIn struct {
	roleIn
	page
}

func policyTags(c *api.Call, in *policyIn) (taggable, error) {
	x, err := ownPolicy(c, string(in.PolicyArn))
	if err != nil {
		return taggable{}, err
	}
	return taggable{&x.Tags, func(c *api.Call) error { return record.Put(c.Tx, record.Policies, x) }}, nil
}

type tagPolicyIn struct {
	policyIn
	Tags Tags `q:"required"`
}

func (in *tagPolicyIn) requestTags() []Tag { return in.Tags }

type untagPolicyIn struct {
	policyIn
	untagIn
}

type listPolicyTagsIn struct {
	policyIn
	page
}

func profileTags(c *api.Call, in *profileIn) (taggable, error) {
	x, err := findProfile(c, string(in.InstanceProfileName))
	if err != nil {
		return taggable{}, err
	}
	return taggable{&x.Tags, func(c *api.Call) error { return record.Put(c.Tx, record.InstanceProfiles, x) }}, nil
}

type tagInstanceProfileIn struct {
	profileIn
	Tags Tags `q:"required"`
}

func (in *tagInstanceProfileIn) requestTags() []Tag { return in.Tags }

type untagInstanceProfileIn struct {
	profileIn
	untagIn
}

type listInstanceProfileTagsIn struct {
	profileIn
	page
}
