package operator

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

func TestOnlyAnEnrolledOperatorsSignatureRunsACommand(t *testing.T) {
	stranger := &Key{ID: "eve", Seed: []byte(strings.Repeat("e", 32))}
	named := &Key{ID: "ann", Seed: stranger.Seed}
	for _, x := range []struct {
		name string
		make func(w *world) *operatorpb.Command
	}{
		{"of nobody", func(w *world) *operatorpb.Command { c := w.signed("account.list", "{}"); c.Signature = nil; return c }},
		{"of a stranger", func(w *world) *operatorpb.Command { w.key = stranger; return w.signed("account.list", "{}") }},
		{"of a stranger in an operator's name", func(w *world) *operatorpb.Command { w.key = named; return w.signed("account.list", "{}") }},
		{"of an operator whom no root enrolled", func(w *world) *operatorpb.Command {
			w.enroll(stranger, ed25519.NewKeyFromSeed(stranger.Seed))
			w.key = stranger
			return w.signed("account.list", "{}")
		}},
		{"of an operator whose record was changed", func(w *world) *operatorpb.Command {
			o := &record.Operator{ID: stranger.ID, Public: w.key.Public()}
			o.Sign(w.root)
			o.Public = stranger.Public()
			put(w, record.Operators, o)
			w.key = stranger
			return w.signed("account.list", "{}")
		}},
		{"over another name", func(w *world) *operatorpb.Command {
			c := w.signed("account.list", "{}")
			c.Name = "service.list"
			return c
		}},
		{"over other arguments", func(w *world) *operatorpb.Command {
			c := w.signed("account.create", "{}")
			c.Arguments = []byte(`{"id":"333344445555"}`)
			return c
		}},
		{"over another time", func(w *world) *operatorpb.Command { c := w.signed("account.list", "{}"); c.TimeMs++; return c }},
		{"over another nonce", func(w *world) *operatorpb.Command { c := w.signed("account.list", "{}"); c.Nonce[0]++; return c }},
		{"over another operator", func(w *world) *operatorpb.Command {
			w.enroll(stranger, w.root)
			c := w.signed("account.list", "{}")
			c.Operator = "eve"
			return c
		}},
		{"with name and arguments cut elsewhere", func(w *world) *operatorpb.Command {
			c := w.signed("account.list", "{}")
			c.Name, c.Arguments = "account.list{", []byte("}")
			return c
		}},
		{"before there is any state", func(w *world) *operatorpb.Command {
			c := w.signed("account.list", "{}")
			w.Server.View = func() *view.View { return nil }
			return c
		}},
	} {
		w := newWorld(t, "production")
		w.refused(x.name, x.make(w), codes.PermissionDenied, "not signed by an enrolled operator")
	}
	w := newWorld(t, "production")
	w.enroll(stranger, w.root)
	w.key = stranger
	good[[]AccountLine](w, "account.list", "{}")
}

func TestACommandRunsOnce(t *testing.T) {
	w := newWorld(t, "development")
	c := w.signed("account.create", `{"id":"333344445555"}`)
	if _, err := w.Execute(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	good[AccountLine](w, "account.delete", `{"id":"333344445555"}`)
	for _, later := range []time.Duration{0, maxSkew} {
		w.now = begin.Add(later)
		w.refused("again", c, codes.PermissionDenied, "run already")
	}
	// Signed ahead of our time it can be tried longest.
	ahead := w.signed("account.list", "{}")
	w.now = begin
	if _, err := w.Execute(context.Background(), ahead); err != nil {
		t.Fatal(err)
	}
	w.now = begin.Add(2 * maxSkew)
	w.refused("again, signed ahead", ahead, codes.PermissionDenied, "run already")
	w.now = begin.Add(2*maxSkew + time.Millisecond)
	w.refused("when it is forgotten", ahead, codes.PermissionDenied, "more than a minute off")
}

func TestANonceIsOneOperatorsAndAnUnsignedOneIsNotRemembered(t *testing.T) {
	w := newWorld(t, "development")
	bob := &Key{ID: "bob", Seed: []byte(strings.Repeat("b", 32))}
	w.enroll(bob, w.root)
	c := w.signed("account.list", "{}")
	bad := &operatorpb.Command{Operator: "ann", Name: c.Name, Arguments: c.Arguments, TimeMs: c.TimeMs, Nonce: c.Nonce, Signature: make([]byte, 64)}
	w.refused("unsigned", bad, codes.PermissionDenied, "not signed")
	if _, err := w.Execute(context.Background(), c); err != nil {
		t.Errorf("the nonce of an unsigned command is used up: %v", err)
	}
	his := sign(&operatorpb.Command{Operator: "bob", Name: c.Name, Arguments: c.Arguments, TimeMs: c.TimeMs, Nonce: c.Nonce}, bob)
	if _, err := w.Execute(context.Background(), his); err != nil {
		t.Errorf("another operator's: %v", err)
	}
}

func TestWhenTooManyNoncesAreRememberedNewOnesAreRefusedAndNoneForgotten(t *testing.T) {
	w := newWorld(t, "development")
	first := w.signed("account.list", "{}")
	if _, err := w.Execute(context.Background(), first); err != nil {
		t.Fatal(err)
	}
	for i := range maxNonces - 1 {
		if err := w.once(nonce{"ann", fmt.Sprint(i)}, w.now, w.now.Add(2*maxSkew)); err != nil {
			t.Fatal(err)
		}
	}
	w.refused("one more", w.signed("account.list", "{}"), codes.PermissionDenied, "more than 4096 commands")
	w.refused("the first", first, codes.PermissionDenied, "run already")
	w.now = begin.Add(2*maxSkew + 1)
	good[[]AccountLine](w, "account.list", "{}")
	if n := len(w.nonces); n != 1 {
		t.Errorf("%d nonces are remembered", n)
	}
}

func TestACommandIsOfThisMinute(t *testing.T) {
	w := newWorld(t, "development")
	for _, x := range []struct {
		ms   int64 // from ours
		good bool
	}{{0, true}, {60_000, true}, {-60_000, true}, {60_001, false}, {-60_001, false}, {math.MaxInt64 - begin.UnixMilli(), false}, {math.MinInt64, false}} {
		c := w.signed("account.list", "{}")
		c.TimeMs += x.ms
		_, err := w.Execute(context.Background(), sign(c, w.key))
		if x.good && err != nil || !x.good && status.Code(err) != codes.PermissionDenied {
			t.Errorf("%d ms: %v", x.ms, err)
		}
	}
}

func TestACommandIsWithinItsLimits(t *testing.T) {
	argument := func(n int) []byte { return []byte(`{"name":"` + strings.Repeat("x", n-len(`{"name":""}`)) + `"}`) }
	for _, x := range []struct {
		name string
		do   func(c *operatorpb.Command)
		code codes.Code
	}{
		{"arguments of 64 KiB", func(c *operatorpb.Command) { c.Arguments = argument(maxArguments) }, codes.FailedPrecondition}, // the name is too long
		{"one byte more", func(c *operatorpb.Command) { c.Arguments = argument(maxArguments + 1) }, codes.PermissionDenied},
		{"a name of 64 bytes", func(c *operatorpb.Command) { c.Name = strings.Repeat("x", maxName) }, codes.InvalidArgument},
		{"one byte more of name", func(c *operatorpb.Command) { c.Name = strings.Repeat("x", maxName+1) }, codes.PermissionDenied},
		{"a nonce of 15 bytes", func(c *operatorpb.Command) { c.Nonce = c.Nonce[:15] }, codes.PermissionDenied},
		{"a nonce of 17 bytes", func(c *operatorpb.Command) { c.Nonce = append(c.Nonce, 0) }, codes.PermissionDenied},
		{"no nonce", func(c *operatorpb.Command) { c.Nonce = nil }, codes.PermissionDenied},
	} {
		w := newWorld(t, "development")
		c := w.signed("account.create", "{}")
		x.do(c)
		w.refused(x.name, sign(c, w.key), x.code, "")
	}
	w := newWorld(t, "development")
	for _, n := range []int{maxName, maxName + 1} {
		k := &Key{ID: strings.Repeat("k", n), Seed: w.key.Seed}
		w.enroll(k, w.root)
		c := w.signed("account.list", "{}")
		c.Operator = k.ID
		if _, err := w.Execute(context.Background(), sign(c, k)); (err == nil) != (n == maxName) {
			t.Errorf("an operator of %d bytes: %v", n, err)
		}
	}
}

// badArguments are arguments of account.create that mean nothing, or could mean
// two things.
var badArguments = []struct{ name, text string }{
	{"nothing", ""},
	{"no JSON", "{"},
	{"null", "null"},
	{"a list", "[]"},
	{"a text", `"x"`},
	{"two values", "{}{}"},
	{"a value and more", "{} x"},
	{"space around", " {}"},
	{"space inside", `{"id": "333344445555"}`},
	{"members out of order", `{"name":"n","id":"333344445555"}`},
	{"a member twice", `{"id":"333344445555","id":"444455556666"}`},
	{"an unknown member", `{"id":"333344445555","region":"x"}`},
	{"a member in other letters", `{"ID":"333344445555"}`},
	{"a member beside itself in other letters", `{"ID":"333344445555","id":"444455556666"}`},
	{"an escape that need not be", `{"id":"33334444555\u0035"}`},
	{"a member of another type", `{"id":333344445555}`},
	{"text that is no UTF-8", "{\"name\":\"\xff\"}"},
}

func TestArgumentsAreInTheOneFormThatTheAuditShows(t *testing.T) {
	for _, x := range badArguments {
		w := newWorld(t, "development")
		c := w.signed("account.create", "{}")
		c.Arguments = []byte(x.text)
		w.refused(x.name, sign(c, w.key), codes.InvalidArgument, "operator: arguments of account.create")
		c = w.signed("account.list", "{}")
		c.Arguments = []byte(x.text)
		w.refused(x.name+", of a list", sign(c, w.key), codes.InvalidArgument, "operator: arguments of account.list")
	}
	w := newWorld(t, "development")
	w.refused("a member of a list", w.signed("account.list", `{"id":"x"}`), codes.InvalidArgument, "")
	w.refused("no command", w.signed("account.take", "{}"), codes.InvalidArgument, `no command "account.take"`)
	w.refused("no name", w.signed("", "{}"), codes.InvalidArgument, "no command")
	w.refused("a name in other letters", w.signed("Account.List", "{}"), codes.InvalidArgument, "no command")
}

func TestAChangeIsCommittedInTheOperatorsNameWithItsArguments(t *testing.T) {
	w := newWorld(t, "development")
	for _, x := range []struct {
		name, arguments string
		reduces         bool
	}{
		{"account.create", `{"id":"333344445555","name":"n"}`, false},
		{"account.delete", `{"id":"333344445555"}`, true},
		{"service.create", service(nil), false},
		{"service.delete", `{"name":"storage.example.com"}`, true},
		{"deny.create", `{"scope":"account","target":"` + account + `"}`, true},
	} {
		r, err := w.execute(x.name, x.arguments)
		if err != nil {
			t.Fatal(x.name, err)
		}
		if w.last.Operation != "operator:"+x.name || w.last.By != "operator:ann" || string(w.last.Request) != x.arguments || w.last.Reduces != x.reduces {
			t.Errorf("%+v", w.last)
		}
		if r.Revision != record.Revision("l", w.view.Head.Index) || len(r.Missing) != 1 {
			t.Errorf("%s: %v", x.name, r)
		}
	}
	id := good[[]*record.Denial](w, "deny.list", "{}")[0].ID
	good[record.Denial](w, "deny.lift", `{"id":"`+id+`"}`)
	if w.last.Reduces {
		t.Error("lifting a denial reduces")
	}
}

func TestAReadCommitsNothing(t *testing.T) {
	w := newWorld(t, "production")
	w.Commit = func(context.Context, Change) (Done, error) {
		t.Error("committed")
		return Done{}, nil
	}
	for _, name := range []string{"account.list", "service.list", "deny.list"} {
		r, err := w.execute(name, "{}")
		if err != nil || r.Revision != record.Revision("l", w.view.Head.Index) || name != "account.list" && string(r.Body) != "[]" {
			t.Errorf("%s: %v %v", name, r, err)
		}
	}
}

func TestAnUnconfirmedCommitIsNeitherDoneNorRefused(t *testing.T) {
	w := newWorld(t, "development")
	w.Commit = func(context.Context, Change) (Done, error) { return Done{}, errors.New("no quorum") }
	_, err := w.execute("account.create", "{}")
	if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "no quorum") {
		t.Errorf("%v", err)
	}
}

func FuzzDecodedArgumentsAreTheOneFormOfWhatTheyMean(f *testing.F) {
	for _, x := range badArguments {
		f.Add([]byte(x.text))
	}
	f.Add([]byte(`{"account":"111122223333","before":"2026-11-24T12:00:00Z","reason":"r","scope":"source-identity","target":"ann"}`))
	f.Add([]byte(service(nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		decodedIsOne[denyIn](t, b)
		decodedIsOne[NewService](t, b)
		decodedIsOne[Asked](t, b)
		decodedIsOne[struct{}](t, b)
	})
}

func decodedIsOne[In any](t *testing.T, b []byte) {
	in := new(In)
	if decode(&operatorpb.Command{Name: "c", Arguments: b}, in) != nil {
		return
	}
	again, err := Sign(&Key{ID: "k", Seed: make([]byte, 32)}, "c", in, begin)
	if err != nil {
		t.Fatalf("%s cannot be written again: %v", b, err)
	}
	same := new(In)
	if err := decode(again, same); err != nil {
		t.Fatalf("%s is not read again: %v", again.Arguments, err)
	}
	one, _ := json.Marshal(in)
	other, _ := json.Marshal(same)
	if !bytes.Equal(one, other) {
		t.Fatalf("%s became %s", one, other)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(b, &members) != nil || bytes.ContainsAny(b[:1], " \t\n") {
		t.Fatalf("%q was taken", b)
	}
}
