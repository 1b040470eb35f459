package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// The rows' claims are AWS's: IAM API Reference, each operation's "Response
// Elements" and "Errors".

func userRows() []operationRow {
	return []operationRow{
		{name: "CreateUser", good: createsUser, refused: []refusal{
			refuseAt("EntityAlreadyExists", (*iam.Client).CreateUser, func(c *clients) iam.CreateUserInput { return iam.CreateUserInput{UserName: new(c.user())} }),
			refuse("EntityAlreadyExists", (*iam.Client).CreateUser, iam.CreateUserInput{UserName: new("ADMIN")}),
			refuse("ValidationError", (*iam.Client).CreateUser, iam.CreateUserInput{UserName: new("a b")}),
			refuse("NoSuchEntity", (*iam.Client).CreateUser, iam.CreateUserInput{UserName: new("bounded"), PermissionsBoundary: new(absentARN)}),
			refuse("InvalidInput", (*iam.Client).CreateUser, iam.CreateUserInput{UserName: new("tagged"), Tags: tagList("k", "1", "K", "2")}),
			forbid((*iam.Client).CreateUser, iam.CreateUserInput{UserName: new("denied")}),
		}},
		{name: "GetUser", good: getsUser, refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).GetUser, iam.GetUserInput{UserName: new("absent")}),
			forbid((*iam.Client).GetUser, iam.GetUserInput{UserName: new("admin")}),
			{"ValidationError", func(ctx context.Context, c *clients) error { // a role's session is no user
				_, err := c.assumed().iam.GetUser(ctx, &iam.GetUserInput{})
				return err
			}},
		}},
		{name: "UpdateUser", good: renamesUser, refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).UpdateUser, iam.UpdateUserInput{UserName: new("absent")}),
			refuseAt("EntityAlreadyExists", (*iam.Client).UpdateUser, func(c *clients) iam.UpdateUserInput {
				return iam.UpdateUserInput{UserName: new(c.user()), NewUserName: new(c.user())}
			}),
			{"AccessDenied", renamesUserWithoutTheNewName},
		}},
		{name: "DeleteUser", good: func(ctx context.Context, c *clients) error {
			name := c.user()
			if _, err := c.iam.DeleteUser(ctx, &iam.DeleteUserInput{UserName: &name}); err != nil {
				return err
			}
			var gone *types.NoSuchEntityException
			if _, err := c.aside.iam.GetUser(ctx, &iam.GetUserInput{UserName: &name}); !errors.As(err, &gone) {
				return fmt.Errorf("after the deletion: %v", err)
			}
			return nil
		}, refused: append([]refusal{refuse("NoSuchEntity", (*iam.Client).DeleteUser, iam.DeleteUserInput{UserName: new("absent")})}, userConflicts()...)},
		{name: "ListUsers", good: listsUsers, refused: []refusal{
			forbid((*iam.Client).ListUsers, iam.ListUsersInput{}),
			refuse("ValidationError", (*iam.Client).ListUsers, iam.ListUsersInput{MaxItems: new(int32(1001))}),
			refuse("ValidationError", (*iam.Client).ListUsers, iam.ListUsersInput{Marker: new("made-by-hand")}),
		}},
	}
}

// userConflicts are what a user must not have when it is deleted.
func userConflicts() []refusal {
	var list []refusal
	for _, give := range []func(c *clients, user string){
		func(c *clients, user string) { c.key(user) },
		func(c *clients, user string) { c.join(c.group(), user) },
		func(c *clients, user string) { c.serviceCredential(user) },
		func(c *clients, user string) {
			made[iam.AttachUserPolicyOutput](c)(c.aside.iam.AttachUserPolicy(c.t.Context(), &iam.AttachUserPolicyInput{UserName: &user, PolicyArn: new(readOnlyARN)}))
		},
		func(c *clients, user string) {
			made[iam.PutUserPolicyOutput](c)(c.aside.iam.PutUserPolicy(c.t.Context(), &iam.PutUserPolicyInput{UserName: &user, PolicyName: new("p"), PolicyDocument: new(allowAll)}))
		},
	} {
		list = append(list, refuseAt("DeleteConflict", (*iam.Client).DeleteUser, func(c *clients) iam.DeleteUserInput {
			name := c.user()
			give(c, name)
			return iam.DeleteUserInput{UserName: &name}
		}))
	}
	return list
}

func createsUser(ctx context.Context, c *clients) error {
	name, boundary := c.fresh("user"), c.policy(1)
	out, err := c.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: &name, Path: new("/division/a/"), PermissionsBoundary: &boundary, Tags: tagList("team", "x y", "empty", "")})
	if err != nil {
		return err
	}
	u := out.User
	return errors.Join(is("UserName", u.UserName, name), is("Path", u.Path, "/division/a/"), is("Arn", u.Arn, ownARN("user/division/a/"+name)),
		like("UserId", u.UserId, "AIDA[A-Z2-7]{17}"), eq("now", time.Since(*u.CreateDate) < time.Minute, true),
		is("boundary", u.PermissionsBoundary.PermissionsBoundaryArn, boundary), eq("Tags", each(u.Tags, tagText), []string{"team=x y", "empty="}))
}

func getsUser(ctx context.Context, c *clients) error {
	own, err := c.iam.GetUser(ctx, &iam.GetUserInput{})
	if err != nil {
		return err
	}
	other, err := c.iam.GetUser(ctx, &iam.GetUserInput{UserName: new("Admin")})
	if err != nil {
		return err
	}
	root, err := c.d.as(c.d.root(), c.calls.register).iam.GetUser(ctx, &iam.GetUserInput{})
	if err != nil {
		return err
	}
	return errors.Join(is("the caller's", own.User.UserName, "admin"), is("by another case", other.User.Arn, *own.User.Arn), absent("PasswordLastUsed", own.User.PasswordLastUsed),
		is("root's", root.User.Arn, ownARN("root")), is("root's id", root.User.UserId, testAccount), absent("root's UserName", root.User.UserName))
}

func renamesUser(ctx context.Context, c *clients) error {
	name, group, to := c.user(), c.group(), c.fresh("renamed")
	c.join(group, name)
	before := made[iam.GetUserOutput](c)(c.aside.iam.GetUser(ctx, &iam.GetUserInput{UserName: &name})).User
	if _, err := c.iam.UpdateUser(ctx, &iam.UpdateUserInput{UserName: &name, NewUserName: &to, NewPath: new("/moved/")}); err != nil {
		return err
	}
	after := made[iam.GetUserOutput](c)(c.aside.iam.GetUser(ctx, &iam.GetUserInput{UserName: &to})).User
	groups := made[iam.ListGroupsForUserOutput](c)(c.aside.iam.ListGroupsForUser(ctx, &iam.ListGroupsForUserInput{UserName: &to}))
	return errors.Join(is("the id stays", after.UserId, *before.UserId), is("Arn", after.Arn, ownARN("user/moved/"+to)), eq("its groups", len(groups.Groups), 1))
}

// renamesUserWithoutTheNewName may update the old name alone. IAM User Guide,
// "Rename an IAM user": permission is needed on both.
func renamesUserWithoutTheNewName(ctx context.Context, c *clients) error {
	name := c.user()
	limited := c.allowed(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:UpdateUser","Resource":"` + ownARN("user/"+name) + `"}}`)
	_, err := limited.iam.UpdateUser(ctx, &iam.UpdateUserInput{UserName: &name, NewUserName: new(c.fresh("taken"))})
	return err
}

// allowed is a user with one inline policy.
func (c *clients) allowed(document string) pair {
	name := c.user()
	made[iam.PutUserPolicyOutput](c)(c.aside.iam.PutUserPolicy(c.t.Context(), &iam.PutUserPolicyInput{UserName: &name, PolicyName: new("p"), PolicyDocument: &document}))
	return c.d.as(c.key(name), c.calls.register)
}

func listsUsers(ctx context.Context, c *clients) error {
	path := "/" + c.fresh("list") + "/"
	var want, got []string
	for range 3 {
		name := c.fresh("listed")
		made[iam.CreateUserOutput](c)(c.aside.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: &name, Path: &path, Tags: tagList("k", "v")}))
		want = append(want, name)
	}
	pages := 0
	for p := iam.NewListUsersPaginator(c.iam, &iam.ListUsersInput{PathPrefix: &path, MaxItems: new(int32(1))}); p.HasMorePages(); pages++ {
		out, err := p.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, u := range out.Users {
			got = append(got, *u.UserName)
			if u.Tags != nil || u.PermissionsBoundary != nil {
				return fmt.Errorf("ListUsers shows what AWS says it does not: %v", u)
			}
		}
	}
	return errors.Join(eq("users", got, want), eq("pages", pages, 3))
}

func keyRows() []operationRow {
	return []operationRow{
		{name: "CreateAccessKey", good: func(ctx context.Context, c *clients) error {
			name := c.user()
			out, err := c.iam.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &name})
			if err != nil {
				return err
			}
			k := out.AccessKey
			return errors.Join(like("id", k.AccessKeyId, "AKIA[A-Z2-7]{16}"), like("secret", k.SecretAccessKey, "[A-Za-z0-9+/]{40}"), eq("Status", k.Status, types.StatusTypeActive), is("UserName", k.UserName, name))
		}, refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).CreateAccessKey, iam.CreateAccessKeyInput{UserName: new("absent")}),
			refuseAt("LimitExceeded", (*iam.Client).CreateAccessKey, func(c *clients) iam.CreateAccessKeyInput {
				name := c.user()
				c.key(name)
				c.key(name)
				return iam.CreateAccessKeyInput{UserName: &name}
			}),
		}},
		{name: "UpdateAccessKey", good: deactivatesKey, refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).UpdateAccessKey, iam.UpdateAccessKeyInput{UserName: new("admin"), AccessKeyId: new("AKIAABSENTABSENT0000"), Status: "Active"}),
			refuse("ValidationError", (*iam.Client).UpdateAccessKey, iam.UpdateAccessKeyInput{AccessKeyId: new("AKIAABSENTABSENT0000"), Status: "Asleep"}),
		}},
		{name: "DeleteAccessKey", good: func(ctx context.Context, c *clients) error {
			name := c.user()
			k := c.key(name)
			if _, err := c.iam.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: &name, AccessKeyId: &k.id}); err != nil {
				return err
			}
			list := made[iam.ListAccessKeysOutput](c)(c.aside.iam.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: &name}))
			return eq("keys left", len(list.AccessKeyMetadata), 0)
		}, refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).DeleteAccessKey, iam.DeleteAccessKeyInput{UserName: new("admin"), AccessKeyId: new("AKIAABSENTABSENT0000")}),
		}},
		{name: "ListAccessKeys", good: listsKeys, refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).ListAccessKeys, iam.ListAccessKeysInput{UserName: new("absent")}),
		}},
		{name: "GetAccessKeyLastUsed", good: func(ctx context.Context, c *clients) error {
			name := c.user()
			out, err := c.iam.GetAccessKeyLastUsed(ctx, &iam.GetAccessKeyLastUsedInput{AccessKeyId: new(c.key(name).id)})
			if err != nil {
				return err
			}
			u := out.AccessKeyLastUsed
			return errors.Join(is("UserName", out.UserName, name), is("ServiceName", u.ServiceName, "N/A"), is("Region", u.Region, "N/A"), absent("LastUsedDate", u.LastUsedDate))
		}, refused: []refusal{
			refuse("AccessDenied", (*iam.Client).GetAccessKeyLastUsed, iam.GetAccessKeyLastUsedInput{AccessKeyId: new("AKIAABSENTABSENT0000")}),
		}},
	}
}

func deactivatesKey(ctx context.Context, c *clients) error {
	name := c.user()
	k := c.key(name)
	if _, err := c.iam.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: &name, AccessKeyId: &k.id, Status: "Inactive"}); err != nil {
		return err
	}
	list := made[iam.ListAccessKeysOutput](c)(c.aside.iam.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: &name}))
	_, err := c.d.as(k, nil).iam.GetUser(ctx, &iam.GetUserInput{})
	return errors.Join(eq("Status", list.AccessKeyMetadata[0].Status, types.StatusTypeInactive), eq("its use", codeOf(err), "InvalidClientTokenId"))
}

func listsKeys(ctx context.Context, c *clients) error {
	name := c.user()
	want := []string{c.key(name).id, c.key(name).id}
	var got []string
	for p := iam.NewListAccessKeysPaginator(c.iam, &iam.ListAccessKeysInput{UserName: &name, MaxItems: new(int32(1))}); p.HasMorePages(); {
		out, err := p.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, k := range out.AccessKeyMetadata {
			got = append(got, *k.AccessKeyId)
		}
	}
	return eq("keys", got, want)
}

func groupRows() []operationRow {
	return []operationRow{
		{name: "CreateGroup", good: func(ctx context.Context, c *clients) error {
			name := c.fresh("group")
			out, err := c.iam.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: &name, Path: new("/g/")})
			if err != nil {
				return err
			}
			return errors.Join(is("GroupName", out.Group.GroupName, name), is("Arn", out.Group.Arn, ownARN("group/g/"+name)), like("GroupId", out.Group.GroupId, "AGPA[A-Z2-7]{17}"), is("Path", out.Group.Path, "/g/"))
		}, refused: []refusal{
			refuseAt("EntityAlreadyExists", (*iam.Client).CreateGroup, func(c *clients) iam.CreateGroupInput { return iam.CreateGroupInput{GroupName: new(c.group())} }),
			refuse("ValidationError", (*iam.Client).CreateGroup, iam.CreateGroupInput{GroupName: new("g"), Path: new("no-slash")}),
		}},
		{name: "GetGroup", good: getsGroup, refused: []refusal{refuse("NoSuchEntity", (*iam.Client).GetGroup, iam.GetGroupInput{GroupName: new("absent")})}},
		{name: "UpdateGroup", good: func(ctx context.Context, c *clients) error {
			name, to := c.group(), c.fresh("renamed")
			if _, err := c.iam.UpdateGroup(ctx, &iam.UpdateGroupInput{GroupName: &name, NewGroupName: &to, NewPath: new("/moved/")}); err != nil {
				return err
			}
			after := made[iam.GetGroupOutput](c)(c.aside.iam.GetGroup(ctx, &iam.GetGroupInput{GroupName: &to}))
			return is("Arn", after.Group.Arn, ownARN("group/moved/"+to))
		}, refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).UpdateGroup, iam.UpdateGroupInput{GroupName: new("absent")}),
			refuseAt("EntityAlreadyExists", (*iam.Client).UpdateGroup, func(c *clients) iam.UpdateGroupInput {
				return iam.UpdateGroupInput{GroupName: new(c.group()), NewGroupName: new(c.group())}
			}),
			{"AccessDenied", renamesGroupWithoutTheNewName},
		}},
		{name: "DeleteGroup", good: func(ctx context.Context, c *clients) error {
			_, err := c.iam.DeleteGroup(ctx, &iam.DeleteGroupInput{GroupName: new(c.group())})
			return err
		}, refused: append(groupConflicts(), refuse("NoSuchEntity", (*iam.Client).DeleteGroup, iam.DeleteGroupInput{GroupName: new("absent")}))},
		{name: "ListGroups", good: func(ctx context.Context, c *clients) error {
			path := "/" + c.fresh("list") + "/"
			for range 2 {
				made[iam.CreateGroupOutput](c)(c.aside.iam.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: new(c.fresh("listed")), Path: &path}))
			}
			out, err := c.iam.ListGroups(ctx, &iam.ListGroupsInput{PathPrefix: &path})
			if err != nil {
				return err
			}
			return errors.Join(eq("groups", len(out.Groups), 2), eq("IsTruncated", out.IsTruncated, false), absent("Marker", out.Marker))
		}, refused: []refusal{forbid((*iam.Client).ListGroups, iam.ListGroupsInput{}), refuse("ValidationError", (*iam.Client).ListGroups, iam.ListGroupsInput{PathPrefix: new("x")})}},
		{name: "AddUserToGroup", good: func(ctx context.Context, c *clients) error {
			in := &iam.AddUserToGroupInput{GroupName: new(c.group()), UserName: new(c.user())}
			_, err := c.iam.AddUserToGroup(ctx, in)
			_, again := c.iam.AddUserToGroup(ctx, in)
			list := made[iam.GetGroupOutput](c)(c.aside.iam.GetGroup(ctx, &iam.GetGroupInput{GroupName: in.GroupName}))
			return errors.Join(err, again, eq("members", len(list.Users), 1))
		}, refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).AddUserToGroup, iam.AddUserToGroupInput{GroupName: new("absent"), UserName: new("admin")}),
			refuseAt("NoSuchEntity", (*iam.Client).AddUserToGroup, func(c *clients) iam.AddUserToGroupInput {
				return iam.AddUserToGroupInput{GroupName: new(c.group()), UserName: new("absent")}
			}),
			refuseAt("LimitExceeded", (*iam.Client).AddUserToGroup, func(c *clients) iam.AddUserToGroupInput {
				name := c.user()
				for range 10 {
					c.join(c.group(), name)
				}
				return iam.AddUserToGroupInput{GroupName: new(c.group()), UserName: &name}
			}),
		}},
		{name: "RemoveUserFromGroup", good: func(ctx context.Context, c *clients) error {
			group, user := c.group(), c.user()
			c.join(group, user)
			_, err := c.iam.RemoveUserFromGroup(ctx, &iam.RemoveUserFromGroupInput{GroupName: &group, UserName: &user})
			list := made[iam.GetGroupOutput](c)(c.aside.iam.GetGroup(ctx, &iam.GetGroupInput{GroupName: &group}))
			return errors.Join(err, eq("members", len(list.Users), 0))
		}, refused: []refusal{refuse("NoSuchEntity", (*iam.Client).RemoveUserFromGroup, iam.RemoveUserFromGroupInput{GroupName: new("absent"), UserName: new("admin")})}},
		{name: "ListGroupsForUser", good: groupsOfUser, refused: []refusal{refuse("NoSuchEntity", (*iam.Client).ListGroupsForUser, iam.ListGroupsForUserInput{UserName: new("absent")})}},
	}
}

func groupConflicts() []refusal {
	var list []refusal
	for _, give := range []func(c *clients, group string){
		func(c *clients, group string) { c.join(group, c.user()) },
		func(c *clients, group string) {
			made[iam.AttachGroupPolicyOutput](c)(c.aside.iam.AttachGroupPolicy(c.t.Context(), &iam.AttachGroupPolicyInput{GroupName: &group, PolicyArn: new(readOnlyARN)}))
		},
		func(c *clients, group string) {
			made[iam.PutGroupPolicyOutput](c)(c.aside.iam.PutGroupPolicy(c.t.Context(), &iam.PutGroupPolicyInput{GroupName: &group, PolicyName: new("p"), PolicyDocument: new(allowAll)}))
		},
	} {
		list = append(list, refuseAt("DeleteConflict", (*iam.Client).DeleteGroup, func(c *clients) iam.DeleteGroupInput {
			name := c.group()
			give(c, name)
			return iam.DeleteGroupInput{GroupName: &name}
		}))
	}
	return list
}

func renamesGroupWithoutTheNewName(ctx context.Context, c *clients) error {
	name := c.group()
	limited := c.allowed(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:UpdateGroup","Resource":"` + ownARN("group/"+name) + `"}}`)
	_, err := limited.iam.UpdateGroup(ctx, &iam.UpdateGroupInput{GroupName: &name, NewGroupName: new(c.fresh("taken"))})
	return err
}

func getsGroup(ctx context.Context, c *clients) error {
	group := c.group()
	want := []string{c.user(), c.user(), c.user()}
	for _, user := range want {
		c.join(group, user)
	}
	got := map[string]bool{}
	for p := iam.NewGetGroupPaginator(c.iam, &iam.GetGroupInput{GroupName: &group, MaxItems: new(int32(2))}); p.HasMorePages(); {
		out, err := p.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, u := range out.Users {
			got[*u.UserName] = true
		}
		if err := is("GroupName", out.Group.GroupName, group); err != nil {
			return err
		}
	}
	return eq("members", got, map[string]bool{want[0]: true, want[1]: true, want[2]: true})
}

func groupsOfUser(ctx context.Context, c *clients) error {
	user := c.user()
	want := map[string]bool{}
	for range 3 {
		group := c.group()
		c.join(group, user)
		want[group] = true
	}
	got := map[string]bool{}
	for p := iam.NewListGroupsForUserPaginator(c.iam, &iam.ListGroupsForUserInput{UserName: &user, MaxItems: new(int32(2))}); p.HasMorePages(); {
		out, err := p.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, g := range out.Groups {
			got[aws.ToString(g.GroupName)] = true
		}
	}
	return eq("groups", got, want)
}
