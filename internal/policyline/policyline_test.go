package policyline

import (
	"bytes"
	"strings"
	"testing"
)

const allow = `{"name":"p","document":{"Version":"2012-10-17","Statement":{"Sid":"s","Effect":"Allow","Action":"*","Resource":"*"}}}`

func TestEveryLineIsAnsweredInOrderAndABadOneIsNoStop(t *testing.T) {
	request := `"request":{"principal":{"type":"AWS","arn":"arn:aws:iam::1:user/a","accountId":"1"},"action":"a:b","resource":"*","context":{"k:v":["x",1,true]}}`
	in := strings.Join([]string{
		`{"id":1,` + request + `,"policies":{"identity":[` + allow + `]}}`,
		`{"id":"two",` + request + `,"policies":{"identity":[` + allow + `],"boundary":[]}}`,
		`not json`,
		`{"id":4,` + request + `,"policies":{"identity":[{"name":"p","document":{"Statment":[]}}]}}`,
	}, "\n")
	var out bytes.Buffer
	if err := Run(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{
		`{"id":1,"decision":"Allowed","decidedBy":"identity-based policy","matchedStatements":["p/s"]}`,
		`{"id":"two","decision":"ImplicitDeny","decidedBy":"permissions boundary"}`,
		`{"error":{"code":"InvalidInput"`,
		`{"id":4,"error":{"code":"MalformedPolicyDocument"`,
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d: want %s in\n%s", i, want, out.String())
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"id":1,"request":{},"policies":{}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if a := Answer(line); bytes.IndexByte(a, '\n') >= 0 || len(a) == 0 {
			t.Fatalf("%q", a)
		}
	})
}
