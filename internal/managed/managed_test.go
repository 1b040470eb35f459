package managed

import (
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
)

func TestEveryManagedPolicyIsARecordWithAnIDOfItsOwn(t *testing.T) {
	policies, err := Policies()
	if err != nil {
		t.Fatal(err)
	}
	if len(policies) < 1400 {
		t.Fatalf("only %d policies", len(policies))
	}
	seen := map[string]string{}
	for _, p := range policies {
		if other := seen[p.ID]; other != "" {
			t.Errorf("%s and %s share id %s", p.Name, other, p.ID)
		}
		seen[p.ID] = p.Name
		if p.Document() == "" || p.Path == "" || p.Created == 0 {
			t.Errorf("%s is incomplete", p.Name)
		}
		value, err := record.Policies.Encode(p)
		if err != nil || record.NewEntry(record.Policies.Key(p), value).Bad {
			t.Errorf("%s is no good record: %v", p.Name, err)
		}
	}
	if seen[ID("AdministratorAccess")] != "AdministratorAccess" {
		t.Error("AdministratorAccess is missing")
	}
}
