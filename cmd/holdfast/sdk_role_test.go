package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"
)

// codeOf is the code of an error that the server answered, or "".
func codeOf(err error) string {
	var answered smithy.APIError
	if errors.As(err, &answered) {
		return answered.ErrorCode()
	}
	return ""
}

// isDocument says that a policy comes back as AWS sends it: URL-encoded, and
// otherwise as it was put.
func isDocument(what string, got *string, want string) error {
	if got == nil {
		return fmt.Errorf("%s is absent", what)
	}
	text, err := url.PathUnescape(*got)
	if err != nil || strings.ContainsAny(*got, `{" `) {
		return fmt.Errorf("%s is not encoded: %s", what, *got)
	}
	return eq(what, text, want)
}

const (
	trustAbsent = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/absent"},"Action":"sts:AssumeRole"}}`
	trustedEC2  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
)

func roleRows() []operationRow {
	return []operationRow{
		{name: "CreateRole", good: createsRole, refused: []refusal{
			refuseAt("EntityAlreadyExists", (*iam.Client).CreateRole, func(c *clients) iam.CreateRoleInput {
				return iam.CreateRoleInput{RoleName: new(c.role()), AssumeRolePolicyDocument: new(trustOwn)}
			}),
			refuse("MalformedPolicyDocument", (*iam.Client).CreateRole, iam.CreateRoleInput{RoleName: new("r"), AssumeRolePolicyDocument: new(notJSON)}),
			refuse("MalformedPolicyDocument", (*iam.Client).CreateRole, iam.CreateRoleInput{RoleName: new("r"), AssumeRolePolicyDocument: new(trustAbsent)}),
			refuse("MalformedPolicyDocument", (*iam.Client).CreateRole, iam.CreateRoleInput{RoleName: new("r"), AssumeRolePolicyDocument: new(allowAll)}),
			refuse("ValidationError", (*iam.Client).CreateRole, iam.CreateRoleInput{RoleName: new("r"), AssumeRolePolicyDocument: new(trustOwn), MaxSessionDuration: new(int32(3599))}),
			refuse("InvalidInput", (*iam.Client).CreateRole, iam.CreateRoleInput{RoleName: new("r"), AssumeRolePolicyDocument: new(trustOwn), Tags: tagList("aws:x", "1")}),
		}},
		{name: "GetRole", good: getsRole, refused: []refusal{refuse("NoSuchEntity", (*iam.Client).GetRole, iam.GetRoleInput{RoleName: new("absent")})}},
		{name: "UpdateRole", good: func(ctx context.Context, c *clients) error {
			name := c.role()
			_, err := c.iam.UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: &name, Description: new("d"), MaxSessionDuration: new(int32(7200))})
			longer := made[iam.GetRoleOutput](c)(c.aside.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})).Role
			_, again := c.iam.UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: &name})
			reset := made[iam.GetRoleOutput](c)(c.aside.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})).Role
			return errors.Join(err, again, is("Description", longer.Description, "d"), is("MaxSessionDuration", longer.MaxSessionDuration, 7200),
				is("without a value", reset.MaxSessionDuration, 3600))
		}, refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).UpdateRole, iam.UpdateRoleInput{RoleName: new("absent")}),
			refuse("ValidationError", (*iam.Client).UpdateRole, iam.UpdateRoleInput{RoleName: new("absent"), MaxSessionDuration: new(int32(43201))}),
		}},
		{name: "UpdateRoleDescription", good: func(ctx context.Context, c *clients) error {
			name := c.role()
			out, err := c.iam.UpdateRoleDescription(ctx, &iam.UpdateRoleDescriptionInput{RoleName: &name, Description: new("said")})
			if err != nil {
				return err
			}
			return errors.Join(is("Description", out.Role.Description, "said"), is("RoleName", out.Role.RoleName, name))
		}, refused: []refusal{refuse("NoSuchEntity", (*iam.Client).UpdateRoleDescription, iam.UpdateRoleDescriptionInput{RoleName: new("absent"), Description: new("")})}},
		{name: "UpdateAssumeRolePolicy", good: func(ctx context.Context, c *clients) error {
			name := c.role()
			_, err := c.iam.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: &name, PolicyDocument: new(trustedEC2)})
			after := made[iam.GetRoleOutput](c)(c.aside.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})).Role
			return errors.Join(err, isDocument("AssumeRolePolicyDocument", after.AssumeRolePolicyDocument, trustedEC2))
		}, refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).UpdateAssumeRolePolicy, iam.UpdateAssumeRolePolicyInput{RoleName: new("absent"), PolicyDocument: new(trustOwn)}),
			refuseAt("MalformedPolicyDocument", (*iam.Client).UpdateAssumeRolePolicy, func(c *clients) iam.UpdateAssumeRolePolicyInput {
				return iam.UpdateAssumeRolePolicyInput{RoleName: new(c.role()), PolicyDocument: new(trustAbsent)}
			}),
			refuseAt("LimitExceeded", (*iam.Client).UpdateAssumeRolePolicy, func(c *clients) iam.UpdateAssumeRolePolicyInput {
				return iam.UpdateAssumeRolePolicyInput{RoleName: new(c.role()), PolicyDocument: new(strings.Replace(trustOwn, `"Effect"`, `"Sid":"`+strings.Repeat("x", 8192)+`","Effect"`, 1))}
			}),
		}},
		{name: "DeleteRole", good: func(ctx context.Context, c *clients) error {
			_, err := c.iam.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: new(c.role())})
			return err
		}, refused: append(roleConflicts(), refuse("NoSuchEntity", (*iam.Client).DeleteRole, iam.DeleteRoleInput{RoleName: new("absent")}))},
		{name: "ListRoles", good: listsRoles, refused: []refusal{forbid((*iam.Client).ListRoles, iam.ListRolesInput{})}},
	}
}

func roleConflicts() []refusal {
	var list []refusal
	for _, give := range []func(c *clients, role string){
		func(c *clients, role string) {
			made[iam.AttachRolePolicyOutput](c)(c.aside.iam.AttachRolePolicy(c.t.Context(), &iam.AttachRolePolicyInput{RoleName: &role, PolicyArn: new(readOnlyARN)}))
		},
		func(c *clients, role string) {
			made[iam.PutRolePolicyOutput](c)(c.aside.iam.PutRolePolicy(c.t.Context(), &iam.PutRolePolicyInput{RoleName: &role, PolicyName: new("p"), PolicyDocument: new(allowAll)}))
		},
		func(c *clients, role string) {
			made[iam.AddRoleToInstanceProfileOutput](c)(c.aside.iam.AddRoleToInstanceProfile(c.t.Context(), &iam.AddRoleToInstanceProfileInput{InstanceProfileName: new(c.profile()), RoleName: &role}))
		},
	} {
		list = append(list, refuseAt("DeleteConflict", (*iam.Client).DeleteRole, func(c *clients) iam.DeleteRoleInput {
			name := c.role()
			give(c, name)
			return iam.DeleteRoleInput{RoleName: &name}
		}))
	}
	return list
}

func createsRole(ctx context.Context, c *clients) error {
	name, boundary := c.fresh("role"), c.policy(1)
	out, err := c.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &name, Path: new("/r/"), AssumeRolePolicyDocument: new(trustOwn), Description: new("d"),
		PermissionsBoundary: &boundary, Tags: tagList("k", "v")})
	if err != nil {
		return err
	}
	r := out.Role
	return errors.Join(is("RoleName", r.RoleName, name), is("Arn", r.Arn, ownARN("role/r/"+name)), like("RoleId", r.RoleId, "AROA[A-Z2-7]{17}"),
		is("boundary", r.PermissionsBoundary.PermissionsBoundaryArn, boundary), is("MaxSessionDuration", r.MaxSessionDuration, 3600),
		isDocument("AssumeRolePolicyDocument", r.AssumeRolePolicyDocument, trustOwn), eq("Tags", each(r.Tags, tagText), []string{"k=v"}))
}

func getsRole(ctx context.Context, c *clients) error {
	name := c.role()
	out, err := c.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
	if err != nil {
		return err
	}
	r := out.Role
	return errors.Join(is("RoleName", r.RoleName, name), isDocument("AssumeRolePolicyDocument", r.AssumeRolePolicyDocument, trustOwn),
		absent("a boundary", r.PermissionsBoundary), absent("RoleLastUsed.LastUsedDate", r.RoleLastUsed.LastUsedDate), absent("Description", r.Description))
}

func listsRoles(ctx context.Context, c *clients) error {
	path := "/" + c.fresh("list") + "/"
	var want, got []string
	for range 3 {
		name := c.fresh("listed")
		made[iam.CreateRoleOutput](c)(c.aside.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &name, Path: &path, AssumeRolePolicyDocument: new(trustOwn), Description: new("d"), Tags: tagList("k", "v")}))
		want = append(want, name)
	}
	for p := iam.NewListRolesPaginator(c.iam, &iam.ListRolesInput{PathPrefix: &path, MaxItems: new(int32(2))}); p.HasMorePages(); {
		out, err := p.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, r := range out.Roles {
			got = append(got, *r.RoleName)
			if err := errors.Join(is("Description", r.Description, "d"), is("MaxSessionDuration", r.MaxSessionDuration, 3600)); err != nil {
				return err
			}
			if r.Tags != nil || r.PermissionsBoundary != nil || r.RoleLastUsed != nil {
				return fmt.Errorf("ListRoles shows what AWS says it does not: %v", r)
			}
		}
	}
	return eq("roles", got, want)
}

func profileName(p types.InstanceProfile) string { return *p.InstanceProfileName }

func profileRows() []operationRow {
	return []operationRow{
		{name: "CreateInstanceProfile", good: func(ctx context.Context, c *clients) error {
			name := c.fresh("profile")
			out, err := c.iam.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: &name, Path: new("/i/"), Tags: tagList("k", "v")})
			if err != nil {
				return err
			}
			p := out.InstanceProfile
			return errors.Join(is("Arn", p.Arn, ownARN("instance-profile/i/"+name)), like("InstanceProfileId", p.InstanceProfileId, "AIPA[A-Z2-7]{17}"),
				eq("Roles", len(p.Roles), 0), eq("Tags", each(p.Tags, tagText), []string{"k=v"}))
		}, refused: []refusal{refuseAt("EntityAlreadyExists", (*iam.Client).CreateInstanceProfile, func(c *clients) iam.CreateInstanceProfileInput {
			return iam.CreateInstanceProfileInput{InstanceProfileName: new(c.profile())}
		})}},
		{name: "GetInstanceProfile", good: func(ctx context.Context, c *clients) error {
			name, role := c.filled()
			out, err := c.iam.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: &name})
			if err != nil {
				return err
			}
			r := out.InstanceProfile.Roles
			return errors.Join(eq("roles", len(r), 1), is("RoleName", r[0].RoleName, role), isDocument("its trust", r[0].AssumeRolePolicyDocument, trustOwn))
		}, refused: []refusal{refuse("NoSuchEntity", (*iam.Client).GetInstanceProfile, iam.GetInstanceProfileInput{InstanceProfileName: new("absent")})}},
		{name: "DeleteInstanceProfile", good: func(ctx context.Context, c *clients) error {
			_, err := c.iam.DeleteInstanceProfile(ctx, &iam.DeleteInstanceProfileInput{InstanceProfileName: new(c.profile())})
			return err
		}, refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).DeleteInstanceProfile, iam.DeleteInstanceProfileInput{InstanceProfileName: new("absent")}),
			refuseAt("DeleteConflict", (*iam.Client).DeleteInstanceProfile, func(c *clients) iam.DeleteInstanceProfileInput {
				name, _ := c.filled()
				return iam.DeleteInstanceProfileInput{InstanceProfileName: &name}
			}),
		}},
		{name: "ListInstanceProfiles", good: func(ctx context.Context, c *clients) error {
			path, name := "/"+c.fresh("list")+"/", c.fresh("listed")
			made[iam.CreateInstanceProfileOutput](c)(c.aside.iam.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: &name, Path: &path}))
			out, err := c.iam.ListInstanceProfiles(ctx, &iam.ListInstanceProfilesInput{PathPrefix: &path})
			if err != nil {
				return err
			}
			return eq("profiles", each(out.InstanceProfiles, profileName), []string{name})
		}, refused: []refusal{forbid((*iam.Client).ListInstanceProfiles, iam.ListInstanceProfilesInput{})}},
		{name: "ListInstanceProfilesForRole", good: func(ctx context.Context, c *clients) error {
			name, role := c.filled()
			out, err := c.iam.ListInstanceProfilesForRole(ctx, &iam.ListInstanceProfilesForRoleInput{RoleName: &role})
			if err != nil {
				return err
			}
			return eq("profiles", each(out.InstanceProfiles, profileName), []string{name})
		}, refused: []refusal{refuse("NoSuchEntity", (*iam.Client).ListInstanceProfilesForRole, iam.ListInstanceProfilesForRoleInput{RoleName: new("absent")})}},
		{name: "AddRoleToInstanceProfile", good: func(ctx context.Context, c *clients) error {
			_, err := c.iam.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: new(c.profile()), RoleName: new(c.role())})
			return err
		}, refused: profileRefusals()},
		{name: "RemoveRoleFromInstanceProfile", good: func(ctx context.Context, c *clients) error {
			name, role := c.filled()
			_, err := c.iam.RemoveRoleFromInstanceProfile(ctx, &iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: &name, RoleName: &role})
			after := made[iam.GetInstanceProfileOutput](c)(c.aside.iam.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: &name}))
			return errors.Join(err, eq("roles", len(after.InstanceProfile.Roles), 0))
		}, refused: []refusal{refuseAt("NoSuchEntity", (*iam.Client).RemoveRoleFromInstanceProfile, func(c *clients) iam.RemoveRoleFromInstanceProfileInput {
			return iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: new(c.profile()), RoleName: new("absent")}
		})}},
	}
}

func profileRefusals() []refusal {
	return []refusal{
		refuseAt("LimitExceeded", (*iam.Client).AddRoleToInstanceProfile, func(c *clients) iam.AddRoleToInstanceProfileInput {
			name, _ := c.filled()
			return iam.AddRoleToInstanceProfileInput{InstanceProfileName: &name, RoleName: new(c.role())}
		}),
		refuseAt("NoSuchEntity", (*iam.Client).AddRoleToInstanceProfile, func(c *clients) iam.AddRoleToInstanceProfileInput {
			return iam.AddRoleToInstanceProfileInput{InstanceProfileName: new(c.profile()), RoleName: new("absent")}
		}),
		// who may change the profile and not pass the role
		{"AccessDenied", func(ctx context.Context, c *clients) error {
			limited := c.allowed(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:AddRoleToInstanceProfile","Resource":"*"}}`)
			_, err := limited.iam.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: new(c.profile()), RoleName: new(c.role())})
			return err
		}},
	}
}
