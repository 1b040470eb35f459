package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// lookRows look at a whole account.
func lookRows() []operationRow {
	return []operationRow{
		{name: "ListEntitiesForPolicy", good: listsEntities, refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).ListEntitiesForPolicy, iam.ListEntitiesForPolicyInput{PolicyArn: new(absentARN)}),
		}},
		{name: "GetAccountAuthorizationDetails", good: describesAccount, refused: []refusal{
			forbid((*iam.Client).GetAccountAuthorizationDetails, iam.GetAccountAuthorizationDetailsInput{}),
			refuse("ValidationError", (*iam.Client).GetAccountAuthorizationDetails, iam.GetAccountAuthorizationDetailsInput{Filter: []types.EntityType{"Robot"}}),
		}},
	}
}

func listsEntities(ctx context.Context, c *clients) error {
	arn, user, bounded, group, role := c.policy(1), c.user(), c.user(), c.group(), c.role()
	made[iam.AttachUserPolicyOutput](c)(c.aside.iam.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: &user, PolicyArn: &arn}))
	made[iam.PutUserPermissionsBoundaryOutput](c)(c.aside.iam.PutUserPermissionsBoundary(ctx, &iam.PutUserPermissionsBoundaryInput{UserName: &bounded, PermissionsBoundary: &arn}))
	made[iam.AttachGroupPolicyOutput](c)(c.aside.iam.AttachGroupPolicy(ctx, &iam.AttachGroupPolicyInput{GroupName: &group, PolicyArn: &arn}))
	made[iam.AttachRolePolicyOutput](c)(c.aside.iam.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: &role, PolicyArn: &arn}))
	find := func(in iam.ListEntitiesForPolicyInput) (map[string]bool, error) {
		in.PolicyArn, in.MaxItems = &arn, new(int32(1))
		got := map[string]bool{}
		for p := iam.NewListEntitiesForPolicyPaginator(c.iam, &in); p.HasMorePages(); {
			out, err := p.NextPage(ctx)
			if err != nil {
				return nil, err
			}
			for _, x := range out.PolicyUsers {
				got[*x.UserName] = true
			}
			for _, x := range out.PolicyGroups {
				got[*x.GroupName] = true
			}
			for _, x := range out.PolicyRoles {
				got[*x.RoleName] = true
			}
		}
		return got, nil
	}
	all, err := find(iam.ListEntitiesForPolicyInput{})
	groups, err2 := find(iam.ListEntitiesForPolicyInput{EntityFilter: types.EntityTypeGroup})
	bounds, err3 := find(iam.ListEntitiesForPolicyInput{PolicyUsageFilter: types.PolicyUsageTypePermissionsBoundary})
	return errors.Join(err, err2, err3, eq("all", all, map[string]bool{user: true, bounded: true, group: true, role: true}),
		eq("groups", groups, map[string]bool{group: true}), eq("bounded", bounds, map[string]bool{bounded: true}))
}

func describesAccount(ctx context.Context, c *clients) error {
	user, group, arn := c.user(), c.group(), c.policy(2)
	profile, role := c.filled()
	c.join(group, user)
	made[iam.PutUserPolicyOutput](c)(c.aside.iam.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: &user, PolicyName: new("in"), PolicyDocument: new(readOthers)}))
	made[iam.AttachRolePolicyOutput](c)(c.aside.iam.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: &role, PolicyArn: &arn}))
	made[iam.TagUserOutput](c)(c.aside.iam.TagUser(ctx, &iam.TagUserInput{UserName: &user, Tags: tagList("k", "v")}))
	seen := map[string]int{}
	var found []error
	for p := iam.NewGetAccountAuthorizationDetailsPaginator(c.iam, &iam.GetAccountAuthorizationDetailsInput{MaxItems: new(int32(7))}); p.HasMorePages(); {
		out, err := p.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, u := range out.UserDetailList {
			if *u.UserName == user {
				seen["user"]++
				found = append(found, eq("GroupList", u.GroupList, []string{group}), isDocument("UserPolicyList", u.UserPolicyList[0].PolicyDocument, readOthers), eq("Tags", each(u.Tags, tagText), []string{"k=v"}))
			}
		}
		for _, r := range out.RoleDetailList {
			if *r.RoleName == role {
				seen["role"]++
				found = append(found, isDocument("AssumeRolePolicyDocument", r.AssumeRolePolicyDocument, trustOwn), is("InstanceProfileList", r.InstanceProfileList[0].InstanceProfileName, profile),
					is("AttachedManagedPolicies", r.AttachedManagedPolicies[0].PolicyArn, arn))
			}
		}
		for _, g := range out.GroupDetailList {
			if *g.GroupName == group {
				seen["group"]++
			}
		}
		for _, m := range out.Policies {
			if *m.Arn == arn {
				seen["policy"]++
				found = append(found, eq("PolicyVersionList", len(m.PolicyVersionList), 2), isDocument("its document", m.PolicyVersionList[0].Document, allowAll), is("AttachmentCount", m.AttachmentCount, 1))
			}
		}
	}
	only, err := c.iam.GetAccountAuthorizationDetails(ctx, &iam.GetAccountAuthorizationDetailsInput{Filter: []types.EntityType{types.EntityTypeGroup}})
	if err != nil {
		return err
	}
	return errors.Join(append(found, eq("each once", seen, map[string]int{"user": 1, "role": 1, "group": 1, "policy": 1}), eq("filtered", len(only.UserDetailList)+len(only.RoleDetailList)+len(only.Policies), 0))...)
}

const (
	photosOnly = `{"Version":"2012-10-17","Statement":[
  {"Effect":"Allow","Action":"storage:Get*","Resource":"arn:aws:storage:::photos/*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"a"}}},
  {"Effect":"Deny","Action":"storage:Drop*","Resource":"*"}]}`
	photo = "arn:aws:storage:::photos/cat"
)

func simulationRows() []operationRow {
	return []operationRow{
		{name: "SimulateCustomPolicy", good: simulatesCustom, refused: []refusal{
			refuse("InvalidInput", (*iam.Client).SimulateCustomPolicy, iam.SimulateCustomPolicyInput{PolicyInputList: []string{notJSON}, ActionNames: []string{"storage:Get"}}),
			refuse("InvalidInput", (*iam.Client).SimulateCustomPolicy, iam.SimulateCustomPolicyInput{PolicyInputList: []string{allowAll}, ActionNames: []string{"noColon"}}),
			forbid((*iam.Client).SimulateCustomPolicy, iam.SimulateCustomPolicyInput{PolicyInputList: []string{allowAll}, ActionNames: []string{"storage:Get"}}),
		}},
		{name: "SimulatePrincipalPolicy", good: simulatesPrincipal, refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).SimulatePrincipalPolicy, iam.SimulatePrincipalPolicyInput{PolicySourceArn: new(ownARN("user/absent")), ActionNames: []string{"storage:Get"}}),
			refuse("InvalidInput", (*iam.Client).SimulatePrincipalPolicy, iam.SimulatePrincipalPolicyInput{PolicySourceArn: new(absentARN), ActionNames: []string{"storage:Get"}}),
		}},
		{name: "GetContextKeysForCustomPolicy", good: func(ctx context.Context, c *clients) error {
			out, err := c.iam.GetContextKeysForCustomPolicy(ctx, &iam.GetContextKeysForCustomPolicyInput{PolicyInputList: []string{photosOnly, readOthers,
				`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:storage:::${aws:username}"}}`}})
			if err != nil {
				return err
			}
			return eq("keys, those of variables too", sorted(out.ContextKeyNames), []string{"aws:PrincipalTag/team", "aws:username"})
		}, refused: []refusal{
			refuse("InvalidInput", (*iam.Client).GetContextKeysForCustomPolicy, iam.GetContextKeysForCustomPolicyInput{PolicyInputList: []string{notJSON}}),
		}},
		{name: "GetContextKeysForPrincipalPolicy", good: func(ctx context.Context, c *clients) error {
			user, group := c.user(), c.group()
			c.join(group, user)
			made[iam.PutGroupPolicyOutput](c)(c.aside.iam.PutGroupPolicy(ctx, &iam.PutGroupPolicyInput{GroupName: &group, PolicyName: new("p"), PolicyDocument: new(photosOnly)}))
			out, err := c.iam.GetContextKeysForPrincipalPolicy(ctx, &iam.GetContextKeysForPrincipalPolicyInput{PolicySourceArn: new(ownARN("user/" + user)),
				PolicyInputList: []string{`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}}`}})
			if err != nil {
				return err
			}
			return eq("keys, those of the user's groups too", sorted(out.ContextKeyNames), []string{"aws:PrincipalTag/team", "aws:SecureTransport"})
		}, refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).GetContextKeysForPrincipalPolicy, iam.GetContextKeysForPrincipalPolicyInput{PolicySourceArn: new(ownARN("role/absent"))}),
		}},
	}
}

func teamIs(team string) []types.ContextEntry {
	return []types.ContextEntry{{ContextKeyName: new("aws:PrincipalTag/team"), ContextKeyType: types.ContextKeyTypeEnumString, ContextKeyValues: []string{team}}}
}

// verdicts are a simulation's answers in order.
func verdicts(list []types.EvaluationResult) []string {
	return each(list, func(r types.EvaluationResult) string {
		return fmt.Sprintf("%s %s", *r.EvalActionName, r.EvalDecision)
	})
}

func simulatesCustom(ctx context.Context, c *clients) error {
	in := &iam.SimulateCustomPolicyInput{PolicyInputList: []string{photosOnly}, ActionNames: []string{"storage:GetObject", "storage:DropTable", "storage:Put"}, ResourceArns: []string{photo}, ContextEntries: teamIs("a")}
	out, err := c.iam.SimulateCustomPolicy(ctx, in)
	if err != nil {
		return err
	}
	in.ContextEntries = nil
	without, err := c.iam.SimulateCustomPolicy(ctx, in)
	if err != nil {
		return err
	}
	in.ContextEntries, in.PermissionsBoundaryPolicyInputList = teamIs("a"), []string{`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:*","Resource":"*"}}`}
	bounded, err := c.iam.SimulateCustomPolicy(ctx, in)
	if err != nil {
		return err
	}
	first := out.EvaluationResults[0]
	if len(first.MatchedStatements) != 1 {
		return fmt.Errorf("%d statements matched", len(first.MatchedStatements))
	}
	m := first.MatchedStatements[0]
	return errors.Join(eq("verdicts", verdicts(out.EvaluationResults), []string{"storage:GetObject allowed", "storage:DropTable explicitDeny", "storage:Put implicitDeny"}),
		is("EvalResourceName", first.EvalResourceName, photo), is("SourcePolicyId", m.SourcePolicyId, "PolicyInputList.1"), eq("StartPosition.Line", m.StartPosition.Line, 2),
		eq("without the key", verdicts(without.EvaluationResults)[0], "storage:GetObject implicitDeny"), eq("MissingContextValues", without.EvaluationResults[0].MissingContextValues, []string{"aws:PrincipalTag/team"}),
		eq("bounded", verdicts(bounded.EvaluationResults)[0], "storage:GetObject implicitDeny"), eq("AllowedByPermissionsBoundary", bounded.EvaluationResults[0].PermissionsBoundaryDecisionDetail.AllowedByPermissionsBoundary, false))
}

func simulatesPrincipal(ctx context.Context, c *clients) error {
	user, group := c.user(), c.group()
	c.join(group, user)
	made[iam.PutGroupPolicyOutput](c)(c.aside.iam.PutGroupPolicy(ctx, &iam.PutGroupPolicyInput{GroupName: &group, PolicyName: new("p"), PolicyDocument: new(photosOnly)}))
	made[iam.AttachUserPolicyOutput](c)(c.aside.iam.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: &user, PolicyArn: new(c.policy(1))}))
	var got []types.EvaluationResult
	for p := iam.NewSimulatePrincipalPolicyPaginator(c.iam, &iam.SimulatePrincipalPolicyInput{PolicySourceArn: new(ownARN("user/" + user)), MaxItems: new(int32(1)),
		ActionNames: []string{"storage:Put", "storage:DropTable"}, ResourceArns: []string{photo}}); p.HasMorePages(); {
		out, err := p.NextPage(ctx)
		if err != nil {
			return err
		}
		got = append(got, out.EvaluationResults...)
	}
	if len(got) != 2 || len(got[0].MatchedStatements) != 1 {
		return fmt.Errorf("%v", verdicts(got))
	}
	return errors.Join(eq("verdicts", verdicts(got), []string{"storage:Put allowed", "storage:DropTable explicitDeny"}),
		eq("SourcePolicyType", got[0].MatchedStatements[0].SourcePolicyType, types.PolicySourceTypeUserManaged))
}
