package operator

import (
	"context"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// pair is a production world with a second operator.
func pair(t *testing.T) (*world, *Key) {
	w := newWorld(t, "production")
	bob := &Key{ID: "bob", Seed: []byte(strings.Repeat("b", 32))}
	w.enroll(bob, w.root)
	return w, bob
}

const denyMinter = `{"scope":"minter","target":"us-east-1a"}`

func TestWhatTakesTwoOperatorsRunsWithTheApprovalOfAnother(t *testing.T) {
	w, bob := pair(t)
	w.refused("one operator", w.signed("deny.create", denyMinter), codes.FailedPrecondition, "takes two operators in a production deployment")
	c := w.signed("deny.create", denyMinter)
	if err := Approve(c, w.key); err == nil {
		t.Error("an operator approved its own command")
	}
	if err := Approve(c, bob); err != nil {
		t.Fatal(err)
	}
	w.now = begin.Add(ProposalLife)
	if _, err := w.Execute(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	d := good[[]*record.Denial](w, "deny.list", "{}")[0]
	if d.By != "ann+bob" || w.last.By != "operator:ann+bob" {
		t.Errorf("%+v %s", d, w.last.By)
	}
	w.refused("again", c, codes.PermissionDenied, "run already")
	w.refused("lifted by one", w.signed("deny.lift", `{"id":"`+d.ID+`"}`), codes.FailedPrecondition, "takes two operators")
	lift := w.signed("deny.lift", `{"id":"`+d.ID+`"}`)
	if err := Approve(lift, bob); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Execute(context.Background(), lift); err != nil {
		t.Error(err)
	}
}

func TestAnApprovalIsOfAnotherEnrolledOperatorOverTheVeryCommand(t *testing.T) {
	eve := &Key{ID: "eve", Seed: []byte(strings.Repeat("e", 32))}
	for _, x := range []struct {
		name string
		make func(w *world, c *operatorpb.Command, bob *Key)
	}{
		{"of a stranger", func(_ *world, c *operatorpb.Command, _ *Key) { c.Approvals[0] = approvalOf(c, eve) }},
		{"of a stranger in an operator's name", func(_ *world, c *operatorpb.Command, bob *Key) {
			c.Approvals[0] = approvalOf(c, &Key{ID: bob.ID, Seed: eve.Seed})
		}},
		{"of its own operator", func(w *world, c *operatorpb.Command, _ *Key) { c.Approvals[0] = approvalOf(c, w.key) }},
		{"without signature", func(_ *world, c *operatorpb.Command, _ *Key) { c.Approvals[0].Signature = nil }},
		{"twice of one", func(_ *world, c *operatorpb.Command, bob *Key) { c.Approvals = append(c.Approvals, approvalOf(c, bob)) }},
		{"signed as a command", func(_ *world, c *operatorpb.Command, bob *Key) {
			c.Approvals[0].Signature = ed25519.Sign(ed25519.NewKeyFromSeed(bob.Seed), message(c))
		}},
		{"over another command", func(w *world, c *operatorpb.Command, bob *Key) {
			c.Approvals[0] = approvalOf(w.signed("deny.create", denyMinter), bob)
		}},
	} {
		w, bob := pair(t)
		c := w.signed("deny.create", denyMinter)
		if err := Approve(c, bob); err != nil {
			t.Fatal(err)
		}
		x.make(w, c, bob)
		w.refused(x.name, c, codes.PermissionDenied, "an approval is not of another enrolled operator")
	}
	w, bob := pair(t)
	c := w.signed("deny.create", denyMinter)
	for range maxApprovals + 1 {
		c.Approvals = append(c.Approvals, approvalOf(c, bob))
	}
	w.refused("too many", c, codes.PermissionDenied, "malformed")
}

func approvalOf(c *operatorpb.Command, k *Key) *operatorpb.Approval {
	return &operatorpb.Approval{Operator: k.ID, Signature: ed25519.Sign(ed25519.NewKeyFromSeed(k.Seed), approval(c))}
}

func TestAProposalIsGoodForTenMinutesAndRunsOnceInThem(t *testing.T) {
	w, bob := pair(t)
	c := w.signed("deny.create", denyMinter)
	if err := Approve(c, bob); err != nil {
		t.Fatal(err)
	}
	w.now = begin.Add(ProposalLife + time.Millisecond)
	w.refused("too late", c, codes.PermissionDenied, "more than ten minutes off")
	w.now = begin.Add(-maxSkew - time.Millisecond)
	w.refused("too early", c, codes.PermissionDenied, "off this node's")
	w.now = begin.Add(-maxSkew)
	if _, err := w.Execute(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	w.now = begin.Add(ProposalLife)
	w.refused("again, as late as it can be", c, codes.PermissionDenied, "run already")
}

func TestAProposalIsReadAsItWasWritten(t *testing.T) {
	w, bob := pair(t)
	c := w.signed("deny.create", denyMinter)
	path := filepath.Join(t.TempDir(), "proposal")
	if err := WriteProposal(path, c); err != nil {
		t.Fatal(err)
	}
	if err := WriteProposal(path, c); !os.IsExist(err) {
		t.Errorf("overwritten: %v", err)
	}
	got, err := ReadProposal(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Approve(got, bob); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Execute(context.Background(), got); err != nil {
		t.Error(err)
	}
	for name, text := range map[string]string{"nothing": "", "no JSON": "x", "an unknown member": `{"x":1}`, "no command": "{}",
		"a name that a terminal obeys": `{"name":"\u001b[2J"}`, "too much": strings.Repeat(" ", maxProposal+1)} {
		bad := filepath.Join(t.TempDir(), "bad")
		if err := os.WriteFile(bad, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadProposal(bad); err == nil || !strings.Contains(err.Error(), "holds no proposed command") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
