package operator

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/holdfast-iam/holdfast/internal/record"
)

func TestARegionIsAdmittedByTwoOperatorsOnce(t *testing.T) {
	w, bob := pair(t)
	w.AdmitRegion = w.ring.NewRegion
	w.refused("one operator", w.signed("region.create", `{"name":"eu-west-1"}`), codes.FailedPrecondition, "takes two operators")
	for name, words := range map[string]string{"": "no Region's name", "EU-west-1": "no Region's name", "eu": "no Region's name", "../x-1": "no Region's name",
		strings.Repeat("a", 32) + "-1": "no Region's name"} {
		c := w.signed("region.create", `{"name":"`+name+`"}`)
		if err := Approve(c, bob); err != nil {
			t.Fatal(err)
		}
		w.refused(name, c, codes.FailedPrecondition, words)
	}
	admit := func() error {
		c := w.signed("region.create", `{"name":"eu-west-1"}`)
		if err := Approve(c, bob); err != nil {
			t.Fatal(err)
		}
		_, err := w.Execute(context.Background(), c)
		return err
	}
	if err := admit(); err != nil {
		t.Fatal(err)
	}
	if all := good[[]*record.Region](w, "region.admitted", "{}"); len(all) != 1 || all[0].Name != "eu-west-1" {
		t.Errorf("%+v", all)
	}
	if err := admit(); err == nil || !strings.Contains(err.Error(), "there already") {
		t.Errorf("twice: %v", err)
	}
}

func TestARegionIsTakenOutByTwoOperatorsWithAllItsNodes(t *testing.T) {
	w, bob := pair(t)
	remove := func(name string) error {
		c := w.signed("region.delete", `{"name":"`+name+`"}`)
		if err := Approve(c, bob); err != nil {
			t.Fatal(err)
		}
		_, err := w.Execute(context.Background(), c)
		return err
	}
	put(w, record.Regions, &record.Region{Name: "us-east-1"})
	if err := remove("us-east-1"); err == nil || !strings.Contains(err.Error(), "only Region") {
		t.Errorf("the only one: %v", err)
	}
	put(w, record.Regions, &record.Region{Name: "eu-west-1"})
	put(w, record.Nodes, &record.Node{ID: "control", Role: record.ControlNode, Invite: []byte("c")})
	put(w, record.Nodes, &record.Node{ID: "eu-west-1a", Role: record.RegionNode, Region: "eu-west-1", Invite: []byte("a")})
	w.refused("one operator", w.signed("region.delete", `{"name":"us-east-1"}`), codes.FailedPrecondition, "takes two operators")
	if err := remove("ap-south-2"); err == nil || !strings.Contains(err.Error(), "there is no Region") {
		t.Errorf("another: %v", err)
	}
	if err := remove("us-east-1"); err != nil {
		t.Fatal(err)
	}
	if !w.last.Reduces {
		t.Error("it needs room in the store")
	}
	for id, fenced := range map[string]bool{"us-east-1a": true, "eu-west-1a": false, "control": false} {
		if n, err := record.Get(w.view, record.Nodes, record.None, id); err != nil || n.Fenced != fenced {
			t.Errorf("%s: %+v %v", id, n, err)
		}
	}
	if all := good[[]*record.Region](w, "region.admitted", "{}"); len(all) != 1 || all[0].Name != "eu-west-1" {
		t.Errorf("%+v", all)
	}
}
