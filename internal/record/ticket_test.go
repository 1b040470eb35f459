package record_test

import (
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

func ticket() *record.Ticket {
	return &record.Ticket{Node: &record.Node{ID: "use-d", Role: record.RegionNode, Region: "us-east-1", TLS: []byte("tls-d"), HPKE: []byte("hpke-d"), Invite: []byte("d")},
		Keys: []*record.SigningKey{{ID: "key-d", Node: "use-d", Region: "us-east-1"}}, Address: &record.Address{Node: "use-d", Peer: "10.0.0.4:1"}}
}

func TestATicketBringsNeitherANameNorAKeyThatWasThereBefore(t *testing.T) {
	tx := view.Empty(make([]byte, 16)).Begin()
	put := func(n *record.Node) {
		if err := record.Put(tx, record.Nodes, n); err != nil {
			t.Fatal(err)
		}
	}
	put(&record.Node{ID: "use-a", TLS: []byte("tls-a"), HPKE: []byte("hpke-a"), Invite: []byte("a"), Fenced: true})
	if err := record.Put(tx, record.SigningKeys, &record.SigningKey{ID: "key-a", Node: "use-a"}); err != nil {
		t.Fatal(err)
	}
	if err := ticket().Unused(tx); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*record.Ticket){
		"the name of a fenced node":        func(t *record.Ticket) { t.Node.ID = "use-a" },
		"the TLS key of a fenced node":     func(t *record.Ticket) { t.Node.TLS = []byte("tls-a") },
		"the HPKE key of a fenced node":    func(t *record.Ticket) { t.Node.HPKE = []byte("hpke-a") },
		"the signing key of a fenced node": func(t *record.Ticket) { t.Keys[0].ID = "key-a" },
	} {
		other := ticket()
		if change(other); other.Unused(tx) == nil {
			t.Errorf("%s is brought again", what)
		}
	}
}

func TestASigningKeysIDThatANodeTookBeforehandMakesNoTicketVoid(t *testing.T) {
	own := []byte("the public key of use-d")
	for _, had := range []struct {
		public []byte
		void   bool
	}{{[]byte("some other"), false}, {own, true}} {
		tx := view.Empty(make([]byte, 16)).Begin()
		if err := record.Put(tx, record.SigningKeys, &record.SigningKey{ID: record.SigningKeyID(own), Public: had.public, Node: "use-a"}); err != nil {
			t.Fatal(err)
		}
		in := ticket()
		in.Keys[0].ID, in.Keys[0].Public = record.SigningKeyID(own), own
		if err := in.Unused(tx); (err != nil) != had.void {
			t.Errorf("beside the key %q: %v", had.public, err)
		}
		if had.void {
			continue
		}
		if err := in.Put(tx); err != nil {
			t.Fatal(err)
		}
		if k, err := record.Get(tx, record.SigningKeys, record.None, in.Keys[0].ID); err != nil || k.Node != "use-d" || string(k.Public) != string(own) {
			t.Errorf("the key is %+v, %v", k, err)
		}
	}
}

func TestATicketComesToANodeInForceAndOneThatWasWithdrawnToAFencedOne(t *testing.T) {
	tx := view.Empty(make([]byte, 16)).Begin()
	if err := ticket().Put(tx); err != nil {
		t.Fatal(err)
	}
	n, err := record.Get(tx, record.Nodes, record.None, "use-d")
	if err != nil || n.Fenced || !record.Has(tx, record.SigningKeys, record.None, "key-d") || !record.Has(tx, record.Addresses, record.None, "use-d") {
		t.Errorf("%v %+v", err, n)
	}

	tx = view.Empty(make([]byte, 16)).Begin()
	for _, d := range []*record.Denial{{ID: "1", Scope: record.DenyMinter, Target: "use-dd"}, {ID: "2", Scope: record.DenyMinter, Target: "use-d", Lifted: true}} {
		if err := record.Put(tx, record.Denials, d); err != nil {
			t.Fatal(err)
		}
	}
	if ticket().Withdrawn(tx) {
		t.Error("withdrawn by a denial of another, or one that was lifted")
	}
	if err := record.Put(tx, record.Denials, &record.Denial{ID: "3", Scope: record.DenyMinter, Target: "use-d"}); err != nil {
		t.Fatal(err)
	}
	if err := ticket().Put(tx); err != nil {
		t.Fatal(err)
	}
	if n, err = record.Get(tx, record.Nodes, record.None, "use-d"); err != nil || !n.Fenced || record.Has(tx, record.SigningKeys, record.None, "key-d") || record.Has(tx, record.Addresses, record.None, "use-d") {
		t.Errorf("%v %+v", err, n)
	}
}
