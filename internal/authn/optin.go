package authn

import (
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// An opt-in Region is of the accounts that have enabled it: only their
// credentials are good there, and what it issues is good, anywhere, only while
// their accounts have it enabled. So what can be stolen in it is of those
// accounts alone.

// through is the Region that an account must have enabled to be used here.
func (a *Verifier) through() string {
	if a.OptIn {
		return a.Region
	}
	return ""
}

// Through is the caller as one whose request came by an opt-in Region, which its
// account must have enabled.
func (c *Caller) Through(r record.Reader, region string) (*Caller, error) {
	own := *c
	own.through = region
	return &own, own.regions(r)
}

// regions says whether the caller's account has enabled the opt-in Regions that
// the caller came by: the one that answers, and the one that issued its session.
// AWS says of such a credential what it says of one that nobody has.
func (c *Caller) regions(r record.Reader) error {
	if c.through != "" && !c.enabled(r, c.through) {
		return errToken
	}
	// A token of the first layout was sealed with a key that no opt-in Region has.
	s := c.Session
	if s == nil || s.Region == "" || c.token != nil && c.token.Narrow() {
		return nil
	}
	e, ok := r.Entry(record.MakeKey(record.Regions.Name, record.None, s.Region))
	if !ok {
		return errToken
	}
	if g, err := view.Read(c.ring, record.Regions, e); err != nil || g.OptIn && !c.enabled(r, s.Region) {
		return errToken
	}
	return nil
}

// enabled says whether the account has enabled an opt-in Region. An account that
// cannot be read has not.
func (c *Caller) enabled(r record.Reader, region string) bool {
	e, ok := r.Entry(record.MakeKey(record.Accounts.Name, c.Account, c.Account))
	if !ok {
		return false
	}
	f := FormOf(c.ring, e)
	return f.Err == nil && f.Account.Has(region)
}
