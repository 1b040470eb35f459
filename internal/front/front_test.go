package front

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/admission"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
	"github.com/holdfast-iam/holdfast/sigv4"
)

func TestARequestIsRoutedByItsSignalsAndTwoThatDisagreeAreRefused(t *testing.T) {
	w := newWorld(t)
	get := action("GetThing", iamAPI, "&Name=x")
	who := action("GetCallerIdentity", stsAPI, "")
	for _, x := range []struct {
		name    string
		a       ask
		code    string // "" for an answer
		message string
	}{
		{"iam", ask{body: get, service: "iam"}, "", ""},
		{"sts", ask{body: who, service: "sts"}, "", ""},
		{"in the query", ask{method: "GET", target: "/?" + get, service: "iam"}, "", ""},
		{"half in the query", ask{target: "/?Action=GetThing", body: "Version=" + iamAPI, service: "iam"}, "", ""},
		{"at its own host", ask{body: get, host: "iam.amazonaws.com", service: "iam"}, "", ""},
		{"at its own host with a port", ask{body: get, host: "iam.localhost:4260", service: "iam"}, "", ""},
		{"at its Region's host", ask{body: who, host: "sts.us-east-1.amazonaws.com", service: "sts"}, "", ""},
		{"at a host that names no service", ask{body: who, host: "holdfast.example.com", service: "sts"}, "", ""},
		{"at a host called iam", ask{body: who, host: "iam", service: "sts"}, "", ""},

		{"a scope of a service that is not served", ask{body: get, service: "s3"}, "InvalidAction", "service s3 is not served"},
		{"such a scope before everything else", ask{body: "Action=", target: "/x", host: "iam.amazonaws.com", service: "route53"}, "InvalidAction", "service route53 is not served"},
		{"a path", ask{target: "/bucket/key", body: get, service: "iam"}, "InvalidAction", "nothing at the path /bucket/key"},
		{"a path before the form", ask{target: "/x", body: "%zz", service: "iam"}, "InvalidAction", "nothing at the path"},
		{"another method", ask{method: "PUT", body: get, service: "iam"}, "InvalidAction", "method PUT"},
		{"another body", ask{body: "{}", header: map[string]string{"Content-Type": "application/json"}, service: "iam"}, "MalformedInput", ""},
		{"a parameter in query and body", ask{target: "/?Action=GetThing", body: get, service: "iam"}, "InvalidQueryParameter", ""},
		{"no action", ask{body: "Version=" + iamAPI, service: "iam"}, "MissingAction", ""},
		{"nothing", ask{service: "iam"}, "MissingAction", ""},
		{"an empty action", ask{body: "Action=&Version=" + iamAPI, service: "iam"}, "MissingAction", ""},
		{"no version", ask{body: "Action=GetThing", service: "iam"}, "InvalidAction", "operation GetThing for version NO_VERSION_SPECIFIED"},
		{"another API's version", ask{body: action("GetThing", stsAPI, ""), service: "iam"}, "InvalidAction", "operation GetThing for version " + stsAPI},
		{"an action in other letters", ask{body: action("getthing", iamAPI, ""), service: "iam"}, "InvalidAction", ""},
		{"an operation that is not built", ask{body: action("CreateVirtualMFADevice", iamAPI, ""), service: "iam"}, "NotImplemented", "not built"},
		{"the scope of another service", ask{body: get, service: "sts"}, "SignatureDoesNotMatch", "correct service: 'iam'"},
		{"the host of another service", ask{body: get, host: "sts.amazonaws.com", service: "iam"}, "InvalidAction", "at the host of sts"},
		{"the host before the scope", ask{body: who, host: "iam.amazonaws.com", service: "iam"}, "InvalidAction", "at the host of iam"},
	} {
		x.a.by = w.alice
		r := w.do(x.a)
		if codeOf(r) != x.code || (r.Code == 200) != (x.code == "") || !strings.Contains(between(r.Body.String(), "<Message>", "</Message>"), strings.ReplaceAll(x.message, "'", "&#39;")) &&
			!strings.Contains(between(r.Body.String(), "<Message>", "</Message>"), x.message) {
			t.Errorf("%s: %d %s, want %q with %q", x.name, r.Code, r.Body, x.code, x.message)
		}
	}
}

func TestAStrangersTextInAnErrorIsCutAndPrintable(t *testing.T) {
	w := newWorld(t)
	r := w.do(ask{body: action("%00%1b%5b2J<x>"+strings.Repeat("a", 200), iamAPI, ""), by: w.alice, service: "iam"})
	text := r.Body.String()
	if strings.ContainsAny(text, "\x00\x1b") || strings.Contains(text, "<x>") || !strings.Contains(text, "??[2J&lt;x&gt;") || strings.Contains(text, strings.Repeat("a", 101)) {
		t.Errorf("%q", text)
	}
}

func TestWithoutACredentialOnlyAnUnsignedOperationRuns(t *testing.T) {
	w := newWorld(t)
	for name, x := range map[string]struct {
		header map[string]string
		body   string
		status int
		code   string
	}{
		"unsigned":                {nil, action("AssumeRoleWithWebIdentity", stsAPI, "&Name=x"), 200, ""},
		"a signed one":            {nil, action("GetCallerIdentity", stsAPI, ""), 403, "MissingAuthenticationToken"},
		"a Bearer":                {map[string]string{"Authorization": "Bearer x"}, action("GetCallerIdentity", stsAPI, ""), 403, "MissingAuthenticationToken"},
		"a damaged Authorization": {map[string]string{"Authorization": "AWS4-HMAC-SHA256 Credential=x"}, action("AssumeRoleWithWebIdentity", stsAPI, ""), 403, "IncompleteSignature"},
	} {
		r := w.do(ask{body: x.body, header: x.header})
		if codeOf(r) != x.code || r.Code != x.status && !(x.code == "IncompleteSignature" && r.Code == 400) {
			t.Errorf("%s: %d %s", name, r.Code, r.Body)
		}
	}
}

func TestTheCallerIsProvenThenItsKindAskedThenItsPolicies(t *testing.T) {
	w := newWorld(t)
	get := action("GetThing", iamAPI, "&Name=x")
	for _, x := range []struct {
		name          string
		by            signer
		body, service string
		code          string
	}{
		{"allowed", w.alice, get, "iam", ""},
		{"no policy", w.alice, action("GetOther", iamAPI, "&Name=panic"), "iam", "AccessDenied"},
		{"root needs none", w.root, action("GetOther", iamAPI, "&Name=x"), "iam", ""},
		{"an open one needs none", w.alice, action("AssumeRole", stsAPI, "&Name=x"), "sts", ""},
		{"a kind that may not", w.root, action("AssumeRole", stsAPI, "&Name=panic"), "sts", "AccessDenied"},
		{"a wrong secret", signer{w.alice.id, "wrong"}, action("GetThing", iamAPI, "&Name=panic"), "iam", "SignatureDoesNotMatch"},
		{"nobody's key", signer{"AKIAIOSFODNN7EXAMPLE", "s"}, action("GetThing", iamAPI, "&Name=panic"), "iam", "InvalidClientTokenId"},
	} {
		r := w.do(ask{by: x.by, body: x.body, service: x.service})
		if codeOf(r) != x.code || (r.Code == 200) != (x.code == "") {
			t.Errorf("%s: %d %s, want %q", x.name, r.Code, r.Body, x.code)
		}
	}
}

func TestAnErrorHasTheShapeThatTheClientReads(t *testing.T) {
	w := newWorld(t)
	target := map[string]string{"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"}
	target11 := map[string]string{"X-Amz-Target": "Logs_20140328.DescribeLogGroups", "Content-Type": "application/x-amz-json-1.1"}
	for _, x := range []struct {
		name        string
		a           ask
		status      int
		contentType string
		errorType   string
		body        string // ID stands for the request id
	}{
		{"iam's", ask{body: action("GetThing", iamAPI, "&Name=absent"), service: "iam"}, 404, "text/xml", "",
			`<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>There is no &lt;thing&gt; &amp; &quot;such&quot;.</Message></Error><RequestId>ID</RequestId></ErrorResponse>`},
		{"sts's", ask{body: action("GetCallerIdentity", stsAPI, "&Name=cause"), service: "sts"}, 500, "text/xml", "",
			`<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Receiver</Type><Code>InternalFailure</Code><Message>The request processing has failed because of an unknown error, exception or failure.</Message></Error><RequestId>ID</RequestId></ErrorResponse>`},
		{"iam's in JSON", ask{body: action("GetThing", iamAPI, "&Name=absent"), service: "iam", header: map[string]string{"Accept": "application/json"}}, 404, "application/json", "",
			`{"Error":{"Type":"Sender","Code":"NoSuchEntity","Message":"There is no \u003Cthing\u003E \u0026 \"such\"."},"RequestId":"ID"}`},
		{"of JSON 1.0", ask{body: "{}", service: "dynamodb", header: target}, 400, "application/x-amz-json-1.0", "UnknownOperationException",
			`{"__type":"UnknownOperationException","message":"The service dynamodb is not served here; this endpoint serves iam and sts."}`},
		{"of JSON 1.1", ask{body: "{}", service: "logs", header: target11}, 400, "application/x-amz-json-1.1", "UnknownOperationException",
			`{"__type":"UnknownOperationException","message":"The service logs is not served here; this endpoint serves iam and sts."}`},
		{"of JSON with a scope of ours", ask{body: "{}", service: "iam", header: target11}, 400, "application/x-amz-json-1.1", "UnknownOperationException",
			`{"__type":"UnknownOperationException","message":"No service that is called with X-Amz-Target is served here; iam and sts take the query protocol."}`},
		{"of REST-JSON", ask{method: "GET", target: "/2015-03-31/functions", service: "lambda"}, 400, "application/x-amz-json-1.1", "UnknownOperationException",
			`{"__type":"UnknownOperationException","message":"The service lambda is not served here; this endpoint serves iam and sts."}`},
		{"S3's", ask{method: "GET", target: "/bucket/key", service: "s3"}, 400, "application/xml", "",
			`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<Error><Code>InvalidAction</Code><Message>The service s3 is not served here; this endpoint serves iam and sts.</Message><Resource>/bucket/key</Resource><RequestId>ID</RequestId></Error>`},
		{"EC2's", ask{body: action("DescribeInstances", "2016-11-15", ""), service: "ec2"}, 400, "text/xml;charset=UTF-8", "",
			`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<Response><Errors><Error><Code>InvalidAction</Code><Message>The service ec2 is not served here; this endpoint serves iam and sts.</Message></Error></Errors><RequestID>ID</RequestID></Response>`},
	} {
		x.a.by = w.alice
		r := w.do(x.a)
		id := r.Header().Get("X-Amzn-Requestid")
		if got := r.Body.String(); r.Code != x.status || got != strings.ReplaceAll(x.body, "ID<", id+"<") && got != strings.ReplaceAll(x.body, `"ID"`, `"`+id+`"`) ||
			r.Header().Get("Content-Type") != x.contentType || r.Header().Get("X-Amzn-Errortype") != x.errorType || len(id) != 36 {
			t.Errorf("%s: %d %v\n%s\nwant\n%s", x.name, r.Code, r.Header(), got, x.body)
		}
	}
}

func TestAnAnswerIsInTheFormThatTheClientAcceptsWithItsRequestID(t *testing.T) {
	w := newWorld(t)
	seen := map[string]bool{}
	for accept, want := range map[string]string{
		"":                 `<GetThingResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><GetThingResult><Name>x</Name></GetThingResult><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></GetThingResponse>`,
		"application/json": `{"GetThingResponse":{"GetThingResult":{"Name":"x"},"ResponseMetadata":{"RequestId":"ID"}}}`,
	} {
		a := w.get("x")
		a.header = map[string]string{"Accept": accept}
		r := w.do(a)
		id := r.Header().Get("X-Amzn-Requestid")
		if r.Code != 200 || r.Body.String() != strings.ReplaceAll(want, "ID<", id+"<") && r.Body.String() != strings.ReplaceAll(want, `"ID"`, `"`+id+`"`) ||
			r.Header().Get("Content-Length") != fmt.Sprint(r.Body.Len()) {
			t.Errorf("%s: %v\n%s", accept, r.Header(), r.Body)
		}
		if seen[id] || len(id) != 36 || id[14] != '4' {
			t.Errorf("request id %q", id)
		}
		seen[id] = true
	}
}

func TestAnAnswerSaysWhichRevisionAnsweredAndHowOldItsViewIs(t *testing.T) {
	w := newWorld(t)
	want := record.Revision("l1", w.view.Head.Index)
	for name, a := range map[string]ask{"an answer": w.get("x"), "a fault": w.get("absent"), "an internal failure": w.get("cause")} {
		r := w.do(a)
		if r.Header().Get(HeaderRevision) != want || r.Header().Get(HeaderViewAge) != "1.250" || r.Header().Get(HeaderApplied) != "" {
			t.Errorf("%s: %v", name, r.Header())
		}
	}
	r := w.do(ask{body: "x", service: "s3", by: w.alice})
	if r.Header().Get(HeaderRevision) != "" || r.Header().Get(HeaderViewAge) != "" {
		t.Errorf("nothing was read: %v", r.Header())
	}
	for missing, applied := range map[string]string{"": "all", "us-east-1a": "missing=us-east-1a", "us-east-1a,eu-west-1b": "missing=us-east-1a,eu-west-1b"} {
		w.missing = nil
		if missing != "" {
			w.missing = strings.Split(missing, ",")
		}
		r := w.do(w.write("g" + fmt.Sprint(len(missing))))
		if r.Code != 200 || r.Header().Get(HeaderApplied) != applied || r.Header().Get(HeaderRevision) != record.Revision("l1", w.view.Head.Index) {
			t.Errorf("a write: %d %v %s", r.Code, r.Header(), r.Body)
		}
	}
}

func TestARequestWaitsForTheRevisionThatItDemands(t *testing.T) {
	w := newWorld(t)
	index := w.view.Head.Index
	var awaited uint64
	arrives := func(ctx context.Context, i uint64) error {
		awaited = i
		w.view = &view.View{State: w.view.State, Head: record.Head{Lineage: "l1", Index: i}}
		return nil
	}
	never := func(ctx context.Context, i uint64) error {
		if d, ok := ctx.Deadline(); !ok || time.Until(d) > revisionWait {
			t.Error("it waits without end")
		}
		return context.DeadlineExceeded
	}
	for _, x := range []struct {
		name, revision string
		await          func(context.Context, uint64) error
		code           string
		waits          bool
	}{
		{"one that it serves", record.Revision("l1", index), never, "", false},
		{"an older one", record.Revision("l1", 1), never, "", false},
		{"a newer one that does not come", record.Revision("l1", index+1), never, "ServiceUnavailable", false},
		{"a newer one where nothing is behind", record.Revision("l1", index+1), nil, "ServiceUnavailable", false},
		{"one of another lineage", record.Revision("l2", 1), arrives, "InvalidParameterValue", false},
		{"no revision", "yesterday", arrives, "InvalidParameterValue", false},
		{"a newer one that comes", record.Revision("l1", index+3), arrives, "", true},
	} {
		w.Await, awaited = x.await, 0
		a := w.get("x")
		a.header = map[string]string{HeaderMinRevision: x.revision}
		r := w.do(a)
		if codeOf(r) != x.code || (awaited == index+3) != x.waits {
			t.Errorf("%s: %d %s, awaited %d", x.name, r.Code, r.Body, awaited)
		}
		if x.code == "ServiceUnavailable" && (r.Code != 503 || r.Header().Get(HeaderRetryAfter) != "1000") {
			t.Errorf("%s: %d %v", x.name, r.Code, r.Header())
		}
		if x.code == "" && r.Header().Get(HeaderRevision) != record.Revision("l1", w.view.Head.Index) {
			t.Errorf("%s: answered from %s", x.name, r.Header().Get(HeaderRevision))
		}
	}
}

func TestARequestIsRefusedWhereItsAccountDemandsAYoungerView(t *testing.T) {
	w := newWorld(t)
	w.change(func(tx record.Tx) error {
		return record.Put(tx, record.Freshnesses, &record.Freshness{Account: account, Rules: []record.FreshRule{{Action: "iam:Get*", Within: 30}}})
	})
	for age, code := range map[time.Duration]string{30 * time.Second: "", 31 * time.Second: "ServiceUnavailable"} {
		w.Age = func(time.Time) time.Duration { return age }
		if r := w.do(w.get("x")); codeOf(r) != code {
			t.Errorf("%s: %d %s", age, r.Code, r.Body)
		}
	}
}

// A role that another account's principal assumes is of the account that demands.
func TestARequestIsRefusedWhereTheResourcesAccountDemandsAYoungerView(t *testing.T) {
	for _, action := range []string{"iam:GetAway", "iam:TagAway", "*"} {
		w := newWorld(t)
		w.change(func(tx record.Tx) error {
			u, err := record.Get(tx, record.Users, account, "AIDAalice")
			if err != nil {
				return err
			}
			u.Inline[0].Document = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["iam:GetAway"],"Resource":"*"}}`
			return errors.Join(record.Put(tx, record.Users, u),
				record.Put(tx, record.Freshnesses, &record.Freshness{Account: elsewhere, Rules: []record.FreshRule{{Action: action, Within: 30}}}))
		})
		for age, code := range map[time.Duration]string{30 * time.Second: "AccessDenied", 31 * time.Second: "ServiceUnavailable"} {
			w.Age = func(time.Time) time.Duration { return age }
			if r := w.do(ask{body: "Action=GetAway&Version=" + iamAPI + "&Name=x", by: w.alice, service: "iam"}); codeOf(r) != code {
				t.Errorf("%s, %s: %d %s", action, age, r.Code, r.Body)
			}
		}
	}
}

func TestAPresignedRequestMayOnlyReadAndForFifteenMinutes(t *testing.T) {
	w := newWorld(t)
	for _, x := range []struct {
		name, service, query string
		life                 time.Duration
		code                 string
	}{
		{"who", "sts", action("GetCallerIdentity", stsAPI, ""), 15 * time.Minute, ""},
		{"a read", "iam", action("GetThing", iamAPI, "&Name=x"), time.Minute, ""},
		{"a write", "iam", action("PutThing", iamAPI, "&Name=x"), time.Minute, "AccessDenied"},
		{"a session", "sts", action("AssumeRole", stsAPI, "&Name=x"), time.Minute, "AccessDenied"},
		{"too long", "sts", action("GetCallerIdentity", stsAPI, ""), 15*time.Minute + time.Second, "IncompleteSignature"},
	} {
		s := sigv4.Request{Method: "GET", RawPath: "/", RawQuery: x.query, Host: "127.0.0.1:4260"}
		profile := sigv4.Own
		if x.life > 15*time.Minute { // which ours would not sign
			profile = sigv4.S3
		}
		if err := sigv4.Presign(&s, w.alice.id, w.alice.secret, "", "us-east-1", x.service, now, x.life, profile); err != nil {
			t.Fatal(err)
		}
		if r := w.do(ask{method: "GET", target: "/?" + s.RawQuery}); codeOf(r) != x.code {
			t.Errorf("%s: %d %s, want %q", x.name, r.Code, r.Body, x.code)
		}
	}
}

// full is a body that there is no room for.
type full struct{}

func (full) Read([]byte) (int, error) {
	return 0, &admission.Refusal{Class: admission.Read, Reason: admission.Full}
}

func TestABodyThatThereIsNoRoomForIsToBeSentAgain(t *testing.T) {
	w := newWorld(t)
	r := w.request(w.get("x"))
	r.Body = io.NopCloser(full{})
	out := httptest.NewRecorder()
	if w.ServeHTTP(out, r); codeOf(out) != "Throttling" {
		t.Errorf("%d %s", out.Code, out.Body)
	}
}

func TestAPanicIsOneRequestsInternalFailure(t *testing.T) {
	w := newWorld(t)
	for name, a := range map[string]ask{"in a read": w.get("panic"), "in a write": w.write("panic"), "a read that deletes": w.get("delete")} {
		w.log.Reset()
		r := w.do(a)
		if r.Code != 500 || codeOf(r) != "InternalFailure" || strings.Contains(r.Body.String(), errCause.Error()) || strings.Contains(r.Body.String(), "front:") ||
			!strings.Contains(w.log.String(), "panic in a request") || !strings.Contains(w.log.String(), r.Header().Get("X-Amzn-Requestid")) {
			t.Errorf("%s: %d %s\n%s", name, r.Code, r.Body, &w.log)
		}
	}
	if r := w.do(w.get("x")); r.Code != 200 {
		t.Errorf("the next request: %s", r.Body)
	}
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("a handler that gives up: %v", p)
		}
	}()
	w.do(w.get("abort"))
}

func TestACauseIsInTheLogAndNotInTheAnswer(t *testing.T) {
	w := newWorld(t)
	for name, a := range map[string]ask{"a read": w.get("cause"), "a write": w.write("cause"), "a read that writes": w.get("put")} {
		w.log.Reset()
		r := w.do(a)
		if r.Code != 500 || codeOf(r) != "InternalFailure" || strings.Contains(r.Body.String(), "cause that only") {
			t.Errorf("%s: %d %s", name, r.Code, r.Body)
		}
		if name != "a read that writes" && !strings.Contains(w.log.String(), errCause.Error()) {
			t.Errorf("%s: the log has %s", name, &w.log)
		}
	}
	before := w.view.Digest()
	w.do(w.get("put"))
	if w.view.Digest() != before {
		t.Error("a read wrote")
	}
	w.View = func(context.Context) (*view.View, error) { return nil, errCause }
	if r := w.do(w.get("x")); r.Code != 500 || strings.Contains(r.Body.String(), "cause that only") {
		t.Errorf("no view: %d %s", r.Code, r.Body)
	}
}

func TestABodyBeyondItsLimitIsRefusedWhateverLengthItAnnounces(t *testing.T) {
	w := newWorld(t)
	for _, n := range []int{MaxBody, MaxBody + 1} {
		text := strings.Repeat("x", n)
		for _, announced := range []int64{int64(n), -1} {
			r := httptest.NewRequest("POST", "/", io.NopCloser(strings.NewReader(text)))
			r.ContentLength = announced
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			out := httptest.NewRecorder()
			w.ServeHTTP(out, r)
			if tooLarge := out.Code == 413 && codeOf(out) == "RequestEntityTooLarge"; tooLarge != (n > MaxBody) {
				t.Errorf("%d bytes, %d announced: %d %s", n, announced, out.Code, out.Body)
			}
		}
	}
	unread := httptest.NewRequest("POST", "/", failing{})
	unread.ContentLength = MaxBody + 1
	refused := httptest.NewRecorder()
	if w.ServeHTTP(refused, unread); refused.Code != 413 {
		t.Errorf("a body that is announced too long is read: %s", refused.Body)
	}
	r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader("Action=x"), failing{}))
	out := httptest.NewRecorder()
	w.ServeHTTP(out, r)
	if out.Code/100 != 4 || strings.Contains(out.Body.String(), "cause that only") {
		t.Errorf("a body that breaks off: %d %s", out.Code, out.Body)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errCause }

func TestTheDoorsHaveTheirPathsWhereThereAreDoors(t *testing.T) {
	w := newWorld(t)
	for path, door := range map[string]bool{"/holdfast/v1/authorize": true, "/access/v1/evaluation": true, "/.well-known/authzen-configuration": true,
		"/holdfast/v2/authorize": false, "/access/v1": false, "/": false, "/.well-known/authzen-configuration/x": false} {
		w.Doors = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
		if r := w.do(ask{target: path}); (r.Code == http.StatusTeapot) != door || len(r.Header().Get("X-Amzn-Requestid")) != 36 {
			t.Errorf("%s: %d", path, r.Code)
		}
		w.Doors = nil
		if r := w.do(ask{target: path}); r.Code/100 != 4 {
			t.Errorf("%s without doors: %d", path, r.Code)
		}
	}
}

func TestADoorsAnswerIsCountedAndLoggedAndItsPanicIsOneRequests(t *testing.T) {
	w := newWorld(t)
	var counted []string
	w.Observe = func(service, operation, code string, _ int, _ time.Duration) {
		counted = append(counted, service+" "+operation+" "+code)
	}
	w.Doors = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/access/v1/evaluation":
			w.Header().Set("X-Amzn-ErrorType", "AccessDenied")
			w.WriteHeader(403)
		case "/holdfast/v1/authorize":
			panic(errCause)
		}
	})
	for _, target := range []string{"/access/v1/evaluation", "/holdfast/v1/caller", "/holdfast/v1/x", "/holdfast/v1/authorize"} {
		w.log.Reset()
		r := w.do(ask{target: target})
		if target == "/holdfast/v1/authorize" && (r.Code != 500 || strings.Contains(r.Body.String(), "cause that only")) {
			t.Errorf("a panic: %d %s", r.Code, r.Body)
		}
		if !strings.Contains(w.log.String(), "msg=request") || !strings.Contains(w.log.String(), "status="+strconv.Itoa(r.Code)) {
			t.Errorf("%s: the log has %s", target, &w.log)
		}
	}
	want := "holdfast evaluation AccessDenied, holdfast caller , holdfast none , holdfast authorize InternalFailure"
	if got := strings.Join(counted, ", "); got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
}

func TestEveryAnswerIsCountedAndEveryUseOfALongTermKeyNoted(t *testing.T) {
	w := newWorld(t)
	var counted, used []string
	w.Observe = func(service, operation, code string, _ int, _ time.Duration) {
		counted = append(counted, service+" "+operation+" "+code)
	}
	w.Used = func(account, keyID, service string, _ time.Time) { used = append(used, account+" "+keyID+" "+service) }
	w.do(w.get("x"))
	w.do(w.get("absent"))
	w.do(w.get("panic"))
	w.do(ask{body: "x", service: "s3", by: w.alice})
	wrong := w.get("x")
	wrong.by.secret = "wrong"
	w.do(wrong)
	if got, want := strings.Join(counted, ", "), "iam GetThing , iam GetThing NoSuchEntity, iam GetThing InternalFailure, none none InvalidAction, iam GetThing SignatureDoesNotMatch"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if one := account + " " + w.alice.id + " iam"; strings.Join(used, ", ") != strings.Join([]string{one, one, one}, ", ") {
		t.Errorf("%v", used)
	}
	if strings.Contains(w.log.String(), w.alice.secret) || !strings.Contains(w.log.String(), "principal=arn:aws:iam::"+account+":user/alice") {
		t.Errorf("%s", &w.log)
	}
}

func TestWhatCannotBeTakenNowSaysWhenToTryAgain(t *testing.T) {
	w := newWorld(t)
	w.Commit = func(context.Context, *Write) *Outcome { return &Outcome{Err: Unavailable("no quorum")} }
	r := w.do(w.write("g"))
	if r.Code != 503 || codeOf(r) != "ServiceUnavailable" || r.Header().Get(HeaderRetryAfter) != "1000" || r.Header().Get(HeaderApplied) != "" || !strings.Contains(r.Body.String(), "no quorum") {
		t.Errorf("%d %v %s", r.Code, r.Header(), r.Body)
	}
	w.Commit = func(context.Context, *Write) *Outcome { return &Outcome{Err: errors.New("broken")} }
	if r := w.do(w.write("g")); r.Code != 500 || r.Header().Get(HeaderRetryAfter) != "" {
		t.Errorf("%d %v", r.Code, r.Header())
	}
}

// TestARefusalOfASessionThatRestsOnMoreThanIsServedIsInDoubt: the view may lack
// what allows; what allows, an error of the input and a caller whom the view
// covers are not in doubt (protocol rule 15).
func TestARefusalOfASessionThatRestsOnMoreThanIsServedIsInDoubt(t *testing.T) {
	refused, other := fault.AccessDenied.Errorf("no"), fault.NoSuchEntity.Errorf("none")
	session := func(rests uint64) *authn.Caller { return &authn.Caller{Session: &authn.Session{Rests: rests}} }
	for name, x := range map[string]struct {
		caller *authn.Caller
		err    error
		want   uint64
	}{
		"refused":                          {session(9), refused, 9},
		"refused, wrapped":                 {session(9), fmt.Errorf("x: %w", refused), 9},
		"refused by a view that is as new": {session(8), refused, 0},
		"allowed":                          {session(9), nil, 0},
		"another error":                    {session(9), other, 0},
		"no fault":                         {session(9), errCause, 0},
		"no session":                       {&authn.Caller{}, refused, 0},
		"nobody":                           {nil, refused, 0},
		"not authenticated":                {nil, &authn.Behind{Rests: 9, Err: refused}, 9},
	} {
		q := &request{caller: x.caller, view: &view.View{Head: record.Head{Index: 8}}}
		if got := q.restsOn(x.err); got != x.want {
			t.Errorf("%s: %d, want %d", name, got, x.want)
		}
	}
}
