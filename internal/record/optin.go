package record

import "slices"

// A Region with OptIn is used by the accounts that have enabled it and by no
// other. Its opening keys are a class of their own, of the Region's name.

// MaxOptIn bounds the opt-in Regions that an account enables: each takes room of
// its session tokens.
const MaxOptIn = 20

// Class is the class of a Region's opening keys.
func (r *Region) Class() string {
	if r.OptIn {
		return r.Name
	}
	return DefaultClass
}

// Has says whether the account has enabled an opt-in Region.
func (a *Account) Has(region string) bool { return slices.Contains(a.Regions, region) }

// Enabled says whether an account may be used in a Region: one that is enabled by
// default, or that it has enabled. Where the Region or the account cannot be
// read, it may not.
func Enabled(r Reader, account, region string) bool {
	g, err := Get(r, Regions, None, region)
	if err != nil || !g.OptIn {
		return err == nil
	}
	a, err := Get(r, Accounts, account, account)
	return err == nil && a.Has(region)
}

// SealingKey is the public half of a generation of a class's opening key: nodes
// of other classes seal to it what they cannot open. There are none in a
// deployment without an opt-in Region, which takes format 3: an older node does
// not read what is sealed so.
type SealingKey struct {
	Class      string `json:"class"`
	Generation int    `json:"gen"`
	Public     []byte `json:"public"` // X25519
}

var (
	// SealingKeyByClass lists the generations of a class, oldest first.
	SealingKeyByClass = &Index[SealingKey]{Name: "sealingkey.class", Terms: func(k *SealingKey) []string {
		return []string{k.Class + Sep + Generation(k.Generation)}
	}}
	// SealingKeys is the kind of SealingKey.
	SealingKeys = &Kind[SealingKey]{Name: "sealingkey", Version: 1, Since: map[int]int{1: 3},
		ID:      func(k *SealingKey) (string, string) { return None, k.Class + ":" + Generation(k.Generation) },
		Indexes: []*Index[SealingKey]{SealingKeyByClass}}
)

// STSPreference is what an account has chosen about STS; an account has one at
// most, and without one what AWS's accounts begin with.
type STSPreference struct {
	Account     string   `json:"account"`
	Global      int      `json:"global,omitempty"`      // version of the global endpoint's tokens; 0: 1
	Deactivated []string `json:"deactivated,omitempty"` // Regions enabled by default where STS issues nothing for it
}

// STSPreferences is the kind of STSPreference.
var STSPreferences = &Kind[STSPreference]{Name: "stspreference", Version: 1, Since: map[int]int{1: 3},
	ID: func(p *STSPreference) (string, string) { return p.Account, "sts" }}

// PreferenceOf returns what an account has chosen about STS. One that cannot be
// read is an error, not that there is none.
func PreferenceOf(r Reader, account string) (*STSPreference, error) {
	p := &STSPreference{Account: account}
	if Has(r, STSPreferences, account, "sts") {
		var err error
		if p, err = Get(r, STSPreferences, account, "sts"); err != nil {
			return nil, err
		}
	}
	p.Global = max(p.Global, 1)
	return p, nil
}

// Keep writes what an account has chosen about STS. What every account begins with
// is not written: it needs no format.
func (p *STSPreference) Keep(tx Tx) error {
	if p.Global <= 1 && len(p.Deactivated) == 0 {
		Delete(tx, STSPreferences, p)
		return nil
	}
	return Put(tx, STSPreferences, p)
}
