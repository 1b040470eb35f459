package main

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

const readOthers = "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": {\"Effect\": \"Allow\", \"Action\": \"storage:Get*\", \"Resource\": \"*\", \"Condition\": {\"StringEquals\": {\"aws:PrincipalTag/team\": \"a+b %41\"}}}\n}"

// long is a policy of more than n characters that are not white space.
func long(n int) *string {
	return new(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:storage:::` + strings.Repeat("x", n) + `"}}`)
}

func policyName(p types.Policy) string { return *p.PolicyName }

func policyRows() []operationRow {
	return []operationRow{
		{name: "CreatePolicy", good: func(ctx context.Context, c *clients) error {
			name := c.fresh("policy")
			out, err := c.iam.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: &name, Path: new("/p/"), PolicyDocument: new(readOthers), Description: new("d"), Tags: tagList("k", "v")})
			if err != nil {
				return err
			}
			p := out.Policy
			return errors.Join(is("Arn", p.Arn, ownARN("policy/p/"+name)), like("PolicyId", p.PolicyId, "ANPA[A-Z2-7]{17}"), is("DefaultVersionId", p.DefaultVersionId, "v1"),
				is("AttachmentCount", p.AttachmentCount, 0), is("PermissionsBoundaryUsageCount", p.PermissionsBoundaryUsageCount, 0), eq("IsAttachable", p.IsAttachable, true),
				eq("UpdateDate", *p.UpdateDate, *p.CreateDate), eq("Tags", each(p.Tags, tagText), []string{"k=v"}))
		}, refused: []refusal{
			refuseAt("EntityAlreadyExists", (*iam.Client).CreatePolicy, func(c *clients) iam.CreatePolicyInput {
				arn := c.policy(1)
				return iam.CreatePolicyInput{PolicyName: new(arn[strings.LastIndexByte(arn, '/')+1:]), Path: new("/elsewhere/"), PolicyDocument: new(allowAll)}
			}),
			refuse("MalformedPolicyDocument", (*iam.Client).CreatePolicy, iam.CreatePolicyInput{PolicyName: new("p"), PolicyDocument: new(notJSON)}),
			refuse("MalformedPolicyDocument", (*iam.Client).CreatePolicy, iam.CreatePolicyInput{PolicyName: new("p"), PolicyDocument: new(noAction)}),
			refuse("MalformedPolicyDocument", (*iam.Client).CreatePolicy, iam.CreatePolicyInput{PolicyName: new("p"), PolicyDocument: new(trustOwn)}),
			refuse("LimitExceeded", (*iam.Client).CreatePolicy, iam.CreatePolicyInput{PolicyName: new("p"), PolicyDocument: long(6144)}),
		}},
		{name: "GetPolicy", good: getsPolicy, refused: []refusal{refuse("NoSuchEntity", (*iam.Client).GetPolicy, iam.GetPolicyInput{PolicyArn: new(absentARN)})}},
		{name: "DeletePolicy", good: func(ctx context.Context, c *clients) error {
			_, err := c.iam.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: new(c.policy(1))})
			return err
		}, refused: policyConflicts()},
		{name: "ListPolicies", good: listsPolicies, refused: []refusal{forbid((*iam.Client).ListPolicies, iam.ListPoliciesInput{}), refuse("ValidationError", (*iam.Client).ListPolicies, iam.ListPoliciesInput{Scope: "Theirs"})}},
	}
}

func getsPolicy(ctx context.Context, c *clients) error {
	arn := c.policy(1)
	made[iam.AttachRolePolicyOutput](c)(c.aside.iam.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: new(c.role()), PolicyArn: &arn}))
	made[iam.AttachUserPolicyOutput](c)(c.aside.iam.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: new(c.user()), PolicyArn: &arn}))
	made[iam.PutUserPermissionsBoundaryOutput](c)(c.aside.iam.PutUserPermissionsBoundary(ctx, &iam.PutUserPermissionsBoundaryInput{UserName: new(c.user()), PermissionsBoundary: &arn}))
	own, err := c.iam.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &arn})
	if err != nil {
		return err
	}
	aws, err := c.iam.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: new(readOnlyARN)})
	if err != nil {
		return err
	}
	return errors.Join(is("AttachmentCount", own.Policy.AttachmentCount, 2), is("PermissionsBoundaryUsageCount", own.Policy.PermissionsBoundaryUsageCount, 1),
		is("AWS's", aws.Policy.PolicyName, "ReadOnlyAccess"), like("its id", aws.Policy.PolicyId, "ANPA[A-Z0-9]+"))
}

func policyConflicts() []refusal {
	list := []refusal{
		refuse("NoSuchEntity", (*iam.Client).DeletePolicy, iam.DeletePolicyInput{PolicyArn: new(absentARN)}),
		refuse("AccessDenied", (*iam.Client).DeletePolicy, iam.DeletePolicyInput{PolicyArn: new(readOnlyARN)}),
		refuseAt("DeleteConflict", (*iam.Client).DeletePolicy, func(c *clients) iam.DeletePolicyInput {
			return iam.DeletePolicyInput{PolicyArn: new(c.policy(2))}
		}),
	}
	for _, give := range []func(c *clients, arn string){
		func(c *clients, arn string) {
			made[iam.AttachGroupPolicyOutput](c)(c.aside.iam.AttachGroupPolicy(c.t.Context(), &iam.AttachGroupPolicyInput{GroupName: new(c.group()), PolicyArn: &arn}))
		},
		func(c *clients, arn string) {
			made[iam.PutRolePermissionsBoundaryOutput](c)(c.aside.iam.PutRolePermissionsBoundary(c.t.Context(), &iam.PutRolePermissionsBoundaryInput{RoleName: new(c.role()), PermissionsBoundary: &arn}))
		},
	} {
		list = append(list, refuseAt("DeleteConflict", (*iam.Client).DeletePolicy, func(c *clients) iam.DeletePolicyInput {
			arn := c.policy(1)
			give(c, arn)
			return iam.DeletePolicyInput{PolicyArn: &arn}
		}))
	}
	return list
}

func listsPolicies(ctx context.Context, c *clients) error {
	path := "/" + c.fresh("list") + "/"
	var want, got []string
	for range 3 {
		name := c.fresh("listed")
		made[iam.CreatePolicyOutput](c)(c.aside.iam.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: &name, Path: &path, PolicyDocument: new(allowAll), Description: new("d")}))
		want = append(want, name)
	}
	made[iam.AttachGroupPolicyOutput](c)(c.aside.iam.AttachGroupPolicy(ctx, &iam.AttachGroupPolicyInput{GroupName: new(c.group()), PolicyArn: new(ownARN("policy" + path + want[1]))}))
	made[iam.PutUserPermissionsBoundaryOutput](c)(c.aside.iam.PutUserPermissionsBoundary(ctx, &iam.PutUserPermissionsBoundaryInput{UserName: new(c.user()), PermissionsBoundary: new(ownARN("policy" + path + want[2]))}))
	for p := iam.NewListPoliciesPaginator(c.iam, &iam.ListPoliciesInput{PathPrefix: &path, MaxItems: new(int32(1))}); p.HasMorePages(); {
		out, err := p.NextPage(ctx)
		if err != nil {
			return err
		}
		got = append(got, each(out.Policies, policyName)...)
	}
	attached := made[iam.ListPoliciesOutput](c)(c.iam.ListPolicies(ctx, &iam.ListPoliciesInput{PathPrefix: &path, OnlyAttached: true}))
	bounding := made[iam.ListPoliciesOutput](c)(c.iam.ListPolicies(ctx, &iam.ListPoliciesInput{PathPrefix: &path, PolicyUsageFilter: "PermissionsBoundary"}))
	all := 0
	for p := iam.NewListPoliciesPaginator(c.iam, &iam.ListPoliciesInput{Scope: "AWS", MaxItems: new(int32(1000))}); p.HasMorePages(); {
		out, err := p.NextPage(ctx)
		if err != nil {
			return err
		}
		all += len(out.Policies)
	}
	return errors.Join(eq("policies", got, want), eq("attached", each(attached.Policies, policyName), want[1:2]), eq("bounding", each(bounding.Policies, policyName), want[2:]),
		absent("Description", attached.Policies[0].Description), eq("AWS's are many", all > 500, true))
}

func versionID(v types.PolicyVersion) string { return *v.VersionId }

func versionRows() []operationRow {
	return []operationRow{
		{name: "CreatePolicyVersion", good: func(ctx context.Context, c *clients) error {
			arn := c.policy(1)
			out, err := c.iam.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: &arn, PolicyDocument: new(readOthers), SetAsDefault: true})
			if err != nil {
				return err
			}
			after := made[iam.GetPolicyOutput](c)(c.aside.iam.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &arn})).Policy
			return errors.Join(is("VersionId", out.PolicyVersion.VersionId, "v2"), eq("IsDefaultVersion", out.PolicyVersion.IsDefaultVersion, true), absent("Document", out.PolicyVersion.Document),
				is("DefaultVersionId", after.DefaultVersionId, "v2"), eq("UpdateDate", *after.UpdateDate, *out.PolicyVersion.CreateDate))
		}, refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).CreatePolicyVersion, iam.CreatePolicyVersionInput{PolicyArn: new(absentARN), PolicyDocument: new(allowAll)}),
			refuseAt("LimitExceeded", (*iam.Client).CreatePolicyVersion, func(c *clients) iam.CreatePolicyVersionInput {
				return iam.CreatePolicyVersionInput{PolicyArn: new(c.policy(5)), PolicyDocument: new(allowAll)}
			}),
			refuseAt("MalformedPolicyDocument", (*iam.Client).CreatePolicyVersion, func(c *clients) iam.CreatePolicyVersionInput {
				return iam.CreatePolicyVersionInput{PolicyArn: new(c.policy(1)), PolicyDocument: new(notJSON)}
			}),
		}},
		{name: "GetPolicyVersion", good: func(ctx context.Context, c *clients) error {
			arn := c.policy(1)
			made[iam.CreatePolicyVersionOutput](c)(c.aside.iam.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: &arn, PolicyDocument: new(readOthers)}))
			out, err := c.iam.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: &arn, VersionId: new("v2")})
			if err != nil {
				return err
			}
			return errors.Join(isDocument("Document", out.PolicyVersion.Document, readOthers), eq("IsDefaultVersion", out.PolicyVersion.IsDefaultVersion, false))
		}, refused: []refusal{
			refuseAt("NoSuchEntity", (*iam.Client).GetPolicyVersion, func(c *clients) iam.GetPolicyVersionInput {
				return iam.GetPolicyVersionInput{PolicyArn: new(c.policy(1)), VersionId: new("v2")}
			}),
			refuse("ValidationError", (*iam.Client).GetPolicyVersion, iam.GetPolicyVersionInput{PolicyArn: new(absentARN), VersionId: new("2")}),
		}},
		{name: "DeletePolicyVersion", good: func(ctx context.Context, c *clients) error {
			arn := c.policy(3)
			_, err := c.iam.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: &arn, VersionId: new("v3")})
			next := made[iam.CreatePolicyVersionOutput](c)(c.aside.iam.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: &arn, PolicyDocument: new(allowAll)}))
			return errors.Join(err, is("a version's id is not used again", next.PolicyVersion.VersionId, "v4"))
		}, refused: []refusal{
			refuseAt("DeleteConflict", (*iam.Client).DeletePolicyVersion, func(c *clients) iam.DeletePolicyVersionInput {
				return iam.DeletePolicyVersionInput{PolicyArn: new(c.policy(2)), VersionId: new("v1")}
			}),
			refuse("NoSuchEntity", (*iam.Client).DeletePolicyVersion, iam.DeletePolicyVersionInput{PolicyArn: new(absentARN), VersionId: new("v1")}),
		}},
	}
}

func moreVersionRows() []operationRow {
	return []operationRow{
		{name: "ListPolicyVersions", good: func(ctx context.Context, c *clients) error {
			arn := c.policy(3)
			var got []string
			for p := iam.NewListPolicyVersionsPaginator(c.iam, &iam.ListPolicyVersionsInput{PolicyArn: &arn, MaxItems: new(int32(2))}); p.HasMorePages(); {
				out, err := p.NextPage(ctx)
				if err != nil {
					return err
				}
				got = append(got, each(out.Versions, versionID)...)
			}
			return eq("versions", got, []string{"v3", "v2", "v1"})
		}, refused: []refusal{refuse("NoSuchEntity", (*iam.Client).ListPolicyVersions, iam.ListPolicyVersionsInput{PolicyArn: new(absentARN)})}},
		{name: "SetDefaultPolicyVersion", good: func(ctx context.Context, c *clients) error {
			arn := c.policy(2)
			_, err := c.iam.SetDefaultPolicyVersion(ctx, &iam.SetDefaultPolicyVersionInput{PolicyArn: &arn, VersionId: new("v2")})
			after := made[iam.GetPolicyOutput](c)(c.aside.iam.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &arn})).Policy
			return errors.Join(err, is("DefaultVersionId", after.DefaultVersionId, "v2"))
		}, refused: []refusal{refuseAt("NoSuchEntity", (*iam.Client).SetDefaultPolicyVersion, func(c *clients) iam.SetDefaultPolicyVersionInput {
			return iam.SetDefaultPolicyVersionInput{PolicyArn: new(c.policy(1)), VersionId: new("v9")}
		})}},
	}
}

// attaches makes the three rows of attachments to one kind of bearer; fields of
// the SDK's inputs differ in the bearer's name alone.
type attaches[Attach, Attached, Detach, Detached, List, Listed any] struct {
	kind     string
	bearer   func(*clients) string
	attach   iamCall[Attach, Attached]
	detach   iamCall[Detach, Detached]
	list     iamCall[List, Listed]
	attachIn func(name, arn string) Attach
	detachIn func(name, arn string) Detach
	listIn   func(name, prefix string) List
	of       func(*Listed) []types.AttachedPolicy
}

func (a attaches[Attach, Attached, Detach, Detached, List, Listed]) rows() []operationRow {
	arnOf := func(p types.AttachedPolicy) string { return *p.PolicyArn }
	on := func(ctx context.Context, c *clients, name, arn string) error {
		in := a.attachIn(name, arn)
		_, err := a.attach(c.iam, ctx, &in)
		return err
	}
	held := func(ctx context.Context, c *clients, name string) ([]string, error) {
		in := a.listIn(name, "/")
		out, err := a.list(c.iam, ctx, &in)
		if err != nil {
			return nil, err
		}
		return each(a.of(out), arnOf), nil
	}
	return []operationRow{
		{name: "Attach" + a.kind + "Policy", good: func(ctx context.Context, c *clients) error {
			name, arn := a.bearer(c), c.policy(1)
			first, again := on(ctx, c, name, arn), on(ctx, c, name, arn)
			got, err := held(ctx, c, name)
			return errors.Join(first, again, err, eq("attached once", got, []string{arn}))
		}, refused: []refusal{
			refuseAt("NoSuchEntity", a.attach, func(c *clients) Attach { return a.attachIn(a.bearer(c), absentARN) }),
			refuse("NoSuchEntity", a.attach, a.attachIn("absent", readOnlyARN)),
			refuseAt("LimitExceeded", a.attach, func(c *clients) Attach {
				name := a.bearer(c)
				for range 10 {
					in := a.attachIn(name, c.policy(1))
					made[Attached](c)(a.attach(c.aside.iam, c.t.Context(), &in))
				}
				return a.attachIn(name, readOnlyARN)
			}),
		}},
		{name: "Detach" + a.kind + "Policy", good: func(ctx context.Context, c *clients) error {
			name := a.bearer(c)
			attached := on(ctx, c, name, readOnlyARN)
			in := a.detachIn(name, readOnlyARN)
			_, err := a.detach(c.iam, ctx, &in)
			got, listed := held(ctx, c, name)
			return errors.Join(attached, err, listed, eq("left", got, []string{}))
		}, refused: []refusal{refuseAt("NoSuchEntity", a.detach, func(c *clients) Detach { return a.detachIn(a.bearer(c), readOnlyARN) })}},
		{name: "ListAttached" + a.kind + "Policies", good: func(ctx context.Context, c *clients) error {
			name := a.bearer(c)
			attached := errors.Join(on(ctx, c, name, readOnlyARN), on(ctx, c, name, "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess"))
			in := a.listIn(name, "/job-function/")
			out, err := a.list(c.iam, ctx, &in)
			if err != nil {
				return err
			}
			return errors.Join(attached, eq("below the path", each(a.of(out), func(p types.AttachedPolicy) string { return *p.PolicyName }), []string{"ViewOnlyAccess"}))
		}, refused: []refusal{refuse("NoSuchEntity", a.list, a.listIn("absent", "/"))}},
	}
}

func attachedRows() []operationRow {
	users := attaches[iam.AttachUserPolicyInput, iam.AttachUserPolicyOutput, iam.DetachUserPolicyInput, iam.DetachUserPolicyOutput, iam.ListAttachedUserPoliciesInput, iam.ListAttachedUserPoliciesOutput]{
		kind: "User", bearer: (*clients).user, attach: (*iam.Client).AttachUserPolicy, detach: (*iam.Client).DetachUserPolicy, list: (*iam.Client).ListAttachedUserPolicies,
		attachIn: func(n, a string) iam.AttachUserPolicyInput {
			return iam.AttachUserPolicyInput{UserName: &n, PolicyArn: &a}
		},
		detachIn: func(n, a string) iam.DetachUserPolicyInput {
			return iam.DetachUserPolicyInput{UserName: &n, PolicyArn: &a}
		},
		listIn: func(n, p string) iam.ListAttachedUserPoliciesInput {
			return iam.ListAttachedUserPoliciesInput{UserName: &n, PathPrefix: &p}
		},
		of: func(o *iam.ListAttachedUserPoliciesOutput) []types.AttachedPolicy { return o.AttachedPolicies }}
	groups := attaches[iam.AttachGroupPolicyInput, iam.AttachGroupPolicyOutput, iam.DetachGroupPolicyInput, iam.DetachGroupPolicyOutput, iam.ListAttachedGroupPoliciesInput, iam.ListAttachedGroupPoliciesOutput]{
		kind: "Group", bearer: (*clients).group, attach: (*iam.Client).AttachGroupPolicy, detach: (*iam.Client).DetachGroupPolicy, list: (*iam.Client).ListAttachedGroupPolicies,
		attachIn: func(n, a string) iam.AttachGroupPolicyInput {
			return iam.AttachGroupPolicyInput{GroupName: &n, PolicyArn: &a}
		},
		detachIn: func(n, a string) iam.DetachGroupPolicyInput {
			return iam.DetachGroupPolicyInput{GroupName: &n, PolicyArn: &a}
		},
		listIn: func(n, p string) iam.ListAttachedGroupPoliciesInput {
			return iam.ListAttachedGroupPoliciesInput{GroupName: &n, PathPrefix: &p}
		},
		of: func(o *iam.ListAttachedGroupPoliciesOutput) []types.AttachedPolicy { return o.AttachedPolicies }}
	roles := attaches[iam.AttachRolePolicyInput, iam.AttachRolePolicyOutput, iam.DetachRolePolicyInput, iam.DetachRolePolicyOutput, iam.ListAttachedRolePoliciesInput, iam.ListAttachedRolePoliciesOutput]{
		kind: "Role", bearer: (*clients).role, attach: (*iam.Client).AttachRolePolicy, detach: (*iam.Client).DetachRolePolicy, list: (*iam.Client).ListAttachedRolePolicies,
		attachIn: func(n, a string) iam.AttachRolePolicyInput {
			return iam.AttachRolePolicyInput{RoleName: &n, PolicyArn: &a}
		},
		detachIn: func(n, a string) iam.DetachRolePolicyInput {
			return iam.DetachRolePolicyInput{RoleName: &n, PolicyArn: &a}
		},
		listIn: func(n, p string) iam.ListAttachedRolePoliciesInput {
			return iam.ListAttachedRolePoliciesInput{RoleName: &n, PathPrefix: &p}
		},
		of: func(o *iam.ListAttachedRolePoliciesOutput) []types.AttachedPolicy { return o.AttachedPolicies }}
	return append(append(users.rows(), groups.rows()...), roles.rows()...)
}
