package keyring

import (
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
)

func TestARegionThatIsAdmittedOpensWhatWasSealedBeforeItCame(t *testing.T) {
	control, _, stolen, tx := fencedWorld(t)
	const account = "000000000001"
	old, oldSecret, err := control.NewAccessKey(tx, account, now)
	if err != nil {
		t.Fatal(err)
	}
	enroll(t, tx, stolen, true) // so that there are two generations
	renew(t, control, tx)
	young, youngSecret, err := control.NewAccessKey(tx, account, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := control.NewRegion(tx, "ap-south-2", false, now); err != nil {
		t.Fatal(err)
	}
	keys, err := NewNodeKeys("ap-south-2a", false)
	if err != nil {
		t.Fatal(err)
	}
	node, err := NewRegionRing(keys, "ap-south-2")
	if err != nil {
		t.Fatal(err)
	}
	enroll(t, tx, node, false)
	k, err := newestRegionKey(tx, "ap-south-2")
	if err != nil || k == nil {
		t.Fatal(err)
	}
	n, err := record.Get(tx, record.Nodes, record.None, "ap-south-2a")
	if err != nil {
		t.Fatal(err)
	}
	if err := control.AddNode(tx, k, n); err != nil {
		t.Fatal(err)
	}
	put(t, tx, record.RegionKeys, k)
	if _, _, err := node.Opening(tx, record.DefaultClass, 0); err != nil {
		t.Errorf("the opening key: %v", err)
	}
	if _, err := node.Secret(tx, account, &young); err == nil {
		t.Error("an account's key is open before it was wrapped")
	}
	rounds := 0
	for after := ""; ; rounds++ {
		due, err := AccountsUnwrapped(tx, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(due) == 0 {
			break
		}
		if err := control.WrapAccounts(tx, due); err != nil {
			t.Fatal(err)
		}
		after = due[len(due)-1]
	}
	if rounds < 2 {
		t.Errorf("%d rounds", rounds)
	}
	if got, err := node.Secret(tx, account, &old); err != nil || string(got) != oldSecret {
		t.Errorf("a key of the first generation: %v", err)
	}
	if got, err := node.Secret(tx, account, &young); err != nil || string(got) != youngSecret {
		t.Errorf("a key of the generation in use: %v", err)
	}
	if due, err := AccountsUnwrapped(tx, "", 10); err != nil || len(due) > 0 {
		t.Errorf("still due: %v %v", due, err)
	}
	if err := node.WrapAccounts(tx, []string{account}); err != nil {
		t.Errorf("nothing is due: %v", err)
	}
	if err := node.NewRegion(tx, "eu-south-2", false, now); err == nil {
		t.Error("a Region node admitted a Region")
	}
}

func TestKeysAreRenewedWithoutARegionThatWasTakenOutWhichMayComeAgain(t *testing.T) {
	control, kept, gone, tx := fencedWorld(t)
	const account = "000000000001"
	before, _, err := control.NewAccessKey(tx, account, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Ring{kept, gone} { // both nodes of us-east-1
		enroll(t, tx, r, true)
	}
	record.Delete(tx, record.Regions, &record.Region{Name: "us-east-1"})
	renew(t, control, tx)
	after, secret, err := control.NewAccessKey(tx, account, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Secret(tx, account, &after); err == nil {
		t.Error("a node of the Region that is gone opened a secret that was sealed after it went")
	}
	if _, generation, err := gone.Opening(tx, record.DefaultClass, 0); err == nil {
		t.Errorf("it has opening key %d", generation)
	}
	if due, err := OpeningDue(tx); due || err != nil {
		t.Errorf("the opening keys are due for ever: %v", err)
	}
	if err := control.NewRegion(tx, "us-east-1", false, now); err != nil {
		t.Fatal(err)
	}
	keys, err := NewNodeKeys("us-east-1z", false)
	if err != nil {
		t.Fatal(err)
	}
	again, err := NewRegionRing(keys, "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	enroll(t, tx, again, false)
	n, err := record.Get(tx, record.Nodes, record.None, "us-east-1z")
	if err != nil {
		t.Fatal(err)
	}
	for _, generation := range []int{1, 2} { // as a node that joins is given them
		k, err := record.Get(tx, record.RegionKeys, record.None, "us-east-1:"+record.Generation(generation))
		if err != nil {
			t.Fatal(err)
		}
		if err := control.AddNode(tx, k, n); err != nil {
			t.Fatal(err)
		}
		put(t, tx, record.RegionKeys, k)
	}
	if err := control.WrapAccounts(tx, []string{account}); err != nil {
		t.Fatal(err)
	}
	for _, k := range []*record.AccessKey{&before, &after} {
		if _, err := again.Secret(tx, account, k); err != nil {
			t.Errorf("the Region that came again: %v", err)
		}
	}
	if got, err := again.Secret(tx, account, &after); err != nil || string(got) != secret {
		t.Errorf("%v", err)
	}
	if _, err := gone.Secret(tx, account, &after); err == nil {
		t.Error("an old node of it opens that too")
	}
}
