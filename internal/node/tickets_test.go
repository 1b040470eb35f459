package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

func requested(t *testing.T, region string) (*config.Config, *operator.Ticket) {
	t.Helper()
	c := &config.Config{Role: "region", Region: region, Zone: "d", Dir: filepath.Join(t.TempDir(), "data"), Peer: "10.0.0.4:4450"}
	in, err := RequestTicket(c, "use-d")
	if err != nil {
		t.Fatal(err)
	}
	return c, in
}

func TestANodesRequestForATicketIsTheSameWheneverItIsMade(t *testing.T) {
	c, in := requested(t, "us-east-1")
	if in.Cluster != "" || in.Node != "use-d" || in.Peer != "10.0.0.4:4450" || in.Format != record.Format || len(in.Signing) != 3 {
		t.Errorf("%+v", in)
	}
	again, err := RequestTicket(c, "use-d")
	if err != nil || !bytes.Equal(again.TLS, in.TLS) || !bytes.Equal(again.HPKE, in.HPKE) || again.Signing[2].ID != in.Signing[2].ID {
		t.Errorf("%v %+v", err, again)
	}
	if _, err := RequestTicket(c, "use-e"); err == nil {
		t.Error("one machine makes requests for two nodes")
	}
	if err := os.Remove(filepath.Join(c.Dir, joinedFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := RequestTicket(c, "use-d"); err == nil {
		t.Error("a node that joins with an invite makes a request")
	}
}

// enrolling is the first state of a production deployment, with a control-plane
// node's half of it.
func enrolling(t *testing.T) (*controlServer, *view.Pending) {
	t.Helper()
	f := founding(t, "ann", "bob", "eve")
	if _, err := Found(f); err != nil {
		t.Fatal(err)
	}
	var changes []record.Change
	if err := local.Read(filepath.Join(f.Layout.Node(f.Node), "genesis.json"), &changes); err != nil {
		t.Fatal(err)
	}
	kek, err := keyring.LoadKEK(f.KEK)
	if err != nil {
		t.Fatal(err)
	}
	tx := view.Empty(make([]byte, 16)).Begin()
	tx.Apply(changes)
	return &controlServer{c: &Control{ring: &keyring.Ring{KEK: kek}}}, tx
}

// issued is a ticket as two operators sign it.
func issued(t *testing.T, tx record.Reader, in *operator.Ticket, by ...string) []byte {
	t.Helper()
	g, err := record.Get(tx, record.Geneses, record.None, "genesis")
	if err != nil {
		t.Fatal(err)
	}
	in.Cluster = g.Cluster
	c, err := operator.Sign(operatorKey(by[0]), operator.RegionAdmit, in, time.Now())
	for _, id := range by[1:] {
		err = errors.Join(err, operator.Approve(c, operatorKey(id)))
	}
	text, failed := proto.Marshal(c)
	if err := errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTheControlPlaneEnrolsOnTheSignaturesOfARegionsTicketAndOnNothingLess(t *testing.T) {
	s, tx := enrolling(t)
	c, in := requested(t, "us-east-1")
	good := issued(t, tx, in, "ann", "bob")
	for what, command := range map[string][]byte{"one operator": issued(t, tx, in, "ann"), "a stranger": issued(t, tx, in, "ann", "zoe"), "nobody": good[:len(good)/2]} {
		if err := s.enrol(tx.Fork(), command, "us-east-1"); err == nil {
			t.Errorf("enrolled on the word of %s", what)
		}
	}
	if err := s.enrol(tx.Fork(), good, "eu-west-1"); err == nil {
		t.Error("another Region hands it up")
	}
	_, abroad := requested(t, "eu-west-1")
	if err := s.enrol(tx.Fork(), issued(t, tx, abroad, "ann", "bob"), "eu-west-1"); err == nil {
		t.Error("a Region that is none has a node")
	}
	if err := s.enrol(tx, good, "us-east-1"); err != nil {
		t.Fatal(err)
	}
	if err := s.enrol(tx.Fork(), good, "us-east-1"); !errors.Is(err, errJoined) {
		t.Errorf("handed up again: %v", err)
	}
	renamed := *in
	renamed.Node = "use-e"
	if err := s.enrol(tx.Fork(), issued(t, tx, &renamed, "ann", "bob"), "us-east-1"); err == nil {
		t.Error("its keys are another node's too")
	}
	n, err := record.Get(tx, record.Nodes, record.None, "use-d")
	if err != nil || n.Fenced || n.Role != record.RegionNode || !record.Has(tx, record.SigningKeys, record.None, in.Signing[0].ID) || addressOf(&view.View{State: tx.State()}, "use-d") != in.Peer {
		t.Errorf("%v %+v", err, n)
	}
	keys, err := keyring.LoadNodeKeys(filepath.Join(c.Dir, nodeKeysFile))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.NewRegionRing(keys, "us-east-1")
	if err != nil || !ring.Holds(tx) {
		t.Errorf("it does not open its Region's wrapping key: %v", err)
	}
}

func TestAWithdrawnTicketIsEnrolledAsAFencedNodeWhoseKeysAreRenewed(t *testing.T) {
	s, tx := enrolling(t)
	_, in := requested(t, "us-east-1")
	if err := record.Put(tx, record.Denials, &record.Denial{ID: "0123456789abcdef", Scope: record.DenyMinter, Target: "use-d"}); err != nil {
		t.Fatal(err)
	}
	if err := s.enrol(tx, issued(t, tx, in, "ann", "bob"), "us-east-1"); err != nil {
		t.Fatal(err)
	}
	if n, err := record.Get(tx, record.Nodes, record.None, "use-d"); err != nil || !n.Fenced || record.Has(tx, record.SigningKeys, record.None, in.Signing[0].ID) {
		t.Errorf("%v %+v", err, n)
	}
	if due, err := keyring.Compromised(tx); err != nil || len(due) != 1 || due[0] != "us-east-1" {
		t.Errorf("%v %v", due, err)
	}
}

func TestARequestHoldsNoSecret(t *testing.T) {
	c, in := requested(t, "us-east-1")
	shown, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{nodeKeysFile, signingFile} {
		b, err := keyring.ReadSecret(filepath.Join(c.Dir, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range bytes.Split(b, []byte(`"`)) {
			if len(field) > 30 && bytes.Contains(shown, field) {
				t.Errorf("%s: a field of it stands in the request", file)
			}
		}
	}
}
