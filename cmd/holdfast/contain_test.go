package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// everywhere says whether a credential is refused, whichever node answers.
func (e *endpoint) everywhere(c credential, refused bool) bool {
	for range 12 {
		r := e.asksSTS(c, "GetCallerIdentity")
		if (r.status == 403) != refused || r.status != 200 && r.code() != "AccessDenied" {
			return false
		}
	}
	return true
}

// deniesAlone denies in a Region whose control plane is gone.
func deniesAlone(t *testing.T, d *deploymentUnderTest) {
	d.joinUp(cut, "us-east-1a")
	e, admin := d.fresh(t), d.admin()
	e.newRole(admin, "chain", allowAll)
	one, two, victim := e.newUser(admin, "one", allowAll), e.newUser(admin, "two", allowAll), e.newUser(admin, "victim", allowAll)
	started := e.made(e.assume(victim, "chain", "demo")).credential()
	d.seen.Store(nil)
	d.until("equal", func() bool { return d.regionAgrees() })
	thaw := d.freezeControl()
	for _, c := range []credential{one, two, victim, started} {
		if !e.everywhere(c, false) {
			t.Fatal("refused before it is denied")
		}
	}

	if out, err := d.operator("deny", "key", one.id, "--region", "us-east-1", "--reason", "leaked"); err != nil || !strings.Contains(out, "in the Region, on every node") {
		t.Fatalf("%v %s", err, out)
	}
	if !e.everywhere(one, true) {
		t.Error("a node accepts what the Region has denied")
	}
	frozen := d.freeze(cut)
	if out, err := d.operator("deny", "key", two.id, "--region", "us-east-1"); err != nil || !strings.Contains(out, "not yet on "+cut) {
		t.Errorf("%v %s", err, out)
	}
	frozen()
	d.until("denied on the node that was frozen", func() bool { return e.everywhere(two, true) })
	for _, n := range d.addresses().Regions {
		d.restart(n.Name, func(string) {})
	}
	d.until("ready", func() bool { return d.regionAgrees() })
	if !e.everywhere(one, true) || !e.everywhere(two, true) {
		t.Error("a restart forgets what the Region has denied")
	}

	contained := d.contains(t, victim, started)
	thaw()
	d.until("merged upward, under the same ids", func() bool { return d.merged(contained) })
	d.until("left the Region's own list", func() bool {
		for _, n := range d.addresses().Regions {
			var left [][]byte
			b, err := os.ReadFile(filepath.Join(d.data, "nodes", n.Name, "denials.json"))
			if err != nil || json.Unmarshal(b, &left) != nil || len(left) > 0 {
				return false
			}
		}
		return true
	})
	if !e.everywhere(one, true) || !e.everywhere(victim, true) {
		t.Error("what was denied while cut off is accepted after the return")
	}
	for _, id := range contained {
		if out, err := d.operator("deny", "lift", id); err != nil {
			t.Errorf("%v %s", err, out)
		}
	}
	d.until("lifted", func() bool { return e.everywhere(victim, false) })
}

// regionAgrees says whether the Region's nodes are ready and serve one index.
func (d *deploymentUnderTest) regionAgrees() bool {
	index := uint64(0)
	for _, n := range d.addresses().Regions {
		s := d.status(n.Name)
		if s == nil || !s.Ready || len(s.Peers) != 2 || index > 0 && s.Index != index {
			return false
		}
		index = s.Index
	}
	return true
}

// contains contains a principal, and returns the ids of the denials.
func (d *deploymentUnderTest) contains(t *testing.T, victim, started credential) (ids []string) {
	e := d.fresh(t)
	out, err := d.operator("contain", "arn:aws:iam::111122223333:user/victim", "--region", "us-east-1", "--reason", "drill", "--format", "json")
	var c contained
	if err == nil {
		err = json.Unmarshal([]byte(out[strings.Index(out, "{"):strings.LastIndex(out, "}")+1]), &c)
	}
	if err != nil || len(c.Denials) != 3 || len(c.Assumes) == 0 {
		t.Fatalf("%v %s", err, out)
	}
	for _, x := range c.Denials {
		ids = append(ids, x.ID)
	}
	// Everything that it may do is of no use any more.
	if !e.everywhere(victim, true) || !e.everywhere(started, true) {
		t.Error("a contained principal, or what it has begun, is accepted")
	}
	for _, x := range c.Made {
		if x.What == "access key" && x.Deny.Target == victim.id {
			t.Error("its own key is among what it may have made")
		}
	}
	return ids
}

// merged says whether the control plane has denials under these ids.
func (d *deploymentUnderTest) merged(ids []string) bool {
	out, err := d.operator("deny", "list", "--format", "json")
	var list []*record.Denial
	if err != nil || json.Unmarshal([]byte(out), &list) != nil {
		return false
	}
	found := 0
	for _, x := range list {
		for _, id := range ids {
			if x.ID == id {
				found++
			}
		}
	}
	return found == len(ids)
}
