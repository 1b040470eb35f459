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

	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

const (
	account = "111122223333"
	empty   = "222233334444"
	userID  = "AIDAALICEALICEALICE1"
	roleID  = "AROAREADERREADERREA1"
)

var begin = time.Date(2026, 11, 24, 12, 0, 0, 500_000_000, time.UTC)

// world is a control plane's state with one enrolled operator.
type world struct {
	*Server
	t    testing.TB
	now  time.Time
	view *view.View
	key  *Key
	root ed25519.PrivateKey
	ring *keyring.Ring
	last Change // the last that was committed, or refused in the commit
}

func newWorld(t testing.TB, mode string) *world {
	t.Helper()
	w := &world{t: t, now: begin, view: &view.View{State: view.Empty(make([]byte, 16)), Head: record.Head{Lineage: "l"}},
		key: &Key{ID: "ann", Seed: []byte(strings.Repeat("a", 32))}, root: ed25519.NewKeyFromSeed([]byte(strings.Repeat("r", 32))),
		ring: &keyring.Ring{KEK: make([]byte, 32)}}
	w.Server = &Server{View: func() *view.View { return w.view }, Commit: w.commit, MakeAccount: w.makeAccount, Now: func() time.Time { return w.now },
		Authorizer: new(authz.Authorizer)}
	w.change(func(tx record.Tx) error {
		g := &record.Genesis{Cluster: "c", Lineage: "l", Mode: mode, Root: w.root.Public().(ed25519.PublicKey)}
		g.Sign(w.root)
		return record.Put(tx, record.Geneses, g)
	})
	w.enroll(w.key, w.root)
	for _, id := range []string{account, empty} {
		w.change(func(tx record.Tx) error {
			_, err := w.makeAccount(tx, id, "", begin)
			return err
		})
	}
	put(w, record.Nodes, &record.Node{ID: "us-east-1a", Role: record.RegionNode, Region: "us-east-1"})
	put(w, record.Users, &record.User{Account: account, ID: userID, Name: "alice", Path: "/", Inline: []record.Inline{{Name: "p", Document: `{"Version":"2012-10-17",
		"Statement":[{"Sid":"Photos","Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}},
		{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}},
		{"Effect":"Deny","Action":"s3:GetObject","Resource":"arn:aws:s3:::secret/*"}]}`}}})
	return w
}

func put[R any](w *world, k *record.Kind[R], v *R) {
	w.t.Helper()
	w.change(func(tx record.Tx) error { return record.Put(tx, k, v) })
}

func (w *world) enroll(k *Key, by ed25519.PrivateKey) {
	w.t.Helper()
	o := &record.Operator{ID: k.ID, Public: k.Public()}
	o.Sign(by)
	put(w, record.Operators, o)
}

func (w *world) change(do func(tx record.Tx) error) {
	w.t.Helper()
	tx := w.view.Begin()
	if err := do(tx); err != nil {
		w.t.Fatal(err)
	}
	w.view = &view.View{State: tx.State(), Head: record.Head{Lineage: "l", Index: w.view.Head.Index + 1}}
}

// commit applies a change twice, as the sequencer may, and keeps the second.
func (w *world) commit(_ context.Context, c Change) (Done, error) {
	w.last = c
	if _, err := c.Apply(w.view.Begin(), w.now); err != nil {
		return Done{}, err
	}
	tx := w.view.Begin()
	result, err := c.Apply(tx, w.now)
	if err != nil {
		return Done{}, err
	}
	w.view = &view.View{State: tx.State(), Head: record.Head{Lineage: "l", Index: w.view.Head.Index + 1}}
	return Done{Revision: record.Revision("l", w.view.Head.Index), Missing: []string{"us-east-1a"}, Result: result}, nil
}

func (w *world) makeAccount(tx record.Tx, id, name string, now time.Time) (*NewAccount, error) {
	k, err := w.ring.NewAccountKey(tx, id, 1, nil, now)
	if err != nil {
		return nil, err
	}
	if err := record.Put(tx, record.AccountKeys, k); err != nil {
		return nil, err
	}
	root, secret, err := w.ring.NewAccessKey(tx, id, now)
	if err != nil {
		return nil, err
	}
	return &NewAccount{id, root.ID, secret}, record.Put(tx, record.Accounts, &record.Account{ID: id, Name: name, Created: record.At(now), RootKeys: []record.AccessKey{root}})
}

// signed is a command of the enrolled operator.
func (w *world) signed(name, arguments string) *operatorpb.Command {
	w.t.Helper()
	c, err := Sign(w.key, name, json.RawMessage(arguments), w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// sign signs a command again after it was changed.
func sign(c *operatorpb.Command, k *Key) *operatorpb.Command {
	c.Signature = ed25519.Sign(ed25519.NewKeyFromSeed(k.Seed), message(c))
	return c
}

func (w *world) execute(name, arguments string) (*operatorpb.Result, error) {
	w.t.Helper()
	return w.Execute(context.Background(), w.signed(name, arguments))
}

// good runs a command that must be done, and reads its result.
func good[R any](w *world, name, arguments string) R {
	w.t.Helper()
	r, err := w.execute(name, arguments)
	if err != nil {
		w.t.Fatalf("%s %s: %v", name, arguments, err)
	}
	var out R
	if err := json.Unmarshal(r.Body, &out); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// refused says that a command was refused with the code and, somewhere in its
// sentence, the words, and left nothing behind.
func (w *world) refused(name string, c *operatorpb.Command, code codes.Code, words string) {
	w.t.Helper()
	before, index := w.view.Digest(), w.view.Head.Index
	_, err := w.Execute(context.Background(), c)
	if status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), words) {
		w.t.Errorf("%s: %v, want %v with %q", name, err, code, words)
	}
	if w.view.Digest() != before || w.view.Head.Index != index {
		w.t.Errorf("%s: a refusal left a record", name)
	}
}
