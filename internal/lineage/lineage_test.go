package lineage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

const (
	account = "111122223333"
	forked  = int64(1_000_000_500) // milliseconds: in the middle of a second
	before  = record.Time(1_000_000)
	after   = record.Time(1_000_001) // the successor's first second
)

// changes are what a log record says.
func changes(t *testing.T, do func(tx record.Tx) error) []record.Change {
	t.Helper()
	p := view.Empty(make([]byte, 16)).Begin()
	if err := do(p); err != nil {
		t.Fatal(err)
	}
	return p.Changes()
}

func gone(kind, id string) []record.Change {
	return []record.Change{{Key: record.MakeKey(kind, account, id)}}
}

func userWith(keys ...record.AccessKey) func(record.Tx) error {
	return func(tx record.Tx) error {
		return record.Put(tx, record.Users, &record.User{Account: account, ID: "AIDA1", Name: "ann", Path: "/", Keys: keys})
	}
}

func key(id string, active bool, created record.Time) record.AccessKey {
	return record.AccessKey{ID: id, Active: active, Created: created}
}

// successor is the state of a new lineage.
func successor(t *testing.T, do ...func(tx record.Tx) error) *view.State {
	t.Helper()
	p := view.Empty(make([]byte, 16)).Begin()
	for _, d := range do {
		if err := d(p); err != nil {
			t.Fatal(err)
		}
	}
	return p.State()
}

func TestDeletionsOfASurplusBecomeDenialsOfTheSameThings(t *testing.T) {
	old := userWith(key("AKIAOLD", true, before), key("AKIANEW", true, after))
	deny := func(d *record.Denial) func(record.Tx) error {
		return func(tx record.Tx) error { return record.Put(tx, record.Denials, d) }
	}
	for _, x := range []struct {
		name string
		log  [][]record.Change
		want string // scope, target
	}{
		{"a user is deleted", [][]record.Change{gone("user", "AIDA1")}, "principal AIDA1"},
		{"a role is deleted", [][]record.Change{gone("role", "AROA1")}, "principal AROA1"},
		{"an account is deleted", [][]record.Change{{{Key: record.MakeKey("account", account, account)}}}, "account " + account},
		{"a key is deleted", [][]record.Change{changes(t, userWith())}, "key AKIAOLD"}, // and not the one that the successor has made
		{"a key is made inactive", [][]record.Change{changes(t, userWith(key("AKIAOLD", false, before)))}, "key AKIAOLD"},
		{"and active again", [][]record.Change{changes(t, userWith(key("AKIAOLD", false, before))), changes(t, userWith(key("AKIAOLD", true, before)))}, ""},
		{"and deleted later", [][]record.Change{changes(t, userWith(key("AKIAOLD", true, before))), changes(t, userWith())}, "key AKIAOLD"},
		{"nothing is taken away", [][]record.Change{changes(t, userWith(key("AKIAOLD", true, before), key("AKIAMORE", true, before)))}, ""},
		{"a session is denied", [][]record.Change{changes(t, deny(&record.Denial{ID: "d", Scope: record.DenySession, Target: "s"}))}, "session s"},
		{"a group is deleted", [][]record.Change{gone("group", "AGPA1")}, ""},
	} {
		var log []record.Public
		for i, c := range x.log {
			log = append(log, record.Public{Index: uint64(i) + 7, Time: forked + 1000, Call: "call", Changes: c})
		}
		s, err := Derive(successor(t, old), forked, []Stretch{{Lineage: "l", Records: log}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range s.Denials {
			got = append(got, d.Scope+" "+d.Target)
		}
		if strings.Join(got, ", ") != x.want {
			t.Errorf("%s: denies %q, want %q", x.name, got, x.want)
		}
		if listed := len(s.Lost) > 0; listed == (x.name == "a session is denied") {
			t.Errorf("%s: lists %+v", x.name, s.Lost)
		}
	}
}

func TestASurplusHandedUpTwiceOrInPartsDeniesOnceAndATombstoneBeatsIt(t *testing.T) {
	log := []record.Public{{Index: 7, Time: forked, Changes: gone("user", "AIDA1")}, {Index: 8, Time: forked, Changes: gone("role", "AROA1")}}
	state := successor(t)
	apply := func(list []record.Public) {
		t.Helper()
		s, err := Derive(state, forked, []Stretch{{Lineage: "l", Records: list}})
		if err != nil {
			t.Fatal(err)
		}
		for _, do := range s.Groups(1) {
			p := state.Begin()
			if err := do(p); err != nil {
				t.Fatal(err)
			}
			state = p.State()
		}
	}
	apply(log[:1])
	apply(log)
	if state.Len() != 2 {
		t.Fatalf("%d denials", state.Len())
	}
	var first *record.Denial
	err := record.Scan(state, record.Denials, record.DenialByTarget, "", "", func(_ string, d *record.Denial) bool {
		if d.Target == "AIDA1" {
			first = d
		}
		return true
	})
	if err != nil || first == nil || len(first.ID) != 16 {
		t.Fatal(first, err)
	}
	p := state.Begin()
	first.Lifted = true
	if err := record.Put(p, record.Denials, first); err != nil {
		t.Fatal(err)
	}
	state = p.State()
	apply(log)
	if d, err := record.Get(state, record.Denials, record.None, first.ID); err != nil || !d.Lifted {
		t.Errorf("what was lifted is denied again: %+v %v", d, err)
	}
	lifted := *first
	lifted.ID, lifted.Lifted = "other", false
	apply([]record.Public{{Index: 9, Changes: changes(t, func(tx record.Tx) error { return record.Put(tx, record.Denials, &lifted) })}})
	lifted.Lifted = true
	apply([]record.Public{{Index: 10, Changes: changes(t, func(tx record.Tx) error { return record.Put(tx, record.Denials, &lifted) })}})
	if d, err := record.Get(state, record.Denials, record.None, "other"); err != nil || !d.Lifted {
		t.Errorf("a tombstone of the surplus: %+v %v", d, err)
	}
}

func TestNodesFencedAndKeysRevokedInASurplusStaySo(t *testing.T) {
	node := &record.Node{ID: "r", Role: record.RegionNode, Region: "us-east-1", Invite: []byte("r")}
	signing := &record.SigningKey{ID: "k", Node: "r"}
	service := &record.Service{Name: "storage.example.com"}
	put := func(tx record.Tx) error {
		return errors.Join(record.Put(tx, record.Nodes, node), record.Put(tx, record.SigningKeys, signing), record.Put(tx, record.Services, service))
	}
	state := successor(t, put)
	node.Fenced, signing.Revoked = true, true
	log := append(changes(t, put), record.Change{Key: record.Services.Key(service)})
	log = slices.DeleteFunc(log, func(c record.Change) bool { return c.Key.Kind() == "service" && c.Value != nil })
	s, err := Derive(state, forked, []Stretch{{Lineage: "l", Records: []record.Public{{Index: 7, Changes: log}}}})
	if err != nil {
		t.Fatal(err)
	}
	p := state.Begin()
	for _, do := range s.Groups(10) {
		if err := do(p); err != nil {
			t.Fatal(err)
		}
	}
	n, err := record.Get(p, record.Nodes, record.None, "r")
	k, err2 := record.Get(p, record.SigningKeys, record.None, "k")
	if err != nil || err2 != nil || !n.Fenced || !k.Revoked || record.Has(p, record.Services, record.None, service.Name) {
		t.Errorf("%+v %+v", n, k)
	}
}

func TestANodeThatWasEnrolledAndFencedInASurplusDoesNotComeBackByItsInviteOrTicket(t *testing.T) {
	node := record.Node{ID: "r", Role: record.RegionNode, Region: "us-east-1", TLS: []byte("tls"), HPKE: []byte("hpke"), Invite: []byte("invite")}
	control := record.Node{ID: "c", Role: record.ControlNode, Invite: []byte("c"), Fenced: true}
	fenced := node
	fenced.Fenced = true
	put := func(n record.Node) []record.Change {
		return changes(t, func(tx record.Tx) error { return record.Put(tx, record.Nodes, &n) })
	}
	state := successor(t, func(tx record.Tx) error {
		old, present := &record.RegionKey{Region: "us-east-1", Generation: 1}, &record.RegionKey{Region: "us-east-1", Generation: 2}
		return errors.Join(record.Put(tx, record.RegionKeys, old), record.Put(tx, record.RegionKeys, present))
	})
	log := []record.Public{{Index: 7, Changes: put(node)}, {Index: 8, Changes: put(fenced)}, {Index: 9, Changes: put(control)}}
	s, err := Derive(state, forked, []Stretch{{Lineage: "l", Records: log}})
	if err != nil {
		t.Fatal(err)
	}
	p := state.Begin()
	for range 2 { // it may be handed up again
		for _, do := range s.Groups(10) {
			if err := do(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n, err := record.Find(p, record.Nodes, record.NodeByInvite, "invite"); err != nil || n.ID != "r" || !n.Fenced {
		t.Errorf("its invite is good again: %+v %v", n, err)
	}
	if err := (&record.Ticket{Node: &node}).Unused(p); err == nil {
		t.Error("its ticket is good again")
	}
	if record.Has(p, record.Nodes, record.None, "c") {
		t.Error("a control-plane node of the predecessor has come")
	}
	var wraps []string
	err = record.Scan(p, record.RegionKeys, record.RegionKeyByRegion, "", "", func(_ string, k *record.RegionKey) bool {
		for _, w := range k.Nodes {
			wraps = append(wraps, fmt.Sprint(k.Generation, " ", w.Holder))
		}
		return true
	})
	if err != nil || !slices.Equal(wraps, []string{"2 r"}) {
		t.Errorf("the wrapping key that it was given is not renewed: %q %v", wraps, err)
	}
}

func TestTheForkIsChosenByAncestryFirstIndexSecondAndAReplicaBeforeABackup(t *testing.T) {
	d := record.Descent{{Epoch: 1, Parent: "l", Fork: 10, Lineage: "m"}, {Epoch: 2, Parent: "l", Fork: 12, Lineage: "k"}}
	at := func(name, lineage string, index uint64, backup bool) *Source {
		return &Source{Name: name, Backup: backup, Known: d, View: &view.View{State: view.Empty(make([]byte, 16)), Head: record.Head{Cluster: "c", Lineage: lineage, Index: index}}}
	}
	broken := &Source{Name: "broken", Err: errors.New("unreadable")}
	for _, x := range []struct {
		want string
		from []*Source
	}{
		{"b", []*Source{at("a", "l", 20, false), at("b", "l", 21, false), broken}},
		{"b", []*Source{at("a", "l", 99, false), at("b", "m", 11, false)}},
		{"b", []*Source{at("a", "m", 99, false), at("b", "k", 13, false)}},
		{"b", []*Source{at("a", "l", 20, true), at("b", "l", 20, false)}},
		{"a", []*Source{at("a", "l", 21, true), at("b", "l", 20, false)}},
		{"", []*Source{broken}},
	} {
		best, err := Choose(x.from)
		if x.want == "" && err == nil || x.want != "" && (err != nil || best.Name != x.want) {
			t.Errorf("%v %v, want %s", best, err, x.want)
		}
	}
	other := at("b", "l", 20, false)
	other.View.Head.Chain = record.Hash{1}
	if _, err := Choose([]*Source{at("a", "l", 20, false), other}); err == nil {
		t.Error("one of two histories is taken")
	}
	stranger := at("b", "l", 19, true)
	stranger.View.Head.Cluster = "d"
	if _, err := Choose([]*Source{at("a", "l", 20, false), stranger}); err == nil {
		t.Error("another cluster's is looked at")
	}
	next, err := Next(at("a", "m", 20, false), d, "n", nil, before)
	if err != nil || next.Epoch != 3 || next.Parent != "m" || next.Fork != 20 {
		t.Errorf("%+v %v", next, err)
	}
}
