package keyring

import (
	"bytes"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// optInWorld is fencedWorld with an opt-in Region and a node of it, and an
// account with a key of each of two generations.
func optInWorld(t *testing.T) (control, home, away *Ring, tx *view.Pending) {
	t.Helper()
	control, home, _, tx = fencedWorld(t)
	if err := control.NewRegion(tx, "me-south-1", true, now); err != nil {
		t.Fatal(err)
	}
	keys, err := NewNodeKeys("me-south-1a", false)
	if err != nil {
		t.Fatal(err)
	}
	if away, err = NewRegionRing(keys, "me-south-1"); err != nil {
		t.Fatal(err)
	}
	enroll(t, tx, away, false)
	n, err := record.Get(tx, record.Nodes, record.None, away.Node)
	if err != nil {
		t.Fatal(err)
	}
	k, err := newestRegionKey(tx, "me-south-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := control.AddNode(tx, k, n); err != nil {
		t.Fatal(err)
	}
	put(t, tx, record.RegionKeys, k)
	return control, home, away, tx
}

func TestAnOptInRegionHasAClassOfItsOwnThatOthersSealToAndCannotOpen(t *testing.T) {
	control, home, away, tx := optInWorld(t)
	if r, err := record.Get(tx, record.Regions, record.None, "me-south-1"); err != nil || !r.OptIn || r.Class() != "me-south-1" {
		t.Fatalf("%+v %v", r, err)
	}
	for _, x := range []struct {
		node  *Ring
		class string
		good  bool
	}{
		{home, record.DefaultClass, true}, {home, "me-south-1", false}, {away, record.DefaultClass, false}, {away, "me-south-1", true},
		{control, record.DefaultClass, true}, {control, "me-south-1", true},
	} {
		opening, generation, err := x.node.Opening(tx, x.class, 0)
		if (err == nil) != x.good {
			t.Errorf("node %q opens tokens of class %s: %v", x.node.Node, x.class, err)
		}
		sealing, err := SealingOf(tx, x.class)
		if err != nil || sealing == nil {
			t.Fatalf("class %s has no sealing key: %v", x.class, err)
		}
		if !x.good {
			continue
		}
		if private, err := SealingPrivate(opening); err != nil || sealing.Generation != generation || !bytes.Equal(private.PublicKey().Bytes(), sealing.Public) {
			t.Errorf("class %s: the sealing key of generation %d is not that of the opening key: %v", x.class, sealing.Generation, err)
		}
	}
}

func TestSealingKeysAreOnlyWhereAnOptInRegionIs(t *testing.T) {
	control, _, stolen, tx := fencedWorld(t)
	if err := control.NewRegion(tx, "ap-south-1", false, now); err != nil {
		t.Fatal(err)
	}
	enroll(t, tx, stolen, true)
	renew(t, control, tx)
	if k, err := SealingOf(tx, record.DefaultClass); k != nil || err != nil {
		t.Errorf("a deployment of Regions enabled by default has one, which older nodes do not read: %v", err)
	}
}

func TestARenewedOpeningKeyIsSealedToWhereAnOptInRegionIs(t *testing.T) {
	control, home, stolen, tx := fencedWorld(t)
	if err := control.NewRegion(tx, "me-south-1", true, now); err != nil {
		t.Fatal(err)
	}
	enroll(t, tx, stolen, true)
	renew(t, control, tx)
	_, generation, err := home.Opening(tx, record.DefaultClass, 0)
	if err != nil {
		t.Fatal(err)
	}
	if k, err := SealingOf(tx, record.DefaultClass); err != nil || k.Generation != generation || generation != 2 {
		t.Errorf("generation %d of the sealing key, %d of the opening key: %v", k.Generation, generation, err)
	}
}

func TestAnOptInRegionOpensAnAccountsKeysWhileTheAccountHasItEnabled(t *testing.T) {
	control, home, away, tx := optInWorld(t)
	const account = "000000000001" // wrapped for us-east-1
	key := func() *record.AccessKey {
		k, _, err := control.NewAccessKey(tx, account, now)
		if err != nil {
			t.Fatal(err)
		}
		return &k
	}
	opens := func(when string, node *Ring, k *record.AccessKey, want bool) {
		t.Helper()
		fresh := &Ring{Node: node.Node, Region: node.Region, HPKE: node.HPKE} // as after a restart: nothing is kept
		if _, err := fresh.Secret(tx, account, k); (err == nil) != want {
			t.Errorf("%s: node %s: %v, want %v", when, node.Node, err, want)
		}
	}
	before := key()
	opens("before", away, before, false)
	if err := control.EnableAccount(tx, account, "me-south-1"); err != nil {
		t.Fatal(err)
	}
	while := key()
	opens("enabled, an older key", away, before, true)
	opens("enabled", away, while, true)
	if err := control.DisableAccount(tx, account, "me-south-1", now); err != nil {
		t.Fatal(err)
	}
	after := key()
	for name, k := range map[string]*record.AccessKey{"an older key": before, "a key of then": while, "a key of now": after} {
		opens("disabled, "+name, away, k, false)
		opens("disabled, "+name, home, k, true)
	}
	if after.Generation != while.Generation+1 {
		t.Errorf("the account's key has generation %d after the Region was disabled, %d before", after.Generation, while.Generation)
	}
	exposed := map[int]bool{}
	n, err := record.Get(tx, record.Nodes, record.None, away.Node)
	if err != nil {
		t.Fatal(err)
	}
	if err := Exposed(tx, n, func(a string, generation int) bool {
		exposed[generation] = a == account
		return true
	}); err != nil || !exposed[1] || exposed[2] {
		t.Errorf("exposed to a node that had the keys once: %v %v", exposed, err)
	}
	for range 2 { // again, and it costs nothing
		if err := control.EnableAccount(tx, account, "me-south-1"); err != nil {
			t.Fatal(err)
		}
	}
	for name, k := range map[string]*record.AccessKey{"an older key": before, "a key of then": while, "a key of now": after} {
		opens("enabled again, "+name, away, k, true)
	}
	if k, err := record.Get(tx, record.AccountKeys, account, record.Generation(1)); err != nil || len(k.Regions) != 3 {
		t.Errorf("%d wraps: %v", len(k.Regions), err)
	}
	enroll(t, tx, away, true) // its Region's keys are renewed as any other's
	renew(t, control, tx)
	opens("fenced", away, key(), false)
	opens("fenced", home, key(), true)
	if _, _, err := away.Opening(tx, "me-south-1", 0); err == nil {
		t.Error("a fenced node has the new opening key of its class")
	}
}

func TestOnlyTheControlPlaneEnablesAnAccount(t *testing.T) {
	_, home, _, tx := optInWorld(t)
	if err := home.EnableAccount(tx, "000000000001", "me-south-1"); err == nil {
		t.Error("a Region node gave another Region an account's key")
	}
	if err := home.DisableAccount(tx, "000000000001", "me-south-1", now); err == nil {
		t.Error("a Region node made an account's key")
	}
}
