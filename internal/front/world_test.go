package front

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/admission"
	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
	"github.com/holdfast-iam/holdfast/sigv4"
)

const (
	account = "111122223333"
	// elsewhere is the account that GetAway's resource is of.
	elsewhere = "444455556666"
	iamAPI    = "2010-05-08"
	stsAPI    = "2011-06-15"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// world is a node: a state with one account, a table of operations made for
// these tests, and a sequencer that commits at once.
type world struct {
	*Handler
	t         testing.TB
	ring      *keyring.Ring
	view      *view.View
	alice     signer
	root      signer
	log       bytes.Buffer
	committed map[string]*Outcome
	last      *Write
	between   func() // runs between the front's check and the commit
	missing   []string
}

type signer struct{ id, secret string }

type thingIn struct{ Name, Password string }

type thingOut struct{ Name string }

var errCause = errors.New("the cause that only the log may tell")

func anything(*api.Call, *thingIn) ([]api.Access, error) { return []api.Access{{Resource: "*"}}, nil }

// thing does what the name says.
func thing(c *api.Call, in *thingIn) (*thingOut, error) {
	switch in.Name {
	case "panic":
		panic(errCause)
	case "abort":
		panic(http.ErrAbortHandler)
	case "cause":
		return nil, errCause
	case "absent":
		return nil, fault.NoSuchEntity.Errorf("There is no <thing> & \"such\".")
	case "put":
		return nil, record.Put(c.Tx, record.Groups, &record.Group{Account: account, ID: "AGPA1", Name: "g", Path: "/"})
	case "delete":
		c.Tx.Delete(record.MakeKey("user", account, "AIDAalice"))
	}
	return &thingOut{in.Name}, nil
}

func put(c *api.Call, in *thingIn) (*thingOut, error) {
	id := c.NewID("AGPA")
	if in.Name == "panic" || in.Name == "cause" {
		return thing(c, in)
	}
	return &thingOut{id}, record.Put(c.Tx, record.Groups, &record.Group{Account: account, ID: id, Name: in.Name, Path: "/"})
}

func table() *api.Table {
	unsigned := api.Define("sts", stsAPI, "AssumeRoleWithWebIdentity", api.Regional, nil, thing)
	unsigned.Unsigned = true
	return api.NewTable([]api.Op{
		api.Define("iam", iamAPI, "GetThing", api.Read, anything, thing),
		api.Define("iam", iamAPI, "GetOther", api.Read, anything, thing),
		api.Define("iam", iamAPI, "GetAway", api.Read, func(*api.Call, *thingIn) ([]api.Access, error) {
			return []api.Access{{Resource: "*", Account: elsewhere}, {Action: "iam:TagAway", Resource: "*", Account: elsewhere}}, nil
		}, thing),
		api.Define("iam", iamAPI, "PutThing", api.Write, anything, put),
		api.Define("iam", iamAPI, "DeleteThing", api.Write, anything, func(*api.Call, *thingIn) (*api.Nothing, error) { return nil, nil }),
		api.Define("sts", stsAPI, "GetCallerIdentity", api.Regional, nil, thing),
		api.Define("sts", stsAPI, "AssumeRole", api.Regional, nil, thing),
		unsigned,
	}).Without(iamAPI, []string{"CreateVirtualMFADevice"})
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, ring: &keyring.Ring{KEK: make([]byte, 32)}, committed: map[string]*Outcome{},
		view: &view.View{State: view.Empty(make([]byte, 16)), Head: record.Head{Lineage: "l1", Index: 40}}}
	w.Handler = &Handler{Operations: NewOperations(table()), Region: "us-east-1", Verifier: &authn.Verifier{Ring: w.ring, Region: "us-east-1", Hot: new(view.Ring)},
		Authorizer: new(authz.Authorizer), View: func(context.Context) (*view.View, error) { return w.view, nil },
		Age: func(time.Time) time.Duration { return 1250 * time.Millisecond }, Commit: w.commit, Now: func() time.Time { return now },
		Log: slog.New(slog.NewTextHandler(&w.log, nil))}
	w.Gate, w.Changes = admission.NewGate(4, admission.Standard, time.Now), admission.NewGate(4, admission.Standard, time.Now)
	t.Cleanup(func() {
		if a, b := w.Gate.Counts().Busy, w.Changes.Counts().Busy; a+b != 0 {
			t.Errorf("%d and %d slots were not given back", a, b)
		}
	})
	w.change(func(tx record.Tx) error {
		k, err := w.ring.NewAccountKey(tx, account, 1, nil, now)
		if err != nil {
			return err
		}
		return record.Put(tx, record.AccountKeys, k)
	})
	w.change(func(tx record.Tx) error {
		k, secret, err := w.ring.NewAccessKey(tx, account, now)
		if err != nil {
			return err
		}
		rk, rootSecret, err := w.ring.NewAccessKey(tx, account, now)
		if err != nil {
			return err
		}
		w.alice, w.root = signer{k.ID, secret}, signer{rk.ID, rootSecret}
		u := &record.User{Account: account, ID: "AIDAalice", Name: "alice", Path: "/", Keys: []record.AccessKey{k}, Inline: []record.Inline{{Name: "p",
			Document: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["iam:GetThing","iam:PutThing","iam:DeleteThing"],"Resource":"*"}}`}}}
		return errors.Join(record.Put(tx, record.Users, u),
			record.Put(tx, record.Accounts, &record.Account{ID: account, Created: record.At(now), RootKeys: []record.AccessKey{rk}}))
	})
	return w
}

func (w *world) change(do func(tx record.Tx) error) {
	w.t.Helper()
	tx := w.view.Begin()
	if err := do(tx); err != nil {
		w.t.Fatal(err)
	}
	w.view = &view.View{State: tx.State(), Head: record.Head{Lineage: "l1", Index: w.view.Head.Index + 1}}
}

// commit is the sequencer's contract: admission first, then the call id, then
// the call, which may run twice.
func (w *world) commit(_ context.Context, c *Write) *Outcome {
	w.last = c
	if w.between != nil {
		w.between()
	}
	if err := c.Admit(w.view, now); err != nil {
		return &Outcome{Err: err}
	}
	if o := w.committed[c.CallID]; o != nil {
		again := *o
		again.Replayed = true
		return &again
	}
	first := w.view.Begin()
	if _, err := c.Apply(first, now, w.view.Head.Index+1); err != nil {
		return &Outcome{Err: err}
	}
	tx := w.view.Begin()
	private, err := c.Apply(tx, now, w.view.Head.Index+1)
	if err != nil {
		return &Outcome{Err: err}
	}
	if first.State().Digest() != tx.State().Digest() {
		w.t.Error("run again it is another change")
	}
	w.view = &view.View{State: tx.State(), Head: record.Head{Lineage: "l1", Index: w.view.Head.Index + 1}}
	o := &Outcome{Index: w.view.Head.Index, Lineage: "l1", Private: private, Missing: w.missing}
	w.committed[c.CallID] = o
	return o
}

// ask is one request.
type ask struct {
	method, target, host, body string
	header                     map[string]string
	by                         signer // zero: unsigned
	region, service            string // of the scope
}

func action(name, version, more string) string {
	return "Action=" + name + "&Version=" + version + more
}

// get is a good question, to be changed.
func (w *world) get(name string) ask {
	return ask{body: action("GetThing", iamAPI, "&Name="+name), by: w.alice, service: "iam"}
}

func (w *world) write(name string) ask {
	a := w.get(name)
	a.body = action("PutThing", iamAPI, "&Name="+name)
	return a
}

func (w *world) request(a ask) *http.Request {
	w.t.Helper()
	if a.method == "" {
		a.method = "POST"
	}
	if a.target == "" {
		a.target = "/"
	}
	r := httptest.NewRequest(a.method, a.target, strings.NewReader(a.body))
	r.Host, r.RemoteAddr = "127.0.0.1:4260", "10.1.2.3:5678"
	if a.host != "" {
		r.Host = a.host
	}
	if a.body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range a.header {
		r.Header.Set(name, value)
	}
	if a.by.id == "" {
		return r
	}
	if a.region == "" {
		a.region = "us-east-1"
	}
	s := sigv4.FromHTTP(r, []byte(a.body))
	unsigned := len(s.Header)
	if err := sigv4.Sign(&s, a.by.id, a.by.secret, "", a.region, a.service, now, sigv4.Own); err != nil {
		w.t.Fatal(err)
	}
	for _, h := range s.Header[unsigned:] {
		r.Header.Set(h.Name, h.Value)
	}
	return r
}

func (w *world) do(a ask) *httptest.ResponseRecorder {
	w.t.Helper()
	out := httptest.NewRecorder()
	w.ServeHTTP(out, w.request(a))
	return out
}

// codeOf is the code in an answer that the query protocol wrote; "" for none.
func codeOf(r *httptest.ResponseRecorder) string {
	return between(r.Body.String(), "<Code>", "</Code>")
}

func between(s, before, after string) string {
	_, rest, ok := strings.Cut(s, before)
	if !ok {
		return ""
	}
	text, _, _ := strings.Cut(rest, after)
	return text
}

func (w *world) privateOf(o *Outcome) record.Private {
	w.t.Helper()
	var p record.Private
	if err := json.Unmarshal(o.Private, &p); err != nil {
		w.t.Fatal(err)
	}
	return p
}
