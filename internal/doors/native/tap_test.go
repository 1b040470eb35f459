package native

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/admission"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/doors/native/nativepb"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
	"github.com/holdfast-iam/holdfast/sigv4"
)

const account = "111122223333"

// door is a Region node's gRPC door with a registered service, and somebody who
// speaks for none.
type door struct {
	t                 *testing.T
	conn              *grpc.ClientConn
	service, stranger string // Bearers
	key               record.AccessKey
	secret            string
	turned            atomic.Int32
}

func openDoor(t *testing.T) *door {
	t.Helper()
	now := time.Now()
	ring := &keyring.Ring{KEK: make([]byte, 32)}
	v := &view.View{State: view.Empty(make([]byte, 16)), Head: record.Head{Lineage: "l", Index: 7}}
	w := &door{t: t}
	change := func(do func(tx record.Tx) error) {
		tx := v.Begin()
		if err := do(tx); err != nil {
			t.Fatal(err)
		}
		v = &view.View{State: tx.State(), Head: v.Head}
	}
	change(func(tx record.Tx) error {
		k, err := ring.NewAccountKey(tx, account, 1, nil, now)
		if err != nil {
			return err
		}
		return errors.Join(record.Put(tx, record.AccountKeys, k), record.Put(tx, record.Accounts, &record.Account{ID: account}))
	})
	user := func(tx record.Tx, name string) (bearer string, err error) {
		c := record.ServiceCredential{ID: "ACCA" + strings.ToUpper(name), Service: "holdfast.amazonaws.com", Active: true}
		bearer, c.Hash = keyring.NewBearer(c.ID)
		if w.key, w.secret, err = ring.NewAccessKey(tx, account, now); err != nil {
			return "", err
		}
		return bearer, record.Put(tx, record.Users, &record.User{Account: account, ID: "AIDA" + name, Name: name, Path: "/", Keys: []record.AccessKey{w.key}, ServiceCredentials: []record.ServiceCredential{c},
			Inline: []record.Inline{{Name: "p", Document: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"holdfast:*","Resource":"*"}}`}}})
	}
	change(func(tx record.Tx) (err error) {
		if w.stranger, err = user(tx, "stranger"); err != nil {
			return err
		}
		if w.service, err = user(tx, "storage"); err != nil {
			return err
		}
		return record.Put(tx, record.Services, &record.Service{Name: "storage.example.com", Callers: []string{"arn:aws:iam::" + account + ":user/storage"},
			Actions: []string{"storage:"}, Resources: []string{"arn:aws:storage:::*"}, Accounts: []string{account}, Keys: []string{"storage:"}})
	})
	d := &Decider{View: func(context.Context) (*view.View, error) { return v, nil }, Verifier: &authn.Verifier{Ring: ring, Region: "us-east-1", Hot: new(view.Ring)},
		Authorizer: new(authz.Authorizer), Region: "us-east-1", Now: time.Now, Age: func(time.Time) time.Duration { return 0 }, Log: slog.New(slog.DiscardHandler),
		Gate: admission.NewGate(4, admission.Standard, time.Now), Waiting: new(atomic.Int32), Turned: func(string, error) { w.turned.Add(1) }}
	s := NewServer(d, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	t.Cleanup(s.Stop)
	if w.conn, err = grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.conn.Close() })
	return w
}

// begin sends a call's headers, and nothing of its message.
func (w *door) begin(ctx context.Context, method, bearer string) grpc.ClientStream {
	w.t.Helper()
	if bearer != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+bearer)
	}
	s, err := w.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// said is the code with which a call that waits for an answer ends.
func said(s grpc.ClientStream) codes.Code { return status.Code(s.RecvMsg(new(nativepb.Answer))) }

func TestACallWithoutACredentialIsRefusedBeforeItsMessageIsRead(t *testing.T) {
	w := openDoor(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for name, bearer := range map[string]string{"no credential": "", "a made-up one": "hfb_ACCASTORAGE.x", "one that speaks for no service": w.stranger,
		"a changed one": w.service + "x"} {
		if c := said(w.begin(ctx, nativepb.Decisions_AuthorizeBatch_FullMethodName, bearer)); c != codes.Unauthenticated && c != codes.PermissionDenied {
			t.Errorf("%s: %s", name, c)
		}
	}
	if c := said(w.begin(ctx, nativepb.Decisions_AuthorizeStream_FullMethodName, w.stranger)); c != codes.PermissionDenied {
		t.Errorf("a stream of one that speaks for no service: %s", c)
	}
	if n := w.turned.Load(); n != 5 {
		t.Errorf("%d calls are told of, want 5", n)
	}
	answer, err := nativepb.NewDecisionsClient(w.conn).Authorize(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+w.service),
		&nativepb.Question{Principal: "arn:aws:iam::" + account + ":user/stranger", Action: "storage:Get", Resource: "arn:aws:storage:::a"})
	if err != nil || answer.Decision != nativepb.Decision_DECISION_IMPLICIT_DENY {
		t.Errorf("the service: %v %v", answer, err)
	}
}

// A stream may open with a signed caller in its first message, which is read
// before anybody has proven anything: few may do so at once.
func TestFewStreamsMayOpenWithoutACredentialAtOnce(t *testing.T) {
	w := openDoor(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for range 3 { // proven ones do not count
		s := w.begin(ctx, nativepb.Decisions_AuthorizeStream_FullMethodName, "")
		if err := s.SendMsg(w.opening()); err != nil {
			t.Fatal(err)
		}
		var a nativepb.Answer
		if err := s.RecvMsg(&a); err != nil {
			t.Fatal(err)
		}
	}
	crowd, leave := context.WithCancel(ctx)
	defer leave()
	codesOf := make(chan codes.Code, maxUnproven+1)
	for range maxUnproven + 1 {
		s := w.begin(crowd, nativepb.Decisions_AuthorizeStream_FullMethodName, "")
		go func() { codesOf <- said(s) }()
	}
	if c := <-codesOf; c != codes.ResourceExhausted {
		t.Fatalf("one too many: %s", c)
	}
	withBearer := w.begin(ctx, nativepb.Decisions_AuthorizeStream_FullMethodName, w.service)
	if err := withBearer.SendMsg(&nativepb.StreamQuestion{Question: question}); err != nil {
		t.Fatal(err)
	}
	if err := withBearer.RecvMsg(new(nativepb.Answer)); err != nil {
		t.Errorf("one with a credential among them: %v", err)
	}
	leave()
	for range maxUnproven {
		<-codesOf
	}
	for { // the server hears of it a moment later
		s := w.begin(ctx, nativepb.Decisions_AuthorizeStream_FullMethodName, "")
		_ = s.SendMsg(w.opening()) // looked at below
		err := s.RecvMsg(new(nativepb.Answer))
		if err == nil {
			return
		}
		if status.Code(err) != codes.ResourceExhausted {
			t.Fatalf("once they have left: %v", err)
		}
	}
}

var question = &nativepb.Question{Principal: "arn:aws:iam::" + account + ":user/stranger", Action: "storage:Get", Resource: "arn:aws:storage:::a"}

// opening is a stream's first message with the service's signed caller.
func (w *door) opening() *nativepb.StreamQuestion {
	w.t.Helper()
	req := sigv4.Request{Method: "GET", RawPath: callerTarget, Host: "door.example"}
	if err := sigv4.Sign(&req, w.key.ID, w.secret, "", "us-east-1", "holdfast", time.Now(), sigv4.Own); err != nil {
		w.t.Fatal(err)
	}
	r := &nativepb.SignedRequest{Method: "GET", Target: callerTarget, Host: req.Host}
	for _, x := range req.Header {
		r.Headers = append(r.Headers, &nativepb.Field{Name: x.Name, Value: x.Value})
	}
	return &nativepb.StreamQuestion{Caller: r, Question: question}
}
