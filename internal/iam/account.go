package iam

import (
	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
)

func accountOps() []api.Op {
	return []api.Op{
		write("CreateAccountAlias", anything[aliasIn], createAccountAlias),
		write("DeleteAccountAlias", anything[aliasIn], deleteAccountAlias),
		read("ListAccountAliases", anything[pageIn], listAccountAliases),
		read("GetAccountSummary", anything[struct{}], getAccountSummary),
		write("SetSecurityTokenServicePreferences", anything[tokenVersionIn], setSecurityTokenServicePreferences),
	}
}

type pageIn struct{ page }

type aliasIn struct {
	AccountAlias Alias `q:"required"`
}

func createAccountAlias(c *api.Call, in *aliasIn) (*api.Nothing, error) {
	a, err := record.Get(c.Tx, record.Accounts, c.Account, c.Account)
	if err != nil {
		return nil, err
	}
	if other, err := record.Find(c.Tx, record.Accounts, record.AccountByAlias, string(in.AccountAlias)); err == nil && other.ID != c.Account {
		return nil, fault.EntityAlreadyExists.Errorf("The account alias %s already exists.", in.AccountAlias)
	}
	a.Alias = string(in.AccountAlias)
	return &api.Nothing{}, record.Put(c.Tx, record.Accounts, a)
}

func deleteAccountAlias(c *api.Call, in *aliasIn) (*api.Nothing, error) {
	a, err := record.Get(c.Tx, record.Accounts, c.Account, c.Account)
	if err != nil {
		return nil, err
	}
	if a.Alias != string(in.AccountAlias) {
		return nil, fault.NoSuchEntity.Errorf("The account alias %s does not exist.", in.AccountAlias)
	}
	a.Alias = ""
	return &api.Nothing{}, record.Put(c.Tx, record.Accounts, a)
}

type aliasesOut struct {
	AccountAliases []string
	paged
}

func listAccountAliases(c *api.Call, _ *pageIn) (*aliasesOut, error) {
	a, err := record.Get(c.Tx, record.Accounts, c.Account, c.Account)
	if err != nil {
		return nil, err
	}
	out := &aliasesOut{AccountAliases: []string{}}
	if a.Alias != "" {
		out.AccountAliases = append(out.AccountAliases, a.Alias)
	}
	return out, nil
}

type tokenVersionIn struct {
	GlobalEndpointTokenVersion TokenVersion `q:"required"`
}

// setSecurityTokenServicePreferences chooses the version of the tokens that the
// global STS endpoint issues. It restricts nothing, but what it writes older nodes
// do not read: see record.STSPreference.
func setSecurityTokenServicePreferences(c *api.Call, in *tokenVersionIn) (*api.Nothing, error) {
	p, err := record.PreferenceOf(c.Tx, c.Account)
	if err != nil {
		return nil, err
	}
	p.Global = 1
	if in.GlobalEndpointTokenVersion == "v2Token" {
		p.Global = 2
	}
	return &api.Nothing{}, p.Keep(c.Tx)
}

type summaryOut struct{ SummaryMap map[string]int }

func getAccountSummary(c *api.Call, _ *struct{}) (*summaryOut, error) {
	a, err := record.Get(c.Tx, record.Accounts, c.Account, c.Account)
	if err != nil {
		return nil, err
	}
	chosen, err := record.PreferenceOf(c.Tx, c.Account)
	if err != nil {
		return nil, err
	}
	size := func(index string) int {
		n := 0
		c.Tx.Range(index, c.Account+record.Sep, "", func(string, *record.Entry) bool {
			n++
			return true
		})
		return n
	}
	present := 0
	if len(a.RootKeys) > 0 {
		present = 1
	}
	return &summaryOut{map[string]int{
		"Users": size(record.UserByName.Name), "Groups": size(record.GroupByName.Name), "Roles": size(record.RoleByName.Name),
		"Policies": size(record.PolicyByName.Name), "InstanceProfiles": size(record.ProfileByName.Name),
		"AccountAccessKeysPresent": present, "AccountMFAEnabled": 0, "MFADevices": 0, "MFADevicesInUse": 0, "AccountSigningCertificatesPresent": 0,
		"AccessKeysPerUserQuota": maxKeys, "GroupsPerUserQuota": maxGroups, "AttachedPoliciesPerUserQuota": maxAttached,
		"AttachedPoliciesPerGroupQuota": maxAttached, "AttachedPoliciesPerRoleQuota": maxAttached, "VersionsPerPolicyQuota": maxVersions,
		"PolicySizeQuota": maxManaged, "UserPolicySizeQuota": maxUserInline, "GroupPolicySizeQuota": maxGroupInline, "RolePolicySizeQuota": maxRoleInline,
		"AssumeRolePolicySizeQuota": maxTrust, "GlobalEndpointTokenVersion": chosen.Global, "Providers": 0, "ServerCertificates": 0,
	}}, nil
}
