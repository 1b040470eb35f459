package keyring

import (
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
	if thief.Take(wraps); thief.Holds(tx) {
		t.Error("another node opens it")
	}
	if fresh.Take(wraps); !fresh.Holds(tx) {
		t.Fatal("it does not open what it was given")
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
