package node

import (
	"testing"

	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// minterDenied is a Region's own denial of what a node mints.
func minterDenied(t *testing.T, r record.Reader, target string, by ...string) []byte {
	t.Helper()
	in := &operator.Together{Cluster: clusterOf(t, r), Region: "us-east-1", Sequence: 1, Reason: "stolen", Deny: []operator.Denied{{Scope: record.DenyMinter, Target: target}}}
	return signed(t, operator.RegionDeny, in, by...)
}

func TestATicketThatIsHandedUpBeforeItsWithdrawalEndsAsAFencedNodeAllTheSame(t *testing.T) {
	s, tx := enrolling(t)
	_, in := requested(t, "us-east-1")
	if err := s.enrol(tx, issued(t, tx, in, "ann", "bob"), "us-east-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := denyFor(tx, [][]byte{minterDenied(t, tx, "use-d", "ann", "bob")}, "us-east-1"); err != nil {
		t.Fatal(err)
	}
	n, err := record.Get(tx, record.Nodes, record.None, "use-d")
	if err != nil || !n.Fenced {
		t.Errorf("%v %+v", err, n)
	}
}

func TestARegionsDenialOfWhatANodeMintsFencesNoneThatCameByAnInvite(t *testing.T) {
	s, tx := enrolling(t)
	_, in := requested(t, "us-east-1")
	if err := s.enrol(tx, issued(t, tx, in, "ann", "bob"), "us-east-1"); err != nil {
		t.Fatal(err)
	}
	n, err := record.Get(tx, record.Nodes, record.None, "use-d")
	if err != nil {
		t.Fatal(err)
	}
	n.Invite = n.Invite[1:]
	if err := record.Put(tx, record.Nodes, n); err != nil {
		t.Fatal(err)
	}
	if _, err := denyFor(tx, [][]byte{minterDenied(t, tx, "use-d", "ann", "bob")}, "us-east-1"); err != nil {
		t.Fatal(err)
	}
	if n, err := record.Get(tx, record.Nodes, record.None, "use-d"); err != nil || n.Fenced {
		t.Errorf("%v %+v", err, n)
	}
}

func TestADenialOfAnOperatorWhoIsNoneAnyMoreHoldsUpNoOtherOfItsRegion(t *testing.T) {
	_, tx := enrolling(t)
	ofNobody := minterDenied(t, tx, "mallory", "ann", "zoe")
	if _, err := denyFor(tx.Fork(), [][]byte{ofNobody}, "us-east-1"); err == nil {
		t.Error("a stranger's word is a denial")
	}
	both := [][]byte{ofNobody, minterDenied(t, tx, "eve", "ann", "bob")}
	if refused, err := denyFor(tx, both, "us-east-1"); err != nil || refused == nil {
		t.Errorf("refused %v, %v", refused, err)
	}
	var denied []string
	err := record.Scan(tx, record.Denials, record.DenialByTarget, "", "", func(_ string, d *record.Denial) bool {
		denied = append(denied, d.Target)
		return true
	})
	if err != nil || len(denied) != 1 || denied[0] != "eve" {
		t.Errorf("denied are %v, %v", denied, err)
	}
	if _, err := denyFor(tx.Fork(), both, "us-east-1"); err == nil {
		t.Error("with nothing new to write there is something to commit")
	}
}
