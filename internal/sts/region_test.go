package sts

import (
	"testing"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// TestWhereSTSIssuesCredentialsOfAnAccountAndOfWhichVersion (IAM User Guide,
// "Manage AWS STS in an AWS Region").
func TestWhereSTSIssuesCredentialsOfAnAccountAndOfWhichVersion(t *testing.T) {
	const away = "me-south-1" // an opt-in Region
	for _, x := range []struct {
		name, region string
		global       bool
		enabled      []string
		chosen       *record.STSPreference
		want         int // version; 0: STS is not activated
	}{
		{"a Regional endpoint", "us-east-1", false, nil, nil, 2},
		{"the global endpoint", "us-east-1", true, nil, nil, 1},
		{"the global endpoint, version 2 chosen", "us-east-1", true, nil, &record.STSPreference{Global: 2}, 2},
		{"the global endpoint, version 1 chosen again", "us-east-1", true, nil, &record.STSPreference{Global: 1}, 1},
		{"a Regional endpoint, version 1 chosen", "us-east-1", false, nil, &record.STSPreference{Global: 1}, 2},
		{"a Region where it is deactivated", "us-east-1", false, nil, &record.STSPreference{Deactivated: []string{"eu-west-1", "us-east-1"}}, 0},
		{"the global endpoint there", "us-east-1", true, nil, &record.STSPreference{Deactivated: []string{"us-east-1"}}, 1},
		{"a Region where it is not", "us-east-1", false, nil, &record.STSPreference{Deactivated: []string{"eu-west-1"}}, 2},
		{"an opt-in Region", away, false, nil, nil, 0},
		{"the global endpoint there", away, true, nil, nil, 0},
		{"one that the account has enabled", away, false, []string{away}, nil, 2},
		{"the global endpoint there", away, true, []string{away}, nil, 1},
		{"an opt-in Region, another is enabled", away, false, []string{"ap-south-2"}, nil, 0},
		{"a Region that there is not", "mx-central-1", false, []string{"mx-central-1"}, nil, 0},
	} {
		tx := (&view.View{State: view.Empty(make([]byte, 16))}).Begin()
		put(t, tx, record.Regions, &record.Region{Name: "us-east-1"})
		put(t, tx, record.Regions, &record.Region{Name: away, OptIn: true})
		put(t, tx, record.Accounts, &record.Account{ID: home, Regions: x.enabled})
		if x.chosen != nil {
			x.chosen.Account = home
			put(t, tx, record.STSPreferences, x.chosen)
		}
		claims := &Claims{Account: home}
		err := regional(&api.Call{Tx: tx, Region: x.region, Global: x.global}, claims)
		if claims.Version != x.want || (err == nil) != (x.want > 0) {
			t.Errorf("%s: version %d, %v; want %d", x.name, claims.Version, err, x.want)
		}
		if f, ok := fault.From(err); err != nil && (!ok || f.Kind != fault.RegionDisabledException) {
			t.Errorf("%s: %v", x.name, err)
		}
	}
}

func put[R any](t *testing.T, tx record.Tx, k *record.Kind[R], v *R) {
	t.Helper()
	if err := record.Put(tx, k, v); err != nil {
		t.Fatal(err)
	}
}

// TestWhatAnAccountChoseAndCannotBeReadIssuesNothing: a newer node may have
// written that STS is deactivated.
func TestWhatAnAccountChoseAndCannotBeReadIssuesNothing(t *testing.T) {
	tx := (&view.View{State: view.Empty(make([]byte, 16))}).Begin()
	put(t, tx, record.Regions, &record.Region{Name: "us-east-1"})
	value := []byte(`{"v":9,"r":{}}`)
	if err := tx.Put(record.NewEntry(record.MakeKey(record.STSPreferences.Name, home, "sts"), value), value); err != nil {
		t.Fatal(err)
	}
	if err := regional(&api.Call{Tx: tx, Region: "us-east-1"}, &Claims{Account: home}); err == nil {
		t.Error("credentials were issued")
	}
}
