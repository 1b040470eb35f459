package authz_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
	"github.com/holdfast-iam/holdfast/policy"
	"github.com/holdfast-iam/holdfast/sigv4"
)

const account = "111122223333"

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// world is a state with an account in it, and what asks about it.
type world struct {
	t    testing.TB
	ring *keyring.Ring
	view *view.View
	*authn.Verifier
	authz.Authorizer
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, ring: &keyring.Ring{KEK: make([]byte, 32)}, view: &view.View{State: view.Empty([]byte("0123456789abcdef"))}}
	w.change(func(tx record.Tx) error {
		k, err := w.ring.NewAccountKey(tx, account, 1, nil, now)
		if err != nil {
			return err
		}
		if err := record.Put(tx, record.AccountKeys, k); err != nil {
			return err
		}
		return record.Put(tx, record.Accounts, &record.Account{ID: account, Created: record.At(now)})
	})
	w.Verifier = &authn.Verifier{Ring: w.ring, Region: "us-east-1", Hot: new(view.Ring)}
	return w
}

func (w *world) change(do func(tx record.Tx) error) {
	w.t.Helper()
	tx := w.view.Begin()
	if err := do(tx); err != nil {
		w.t.Fatal(err)
	}
	w.view = &view.View{State: tx.State(), Head: record.Head{Index: w.view.Head.Index + 1}}
}

// signer signs requests as one user.
type signer struct{ id, secret string }

func (w *world) user(name string, inline string) signer {
	w.t.Helper()
	var s signer
	w.change(func(tx record.Tx) error {
		k, secret, err := w.ring.NewAccessKey(tx, account, now)
		if err != nil {
			return err
		}
		s = signer{k.ID, secret}
		u := &record.User{Account: account, ID: "AIDA" + name, Name: name, Path: "/", Created: record.At(now), Keys: []record.AccessKey{k}}
		if inline != "" {
			u.Inline = []record.Inline{{Name: "p", Document: inline}}
		}
		return record.Put(tx, record.Users, u)
	})
	return s
}

func (s signer) request(t testing.TB) (*sigv4.Request, sigv4.Presented) {
	t.Helper()
	r := &sigv4.Request{Method: "POST", RawPath: "/", Host: "sts.us-east-1.amazonaws.com", Body: []byte("Action=GetCallerIdentity&Version=2011-06-15"),
		Header: []sigv4.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}, {Name: "User-Agent", Value: "aws-cli/2.31.1"}}}
	if err := sigv4.Sign(r, s.id, s.secret, "", "us-east-1", "sts", now, sigv4.Own); err != nil {
		t.Fatal(err)
	}
	p, err := sigv4.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	return r, p
}

func (w *world) caller(s signer) *authn.Caller {
	w.t.Helper()
	r, p := s.request(w.t)
	c, err := w.Signed(w.view, r, p, "sts", now)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

const some = `{"Version":"2012-10-17","Statement":[
	{"Effect":"Allow","Action":["s3:GetObject","s3:List*"],"Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"]},
	{"Effect":"Allow","Action":"storage:*","Resource":"arn:aws:storage:::${aws:username}/*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}},
	{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`

func question(c *authn.Caller) *authz.Question {
	return &authz.Question{Caller: c, Action: "storage:Get", Resource: "arn:aws:storage:::" + c.Form.User.Name + "/cat", Source: "10.1.2.3", Secure: true,
		Agent: "aws-cli/2.31.1", Region: "us-east-1", Now: now}
}

func TestADecisionFollowsEveryRecordThatItRestsOn(t *testing.T) {
	w := newWorld(t)
	s := w.user("alice", some)
	decide := func() policy.Kind {
		d := w.Decide(w.view, question(w.caller(s)))
		return d.Kind
	}
	if k := decide(); k != policy.Allowed {
		t.Fatalf("before: %v", k)
	}
	const denyAll = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`
	group := &record.Group{Account: account, ID: "AGPA1", Name: "g", Path: "/"}
	managed := &record.Policy{Account: account, ID: "ANPA1", Name: "m", Path: "/", Default: "v1", Versions: []record.PolicyVersion{{ID: "v1", Document: some}}}
	put := func(change func(u *record.User)) {
		w.change(func(tx record.Tx) error {
			u, err := record.Get(tx, record.Users, account, "AIDAalice")
			if err != nil {
				return err
			}
			change(u)
			if err := record.Put(tx, record.Groups, group); err != nil {
				return err
			}
			if err := record.Put(tx, record.Policies, managed); err != nil {
				return err
			}
			return record.Put(tx, record.Users, u)
		})
	}
	for _, step := range []struct {
		name   string
		change func(u *record.User)
		want   policy.Kind
	}{
		{"a member of a group", func(u *record.User) { u.Groups = []string{"AGPA1"} }, policy.Allowed},
		{"the group denies", func(*record.User) { group.Inline = []record.Inline{{Name: "d", Document: denyAll}} }, policy.ExplicitDeny},
		{"the group no more", func(*record.User) { group.Inline = nil }, policy.Allowed},
		{"a policy attached to the group", func(*record.User) { group.Attached = []record.PolicyRef{managed.Ref()} }, policy.Allowed},
		{"that policy denies", func(*record.User) { managed.Versions[0].Document = denyAll }, policy.ExplicitDeny},
		{"it has another default", func(*record.User) {
			managed.Versions = append(managed.Versions, record.PolicyVersion{ID: "v2", Document: some})
			managed.Default = "v2"
		}, policy.Allowed},
		{"a boundary that allows", func(u *record.User) { u.Boundary = managed.Ref() }, policy.Allowed},
		{"a boundary that does not", func(*record.User) {
			managed.Versions[1].Document = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`
		}, policy.ImplicitDeny},
		{"without boundary", func(u *record.User) { u.Boundary = "" }, policy.Allowed},
		{"a policy that cannot be read", func(*record.User) { managed.Versions[1].Document = `{` }, policy.ExplicitDeny},
		{"a group that is gone", func(u *record.User) { group.Attached = nil; u.Groups = append(u.Groups, "AGPA2") }, policy.ImplicitDeny},
	} {
		put(step.change)
		if k := decide(); k != step.want {
			t.Errorf("%s: %v, want %v", step.name, k, step.want)
		}
	}
}

func TestAuthenticateAndAuthorizeAllocateAlmostNothing(t *testing.T) {
	w := newWorld(t)
	s := w.user("alice", some)
	r, p := s.request(t)
	if n := testing.AllocsPerRun(200, func() { step(t, w, r, p) }); n > 10 {
		t.Errorf("%v allocations", n)
	}
}

func step(t testing.TB, w *world, r *sigv4.Request, p sigv4.Presented) {
	c, err := w.Signed(w.view, r, p, "sts", now)
	if err != nil {
		t.Fatal(err)
	}
	q := authz.Question{Caller: c, Action: "storage:Get", Resource: "arn:aws:storage:::alice/cat", Source: "10.1.2.3", Secure: true,
		Agent: "aws-cli/2.31.1", Region: "us-east-1", Now: now}
	if d := w.Decide(w.view, &q); d.Kind == policy.ExplicitDeny {
		t.Fatal(d)
	}
}

// BenchmarkAuthenticateAndAuthorize is the whole step, for principals in
// rotation.
func BenchmarkAuthenticateAndAuthorize(b *testing.B) {
	for _, n := range []int{1, 2000, 20000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b)
			requests, shown := make([]*sigv4.Request, n), make([]sigv4.Presented, n)
			for i := range n {
				requests[i], shown[i] = w.user(fmt.Sprintf("user%d", i), some).request(b)
				step(b, w, requests[i], shown[i])
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; b.Loop(); i++ {
				step(b, w, requests[i%n], shown[i%n])
			}
		})
	}
}
