package wire_test

import (
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/wire"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	iamNamespace = "https://iam.amazonaws.com/doc/2010-05-08/"
	stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"
	requestID    = "7a62c49f-347e-4fc4-9331-6e8eEXAMPLE"
)

type user struct {
	Path             string
	UserName         string
	UserID           string `q:"name=UserId"`
	Arn              string
	CreateDate       time.Time
	PasswordLastUsed *time.Time
	Tags             []outTag `q:"omitempty"`
}

type outTag struct{ Key, Value string }

type pageOut struct {
	IsTruncated bool
	Marker      string `q:"omitempty"`
}

type (
	createUserOut struct{ User *user }
	listUsersOut  struct {
		Users []user
		pageOut
	}
	summaryOut struct{ SummaryMap map[string]int }
	policyOut  struct {
		UserName, PolicyName string
		PolicyDocument       wire.Document
	}
	simulateOut struct {
		EvaluationResults []struct {
			EvalActionName      string
			EvalDecisionDetails map[string]string `q:"omitempty"`
			MissingContext      []string
		}
	}
	callerOut struct {
		Arn, Account string
		UserID       string `q:"name=UserId"`
	}
	reportOut struct {
		Content       []byte
		GeneratedTime time.Time
		Size          *int32
	}
)

var (
	born = time.Date(2026, 2, 3, 4, 5, 6, 789e6, time.FixedZone("", 3600))
	bob  = user{Path: "/", UserName: "bob", UserID: "AIDAEXAMPLE", Arn: "arn:aws:iam::111122223333:user/bob", CreateDate: born,
		Tags: []outTag{{"team", `a&b <"'> c`}, {"", ""}}}
)

// answers are the outputs with golden files.
var answers = []struct {
	operation, namespace string
	out                  any
}{
	{"CreateUser", iamNamespace, &createUserOut{&bob}},
	{"ListUsers", iamNamespace, &listUsersOut{Users: []user{bob, {Path: "/x/", UserName: "eve", PasswordLastUsed: &born}}, pageOut: pageOut{true, "m=="}}},
	{"ListGroups", iamNamespace, &struct {
		Groups []user
		pageOut
	}{}},
	{"DeleteUser", iamNamespace, nil},
	{"UpdateRole", iamNamespace, &struct{}{}},
	{"GetAccountSummary", iamNamespace, &summaryOut{map[string]int{"Users": 3, "AccessKeysPerUserQuota": 2, "Roles": 0}}},
	{"GetUserPolicy", iamNamespace, &policyOut{"bob", "p", `{"Statement": [{"Action": "s3:*+é~"}]}`}},
	{"SimulatePrincipalPolicy", iamNamespace, &simulateOut{[]struct {
		EvalActionName      string
		EvalDecisionDetails map[string]string `q:"omitempty"`
		MissingContext      []string
	}{{"s3:Get", map[string]string{"b": "allowed", "a": "implicitDeny"}, nil}, {"s3:Put", nil, []string{"aws:x", "aws:y"}}}}},
	{"GetCallerIdentity", stsNamespace, callerOut{"arn:aws:iam::111122223333:user/bob", "111122223333", "AIDAEXAMPLE"}},
	{"GetCredentialReport", iamNamespace, &reportOut{Content: []byte("user,arn\n"), GeneratedTime: born}},
}

func encoderOf(operation, namespace string, out any) *wire.Encoder {
	if out == nil {
		return wire.NewEncoder(operation, namespace, nil)
	}
	kind := reflect.TypeOf(out)
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	return wire.NewEncoder(operation, namespace, kind)
}

func TestAnswersAreByteForByteTheGoldenOnes(t *testing.T) {
	for _, answer := range answers {
		e := encoderOf(answer.operation, answer.namespace, answer.out)
		golden(t, answer.operation+".xml", e.AppendXML(nil, answer.out, requestID))
		golden(t, answer.operation+".json", e.AppendJSON(nil, answer.out, requestID))
	}
}

func TestErrorsAreByteForByteTheGoldenOnes(t *testing.T) {
	failure := wire.Failure{Kind: fault.AccessDenied, Message: "User: <x> is \"not\" authorized\x00", RequestID: requestID,
		Namespace: iamNamespace, Resource: "/bucket/a&b"}
	for d, name := range map[wire.Dialect]string{
		wire.QueryXML: "error.query.xml", wire.QueryJSON: "error.query.json", wire.RestXML: "error.rest.xml",
		wire.JSON10: "error.json10.json", wire.JSON11: "error.json11.json", wire.EC2: "error.ec2.xml",
	} {
		golden(t, name, d.AppendError(nil, failure))
	}
	if got := wire.JSON11.ErrorTypeHeader(fault.AccessDenied); got != "AccessDeniedException" {
		t.Error(got)
	}
	if got := wire.JSON11.Kind(fault.AccessDenied).Status; got != 400 {
		t.Error(got)
	}
	if got := wire.QueryXML.Kind(fault.AccessDenied).Status; got != 403 {
		t.Error(got)
	}
}

// golden compares with a file, after checking that it is well-formed.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if strings.HasSuffix(name, ".json") && !json.Valid(got) {
		t.Errorf("%s is not JSON: %s", name, got)
	}
	if strings.HasSuffix(name, ".xml") {
		wellFormed(t, got)
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got)+"\n" != string(want) {
		t.Errorf("%s:\n got %s\nwant %s", name, got, want)
	}
}

func wellFormed(t *testing.T, document []byte) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(string(document)))
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("%v in %s", err, document)
		}
	}
}

func TestANilOutputStillHasItsResultElement(t *testing.T) {
	e := encoderOf("UpdateRole", iamNamespace, struct{}{})
	want := `<UpdateRoleResponse xmlns="` + iamNamespace + `"><UpdateRoleResult></UpdateRoleResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></UpdateRoleResponse>`
	for _, out := range []any{nil, (*struct{})(nil), struct{}{}} {
		if got := string(e.AppendXML(nil, out, "r")); got != want {
			t.Error(got)
		}
	}
}

// FuzzText holds the escaping to its promise: no text leaves its element.
func FuzzText(f *testing.F) {
	f.Add("plain")
	f.Add("</Arn><Arn>]]>&amp;\x00\r\n\t\u2028\xff\uFFFE")
	f.Add(`"},"Account":"999`)
	e := encoderOf("GetCallerIdentity", stsNamespace, callerOut{})
	type result struct {
		Arn, Account, UserId []string
	}
	f.Fuzz(func(t *testing.T, text string) {
		out := callerOut{Arn: text, Account: "1", UserID: text}
		var viaXML struct {
			Result struct{ Arn, Account, UserId []string } `xml:"GetCallerIdentityResult"`
		}
		if err := xml.Unmarshal(e.AppendXML(nil, out, text), &viaXML); err != nil {
			t.Fatal(err)
		}
		clean := strings.Map(func(r rune) rune {
			if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
				return 0xFFFD
			}
			return r
		}, string([]rune(text)))
		want := result{[]string{clean}, []string{"1"}, []string{clean}}
		if !reflect.DeepEqual(result(viaXML.Result), want) {
			t.Fatalf("XML: %q, want %q", viaXML.Result, want)
		}
		var viaJSON struct {
			GetCallerIdentityResponse struct {
				GetCallerIdentityResult struct{ Arn, Account, UserId string }
			}
		}
		if err := json.Unmarshal(e.AppendJSON(nil, out, text), &viaJSON); err != nil {
			t.Fatal(err)
		}
		if got := viaJSON.GetCallerIdentityResponse.GetCallerIdentityResult; got.Arn != string([]rune(text)) || got.Account != "1" {
			t.Fatalf("JSON: %q", got)
		}
	})
}

func BenchmarkGetCallerIdentityXML(b *testing.B) {
	e := encoderOf("GetCallerIdentity", stsNamespace, callerOut{})
	out := &callerOut{"arn:aws:iam::111122223333:user/bob", "111122223333", "AIDAEXAMPLE"}
	buffer := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buffer = e.AppendXML(buffer[:0], out, requestID)
	}
}

func BenchmarkGetCallerIdentityDecode(b *testing.B) {
	d := wire.NewDecoder(reflect.TypeFor[struct{}]())
	body := []byte("Action=GetCallerIdentity&Version=2011-06-15")
	b.ReportAllocs()
	for b.Loop() {
		f, err := wire.ParseForm("", body, maxBody)
		if err != nil {
			b.Fatal(err)
		}
		var in struct{}
		if err := d.Decode(f, &in); err != nil {
			b.Fatal(err)
		}
	}
}
