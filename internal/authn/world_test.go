package authn_test

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/session"
	"github.com/holdfast-iam/holdfast/internal/view"
	"github.com/holdfast-iam/holdfast/sigv4"
)

const (
	account = "111122223333"
	userID  = "AIDAALICEALICEALICE1"
	roleID  = "AROAREADERREADERREA1"
	node    = "us-east-1a"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// world is a state with an account, its root's key, alice with a key and a
// Bearer, a role, and a node that signs sessions.
type world struct {
	t       testing.TB
	ring    *keyring.Ring
	view    *view.View
	v       *authn.Verifier
	root    signer
	alice   signer
	bearer  string
	minter  session.PrivateKey
	opening []byte
}

// signer is a credential as its holder has it.
type signer struct{ id, secret, token string }

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, ring: &keyring.Ring{KEK: make([]byte, 32)}, view: &view.View{State: view.Empty([]byte("0123456789abcdef"))}}
	w.v = &authn.Verifier{Ring: w.ring, Region: "us-east-1", Hot: new(view.Ring)}
	set, _ := session.KeySet(nil).Grow(now)
	w.minter = set[0]
	w.change(func(tx record.Tx) error {
		k, err := w.ring.NewAccountKey(tx, account, 1, nil, now)
		if err != nil {
			return err
		}
		o, err := w.ring.NewOpeningKey(tx, record.DefaultClass, 1, nil, now)
		if err != nil {
			return err
		}
		return all(record.Put(tx, record.AccountKeys, k), record.Put(tx, record.OpeningKeys, o),
			record.Put(tx, record.Regions, &record.Region{Name: "us-east-1"}), record.Put(tx, record.Regions, &record.Region{Name: "eu-west-1"}),
			record.Put(tx, record.Nodes, &record.Node{ID: node, Role: record.RegionNode, Region: "us-east-1"}),
			record.Put(tx, record.SigningKeys, w.minter.Public(node, "us-east-1")))
	})
	w.change(w.principals)
	var err error
	if w.opening, _, err = w.ring.Opening(w.view, record.DefaultClass, 1); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) principals(tx record.Tx) error {
	rootKey, rootSecret, err := w.ring.NewAccessKey(tx, account, now)
	if err != nil {
		return err
	}
	key, secret, err := w.ring.NewAccessKey(tx, account, now)
	if err != nil {
		return err
	}
	w.root, w.alice = signer{rootKey.ID, rootSecret, ""}, signer{key.ID, secret, ""}
	credential := record.ServiceCredential{ID: "ACCAALICEALICEALICE1", Service: "bedrock.amazonaws.com", Name: "c", Active: true, Created: record.At(now)}
	w.bearer, credential.Hash = keyring.NewBearer(credential.ID)
	return all(
		record.Put(tx, record.Accounts, &record.Account{ID: account, Created: record.At(now), RootKeys: []record.AccessKey{rootKey}}),
		record.Put(tx, record.Users, &record.User{Account: account, ID: userID, Name: "alice", Path: "/team/", Created: record.At(now),
			Keys: []record.AccessKey{key}, ServiceCredentials: []record.ServiceCredential{credential}}),
		record.Put(tx, record.Roles, &record.Role{Account: account, ID: roleID, Name: "reader", Path: "/", Created: record.At(now), MaxSession: 3600}))
}

func all(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// change commits a change; the view is another one after it.
func (w *world) change(do func(tx record.Tx) error) {
	w.t.Helper()
	tx := w.view.Begin()
	if err := do(tx); err != nil {
		w.t.Fatal(err)
	}
	w.view = &view.View{State: tx.State(), Head: record.Head{Index: w.view.Head.Index + 1}}
}

// edit changes one record.
func edit[R any](w *world, k *record.Kind[R], account, id string, do func(*R)) {
	w.t.Helper()
	w.change(func(tx record.Tx) error {
		r, err := record.Get(tx, k, account, id)
		if err != nil {
			return err
		}
		do(r)
		return record.Put(tx, k, r)
	})
}

func (w *world) remove(kind, account, id string) {
	w.t.Helper()
	w.change(func(tx record.Tx) error {
		tx.Delete(record.MakeKey(kind, account, id))
		return nil
	})
}

func (w *world) deny(d record.Denial) {
	w.t.Helper()
	d.ID = "0123456789abcdef"
	w.change(func(tx record.Tx) error { return record.Put(tx, record.Denials, &d) })
}

// claims are those of a session of the role that alice assumed.
func (w *world) claims() *session.Claims {
	return &session.Claims{Kind: uint8(authn.RoleSession), ID: strings.Repeat("ab", 16), Secret: "the session's secret", Account: account, Principal: roleID,
		Name: "work", Issued: now.Unix(), Expires: now.Add(time.Hour).Unix(), SourceIdentity: "alice@example.com", ParentKey: w.alice.id, ParentID: userID}
}

// session is a session's credential. change may be nil.
func (w *world) session(change func(h *session.Header, c *session.Claims)) signer {
	w.t.Helper()
	return w.sessionSigned(w.minter.Key(), change)
}

func (w *world) sessionSigned(key ed25519.PrivateKey, change func(h *session.Header, c *session.Claims)) signer {
	w.t.Helper()
	h, c := session.Header{Region: "us-east-1", KeyID: w.minter.ID, Generation: 1}, w.claims()
	if change != nil {
		change(&h, c)
	}
	id, err := keyring.NewKeyID(keyring.Temporary, account)
	if err != nil {
		w.t.Fatal(err)
	}
	token, err := session.Mint(h, c, id, w.opening, key)
	if err != nil {
		w.t.Fatal(err)
	}
	return signer{id, c.Secret, token}
}

// signing is how a request is signed.
type signing struct {
	region, service string
	v4a             bool
	at              time.Time
	host            string // sts.us-east-1.amazonaws.com
}

func (w *world) request(s signer, how signing) (*sigv4.Request, sigv4.Presented) {
	w.t.Helper()
	r := &sigv4.Request{Method: "POST", RawPath: "/", Host: "sts.us-east-1.amazonaws.com", Body: []byte("Action=GetCallerIdentity&Version=2011-06-15"),
		Header: []sigv4.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}}}
	if how.host != "" {
		r.Host = how.host
	}
	sign := sigv4.Sign
	if how.v4a {
		sign = sigv4.SignECDSA
	}
	if how.at.IsZero() {
		how.at = now
	}
	if err := sign(r, s.id, s.secret, s.token, how.region, how.service, how.at, sigv4.Own); err != nil {
		w.t.Fatal(err)
	}
	p, err := sigv4.Parse(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return r, p
}

// ask asks sts who the signer is.
func (w *world) ask(s signer) (*authn.Caller, error) { return w.askAt(s, now) }

func (w *world) askAt(s signer, at time.Time) (*authn.Caller, error) {
	w.t.Helper()
	r, p := w.request(s, signing{region: "us-east-1", service: "sts", at: at})
	return w.v.Signed(w.view, r, p, "sts", at)
}

func (w *world) caller(s signer) *authn.Caller {
	w.t.Helper()
	c, err := w.ask(s)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// code is the code of an error, "" for none.
func code(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	f, ok := fault.From(err)
	if !ok {
		t.Errorf("%v is no fault", err)
		return err.Error()
	}
	return f.Kind.Code
}

func wantCode(t testing.TB, err error, want string) {
	t.Helper()
	if got := code(t, err); got != want {
		t.Errorf("code %q (%v), want %q", got, err, want)
	}
}
