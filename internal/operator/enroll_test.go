package operator

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// enrolment is a new operator's record as the given key signs it.
func enrolment(id string, at time.Time, by ed25519.PrivateKey) string {
	eve := &Key{ID: id, Seed: []byte(strings.Repeat("e", 32))}
	o := (&Public{ID: id, Key: eve.Public()}).Enroll(at)
	o.Sign(by)
	b, _ := record.Marshal(o) // texts and bytes
	return string(b)
}

func TestAnOperatorIsEnrolledByTheRootAloneWithinAnHourAndOnce(t *testing.T) {
	w := newWorld(t, "production")
	stranger := ed25519.NewKeyFromSeed([]byte(strings.Repeat("s", 32)))
	for _, x := range []struct{ name, arguments, words string }{
		{"by somebody else", enrolment("eve", w.now, stranger), "not enrolled by the root"},
		{"by an operator", enrolment("eve", w.now, ed25519.NewKeyFromSeed(w.key.Seed)), "not enrolled by the root"},
		{"an old word", enrolment("eve", w.now.Add(-enrollLife-time.Second), w.root), "good for an hour"},
		{"a word from the future", enrolment("eve", w.now.Add(2*time.Minute), w.root), "good for an hour"},
		{"one who is there", enrolment("ann", w.now, w.root), "enrolled already"},
		{"no id", enrolment("../eve", w.now, w.root), "no operator's id"},
	} {
		w.refused(x.name, w.signed("operator.enroll", x.arguments), codes.FailedPrecondition, x.words)
	}
	good[OperatorLine](w, "operator.enroll", enrolment("eve", w.now, w.root))
	if all := good[[]OperatorLine](w, "operator.list", "{}"); len(all) != 2 || all[1].ID != "eve" {
		t.Errorf("%+v", all)
	}
	c, err := Sign(&Key{ID: "eve", Seed: []byte(strings.Repeat("e", 32))}, "operator.list", json.RawMessage("{}"), w.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Execute(context.Background(), c); err != nil {
		t.Errorf("the new operator's first command: %v", err)
	}
}

func TestAnOperatorIsTakenOutByTwoAndTwoStay(t *testing.T) {
	w, bob := pair(t)
	remove := func() error {
		c := w.signed("operator.remove", `{"id":"eve"}`)
		if err := Approve(c, bob); err != nil {
			t.Fatal(err)
		}
		_, err := w.Execute(context.Background(), c)
		return err
	}
	if err := remove(); err == nil {
		t.Error("an operator that is not there was taken out")
	}
	c := w.signed("operator.remove", `{"id":"bob"}`)
	if err := Approve(c, bob); err != nil {
		t.Fatal(err)
	}
	w.refused("the last but one", c, codes.FailedPrecondition, "only 2 operators")
	good[OperatorLine](w, "operator.enroll", enrolment("eve", w.now, w.root))
	w.refused("by one", w.signed("operator.remove", `{"id":"eve"}`), codes.FailedPrecondition, "takes two operators")
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	if all := good[[]OperatorLine](w, "operator.list", "{}"); len(all) != 2 {
		t.Errorf("%+v", all)
	}
}

func TestAFileOfAPublicKeyHoldsOneAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	k := &Key{ID: "eve", Seed: []byte(strings.Repeat("e", 32))}
	whole, _ := json.Marshal(Public{k.ID, k.Public()})
	for text, ok := range map[string]bool{string(whole): true, "": false, "{}": false, `{"id":"eve","key":"AAAA"}`: false,
		strings.Replace(string(whole), "eve", "e v e", 1): false, string(whole) + strings.Repeat(" ", maxPublic): false} {
		path := filepath.Join(dir, "pub")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if p, err := ReadPublic(path); (err == nil) != ok || ok && p.ID != "eve" {
			t.Errorf("%.80q: %v", text, err)
		}
	}
}

func TestPinsNameTheRootTheRegionsAndTheControlNodesInForce(t *testing.T) {
	w := newWorld(t, "production")
	put(w, record.Regions, &record.Region{Name: "us-east-1"})
	put(w, record.Nodes, &record.Node{ID: "b", Role: record.ControlNode, TLS: []byte("tls")})
	put(w, record.Nodes, &record.Node{ID: "a", Role: record.ControlNode, TLS: []byte("stolen"), Fenced: true})
	p := good[Pins](w, "node.pins", "{}")
	if len(p.Root) != 64 || len(p.Regions) != 1 || len(p.Controls) != 1 || p.Controls[0].ID != "b" || string(p.Controls[0].TLS) != "tls" {
		t.Errorf("%+v", p)
	}
}
