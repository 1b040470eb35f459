package node

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/record"
)

func TestADenialOfAnOperatorWhoIsNoneAnyMoreHoldsUpNoOtherOfItsRegion(t *testing.T) {
	_, tx := enrolling(t)
	g, err := record.Get(tx, record.Geneses, record.None, "genesis")
	if err != nil {
		t.Fatal(err)
	}
	denial := func(target string, by ...string) []byte {
		in := &operator.Together{Cluster: g.Cluster, Region: "us-east-1", Sequence: 1, Reason: "stolen", Deny: []operator.Denied{{Scope: record.DenyMinter, Target: target}}}
		c, err := operator.Sign(operatorKey(by[0]), operator.RegionDeny, in, time.Now())
		for _, id := range by[1:] {
			err = errors.Join(err, operator.Approve(c, operatorKey(id)))
		}
		text, failed := proto.Marshal(c)
		if err := errors.Join(err, failed); err != nil {
			t.Fatal(err)
		}
		return text
	}
	ofNobody := denial("mallory", "ann", "zoe")
	if _, err := denyFor(tx.Fork(), [][]byte{ofNobody}, "us-east-1"); err == nil {
		t.Error("a stranger's word is a denial")
	}
	both := [][]byte{ofNobody, denial("eve", "ann", "bob")}
	if refused, err := denyFor(tx, both, "us-east-1"); err != nil || refused == nil {
		t.Errorf("refused %v, %v", refused, err)
	}
	var denied []string
	err = record.Scan(tx, record.Denials, record.DenialByTarget, "", "", func(_ string, d *record.Denial) bool {
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
