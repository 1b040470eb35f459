package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// lintRun is the command's exit status, stdout and what goes to stderr.
func lintRun(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, words bytes.Buffer
	root := commands()
	root.SetArgs(append([]string{"policy", "lint"}, args...))
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&words)
	if err := root.ExecuteContext(context.Background()); err != nil {
		words.WriteString(err.Error())
		status = statusUsage
		var e *exitError
		if errors.As(err, &e) {
			status = e.status
		}
	}
	return status, out.String(), words.String()
}

const (
	cleanPolicy = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}}`
	notedPolicy = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["s3:Get*","s3:GetObject"],"Resource":"arn:aws:s3:::b/*"}}`
	badPolicy   = "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\n\"Action\":\"s3:GetObjct\",\"Resource\":\"arn:aws:s3:::b/*\"}}"
	widePolicy  = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","NotAction":["iam:*","sts:*","sso:*"],"Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}}`
)

func TestLintsExitStatusSaysWhatWasFound(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	clean, bad := file("clean.json", cleanPolicy), file("bad.json", badPolicy)
	for _, c := range []struct {
		what, stdin string
		args        []string
		status      int
		stdout      string // part of it; empty: all of it
		stderr      string // part of it
	}{
		{"clean", cleanPolicy, []string{"-"}, 0, "", ""},
		{"a note alone", notedPolicy, []string{"-"}, 0, "note: s3:GetObject is covered by s3:Get* [redundant-value]", "1 note"},
		{"a warning", widePolicy, []string{"-"}, 1, "-:1:55: warning: Allow with NotAction", "1 warning"},
		{"an error", badPolicy, []string{"-"}, 1, "-:2:10: error: s3 has no action", "1 error"},
		{"one ignored", widePolicy, []string{"--ignore", "allow-not-action", "-"}, 0, "", ""},
		{"a type that is given", widePolicy, []string{"--type", "boundary", "-"}, 0, "", ""},
		{"a service of one's own", strings.ReplaceAll(cleanPolicy, "s3", "storage"), []string{"--service", "storage", "-"}, 0, "", ""},
		{"several files", "", []string{clean, bad}, 1, bad + ":2:10: error", "1 error"},
		{"no syntax", `{"Statement":`, []string{"-"}, 1, "-:1:14: error: the text ends early [syntax]", "1 error"},
		{"no policy", "a: b", []string{"-"}, 2, "", "-:1:1: this is neither a policy"},
		{"no file", "", []string{clean, filepath.Join(dir, "none"), bad}, 2, bad + ":2:10: error", "none: no such file"},
		{"Terraform's language", "", []string{file("main.tf", "x = {}")}, 2, "", "terraform show -json"},
		{"no arguments", "", nil, 2, "", "name a file"},
		{"a file twice", "", []string{clean, clean}, 2, "", "named twice"},
		{"a format", "", []string{"--format", "xml", clean}, 2, "", `--format is "xml"`},
		{"a type", "", []string{"--type", "user", clean}, 2, "", `--type is "user"`},
		{"a rule", "", []string{"--ignore", "typo", clean}, 2, "", `no rule "typo"`},
		{"a flag", "", []string{"--verbose", clean}, 2, "", "unknown flag"},
	} {
		status, stdout, stderr := lintRun(t, c.stdin, c.args...)
		if status != c.status || !strings.Contains(stdout, c.stdout) || c.stdout == "" && stdout != "" || !strings.Contains(stderr, c.stderr) || c.stderr == "" && stderr != "" {
			t.Errorf("%s: exit %d, want %d\nstdout %q\nstderr %q", c.what, status, c.status, stdout, stderr)
		}
	}
}

func TestLintsJSONAndSARIFAreAloneOnStdout(t *testing.T) {
	for _, format := range []string{"json", "sarif"} {
		for _, text := range []string{cleanPolicy, badPolicy, "a: b"} {
			_, stdout, _ := lintRun(t, text, "--format", format, "-")
			var whole map[string]any
			if err := json.Unmarshal([]byte(stdout), &whole); err != nil {
				t.Errorf("%s of %q: %v", format, text, err)
			}
		}
	}
}

func TestLintsHelpSaysWhichSeveritiesMakeItFail(t *testing.T) {
	_, stdout, _ := lintRun(t, "", "--help")
	if !strings.Contains(stdout, "1 if there are errors or\nwarnings") {
		t.Error(stdout)
	}
}

func TestOnlyATerminalIsColouredAndNotOneWhoseUserAskedForNone(t *testing.T) {
	null, err := os.Open(os.DevNull) // a character device, as a terminal is
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	if !colourful(null) || colourful(new(bytes.Buffer)) {
		t.Error("a terminal is coloured, and nothing else")
	}
	t.Setenv("NO_COLOR", "1")
	if colourful(null) {
		t.Error("NO_COLOR is not heard")
	}
}
