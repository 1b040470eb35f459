//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheUnitsAreWhatSystemdTakes has systemd itself read them, with a binary
// that is there.
func TestTheUnitsAreWhatSystemdTakes(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		notRun(t, "systemd-analyze", "the units of deploy/systemd were not verified")
	}
	units, err := filepath.Glob("../../deploy/systemd/*")
	if err != nil || len(units) != 4 {
		t.Fatalf("%v %v", units, err)
	}
	dir := t.TempDir()
	args := []string{"verify"}
	for _, path := range units {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(b), "ExecStart=/usr/local/bin/holdfast ", "ExecStart=/bin/true ", 1)
		if strings.HasSuffix(path, ".service") && (text == string(b) || !strings.Contains(text, "\nLimitCORE=0\n") || !strings.Contains(text, "\nRestart=always\n")) {
			t.Errorf("%s starts something else, keeps core dumps or is not restarted", path)
		}
		own := filepath.Join(dir, filepath.Base(path))
		if err := os.WriteFile(own, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, own)
	}
	if out, err := exec.Command("systemd-analyze", args...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v %s", err, out)
	}
}
