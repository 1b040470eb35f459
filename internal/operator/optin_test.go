package operator

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/holdfast-iam/holdfast/internal/record"
)

func TestAnAccountEnablesAndDisablesOptInRegions(t *testing.T) {
	w := newWorld(t, "production") // one operator is enough: no other account is touched
	w.Ring = w.ring
	w.change(func(tx record.Tx) error {
		for name, optIn := range map[string]bool{"us-east-1": false, "me-south-1": true} {
			if err := w.ring.NewRegion(tx, name, optIn, w.now); err != nil {
				return err
			}
		}
		return nil
	})
	arguments := func(account, region string) string { return `{"account":"` + account + `","region":"` + region + `"}` }
	list := func(want ...AccountRegion) {
		t.Helper()
		if got := good[[]AccountRegion](w, "account.regions", `{"id":"`+account+`"}`); !slices.Equal(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	keys := func() (n int) {
		w.view.Range(record.AccountKeyByAccount.Name, account+record.Sep, "", func(string, *record.Entry) bool { n++; return true })
		return n
	}
	byDefault := AccountRegion{"us-east-1", false, true, true}
	list(AccountRegion{"me-south-1", true, false, false}, byDefault)
	for range 2 { // twice is once
		if out := good[AccountRegion](w, "account.enable", arguments(account, "me-south-1")); !out.Enabled || !out.STS || w.last.Reduces {
			t.Errorf("%+v", out)
		}
	}
	list(AccountRegion{"me-south-1", true, true, true}, byDefault)
	if keys() != 1 {
		t.Errorf("enabling made a key: there are %d", keys())
	}
	if out := good[AccountRegion](w, "account.disable", arguments(account, "me-south-1")); out.Enabled || out.STS || !w.last.Reduces || keys() != 2 {
		t.Errorf("%+v, %d keys", out, keys())
	}
	list(AccountRegion{"me-south-1", true, false, false}, byDefault)
	for range 2 {
		if out := good[AccountRegion](w, "account.disable", arguments(account, "us-east-1")); !out.Enabled || out.STS {
			t.Errorf("%+v", out)
		}
	}
	list(AccountRegion{"me-south-1", true, false, false}, AccountRegion{"us-east-1", false, true, false})
	if out := good[AccountRegion](w, "account.enable", arguments(account, "us-east-1")); !out.STS || record.Has(w.view, record.STSPreferences, account, "sts") {
		t.Errorf("%+v", out)
	}
	for name, x := range map[string]struct{ command, account, region, words string }{
		"an account that there is not": {"account.enable", "999999999999", "me-south-1", "there is no account 999999999999"},
		"no account":                   {"account.enable", "all", "me-south-1", "not twelve digits"},
		"a Region that there is not":   {"account.enable", account, "eu-south-1", "there is no Region"},
		"no Region":                    {"account.disable", account, "../x", "there is no Region"},
		"one that is not enabled":      {"account.disable", account, "me-south-1", "has not enabled me-south-1"},
	} {
		w.refused(name, w.signed(x.command, arguments(x.account, x.region)), codes.FailedPrecondition, x.words)
	}
}

func TestAnAccountEnablesSoManyOptInRegionsAsItsTokensHaveRoomFor(t *testing.T) {
	w := newWorld(t, "development")
	w.Ring = w.ring
	w.change(func(tx record.Tx) error {
		for n := range record.MaxOptIn + 1 {
			if err := w.ring.NewRegion(tx, fmt.Sprintf("xx-away-%02d", n), true, w.now); err != nil {
				return err
			}
		}
		a, err := record.Get(tx, record.Accounts, account, account)
		if err != nil {
			return err
		}
		a.Regions = []string{"xx-gone-1"} // was taken out
		for n := range record.MaxOptIn - 1 {
			a.Regions = append(a.Regions, fmt.Sprintf("xx-away-%02d", n))
		}
		return record.Put(tx, record.Accounts, a)
	})
	enable := func(n int) string { return fmt.Sprintf(`{"account":"%s","region":"xx-away-%02d"}`, account, n) }
	good[AccountRegion](w, "account.enable", enable(record.MaxOptIn-1))
	w.refused("one too many", w.signed("account.enable", enable(record.MaxOptIn)), codes.FailedPrecondition, "20 opt-in Regions at most")
}

func TestAnOptInRegionIsAdmittedUnderANameThatNoRegionHad(t *testing.T) {
	w := newWorld(t, "development")
	w.AdmitRegion = w.ring.NewRegion
	good[record.Region](w, "region.create", `{"name":"us-east-1"}`)
	good[record.Region](w, "region.create", `{"name":"eu-west-1"}`)
	if r := good[record.Region](w, "region.create", `{"name":"me-south-1","optIn":true}`); !r.OptIn {
		t.Errorf("%+v", r)
	}
	good[Removed](w, "region.delete", `{"name":"eu-west-1"}`)
	w.refused("the last that accounts have by default", w.signed("region.delete", `{"name":"us-east-1"}`), codes.FailedPrecondition, "enabled by default")
	w.refused("a name that a Region had", w.signed("region.create", `{"name":"eu-west-1","optIn":true}`), codes.FailedPrecondition, "was here before")
	good[record.Region](w, "region.create", `{"name":"eu-west-1"}`)
	good[Removed](w, "region.delete", `{"name":"me-south-1"}`)
}
