package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// notRun says that a test needs a tool that is not here. HOLDFAST_REQUIRE makes
// that a failure.
func notRun(t *testing.T, tool, why string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("HOLDFAST_REQUIRE"), ","), tool) {
		t.Fatalf("HOLDFAST_REQUIRE asks for %s: %s", tool, why)
	}
	// The test command collects the lines: `go test` alone hides what it skips.
	if list := os.Getenv("HOLDFAST_NOT_RUN"); list != "" {
		f, err := os.OpenFile(list, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := fmt.Fprintf(f, "%s: %s\n", tool, why); err != nil {
			t.Fatal(err)
		}
	}
	t.Skipf("NOT RUN: %s: %s", tool, why)
}

func TestTheReadmesSessionRunsInPython(t *testing.T) {
	if out, err := exec.Command("python3", "-c", "import boto3").CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		notRun(t, "boto3", "python3 cannot import it: "+lines[len(lines)-1])
	}
	d := start(t)
	d.serviceFor("admin")
	if out := d.ok("python3", "testdata/session.py"); !strings.Contains(out, "the session went as written") {
		t.Errorf("%s", out)
	}
}
