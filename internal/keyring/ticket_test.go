package keyring

import (
	"bytes"
	"errors"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
)

func TestANodeByTicketOpensWhatANodeOfItsRegionSealsToIt(t *testing.T) {
	control, home, _, tx := fencedWorld(t)
	keys, err := NewNodeKeys("us-east-1d", false)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := NewRegionRing(keys, home.Region)
	if err != nil {
		t.Fatal(err)
	}
	hpke, err := keys.HPKEPublic()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := fresh.Opening(tx, record.DefaultClass, 0); err == nil || fresh.Holds(tx) {
		t.Fatal("it opens what it was not given")
	}
	wraps, err := home.WrapFor(tx, &record.Node{ID: "us-east-1d", Region: home.Region, HPKE: hpke})
	if err != nil || len(wraps) == 0 {
		t.Fatalf("%v %v", wraps, err)
	}
	other, err := NewNodeKeys("us-east-1e", false)
	if err != nil {
		t.Fatal(err)
	}
	thief, err := NewRegionRing(other, home.Region)
	if err != nil {
		t.Fatal(err)
	}
	if grown, err := thief.Take(tx, wraps); grown || err != nil || thief.Holds(tx) {
		t.Error("another node opens it", err)
	}
	if grown, err := fresh.Take(tx, wraps); !grown || err != nil || !fresh.Holds(tx) || !fresh.HoldsAll(tx) {
		t.Fatal("it does not open what it was given", err)
	}
	want, _, err := control.Opening(tx, record.DefaultClass, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := fresh.Opening(tx, record.DefaultClass, 0); err != nil || string(got) != string(want) {
		t.Errorf("%v", err)
	}
	if err := control.renewRegion(tx, home.Region, now); err != nil {
		t.Fatal(err)
	}
	if fresh.Holds(tx) {
		t.Error("it holds a generation that nobody has sealed to it")
	}
}

// newcomer is a node of us-east-1 that no record is sealed to, with what others know
// of it.
func newcomer(t *testing.T) (*Ring, *record.Node) {
	t.Helper()
	keys, err := NewNodeKeys("us-east-1d", false)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRegionRing(keys, "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	return r, &record.Node{ID: r.Node, Region: r.Region, HPKE: r.HPKE.PublicKey().Bytes()}
}

// madeUp is a key of a liar's own, well sealed to a node.
func madeUp(t *testing.T, n *record.Node, generation int) record.Wrap {
	t.Helper()
	k := &record.RegionKey{Region: n.Region, Generation: generation}
	if err := wrapNode(k, newKey(), n); err != nil {
		t.Fatal(err)
	}
	return record.Wrap{Holder: n.ID, Generation: generation, Sealed: k.Nodes[0].Sealed}
}

func sealedFor(t *testing.T, from *Ring, s record.Reader, n *record.Node) []record.Wrap {
	t.Helper()
	wraps, err := from.WrapFor(s, n)
	if err != nil {
		t.Fatal(err)
	}
	return wraps
}

func TestAWrappingKeyThatOpensNothingOfTheStatesIsNotTaken(t *testing.T) {
	control, home, _, tx := fencedWorld(t)
	fresh, n := newcomer(t)
	lie := madeUp(t, n, 1)
	if grown, err := fresh.Take(tx, []record.Wrap{lie}); grown || err != nil || fresh.Holds(tx) || len(fresh.Given()) != 0 {
		t.Fatalf("what a peer has made up counts as the Region's wrapping key: %v", err)
	}
	good := sealedFor(t, home, tx, n)
	if grown, err := fresh.Take(tx, append([]record.Wrap{lie}, good...)); grown || err != nil {
		t.Errorf("a peer tries as often as it likes: %v", err)
	}
	if grown, err := fresh.Take(tx, good); !grown || err != nil || !fresh.Holds(tx) {
		t.Fatalf("the next peer's word does not count: %v", err)
	}
	if grown, _ := fresh.Take(tx, []record.Wrap{lie}); grown || !fresh.Holds(tx) || !bytes.Equal(fresh.Given()[0].Sealed, good[0].Sealed) {
		t.Error("what was proved is replaced by what was not")
	}
	lied, n := newcomer(t) // and enrolled later
	if _, err := lied.Take(tx, []record.Wrap{madeUp(t, n, 1)}); err != nil || lied.Holds(tx) {
		t.Fatal("it holds what was made up", err)
	}
	k, err := newestRegionKey(tx, "us-east-1")
	if err == nil {
		err = control.AddNode(tx, k, n)
	}
	if err != nil {
		t.Fatal(err)
	}
	put(t, tx, record.RegionKeys, k)
	want, err := control.regionKey(tx, "us-east-1", 1)
	if got, failed := lied.regionKey(tx, "us-east-1", 1); err != nil || failed != nil || !bytes.Equal(got, want) {
		t.Errorf("its own record does not count: %v", errors.Join(err, failed))
	}
}

func TestEarlierGenerationsStayWhateverAPeerGives(t *testing.T) {
	control, home, _, tx := fencedWorld(t)
	fresh, n := newcomer(t)
	first := sealedFor(t, home, tx, n)
	if _, err := fresh.Take(tx, first); err != nil || !fresh.HoldsAll(tx) {
		t.Fatal(err)
	}
	if err := errors.Join(control.renewRegion(tx, home.Region, now), control.RenewOpening(tx, now)); err != nil {
		t.Fatal(err)
	}
	all := sealedFor(t, home, tx, n)
	if len(all) != 2 || fresh.Holds(tx) {
		t.Fatalf("%d generations", len(all))
	}
	if grown, err := fresh.Take(tx, []record.Wrap{madeUp(t, n, 1), madeUp(t, n, 7), all[1]}); !grown || err != nil || !fresh.HoldsAll(tx) {
		t.Errorf("%v", err)
	}
	if got := fresh.Given(); len(got) != 2 || !bytes.Equal(got[0].Sealed, first[0].Sealed) || !bytes.Equal(got[1].Sealed, all[1].Sealed) {
		t.Errorf("it keeps %d generations, or others", len(got))
	}
	for generation := 1; generation <= 2; generation++ {
		if _, _, err := fresh.Opening(tx, record.DefaultClass, generation); err != nil {
			t.Errorf("generation %d: %v", generation, err)
		}
	}
}

func TestAGenerationIsTakenWhenTheStateHasAnOpeningKeyOrAnAccountsKeyUnderIt(t *testing.T) {
	control, home, _, s := world(t) // its only key is an account's
	tx := s.Begin()
	fresh, n := newcomer(t)
	if grown, err := fresh.Take(tx, sealedFor(t, home, tx, n)); !grown || err != nil {
		t.Errorf("an account's key does not prove it: %v", err)
	}
	put(t, tx, record.Regions, &record.Region{Name: home.Region})
	enroll(t, tx, home, false)
	if err := control.renewRegion(tx, home.Region, now); err != nil {
		t.Fatal(err)
	}
	wraps := sealedFor(t, home, tx, n)
	if grown, err := fresh.Take(tx, wraps); grown || err != nil || fresh.Holds(tx) {
		t.Errorf("it is taken unproved: %v", err)
	}
	o, err := control.NewOpeningKey(tx, record.DefaultClass, 1, []string{home.Region}, now)
	if err != nil {
		t.Fatal(err)
	}
	put(t, tx, record.OpeningKeys, o)
	if grown, err := fresh.Take(tx, wraps); !grown || err != nil || !fresh.Holds(tx) {
		t.Errorf("an opening key does not prove it: %v", err)
	}
}
