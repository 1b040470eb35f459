package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// inlines are the four operations on inline policies of one kind of bearer.
type inlines struct {
	kind   string
	limit  int // characters of all together (IAM User Guide, "IAM and AWS STS quotas")
	bearer func(*clients) string
	put    func(ctx context.Context, by *iam.Client, name, policy, document string) error
	get    func(ctx context.Context, by *iam.Client, name, policy string) (document *string, err error)
	remove func(ctx context.Context, by *iam.Client, name, policy string) error
	list   func(ctx context.Context, by *iam.Client, name string) ([]string, error)
}

func (x inlines) rows() []operationRow {
	refused := func(code string, call func(ctx context.Context, c *clients, name string) error) refusal {
		return refusal{code, func(ctx context.Context, c *clients) error { return call(ctx, c, x.bearer(c)) }}
	}
	return []operationRow{
		{name: "Put" + x.kind + "Policy", good: func(ctx context.Context, c *clients) error {
			name := x.bearer(c)
			first, second := x.put(ctx, c.iam, name, "p", allowAll), x.put(ctx, c.iam, name, "p", readOthers)
			got, err := x.get(ctx, c.iam, name, "p")
			return errors.Join(first, second, err, isDocument("the second", got, readOthers))
		}, refused: []refusal{
			refused("MalformedPolicyDocument", func(ctx context.Context, c *clients, name string) error {
				return x.put(ctx, c.iam, name, "p", notJSON)
			}),
			refused("MalformedPolicyDocument", func(ctx context.Context, c *clients, name string) error {
				return x.put(ctx, c.iam, name, "p", noAction)
			}),
			refused("LimitExceeded", func(ctx context.Context, c *clients, name string) error {
				return errors.Join(x.put(ctx, c.aside.iam, name, "p", *long(x.limit - 500)), x.put(ctx, c.iam, name, "q", *long(500)))
			}),
			refused("NoSuchEntity", func(ctx context.Context, c *clients, _ string) error {
				return x.put(ctx, c.iam, "absent", "p", allowAll)
			}),
			refused("ValidationError", func(ctx context.Context, c *clients, name string) error {
				return x.put(ctx, c.iam, name, "p q", allowAll)
			}),
		}},
		{name: "Get" + x.kind + "Policy", good: func(ctx context.Context, c *clients) error {
			name := x.bearer(c)
			put := x.put(ctx, c.aside.iam, name, "p", readOthers)
			got, err := x.get(ctx, c.iam, name, "p")
			return errors.Join(put, err, isDocument("PolicyDocument", got, readOthers))
		}, refused: []refusal{refused("NoSuchEntity", func(ctx context.Context, c *clients, name string) error {
			_, err := x.get(ctx, c.iam, name, "absent")
			return err
		})}},
		{name: "Delete" + x.kind + "Policy", good: func(ctx context.Context, c *clients) error {
			name := x.bearer(c)
			put := x.put(ctx, c.aside.iam, name, "p", allowAll)
			err := x.remove(ctx, c.iam, name, "p")
			left, listed := x.list(ctx, c.aside.iam, name)
			return errors.Join(put, err, listed, eq("left", left, []string{}))
		}, refused: []refusal{refused("NoSuchEntity", func(ctx context.Context, c *clients, name string) error {
			return x.remove(ctx, c.iam, name, "absent")
		})}},
		{name: "List" + x.kind + "Policies", good: func(ctx context.Context, c *clients) error {
			name := x.bearer(c)
			put := errors.Join(x.put(ctx, c.aside.iam, name, "b", allowAll), x.put(ctx, c.aside.iam, name, "a", allowAll))
			got, err := x.list(ctx, c.iam, name)
			return errors.Join(put, err, eq("names", got, []string{"a", "b"}))
		}, refused: []refusal{refused("NoSuchEntity", func(ctx context.Context, c *clients, _ string) error {
			_, err := x.list(ctx, c.iam, "absent")
			return err
		})}},
	}
}

// theBearer says that an inline policy's answer names what was asked for.
func theBearer(name, policy *string, wantName, wantPolicy string, err error) error {
	if err != nil {
		return err
	}
	return errors.Join(is("its bearer", name, wantName), is("PolicyName", policy, wantPolicy))
}

func inlineUserRows() []operationRow {
	return inlines{kind: "User", limit: 2048, bearer: (*clients).user,
		put: func(ctx context.Context, by *iam.Client, name, policy, document string) error {
			_, err := by.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: &name, PolicyName: &policy, PolicyDocument: &document})
			return err
		},
		get: func(ctx context.Context, by *iam.Client, name, policy string) (*string, error) {
			out, err := by.GetUserPolicy(ctx, &iam.GetUserPolicyInput{UserName: &name, PolicyName: &policy})
			if err != nil {
				return nil, err
			}
			return out.PolicyDocument, theBearer(out.UserName, out.PolicyName, name, policy, nil)
		},
		remove: func(ctx context.Context, by *iam.Client, name, policy string) error {
			_, err := by.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{UserName: &name, PolicyName: &policy})
			return err
		},
		list: func(ctx context.Context, by *iam.Client, name string) ([]string, error) {
			names := []string{}
			for p := iam.NewListUserPoliciesPaginator(by, &iam.ListUserPoliciesInput{UserName: &name, MaxItems: new(int32(1))}); p.HasMorePages(); {
				out, err := p.NextPage(ctx)
				if err != nil {
					return nil, err
				}
				names = append(names, out.PolicyNames...)
			}
			return names, nil
		}}.rows()
}

func inlineGroupRows() []operationRow {
	return inlines{kind: "Group", limit: 5120, bearer: (*clients).group,
		put: func(ctx context.Context, by *iam.Client, name, policy, document string) error {
			_, err := by.PutGroupPolicy(ctx, &iam.PutGroupPolicyInput{GroupName: &name, PolicyName: &policy, PolicyDocument: &document})
			return err
		},
		get: func(ctx context.Context, by *iam.Client, name, policy string) (*string, error) {
			out, err := by.GetGroupPolicy(ctx, &iam.GetGroupPolicyInput{GroupName: &name, PolicyName: &policy})
			if err != nil {
				return nil, err
			}
			return out.PolicyDocument, theBearer(out.GroupName, out.PolicyName, name, policy, nil)
		},
		remove: func(ctx context.Context, by *iam.Client, name, policy string) error {
			_, err := by.DeleteGroupPolicy(ctx, &iam.DeleteGroupPolicyInput{GroupName: &name, PolicyName: &policy})
			return err
		},
		list: func(ctx context.Context, by *iam.Client, name string) ([]string, error) {
			names := []string{}
			for p := iam.NewListGroupPoliciesPaginator(by, &iam.ListGroupPoliciesInput{GroupName: &name, MaxItems: new(int32(1))}); p.HasMorePages(); {
				out, err := p.NextPage(ctx)
				if err != nil {
					return nil, err
				}
				names = append(names, out.PolicyNames...)
			}
			return names, nil
		}}.rows()
}

func inlineRoleRows() []operationRow {
	return inlines{kind: "Role", limit: 10240, bearer: (*clients).role,
		put: func(ctx context.Context, by *iam.Client, name, policy, document string) error {
			_, err := by.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &name, PolicyName: &policy, PolicyDocument: &document})
			return err
		},
		get: func(ctx context.Context, by *iam.Client, name, policy string) (*string, error) {
			out, err := by.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &name, PolicyName: &policy})
			if err != nil {
				return nil, err
			}
			return out.PolicyDocument, theBearer(out.RoleName, out.PolicyName, name, policy, nil)
		},
		remove: func(ctx context.Context, by *iam.Client, name, policy string) error {
			_, err := by.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &name, PolicyName: &policy})
			return err
		},
		list: func(ctx context.Context, by *iam.Client, name string) ([]string, error) {
			names := []string{}
			for p := iam.NewListRolePoliciesPaginator(by, &iam.ListRolePoliciesInput{RoleName: &name, MaxItems: new(int32(1))}); p.HasMorePages(); {
				out, err := p.NextPage(ctx)
				if err != nil {
					return nil, err
				}
				names = append(names, out.PolicyNames...)
			}
			return names, nil
		}}.rows()
}

func boundaryRows() []operationRow {
	userBoundary := func(c *clients, name string) *types.AttachedPermissionsBoundary {
		return made[iam.GetUserOutput](c)(c.aside.iam.GetUser(c.t.Context(), &iam.GetUserInput{UserName: &name})).User.PermissionsBoundary
	}
	roleBoundary := func(c *clients, name string) *types.AttachedPermissionsBoundary {
		return made[iam.GetRoleOutput](c)(c.aside.iam.GetRole(c.t.Context(), &iam.GetRoleInput{RoleName: &name})).Role.PermissionsBoundary
	}
	set := func(b *types.AttachedPermissionsBoundary, want string) error {
		if b == nil {
			return errors.New("there is no boundary")
		}
		return errors.Join(is("PermissionsBoundaryArn", b.PermissionsBoundaryArn, want), eq("PermissionsBoundaryType", b.PermissionsBoundaryType, "Policy"))
	}
	return []operationRow{
		{name: "PutUserPermissionsBoundary", good: func(ctx context.Context, c *clients) error {
			name := c.user()
			_, err := c.iam.PutUserPermissionsBoundary(ctx, &iam.PutUserPermissionsBoundaryInput{UserName: &name, PermissionsBoundary: new(readOnlyARN)})
			return errors.Join(err, set(userBoundary(c, name), readOnlyARN))
		}, refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).PutUserPermissionsBoundary, iam.PutUserPermissionsBoundaryInput{UserName: new("absent"), PermissionsBoundary: new(readOnlyARN)}),
			refuse("NoSuchEntity", (*iam.Client).PutUserPermissionsBoundary, iam.PutUserPermissionsBoundaryInput{UserName: new("admin"), PermissionsBoundary: new(absentARN)}),
		}},
		{name: "DeleteUserPermissionsBoundary", good: func(ctx context.Context, c *clients) error {
			name := c.user()
			made[iam.PutUserPermissionsBoundaryOutput](c)(c.aside.iam.PutUserPermissionsBoundary(ctx, &iam.PutUserPermissionsBoundaryInput{UserName: &name, PermissionsBoundary: new(readOnlyARN)}))
			_, err := c.iam.DeleteUserPermissionsBoundary(ctx, &iam.DeleteUserPermissionsBoundaryInput{UserName: &name})
			return errors.Join(err, absent("the boundary", userBoundary(c, name)))
		}, refused: []refusal{refuse("NoSuchEntity", (*iam.Client).DeleteUserPermissionsBoundary, iam.DeleteUserPermissionsBoundaryInput{UserName: new("absent")})}},
		{name: "PutRolePermissionsBoundary", good: func(ctx context.Context, c *clients) error {
			name, arn := c.role(), c.policy(1)
			_, err := c.iam.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: &name, PermissionsBoundary: &arn})
			return errors.Join(err, set(roleBoundary(c, name), arn))
		}, refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).PutRolePermissionsBoundary, iam.PutRolePermissionsBoundaryInput{RoleName: new("absent"), PermissionsBoundary: new(readOnlyARN)}),
		}},
		{name: "DeleteRolePermissionsBoundary", good: func(ctx context.Context, c *clients) error {
			name := c.role()
			made[iam.PutRolePermissionsBoundaryOutput](c)(c.aside.iam.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: &name, PermissionsBoundary: new(readOnlyARN)}))
			_, err := c.iam.DeleteRolePermissionsBoundary(ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: &name})
			return errors.Join(err, absent("the boundary", roleBoundary(c, name)))
		}, refused: []refusal{refuse("NoSuchEntity", (*iam.Client).DeleteRolePermissionsBoundary, iam.DeleteRolePermissionsBoundaryInput{RoleName: new("absent")})}},
	}
}

// tagged are the three operations on the tags of one kind of resource. page
// lists at most one tag from a marker on.
type tagged struct {
	tagName, untagName, listName string
	resource                     func(*clients) string
	absent                       string
	tag                          func(ctx context.Context, by *iam.Client, id string, tags []types.Tag) error
	untag                        func(ctx context.Context, by *iam.Client, id string, keys ...string) error
	page                         func(ctx context.Context, by *iam.Client, id string, marker *string) ([]types.Tag, *string, error)
}

func (x tagged) all(ctx context.Context, by *iam.Client, id string) ([]string, error) {
	got := []string{}
	for marker := new(string); marker != nil; {
		from := marker
		if *from == "" {
			from = nil
		}
		tags, next, err := x.page(ctx, by, id, from)
		if err != nil {
			return nil, err
		}
		if len(tags) > 1 {
			return nil, fmt.Errorf("%d tags in a page of 1", len(tags))
		}
		got, marker = append(got, each(tags, tagText)...), next
	}
	return got, nil
}

func (x tagged) rows() []operationRow {
	on := func(code string, call func(ctx context.Context, c *clients, id string) error) refusal {
		return refusal{code, func(ctx context.Context, c *clients) error { return call(ctx, c, x.resource(c)) }}
	}
	many := func(prefix string, n int) []types.Tag {
		var list []types.Tag
		for i := range n {
			list = append(list, tagList(fmt.Sprint(prefix, i), "v")...)
		}
		return list
	}
	return []operationRow{
		{name: x.tagName, good: func(ctx context.Context, c *clients) error {
			id := x.resource(c)
			first, second := x.tag(ctx, c.iam, id, tagList("zone", "", "team", "a")), x.tag(ctx, c.iam, id, tagList("Team", "b"))
			got, err := x.all(ctx, c.aside.iam, id)
			return errors.Join(first, second, err, eq("keys have no case", got, []string{"Team=b", "zone="}))
		}, refused: []refusal{
			on("NoSuchEntity", func(ctx context.Context, c *clients, _ string) error {
				return x.tag(ctx, c.iam, x.absent, tagList("k", "v"))
			}),
			on("InvalidInput", func(ctx context.Context, c *clients, id string) error {
				return x.tag(ctx, c.iam, id, tagList("k", "v", "K", "w"))
			}),
			on("LimitExceeded", func(ctx context.Context, c *clients, id string) error {
				return errors.Join(x.tag(ctx, c.aside.iam, id, many("a", 50)), x.tag(ctx, c.iam, id, many("b", 1)))
			}),
			on("ValidationError", func(ctx context.Context, c *clients, id string) error { return x.tag(ctx, c.iam, id, many("c", 51)) }),
		}},
		{name: x.untagName, good: func(ctx context.Context, c *clients) error {
			id := x.resource(c)
			put := x.tag(ctx, c.aside.iam, id, tagList("a", "1", "b", "2", "c", "3"))
			err := x.untag(ctx, c.iam, id, "a", "C", "never")
			got, listed := x.all(ctx, c.aside.iam, id)
			return errors.Join(put, err, listed, eq("left", got, []string{"b=2"}))
		}, refused: []refusal{on("NoSuchEntity", func(ctx context.Context, c *clients, _ string) error { return x.untag(ctx, c.iam, x.absent, "k") })}},
		{name: x.listName, good: func(ctx context.Context, c *clients) error {
			id := x.resource(c)
			put := x.tag(ctx, c.aside.iam, id, tagList("c", "3", "a", "1", "b", "2"))
			got, err := x.all(ctx, c.iam, id)
			return errors.Join(put, err, eq("sorted by key", got, []string{"a=1", "b=2", "c=3"}))
		}, refused: []refusal{on("NoSuchEntity", func(ctx context.Context, c *clients, _ string) error {
			_, _, err := x.page(ctx, c.iam, x.absent, nil)
			return err
		})}},
	}
}
