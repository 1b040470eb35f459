package keyring

import (
	"fmt"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// enroll puts a node's record, with its ring's public key.
func enroll(t *testing.T, tx record.Tx, r *Ring, fenced bool) {
	t.Helper()
	put(t, tx, record.Nodes, &record.Node{ID: r.Node, Role: record.RegionNode, Region: r.Region, HPKE: r.HPKE.PublicKey().Bytes(), Fenced: fenced})
}

// fencedWorld is world with one more node in us-east-1, which is fenced then.
func fencedWorld(t *testing.T) (control, kept, stolen *Ring, tx *view.Pending) {
	t.Helper()
	control, kept, other, s := world(t)
	tx = s.Begin()
	keys, err := NewNodeKeys("us-east-1b", false)
	if err != nil {
		t.Fatal(err)
	}
	if stolen, err = NewRegionRing(keys, "us-east-1"); err != nil {
		t.Fatal(err)
	}
	for _, region := range []string{"us-east-1", "eu-west-1"} {
		put(t, tx, record.Regions, &record.Region{Name: region})
	}
	for _, r := range []*Ring{kept, other, stolen} {
		enroll(t, tx, r, false)
	}
	k, err := record.Get(tx, record.RegionKeys, record.None, "us-east-1:"+record.Generation(1))
	if err != nil {
		t.Fatal(err)
	}
	n, err := record.Get(tx, record.Nodes, record.None, stolen.Node)
	if err != nil {
		t.Fatal(err)
	}
	if err := control.AddNode(tx, k, n); err != nil {
		t.Fatal(err)
	}
	put(t, tx, record.RegionKeys, k)
	o, err := control.NewOpeningKey(tx, record.DefaultClass, 1, []string{"us-east-1", "eu-west-1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	put(t, tx, record.OpeningKeys, o)
	for i := range 5 {
		account := fmt.Sprintf("%012d", i)
		a, err := control.NewAccountKey(tx, account, 1, []string{[]string{"eu-west-1", "us-east-1"}[i%2]}, now)
		if err != nil {
			t.Fatal(err)
		}
		put(t, tx, record.AccountKeys, a)
	}
	return control, kept, stolen, tx
}

func renew(t *testing.T, control *Ring, tx *view.Pending) {
	t.Helper()
	if err := control.RenewRegions(tx, now); err != nil {
		t.Fatal(err)
	}
	if err := control.RenewOpening(tx, now); err != nil {
		t.Fatal(err)
	}
	for after := ""; ; {
		due, err := AccountsDue(tx, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(due) == 0 {
			return
		}
		if err := control.RenewAccounts(tx, due, now); err != nil {
			t.Fatal(err)
		}
		after = due[len(due)-1]
	}
}

func TestWhatIsSealedAfterAFenceTheFencedNodeCannotOpen(t *testing.T) {
	control, kept, stolen, tx := fencedWorld(t)
	before, _, err := control.NewAccessKey(tx, "000000000001", now)
	if err != nil {
		t.Fatal(err)
	}
	renew(t, control, tx)
	if k, _ := newestRegionKey(tx, "us-east-1"); k.Generation != 1 {
		t.Fatal("keys were renewed without a fence")
	}
	enroll(t, tx, stolen, true)
	renew(t, control, tx)
	after, secret, err := control.NewAccessKey(tx, "000000000001", now)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := kept.Secret(tx, "000000000001", &after); err != nil || string(got) != secret {
		t.Errorf("the kept node: %v", err)
	}
	if _, err := kept.Secret(tx, "000000000001", &before); err != nil {
		t.Errorf("the kept node and an older key: %v", err)
	}
	if _, err := stolen.Secret(tx, "000000000001", &after); err == nil {
		t.Error("the fenced node opened a secret that was sealed after the fence")
	}
	if _, generation, err := kept.Opening(tx, record.DefaultClass, 0); err != nil || generation != 2 {
		t.Errorf("opening key %d %v", generation, err)
	}
	if _, _, err := stolen.Opening(tx, record.DefaultClass, 0); err == nil {
		t.Error("the fenced node has the new opening key")
	}
	for account, want := range map[string]int{"000000000000": 1, "000000000001": 2, "000000000002": 1, "000000000003": 2, "000000000004": 1, "111122223333": 2} {
		if _, generation, err := control.accountKey(tx, account, 0); err != nil || generation != want {
			t.Errorf("account %s has generation %d, want %d %v", account, generation, want, err)
		}
	}
	if k, _ := newestRegionKey(tx, "eu-west-1"); k.Generation != 1 {
		t.Error("another Region's key was renewed")
	}
	if regions, err := Compromised(tx); err != nil || len(regions) > 0 {
		t.Errorf("still due: %v %v", regions, err)
	}
}

func TestAnAccountDeletedWhileKeysAreRenewedIsLeftAlone(t *testing.T) {
	control, _, stolen, tx := fencedWorld(t)
	enroll(t, tx, stolen, true)
	if err := control.RenewRegions(tx, now); err != nil {
		t.Fatal(err)
	}
	k, err := record.Get(tx, record.AccountKeys, "000000000001", record.Generation(1))
	if err != nil {
		t.Fatal(err)
	}
	record.Delete(tx, record.AccountKeys, k)
	if err := control.RenewAccounts(tx, []string{"000000000001", "000000000003"}, now); err != nil {
		t.Fatal(err)
	}
	if _, _, err := control.accountKey(tx, "000000000001", 0); err == nil {
		t.Error("a deleted account has a key again")
	}
}

func TestWhatANodeCouldOpenIsListedByAccount(t *testing.T) {
	control, _, stolen, tx := fencedWorld(t)
	enroll(t, tx, stolen, true)
	renew(t, control, tx)
	n, err := record.Get(tx, record.Nodes, record.None, stolen.Node)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	if err := Exposed(tx, n, func(account string, generation int) bool {
		got += fmt.Sprintf("%s:%d ", account, generation)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if want := "000000000001:1 000000000003:1 111122223333:1 "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAKEKOfAnotherDeploymentIsFoundBeforeItIsUsed(t *testing.T) {
	control, _, _, tx := fencedWorld(t)
	if err := control.CheckKEK(tx); err != nil {
		t.Error(err)
	}
	if err := (&Ring{KEK: newKey()}).CheckKEK(tx); err == nil {
		t.Error("another KEK is taken")
	}
	if err := control.CheckKEK(view.Empty(make([]byte, 16))); err != nil {
		t.Errorf("a state without Regions: %v", err)
	}
}
