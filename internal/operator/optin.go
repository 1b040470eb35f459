package operator

import (
	"slices"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// accountRegionIn names a Region for an account.
type accountRegionIn struct {
	Account string `json:"account"`
	Region  string `json:"region"`
}

// AccountRegion is what a Region is to an account.
type AccountRegion struct {
	Region  string `json:"region"`
	OptIn   bool   `json:"optIn"`
	Enabled bool   `json:"enabled"` // its credentials are good there
	STS     bool   `json:"sts"`     // STS issues credentials of it there
}

func regionOf(a *record.Account, p *record.STSPreference, g *record.Region) *AccountRegion {
	enabled := !g.OptIn || a.Has(g.Name)
	return &AccountRegion{g.Name, g.OptIn, enabled, enabled && !slices.Contains(p.Deactivated, g.Name)}
}

// find reads what an account and a Region are to each other.
func (in *accountRegionIn) find(r record.Reader) (*record.Account, *record.STSPreference, *record.Region, error) {
	if !accountForm.MatchString(in.Account) {
		return nil, nil, nil, refuse("account %q is not twelve digits", in.Account)
	}
	a, err := record.Get(r, record.Accounts, in.Account, in.Account)
	if err != nil {
		return nil, nil, nil, missing(err, "there is no account %s", in.Account)
	}
	p, err := record.PreferenceOf(r, in.Account)
	if err != nil {
		return nil, nil, nil, err
	}
	if !regionForm.MatchString(in.Region) {
		return nil, nil, nil, refuse("there is no Region %q", in.Region)
	}
	g, err := record.Get(r, record.Regions, record.None, in.Region)
	if err != nil {
		return nil, nil, nil, missing(err, "there is no Region %q", in.Region)
	}
	return a, p, g, nil
}

// enableRegion enables an opt-in Region for an account, whose keys its nodes are
// given then; of a Region that is enabled by default it activates STS again.
func (s *Server) enableRegion(in *accountRegionIn, _ signers, tx record.Tx, _ time.Time) (any, error) {
	a, p, g, err := in.find(tx)
	if err != nil {
		return nil, err
	}
	if !g.OptIn {
		p.Deactivated = without(p.Deactivated, g.Name)
		return regionOf(a, p, g), p.Keep(tx)
	}
	a.Regions = slices.DeleteFunc(a.Regions, func(name string) bool { // also those that were taken out
		return name == g.Name || !record.Has(tx, record.Regions, record.None, name)
	})
	if len(a.Regions) >= record.MaxOptIn {
		return nil, refuse("an account enables %d opt-in Regions at most: each takes room of its session tokens", record.MaxOptIn)
	}
	a.Regions = append(a.Regions, g.Name)
	slices.Sort(a.Regions)
	if err := s.Ring.EnableAccount(tx, a.ID, g.Name); err != nil {
		return nil, err
	}
	return regionOf(a, p, g), record.Put(tx, record.Accounts, a)
}

// disableRegion takes an opt-in Region away from an account: its credentials, and
// what was issued to it there, are refused from this revision on. Of a Region that
// is enabled by default it deactivates STS alone.
func (s *Server) disableRegion(in *accountRegionIn, _ signers, tx record.Tx, now time.Time) (any, error) {
	a, p, g, err := in.find(tx)
	if err != nil {
		return nil, err
	}
	if !g.OptIn {
		p.Deactivated = append(without(p.Deactivated, g.Name), g.Name)
		slices.Sort(p.Deactivated)
		return regionOf(a, p, g), p.Keep(tx)
	}
	if !a.Has(g.Name) {
		return nil, refuse("account %s has not enabled %s", a.ID, g.Name)
	}
	a.Regions = without(a.Regions, g.Name)
	if err := s.Ring.DisableAccount(tx, a.ID, g.Name, now); err != nil {
		return nil, err
	}
	return regionOf(a, p, g), record.Put(tx, record.Accounts, a)
}

func without(list []string, name string) []string {
	return slices.DeleteFunc(list, func(n string) bool { return n == name })
}

// accountRegions lists what each Region is to an account.
func accountRegions(in *idIn, r record.Reader) (any, error) {
	if !accountForm.MatchString(in.ID) {
		return nil, refuse("account %q is not twelve digits", in.ID)
	}
	a, err := record.Get(r, record.Accounts, in.ID, in.ID)
	if err != nil {
		return nil, missing(err, "there is no account %s", in.ID)
	}
	p, err := record.PreferenceOf(r, in.ID)
	if err != nil {
		return nil, err
	}
	all, err := list(r, record.Regions, record.RegionByName)
	out := []*AccountRegion{}
	for _, g := range all {
		out = append(out, regionOf(a, p, g))
	}
	return out, err
}
