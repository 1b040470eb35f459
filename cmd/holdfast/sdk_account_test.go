package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

func accountRows() []operationRow {
	return []operationRow{
		{name: "CreateAccountAlias", good: func(ctx context.Context, c *clients) error {
			_, err := c.iam.CreateAccountAlias(ctx, &iam.CreateAccountAliasInput{AccountAlias: new("holdfast-first")})
			_, again := c.iam.CreateAccountAlias(ctx, &iam.CreateAccountAliasInput{AccountAlias: new("holdfast-test")})
			list := made[iam.ListAccountAliasesOutput](c)(c.aside.iam.ListAccountAliases(ctx, &iam.ListAccountAliasesInput{}))
			return errors.Join(err, again, eq("an account has one", list.AccountAliases, []string{"holdfast-test"}))
		}, refused: []refusal{
			refuse("ValidationError", (*iam.Client).CreateAccountAlias, iam.CreateAccountAliasInput{AccountAlias: new("two--dashes")}),
			forbid((*iam.Client).CreateAccountAlias, iam.CreateAccountAliasInput{AccountAlias: new("denied")}),
		}},
		{name: "ListAccountAliases", good: func(ctx context.Context, c *clients) error {
			made[iam.CreateAccountAliasOutput](c)(c.aside.iam.CreateAccountAlias(ctx, &iam.CreateAccountAliasInput{AccountAlias: new("holdfast-test")}))
			list, err := c.iam.ListAccountAliases(ctx, &iam.ListAccountAliasesInput{})
			if err != nil {
				return err
			}
			return eq("aliases", list.AccountAliases, []string{"holdfast-test"})
		}, refused: []refusal{forbid((*iam.Client).ListAccountAliases, iam.ListAccountAliasesInput{})}},
		{name: "DeleteAccountAlias", good: func(ctx context.Context, c *clients) error {
			made[iam.CreateAccountAliasOutput](c)(c.aside.iam.CreateAccountAlias(ctx, &iam.CreateAccountAliasInput{AccountAlias: new("holdfast-test")}))
			_, err := c.iam.DeleteAccountAlias(ctx, &iam.DeleteAccountAliasInput{AccountAlias: new("holdfast-test")})
			list := made[iam.ListAccountAliasesOutput](c)(c.aside.iam.ListAccountAliases(ctx, &iam.ListAccountAliasesInput{}))
			return errors.Join(err, eq("aliases", len(list.AccountAliases), 0))
		}, refused: []refusal{refuse("NoSuchEntity", (*iam.Client).DeleteAccountAlias, iam.DeleteAccountAliasInput{AccountAlias: new("absent")})}},
		{name: "GetAccountSummary", good: func(ctx context.Context, c *clients) error {
			before, err := c.iam.GetAccountSummary(ctx, &iam.GetAccountSummaryInput{})
			if err != nil {
				return err
			}
			c.user()
			c.group()
			c.filled()
			c.policy(2)
			after, err := c.iam.GetAccountSummary(ctx, &iam.GetAccountSummaryInput{})
			if err != nil {
				return err
			}
			grown := map[string]int32{}
			for _, k := range []string{"Users", "Groups", "Roles", "Policies", "InstanceProfiles"} {
				grown[k] = after.SummaryMap[k] - before.SummaryMap[k]
			}
			return errors.Join(eq("one more of each", grown, map[string]int32{"Users": 1, "Groups": 1, "Roles": 1, "Policies": 1, "InstanceProfiles": 1}),
				eq("AccessKeysPerUserQuota", after.SummaryMap["AccessKeysPerUserQuota"], 2), eq("VersionsPerPolicyQuota", after.SummaryMap["VersionsPerPolicyQuota"], 5))
		}, refused: []refusal{forbid((*iam.Client).GetAccountSummary, iam.GetAccountSummaryInput{})}},
		{name: "SetSecurityTokenServicePreferences", good: func(ctx context.Context, c *clients) error {
			var errs []error
			for want, version := range []types.GlobalEndpointTokenVersion{types.GlobalEndpointTokenVersionV1Token, types.GlobalEndpointTokenVersionV2Token, types.GlobalEndpointTokenVersionV1Token} {
				_, err := c.iam.SetSecurityTokenServicePreferences(ctx, &iam.SetSecurityTokenServicePreferencesInput{GlobalEndpointTokenVersion: version})
				shown := made[iam.GetAccountSummaryOutput](c)(c.aside.iam.GetAccountSummary(ctx, &iam.GetAccountSummaryInput{}))
				errs = append(errs, err, eq("GlobalEndpointTokenVersion", shown.SummaryMap["GlobalEndpointTokenVersion"], int32(1+want%2)))
			}
			return errors.Join(errs...)
		}, refused: []refusal{
			refuse("ValidationError", (*iam.Client).SetSecurityTokenServicePreferences, iam.SetSecurityTokenServicePreferencesInput{GlobalEndpointTokenVersion: "v3Token"}),
			forbid((*iam.Client).SetSecurityTokenServicePreferences, iam.SetSecurityTokenServicePreferencesInput{GlobalEndpointTokenVersion: types.GlobalEndpointTokenVersionV2Token}),
		}},
	}
}

const absentCredential = "ACCAABSENTABSENT00000"

func credentialRows() []operationRow {
	return []operationRow{
		{name: "CreateServiceSpecificCredential", good: func(ctx context.Context, c *clients) error {
			name := c.user()
			out, err := c.iam.CreateServiceSpecificCredential(ctx, &iam.CreateServiceSpecificCredentialInput{UserName: &name, ServiceName: new("holdfast.amazonaws.com"), CredentialAgeDays: new(int32(1))})
			if err != nil {
				return err
			}
			k := out.ServiceSpecificCredential
			return errors.Join(like("id", k.ServiceSpecificCredentialId, "ACCA[A-Z2-7]{17}"), like("the Bearer", k.ServiceCredentialSecret, ".{32,}"), is("UserName", k.UserName, name),
				is("ServiceUserName", k.ServiceUserName, name+"-at-"+testAccount), eq("ExpirationDate", k.ExpirationDate.Sub(*k.CreateDate), 24*time.Hour), eq("Status", k.Status, types.StatusTypeActive))
		}, refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).CreateServiceSpecificCredential, iam.CreateServiceSpecificCredentialInput{UserName: new("absent"), ServiceName: new("holdfast.amazonaws.com")}),
			refuse("NotSupportedService", (*iam.Client).CreateServiceSpecificCredential, iam.CreateServiceSpecificCredentialInput{UserName: new("admin"), ServiceName: new("s3.amazonaws.com")}),
			refuseAt("LimitExceeded", (*iam.Client).CreateServiceSpecificCredential, func(c *clients) iam.CreateServiceSpecificCredentialInput {
				name := c.user()
				c.serviceCredential(name)
				c.serviceCredential(name)
				return iam.CreateServiceSpecificCredentialInput{UserName: &name, ServiceName: new("holdfast.amazonaws.com")}
			}),
		}},
		{name: "ResetServiceSpecificCredential", good: func(ctx context.Context, c *clients) error {
			k := c.serviceCredential(c.user())
			out, err := c.iam.ResetServiceSpecificCredential(ctx, &iam.ResetServiceSpecificCredentialInput{UserName: k.UserName, ServiceSpecificCredentialId: k.ServiceSpecificCredentialId})
			if err != nil {
				return err
			}
			return errors.Join(is("id", out.ServiceSpecificCredential.ServiceSpecificCredentialId, *k.ServiceSpecificCredentialId),
				eq("another secret", *out.ServiceSpecificCredential.ServiceCredentialSecret != *k.ServiceCredentialSecret, true))
		}, refused: []refusal{refuse("NoSuchEntity", (*iam.Client).ResetServiceSpecificCredential, iam.ResetServiceSpecificCredentialInput{ServiceSpecificCredentialId: new(absentCredential)})}},
		{name: "UpdateServiceSpecificCredential", good: func(ctx context.Context, c *clients) error {
			k := c.serviceCredential(c.user())
			_, err := c.iam.UpdateServiceSpecificCredential(ctx, &iam.UpdateServiceSpecificCredentialInput{UserName: k.UserName, ServiceSpecificCredentialId: k.ServiceSpecificCredentialId, Status: "Inactive"})
			list := made[iam.ListServiceSpecificCredentialsOutput](c)(c.aside.iam.ListServiceSpecificCredentials(ctx, &iam.ListServiceSpecificCredentialsInput{UserName: k.UserName}))
			return errors.Join(err, eq("Status", list.ServiceSpecificCredentials[0].Status, types.StatusTypeInactive))
		}, refused: []refusal{refuse("NoSuchEntity", (*iam.Client).UpdateServiceSpecificCredential, iam.UpdateServiceSpecificCredentialInput{ServiceSpecificCredentialId: new(absentCredential), Status: "Active"})}},
		{name: "DeleteServiceSpecificCredential", good: func(ctx context.Context, c *clients) error {
			k := c.serviceCredential(c.user())
			_, err := c.iam.DeleteServiceSpecificCredential(ctx, &iam.DeleteServiceSpecificCredentialInput{UserName: k.UserName, ServiceSpecificCredentialId: k.ServiceSpecificCredentialId})
			list := made[iam.ListServiceSpecificCredentialsOutput](c)(c.aside.iam.ListServiceSpecificCredentials(ctx, &iam.ListServiceSpecificCredentialsInput{UserName: k.UserName}))
			return errors.Join(err, eq("left", len(list.ServiceSpecificCredentials), 0))
		}, refused: []refusal{refuse("NoSuchEntity", (*iam.Client).DeleteServiceSpecificCredential, iam.DeleteServiceSpecificCredentialInput{ServiceSpecificCredentialId: new(absentCredential)})}},
		{name: "ListServiceSpecificCredentials", good: listsCredentials, refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).ListServiceSpecificCredentials, iam.ListServiceSpecificCredentialsInput{UserName: new("absent")}),
			// IAM API Reference, ListServiceSpecificCredentials, AllUsers: another permission than the own list
			{"AccessDenied", func(ctx context.Context, c *clients) error {
				limited := c.allowed(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:iam::*:user/${aws:username}"}}`)
				_, own := limited.iam.ListServiceSpecificCredentials(ctx, &iam.ListServiceSpecificCredentialsInput{})
				_, err := limited.iam.ListServiceSpecificCredentials(ctx, &iam.ListServiceSpecificCredentialsInput{AllUsers: new(true)})
				return cmp.Or(own, err)
			}},
			refuse("ValidationError", (*iam.Client).ListServiceSpecificCredentials, iam.ListServiceSpecificCredentialsInput{UserName: new("admin"), AllUsers: new(true)}),
		}},
	}
}

func listsCredentials(ctx context.Context, c *clients) error {
	k := made[iam.CreateServiceSpecificCredentialOutput](c)(c.aside.iam.CreateServiceSpecificCredential(ctx,
		&iam.CreateServiceSpecificCredentialInput{UserName: new(c.user()), ServiceName: new("holdfast.amazonaws.com"), CredentialAgeDays: new(int32(3))})).ServiceSpecificCredential
	own, err := c.iam.ListServiceSpecificCredentials(ctx, &iam.ListServiceSpecificCredentialsInput{UserName: k.UserName})
	if err != nil {
		return err
	}
	other, err := c.iam.ListServiceSpecificCredentials(ctx, &iam.ListServiceSpecificCredentialsInput{UserName: k.UserName, ServiceName: new("codecommit.amazonaws.com")})
	if err != nil {
		return err
	}
	all, err := c.iam.ListServiceSpecificCredentials(ctx, &iam.ListServiceSpecificCredentialsInput{AllUsers: new(true)})
	if err != nil {
		return err
	}
	found := false
	for _, x := range all.ServiceSpecificCredentials {
		found = found || *x.ServiceSpecificCredentialId == *k.ServiceSpecificCredentialId
	}
	if len(own.ServiceSpecificCredentials) != 1 {
		return fmt.Errorf("%d of its own, want 1", len(own.ServiceSpecificCredentials))
	}
	return errors.Join(is("ExpirationDate", own.ServiceSpecificCredentials[0].ExpirationDate, *k.ExpirationDate), is("ServiceUserName", own.ServiceSpecificCredentials[0].ServiceUserName, *k.ServiceUserName), eq("of another service", len(other.ServiceSpecificCredentials), 0), eq("among all users'", found, true))
}

// emptyRows are what clients ask about a user or an account before they delete
// or show it, and what nobody has here.
func emptyRows() []operationRow {
	return []operationRow{
		{name: "ListMFADevices", good: func(ctx context.Context, c *clients) error {
			out, err := c.iam.ListMFADevices(ctx, &iam.ListMFADevicesInput{UserName: new(c.user())})
			if err != nil {
				return err
			}
			return errors.Join(eq("devices", len(out.MFADevices), 0), eq("IsTruncated", out.IsTruncated, false))
		}, refused: []refusal{refuse("NoSuchEntity", (*iam.Client).ListMFADevices, iam.ListMFADevicesInput{UserName: new("absent")})}},
		{name: "ListVirtualMFADevices", good: func(ctx context.Context, c *clients) error {
			_, err := c.iam.ListVirtualMFADevices(ctx, &iam.ListVirtualMFADevicesInput{AssignmentStatus: "Any"})
			return err
		}, refused: []refusal{refuse("ValidationError", (*iam.Client).ListVirtualMFADevices, iam.ListVirtualMFADevicesInput{AssignmentStatus: "Lost"})}},
		{name: "ListSSHPublicKeys", good: func(ctx context.Context, c *clients) error {
			_, err := c.iam.ListSSHPublicKeys(ctx, &iam.ListSSHPublicKeysInput{UserName: new(c.user())})
			return err
		}, refused: []refusal{refuse("NoSuchEntity", (*iam.Client).ListSSHPublicKeys, iam.ListSSHPublicKeysInput{UserName: new("absent")})}},
		{name: "ListSigningCertificates", good: func(ctx context.Context, c *clients) error {
			_, err := c.iam.ListSigningCertificates(ctx, &iam.ListSigningCertificatesInput{UserName: new(c.user())})
			return err
		}, refused: []refusal{refuse("NoSuchEntity", (*iam.Client).ListSigningCertificates, iam.ListSigningCertificatesInput{UserName: new("absent")})}},
		{name: "ListServerCertificates", good: func(ctx context.Context, c *clients) error {
			_, err := c.iam.ListServerCertificates(ctx, &iam.ListServerCertificatesInput{PathPrefix: new("/cloudfront/")})
			return err
		}, refused: []refusal{forbid((*iam.Client).ListServerCertificates, iam.ListServerCertificatesInput{})}},
		{name: "ListOpenIDConnectProviders", good: func(ctx context.Context, c *clients) error {
			_, err := c.iam.ListOpenIDConnectProviders(ctx, &iam.ListOpenIDConnectProvidersInput{})
			return err
		}, refused: []refusal{forbid((*iam.Client).ListOpenIDConnectProviders, iam.ListOpenIDConnectProvidersInput{})}},
		{name: "ListSAMLProviders", good: func(ctx context.Context, c *clients) error {
			_, err := c.iam.ListSAMLProviders(ctx, &iam.ListSAMLProvidersInput{})
			return err
		}, refused: []refusal{forbid((*iam.Client).ListSAMLProviders, iam.ListSAMLProvidersInput{})}},
		{name: "GetLoginProfile", never: "no user has a password", refused: []refusal{
			refuseAt("NoSuchEntity", (*iam.Client).GetLoginProfile, func(c *clients) iam.GetLoginProfileInput { return iam.GetLoginProfileInput{UserName: new(c.user())} }),
			forbid((*iam.Client).GetLoginProfile, iam.GetLoginProfileInput{UserName: new("admin")}),
		}},
		{name: "DeleteLoginProfile", never: "no user has a password", refused: []refusal{
			refuseAt("NoSuchEntity", (*iam.Client).DeleteLoginProfile, func(c *clients) iam.DeleteLoginProfileInput {
				return iam.DeleteLoginProfileInput{UserName: new(c.user())}
			}),
			forbid((*iam.Client).DeleteLoginProfile, iam.DeleteLoginProfileInput{UserName: new("admin")}),
		}},
		{name: "GetAccountPasswordPolicy", never: "no account has a password policy", refused: []refusal{
			refuse("NoSuchEntity", (*iam.Client).GetAccountPasswordPolicy, iam.GetAccountPasswordPolicyInput{}),
			forbid((*iam.Client).GetAccountPasswordPolicy, iam.GetAccountPasswordPolicyInput{}),
		}},
	}
}
