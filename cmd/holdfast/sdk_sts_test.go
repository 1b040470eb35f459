package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

// stsRefuse is a refusal of the administrator's call.
func stsRefuse[In, Out any](code string, call func(*sts.Client, context.Context, *In, ...func(*sts.Options)) (*Out, error), in In) refusal {
	return stsRefuseAs(code, call, func(c *clients) (*sts.Client, In) { return c.sts, in })
}

// stsRefuseAs is a refusal of a caller's.
func stsRefuseAs[In, Out any](code string, call func(*sts.Client, context.Context, *In, ...func(*sts.Options)) (*Out, error), by func(*clients) (*sts.Client, In)) refusal {
	return refusal{code, func(ctx context.Context, c *clients) error {
		client, in := by(c)
		_, err := call(client, ctx, &in)
		return err
	}}
}

func sessionOf(k *types.Credentials) credential {
	return credential{*k.AccessKeyId, *k.SecretAccessKey, *k.SessionToken}
}

// assumed is the clients of a session of a new role.
func (c *clients) assumed() pair {
	out := made[sts.AssumeRoleOutput](c)(c.aside.sts.AssumeRole(c.t.Context(), &sts.AssumeRoleInput{RoleArn: new(ownARN("role/" + c.role())), RoleSessionName: new("demo")}))
	return c.d.as(sessionOf(out.Credentials), c.calls.register)
}

func stsRows() []operationRow {
	return []operationRow{
		{name: "GetCallerIdentity", good: func(ctx context.Context, c *clients) error {
			out, err := c.nobody.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}) // needs no permission
			if err != nil {
				return err
			}
			own, err := c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
			if err != nil {
				return err
			}
			return errors.Join(is("Account", out.Account, testAccount), like("UserId", out.UserId, "AIDA[A-Z2-7]{17}"), is("Arn", own.Arn, ownARN("user/admin")))
		}, refused: []refusal{
			stsRefuseAs("InvalidClientTokenId", (*sts.Client).GetCallerIdentity, func(c *clients) (*sts.Client, sts.GetCallerIdentityInput) {
				return c.d.as(credential{id: "AKIAABSENTABSENT0000", secret: "x"}, c.calls.register).sts, sts.GetCallerIdentityInput{}
			}),
			stsRefuseAs("SignatureDoesNotMatch", (*sts.Client).GetCallerIdentity, func(c *clients) (*sts.Client, sts.GetCallerIdentityInput) {
				k := c.d.admin()
				k.secret += "x"
				return c.d.as(k, c.calls.register).sts, sts.GetCallerIdentityInput{}
			}),
		}},
		{name: "AssumeRole", good: assumesRole, refused: assumeRefusals()},
		{name: "GetSessionToken", good: getsSessionToken, refused: []refusal{
			stsRefuseAs("AccessDenied", (*sts.Client).GetSessionToken, func(c *clients) (*sts.Client, sts.GetSessionTokenInput) {
				return c.assumed().sts, sts.GetSessionTokenInput{}
			}),
			stsRefuse("ValidationError", (*sts.Client).GetSessionToken, sts.GetSessionTokenInput{DurationSeconds: new(int32(899))}),
			stsRefuse("ValidationError", (*sts.Client).GetSessionToken, sts.GetSessionTokenInput{DurationSeconds: new(int32(129601))}),
			stsRefuse("AccessDenied", (*sts.Client).GetSessionToken, sts.GetSessionTokenInput{SerialNumber: new("arn:aws:iam::111122223333:mfa/absent"), TokenCode: new("123456")}),
		}},
		{name: "GetFederationToken", good: getsFederationToken, refused: []refusal{
			stsRefuseAs("AccessDenied", (*sts.Client).GetFederationToken, func(c *clients) (*sts.Client, sts.GetFederationTokenInput) {
				return c.nobody.sts, sts.GetFederationTokenInput{Name: new("bob")}
			}),
			stsRefuseAs("AccessDenied", (*sts.Client).GetFederationToken, func(c *clients) (*sts.Client, sts.GetFederationTokenInput) {
				return c.assumed().sts, sts.GetFederationTokenInput{Name: new("bob")}
			}),
			stsRefuse("MalformedPolicyDocument", (*sts.Client).GetFederationToken, sts.GetFederationTokenInput{Name: new("bob"), Policy: new(notJSON)}),
			stsRefuse("ValidationError", (*sts.Client).GetFederationToken, sts.GetFederationTokenInput{Name: new("b")}),
		}},
		{name: "GetAccessKeyInfo", good: func(ctx context.Context, c *clients) error {
			out, err := c.sts.GetAccessKeyInfo(ctx, &sts.GetAccessKeyInfoInput{AccessKeyId: new(c.d.root().id)})
			if err != nil {
				return err
			}
			return is("Account", out.Account, testAccount)
		}, refused: []refusal{
			stsRefuse("ValidationError", (*sts.Client).GetAccessKeyInfo, sts.GetAccessKeyInfoInput{AccessKeyId: new("no key at all !!")}),
			stsRefuseAs("AccessDenied", (*sts.Client).GetAccessKeyInfo, func(c *clients) (*sts.Client, sts.GetAccessKeyInfoInput) {
				return c.nobody.sts, sts.GetAccessKeyInfoInput{AccessKeyId: new(c.d.root().id)}
			}),
		}},
		{name: "DecodeAuthorizationMessage", good: decodesMessage, refused: []refusal{
			stsRefuse("InvalidAuthorizationMessageException", (*sts.Client).DecodeAuthorizationMessage, sts.DecodeAuthorizationMessageInput{EncodedMessage: new("made by hand")}),
			stsRefuseAs("AccessDenied", (*sts.Client).DecodeAuthorizationMessage, func(c *clients) (*sts.Client, sts.DecodeAuthorizationMessageInput) {
				return c.nobody.sts, sts.DecodeAuthorizationMessageInput{EncodedMessage: new("made by hand")}
			}),
		}},
	}
}

func assumeRefusals() []refusal {
	own := func(code string, change func(*sts.AssumeRoleInput)) refusal {
		return stsRefuseAs(code, (*sts.Client).AssumeRole, func(c *clients) (*sts.Client, sts.AssumeRoleInput) {
			in := sts.AssumeRoleInput{RoleArn: new(ownARN("role/" + c.role())), RoleSessionName: new("demo")}
			change(&in)
			return c.sts, in
		})
	}
	return []refusal{
		own("AccessDenied", func(in *sts.AssumeRoleInput) { in.RoleArn = new(ownARN("role/absent")) }),
		own("ValidationError", func(in *sts.AssumeRoleInput) { in.RoleSessionName = new("a b") }),
		own("ValidationError", func(in *sts.AssumeRoleInput) { in.DurationSeconds = new(int32(3601)) }), // the role's limit is an hour
		own("ValidationError", func(in *sts.AssumeRoleInput) { in.DurationSeconds = new(int32(899)) }),
		own("MalformedPolicyDocument", func(in *sts.AssumeRoleInput) { in.Policy = new(notJSON) }),
		// IAM User Guide, "Pass session tags in AWS STS": the keys have no case
		own("InvalidParameterValue", func(in *sts.AssumeRoleInput) {
			in.Tags = []types.Tag{{Key: new("team"), Value: new("a")}, {Key: new("Team"), Value: new("b")}}
		}),
		own("AccessDenied", func(in *sts.AssumeRoleInput) {
			in.SerialNumber, in.TokenCode = new("arn:aws:iam::111122223333:mfa/absent"), new("123456")
		}),
		stsRefuseAs("AccessDenied", (*sts.Client).AssumeRole, func(c *clients) (*sts.Client, sts.AssumeRoleInput) {
			return c.nobody.sts, sts.AssumeRoleInput{RoleArn: new(ownARN("role/" + c.role())), RoleSessionName: new("demo")}
		}),
		stsRefuseAs("AccessDenied", (*sts.Client).AssumeRole, func(c *clients) (*sts.Client, sts.AssumeRoleInput) {
			return c.d.as(c.d.root(), c.calls.register).sts, sts.AssumeRoleInput{RoleArn: new(ownARN("role/" + c.role())), RoleSessionName: new("demo")}
		}),
	}
}

// lasts says that a session ends so long from now.
func lasts(k *types.Credentials, want time.Duration) error {
	left := time.Until(aws.ToTime(k.Expiration))
	return eq("a session of "+want.String(), left <= want && left > want-time.Minute, true)
}

func assumesRole(ctx context.Context, c *clients) error {
	name := c.role()
	made[iam.PutRolePolicyOutput](c)(c.aside.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &name, PolicyName: new("p"), PolicyDocument: new(allowAll)}))
	out, err := c.sts.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: new(ownARN("role/" + name)), RoleSessionName: new("demo"), DurationSeconds: new(int32(900)), SourceIdentity: new("alice"),
		Policy: new(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*"}}`),
		Tags:   []types.Tag{{Key: new("team"), Value: new("a")}}, TransitiveTagKeys: []string{"Team"}})
	if err != nil {
		return err
	}
	s := c.d.as(sessionOf(out.Credentials), nil)
	who := made[sts.GetCallerIdentityOutput](c)(s.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}))
	_, allowed := s.iam.ListUsers(ctx, &iam.ListUsersInput{})
	_, denied := s.iam.ListRoles(ctx, &iam.ListRolesInput{})
	packed := aws.ToInt32(out.PackedPolicySize) //lint:ignore SA1019 what AWS's clients of today read
	return errors.Join(like("AccessKeyId", out.Credentials.AccessKeyId, "ASIA[A-Z2-7]{16}"), is("AssumedRoleUser.Arn", out.AssumedRoleUser.Arn, "arn:aws:sts::111122223333:assumed-role/"+name+"/demo"),
		like("AssumedRoleId", out.AssumedRoleUser.AssumedRoleId, "AROA[A-Z2-7]{17}:demo"), is("SourceIdentity", out.SourceIdentity, "alice"), eq("PackedPolicySize", packed > 0, true),
		lasts(out.Credentials, 15*time.Minute), is("who it is", who.Arn, *out.AssumedRoleUser.Arn), is("its id", who.UserId, *out.AssumedRoleUser.AssumedRoleId),
		allowed, eq("outside the session policy", codeOf(denied), "AccessDenied"))
}

func getsSessionToken(ctx context.Context, c *clients) error {
	out, err := c.sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
	if err != nil {
		return err
	}
	root, err := c.d.as(c.d.root(), c.calls.register).sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{DurationSeconds: new(int32(7200))})
	if err != nil {
		return err
	}
	s := c.d.as(sessionOf(out.Credentials), nil)
	who := made[sts.GetCallerIdentityOutput](c)(s.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}))
	_, iamCalled := s.iam.GetUser(ctx, &iam.GetUserInput{})
	_, again := s.sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
	return errors.Join(lasts(out.Credentials, 12*time.Hour), lasts(root.Credentials, time.Hour), is("who it is", who.Arn, ownARN("user/admin")),
		eq("IAM without MFA", codeOf(iamCalled), "InvalidClientTokenId"), eq("again", codeOf(again), "AccessDenied"))
}

func getsFederationToken(ctx context.Context, c *clients) error {
	out, err := c.sts.GetFederationToken(ctx, &sts.GetFederationTokenInput{Name: new("bob"), Policy: new(allowAll)})
	if err != nil {
		return err
	}
	root, err := c.d.as(c.d.root(), c.calls.register).sts.GetFederationToken(ctx, &sts.GetFederationTokenInput{Name: new("bob"), DurationSeconds: new(int32(43200))})
	if err != nil {
		return err
	}
	s := c.d.as(sessionOf(out.Credentials), nil)
	who := made[sts.GetCallerIdentityOutput](c)(s.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}))
	_, iamCalled := s.iam.GetUser(ctx, &iam.GetUserInput{})
	return errors.Join(is("Arn", out.FederatedUser.Arn, "arn:aws:sts::111122223333:federated-user/bob"), is("FederatedUserId", out.FederatedUser.FederatedUserId, "111122223333:bob"),
		lasts(out.Credentials, 12*time.Hour), lasts(root.Credentials, time.Hour), is("who it is", who.Arn, *out.FederatedUser.Arn), eq("IAM", codeOf(iamCalled), "InvalidClientTokenId"))
}

// decodesMessage decodes what the decision door answers to a denied question.
func decodesMessage(ctx context.Context, c *clients) error {
	c.d.serviceFor("admin")
	var d decision
	e := c.d.endpoint().in(c.t)
	r := e.door(c.d.admin(), "/holdfast/v1/authorize", with(about(ownARN("role/"+c.role()), "storage:PutObject", photo), "explain", true))
	_, rest, _ := strings.Cut(string(r.body), `"encodedMessage":"`)
	d.EncodedMessage, _, _ = strings.Cut(rest, `"`)
	out, err := c.sts.DecodeAuthorizationMessage(ctx, &sts.DecodeAuthorizationMessageInput{EncodedMessage: &d.EncodedMessage})
	if err != nil {
		return err
	}
	return like("DecodedMessage", out.DecodedMessage, `(?s)\{.*"allowed":false.*storage:PutObject.*\}`)
}
