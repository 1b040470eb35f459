package operator

import (
	"regexp"
	"time"

	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// Limits of an account's freshness rules.
const (
	maxFreshRules = 20
	mostWithin    = 24 * time.Hour
)

// freshAction is an action's name, or its beginning and a star.
var freshAction = regexp.MustCompile(`^([A-Za-z0-9-]{1,64}:([A-Za-z0-9]{1,128}|[A-Za-z0-9]{0,128}\*)|\*)$`)

// setFreshness replaces what an account demands of the view that answers for it;
// no rule demands nothing.
func setFreshness(in *record.Freshness, _ signers, tx record.Tx, _ time.Time) (any, error) {
	switch {
	case !record.Has(tx, record.Accounts, in.Account, in.Account):
		return nil, refuse("there is no account %s", in.Account)
	case len(in.Rules) > maxFreshRules:
		return nil, refuse("an account has %d rules at most", maxFreshRules)
	}
	for _, r := range in.Rules {
		if !freshAction.MatchString(r.Action) {
			return nil, refuse("%q is no action: service:Name, service:Prefix*, or *", r.Action)
		}
		if d := time.Duration(r.Within) * time.Second; r.Within > int(mostWithin/time.Second) || d < authz.LeastWithin {
			return nil, refuse("the age for %s is from %s to %s: a node that is connected can be a few seconds behind", r.Action, authz.LeastWithin, mostWithin)
		}
	}
	if len(in.Rules) == 0 {
		record.Delete(tx, record.Freshnesses, in)
		return in, nil
	}
	return in, record.Put(tx, record.Freshnesses, in)
}

// showFreshness tells it.
func showFreshness(in *idIn, r record.Reader) (any, error) {
	if !record.Has(r, record.Accounts, in.ID, in.ID) {
		return nil, refuse("there is no account %s", in.ID)
	}
	f, err := record.Get(r, record.Freshnesses, in.ID, "rules")
	if err != nil && record.Has(r, record.Freshnesses, in.ID, "rules") {
		return nil, err
	}
	if err != nil {
		f = &record.Freshness{Account: in.ID}
	}
	return f, nil
}
