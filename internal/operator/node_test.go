package operator

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/holdfast-iam/holdfast/internal/record"
)

func TestANodeIsFencedOnceForGoodAndListedSo(t *testing.T) {
	w := newWorld(t, "production")
	put(w, record.Nodes, &record.Node{ID: "control", Role: record.ControlNode})
	if n := good[NodeLine](w, "node.fence", `{"id":"us-east-1a","reason":"stolen"}`); !n.Fenced || n.Region != "us-east-1" {
		t.Errorf("%+v", n)
	}
	if !w.last.Reduces {
		t.Error("a fence does not go on when the store is almost full")
	}
	if all := good[[]NodeLine](w, "node.list", `{}`); len(all) != 2 || all[0].Fenced || !all[1].Fenced {
		t.Errorf("%+v", all)
	}
	for name, x := range map[string]struct{ arguments, words string }{
		"again":               {`{"id":"us-east-1a"}`, "is fenced already"},
		"an unknown node":     {`{"id":"us-east-1z"}`, `there is no node "us-east-1z"`},
		"a pattern":           {`{"id":"us-east-1*"}`, "is no node's id"},
		"the last control":    {`{"id":"control"}`, "is the only control-plane node"},
		"a reason in colours": {`{"id":"control","reason":"a\u001b[2Jb"}`, "cannot be printed"},
	} {
		w.refused(name, w.signed("node.fence", x.arguments), codes.FailedPrecondition, x.words)
	}
	put(w, record.Nodes, &record.Node{ID: "controlb", Role: record.ControlNode})
	good[NodeLine](w, "node.fence", `{"id":"control"}`)
	w.refused("the last that is left", w.signed("node.fence", `{"id":"controlb"}`), codes.FailedPrecondition, "is the only control-plane node")
}

// exposedWorld has two accounts' keys wrapped for a Region whose node had the
// wrapping key, and more users than one answer lists.
func exposedWorld(t *testing.T, users int) *world {
	w := newWorld(t, "development")
	put(w, record.RegionKeys, &record.RegionKey{Region: "us-east-1", Generation: 1, Nodes: []record.Wrap{{Holder: "us-east-1a"}}})
	for _, id := range []string{account, empty} {
		put(w, record.AccountKeys, &record.AccountKey{Account: id, Generation: 2, Regions: []record.Wrap{{Holder: "us-east-1", Generation: 1}}})
		put(w, record.AccountKeys, &record.AccountKey{Account: id, Generation: 3, Regions: []record.Wrap{{Holder: "us-east-1", Generation: 2}}})
		w.change(func(tx record.Tx) error {
			for i := range users {
				name := fmt.Sprintf("u%04d", i)
				u := &record.User{Account: id, ID: "AIDA" + id + name, Name: name, Path: "/", Keys: []record.AccessKey{
					{ID: "AKIA2" + id + name, Active: i%2 == 0, Generation: 2}, {ID: "AKIA3" + id + name, Active: true, Generation: 3}}}
				if err := record.Put(tx, record.Users, u); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return w
}

func TestTheKeysThatANodeCouldOpenAreListed(t *testing.T) {
	w := exposedWorld(t, 2)
	x := good[Exposed](w, "node.exposed", `{"id":"us-east-1a"}`)
	if x.Accounts != 2 || len(x.Keys) != 4 || x.More != "" {
		t.Fatalf("%+v", x)
	}
	if k := x.Keys[1]; k != (ExposedKey{account, "u0001", "AKIA2" + account + "u0001", false}) {
		t.Errorf("%+v", k)
	}
	put(w, record.Nodes, &record.Node{ID: "control", Role: record.ControlNode})
	w.refused("a control-plane node", w.signed("node.exposed", `{"id":"control"}`), codes.FailedPrecondition, "could open every key")
}

func TestALongListOfExposedKeysComesInPages(t *testing.T) {
	w := exposedWorld(t, maxExposed)
	first := good[Exposed](w, "node.exposed", `{"id":"us-east-1a"}`)
	if first.Accounts != 2 || len(first.Keys) != maxExposed || first.More != account {
		t.Fatalf("%d accounts, %d keys, more after %q", first.Accounts, len(first.Keys), first.More)
	}
	second := good[Exposed](w, "node.exposed", `{"id":"us-east-1a","after":"`+account+`"}`)
	if len(second.Keys) != maxExposed || second.More != "" || second.Keys[0].Account != empty {
		t.Errorf("%d keys, more after %q", len(second.Keys), second.More)
	}
}
