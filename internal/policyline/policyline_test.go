package policyline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

const (
	alice = `{"type":"AWS","arn":"arn:aws:iam::111122223333:user/alice"}`
	allow = `{"name":"p","document":{"Version":"2012-10-17","Statement":{"Sid":"s","Effect":"Allow","Action":"*","Resource":"*"}}}`
)

// line is a case of alice's with these policies.
func line(id, policies string) string {
	return fmt.Sprintf(`{"id":%s,"request":{"principal":%s,"action":"a:b","resource":"*","context":{"k:v":["x",1,true],"k:n":null}},"policies":{%s}}`, id, alice, policies)
}

func run(t *testing.T, l Laboratory, in string) []string {
	t.Helper()
	var out bytes.Buffer
	if err := l.Run(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func TestEveryLineIsAnsweredInOrderAndABadOneIsNoStop(t *testing.T) {
	got := run(t, Laboratory{}, strings.Join([]string{
		line(`1`, `"identity":[`+allow+`]`),
		line(`"two"`, `"identity":[`+allow+`],"boundary":[]`),
		`not json`,
		``,
		line(`5`, `"identity":[{"name":"p","document":{"Statment":[]}}]`) + "\r",
		line(`{"a":`+"\r"+` [6]}`, `"identity":[`+allow+`],"session":null`),
	}, "\n"))
	want := []string{
		`{"id":1,"decision":"Allowed","decidedBy":"identity-based policy","matchedStatements":["p/s"]}`,
		`{"id":"two","decision":"ImplicitDeny","decidedBy":"permissions boundary","matchedStatements":[]}`,
		`{"error":{"code":"InvalidInput","message":"an object is expected (at byte 0)"}}`,
		`{"error":{"code":"InvalidInput","message":"the line ends early: an object is expected (at byte 0)"}}`,
		`{"id":5,"error":{"code":"MalformedPolicyDocument","message":"policies.identity[0].document: policy \"p\": unknown element \"Statment\"; a policy has Version, Id and Statement (at byte 223)"}}`,
		`{"id":{"a": [6]},"decision":"Allowed","decidedBy":"identity-based policy","matchedStatements":["p/s"]}`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestACaseIsReadStrictlyAndAComplaintNamesThePlaceAndTheCase(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"no object", `[]`, `an object is expected (at byte 0)`},
		{"no end", `{"id":1`, `a comma or a closing brace is expected`},
		{"more behind it", `{"id":1,"request":{"principal":{"type":"Anonymous"},"action":"a:b"}} x`, `nothing may follow the case (at byte 69)`},
		{"comma at the end", `{"id":1,}`, `the name of a member must be a text (at byte 8)`},
		{"unknown member", `{"id":1,"requests":{}}`, `requests: the member is unknown here; known are id, request, policies (at byte 8)`},
		{"a member in other letters", `{"id":1,"Request":{}}`, `Request: the member is unknown here`},
		{"a member twice", `{"id":1,"request":{"action":"a:b","action":"a:c"}}`, `request.action: the member stands twice (at byte 34)`},
		{"id twice", `{"id":1,"id":2}`, `id: the member stands twice`},
		{"wrong type of a text", `{"id":1,"request":{"action":["a:b"]}}`, `request.action: an action must be a text (at byte 28)`},
		{"no request", `{"id":1}`, `the case has no request`},
		{"request is null", `{"id":1,"request":null}`, `the case has no request`},
		{"no principal", `{"id":1,"request":{"action":"a:b"}}`, `request: the principal is missing (at byte 18)`},
		{"no action", `{"id":1,"request":{"principal":{"type":"Anonymous"}}}`, `request: the action is missing (at byte 18)`},
		{"unknown principal", `{"id":1,"request":{"principal":{"type":"Aws","arn":"x"}}}`, `request.principal: principal type "Aws" is not AWS, Service`},
		{"no type", `{"id":1,"request":{"principal":{}}}`, `request.principal: the principal's type is missing`},
		{"nobody's ARN", `{"id":1,"request":{"principal":{"type":"AWS"}}}`, `request.principal: the principal's arn is missing`},
		{"root of nothing", `{"id":1,"request":{"principal":{"type":"RootUser"}}}`, `request.principal: the root user's account is missing`},
		{"a key twice by case", `{"id":1,"request":{"context":{"aws:A":"x","AWS:a":"y"}}}`, `request.context.AWS:a: the key stands twice`},
		{"an object as a value", `{"id":1,"request":{"context":{"k:v":{}}}}`, `request.context.k:v: the value of a key must be a text, a number or a boolean`},
		{"null in a list", `{"id":1,"request":{"context":{"k:v":["x",null]}}}`, `request.context.k:v[1]: every value of a key must be`},
		{"no number", `{"id":1,"request":{"context":{"k:v":01}}}`, `request.context.k:v: the value of a key must be`},
		{"an unknown type of policy", `{"id":1,"policies":{"scp":[]}}`, `policies.scp: the member is unknown here`},
		{"policies that are no list", `{"id":1,"policies":{"identity":{}}}`, `policies.identity: a list of policies is expected`},
		{"SCPs without levels", `{"id":1,"policies":{"serviceControl":[{}]}}`, `policies.serviceControl[0]: a list of policies is expected`},
		{"no document", `{"id":1,"policies":{"identity":[{"name":"p"}]}}`, `policies.identity[0]: the document is missing`},
		{"a document in quotes", `{"id":1,"policies":{"identity":[{"document":"{}"}]}}`, `policies.identity[0].document: an object is expected (at byte 44)`},
		{"a document without end", `{"id":1,"policies":{"identity":[{"document":{"Version":"`, `policies.identity[0]: the line ends early: a comma or a closing brace is expected`},
		{"a bad document at a level", `{"id":1,"policies":{"resourceControl":[[],[{"document":{"Version":"x","Version":"y"}}]]}}`,
			`policies.resourceControl[1][0].document: the member \"Version\" stands twice`},
		{"half a surrogate pair", `{"id":1,"request":{"action":"\ud800"}}`, `the text has half of a surrogate pair`},
		{"an escape that is none", `{"id":1,"request":{"action":"\x"}}`, `the text has an escape that is none of JSON`},
		{"a control character", "{\"id\":1,\"request\":{\"action\":\"\t\"}}", `must be escaped`},
		{"a long name", `{"id":1,"policies":{"identity":[{"name":"` + strings.Repeat("n", maxName+1) + `","document":{}}]}}`, `a policy's name is longer than 1024 bytes`},
		{"the id behind the fault", `{"request":{"action":7},"id":1}`, `request.action: an action must be a text`},
	} {
		var a struct {
			ID    int
			Error struct{ Code, Message string }
		}
		if err := json.Unmarshal(Answer([]byte(c.line)), &a); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want := strings.ReplaceAll(c.want, `\"`, `"`)
		if !strings.Contains(a.Error.Message, want) || a.Error.Code == "" {
			t.Errorf("%s:\n got  %s %s\n want %s", c.name, a.Error.Code, a.Error.Message, want)
		}
		if asked := c.line != "[]"; asked != (a.ID == 1) {
			t.Errorf("%s: the answer is for %d", c.name, a.ID)
		}
	}
	if got := string(Answer([]byte("{\"id\":\"\xff\"}"))); !strings.Contains(got, "the line is not UTF-8") {
		t.Errorf("bytes that are no text: %s", got)
	}
	many := strings.Builder{}
	for i := range maxKeys + 1 {
		fmt.Fprintf(&many, `"k:%d":"",`, i)
	}
	if got := string(Answer([]byte(`{"request":{"context":{` + many.String() + `"k:v":""}}}`))); !strings.Contains(got, "at most 1000 keys") {
		t.Errorf("too many keys: %s", got)
	}
}

func TestTheIDOfALineThatCannotBeReadIsToldWhereItCanBeFound(t *testing.T) {
	for in, want := range map[string]string{
		`{"request":{"action":7},"id":"x"}`:                 `{"id":"x","error"`,
		`{"id":"x","request":}`:                             `{"id":"x","error"`,
		`{"id":{"a":"}"},"policies":[]}`:                    `{"id":{"a":"}"},"error"`,
		`{"policies":{"identity":"\"id\":"},"id":7,"x":{}}`: `{"id":7,"error"`,
		`{"x":1`: `{"error"`, `{"id":}`: `{"error"`, `{"id":tru}`: `{"error"`,
	} {
		if got := string(Answer([]byte(in))); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", in, got)
		}
	}
}

func TestAnAnswerWaitsForNoLaterLine(t *testing.T) {
	in, ask := io.Pipe()
	answers, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- Laboratory{}.Run(in, out)
		out.Close()
	}()
	lines := json.NewDecoder(answers)
	for i := range 20 {
		if _, err := io.WriteString(ask, line(fmt.Sprint(i), `"identity":[`+allow+`]`)+"\n"); err != nil {
			t.Fatal(err)
		}
		var a struct{ ID int }
		if err := lines.Decode(&a); err != nil || a.ID != i {
			t.Fatalf("line %d: %v %v", i, a, err)
		}
	}
	ask.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// chunks gives its text in pieces of random sizes, as a pipe does.
type chunks struct {
	text []byte
	r    *rand.Rand
}

func (c *chunks) Read(b []byte) (int, error) {
	if len(c.text) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.text[:min(len(c.text), 1+c.r.IntN(3000))])
	c.text = c.text[n:]
	return n, nil
}

func TestManyWorkersAnswerInTheOrderOfTheLinesAsOneWould(t *testing.T) {
	var in, want bytes.Buffer
	for i := range 3000 {
		policies := fmt.Sprintf(`"identity":[{"name":"n%d","document":{"Statement":{"Sid":"s%d","Effect":"Allow","Action":"a:%c","Resource":"*"}}}]`, i, i%70, "bc"[i%2])
		if i%50 == 0 {
			policies = `"identity":[{}]`
		}
		one := line(fmt.Sprint(i), policies)
		in.WriteString(one + "\n")
		want.Write(append(Answer([]byte(one)), '\n'))
	}
	for _, workers := range []int{0, 1, 7} {
		var out bytes.Buffer
		if err := (Laboratory{Workers: workers}).Run(&chunks{in.Bytes(), rand.New(rand.NewPCG(1, 1))}, &out); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want.Bytes()) {
			t.Errorf("%d workers: the answers are not those of one line after the other", workers)
		}
	}
}

func TestALineThatIsTooLongIsRefusedAndTheNextOneAnswered(t *testing.T) {
	good := line(`"good"`, `"identity":[`+allow+`]`)
	long := `{"id":"` + strings.Repeat("x", 5*maxLine) + `"}`
	whole := `{"id":"` + strings.Repeat("x", maxLine-9) + `"}`
	got := run(t, Laboratory{}, strings.Join([]string{good, long, good, whole, whole + " ", good, long}, "\n"))
	want := []string{"Allowed", "is longer than", "Allowed", "has no request", "is longer than", "Allowed", "is longer than"}
	if len(got) != len(want) {
		t.Fatalf("%d answers, want %d", len(got), len(want))
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("line %d: want %q in %.200s", i, want[i], got[i])
		}
	}
}

func TestWhatCannotBeReadOrWrittenIsAnError(t *testing.T) {
	broken := errors.New("broken")
	if err := (Laboratory{}).Run(iotest.ErrReader(broken), io.Discard); !errors.Is(err, broken) {
		t.Errorf("reading: %v", err)
	}
	in, ask := io.Pipe()
	go func() {
		defer ask.Close()
		for range 1000 {
			if _, err := io.WriteString(ask, "{}\n"); err != nil {
				return
			}
		}
	}()
	closed, out := io.Pipe()
	closed.CloseWithError(broken)
	if err := (Laboratory{}).Run(in, out); !errors.Is(err, broken) {
		t.Errorf("writing: %v", err)
	}
	in.Close()
}

const explained = `"identity":[{"name":"p","document":{"Version":"2012-10-17","Statement":[` +
	`{"Sid":"Net","Effect":"Allow","Action":"a:b","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}},` +
	`{"Effect":"Allow","Action":"a:b","Resource":"*","Condition":{"StringEquals":{"k:v":"z"}}},` +
	`{"Effect":"Allow","Action":"a:c","Resource":"*"}]}}],"boundary":[` + allow + `]`

func TestAnExplanationTellsWhatMatchedAndWhatWouldHaveButForACondition(t *testing.T) {
	got := run(t, Laboratory{Explain: true}, line(`1`, explained))[0]
	want := `{"id":1,"decision":"ImplicitDeny","decidedBy":"identity-based policy","matchedStatements":[],` +
		`"reason":"User: arn:aws:iam::111122223333:user/alice is not authorized to perform: a:b because no identity-based policy allows the a:b action",` +
		`"considered":[{"policy":"p","statement":"Net","type":"identity-based policy","effect":"Allow","matched":false,"failed":"IpAddress aws:SourceIp","missingKey":true},` +
		`{"policy":"p","statement":"1","type":"identity-based policy","effect":"Allow","matched":false,"failed":"StringEquals k:v"},` +
		`{"policy":"p","statement":"s","type":"permissions boundary","effect":"Allow","matched":true}]}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	got = run(t, Laboratory{Explain: true}, line(`1`, ``))[0]
	if !strings.HasSuffix(got, `,"considered":[]}`) {
		t.Errorf("nothing considered: %s", got)
	}
}

func TestAnswersForPeopleAreWords(t *testing.T) {
	got := strings.Join(run(t, Laboratory{Explain: true, Text: true}, strings.Join([]string{
		line(`"one"`, explained), line(`"t\u001bwo"`, `"identity":[`+allow+`]`), `{"id":3}`}, "\n")), "\n")
	want := `one: denied: User: arn:aws:iam::111122223333:user/alice is not authorized to perform: a:b because no identity-based policy allows the a:b action
  identity-based policy p/Net: Allow would match but for IpAddress aws:SourceIp, which the request lacks
  identity-based policy p/1: Allow would match but for StringEquals k:v
  permissions boundary p/s: Allow matches
t\u001bwo: allowed by identity-based policy
  identity-based policy p/s: Allow matches
3: error: the case has no request (at byte 0)`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPrincipalsAreWhatTheirARNsSay(t *testing.T) {
	resource := func(principal string) string {
		return `"resource":[{"name":"r","document":{"Statement":{"Effect":"Allow","Principal":` + principal + `,"Action":"*","Resource":"*"}}}]`
	}
	const session = `{"type":"AWS","arn":"arn:aws:sts::111122223333:assumed-role/R/s"}`
	for _, c := range []struct{ name, who, context, policies, want string }{
		{"a session is its role", session, ``, resource(`{"AWS":"arn:aws:iam::111122223333:role/R"}`), "Allowed"},
		{"with its path, which the context says", session, `"aws:principalARN":"arn:aws:iam::111122223333:role/p/R"`, resource(`{"AWS":"arn:aws:iam::111122223333:role/p/R"}`), "Allowed"},
		{"but not another role", session, `"aws:PrincipalArn":"arn:aws:iam::111122223333:role/Q"`, resource(`{"AWS":"arn:aws:iam::111122223333:role/Q"}`), "ImplicitDeny"},
		{"a user is no root", alice, ``, ``, "ImplicitDeny"},
		{"root by its ARN", `{"type":"AWS","arn":"arn:aws:iam::111122223333:root"}`, ``, ``, "Allowed"},
		{"root by its account", `{"type":"RootUser","accountId":"111122223333"}`, ``, ``, "Allowed"},
		{"a federated user without a session policy", `{"type":"AWS","arn":"arn:aws:sts::111122223333:federated-user/f"}`, ``, `"identity":[` + allow + `]`, "ImplicitDeny"},
		{"a service", `{"type":"Service","arn":"x.amazonaws.com"}`, ``, resource(`{"Service":"x.amazonaws.com"}`), "Allowed"},
		{"nobody", `{"type":"Anonymous","arn":"arn:aws:iam::111122223333:root"}`, ``, ``, "ImplicitDeny"},
		{"a service-linked role and an SCP", `{"type":"AWS","arn":"arn:aws:iam::111122223333:role/aws-service-role/x/R"}`, ``, `"identity":[` + allow + `],"serviceControl":[[]]`, "Allowed"},
		{"another role and an SCP", `{"type":"AWS","arn":"arn:aws:iam::111122223333:role/R"}`, ``, `"identity":[` + allow + `],"serviceControl":[[]]`, "ImplicitDeny"},
	} {
		got := string(Answer([]byte(`{"request":{"principal":` + c.who + `,"action":"a:b","context":{` + c.context + `}},"policies":{` + c.policies + `}}`)))
		if !strings.Contains(got, `"decision":"`+c.want+`"`) {
			t.Errorf("%s: want %s, got %s", c.name, c.want, got)
		}
	}
}

func TestAResourceIsOfTheAccountThatItsARNNamesUnlessTheCaseSaysOtherwise(t *testing.T) {
	ask := func(resource, more string) string {
		return string(Answer([]byte(`{"request":{"principal":` + alice + `,"action":"sqs:SendMessage","resource":"` + resource + `"` + more + `},"policies":{"identity":[` + allow + `]}}`)))
	}
	for _, c := range []struct{ resource, more, want string }{
		{"arn:aws:sqs:us-east-1:111122223333:q", ``, "Allowed"},
		{"arn:aws:sqs:us-east-1:444455556666:q", ``, "ImplicitDeny"},
		{"arn:aws:sqs:us-east-1:444455556666:q", `,"resourceAccount":"111122223333"`, "Allowed"},
		{"arn:aws:s3:::b", `,"resourceAccount":"444455556666"`, "ImplicitDeny"},
		{"arn:aws:s3:::b", ``, "Allowed"}, {"arn:aws:iam::aws:policy/P", ``, "Allowed"}, {"*", ``, "Allowed"},
	} {
		if got := ask(c.resource, c.more); !strings.Contains(got, `"decision":"`+c.want+`"`) {
			t.Errorf("%s%s: want %s, got %s", c.resource, c.more, c.want, got)
		}
	}
}

func TestKeptDocumentsAreBoundedAndExact(t *testing.T) {
	var d documents
	text := func(i int) string {
		return fmt.Sprintf(`{"Id":"%d%s","Statement":{"Sid":"s%d","Effect":"Allow","Action":"*","Resource":"*"}}`, i, strings.Repeat(" ", 10000), i)
	}
	for i := range 3 * maxKept / 10000 {
		for range 2 {
			if _, err := d.compile(text(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	size := 0
	for _, kept := range []map[string]bool{keys(d.young), keys(d.old)} {
		for k := range kept {
			size += len(k)
		}
	}
	if size > 2*maxKept || size < maxKept/2 {
		t.Errorf("%d bytes are kept", size)
	}
	last := text(3*maxKept/10000 - 1)
	a, _ := d.compile(last)
	if b, _ := d.compile(strings.Clone(last)); a != b {
		t.Error("an equal text is compiled again")
	}
	if b, _ := d.compile(last + " "); a == b {
		t.Error("another text is taken for it")
	}
	before := len(d.young)
	for i := range 100 {
		if _, err := d.compile(fmt.Sprintf(`{"Id":"once %d"}`, i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.young) != before {
		t.Error("what was met once is kept")
	}
}

func keys[V any](m map[string]V) map[string]bool {
	list := map[string]bool{}
	for k := range m {
		list[k] = true
	}
	return list
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"id":1,"request":{},"policies":{}}`))
	f.Add([]byte(line(`"\u00e9"`, explained)))
	f.Add([]byte(line(`[1]`, `"serviceControl":[[`+allow+`],[]],"endpoint":null`)))
	f.Fuzz(func(t *testing.T, line []byte) {
		a := Answer(line)
		var told struct{ Decision, DecidedBy string }
		if bytes.ContainsAny(a, "\r\n") || json.Unmarshal(a, &told) != nil {
			t.Fatalf("%q", a)
		}
		if told.Decision != "" && !json.Valid(line) {
			t.Fatalf("decided on what is no JSON: %q", a)
		}
		for _, l := range []Laboratory{{Explain: true}, {Explain: true, Text: true}} {
			if more := l.answer(new(question), nil, string(line)); !bytes.HasSuffix(more, []byte("\n")) {
				t.Fatalf("%q", more)
			}
		}
	})
}
