package node

import (
	"crypto/ed25519"
	"fmt"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

func TestTheControlPlanesNodesAreWhereConfigurationAndStateSay(t *testing.T) {
	tx := view.Empty(make([]byte, 16)).Begin()
	for _, n := range []*record.Node{{ID: "cp-a", Role: record.ControlNode}, {ID: "cp-b", Role: record.ControlNode}, {ID: "cp-c", Role: record.ControlNode, Fenced: true},
		{ID: "cp-d", Role: record.ControlNode}, {ID: "use-a", Role: record.RegionNode}} {
		n.Invite = []byte(n.ID)
		if err := record.Put(tx, record.Nodes, n); err != nil {
			t.Fatal(err)
		}
		if err := record.Put(tx, record.Addresses, &record.Address{Node: n.ID, Peer: "10.0.0.9:1"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := record.Put(tx, record.Addresses, &record.Address{Node: "cp-b", Peer: "10.0.0.2:1"}); err != nil {
		t.Fatal(err)
	}
	v := &view.View{State: tx.State()}
	configured := map[string]string{"cp-a": "10.0.0.1:1", "cp-b": "10.0.0.2:1", "cp-c": "10.0.0.3:1", "cp-z": "10.0.0.4:1"}
	want := "map[cp-a:[10.0.0.1:1 10.0.0.9:1] cp-b:[10.0.0.2:1] cp-d:[10.0.0.9:1] cp-z:[10.0.0.4:1]]"
	if got := fmt.Sprint(addressesOf(v, configured, ofControl)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	c, err := dialControls(configured, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	before := c.conn("cp-b")
	if changed, err := c.connect(addressesOf(v, configured, ofControl)); !changed || err != nil {
		t.Errorf("%v %v", changed, err)
	}
	if c.conn("cp-b") != before || c.conn("cp-c") != nil || c.conn("cp-d") == nil {
		t.Error("a connection to a node that stays was cut, or one is missing, or one is left")
	}
	if changed, err := c.connect(addressesOf(v, configured, ofControl)); changed || err != nil {
		t.Errorf("the same again: %v %v", changed, err)
	}
}
