package sts

import (
	"slices"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// regional says whether STS issues credentials of an account in the Region that
// answers, and chooses the version of their token (IAM User Guide, "Manage AWS STS
// in an AWS Region"). What counts is the account that the credentials are of, not
// the caller's. The global endpoint cannot be deactivated; what it issues is of the
// version that the account has chosen, and what a Regional one issues of version 2.
func regional(c *api.Call, claims *Claims) error {
	disabled := fault.RegionDisabledException.Errorf("STS is not activated in this region for account:%s. Your account administrator can activate STS in this region using the IAM Console.", claims.Account)
	if !record.Enabled(c.Tx, claims.Account, c.Region) {
		return disabled
	}
	chosen, err := record.PreferenceOf(c.Tx, claims.Account)
	if err != nil || !c.Global && slices.Contains(chosen.Deactivated, c.Region) {
		return disabled
	}
	if claims.Version = 2; c.Global {
		claims.Version = chosen.Global
	}
	return nil
}
