package policysuite

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// write makes files in a new directory and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTheExampleOfTheDocumentationPasses(t *testing.T) {
	var s Suite
	r, err := s.Run("../../docs/policy-tests/photos.test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Checks {
		if len(c.Faults) > 0 {
			t.Errorf("%s: %v", c.Case, c.Faults)
		}
	}
	if c := s.Coverage(); len(r.Checks) != 9 || c.Statements != 5 || c.Decided != 4 {
		t.Errorf("%d checks, %d of %d statements", len(r.Checks), c.Decided, c.Statements)
	}
	page, err := os.ReadFile("../../docs/policy-tests.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"photos.test.yaml", "reader.json"} {
		text, err := os.ReadFile("../../docs/policy-tests/" + name)
		if err != nil || !strings.Contains(string(page), strings.TrimSpace(string(text))) {
			t.Errorf("the page does not show %s as it is (%v)", name, err)
		}
	}
}

func TestReportsAreAsTheGoldenFilesHaveThem(t *testing.T) {
	var s Suite
	r, err := s.Run("testdata/report.test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	report := Report{Results: []*Result{r}, Coverage: s.Coverage(), MinCoverage: 90}
	for name, form := range map[string]func(*bytes.Buffer) error{
		"report.txt":  func(b *bytes.Buffer) error { return report.Text(b) },
		"report.json": func(b *bytes.Buffer) error { return report.JSON(b) },
		"report.xml":  func(b *bytes.Buffer) error { return report.JUnit(b) },
	} {
		var got bytes.Buffer
		if err := form(&got); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s (%v):\n%s", name, err, got.String())
		}
	}
	if report.Passed() || !report.Short() {
		t.Error("it passed")
	}
}

const head = `
principal: arn:aws:iam::111122223333:user/alice
policies: {identity: [{name: p, document: {Version: 2012-10-17, Statement: {Sid: S, Effect: Allow, Action: "a:*", Resource: "*"}}}]}
`

func TestABadFileIsAnErrorThatNamesThePlace(t *testing.T) {
	one := func(more string) string { return head + "cases:\n  - {name: n, action: a:b, " + more + "}\n" }
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "1:1: the file is empty"},
		{"no mapping", "- x", "1:1: a test file must be a mapping"},
		{"bad YAML", "a: 1\n  b: 2", "2:1: mapping values are not allowed in this context"},
		{"two documents", one("expect: allowed") + "---\na: 1\n", "6:1: a file has one document"},
		{"no cases", head, "2:1: the file has no cases"},
		{"empty cases", head + "cases: []", "the file has no cases"},
		{"unknown key", "tests: []", "1:1: a test file has no tests; it has cases, context, policies, principal, resourceAccount"},
		{"unknown key of a case", one("expect: allowed, actions: a:b"), "5:45: a case has no actions; it has action, "},
		{"a key twice", one("expect: allowed, expect: denied"), "5:45: expect stands twice"},
		{"no expectation", one("decidedBy: trust policy"), "5:5: the case does not say what to expect"},
		{"unknown expectation", one("expect: yes"), `5:36: expect is "yes"; known are allowed, denied, explicitDeny, implicitDeny`},
		{"unknown type", one("expect: allowed, decidedBy: identity"), `decidedBy is "identity"; known are identity-based policy, `},
		{"no name", head + "cases: [{action: a:b, expect: allowed}]", "4:9: the case has no name"},
		{"a name twice", head + "cases: [{name: n, action: a:b, expect: allowed}, {name: n, action: a:b, expect: allowed}]", `4:50: two cases have the name "n"`},
		{"no action", head + "cases: [{name: n, expect: allowed}]", "4:9: the case has no action"},
		{"no actions", head + "cases: [{name: n, action: [], expect: allowed}]", "action is empty"},
		{"a wildcard", head + `cases: [{name: n, action: "a:*", expect: allowed}]`, `action "a:*" is not service:Name without wildcards`},
		{"no principal", "cases: [{name: n, action: a:b, expect: allowed}]", "1:9: neither the case nor the file names a principal"},
		{"principal without ARN", one("expect: allowed, principal: alice"), `5:56: principal "alice" is no ARN`},
		{"two principals", one("expect: allowed, principal: {Service: x, AWS: y}"), "a principal is one: AWS, Service or Federated"},
		{"unknown principal", one("expect: allowed, principal: {User: x}"), "a principal has no User; it has AWS, Federated, Service"},
		{"null text", one("expect: null"), "expect must be a text"},
		{"context twice", one("expect: allowed, context: {aws:A: x, AWS:a: y}"), "AWS:a stands twice; keys have no case"},
		{"an object in the context", one("expect: allowed, context: {aws:A: {}}"), "aws:A must be a text"},
		{"unknown slot", one("expect: allowed, policies: {scp: []}"), "policies has no scp"},
		{"SCPs without levels", one("expect: allowed, policies: {serviceControl: [p.json]}"), "policies of a type must be a list"},
		{"a file that is not there", one("expect: allowed, policies: {identity: [nowhere.json]}"), "5:67: open "},
		{"no document", one("expect: allowed, policies: {identity: [{name: p}]}"), "the policy has no document"},
		{"a bad element in place", head + "cases:\n  - name: n\n    policies:\n      session:\n        - document:\n            Version: 2012-10-17\n            Statment: {}\n",
			`10:23: unknown element "Statment"`},
		{"an element twice in place", one("expect: allowed, policies: {identity: [{document: {Version: x, Version: x}}]}"), "the member \"Version\" stands twice"},
		{"what AWS would refuse", one("expect: allowed, policies: {identity: [{document: {Version: 2012-10-17, Statement: {Effect: Allow, Principal: \"*\", Action: \"*\", Resource: \"*\"}}}]}"),
			"5:78: AWS would refuse this as identity-based policy: Policy document should not specify a principal."},
		{"bad JSON file", one("expect: allowed, policies: {identity: [bad.json]}"), "bad.json:3:14: an object is expected"},
		{"bad YAML file", one("expect: allowed, policies: {identity: [bad.yaml]}"), "bad.yaml:3:3: unknown element \"Stat\""},
		{"aliases of aliases", "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n", "a test file has no a"},
		{"a bomb", one("expect: allowed, policies: {identity: [{document: {a: &a [1,1,1,1,1,1,1,1,1,1], b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a], c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b], d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c], e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d], f: [*e,*e,*e,*e,*e]}}]}"),
			"the file has too many parts"},
		{"a circle", one("expect: allowed, policies: {identity: [{document: &a {a: *a}}]}"), "the policy is nested too deep"},
		{"too many questions", head + "cases: [{name: n, action: [" + strings.Repeat("a:b,", 400) + "], resource: [" + strings.Repeat("r,", 400) + "], expect: allowed}]", "asks more than 100000 questions"},
	} {
		dir := write(t, map[string]string{"t.yaml": c.text, "bad.json": "{\n \"Version\": \"2012-10-17\",\n \"Statement\":\"", "bad.yaml": "Version: 2012-10-17\nStat:\n  - {}\n"})
		var s Suite
		_, err := s.Run(filepath.Join(dir, "t.yaml"))
		if placed := (*Error)(nil); err == nil || !strings.Contains(err.Error(), c.want) || !errors.As(err, &placed) {
			t.Errorf("%s:\n got  %v\n want %s", c.name, err, c.want)
		}
	}
	if _, err := new(Suite).Run("nowhere.yaml"); err == nil {
		t.Error("a file that is not there")
	}
}

func TestCasesSayOverTheFileAndNullTakesAway(t *testing.T) {
	const text = `
principal: arn:aws:iam::111122223333:user/team/alice
context: {aws:SourceIp: 10.0.0.1, k:list: [a, b], k:empty: []}
policies:
  identity:
    - name: p
      document: &all
        Version: 2012-10-17
        Statement: {Sid: All, Effect: Allow, Action: "a:*", Resource: "*", Condition: {IpAddress: {aws:SourceIp: 10.0.0.0/8}}}
  boundary: [{document: *all}]
cases:
  - {name: as the file says, action: a:b, expect: allowed, statement: p/All}
  - {name: another address, context: {AWS:sourceip: 192.0.2.1}, action: a:b, expect: implicitDeny, decidedBy: identity-based policy}
  - {name: without the key, context: {aws:SourceIp: null}, action: a:b, expect: implicitDeny}
  - {name: no boundary allows, policies: {boundary: []}, action: a:b, expect: denied, decidedBy: permissions boundary}
  - {name: no boundary at all, policies: {boundary: null}, action: a:b, expect: allowed}
  - {name: no policy, policies: {identity: null}, action: a:b, expect: denied}
  - {name: SCP of two levels, policies: {serviceControl: [[{document: *all}], []]}, action: a:b, expect: denied, decidedBy: service control policy}
  - {name: no level of RCPs, policies: {resourceControl: []}, action: a:b, expect: denied, decidedBy: resource control policy}
  - {name: root has every right, principal: "arn:aws:iam::111122223333:root", policies: {identity: null, boundary: null}, action: x:y, expect: allowed}
  - {name: nobody has none, principal: anonymous, action: a:b, expect: denied, decidedBy: resource-based policy}
  - {name: another account's, resourceAccount: 444455556666, action: a:b, expect: denied, decidedBy: resource-based policy}
  - name: keys of the principal
    policies: {boundary: null, identity: [{name: q, document: {Version: 2012-10-17, Statement: {Sid: Mine, Effect: Allow, Action: "a:*", Resource: "arn:aws:a:::${aws:username}",
      Condition: {StringEquals: {aws:PrincipalAccount: 111122223333, aws:PrincipalType: User}, ArnEquals: {aws:PrincipalArn: "arn:aws:iam::*:user/team/alice"}}}}}]}
    action: a:b
    resource: arn:aws:a:::alice
    expect: allowed
  - {name: but another's no more, principal: "arn:aws:iam::111122223333:user/bob", action: a:b, resource: "*", expect: allowed}
  - name: a role's trust policy
    principal: {Service: x.amazonaws.com}
    policies: {identity: null, boundary: null, resource: [{name: t, document: {Version: 2012-10-17, Statement: {Sid: Trust, Effect: Allow, Principal: {Service: x.amazonaws.com}, Action: sts:AssumeRole}}}]}
    action: sts:AssumeRole
    resource: arn:aws:iam::111122223333:role/R
    expect: allowed
    statement: Trust
`
	var s Suite
	r, err := s.Run(filepath.Join(write(t, map[string]string{"t.yaml": text}), "t.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Checks) != 14 {
		t.Errorf("%d checks", len(r.Checks))
	}
	for _, c := range r.Checks {
		if len(c.Faults) > 0 {
			t.Errorf("%s: %v %s %v", c.Case, c.Faults, c.Reason, c.Considered)
		}
	}
}

func TestWhatIsNotAsExpectedIsAFault(t *testing.T) {
	for _, c := range []struct{ more, want string }{
		{"expect: denied", "expected denied, got Allowed by identity-based policy"},
		{"expect: explicitDeny", "expected explicitDeny"},
		{"expect: implicitDeny", "expected implicitDeny"},
		{"expect: allowed, decidedBy: trust policy", "expected to be decided by trust policy, was by identity-based policy"},
		{"expect: allowed, statement: T", "expected statement T to decide, p/S did"},
		{"expect: allowed, statement: [S, q/S]", "expected statement q/S to decide"},
		{"expect: allowed, statement: [S, p/S]", ""},
		{"expect: denied, policies: {boundary: [{name: d, document: {Version: 2012-10-17, Statement: {Sid: D, Effect: Deny, Action: \"*\", Resource: \"*\"}}}]}, statement: S", "expected statement S to decide, d/D did"},
	} {
		var s Suite
		r, err := s.Run(filepath.Join(write(t, map[string]string{"t.yaml": head + "cases: [{name: n, action: a:b, " + c.more + "}]"}), "t.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(r.Checks[0].Faults, "; "); !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s: %q", c.more, got)
		}
	}
}

func TestAPolicyOfSeveralFilesIsCoveredByAllOfThemAndReadOnce(t *testing.T) {
	file := func(action string) string {
		return "principal: anonymous\npolicies: {resource: [p.json]}\ncases: [{name: n, action: " + action + ", expect: allowed}]"
	}
	dir := write(t, map[string]string{"a.yaml": file("a:A"), "b.json": `{"principal":"anonymous","policies":{"resource":["./p.json"]},` + "\n\t" + `"cases":[{"name":"n","action":"a:B","expect":"allowed"}]}`,
		"p.json": "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"A\",\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"a:A\",\"Resource\":\"*\"},\n" +
			"{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"a:B\",\"Resource\":\"*\"},\n  {\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"a:C\",\"Resource\":\"*\"}]}"})
	var s Suite
	for _, name := range []string{"a.yaml", "b.json"} {
		r, err := s.Run(filepath.Join(dir, name))
		if err != nil || r.Failed() != 0 {
			t.Fatal(name, err, r)
		}
	}
	c := s.Coverage()
	if c.Statements != 3 || c.Decided != 2 || len(c.Never) != 1 {
		t.Fatalf("%+v", c)
	}
	if never := c.Never[0]; never.Name != "2" || never.Policy != "p" || never.Place.Line != 3 || never.Place.Column != 3 {
		t.Errorf("%+v", never)
	}
	if len(s.Files()) != 3 {
		t.Errorf("%v", s.Files())
	}
}

func FuzzRun(f *testing.F) {
	for _, name := range []string{"testdata/report.test.yaml", "../../docs/policy-tests/photos.test.yaml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(head + `cases: [{name: n, action: a:b, expect: allowed, context: {k: [1, true]}, principal: {Service: s}}]`))
	f.Add([]byte(`a: &a [*a]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var s Suite
		r, err := s.RunText("fuzz.yaml", text)
		if (r == nil) == (err == nil) {
			t.Fatal("neither a result nor an error")
		}
		if err == nil && len(r.Checks) == 0 {
			t.Fatal("a file that asks nothing")
		}
		c := s.Coverage()
		if c.Decided+len(c.Never) != c.Statements {
			t.Fatalf("%+v", c)
		}
	})
}
