package main

import (
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
