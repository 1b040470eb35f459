package operator

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// request is what a new node shows of itself, completed by an operator.
func request(t *testing.T) *Ticket {
	t.Helper()
	keys, err := keyring.NewNodeKeys("us-east-1d", false)
	if err != nil {
		t.Fatal(err)
	}
	hpke, err := keys.HPKEPublic()
	if err != nil {
		t.Fatal(err)
	}
	return &Ticket{Cluster: "c", Region: "us-east-1", Node: keys.ID, Zone: "d", TLS: keys.TLS().Public().(ed25519.PublicKey), HPKE: hpke, Format: record.Format, Peer: "10.0.0.4:4450",
		Signing: []TicketKey{{ID: strings.Repeat("0a", 10), Public: make([]byte, 32), NotBefore: record.At(begin), NotAfter: record.At(begin.Add(signingLife))}}}
}

func (w *world) ticket(in *Ticket) *operatorpb.Command {
	w.t.Helper()
	c, err := Sign(w.key, RegionAdmit, in, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestATicketComesToTheSameNodeWhereverItIsRead(t *testing.T) {
	w := newWorld(t, "development")
	c := w.ticket(request(t))
	id, ticket, err := Admits(w.view, text(t, c), "c", "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	n := ticket.Node
	if n.ID != "us-east-1d" || n.Role != record.RegionNode || n.Region != "us-east-1" || n.Fenced || len(n.Head) != 0 || !n.ByTicket() || n.Joined != record.At(begin) {
		t.Errorf("%+v", n)
	}
	if k := ticket.Keys[0]; k.Node != n.ID || k.Region != n.Region || k.Known || k.Revoked || ticket.Address.Peer != "10.0.0.4:4450" {
		t.Errorf("%+v %+v", k, ticket.Address)
	}
	again, same, err := ReadTicket(text(t, c))
	if err != nil || again != id || string(same.Node.Invite) != string(n.Invite) {
		t.Errorf("%v: %s and %s", err, id, again)
	}
	if RegionOf(c) != "us-east-1" {
		t.Errorf("proposed, it is taken to %q", RegionOf(c))
	}
}

func TestWhatOperatorsHaveNotSignedForThisRegionAdmitsNobody(t *testing.T) {
	w := newWorld(t, "development")
	with := func(change func(*Ticket)) *operatorpb.Command {
		in := request(t)
		change(in)
		return w.ticket(in)
	}
	stranger := w.ticket(request(t))
	stranger.Operator = "eve"
	changed := w.ticket(request(t))
	changed.Arguments = []byte(strings.Replace(string(changed.Arguments), "us-east-1d", "us-east-1e", 1))
	approved := w.ticket(request(t))
	approved.Approvals = []*operatorpb.Approval{{Operator: "eve", Signature: make([]byte, 64)}}
	for name, c := range map[string]*operatorpb.Command{
		"in another's name":      stranger,
		"changed":                changed,
		"approved by nobody":     approved,
		"of another cluster":     with(func(in *Ticket) { in.Cluster = "d" }),
		"of another Region":      with(func(in *Ticket) { in.Region = "eu-west-1" }),
		"without a name":         with(func(in *Ticket) { in.Node = "" }),
		"in a zone of two lines": with(func(in *Ticket) { in.Zone = "a\nb" }),
		"without a TLS key":      with(func(in *Ticket) { in.TLS = nil }),
		"without an HPKE key":    with(func(in *Ticket) { in.HPKE = in.HPKE[1:] }),
		"of no format":           with(func(in *Ticket) { in.Format = 0 }),
		"at no address":          with(func(in *Ticket) { in.Peer = "10.0.0.4" }),
		"without a signing key":  with(func(in *Ticket) { in.Signing = nil }),
		"with too many":          with(func(in *Ticket) { in.Signing = append(in.Signing, in.Signing[0], in.Signing[0], in.Signing[0]) }),
		"with one of them twice": with(func(in *Ticket) { in.Signing = append(in.Signing, in.Signing[0]) }),
		"with one that lasts":    with(func(in *Ticket) { in.Signing[0].NotAfter++ }),
		"with one for next year": with(func(in *Ticket) {
			in.Signing[0].NotBefore, in.Signing[0].NotAfter = record.At(begin.Add(365*24*time.Hour)), record.At(begin.Add(366*24*time.Hour))
		}),
		"with one of no id":       with(func(in *Ticket) { in.Signing[0].ID = "x" }),
		"another command":         w.signed(RegionDeny, denyInRegion),
		"with what nobody knows":  w.signed(RegionAdmit, `{"cluster":"c","more":1,"region":"us-east-1"}`),
		"without anything at all": w.signed(RegionAdmit, `{"cluster":"c","region":"us-east-1"}`),
	} {
		if _, ticket, err := Admits(w.view, text(t, c), "c", "us-east-1"); err == nil {
			t.Errorf("%s: %+v", name, ticket.Node)
		}
	}
	if _, _, err := Admits(w.view, []byte("{"), "c", "us-east-1"); err == nil {
		t.Error("what is no command is taken")
	}
}

func TestWhoSignsSeesTheFingerprintThatTheNewMachineHasShown(t *testing.T) {
	w, bob := pair(t)
	shown := request(t)
	c := w.ticket(shown)
	if err := Approve(c, bob); err != nil {
		t.Fatal(err)
	}
	if got := FingerprintOf(c); got == "" || got != shown.Fingerprint() {
		t.Errorf("shown %s, signed %s", shown.Fingerprint(), got)
	}
	if got := TicketSigners(text(t, c)); len(got) != 2 || got[1] != bob.ID {
		t.Errorf("signers %v", got)
	}
	first := shown.Fingerprint()
	for what, change := range map[string]func(*Ticket){
		"TLS key": func(t *Ticket) { t.TLS = append([]byte{t.TLS[0] ^ 1}, t.TLS[1:]...) },
		"signing key": func(t *Ticket) {
			t.Signing[0].Public = append([]byte{t.Signing[0].Public[0] ^ 1}, t.Signing[0].Public[1:]...)
		},
		"HPKE key": func(t *Ticket) { t.HPKE = append([]byte{t.HPKE[0] ^ 1}, t.HPKE[1:]...) },
	} {
		other := request(t)
		*other = *shown
		other.Signing = append([]TicketKey(nil), shown.Signing...)
		change(other)
		if other.Fingerprint() == first {
			t.Errorf("another %s has the same fingerprint", what)
		}
	}
}

func TestInProductionANodeIsAdmittedByTheWordOfTwo(t *testing.T) {
	w, bob := pair(t)
	c := w.ticket(request(t))
	if _, _, err := Admits(w.view, text(t, c), "c", "us-east-1"); err == nil {
		t.Error("one operator is enough")
	}
	if err := Approve(c, bob); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Admits(w.view, text(t, c), "c", "us-east-1"); err != nil {
		t.Error(err)
	}
}

func TestARegionNodeTakesATicketForANameAndKeysThatNobodyHasHad(t *testing.T) {
	w := newWorld(t, "development")
	var taken []*record.Ticket
	s := &RegionServer{Server: &Server{View: w.Server.View, Now: w.Server.Now, Authorizer: w.Server.Authorizer},
		State: func() RegionState { return RegionState{Cluster: "c", Region: "us-east-1", Sequence: 1} },
		Admit: func(_ context.Context, _ string, _ []byte, ticket *record.Ticket) ([]string, error) {
			taken = append(taken, ticket)
			return []string{"us-east-1c"}, nil
		}}
	in := request(t)
	r, err := s.Execute(context.Background(), w.ticket(in))
	var line NodeLine
	if err != nil || len(taken) != 1 || len(r.Missing) != 1 || json.Unmarshal(r.Body, &line) != nil || line.ID != "us-east-1d" {
		t.Fatalf("%v %v", err, r)
	}
	put(w, record.Nodes, &record.Node{ID: "us-east-1z", Role: record.RegionNode, Region: "us-east-1", TLS: in.TLS, Fenced: true, Invite: []byte("z")})
	for name, change := range map[string]func(*Ticket){
		"the name of a node":       func(in *Ticket) { in.Node = "us-east-1a" },
		"the key of a fenced node": func(*Ticket) {},
	} {
		again := *in
		change(&again)
		if _, err := s.Execute(context.Background(), w.ticket(&again)); status.Code(err) != codes.FailedPrecondition {
			t.Errorf("%s: %v", name, err)
		}
	}
	old := request(t)
	old.Format = 1
	w.view.Head.Format = 2
	if _, err := s.Execute(context.Background(), w.ticket(old)); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "newer build") {
		t.Errorf("a node that does not read the log: %v", err)
	}
	late := w.ticket(request(t))
	w.now = w.now.Add(2 * maxSkew)
	if _, err := s.Execute(context.Background(), late); status.Code(err) != codes.PermissionDenied {
		t.Errorf("late: %v", err)
	}
	if len(taken) != 1 {
		t.Errorf("%d were taken", len(taken))
	}
}
