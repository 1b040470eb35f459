package node

import (
	"fmt"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

func TestARegionsNodesAreWhereConfigurationAndStateSay(t *testing.T) {
	tx := view.Empty(make([]byte, 16)).Begin()
	for name, n := range map[string]*record.Node{"cp-a": {Role: record.ControlNode}, "euw-a": {Role: record.RegionNode, Region: "eu-west-1"}, "use-a": {}, "use-b": {}, "use-c": {Fenced: true}, "use-d": {}} {
		if n.ID, n.Invite = name, []byte(name); n.Role == "" {
			n.Role, n.Region = record.RegionNode, "us-east-1"
		}
		if err := record.Put(tx, record.Nodes, n); err != nil {
			t.Fatal(err)
		}
		if err := record.Put(tx, record.Addresses, &record.Address{Node: name, Peer: "10.0.0.9:1"}); err != nil {
			t.Fatal(err)
		}
	}
	p := newPeers(&Region{keys: &keyring.NodeKeys{ID: "use-a", TLSSeed: make([]byte, 32)},
		Config: &config.Config{Region: "us-east-1", Peers: map[string]string{"use-a": "10.0.0.1:1", "use-b": "10.0.0.2:1", "use-c": "10.0.0.3:1"}}})
	if got, want := fmt.Sprint(p.addresses(nil)), "map[use-b:[10.0.0.2:1] use-c:[10.0.0.3:1]]"; got != want {
		t.Errorf("without a state %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(p.addresses(&view.View{State: tx.State()})), "map[use-b:[10.0.0.2:1 10.0.0.9:1] use-d:[10.0.0.9:1]]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
