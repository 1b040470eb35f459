package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/overlay"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/replica"
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

// issued is a ticket as operators sign it.
func issued(t *testing.T, r record.Reader, in *operator.Ticket, by ...string) []byte {
	t.Helper()
	in.Cluster = clusterOf(t, r)
	return signed(t, operator.RegionAdmit, in, by...)
}

func clusterOf(t *testing.T, r record.Reader) string {
	t.Helper()
	g, err := record.Get(r, record.Geneses, record.None, "genesis")
	if err != nil {
		t.Fatal(err)
	}
	return g.Cluster
}

// signed is a Region's command that the first operator gives and the others approve.
func signed(t *testing.T, name string, in any, by ...string) []byte {
	t.Helper()
	c, err := operator.Sign(operatorKey(by[0]), name, in, time.Now())
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
	k, err := record.Get(tx, record.RegionKeys, record.None, "us-east-1:"+record.Generation(1))
	if err != nil {
		t.Fatal(err)
	}
	if last := k.Nodes[len(k.Nodes)-1]; last.Holder != "use-d" || len(last.Sealed) > 0 {
		t.Errorf("it was sealed the key once more: %d bytes for %s", len(last.Sealed), last.Holder)
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

// regionOf is a node that has made its request, and has no state yet; what it logs.
func regionOf(t *testing.T, c *config.Config) (*Region, *bytes.Buffer) {
	t.Helper()
	keys, err := keyring.LoadNodeKeys(filepath.Join(c.Dir, nodeKeysFile))
	if err != nil {
		t.Fatal(err)
	}
	said := new(bytes.Buffer)
	r := &Region{Config: c, Log: slog.New(slog.NewTextHandler(said, nil)), keys: keys, replica: &replica.Replica{}, denials: &ownList{}}
	r.peers = newPeers(r)
	if r.ring, err = keyring.NewRegionRing(keys, c.Region); err != nil {
		t.Fatal(err)
	}
	if r.tickets, err = openTickets(r); err != nil {
		t.Fatal(err)
	}
	return r, said
}

func stateOf(tx *view.Pending) *view.View { return &view.View{State: tx.State()} }

// enrolledNode is use-d, enrolled and with the Region's wrapping key.
func enrolledNode(t *testing.T) (*Region, *controlServer, *view.Pending) {
	t.Helper()
	s, tx := enrolling(t)
	c, in := requested(t, "us-east-1")
	if err := s.enrol(tx, issued(t, tx, in, "ann", "bob"), "us-east-1"); err != nil {
		t.Fatal(err)
	}
	r, _ := regionOf(t, c)
	return r, s, tx
}

// newNode is another of the Region's.
func newNode(t *testing.T, name string) *record.Node {
	t.Helper()
	keys, err := keyring.NewNodeKeys(name, false)
	if err != nil {
		t.Fatal(err)
	}
	public, err := keys.HPKEPublic()
	if err != nil {
		t.Fatal(err)
	}
	return &record.Node{ID: name, Role: record.RegionNode, Region: "us-east-1", HPKE: public, Invite: []byte(name)}
}

func TestANodeIsSealedTheGenerationsOfTheVeryStateThatHasItInForce(t *testing.T) {
	r, s, tx := enrolledNode(t)
	n := newNode(t, "use-e")
	if err := record.Put(tx, record.Nodes, n); err != nil {
		t.Fatal(err)
	}
	before := stateOf(tx)
	n.Fenced = true
	k, err := record.Get(tx, record.RegionKeys, record.None, "us-east-1:"+record.Generation(1))
	if err == nil {
		err = s.c.ring.AddNode(tx, k, n)
	}
	if err := errors.Join(err, record.Put(tx, record.Nodes, n), record.Put(tx, record.RegionKeys, k), s.c.ring.RenewRegions(tx, time.Now())); err != nil {
		t.Fatal(err)
	}
	after := stateOf(tx)
	if !r.ring.HoldsAll(after) || !record.Has(after, record.RegionKeys, record.None, "us-east-1:"+record.Generation(2)) {
		t.Fatal("nothing was renewed")
	}
	if reply, err := r.peers.keysIn(before, "use-e"); err != nil || len(reply.Wraps) != 1 || reply.Wraps[0].Generation != 1 {
		t.Errorf("%v %v", err, reply)
	}
	if reply, err := r.peers.keysIn(after, "use-e"); err == nil {
		t.Errorf("a fenced node is sealed %v", reply)
	}
}

func TestAPeerThatLiesNeitherGivesAKeyNorTakesOneFromTheDisk(t *testing.T) {
	home, _, tx := enrolledNode(t)
	c := &config.Config{Role: "region", Region: "us-east-1", Dir: filepath.Join(t.TempDir(), "data")}
	if _, err := RequestTicket(c, "use-e"); err != nil {
		t.Fatal(err)
	}
	r, _ := regionOf(t, c)
	public, err := r.keys.HPKEPublic()
	if err != nil {
		t.Fatal(err)
	}
	n := &record.Node{ID: "use-e", Role: record.RegionNode, Region: "us-east-1", HPKE: public}
	good, err := home.ring.WrapFor(tx, n)
	if err != nil || len(good) != 1 {
		t.Fatal(err, len(good))
	}
	liar, err := (&keyring.Ring{KEK: make([]byte, keyring.KeySize)}).NewRegionKey(view.Empty(make([]byte, 16)), "us-east-1", 1, []*record.Node{n}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	lie := []record.Wrap{{Holder: "use-e", Generation: 1, Sealed: liar.Nodes[0].Sealed}}
	v := stateOf(tx)
	if err := r.take(v, lie); !errors.Is(err, errUnproved) || r.ring.Holds(v) {
		t.Fatalf("%v: it takes a key that a peer has made up", err)
	}
	if err := r.take(v, good); err != nil || !r.ring.Holds(v) {
		t.Fatal(err)
	}
	if err := r.take(v, lie); err == nil {
		t.Error("another word for what it has")
	}
	again, _ := regionOf(t, c) // it starts, from its disk
	if _, err := again.takeKept(v); err != nil || !again.ring.Holds(v) {
		t.Errorf("the disk does not have it: %v", err)
	}
	if err := local.Write(filepath.Join(c.Dir, wrapsFile), lie, 0o600); err != nil {
		t.Fatal(err)
	}
	poisoned, _ := regionOf(t, c) // by an older build
	if _, err := poisoned.takeKept(v); err != nil || poisoned.ring.Holds(v) {
		t.Errorf("what is on the disk is believed: %v", err)
	}
	if err := poisoned.take(v, good); err != nil || !poisoned.ring.Holds(v) {
		t.Errorf("what is on the disk stands in a peer's way: %v", err)
	}
}

func TestATicketThatCountsNoMoreIsSaidOnceWithWhatItsNodeMayHave(t *testing.T) {
	_, tx := enrolling(t)
	_, in := requested(t, "us-east-1")
	text := issued(t, tx, in, "ann", "bob")
	c := &config.Config{Role: "region", Region: "us-east-1", Dir: filepath.Join(t.TempDir(), "data")}
	if _, err := RequestTicket(c, "use-a"); err != nil {
		t.Fatal(err)
	}
	if err := local.Write(filepath.Join(c.Dir, ticketsFile), [][]byte{text}, 0o600); err != nil {
		t.Fatal(err)
	}
	r, said := regionOf(t, c)
	r.tickets.applied(stateOf(tx))
	if len(r.tickets.here()) != 1 || said.Len() != 0 {
		t.Fatalf("%d tickets, %s", len(r.tickets.here()), said)
	}
	tx.Delete(record.MakeKey(record.Operators.Name, record.None, "bob"))
	r.tickets.applied(stateOf(tx))
	r.tickets.applied(stateOf(tx))
	if got := said.String(); len(r.tickets.here()) != 0 || strings.Count(got, "level=ERROR") != 1 || !strings.Contains(got, "node=use-d") || !strings.Contains(got, "fence a node of the Region") {
		t.Errorf("%d tickets, %s", len(r.tickets.here()), got)
	}
}

func TestTheRegionsOtherNodesAreThoseOfTheStateAndApartThoseByTicket(t *testing.T) {
	c, in := requested(t, "us-east-1")
	_, tx := enrolling(t)
	for _, name := range []string{"use-a", "use-b"} {
		n := newNode(t, name)
		n.Fenced = name == "use-b"
		if err := record.Put(tx, record.Nodes, n); err != nil {
			t.Fatal(err)
		}
	}
	_, ticket, err := operator.ReadTicket(issued(t, tx, in, "ann", "bob"))
	if err != nil {
		t.Fatal(err)
	}
	r, _ := regionOf(t, c)
	r.keys.ID = "use-z"
	r.tickets.over.Show([]overlay.Entry{{ID: "1", Ticket: ticket}})
	if got := fmt.Sprint(r.others(stateOf(tx))); got != "{[use-a] [use-d]}" {
		t.Error(got)
	}
}
