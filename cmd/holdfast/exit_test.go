package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/sigv4"
)

// TestExitStatusesSayYesNoUsageOrUnreachable is the contract that scripts rely
// on: 0 yes, 1 no, 2 usage, 3 unreachable.
func TestExitStatusesSayYesNoUsageOrUnreachable(t *testing.T) {
	d := start(t)
	e, admin := d.endpoint(), d.admin()
	e.newUser(admin, "nothing", "")
	revision := e.made(e.iam(admin, "ListUsers")).header.Get("X-Holdfast-Revision")
	lineage, _, _ := strings.Cut(revision, "-")
	const user = "arn:aws:iam::111122223333:user/"
	check := func(want int, args ...string) {
		t.Helper()
		cmd := exec.Command(d.bin, append([]string{"--data", d.data}, args...)...)
		if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != want {
			t.Errorf("%v: exit %d, want %d\n%s", args, cmd.ProcessState.ExitCode(), want, out)
		}
	}
	check(0, "can", user+"admin", "s3:GetObject", "arn:aws:s3:::b/k")
	check(1, "can", user+"nothing", "s3:GetObject", "arn:aws:s3:::b/k")
	check(2, "can", user+"absent", "s3:GetObject", "arn:aws:s3:::b/k")
	check(2, "can", user+"admin")
	check(0, "wait", "--revision", revision)
	check(1, "wait", "--revision", lineage+"-999999", "--timeout", "100ms")
	check(2, "wait", "--revision", "soon")
	check(0, "status")
	check(2, "status", "--bogus")
	check(2, "service", "delete", "absent.example.com")
	check(2, "deny", "everything", "x")
	d.stop()
	check(3, "status")
	check(3, "can", user+"admin", "s3:GetObject", "arn:aws:s3:::b/k")
	check(3, "wait", "--revision", revision)
	check(3, "service", "list")
	check(3, "down")
	check(3, "env")
	d.data = t.TempDir()
	check(2, "status")
}

func TestTheSecretOfARawRequestComesFromFlagEnvironmentOrStdin(t *testing.T) {
	bin := build(t)
	req := &sigv4.Request{Method: "GET", RawPath: "/", RawQuery: "Action=GetCallerIdentity&Version=2011-06-15", Host: "sts.amazonaws.com"}
	if err := sigv4.Sign(req, "AKIDEXAMPLE", "topsecret", "", "us-east-1", "sts", time.Now(), sigv4.Own); err != nil {
		t.Fatal(err)
	}
	raw := "GET /?" + req.RawQuery + " HTTP/1.1\r\nHost: " + req.Host + "\r\n"
	for _, h := range req.Header {
		raw += fmt.Sprintf("%s: %s\r\n", h.Name, h.Value)
	}
	raw += "\r\n"
	scope := []string{"--access-key", "AKIDEXAMPLE", "--region", "us-east-1", "--service", "sts"}
	for name, c := range map[string]struct {
		args  []string
		env   string
		stdin string
		want  int
	}{
		"by flag":              {append(scope, "--secret-key", "topsecret"), "", raw, 0},
		"by environment":       {scope, "topsecret", raw, 0},
		"by stdin":             {append(scope, "--secret-key", "-"), "", "topsecret\n" + raw, 0},
		"a wrong one":          {append(scope, "--secret-key", "wrong"), "", raw, 1},
		"at another time":      {append(scope, "--now", "2020-01-01T00:00:00Z"), "topsecret", raw, 1},
		"without":              {scope, "", raw, 2},
		"without a scope":      {scope[:4], "topsecret", raw, 2},
		"a time that is none":  {append(scope, "--now", "noon"), "topsecret", raw, 2},
		"a request that is no": {scope, "topsecret", "hello\r\n\r\n", 1},
	} {
		cmd := exec.Command(bin, append([]string{"sigv4", "verify"}, c.args...)...)
		cmd.Stdin = strings.NewReader(c.stdin)
		cmd.Env = append(os.Environ(), "AWS_SECRET_ACCESS_KEY="+c.env)
		out, _ := cmd.Output()
		if got := cmd.ProcessState.ExitCode(); got != c.want || strings.Contains(string(out), `"ok":true`) != (c.want == 0) {
			t.Errorf("%s: exit %d, want %d\n%s", name, got, c.want, out)
		}
	}
}
