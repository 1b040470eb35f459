package policysuite

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/holdfast-iam/holdfast/internal/policyline"
)

// Report is what came of a run.
type Report struct {
	Results     []*Result
	Coverage    Coverage
	MinCoverage float64 // percent
}

// Failed counts the checks that did not pass.
func (r *Report) Failed() (failed, of int) {
	for _, result := range r.Results {
		failed += result.Failed()
		of += len(result.Checks)
	}
	return failed, of
}

// Short says that too few statements decided anything.
func (r *Report) Short() bool { return r.Coverage.Percent() < r.MinCoverage }

// Passed says whether all is as it was expected.
func (r *Report) Passed() bool {
	failed, _ := r.Failed()
	return failed == 0 && !r.Short()
}

// Text writes a table of checks, the failed ones in full, and the coverage.
func (r *Report) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RESULT\tCASE\tACTION\tRESOURCE\tDECISION")
	for _, result := range r.Results {
		for i := range result.Checks {
			c := &result.Checks[i]
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s by %s\n", word(c), policyline.Printable(c.Case), policyline.Printable(c.Action), policyline.Printable(c.Resource), c.Decision, c.DecidedBy)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, result := range r.Results {
		for i := range result.Checks {
			if c := &result.Checks[i]; len(c.Faults) > 0 {
				fmt.Fprintf(w, "\n%s: %s: %s on %s\n%s", c.Place, policyline.Printable(c.Case), policyline.Printable(c.Action), policyline.Printable(c.Resource), c.details())
			}
		}
	}
	failed, of := r.Failed()
	_, err := fmt.Fprintf(w, "\n%d of %d passed; %s\n", of-failed, of, r.coverageWords())
	for _, s := range r.Coverage.Never {
		_, err = fmt.Fprintf(w, "  %s: %s/%s never decided\n", s.Place, policyline.Printable(s.Policy), policyline.Printable(s.Name))
	}
	return err
}

func word(c *Check) string {
	if len(c.Faults) > 0 {
		return "FAIL"
	}
	return "ok"
}

// details tells what was expected and why it came otherwise.
func (c *Check) details() string {
	var b strings.Builder
	for _, f := range c.Faults {
		b.WriteString("  " + f + "\n")
	}
	if c.Reason != "" {
		b.WriteString("  " + c.Reason + "\n")
	}
	for _, m := range c.Considered {
		b.WriteString("    " + m + "\n")
	}
	return b.String()
}

func (r *Report) coverageWords() string {
	c := &r.Coverage
	words := fmt.Sprintf("%d of %d statements decided a case (%.1f %%)", c.Decided, c.Statements, c.Percent())
	if r.Short() {
		words += fmt.Sprintf(", less than the %g %% asked for", r.MinCoverage)
	}
	return words
}

// JSON writes the report for programs.
func (r *Report) JSON(w io.Writer) error {
	type check struct {
		Place      string   `json:"place"`
		Case       string   `json:"case"`
		Action     string   `json:"action"`
		Resource   string   `json:"resource"`
		Passed     bool     `json:"passed"`
		Decision   string   `json:"decision"`
		DecidedBy  string   `json:"decidedBy"`
		Matched    []string `json:"matchedStatements"`
		Reason     string   `json:"reason,omitempty"`
		Faults     []string `json:"faults,omitempty"`
		Considered []string `json:"considered,omitempty"`
	}
	type statement struct {
		Place     string `json:"place"`
		Policy    string `json:"policy"`
		Statement string `json:"statement"`
	}
	var out struct {
		Passed   bool    `json:"passed"`
		Failed   int     `json:"failed"`
		Checks   []check `json:"checks"`
		Coverage struct {
			Percent    float64     `json:"percent"`
			Statements int         `json:"statements"`
			Decided    int         `json:"decided"`
			Never      []statement `json:"never"`
		} `json:"coverage"`
	}
	out.Passed = r.Passed()
	out.Failed, _ = r.Failed()
	for _, result := range r.Results {
		for _, c := range result.Checks {
			one := check{c.Place.String(), c.Case, c.Action, c.Resource, len(c.Faults) == 0, c.Decision.String(), c.DecidedBy.String(), []string{}, c.Reason, c.Faults, nil}
			one.Matched = append(one.Matched, c.Decided...)
			if len(c.Faults) > 0 {
				one.Considered = c.Considered
			}
			out.Checks = append(out.Checks, one)
		}
	}
	out.Coverage.Percent, out.Coverage.Statements, out.Coverage.Decided = r.Coverage.Percent(), r.Coverage.Statements, r.Coverage.Decided
	out.Coverage.Never = []statement{}
	for _, s := range r.Coverage.Never {
		out.Coverage.Never = append(out.Coverage.Never, statement{s.Place.String(), s.Policy, s.Name})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(out)
}

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr,omitempty"`
	Line    int           `xml:"line,attr,omitempty"`
	Failure *junitFailure `xml:"failure"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit writes the report as CI servers read it. Coverage that is asked for is
// a test of its own.
func (r *Report) JUnit(w io.Writer) error {
	var out junitSuites
	add := func(s junitSuite) {
		s.Tests = len(s.Cases)
		for _, c := range s.Cases {
			if c.Failure != nil {
				s.Failures++
			}
		}
		out.Suites = append(out.Suites, s)
		out.Tests += s.Tests
		out.Failures += s.Failures
	}
	for _, result := range r.Results {
		s := junitSuite{Name: result.File}
		for i := range result.Checks {
			c := &result.Checks[i]
			one := junitCase{Name: fmt.Sprintf("%s: %s on %s", c.Case, c.Action, c.Resource), Class: result.File, File: c.Place.File, Line: c.Place.Line}
			if len(c.Faults) > 0 {
				one.Failure = &junitFailure{strings.Join(c.Faults, "; "), c.Place.String() + "\n" + c.details()}
			}
			s.Cases = append(s.Cases, one)
		}
		add(s)
	}
	if r.MinCoverage > 0 {
		one := junitCase{Name: fmt.Sprintf("at least %g %% of the statements decide a case", r.MinCoverage), Class: "coverage"}
		if r.Short() {
			var never strings.Builder
			for _, s := range r.Coverage.Never {
				fmt.Fprintf(&never, "%s: %s/%s never decided\n", s.Place, s.Policy, s.Name)
			}
			one.Failure = &junitFailure{r.coverageWords(), never.String()}
		}
		add(junitSuite{Name: "coverage", Cases: []junitCase{one}})
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(out); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
