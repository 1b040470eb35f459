package keyring

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// renewed reseals all that is due and says how much that was.
func renewed(t *testing.T, r *Ring, tx record.Tx) int {
	t.Helper()
	wrapping, rest, err := r.Earlier(tx)
	if err != nil {
		t.Fatal(err)
	}
	for _, reseal := range append(wrapping, rest...) {
		if err := reseal(r, tx); err != nil {
			t.Fatal(err)
		}
	}
	return len(wrapping) + len(rest)
}

func TestAKEKIsRenewedAndNothingNeedsTheEarlierOneAnyMore(t *testing.T) {
	before, region, _, tx := fencedWorld(t)
	access, secret, err := before.NewAccessKey(tx, "111122223333", now)
	if err != nil {
		t.Fatal(err)
	}
	both := &Ring{KEK: slices.Concat(before.KEK, newKey())}
	after := &Ring{KEK: both.newestKEK()}
	if err := both.CheckKEK(tx); err != nil {
		t.Error(err)
	}
	if n := renewed(t, both, tx); n != 2+1+6 { // two Regions, a class, six accounts
		t.Errorf("%d keys were sealed anew", n)
	}
	if n := renewed(t, both, tx); n != 0 {
		t.Errorf("%d keys are due once more", n)
	}
	if err := after.CheckKEK(tx); err != nil {
		t.Error(err)
	}
	if err := before.CheckKEK(tx); err == nil {
		t.Error("the earlier KEK still opens it")
	}
	for name, r := range map[string]*Ring{"control": after, "region": region} {
		if got, err := r.Secret(tx, "111122223333", &access); err != nil || string(got) != secret {
			t.Errorf("%s: a secret of before: %v", name, err)
		}
		if _, _, err := r.Opening(tx, record.DefaultClass, 0); err != nil {
			t.Errorf("%s: an opening key of before: %v", name, err)
		}
	}
}

func TestARenewalOfTheKEKMayBreakOffAnywhere(t *testing.T) {
	before, _, _, tx := fencedWorld(t)
	both := &Ring{KEK: slices.Concat(before.KEK, newKey())}
	wrapping, rest, err := both.Earlier(tx)
	if err != nil {
		t.Fatal(err)
	}
	all := append(wrapping, rest...)
	for i, reseal := range all {
		if n, _, err := both.Earlier(tx); err != nil || i > 0 && len(n) != max(0, len(wrapping)-i) {
			t.Fatalf("after %d: %d wrapping keys are due, %v", i, len(n), err)
		}
		for _, one := range [][]byte{before.KEK, both.newestKEK()} {
			if err := (&Ring{KEK: one}).CheckKEK(tx); i > 0 && err == nil {
				t.Errorf("after %d of %d a file of one key is taken", i, len(all))
			}
		}
		if err := both.CheckKEK(tx); err != nil {
			t.Errorf("after %d: %v", i, err)
		}
		if _, err := both.NewAccountKey(tx, "999999999999", i+1, []string{"us-east-1"}, now); err != nil {
			t.Errorf("after %d no account can be made: %v", i, err)
		}
		if err := reseal(both, tx); err != nil {
			t.Fatal(err)
		}
	}
	if err := (&Ring{KEK: both.newestKEK()}).CheckKEK(tx); err != nil {
		t.Error(err)
	}
}

func TestWhatIsMadeBeforeEveryNodeHasANewKEKIsSealedUnderTheOldOne(t *testing.T) {
	before, _, _, tx := fencedWorld(t)
	both := &Ring{KEK: slices.Concat(before.KEK, newKey())}
	k, err := both.NewAccountKey(tx, "999999999999", 1, []string{"us-east-1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	put(t, tx, record.AccountKeys, k)
	if err := before.CheckKEK(tx); err != nil {
		t.Errorf("on a node that has the old one alone: %v", err)
	}
	for _, n := range []record.Node{{ID: "a"}, {ID: "b"}, {ID: "c", Fenced: true}} {
		n.Role = record.ControlNode
		put(t, tx, record.Nodes, &n)
	}
	lacks := func(want ...string) {
		t.Helper()
		if got, err := both.Lacking(tx); err != nil || !slices.Equal(got, want) {
			t.Errorf("lacking: %q, %v; want %q", got, err, want)
		}
	}
	lacks("a", "b")
	put(t, tx, record.KEKHolders, &record.KEKHolder{Node: "a", KEKs: Tags(both.KEK)})
	put(t, tx, record.KEKHolders, &record.KEKHolder{Node: "b", KEKs: Tags(before.KEK)})
	lacks("b")
	put(t, tx, record.KEKHolders, &record.KEKHolder{Node: "b", KEKs: Tags(both.KEK)})
	lacks()
}

func TestAnAccountDeletedWhileTheKEKIsRenewedIsLeftAlone(t *testing.T) {
	before, _, _, tx := fencedWorld(t)
	both := &Ring{KEK: slices.Concat(before.KEK, newKey())}
	_, rest, err := both.Earlier(tx)
	if err != nil {
		t.Fatal(err)
	}
	gone, err := record.Get(tx, record.AccountKeys, "000000000001", record.Generation(1))
	if err != nil {
		t.Fatal(err)
	}
	record.Delete(tx, record.AccountKeys, gone)
	for _, reseal := range rest {
		if err := reseal(both, tx); err != nil {
			t.Error(err)
		}
	}
	if record.Has(tx, record.AccountKeys, "000000000001", record.Generation(1)) {
		t.Error("a deleted account has a key again")
	}
}

func TestAKEKsFileGrowsByOneAndKeepsWhatIsTakenAway(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path, earlier := filepath.Join(dir, "kek"), filepath.Join(dir, "earlier")
	if err := MakeKEK(path); err != nil {
		t.Fatal(err)
	}
	first, _ := LoadKEK(path)
	if err := DropKEKs(path, earlier); err == nil {
		t.Error("the only key was taken away")
	}
	for i := 1; i < MaxKEKs; i++ {
		if err := AddKEK(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := AddKEK(path); err == nil {
		t.Error("a file takes any number of keys")
	}
	all, err := LoadKEK(path)
	if err != nil || len(all) != MaxKEKs*KeySize || !bytes.HasPrefix(all, first) {
		t.Fatalf("%d bytes, %v", len(all), err)
	}
	if err := os.WriteFile(earlier, nil, 0o400); err != nil {
		t.Fatal(err)
	}
	if err := DropKEKs(path, earlier); err == nil {
		t.Error("a file was written over")
	}
	if now, _ := LoadKEK(path); !bytes.Equal(now, all) {
		t.Error("keys were taken away that are nowhere now")
	}
	if err := DropKEKs(path, earlier+"-2"); err != nil {
		t.Fatal(err)
	}
	last, err := LoadKEK(path)
	old, err2 := LoadKEK(earlier + "-2")
	if err != nil || err2 != nil || !bytes.Equal(slices.Concat(old, last), all) || len(last) != KeySize {
		t.Errorf("%d and %d bytes, %v %v", len(old), len(last), err, err2)
	}
	for _, size := range []int{0, KeySize - 1, KeySize + 1, (MaxKEKs + 1) * KeySize} {
		bad := filepath.Join(dir, "bad")
		os.Remove(bad)
		if err := os.WriteFile(bad, make([]byte, size), 0o400); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKEK(bad); err == nil {
			t.Errorf("a file of %d bytes is taken", size)
		}
	}
}
