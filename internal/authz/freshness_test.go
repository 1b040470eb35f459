package authz_test

import (
	"errors"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
)

func TestAnAccountDemandsAYoungerViewForTheActionsOfItsRules(t *testing.T) {
	w := newWorld(t)
	if err := authz.Fresh(w.view, account, "storage:DeleteObject", 60*24*time.Hour); err != nil {
		t.Errorf("without rules: %v", err)
	}
	w.change(func(tx record.Tx) error {
		return record.Put(tx, record.Freshnesses, &record.Freshness{Account: account, Rules: []record.FreshRule{
			{Action: "storage:Delete*", Within: 30}, {Action: "sts:AssumeRole", Within: 300}}})
	})
	for _, x := range []struct {
		name, account, action string
		age                   time.Duration
		good                  bool
	}{
		{"young enough", account, "storage:DeleteObject", 30 * time.Second, true},
		{"too old", account, "storage:DeleteObject", 31 * time.Second, false},
		{"in other letters", account, "STORAGE:deleteobject", 31 * time.Second, false},
		{"another action", account, "storage:GetObject", time.Hour, true},
		{"an action's beginning", account, "storage:Delet", time.Hour, true},
		{"an exact action", account, "sts:AssumeRole", 301 * time.Second, false},
		{"one that only begins alike", account, "sts:AssumeRoleWithSAML", 301 * time.Second, true},
		{"another account", "444455556666", "storage:DeleteObject", time.Hour, true},
	} {
		if err := authz.Fresh(w.view, x.account, x.action, x.age); (err == nil) != x.good || err != nil && !errors.Is(err, fault.ServiceUnavailable) {
			t.Errorf("%s: %v", x.name, err)
		}
	}
}

func TestARuleThatCannotBeReadIsNotMet(t *testing.T) {
	w := newWorld(t)
	w.change(func(tx record.Tx) error {
		key := record.MakeKey(record.Freshnesses.Name, account, "rules")
		value := []byte(`{"v":9,"r":{}}`)
		return tx.Put(record.NewEntry(key, value), value)
	})
	if err := authz.Fresh(w.view, account, "a:b", time.Minute); !errors.Is(err, fault.ServiceUnavailable) {
		t.Error(err)
	}
}
