package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// command runs the program in this process: what it prints, and its status.
func command(ctx context.Context, out *lineWriter, args ...string) int {
	root := commands()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(out)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	out.Write([]byte(err.Error()))
	if e := (*exitError)(nil); errors.As(err, &e) {
		return e.status
	}
	return statusUsage
}

// lineWriter keeps what is written and wakes whoever waits for it.
type lineWriter struct {
	text  bytes.Buffer
	wrote chan string // everything so far, each time; nil: nobody waits
}

func (w *lineWriter) Write(b []byte) (int, error) {
	n, err := w.text.Write(b)
	if w.wrote != nil {
		w.wrote <- w.text.String()
	}
	return n, err
}

const photos = "../../docs/policy-tests/photos.test.yaml"

func TestPolicyTestsTellTheirOutcomeByTheirStatus(t *testing.T) {
	dir := t.TempDir()
	failing := filepath.Join(dir, "failing.yaml")
	if err := os.WriteFile(failing, []byte("principal: anonymous\ncases: [{name: n, action: a:b, expect: allowed}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"all as expected", []string{photos}, 0, "9 of 9 passed; 4 of 5 statements decided a case (80.0 %)"},
		{"a failure", []string{photos, failing}, 1, "9 of 10 passed"},
		{"enough coverage", []string{"--min-coverage", "80", photos}, 0, ""},
		{"short coverage", []string{"--min-coverage", "80.1", photos}, 1, "less than the 80.1 % asked for"},
		{"JSON", []string{"--format", "json", failing}, 1, `"passed": false`},
		{"JUnit", []string{"--format", "junit", photos}, 0, `<testsuites tests="9" failures="0">`},
		{"a file that is not there", []string{photos, filepath.Join(dir, "nowhere")}, 2, "nowhere"},
		{"a bad file", []string{"policytest.go"}, 2, "policytest.go:"},
		{"no file", nil, 2, ""},
		{"unknown format", []string{"--format", "xml", photos}, 2, "want text, json or junit"},
		{"no percentage", []string{"--min-coverage", "NaN", photos}, 2, "want a percentage"},
	} {
		var out lineWriter
		if got := command(t.Context(), &out, append([]string{"policy", "test"}, c.args...)...); got != c.status || !strings.Contains(out.text.String(), c.want) {
			t.Errorf("%s: status %d, want %d; want %q in\n%s", c.name, got, c.status, c.want, out.text.String())
		}
	}
}

func TestWatchedPolicyTestsRunAgainWhenAPolicyChanges(t *testing.T) {
	dir := t.TempDir()
	test, rule := filepath.Join(dir, "t.yaml"), filepath.Join(dir, "p.json")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	statement := func(effect string) string {
		return `{"Version":"2012-10-17","Statement":{"Effect":"` + effect + `","Action":"a:*","Resource":"*"}}`
	}
	write(test, "principal: arn:aws:iam::111122223333:user/alice\npolicies: {identity: [p.json]}\ncases: [{name: n, action: a:b, expect: allowed}]\n")
	write(rule, statement("Deny"))
	ctx, stop := context.WithCancel(t.Context())
	out := &lineWriter{wrote: make(chan string)}
	ended := make(chan int, 1)
	go func() { ended <- command(ctx, out, "policy", "test", "--watch", test) }()
	wait := func(want string) {
		t.Helper()
		for {
			select {
			case text := <-out.wrote:
				if strings.Contains(text, want) {
					return
				}
			case <-t.Context().Done():
				t.Fatalf("%q never came", want)
			}
		}
	}
	wait("0 of 1 passed")
	write(rule, statement("Allow")) // also another size: a file system's clock may be coarse
	wait("1 of 1 passed")
	write(test, "principal: [")
	wait("t.yaml:1:1: ")
	if err := os.Remove(test); err != nil {
		t.Fatal(err)
	}
	wait("no such file")
	write(test, "principal: anonymous\ncases: [{name: n, action: a:b, expect: denied}, {name: m, action: a:b, expect: denied}]\n")
	wait("2 of 2 passed")
	stop()
	for {
		select {
		case <-out.wrote:
		case status := <-ended:
			if status != 0 {
				t.Errorf("status %d", status)
			}
			return
		}
	}
}

func TestPolicyEvalExplainsOnDemand(t *testing.T) {
	const line = `{"id":"x","request":{"principal":{"type":"Anonymous"},"action":"a:b"}}` + "\n"
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{nil, 0, `{"id":"x","decision":"ImplicitDeny","decidedBy":"resource-based policy","matchedStatements":[]}`},
		{[]string{"--explain"}, 0, `"reason":"User: anonymous is not authorized`},
		{[]string{"--format", "text"}, 0, "x: denied: User: anonymous"},
		{[]string{"--format", "yaml"}, 2, "want json or text"},
	} {
		var out lineWriter
		root := commands()
		root.SetArgs(append([]string{"policy", "eval"}, c.args...))
		root.SetIn(strings.NewReader(line))
		root.SetOut(&out)
		err := root.ExecuteContext(t.Context())
		text, status := out.text.String(), 0
		if e := (*exitError)(nil); errors.As(err, &e) {
			text, status = text+e.Error(), e.status
		}
		if status != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%v: status %d %s", c.args, status, text)
		}
	}
}
