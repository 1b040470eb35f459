package lint

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
)

// Report is what one run found.
type Report struct {
	Files    int
	Findings []Finding
	// Unread: a file could not be linted, so the report is not whole.
	Unread bool
}

// Count says how many findings are of a severity.
func (r *Report) Count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// Clean says whether there is neither an error nor a warning.
func (r *Report) Clean() bool { return r.Count(Error)+r.Count(Warning) == 0 }

// colours of the severities on a terminal.
var colours = [...]string{Note: "\x1b[36m", Warning: "\x1b[33m", Error: "\x1b[31m"}

// Text writes a line for each finding.
func (r *Report) Text(w io.Writer, coloured bool) error {
	for _, f := range r.Findings {
		severity := f.Severity.String()
		if coloured {
			severity = colours[f.Severity] + severity + "\x1b[0m"
		}
		holder := ""
		if f.Document != "" {
			holder = printable(f.Document) + ": "
		}
		if _, err := fmt.Fprintf(w, "%s:%s: %s: %s%s [%s]\n", printable(f.File), f.At, severity, holder, printable(f.Message), f.Rule); err != nil {
			return err
		}
	}
	return nil
}

// printable keeps what a file holds from steering a terminal.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
			return '�'
		}
		return c
	}, s)
}

type jsonFinding struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity"`
	Rule     string `json:"rule"`
	Document string `json:"document,omitempty"`
	Message  string `json:"message"`
}

// JSON writes one object.
func (r *Report) JSON(w io.Writer) error {
	list := []jsonFinding{}
	for _, f := range r.Findings {
		list = append(list, jsonFinding{f.File, f.At.Line, f.At.Column, f.Severity.String(), f.Rule, f.Document, f.Message})
	}
	return indented(w, map[string]any{"files": r.Files, "errors": r.Count(Error), "warnings": r.Count(Warning), "notes": r.Count(Note), "findings": list})
}

func indented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// The parts of SARIF 2.1.0 that are used, by the sections of OASIS's standard.
type (
	sarifLog struct { // 3.13
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct { // 3.14
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		ColumnKind  string            `json:"columnKind"`
		Results     []sarifResult     `json:"results"`
	}
	sarifTool struct { // 3.18, 3.19
		Driver struct {
			Name           string      `json:"name"`
			Version        string      `json:"version"`
			InformationURI string      `json:"informationUri"`
			Rules          []sarifRule `json:"rules"`
		} `json:"driver"`
	}
	sarifInvocation struct { // 3.20
		Successful bool `json:"executionSuccessful"`
	}
	sarifRule struct { // 3.49
		ID      string    `json:"id"`
		Short   sarifText `json:"shortDescription"`
		HelpURI string    `json:"helpUri"`
		Default struct {
			Level string `json:"level"`
		} `json:"defaultConfiguration"`
	}
	sarifText struct { // 3.11, 3.12
		Text string `json:"text"`
	}
	sarifResult struct { // 3.27
		RuleID    string          `json:"ruleId"`
		RuleIndex int             `json:"ruleIndex"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct { // 3.28
		Physical struct { // 3.29
			Artifact struct { // 3.4
				URI string `json:"uri"`
			} `json:"artifactLocation"`
			Region struct { // 3.30
				Line   int `json:"startLine"`
				Column int `json:"startColumn"`
			} `json:"region"`
		} `json:"physicalLocation"`
		Logical []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifLogical struct { // 3.33
		Name string `json:"fullyQualifiedName"`
	}
)

// SARIF writes a log of the Static Analysis Results Interchange Format 2.1.0.
func (r *Report) SARIF(w io.Writer, version string) error {
	run := sarifRun{Invocations: []sarifInvocation{{!r.Unread}}, ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	d := &run.Tool.Driver
	d.Name, d.Version, d.InformationURI = "holdfast policy lint", version, "https://github.com/holdfast-iam/holdfast"
	place := map[string]int{}
	for i, rule := range Rules {
		x := sarifRule{ID: rule.ID, Short: sarifText{rule.Help}, HelpURI: rule.Source}
		x.Default.Level = rule.Severity.String()
		d.Rules = append(d.Rules, x)
		place[rule.ID] = i
	}
	for _, f := range r.Findings {
		var at sarifLocation
		at.Physical.Artifact.URI = uri(f.File)
		at.Physical.Region.Line, at.Physical.Region.Column = f.At.Line, f.At.Column
		message := f.Message
		if f.Document != "" {
			at.Logical = []sarifLogical{{f.Document}}
			message = f.Document + ": " + message
		}
		run.Results = append(run.Results, sarifResult{f.Rule, place[f.Rule], f.Severity.String(), sarifText{message}, []sarifLocation{at}})
	}
	return indented(w, sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// uri is a file's name as a reference (RFC 3986): a relative one stays
// relative, which is what code hosts ask for.
func uri(name string) string {
	u := url.URL{Path: filepath.ToSlash(name)}
	if filepath.IsAbs(name) {
		u.Scheme = "file"
	}
	return u.String()
}
