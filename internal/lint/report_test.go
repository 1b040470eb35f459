package lint

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// reportOf lints files of testdata.
func reportOf(t *testing.T, names ...string) *Report {
	t.Helper()
	r := &Report{Files: len(names)}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		found, err := File(name, text, Options{})
		if err != nil {
			t.Fatal(err)
		}
		r.Findings = append(r.Findings, found...)
	}
	return r
}

func TestAPolicyATemplateAndAPlanAreLintedAsTheirGoldenFilesSay(t *testing.T) {
	r := reportOf(t, "policy.json", "template.yaml", "plan.json")
	var text, object, log bytes.Buffer
	if err := r.Text(&text, false); err != nil {
		t.Fatal(err)
	}
	if err := r.JSON(&object); err != nil {
		t.Fatal(err)
	}
	if err := r.SARIF(&log, "0"); err != nil {
		t.Fatal(err)
	}
	golden(t, "findings.txt", text.Bytes())
	golden(t, "findings.json", object.Bytes())
	golden(t, "findings.sarif", log.Bytes())
}

// TestTheSARIFLogHasWhatTheStandardRequires checks the members that SARIF 2.1.0
// says shall be there, read as any reader would.
func TestTheSARIFLogHasWhatTheStandardRequires(t *testing.T) {
	var out bytes.Buffer
	if err := reportOf(t, "policy.json", "template.yaml").SARIF(&out, "1.2.3"); err != nil {
		t.Fatal(err)
	}
	var log struct {
		Schema  string `json:"$schema"`
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct {
					Name, Version string
					Rules         []struct {
						ID               string
						ShortDescription struct{ Text string }
						HelpURI          string
					}
				}
			}
			Invocations []struct{ ExecutionSuccessful *bool }
			ColumnKind  string
			Results     []struct {
				RuleID    string
				RuleIndex int
				Level     string
				Message   struct{ Text string }
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine, StartColumn int }
					}
				}
			}
		}
	}
	if err := json.Unmarshal(out.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	if log.Version != "2.1.0" || log.Schema == "" || len(log.Runs) != 1 {
		t.Fatalf("version %q, schema %q, %d runs", log.Version, log.Schema, len(log.Runs))
	}
	run := log.Runs[0]
	if run.Tool.Driver.Name == "" || run.ColumnKind != "unicodeCodePoints" || len(run.Invocations) != 1 || run.Invocations[0].ExecutionSuccessful == nil {
		t.Errorf("run %+v", run.Tool.Driver)
	}
	if len(run.Results) == 0 {
		t.Fatal("no results")
	}
	for _, r := range run.Results {
		if r.RuleIndex >= len(run.Tool.Driver.Rules) || run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("%s is not rule %d", r.RuleID, r.RuleIndex)
		}
		at := r.Locations[0].PhysicalLocation
		if _, err := url.Parse(at.ArtifactLocation.URI); err != nil || at.Region.StartLine < 1 || at.Region.StartColumn < 1 || r.Message.Text == "" ||
			!strings.Contains("note warning error", r.Level) {
			t.Errorf("result %+v", r)
		}
	}
}

func TestARunWithoutFindingsIsAWholeReport(t *testing.T) {
	var object, log bytes.Buffer
	r := Report{Files: 1, Unread: true}
	if r.JSON(&object) != nil || r.SARIF(&log, "0") != nil {
		t.Fatal("cannot be written")
	}
	if !strings.Contains(object.String(), `"findings": []`) || !strings.Contains(log.String(), `"results": []`) || !strings.Contains(log.String(), `"executionSuccessful": false`) {
		t.Errorf("%s\n%s", &object, &log)
	}
}

func TestAFileNameIsAURIReference(t *testing.T) {
	for name, want := range map[string]string{"a b/c.json": "a%20b/c.json", "a:b": "./a:b", "-": "-", "/x/y.json": "file:///x/y.json"} {
		if got := uri(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

func TestWhatAFileHoldsDoesNotSteerATerminal(t *testing.T) {
	var out bytes.Buffer
	found, err := File("f", []byte(statements(allow(`"s3:\u001b[31mRed"`, `"*"`, ""))), Options{})
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	r := Report{Findings: found}
	if err := r.Text(&out, false); err != nil || strings.Contains(out.String(), "\x1b") {
		t.Errorf("%q, %v", out.String(), err)
	}
	out.Reset()
	if err := r.Text(&out, true); err != nil || !strings.Contains(out.String(), "\x1b[31merror") {
		t.Errorf("%q, %v", out.String(), err)
	}
}
