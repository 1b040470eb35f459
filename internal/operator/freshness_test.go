package operator

import (
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
)

func TestAnAccountsFreshnessIsSetShownAndRemoved(t *testing.T) {
	w := newWorld(t, "production")
	show := func() record.Freshness { return good[record.Freshness](w, "account.freshness", `{"id":"`+account+`"}`) }
	if f := show(); f.Account != account || len(f.Rules) != 0 {
		t.Errorf("%+v", f)
	}
	good[record.Freshness](w, "account.demand", `{"account":"`+account+`","rules":[{"action":"storage:Delete*","within":30},{"action":"*","within":86400}]}`)
	if f := show(); len(f.Rules) != 2 || f.Rules[0] != (record.FreshRule{Action: "storage:Delete*", Within: 30}) {
		t.Errorf("%+v", f)
	}
	good[record.Freshness](w, "account.demand", `{"account":"`+account+`","rules":[]}`)
	if record.Has(w.view, record.Freshnesses, account, "rules") {
		t.Error("it is still there")
	}
}

func TestAFreshnessOutOfFormIsRefused(t *testing.T) {
	rule := func(action, within string) string {
		return `{"account":"` + account + `","rules":[{"action":"` + action + `","within":` + within + `}]}`
	}
	refusals{
		{"an account that is none", `{"account":"999999999999","rules":[]}`, "no account"},
		{"less than heartbeats allow", rule("*", "4"), "5s"},
		{"more than a day", rule("*", "86401"), "24h"},
		{"more than a number of seconds holds", rule("*", "9223372036854775807"), "24h"},
		{"below zero", rule("*", "-30"), "5s"},
		{"a star in the middle", rule("s3:*Object", "30"), "no action"},
		{"a star for the service", rule("*:Get", "30"), "no action"},
		{"no name", rule("s3:", "30"), "no action"},
		{"nothing", rule("", "30"), "no action"},
	}.run(t, "production", "account.demand", nil)
}
