package operator

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/holdfast-iam/holdfast/internal/record"
)

func TestARegionIsAdmittedByTwoOperatorsOnce(t *testing.T) {
	w, bob := pair(t)
	w.AdmitRegion = func(tx record.Tx, name string, now time.Time) error { return w.ring.NewRegion(tx, name, now) }
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
