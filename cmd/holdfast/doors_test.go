package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/doors/native/nativepb"
	"github.com/holdfast-iam/holdfast/sigv4"
)

// asking is a deployment with a service, a user that speaks for it, and a
// role whose session is asked about.
type asking struct {
	*endpoint
	admin, asker credential
	role         credential
}

func newAsking(t *testing.T) *asking {
	t.Helper()
	d := start(t)
	e, admin := d.endpoint(), d.admin()
	a := &asking{endpoint: e, admin: admin}
	a.asker = e.newUser(admin, "photos", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["holdfast:Authorize","holdfast:Authenticate","holdfast:AuthorizeUnproven"],"Resource":"*"}}`)
	d.serviceFor("photos")
	e.newRole(admin, "reader", `{"Version":"2012-10-17","Statement":[{"Sid":"Read","Effect":"Allow","Action":"storage:Get*","Resource":"arn:aws:storage:::*"},
		{"Sid":"Office","Effect":"Allow","Action":"storage:Put*","Resource":"arn:aws:storage:::*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}},
		{"Sid":"Never","Effect":"Deny","Action":"storage:Drop*","Resource":"*"}]}`)
	a.role = e.made(e.assume(admin, "reader", "demo")).credential()
	return a
}

type decision struct {
	Decision, Reason, DecidedBy, Principal, EncodedMessage string
	Allowed, Proven                                        bool
	MatchedStatements                                      []string
	Considered                                             []struct {
		Statement, Failed string
		Matched           bool
	}
	Answers []struct {
		Decision string
		Error    *struct{ Code string }
	}
	Error struct{ Code, Message string }
}

func (a *asking) ask(body map[string]any) (decision, *reply) {
	a.t.Helper()
	r := a.door(a.asker, "/holdfast/v1/authorize", body)
	var d decision
	if err := json.Unmarshal(r.body, &d); err != nil {
		a.t.Fatalf("%s: %v", r.body, err)
	}
	return d, r
}

const session = "arn:aws:sts::111122223333:assumed-role/reader/demo"

func about(principal, action, resource string) map[string]any {
	return map[string]any{"principal": principal, "action": action, "resource": resource}
}

func with(m map[string]any, more ...any) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = v
	}
	for i := 0; i < len(more); i += 2 {
		out[more[i].(string)] = more[i+1]
	}
	return out
}

func TestADoorAnswersWithTheReason(t *testing.T) {
	a := newAsking(t)
	for name, c := range map[string]struct {
		question map[string]any
		decision string
		reason   string
	}{
		"allowed":          {about(session, "storage:GetObject", "arn:aws:storage:::cat"), "Allowed", ""},
		"implicitly":       {about(session, "storage:List", "arn:aws:storage:::cat"), "ImplicitDeny", "because no identity-based policy allows the storage:List action"},
		"explicitly":       {about(session, "storage:DropAll", "arn:aws:storage:::cat"), "ExplicitDeny", "with an explicit deny in an identity-based policy"},
		"by address":       {with(about(session, "storage:PutObject", "arn:aws:storage:::cat"), "context", map[string]any{"aws:SourceIp": []string{"10.1.2.3"}}), "Allowed", ""},
		"another address":  {with(about(session, "storage:PutObject", "arn:aws:storage:::cat"), "context", map[string]any{"aws:SourceIp": []string{"11.1.2.3"}}), "ImplicitDeny", "no identity-based policy"},
		"without address":  {about(session, "storage:PutObject", "arn:aws:storage:::cat"), "ImplicitDeny", "no identity-based policy"},
		"the user himself": {about("arn:aws:iam::111122223333:user/admin", "storage:DropAll", "arn:aws:storage:::cat"), "Allowed", ""},
		"its own resource policy": {with(about("arn:aws:iam::111122223333:user/photos", "storage:List", "arn:aws:storage:::cat"), "resourcePolicy",
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/photos"},"Action":"storage:List","Resource":"*"}}`), "Allowed", ""},
	} {
		d, r := a.ask(c.question)
		if d.Decision != c.decision || !strings.Contains(d.Reason, c.reason) || d.Allowed != (c.decision == "Allowed") || d.Proven {
			t.Errorf("%s: %s", name, r.body)
		}
	}
}

// TestADoorsCallerCannotAskOutsideItsRecord tries what a service's record, or
// its own policy, does not cover.
func TestADoorsCallerCannotAskOutsideItsRecord(t *testing.T) {
	a := newAsking(t)
	other := a.d.otherAccount()
	a.newUser(a.admin, "stranger", allowAll)
	plain := about(session, "storage:GetObject", "arn:aws:storage:::cat")
	for name, c := range map[string]struct {
		body map[string]any
		code string
	}{
		"another service's action":  {about(session, "queue:Send", "arn:aws:storage:::cat"), "AccessDenied"},
		"IAM's action":              {about(session, "iam:DeleteUser", "arn:aws:storage:::cat"), "AccessDenied"},
		"a pattern of actions":      {about(session, "storage:*", "arn:aws:storage:::cat"), "InvalidParameterValue"},
		"another service's ARN":     {about(session, "storage:GetObject", "arn:aws:queue:::q"), "AccessDenied"},
		"another account's user":    {about("arn:aws:iam::444455556666:root", "storage:GetObject", "arn:aws:storage:::cat"), "AccessDenied"},
		"somebody who is not there": {about("arn:aws:iam::111122223333:user/ghost", "storage:GetObject", "arn:aws:storage:::cat"), "NoSuchEntity"},
		"the principal's name":      {with(plain, "context", map[string]any{"aws:username": []string{"admin"}}), "AccessDenied"},
		"the principal's tag":       {with(plain, "context", map[string]any{"aws:PrincipalTag/team": []string{"a"}}), "AccessDenied"},
		"the time":                  {with(plain, "context", map[string]any{"AWS:CurrentTime": []string{"2020-01-01T00:00:00Z"}}), "AccessDenied"},
		"MFA":                       {with(plain, "context", map[string]any{"aws:MultiFactorAuthPresent": []string{"true"}}), "AccessDenied"},
		"another's condition key":   {with(plain, "context", map[string]any{"queue:Name": []string{"q"}}), "AccessDenied"},
		"no subject":                {map[string]any{"action": "storage:GetObject", "resource": "arn:aws:storage:::cat"}, "InvalidParameterCombination"},
		"two subjects":              {with(plain, "handle", "x"), "InvalidParameterCombination"},
		"a handle made by hand":     {map[string]any{"handle": "AAAA", "action": "storage:GetObject", "resource": "arn:aws:storage:::cat"}, "InvalidClientTokenId"},
		"an unknown member":         {with(plain, "admin", true), "MalformedInput"},
		"a revision of elsewhere":   {with(plain, "minRevision", "0000-1"), "InvalidParameterValue"},
		"no revision":               {with(plain, "minRevision", "now"), "InvalidParameterValue"},
		"a broken resource policy":  {with(plain, "resourcePolicy", `{"Version":"2012-10-17","Statement":[]}`), "MalformedPolicyDocument"},
	} {
		if d, r := a.ask(c.body); d.Error.Code != c.code || r.status < 400 {
			t.Errorf("%s: want %s: %d %s", name, c.code, r.status, r.body)
		}
	}
	for name, c := range map[string]credential{
		"nobody":             {},
		"an unregistered":    a.newUser(a.admin, "unregistered", allowAll),
		"another account":    other,
		"a role's session":   a.role,
		"a wrong secret":     {id: a.asker.id, secret: "wrong"},
		"without permission": a.unpermitted(),
	} {
		if r := a.door(c, "/holdfast/v1/authorize", plain); r.status != 403 {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
}

// unpermitted speaks for a service and may not ask.
func (a *asking) unpermitted() credential {
	c := a.newUser(a.admin, "quiet", "")
	a.d.serviceFor("quiet")
	return c
}

// TestAShownRequestIsProvenAgainstTheRecordNotAgainstItself shows clients'
// signed requests to the door, good and twisted.
func TestAShownRequestIsProvenAgainstTheRecordNotAgainstItself(t *testing.T) {
	a := newAsking(t)
	question := func(r map[string]any) map[string]any {
		return map[string]any{"request": r, "action": "storage:GetObject", "resource": "arn:aws:storage:::cat"}
	}
	good := a.signedFor(a.role, "storage", "photos.example.com")
	if d, r := a.ask(question(good)); !d.Allowed || !d.Proven || d.Principal != session {
		t.Fatalf("%s", r.body)
	}
	wrong := a.role
	wrong.secret = "x" + wrong.secret
	for name, c := range map[string]struct {
		request map[string]any
		code    string
	}{
		"signed for another host":    {a.signedFor(a.role, "storage", "evil.example.com"), "AccessDenied"},
		"signed for another service": {a.signedFor(a.role, "queue", "photos.example.com"), "SignatureDoesNotMatch"},
		"signed for us":              {a.signedFor(a.role, "holdfast", "photos.example.com"), "SignatureDoesNotMatch"},
		"another target":             {with(good, "target", "/b"), "SignatureDoesNotMatch"},
		"another method":             {with(good, "method", "DELETE"), "SignatureDoesNotMatch"},
		"a body that was not signed": {with(good, "body", []byte("x")), "SignatureDoesNotMatch"},
		"the wrong secret":           {a.signedFor(wrong, "storage", "photos.example.com"), "SignatureDoesNotMatch"},
		"body and hash":              {with(good, "body", []byte("x"), "payloadHash", strings.Repeat("0", 64)), "InvalidParameterCombination"},
	} {
		if d, r := a.ask(question(c.request)); d.Error.Code != c.code {
			t.Errorf("%s: want %s: %s", name, c.code, r.body)
		}
	}
}

func TestAHandleStandsForTheSessionAtItsOwnServiceOnly(t *testing.T) {
	a := newAsking(t)
	r := a.door(a.asker, "/holdfast/v1/authenticate", a.signedFor(a.role, "storage", "photos.example.com"))
	var proof struct {
		Handle, Principal string
		Expires           time.Time
	}
	if err := json.Unmarshal(r.body, &proof); err != nil || proof.Principal != session || time.Until(proof.Expires) > 15*time.Minute {
		t.Fatalf("%v %s", err, r.body)
	}
	question := map[string]any{"handle": proof.Handle, "action": "storage:GetObject", "resource": "arn:aws:storage:::cat"}
	if d, r := a.ask(question); !d.Allowed || !d.Proven {
		t.Errorf("%s", r.body)
	}
	if d, _ := a.ask(with(question, "handle", proof.Handle[:len(proof.Handle)-2]+"AA")); d.Error.Code != "InvalidClientTokenId" {
		t.Errorf("a changed handle: %+v", d)
	}
	neighbour := a.newUser(a.admin, "neighbour", allowAll)
	a.d.serviceFor("neighbour")
	if r := a.door(neighbour, "/holdfast/v1/authorize", question); !strings.Contains(string(r.body), "InvalidClientTokenId") {
		t.Errorf("another service uses the handle: %s", r.body)
	}
	a.made(a.iam(a.admin, "DeleteRolePolicy", "RoleName", "reader", "PolicyName", "p"))
	if d, r := a.ask(question); d.Allowed {
		t.Errorf("the handle outlived the permission: %s", r.body)
	}
}

func TestABatchAnswersEachQuestionInItsPlace(t *testing.T) {
	a := newAsking(t)
	d, r := a.ask(map[string]any{"principal": session, "resource": "arn:aws:storage:::cat", "questions": []any{
		map[string]any{"action": "storage:GetObject"}, map[string]any{"action": "queue:Send"}, map[string]any{"action": "storage:DropAll"}}})
	if len(d.Answers) != 3 || d.Answers[0].Decision != "Allowed" || d.Answers[1].Error == nil || d.Answers[1].Error.Code != "AccessDenied" || d.Answers[2].Decision != "ExplicitDeny" {
		t.Errorf("%s", r.body)
	}
	many := make([]any, 1001)
	for i := range many {
		many[i] = map[string]any{"action": "storage:GetObject"}
	}
	if d, r := a.ask(map[string]any{"principal": session, "resource": "arn:aws:storage:::cat", "questions": many[:1000]}); len(d.Answers) != 1000 {
		t.Errorf("a batch of a thousand: %.200s", r.body)
	}
	if d, r := a.ask(map[string]any{"principal": session, "resource": "arn:aws:storage:::cat", "questions": many}); d.Error.Code != "InvalidParameterValue" {
		t.Errorf("a batch of 1001: %.200s", r.body)
	}
}

func TestAnExplainedDenialCanBeDecodedByWhoMay(t *testing.T) {
	a := newAsking(t)
	d, r := a.ask(with(about(session, "storage:PutObject", "arn:aws:storage:::cat"), "explain", true))
	if d.Decision != "ImplicitDeny" || d.EncodedMessage == "" || len(d.Considered) != 1 || d.Considered[0].Failed != "IpAddress aws:SourceIp" {
		t.Fatalf("%s", r.body)
	}
	text := a.made(a.sts(a.admin, "DecodeAuthorizationMessage", "EncodedMessage", d.EncodedMessage)).element("DecodedMessage")
	for _, want := range []string{"storage:PutObject", session, "&quot;allowed&quot;:false"} {
		if !strings.Contains(text, want) {
			t.Errorf("the message does not hold %s: %s", want, text)
		}
	}
	if code := a.sts(a.asker, "DecodeAuthorizationMessage", "EncodedMessage", d.EncodedMessage).code(); code != "AccessDenied" {
		t.Errorf("without permission: %q", code)
	}
	if code := a.sts(a.d.otherAccount(), "DecodeAuthorizationMessage", "EncodedMessage", d.EncodedMessage).code(); code != "InvalidAuthorizationMessageException" {
		t.Errorf("in another account: %q", code)
	}
}

// TestDecisionsOverGRPC asks all that HTTP can ask, by Bearer and by a signed
// opening.
func TestDecisionsOverGRPC(t *testing.T) {
	a := newAsking(t)
	conn, err := grpc.NewClient(a.d.addresses().Regions[0].Decide, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := nativepb.NewDecisionsClient(conn)
	bearer := a.made(a.iam(a.admin, "CreateServiceSpecificCredential", "UserName", "photos", "ServiceName", "holdfast.amazonaws.com")).element("ServiceCredentialSecret")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	proven := metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+bearer)
	question := &nativepb.Question{Principal: session, Action: "storage:GetObject", Resource: "arn:aws:storage:::cat"}

	for name, c := range map[string]context.Context{"nothing": ctx, "a Bearer made by hand": metadata.AppendToOutgoingContext(ctx, "authorization", bearer[:4]+"x"),
		"two Bearers": metadata.AppendToOutgoingContext(proven, "authorization", "Bearer "+bearer)} {
		if _, err := client.Authorize(c, question); status.Code(err) != codes.Unauthenticated && status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: %v", name, err)
		}
	}
	var header metadata.MD
	answer, err := client.Authorize(proven, question, grpc.Header(&header))
	if err != nil || answer.Decision != nativepb.Decision_DECISION_ALLOWED || len(header.Get("x-holdfast-revision")) != 1 {
		t.Fatalf("%v %v %v", answer, err, header)
	}
	if _, err := client.Authorize(proven, &nativepb.Question{Principal: session, Action: "queue:Send", Resource: "arn:aws:storage:::cat"}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("outside the record: %v", err)
	}
	shown := a.signedFor(a.role, "storage", "photos.example.com")
	proof, err := client.Authenticate(proven, protoRequest(shown))
	if err != nil || proof.Principal != session {
		t.Fatalf("%v %v", proof, err)
	}
	batch, err := client.AuthorizeBatch(proven, &nativepb.Batch{Shared: &nativepb.Question{Handle: proof.Handle, Resource: "arn:aws:storage:::cat"},
		Questions: []*nativepb.Question{{Action: "storage:GetObject"}, {Action: "storage:DropAll"}, {Action: "queue:Send"}}})
	if err != nil || len(batch.Answers) != 3 || batch.Answers[0].Decision != nativepb.Decision_DECISION_ALLOWED ||
		batch.Answers[1].Decision != nativepb.Decision_DECISION_EXPLICIT_DENY || batch.Answers[2].Error == nil {
		t.Errorf("%v %v", batch, err)
	}
	a.streams(ctx, client, question)
}

func protoRequest(shown map[string]any) *nativepb.SignedRequest {
	r := &nativepb.SignedRequest{Method: shown["method"].(string), Target: shown["target"].(string), Host: shown["host"].(string)}
	for _, h := range shown["headers"].([][2]string) {
		r.Headers = append(r.Headers, &nativepb.Field{Name: h[0], Value: h[1]})
	}
	return r
}

// streams opens a stream with a signed caller, asks on it, and has the
// caller's key deleted in the middle.
func (a *asking) streams(ctx context.Context, client nativepb.DecisionsClient, question *nativepb.Question) {
	t := a.t
	t.Helper()
	open := func(target string) (nativepb.Decisions_AuthorizeStreamClient, *nativepb.SignedRequest) {
		req := &sigv4.Request{Method: "GET", RawPath: target, Host: "decide.example.com"}
		if err := sigv4.Sign(req, a.asker.id, a.asker.secret, "", "us-east-1", "holdfast", time.Now(), sigv4.Own); err != nil {
			t.Fatal(err)
		}
		caller := &nativepb.SignedRequest{Method: "GET", Target: target, Host: "decide.example.com"}
		for _, h := range req.Header {
			caller.Headers = append(caller.Headers, &nativepb.Field{Name: h.Name, Value: h.Value})
		}
		stream, err := client.AuthorizeStream(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return stream, caller
	}
	exchange := func(stream nativepb.Decisions_AuthorizeStreamClient, in *nativepb.StreamQuestion) (*nativepb.Answer, error) {
		if err := stream.Send(in); err != nil {
			return nil, err
		}
		return stream.Recv()
	}
	stream, caller := open("/holdfast/v1/authorize")
	if _, err := exchange(stream, &nativepb.StreamQuestion{Caller: caller, Question: question}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a stream opened with another signed request: %v", err)
	}
	stream, _ = open("/holdfast/v1/caller")
	if _, err := exchange(stream, &nativepb.StreamQuestion{Question: question}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a stream without a caller: %v", err)
	}
	stream, caller = open("/holdfast/v1/caller")
	in := &nativepb.StreamQuestion{Caller: caller, Question: question}
	for i := range 20 {
		answer, err := exchange(stream, in)
		if err != nil || answer.Decision != nativepb.Decision_DECISION_ALLOWED {
			t.Fatalf("question %d: %v %v", i, answer, err)
		}
		in = &nativepb.StreamQuestion{Question: question}
	}
	a.made(a.iam(a.admin, "DeleteAccessKey", "UserName", "photos", "AccessKeyId", a.asker.id))
	if answer, err := exchange(stream, in); err == nil {
		t.Errorf("the stream outlived its caller's key: %v", answer)
	}
}

// TestDoorsRefuseWhatIsMalformed sends what no client of ours would.
func TestDoorsRefuseWhatIsMalformed(t *testing.T) {
	a := newAsking(t)
	post := func(path, body string) *reply {
		return a.must(a.send(a.asker, "holdfast", "POST", path, map[string]string{"Content-Type": "application/json"}, []byte(body)))
	}
	plain := `"principal":"` + session + `","action":"storage:GetObject","resource":"arn:aws:storage:::cat"`
	big := func(n int) string {
		head := `{` + plain + `,"resourcePolicy":"`
		return head + strings.Repeat("x", n-len(head)-2) + `"}`
	}
	for name, c := range map[string]struct {
		path, body string
		status     int
	}{
		"good":                    {"/holdfast/v1/authorize", `{` + plain + `}`, 200},
		"nothing":                 {"/holdfast/v1/authorize", ``, 400},
		"no JSON":                 {"/holdfast/v1/authorize", `principal=admin`, 400},
		"two values":              {"/holdfast/v1/authorize", `{` + plain + `}{}`, 400},
		"a member twice":          {"/holdfast/v1/authorize", `{` + plain + `,"principal":"arn:aws:iam::111122223333:user/admin"}`, 400},
		"a member twice by case":  {"/holdfast/v1/authorize", `{` + plain + `,"Principal":"arn:aws:iam::111122223333:user/admin"}`, 400},
		"nested deep":             {"/holdfast/v1/authorize", `{` + plain + `,"context":` + strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40) + `}`, 400},
		"a body at the limit":     {"/holdfast/v1/authorize", big(1 << 20), 400}, // the policy is too long, the body is not
		"a body above the limit":  {"/holdfast/v1/authorize", big(1<<20 + 1), 413},
		"another path":            {"/holdfast/v1/nothing", `{}`, 400},
		"AuthZEN without subject": {"/access/v1/evaluation", `{"action":{"name":"storage:GetObject"},"resource":{"type":"arn","id":"arn:aws:storage:::cat"}}`, 400},
	} {
		if r := post(c.path, c.body); r.status != c.status {
			t.Errorf("%s: want %d: %d %.300s", name, c.status, r.status, r.body)
		}
	}
	keys := map[string]any{}
	for i := range 101 {
		keys[fmt.Sprintf("aws:SourceIp%d", i)] = []string{"1.1.1.1"}
	}
	if d, r := a.ask(with(about(session, "storage:GetObject", "arn:aws:storage:::cat"), "context", keys)); d.Error.Code != "InvalidParameterValue" {
		t.Errorf("101 context keys: %s", r.body)
	}
}
