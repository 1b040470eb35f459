package front

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
)

func (w *world) groups() int {
	n := 0
	for e := range w.view.All {
		if e.Key.Kind() == record.Groups.Name {
			n++
		}
	}
	return n
}

func TestAWriteIsDecidedAgainOnTheStateOfItsCommit(t *testing.T) {
	edit := func(w *world, do func(u *record.User)) {
		w.change(func(tx record.Tx) error {
			u, err := record.Get(tx, record.Users, account, "AIDAalice")
			if err != nil {
				return err
			}
			do(u)
			return record.Put(tx, record.Users, u)
		})
	}
	for _, x := range []struct {
		name string
		do   func(w *world)
		code string
	}{
		{"nothing changed", func(*world) {}, ""},
		{"the key is inactive", func(w *world) { edit(w, func(u *record.User) { u.Keys[0].Active = false }) }, "InvalidClientTokenId"},
		{"the user is gone", func(w *world) {
			w.change(func(tx record.Tx) error { tx.Delete(record.MakeKey("user", account, "AIDAalice")); return nil })
		}, "InvalidClientTokenId"},
		{"the policy is gone", func(w *world) { edit(w, func(u *record.User) { u.Inline = nil }) }, "AccessDenied"},
		{"a policy that denies was added", func(w *world) {
			edit(w, func(u *record.User) {
				u.Inline = append(u.Inline, record.Inline{Name: "d", Document: `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`})
			})
		}, "AccessDenied"},
		{"a boundary that is not there was set", func(w *world) { edit(w, func(u *record.User) { u.Boundary = record.PolicyRef(account + "/ANPA1") }) }, "AccessDenied"},
		{"the user has another name, which nothing here asks for", func(w *world) { edit(w, func(u *record.User) { u.Name = "alicia" }) }, ""},
		{"the user is denied", func(w *world) {
			w.change(func(tx record.Tx) error {
				return record.Put(tx, record.Denials, &record.Denial{ID: "d", Scope: record.DenyID, Target: "AIDAalice"})
			})
		}, "AccessDenied"},
	} {
		w := newWorld(t)
		w.between = func() { x.do(w) }
		r := w.do(w.write("g"))
		if codeOf(r) != x.code || (w.groups() == 1) != (x.code == "") {
			t.Errorf("%s: %d %s, %d groups", x.name, r.Code, r.Body, w.groups())
		}
	}
}

func TestARepeatedWriteIsDoneOnceAndAnsweredAgain(t *testing.T) {
	invocation := func(a ask, id string) ask {
		a.header = map[string]string{"Amz-Sdk-Invocation-Id": id}
		return a
	}
	for _, x := range []struct {
		name          string
		first, second func(w *world) ask
		same          bool
	}{
		{"the same request", func(w *world) ask { return w.write("g") }, func(w *world) ask { return w.write("g") }, true},
		{"the same invocation, tried again", func(w *world) ask { return invocation(w.write("g"), "1") }, func(w *world) ask {
			a := invocation(w.write("g"), "1")
			a.header["Amz-Sdk-Request"] = "attempt=2" // signed: another signature
			return a
		}, true},
		{"another invocation", func(w *world) ask { return invocation(w.write("g"), "1") }, func(w *world) ask { return invocation(w.write("g"), "2") }, false},
		{"another body", func(w *world) ask { return invocation(w.write("g"), "1") }, func(w *world) ask { return invocation(w.write("h"), "1") }, false},
		{"another query", func(w *world) ask { return invocation(w.write("g"), "1") }, func(w *world) ask {
			a := invocation(w.write("g"), "1")
			a.target = "/?Password=x"
			return a
		}, false},
		{"another signature where no invocation is named", func(w *world) ask { return w.write("g") }, func(w *world) ask {
			a := w.write("g")
			a.header = map[string]string{"X-Other": "signed"}
			return a
		}, false},
		{"another caller", func(w *world) ask { return invocation(w.write("g"), "1") }, func(w *world) ask {
			a := invocation(w.write("g"), "1")
			a.by = w.root
			return a
		}, false},
		{"the query in place of the body", func(w *world) ask { return invocation(w.write("g"), "1") }, func(w *world) ask {
			a := invocation(w.write("g"), "1")
			a.target, a.body = "/?"+a.body, ""
			return a
		}, false},
	} {
		w := newWorld(t)
		first, second := w.do(x.first(w)), w.do(x.second(w))
		if first.Code != 200 || second.Code != 200 {
			t.Errorf("%s: %s %s", x.name, first.Body, second.Body)
		}
		name := func(s string) string { return between(s, "<Name>", "</Name>") }
		if same := name(first.Body.String()) == name(second.Body.String()); same != x.same || (w.groups() == 1) != x.same {
			t.Errorf("%s: %s and %s, %d groups", x.name, first.Body, second.Body, w.groups())
		}
		if (first.Header().Get(HeaderRevision) == second.Header().Get(HeaderRevision)) != x.same {
			t.Errorf("%s: revisions %s and %s", x.name, first.Header().Get(HeaderRevision), second.Header().Get(HeaderRevision))
		}
		if first.Header().Get("X-Amzn-Requestid") == second.Header().Get("X-Amzn-Requestid") {
			t.Errorf("%s: one request id", x.name)
		}
	}
}

func TestARepetitionByACallerWhoIsGoneIsRefused(t *testing.T) {
	w := newWorld(t)
	w.do(w.write("g"))
	w.between = func() {
		w.change(func(tx record.Tx) error { tx.Delete(record.MakeKey("user", account, "AIDAalice")); return nil })
	}
	if r := w.do(w.write("g")); codeOf(r) != "InvalidClientTokenId" || strings.Contains(r.Body.String(), "AGPA") {
		t.Errorf("%d %s", r.Code, r.Body)
	}
}

func TestTheLogKeepsWhoDidWhatWithoutSecretsAndTheAnswerSealed(t *testing.T) {
	w := newWorld(t)
	a := w.write("g")
	a.body += "&Password=hunter2"
	r := w.do(a)
	if r.Code != 200 {
		t.Fatal(r.Body)
	}
	o := w.committed[w.last.CallID]
	if strings.Contains(string(o.Private), "hunter2") || strings.Contains(string(o.Private), "AGPA") {
		t.Errorf("%s", o.Private)
	}
	p := w.privateOf(o)
	if p.Caller != "arn:aws:iam::"+account+":user/alice" || p.Operation != "iam:PutThing" || p.Source != "10.1.2.3" || p.RequestID != r.Header().Get("X-Amzn-Requestid") ||
		!strings.Contains(string(p.Request), `"Name":"g"`) {
		t.Errorf("%+v %s", p, p.Request)
	}
	if _, err := w.ring.OpenAnswer(w.view, account, strings.Repeat("0", 64), p.Answer); err == nil {
		t.Error("the answer opens for another call")
	}
	if w.last.Account != account || len(w.last.CallID) != 64 || w.last.Reduces {
		t.Errorf("%+v", w.last)
	}
}

func TestSecretParametersAreKnownByTheirNames(t *testing.T) {
	for name, want := range map[string]bool{"Password": true, "NewPassword": true, "SecretAccessKey": true, "PrivateKey": true, "WebIdentityToken": true, "Base32StringSeed": true,
		"AuthenticationCode1": true, "X-Amz-Signature": true, "X-Amz-Security-Token": true, "UserName": false, "PolicyDocument": false, "AccessKeyId": false} {
		if secretParameter(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

func TestAnOperationThatTakesSomethingAwayMayUseTheReserve(t *testing.T) {
	w := newWorld(t)
	a := w.get("x")
	a.body = action("DeleteThing", iamAPI, "")
	if r := w.do(a); r.Code != 200 || !w.last.Reduces {
		t.Errorf("%d %s, reduces %v", r.Code, r.Body, w.last.Reduces)
	}
	for name, want := range map[string]bool{"DetachUserPolicy": true, "RemoveUserFromGroup": true, "UntagRole": true, "DeactivateMFADevice": true, "CreateUser": false, "UpdateAccessKey": false} {
		if reduces(name, "") != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	for status, want := range map[string]bool{"Inactive": true, "Active": false} {
		if reduces("UpdateAccessKey", status) != want {
			t.Errorf("a key that becomes %s: %v", status, !want)
		}
	}
}

func TestARegionHandsAWriteOnAsItCameAndTheAnswerBackAsItIs(t *testing.T) {
	w := newWorld(t)
	var relayed *Relayed
	w.Commit = nil
	w.Relay = func(ctx context.Context, m *Relayed) (*Reply, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("it may wait without end")
		}
		relayed = m
		return &Reply{Status: 409, Header: [][2]string{{"X-Amzn-Requestid", "theirs"}, {HeaderApplied, "all"}}, Body: []byte("<x/>")}, nil
	}
	a := w.write("g")
	a.target, a.by.secret = "/?X=%2f", "wrong" // the control plane judges
	r := w.do(a)
	if r.Code != 409 || r.Body.String() != "<x/>" || r.Header().Get("X-Amzn-Requestid") != "theirs" || r.Header().Get(HeaderApplied) != "all" {
		t.Errorf("%d %v %s", r.Code, r.Header(), r.Body)
	}
	if relayed.Method != "POST" || relayed.Target != "/?X=%2f" || relayed.Host != "127.0.0.1:4260" || string(relayed.Body) != a.body || relayed.Source != "10.1.2.3:5678" ||
		relayed.Secure || !relayed.Arrived.Equal(now) {
		t.Errorf("%+v", relayed)
	}
	signed := false
	for _, h := range relayed.Header {
		signed = signed || h[0] == "Authorization" && strings.HasPrefix(h[1], "AWS4-HMAC-SHA256 ")
	}
	if !signed {
		t.Errorf("%v", relayed.Header)
	}
	relayed = nil
	if r := w.do(w.get("x")); r.Code != 200 || relayed != nil {
		t.Errorf("a read: %d, relayed %v", r.Code, relayed)
	}
	other := w.write("g")
	other.service = "sts"
	if r := w.do(other); relayed != nil || codeOf(r) != "SignatureDoesNotMatch" {
		t.Errorf("what is not routed was relayed: %s", r.Body)
	}
	unsigned := w.write("g")
	unsigned.by = signer{}
	if r := w.do(unsigned); relayed != nil || codeOf(r) != "MissingAuthenticationToken" {
		t.Errorf("what nobody signed was relayed: %s", r.Body)
	}
	w.Relay = func(context.Context, *Relayed) (*Reply, error) { return nil, Unavailable("cut off") }
	if r := w.do(w.write("g")); r.Code != http.StatusServiceUnavailable || r.Header().Get(HeaderRetryAfter) != "1000" || !strings.Contains(r.Body.String(), "cut off") {
		t.Errorf("%d %v %s", r.Code, r.Header(), r.Body)
	}
	w.Relay = func(context.Context, *Relayed) (*Reply, error) { return nil, errors.New("a cause") }
	if r := w.do(w.write("g")); r.Code != 500 || strings.Contains(r.Body.String(), "a cause") {
		t.Errorf("%d %s", r.Code, r.Body)
	}
}
