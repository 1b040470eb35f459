package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/local"
)

// TestEnvPrintsFalseForEveryErrorAlsoAWrongFlag: eval of nothing is success, so
// a command line with a slip in it would run what follows against AWS.
func TestEnvPrintsFalseForEveryErrorAlsoAWrongFlag(t *testing.T) {
	bin, dir := build(t), t.TempDir()
	for _, args := range [][]string{{}, {"--bogus"}, {"extra"}, {"--shell", "zsh"}, {"--format", "yaml"}, {"--format", "json"}, {"--data", "absent"}, {"--region"}} {
		cmd := exec.Command(bin, append([]string{"env"}, args...)...)
		cmd.Dir = dir
		out, err := cmd.Output()
		if string(out) != "false\n" || err == nil {
			t.Errorf("env %v: %v %q", args, err, out)
		}
	}
}

// TestTheEnvironmentKeepsLoopbackOutOfAProxy: botocore sends loopback through
// HTTP_PROXY, and reads no_proxy before NO_PROXY.
func TestTheEnvironmentKeepsLoopbackOutOfAProxy(t *testing.T) {
	d := start(t)
	const stale = `export HTTP_PROXY=http://127.0.0.1:1 no_proxy='intern.example.com,$(touch pwned)'; `
	for name, script := range map[string]string{
		"exec": `"$0" exec -- aws sts get-caller-identity`,
		"env":  `eval "$("$0" env)" && aws sts get-caller-identity && eval "$("$0" env)" && echo "[$NO_PROXY]"`,
	} {
		cmd := exec.Command("bash", "-c", stale+script, d.bin)
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "HOLDFAST_DATA="+d.data, "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "user/admin") {
			t.Errorf("%s: %v %s", name, err, out)
		}
		if name == "env" && !strings.Contains(string(out), "[intern.example.com,127.0.0.1,localhost,::1]") {
			t.Errorf("kept and added: %s", out)
		}
		if _, err := os.Stat(filepath.Join(cmd.Dir, "pwned")); err == nil {
			t.Error("a value of the environment was run")
		}
	}
}

func TestExecHandsItsCommandsEndAndItsOwnTermination(t *testing.T) {
	d := start(t)
	status := func(script string) int {
		cmd := exec.Command(d.bin, "--data", d.data, "exec", "--", "sh", "-c", script)
		_ = cmd.Run()
		return cmd.ProcessState.ExitCode()
	}
	if got := status("exit 7"); got != 7 {
		t.Errorf("exit 7 came back as %d", got)
	}
	if got := status("kill -KILL $$"); got != 128+9 {
		t.Errorf("a killed command came back as %d", got)
	}
	begun := filepath.Join(t.TempDir(), "begun")
	cmd := exec.Command(d.bin, "--data", d.data, "exec", "--", "sh", "-c", "trap 'exit 5' TERM; touch "+begun+"; while :; do sleep 0.05; done")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.until("begun", func() bool { _, err := os.Stat(begun); return err == nil })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 5 {
		t.Errorf("a terminated exec: %v", cmd.ProcessState)
	}
}

func TestADetachedDeploymentIsReadyWhenUpReturnsAndGoneWhenDownDoes(t *testing.T) {
	bin := build(t)
	dir, err := os.MkdirTemp("", "hf") // sockets want a short path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ready := filepath.Join(dir, "ready")
	if err := os.WriteFile(ready, []byte("of an earlier run\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	holdfast := func(args ...string) (string, error) {
		cmd := exec.Command(bin, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "TMPDIR="+dir)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, args := range [][]string{{"--data", filepath.Join(dir, "kept")}, {"--ephemeral"}} {
		out, err := holdfast(append([]string{"up", "--detach", "--listen", "127.0.0.1:0", "--ready-file", ready}, args...)...)
		if err != nil {
			t.Fatalf("%v %s", err, out)
		}
		_, line, _ := strings.Cut(out, "data in ")
		data, _, _ := strings.Cut(line, "\n")
		out, err = holdfast("--data", data, "status", "--format", "json")
		var all []nodeStatus
		if err != nil || json.Unmarshal([]byte(out), &all) != nil || len(all) != 2 || !all[0].Status.Ready || !all[1].Status.Ready {
			t.Errorf("%v: not ready when up returned: %v %s", args, err, out)
		}
		if out, err := holdfast("--data", data, "down"); err != nil {
			t.Errorf("%v: %v %s", args, err, out)
		}
		if (local.Layout{Dir: data}).Held() {
			t.Errorf("%v: still there after down", args)
		}
		if _, err := os.Stat(ready); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v: the ready file is there after down", args)
		}
		if args[0] == "--ephemeral" {
			until(t, "removed", func() bool { _, err := os.Stat(data); return errors.Is(err, os.ErrNotExist) })
		} else if _, err := os.Stat(data); err != nil {
			t.Errorf("%v: the directory after down: %v", args, err)
		}
	}
}

// until waits for something that comes by itself.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not %s", what)
		}
	}
}
