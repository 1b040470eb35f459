package native

import (
	"errors"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
)

func TestAServiceAsksWithinItsRecordOnly(t *testing.T) {
	storage := &record.Service{Name: "storage.example.com", Actions: []string{"storage:", "Archive:Get"}, Resources: []string{"arn:aws:storage:::photos/*"},
		Accounts: []string{"111122223333"}, Keys: []string{"storage:"}}
	with := func(change func(q *Question)) *Question {
		q := &Question{Action: "storage:GetObject", Resource: "arn:aws:storage:::photos/cat"}
		change(q)
		return q
	}
	said := func(key string, values ...string) *Question {
		return with(func(q *Question) { q.Context = map[string][]string{key: values} })
	}
	many := map[string][]string{}
	for i := range maxContextKeys + 1 {
		many["storage:k"+strings.Repeat("x", i)] = nil
	}
	for _, x := range []struct {
		name string
		q    *Question
		want fault.Kind // the zero value: none
	}{
		{"its action and resource", with(func(*Question) {}), fault.Kind{}},
		{"its action in other letters", with(func(q *Question) { q.Action = "STORAGE:getobject" }), fault.Kind{}},
		{"an action below a longer prefix", with(func(q *Question) { q.Action = "archive:GetVault" }), fault.Kind{}},
		{"an action beside a longer prefix", with(func(q *Question) { q.Action = "archive:PutVault" }), fault.AccessDenied},
		{"another service's action", with(func(q *Question) { q.Action = "iam:CreateUser" }), fault.AccessDenied},
		{"an action that only begins alike", with(func(q *Question) { q.Action = "storages:Get" }), fault.AccessDenied},
		{"no action", with(func(q *Question) { q.Action = "" }), fault.AccessDenied},
		{"an action without a name", with(func(q *Question) { q.Action = "storage:" }), fault.InvalidParameterValue},
		{"an action that is a pattern", with(func(q *Question) { q.Action = "storage:*" }), fault.InvalidParameterValue},
		{"an action with a placeholder", with(func(q *Question) { q.Action = "storage:Get?bject" }), fault.InvalidParameterValue},
		{"another resource", with(func(q *Question) { q.Resource = "arn:aws:storage:::films/cat" }), fault.AccessDenied},
		{"no resource", with(func(q *Question) { q.Resource = "" }), fault.AccessDenied},
		{"a resource policy at the limit", with(func(q *Question) { q.ResourcePolicy = strings.Repeat(" ", maxPolicy) }), fault.Kind{}},
		{"a resource policy of one byte more", with(func(q *Question) { q.ResourcePolicy = strings.Repeat(" ", maxPolicy+1) }), fault.InvalidParameterValue},
		{"a key of its own", said("Storage:Class", "cold"), fault.Kind{}},
		{"the client's address", said("aws:SourceIp", "10.0.0.1"), fault.Kind{}},
		{"a key of another service", said("s3:prefix", "a"), fault.AccessDenied},
		{"who the principal is", said("aws:PrincipalArn", "arn:aws:iam::111122223333:root"), fault.AccessDenied},
		{"who it is, in other letters", said("AWS:principaltag/team", "a"), fault.AccessDenied},
		{"the time", said("aws:CurrentTime", "2020-01-01T00:00:00Z"), fault.AccessDenied},
		{"as many keys as there may be, and one", with(func(q *Question) { q.Context = many }), fault.InvalidParameterValue},
		{"as many values as there may be", said("storage:k", make([]string, maxContextValues)...), fault.Kind{}},
		{"one value more", said("storage:k", make([]string, maxContextValues+1)...), fault.InvalidParameterValue},
		{"a value as long as it may be", said("storage:k", strings.Repeat("v", maxValue)), fault.Kind{}},
		{"a value longer by a byte", said("storage:k", strings.Repeat("v", maxValue+1)), fault.InvalidParameterValue},
	} {
		err := bounded(storage, x.q)
		if x.want == (fault.Kind{}) && err != nil || x.want != (fault.Kind{}) && !errors.Is(err, x.want) {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	if bounded(new(record.Service), with(func(*Question) {})) == nil {
		t.Error("a record that says nothing bounds nothing")
	}
}

func TestAServiceServesTheAccountsOfItsRecord(t *testing.T) {
	for _, x := range []struct {
		accounts []string
		want     bool
	}{{nil, false}, {[]string{"222233334444"}, false}, {[]string{"111122223333"}, true}, {[]string{"222233334444", "*"}, true}, {[]string{"1111*"}, false}} {
		if got := serves(&record.Service{Accounts: x.accounts}, "111122223333"); got != x.want {
			t.Errorf("%v: %v", x.accounts, got)
		}
	}
}
