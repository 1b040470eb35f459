package authzen_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/admission"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/doors/authzen"
	"github.com/holdfast-iam/holdfast/internal/doors/native"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
	"github.com/holdfast-iam/holdfast/sigv4"
)

const (
	account = "111122223333"
	alice   = "arn:aws:iam::" + account + ":user/alice"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// may is what alice may do: read, write from home, and count to a hundred
// million and one.
const may = `{"Version":"2012-10-17","Statement":[
	{"Sid":"Read","Effect":"Allow","Action":"storage:Get","Resource":"*"},
	{"Effect":"Allow","Action":"storage:Put","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}},
	{"Effect":"Allow","Action":"storage:Count","Resource":"*","Condition":{"StringEquals":{"storage:n":"100000001"}}},
	{"Effect":"Allow","Action":"storage:Check","Resource":"*","Condition":{"ForAllValues:StringEquals":{"storage:n":["a","true","7"]},"Null":{"storage:n":"false"}}},
	{"Effect":"Deny","Action":"storage:Get","Resource":"arn:aws:storage:::secret"}]}`

// world is a Region node with a registered service and its Bearer.
type world struct {
	*authzen.Door
	t      testing.TB
	view   *view.View
	bearer string
	key    record.AccessKey
	secret string
	fails  error // what the node's view fails with
}

func newWorld(t testing.TB) *world {
	t.Helper()
	ring := &keyring.Ring{KEK: make([]byte, 32)}
	w := &world{t: t, view: &view.View{State: view.Empty(make([]byte, 16)), Head: record.Head{Lineage: "l", Index: 7}}}
	w.Door = &authzen.Door{Decider: &native.Decider{View: func(context.Context) (*view.View, error) { return w.view, w.fails },
		Verifier: &authn.Verifier{Ring: ring, Region: "us-east-1", Hot: new(view.Ring)}, Authorizer: new(authz.Authorizer), Region: "us-east-1",
		Now: func() time.Time { return now }, Age: func(time.Time) time.Duration { return 0 }, Log: slog.New(slog.DiscardHandler),
		Gate: admission.NewGate(4, admission.Standard, time.Now)}}
	gate := w.Decider.Gate
	t.Cleanup(func() {
		if busy := gate.Counts().Busy; busy != 0 {
			t.Errorf("%d slots were not given back", busy)
		}
	})
	w.change(func(tx record.Tx) error {
		k, err := ring.NewAccountKey(tx, account, 1, nil, now)
		if err != nil {
			return err
		}
		return errors.Join(record.Put(tx, record.AccountKeys, k), record.Put(tx, record.Accounts, &record.Account{ID: account}))
	})
	credential := record.ServiceCredential{ID: "ACCASTORAGESTORAGE01", Service: "holdfast.amazonaws.com", Active: true}
	w.bearer, credential.Hash = keyring.NewBearer(credential.ID)
	w.change(func(tx record.Tx) error {
		var err error
		if w.key, w.secret, err = ring.NewAccessKey(tx, account, now); err != nil {
			return err
		}
		return errors.Join(
			record.Put(tx, record.Users, user("storage", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"holdfast:*","Resource":"*"}}`, w.key, credential)),
			record.Put(tx, record.Users, user("alice", may, record.AccessKey{ID: "AKIAIOSFODNN7EXAMPLE"})),
			record.Put(tx, record.Services, &record.Service{Name: "storage.example.com", Callers: []string{"arn:aws:iam::" + account + ":user/storage"},
				Actions: []string{"storage:"}, Resources: []string{"arn:aws:storage:::*"}, Accounts: []string{account}, Keys: []string{"storage:"}}))
	})
	return w
}

func user(name, document string, key record.AccessKey, credentials ...record.ServiceCredential) *record.User {
	return &record.User{Account: account, ID: "AIDA" + name, Name: name, Path: "/", Keys: []record.AccessKey{key}, ServiceCredentials: credentials,
		Inline: []record.Inline{{Name: "p", Document: document}}}
}

func (w *world) change(do func(tx record.Tx) error) {
	w.t.Helper()
	tx := w.view.Begin()
	if err := do(tx); err != nil {
		w.t.Fatal(err)
	}
	w.view = &view.View{State: tx.State(), Head: w.view.Head}
}

// post asks with the service's Bearer.
func (w *world) post(path, body string) *httptest.ResponseRecorder {
	return w.send("POST", path, body, map[string]string{"Authorization": "Bearer " + w.bearer})
}

func (w *world) send(method, path, body string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for name, value := range header {
		r.Header.Set(name, value)
	}
	out := httptest.NewRecorder()
	w.ServeHTTP(out, r)
	return out
}

// answer is a decision as a client reads it.
type answer struct {
	Decision *bool
	Context  struct {
		Revision, Decision, Reason string
		Proven                     bool
		Matched                    []string `json:"matched_statements"`
		Error                      *struct {
			Status        int
			Code, Message string
		}
	}
	Evaluations []answer
}

func read(t testing.TB, r *httptest.ResponseRecorder) (a answer) {
	t.Helper()
	if err := json.Unmarshal(r.Body.Bytes(), &a); err != nil || r.Code != 200 || r.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %v %s: %v", r.Code, r.Header(), r.Body, err)
	}
	return a
}

// member writes one member of a request.
const (
	subject = `"subject":{"type":"aws.principal","id":"` + alice + `"}`
	get     = `"action":{"name":"storage:Get"}`
	put     = `"action":{"name":"storage:Put"}`
	cat     = `"resource":{"type":"aws.resource","id":"arn:aws:storage:::cat"}`
	secret  = `"resource":{"type":"aws.resource","id":"arn:aws:storage:::secret"}`
	home    = `"context":{"aws:SourceIp":"10.1.2.3"}`
)

func object(members ...string) string { return "{" + strings.Join(members, ",") + "}" }

func TestAnEvaluationIsAnsweredWithADecisionAndItsReasons(t *testing.T) {
	w := newWorld(t)
	for _, x := range []struct {
		name, body string
		want       bool
		kind       string
	}{
		{"allowed", object(subject, get, cat), true, "Allowed"},
		{"denied", object(subject, get, secret), false, "ExplicitDeny"},
		{"not allowed", object(subject, put, cat), false, "ImplicitDeny"},
		{"allowed by its context", object(subject, put, cat, home), true, "Allowed"},
		{"with properties, which decide nothing", object(`"subject":{"type":"aws.principal","id":"`+alice+`","properties":{"admin":true}}`, put, cat), false, "ImplicitDeny"},
		{"with members that we do not know", object(subject, get, cat, `"more":{"x":[1]},"options":{"other":1}`), true, "Allowed"},
	} {
		for _, path := range []string{"/access/v1/evaluation", "/access/v1/evaluations"} { // without evaluations the latter is the former (§7.1)
			r := w.post(path, x.body)
			a := read(t, r)
			if a.Decision == nil || *a.Decision != x.want || a.Context.Decision != x.kind || a.Context.Revision != record.Revision("l", 7) || a.Context.Proven ||
				(a.Context.Reason == "") != x.want || a.Evaluations != nil {
				t.Errorf("%s: %s", x.name, r.Body)
			}
			if r.Header().Get("X-Holdfast-Revision") != record.Revision("l", 7) {
				t.Errorf("%s: %v", x.name, r.Header())
			}
		}
	}
	if a := read(t, w.post("/access/v1/evaluation", object(subject, get, cat, `"evaluations":[{},{}]`))); a.Decision == nil || a.Evaluations != nil {
		t.Errorf("one evaluation is answered as a batch: %+v", a)
	}
	if a := read(t, w.post("/access/v1/evaluation", object(subject, get, cat))); len(a.Context.Matched) != 1 || !strings.Contains(a.Context.Matched[0], "Read") {
		t.Errorf("%v", a.Context.Matched)
	}
}

func TestAHandleIsASubjectThatHasProvedItself(t *testing.T) {
	w := newWorld(t)
	ring := w.Decider.Verifier.Ring
	w.change(func(tx record.Tx) error {
		k, err := ring.NewRegionKey(tx, "us-east-1", 1, nil, now)
		if err != nil {
			return err
		}
		return record.Put(tx, record.RegionKeys, k)
	})
	service, err := record.Get(w.view, record.Services, record.None, "storage.example.com")
	if err != nil {
		t.Fatal(err)
	}
	service.Hosts, service.Scopes = []string{"photos.example.com"}, []string{"storage"}
	shown := &sigv4.Request{Method: "GET", RawPath: "/cat", Host: "photos.example.com"}
	if err := sigv4.Sign(shown, w.key.ID, w.secret, "", "us-east-1", "storage", now, sigv4.Own); err != nil {
		t.Fatal(err)
	}
	r := &native.SignedRequest{Method: "GET", Target: "/cat", Host: shown.Host}
	for _, h := range shown.Header {
		r.Headers = append(r.Headers, [2]string{h.Name, h.Value})
	}
	proof, err := w.Decider.Authenticate(w.view, &native.Asker{Service: service}, r)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(kind string) *httptest.ResponseRecorder {
		return w.post("/access/v1/evaluation", object(`"subject":{"type":"`+kind+`","id":"`+proof.Handle+`"}`, get, cat))
	}
	if a := read(t, ask("holdfast.handle")); *a.Decision || !a.Context.Proven || a.Context.Decision != "ImplicitDeny" {
		t.Errorf("%+v", a)
	}
	if r := ask("aws.principal"); r.Code != 400 {
		t.Errorf("a handle as an ARN: %d %s", r.Code, r.Body)
	}
}

func TestAContextMembersValueIsTheTextThatWasWritten(t *testing.T) {
	w := newWorld(t)
	for value, want := range map[string]bool{`"100000001"`: true, `100000001`: true, `1.00000001e8`: false, `100000002`: false, `[100000001]`: true, `true`: false} {
		a := read(t, w.post("/access/v1/evaluation", object(subject, `"action":{"name":"storage:Count"}`, cat, `"context":{"storage:n":`+value+`}`)))
		if *a.Decision != want {
			t.Errorf("%s: %+v", value, a.Context)
		}
	}
	for value, want := range map[string]bool{`["a",true,7]`: true, `[["a"],[true]]`: true, `false`: false, `["a","b"]`: false} {
		a := read(t, w.post("/access/v1/evaluation", object(subject, `"action":{"name":"storage:Check"}`, cat, `"context":{"storage:n":`+value+`}`)))
		if *a.Decision != want {
			t.Errorf("%s: %+v", value, a.Context)
		}
	}
}

func TestABatchRunsUnderItsSemantic(t *testing.T) {
	w := newWorld(t)
	yes, no, bad := object(cat), object(secret), object(`"resource":{"type":"aws.resource","id":"arn:aws:other:::x"}`)
	for _, x := range []struct {
		semantic string // "" for none
		batch    []string
		want     string // y and n
	}{
		{"", []string{yes, no, yes}, "yny"},
		{"execute_all", []string{yes, no, bad, yes}, "ynny"},
		{"deny_on_first_deny", []string{yes, no, yes}, "yn"},
		{"deny_on_first_deny", []string{yes, bad, yes}, "yn"}, // an error denies
		{"deny_on_first_deny", []string{yes, yes}, "yy"},
		{"permit_on_first_permit", []string{no, bad, yes, no}, "nny"},
		{"permit_on_first_permit", []string{no, no}, "nn"},
		{"permit_on_first_permit", []string{yes, yes}, "y"},
	} {
		options := `"options":{}`
		if x.semantic != "" {
			options = `"options":{"evaluations_semantic":"` + x.semantic + `"}`
		}
		r := w.post("/access/v1/evaluations", object(subject, get, options, `"evaluations":[`+strings.Join(x.batch, ",")+`]`))
		a, got := read(t, r), ""
		for _, e := range a.Evaluations {
			got += map[bool]string{true: "y", false: "n"}[*e.Decision]
		}
		if got != x.want || a.Decision != nil {
			t.Errorf("%s: %s, want %s: %s", x.semantic, got, x.want, r.Body)
		}
	}
	for _, semantic := range []string{"all", "EXECUTE_ALL", "deny_on_first_permit"} {
		r := w.post("/access/v1/evaluations", object(subject, get, `"options":{"evaluations_semantic":"`+semantic+`"}`, `"evaluations":[`+yes+`]`))
		if r.Code != 400 || !strings.Contains(r.Body.String(), "InvalidParameterValue") {
			t.Errorf("%s: %d %s", semantic, r.Code, r.Body)
		}
	}
}

func TestAMemberOfABatchInheritsWhatItLeavesOutAndNothingElse(t *testing.T) {
	w := newWorld(t)
	for _, x := range []struct {
		name, shared, one string
		want              bool
		code              string
	}{
		{"everything", object(subject, put, cat, home), object(), true, ""},
		{"all but the subject", object(put, cat, home), object(subject), true, ""},
		{"all but the action", object(subject, put, secret, home), object(get), false, ""},
		{"all but the resource", object(subject, get, secret), object(cat), true, ""},
		{"all but the context", object(subject, put, cat, home), object(`"context":{"aws:SourceIp":"8.8.8.8"}`), false, ""},
		{"an empty context is one", object(subject, put, cat, home), object(`"context":{}`), false, ""},
		{"nothing", object(), object(subject, put, cat, home), true, ""},
		{"half an action", object(subject, put, cat, home), object(`"action":{"properties":{}}`), false, "MissingParameter"},
		{"no resource at all", object(subject, get), object(), false, "MissingParameter"},
		{"another's type", object(subject, get, cat), object(`"subject":{"type":"user","id":"alice"}`), false, "InvalidParameterValue"},
		{"beyond the service", object(subject, get, cat), object(`"action":{"name":"iam:CreateUser"}`), false, "AccessDenied"},
	} {
		head := strings.TrimSuffix(x.shared, "}")
		if head != "{" {
			head += ","
		}
		r := w.post("/access/v1/evaluations", head+`"evaluations":[`+x.one+`,`+object(subject, get, cat)+`]}`)
		a := read(t, r)
		if len(a.Evaluations) != 2 || *a.Evaluations[0].Decision != x.want || !*a.Evaluations[1].Decision {
			t.Fatalf("%s: %s", x.name, r.Body)
		}
		e := a.Evaluations[0].Context.Error
		if (e == nil) != (x.code == "") || e != nil && (e.Code != x.code || e.Message == "" || e.Status/100 != 4) {
			t.Errorf("%s: %s", x.name, r.Body)
		}
	}
}

func TestAnEvaluationThatIsNotOneIsABadRequest(t *testing.T) {
	w := newWorld(t)
	for _, x := range []struct {
		name, body string
		status     int
		code       string
	}{
		{"nothing", ``, 400, "MalformedInput"},
		{"no JSON", `subject=alice`, 400, "MalformedInput"},
		{"two values", object(subject, get, cat) + `{}`, 400, "MalformedInput"},
		{"a list", `[]`, 400, "MalformedInput"},
		{"null", `null`, 400, "MissingParameter"},
		{"an empty one", `{}`, 400, "MissingParameter"},
		{"without subject", object(get, cat), 400, "MissingParameter"},
		{"without action", object(subject, cat), 400, "MissingParameter"},
		{"without resource", object(subject, get), 400, "MissingParameter"},
		{"a null subject", object(`"subject":null`, get, cat), 400, "MissingParameter"},
		{"a subject without id", object(`"subject":{"type":"aws.principal"}`, get, cat), 400, "MissingParameter"},
		{"a subject without type", object(`"subject":{"id":"`+alice+`"}`, get, cat), 400, "MissingParameter"},
		{"a resource without id", object(subject, get, `"resource":{"type":"aws.resource"}`), 400, "MissingParameter"},
		{"a resource without type", object(subject, get, `"resource":{"id":"arn:aws:storage:::cat"}`), 400, "MissingParameter"},
		{"an action without name", object(subject, cat, `"action":{}`), 400, "MissingParameter"},
		{"a subject of another type", object(`"subject":{"type":"user","id":"`+alice+`"}`, get, cat), 400, "InvalidParameterValue"},
		{"a type in other letters", object(`"subject":{"type":"AWS.Principal","id":"`+alice+`"}`, get, cat), 400, "InvalidParameterValue"},
		{"a subject that is a text", object(`"subject":"alice"`, get, cat), 400, "MalformedInput"},
		{"an id that is a number", object(`"subject":{"type":"aws.principal","id":1}`, get, cat), 400, "MalformedInput"},
		{"an id that is no ARN", object(`"subject":{"type":"aws.principal","id":"alice"}`, get, cat), 400, "InvalidParameterValue"},
		{"a handle that is none", object(`"subject":{"type":"holdfast.handle","id":"x"}`, get, cat), 403, "InvalidClientTokenId"},
		{"a principal that is not there", object(`"subject":{"type":"aws.principal","id":"`+alice+`2"}`, get, cat), 404, "NoSuchEntity"},
		{"a pattern of actions", object(subject, cat, `"action":{"name":"storage:*"}`), 400, "InvalidParameterValue"},
		{"a context that is a list", object(subject, get, cat, `"context":[]`), 400, "MalformedInput"},
		{"a context value that is an object", object(subject, get, cat, `"context":{"storage:n":{}}`), 400, "InvalidParameterValue"},
		{"a context value that is null", object(subject, get, cat, `"context":{"storage:n":null}`), 400, "InvalidParameterValue"},
		{"an object in a list", object(subject, get, cat, `"context":{"storage:n":["a",{}]}`), 400, "InvalidParameterValue"},
		{"a context key twice by case", object(subject, put, cat, `"context":{"aws:SourceIp":"8.8.8.8","AWS:SOURCEIP":"10.1.2.3"}`), 400, "MalformedInput"},
		{"a member twice", object(subject, get, cat, cat), 400, "MalformedInput"},
		{"no UTF-8", object(subject, get, cat, "\"context\":{\"storage:n\":\"\xff\"}"), 400, "MalformedInput"},
		{"a context key of the principal's", object(subject, get, cat, `"context":{"aws:PrincipalArn":"x"}`), 403, "AccessDenied"},
		{"evaluations that are no list", object(subject, get, cat, `"evaluations":{}`), 400, "MalformedInput"},
	} {
		for _, path := range []string{"/access/v1/evaluation", "/access/v1/evaluations"} {
			r := w.post(path, x.body)
			var body struct {
				Decision *bool
				Error    struct{ Code, Message string }
			}
			if err := json.Unmarshal(r.Body.Bytes(), &body); err != nil || r.Code != x.status || body.Error.Code != x.code || body.Error.Message == "" || body.Decision != nil {
				t.Errorf("%s: %d %s, want %d %s", x.name, r.Code, r.Body, x.status, x.code)
			}
		}
	}
	thousand := func(n int) string {
		return object(subject, get, cat, `"options":{"evaluations_semantic":"permit_on_first_permit"}`, `"evaluations":[`+strings.Repeat("{},", n-1)+`{}]`)
	}
	if r := w.post("/access/v1/evaluations", thousand(1000)); r.Code != 200 {
		t.Errorf("1000: %d %s", r.Code, r.Body)
	}
	if r := w.post("/access/v1/evaluations", thousand(1001)); r.Code != 400 || !strings.Contains(r.Body.String(), "More than 1000") {
		t.Errorf("1001: %d %s", r.Code, r.Body)
	}
	if r := w.post("/access/v1/evaluation", object(subject, get, cat, `"more":"`+strings.Repeat("x", 1<<20)+`"`)); r.Code != 413 {
		t.Errorf("a large body: %d %s", r.Code, r.Body)
	}
}

func TestWhoDidNotProveItselfIsUnauthorizedAndWhoMayNotAskIsForbidden(t *testing.T) {
	good := object(subject, get, cat)
	for _, x := range []struct {
		name   string
		do     func(w *world) map[string]string // the request's headers
		status int
		code   string
	}{
		{"nothing", func(*world) map[string]string { return nil }, 401, "MissingAuthenticationToken"},
		{"another's Bearer", func(*world) map[string]string { b, _ := keyring.NewBearer("ACCASTORAGESTORAGE01"); return bearer(b) }, 401, "InvalidClientTokenId"},
		{"no Bearer of ours", func(*world) map[string]string { return bearer("x") }, 401, "InvalidClientTokenId"},
		{"one that has ended", func(w *world) map[string]string {
			w.edit(func(u *record.User) { u.ServiceCredentials[0].Expires = record.At(now) })
			return bearer(w.bearer)
		}, 401, "ExpiredToken"},
		{"a wrong signature", func(w *world) map[string]string { w.secret = "wrong"; return w.signed(good) }, 401, "SignatureDoesNotMatch"},
		{"a signature", func(w *world) map[string]string { return w.signed(good) }, 200, ""},
		{"a caller whose policy does not let it ask", func(w *world) map[string]string {
			w.edit(func(u *record.User) { u.Inline = nil })
			return bearer(w.bearer)
		}, 403, "AccessDenied"},
		{"a caller of no service", func(w *world) map[string]string {
			w.change(func(tx record.Tx) error {
				tx.Delete(record.MakeKey("service", record.None, "storage.example.com"))
				return nil
			})
			return bearer(w.bearer)
		}, 403, "AccessDenied"},
		{"a node without a view", func(w *world) map[string]string { w.fails = errors.New("the cause"); return bearer(w.bearer) }, 500, "InternalFailure"},
	} {
		w := newWorld(t)
		r := w.send("POST", "/access/v1/evaluation", good, x.do(w))
		var body struct {
			Error struct{ Code, Message string }
		}
		if err := json.Unmarshal(r.Body.Bytes(), &body); err != nil || r.Code != x.status || body.Error.Code != x.code || strings.Contains(r.Body.String(), "the cause") {
			t.Errorf("%s: %d %s, want %d %s", x.name, r.Code, r.Body, x.status, x.code)
		}
		if (r.Header().Get("WWW-Authenticate") == "Bearer") != (x.status == 401) {
			t.Errorf("%s: %v", x.name, r.Header())
		}
	}
}

func bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

func (w *world) edit(do func(u *record.User)) {
	w.t.Helper()
	w.change(func(tx record.Tx) error {
		u, err := record.Get(tx, record.Users, account, "AIDAstorage")
		if err != nil {
			return err
		}
		do(u)
		return record.Put(tx, record.Users, u)
	})
}

// signed are the headers of an evaluation's signature.
func (w *world) signed(body string) map[string]string {
	w.t.Helper()
	r := &sigv4.Request{Method: "POST", RawPath: "/access/v1/evaluation", Host: "example.com", Body: []byte(body)}
	if err := sigv4.Sign(r, w.key.ID, w.secret, "", "us-east-1", "holdfast", now, sigv4.Own); err != nil {
		w.t.Fatal(err)
	}
	header := map[string]string{}
	for _, h := range r.Header {
		header[h.Name] = h.Value
	}
	return header
}

func TestTheMetadataNamesTheEndpointsThatThereAre(t *testing.T) {
	w := newWorld(t)
	const path = "/.well-known/authzen-configuration"
	for _, x := range []struct{ base, target, want string }{
		{"", "http://node.example.com:4260" + path, "http://node.example.com:4260"},
		{"", "https://node.example.com" + path, "https://node.example.com"}, // the recorder's request then has TLS
		{"https://iam.example.com", "http://node" + path, "https://iam.example.com"},
	} {
		w.Base = x.base
		out := httptest.NewRecorder()
		w.ServeHTTP(out, httptest.NewRequest("GET", x.target, nil)) // nobody need prove itself
		var m map[string]string
		if err := json.Unmarshal(out.Body.Bytes(), &m); err != nil || out.Code != 200 || out.Header().Get("Content-Type") != "application/json" || len(m) != 3 ||
			m["policy_decision_point"] != x.want || m["access_evaluation_endpoint"] != x.want+"/access/v1/evaluation" ||
			m["access_evaluations_endpoint"] != x.want+"/access/v1/evaluations" {
			t.Errorf("%s: %d %s", x.target, out.Code, out.Body)
		}
	}
}

func TestARequestsIdentifierComesBackWhateverTheAnswer(t *testing.T) {
	w := newWorld(t)
	for name, x := range map[string]struct{ method, path, body string }{
		"an answer":    {"POST", "/access/v1/evaluation", object(subject, get, cat)},
		"a bad one":    {"POST", "/access/v1/evaluation", `{}`},
		"the metadata": {"GET", "/.well-known/authzen-configuration", ""},
		"nothing":      {"GET", "/access/v1/evaluation", ""},
	} {
		header := bearer(w.bearer)
		header["X-Request-ID"] = "bfe9eb29"
		if r := w.send(x.method, x.path, x.body, header); r.Header().Get("X-Request-ID") != "bfe9eb29" {
			t.Errorf("%s: %v", name, r.Header())
		}
		if r := w.send(x.method, x.path, x.body, bearer(w.bearer)); r.Header().Get("X-Request-ID") != "" {
			t.Errorf("%s: one was made up", name)
		}
	}
	if r := w.send("POST", "/access/v1/evaluation", "{}", map[string]string{"X-Request-ID": strings.Repeat("x", 257)}); r.Header().Get("X-Request-ID") != "" {
		t.Error("a long one comes back")
	}
}

func TestOtherPathsAndMethodsAreNotThere(t *testing.T) {
	w := newWorld(t)
	for _, x := range []string{"GET /access/v1/evaluation", "PUT /access/v1/evaluations", "POST /.well-known/authzen-configuration", "POST /access/v1/search/subject",
		"POST /access/v1/evaluation/", "POST /access/v2/evaluation"} {
		method, path, _ := strings.Cut(x, " ")
		if r := w.send(method, path, object(subject, get, cat), bearer(w.bearer)); r.Code != http.StatusBadRequest || !strings.Contains(r.Body.String(), fmt.Sprintf("nothing at %s %s", method, path)) {
			t.Errorf("%s: %d %s", x, r.Code, r.Body)
		}
	}
}
