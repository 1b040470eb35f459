package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

func tagRows() []operationRow {
	users := tagged{tagName: "TagUser", untagName: "UntagUser", listName: "ListUserTags", resource: (*clients).user, absent: "absent",
		tag: func(ctx context.Context, by *iam.Client, id string, tags []types.Tag) error {
			_, err := by.TagUser(ctx, &iam.TagUserInput{UserName: &id, Tags: tags})
			return err
		},
		untag: func(ctx context.Context, by *iam.Client, id string, keys ...string) error {
			_, err := by.UntagUser(ctx, &iam.UntagUserInput{UserName: &id, TagKeys: keys})
			return err
		},
		page: func(ctx context.Context, by *iam.Client, id string, marker *string) ([]types.Tag, *string, error) {
			out, err := by.ListUserTags(ctx, &iam.ListUserTagsInput{UserName: &id, MaxItems: new(int32(1)), Marker: marker})
			if err != nil {
				return nil, nil, err
			}
			return out.Tags, out.Marker, nil
		}}
	roles := tagged{tagName: "TagRole", untagName: "UntagRole", listName: "ListRoleTags", resource: (*clients).role, absent: "absent",
		tag: func(ctx context.Context, by *iam.Client, id string, tags []types.Tag) error {
			_, err := by.TagRole(ctx, &iam.TagRoleInput{RoleName: &id, Tags: tags})
			return err
		},
		untag: func(ctx context.Context, by *iam.Client, id string, keys ...string) error {
			_, err := by.UntagRole(ctx, &iam.UntagRoleInput{RoleName: &id, TagKeys: keys})
			return err
		},
		page: func(ctx context.Context, by *iam.Client, id string, marker *string) ([]types.Tag, *string, error) {
			out, err := by.ListRoleTags(ctx, &iam.ListRoleTagsInput{RoleName: &id, MaxItems: new(int32(1)), Marker: marker})
			if err != nil {
				return nil, nil, err
			}
			return out.Tags, out.Marker, nil
		}}
	return append(users.rows(), roles.rows()...)
}

func moreTagRows() []operationRow {
	policies := tagged{tagName: "TagPolicy", untagName: "UntagPolicy", listName: "ListPolicyTags", absent: absentARN,
		resource: func(c *clients) string { return c.policy(1) },
		tag: func(ctx context.Context, by *iam.Client, id string, tags []types.Tag) error {
			_, err := by.TagPolicy(ctx, &iam.TagPolicyInput{PolicyArn: &id, Tags: tags})
			return err
		},
		untag: func(ctx context.Context, by *iam.Client, id string, keys ...string) error {
			_, err := by.UntagPolicy(ctx, &iam.UntagPolicyInput{PolicyArn: &id, TagKeys: keys})
			return err
		},
		page: func(ctx context.Context, by *iam.Client, id string, marker *string) ([]types.Tag, *string, error) {
			out, err := by.ListPolicyTags(ctx, &iam.ListPolicyTagsInput{PolicyArn: &id, MaxItems: new(int32(1)), Marker: marker})
			if err != nil {
				return nil, nil, err
			}
			return out.Tags, out.Marker, nil
		}}
	profiles := tagged{tagName: "TagInstanceProfile", untagName: "UntagInstanceProfile", listName: "ListInstanceProfileTags", resource: (*clients).profile, absent: "absent",
		tag: func(ctx context.Context, by *iam.Client, id string, tags []types.Tag) error {
			_, err := by.TagInstanceProfile(ctx, &iam.TagInstanceProfileInput{InstanceProfileName: &id, Tags: tags})
			return err
		},
		untag: func(ctx context.Context, by *iam.Client, id string, keys ...string) error {
			_, err := by.UntagInstanceProfile(ctx, &iam.UntagInstanceProfileInput{InstanceProfileName: &id, TagKeys: keys})
			return err
		},
		page: func(ctx context.Context, by *iam.Client, id string, marker *string) ([]types.Tag, *string, error) {
			out, err := by.ListInstanceProfileTags(ctx, &iam.ListInstanceProfileTagsInput{InstanceProfileName: &id, MaxItems: new(int32(1)), Marker: marker})
			if err != nil {
				return nil, nil, err
			}
			return out.Tags, out.Marker, nil
		}}
	return append(policies.rows(), profiles.rows()...)
}
