package node

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/record"
)

func publics(ids ...string) (list []*operator.Public) {
	for _, id := range ids {
		k := operator.Key{ID: id, Seed: []byte(strings.Repeat(id[:1], 32))}
		list = append(list, &operator.Public{ID: id, Key: k.Public()})
	}
	return list
}

func founding(t *testing.T, ids ...string) Founding {
	l := local.Layout{Dir: filepath.Join(t.TempDir(), "init")}
	if err := l.Make(); err != nil {
		t.Fatal(err)
	}
	return Founding{Layout: l, RootKey: l.RootKey(), KEK: l.KEK(), Account: "111122223333", Regions: []string{"us-east-1"},
		Operators: publics(ids...), Node: "cp-a", Zone: "a", Etcd: "10.0.0.1:2380"}
}

func TestAProductionDeploymentIsSignedByItsRootAndHoldsNoOperatorsKeyAndNoUser(t *testing.T) {
	f := founding(t, "ann", "bob", "eve")
	root, err := Found(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(f.Layout.Node("cp-a"), "genesis.json"))
	if err != nil {
		t.Fatal(err)
	}
	var changes []record.Change
	if err := json.Unmarshal(b, &changes); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, c := range changes {
		kinds[c.Key.Kind()]++
		if c.Key.Kind() == record.Geneses.Name {
			g, err := record.Geneses.Decode(c.Value)
			if err != nil || g.Mode != "production" || g.Verify(root) != nil {
				t.Errorf("%+v %v", g, err)
			}
		}
	}
	if kinds["operator"] != 3 || kinds["user"] != 0 || kinds["node"] != 1 || kinds["account"] != 1 {
		t.Errorf("%v", kinds)
	}
}

func TestEverySecretOfAFoundingIsItsOwnersAlone(t *testing.T) {
	f := founding(t, "ann", "bob")
	if _, err := Found(f); err != nil {
		t.Fatal(err)
	}
	open := map[string]bool{"etcd-authority.crt": true, "etcd.crt": true}
	err := filepath.WalkDir(f.Layout.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 && !open[e.Name()] {
			t.Errorf("%s has mode %04o", path, info.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LoadRoot(f.RootKey); err != nil {
		t.Error(err)
	}
	if _, err := Found(f); err == nil {
		t.Error("a second founding overwrote the first one's keys")
	}
}

func TestAProductionDeploymentNeedsTwoOperatorsWithKeysOfTheirOwn(t *testing.T) {
	for _, ids := range [][]string{{}, {"ann"}, {"ann", "ann"}, {"ann", "aron"}} { // the last two share a key here
		if _, err := Found(founding(t, ids...)); err == nil {
			t.Errorf("%v are enough", ids)
		}
	}
}

func TestAnInviteAdmitsTheVeryNodeThatItNames(t *testing.T) {
	head := make([]byte, 32)
	region := &record.Invite{Node: "n", Role: record.RegionNode, Region: "us-east-1"}
	control := &record.Invite{Node: "n", Role: record.ControlNode}
	for _, x := range []struct {
		name   string
		invite *record.Invite
		node   record.Node
		want   bool
	}{
		{"a Region's", region, record.Node{ID: "n", Role: record.RegionNode, Region: "us-east-1"}, true},
		{"the control plane's", control, record.Node{ID: "n", Role: record.ControlNode, Head: head}, true},
		{"another name", region, record.Node{ID: "m", Role: record.RegionNode, Region: "us-east-1"}, false},
		{"another Region", region, record.Node{ID: "n", Role: record.RegionNode, Region: "eu-west-1"}, false},
		{"another plane", region, record.Node{ID: "n", Role: record.ControlNode, Head: head}, false},
		{"a Region node that would sign heads", region, record.Node{ID: "n", Role: record.RegionNode, Region: "us-east-1", Head: head}, false},
		{"a control-plane node without a head key", control, record.Node{ID: "n", Role: record.ControlNode}, false},
		{"a control-plane node of a Region", control, record.Node{ID: "n", Role: record.ControlNode, Region: "us-east-1", Head: head}, false},
		{"fenced from the start", region, record.Node{ID: "n", Role: record.RegionNode, Region: "us-east-1", Fenced: true}, false},
		{"no role", &record.Invite{Node: "n"}, record.Node{ID: "n"}, false},
	} {
		if got := invited(x.invite, &x.node); got != x.want {
			t.Errorf("%s: %v", x.name, got)
		}
	}
}
