package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/local"
)

// deployment is an `up` of the built binary.
type deploymentUnderTest struct {
	t    *testing.T
	bin  string
	data string
	cmd  *exec.Cmd
	said *bytes.Buffer
	seen atomic.Pointer[string] // revision of the last write that a client of the tests made
}

// binary builds the binary once: what users run is what is tested.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "holdfast-test-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "holdfast")
	out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return bin, nil
})

func TestMain(m *testing.M) {
	beEtcd()
	status := m.Run()
	if bin, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(bin))
	}
	os.Exit(status)
}

func build(t *testing.T) string {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

func start(t *testing.T, args ...string) *deploymentUnderTest {
	t.Helper()
	d := &deploymentUnderTest{t: t, bin: build(t), data: filepath.Join(t.TempDir(), "data")}
	d.up(args...)
	return d
}

func (d *deploymentUnderTest) up(args ...string) {
	d.t.Helper()
	ready := filepath.Join(d.t.TempDir(), "ready")
	d.said = new(bytes.Buffer)
	d.cmd = exec.Command(d.bin, append([]string{"up", "--data", d.data, "--listen", "127.0.0.1:0", "--ready-file", ready}, args...)...)
	d.cmd.Stderr = d.said
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(d.stop)
	d.until("ready", func() bool { _, err := os.Stat(ready); return err == nil })
}

func (d *deploymentUnderTest) stop() {
	if d.cmd.ProcessState == nil {
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
		_ = d.cmd.Wait()
	}
}

func (d *deploymentUnderTest) until(what string, done func() bool) {
	d.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			logs, _ := exec.Command("sh", "-c", "tail -n 5 "+d.data+"/logs/*").CombinedOutput()
			d.t.Fatalf("not %s\n%s\n%s", what, d.said, logs)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// run runs a command in the deployment's environment, out of an environment
// full of stale AWS variables.
func (d *deploymentUnderTest) run(args ...string) (string, error) {
	cmd := exec.Command(d.bin, append([]string{"--data", d.data, "exec", "--"}, args...)...)
	cmd.Env = append(os.Environ(), "AWS_SESSION_TOKEN=stale", "AWS_PROFILE=gone", "AWS_ENDPOINT_URL_STS=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1", "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (d *deploymentUnderTest) ok(args ...string) string {
	d.t.Helper()
	out, err := d.run(args...)
	if err != nil {
		d.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

func (d *deploymentUnderTest) pid(name string) int {
	out, _ := exec.Command("pgrep", "-f", filepath.Join(d.data, "nodes", name, "config.json")).Output()
	var pid int
	_ = json.Unmarshal(bytes.TrimSpace(bytes.Split(out, []byte("\n"))[0]), &pid)
	return pid
}

func TestTheReadmesSessionRunsAsWritten(t *testing.T) {
	d := start(t)
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	for _, block := range regexp.MustCompile("(?s)```sh session\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		script.WriteString(block[1] + "\n")
	}
	work := t.TempDir()
	if err := os.Mkdir(filepath.Join(work, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(d.bin, filepath.Join(work, "bin", "holdfast")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script.String())
	cmd.Dir = work
	cmd.Env = append(os.Environ(), "HOLDFAST_DATA="+d.data, "AWS_PAGER=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`"decision":"Allowed"`, `"decision":"ImplicitDeny"`, "because no identity-based policy allows the storage:PutObject action", `{"decision":true`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the session does not show %s:\n%s", want, out)
		}
	}
	d.carriesNoSecret()
}

// carriesNoSecret looks for the administrator's and root's secret in every
// file of the data directory but the one that is named for them.
func (d *deploymentUnderTest) carriesNoSecret() {
	d.t.Helper()
	c, err := local.Layout{Dir: d.data}.Credentials("")
	if err != nil {
		d.t.Fatal(err)
	}
	for _, secret := range []string{c.AdminSecret, c.RootSecret} {
		out, _ := exec.Command("grep", "-rlF", "--exclude=development-credentials.json", secret, d.data).CombinedOutput()
		if len(out) > 0 {
			d.t.Errorf("a secret access key stands in clear in %s", out)
		}
	}
}

func TestARegionAnswersWithTheControlPlaneGoneAndAfterItsOwnRestart(t *testing.T) {
	d := start(t)
	d.ok("aws", "iam", "create-role", "--role-name", "r", "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}}`)
	control := d.pid("control")
	if err := syscall.Kill(control, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(control, syscall.SIGCONT)
	answers := func() {
		t.Helper()
		d.ok("aws", "sts", "get-caller-identity")
		d.ok("aws", "iam", "get-user")
		d.ok("aws", "sts", "assume-role", "--role-arn", "arn:aws:iam::111122223333:role/r", "--role-session-name", "demo")
	}
	answers()
	region := d.pid("us-east-1a")
	if err := syscall.Kill(region, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.until("restarted", func() bool {
		p := d.pid("us-east-1a")
		return p != 0 && p != region
	})
	answers()
	if out, err := d.run("aws", "iam", "create-user", "--user-name", "late"); err == nil || !strings.Contains(out, "ServiceUnavailable") {
		t.Errorf("a write without the control plane: %s", out)
	}
}

func TestAnAcknowledgedWriteOutlivesEveryProcess(t *testing.T) {
	d := start(t)
	for i, name := range []string{"control", "us-east-1a", "control"} {
		user := "user-" + string(rune('a'+i))
		d.ok("aws", "iam", "create-user", "--user-name", user)
		if name == "us-east-1a" { // as if it had been killed before it heard that it was admitted
			if err := os.Remove(filepath.Join(d.data, "nodes", name, "joined.json")); err != nil {
				t.Fatal(err)
			}
		}
		old := d.pid(name)
		if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		d.until("answering again", func() bool {
			out, err := d.run("aws", "iam", "tag-user", "--user-name", user, "--tags", "Key=k,Value=v")
			return err == nil || strings.Contains(out, "NoSuchEntity")
		})
		d.ok("aws", "iam", "get-user", "--user-name", user)
	}
	d.stop()
	d.up()
	if out := d.ok("aws", "iam", "list-users", "--query", "Users[].UserName", "--output", "text"); !strings.Contains(out, "user-a\tuser-b\tuser-c") {
		t.Errorf("after a restart: %s", out)
	}
}

func TestAKilledUpLeavesNoChildBehind(t *testing.T) {
	d := start(t)
	control, region := d.pid("control"), d.pid("us-east-1a")
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = d.cmd.Wait()
	d.until("gone", func() bool { return syscall.Kill(control, 0) != nil && syscall.Kill(region, 0) != nil })
}

func TestTwoRegionsAcceptEachOthersSessions(t *testing.T) {
	d := start(t, "--regions", "us-east-1,eu-west-1,ap-south-2")
	d.ok("aws", "iam", "create-role", "--role-name", "r", "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}}`)
	fields := strings.Fields(d.ok("aws", "sts", "assume-role", "--role-arn", "arn:aws:iam::111122223333:role/r", "--role-session-name", "demo",
		"--query", "Credentials.[AccessKeyId,SecretAccessKey,SessionToken]", "--output", "text"))
	var a local.Addresses
	if err := local.Read(local.Layout{Dir: d.data}.AddressesFile(), &a); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(d.pid("us-east-1a"), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("aws", "sts", "get-caller-identity", "--endpoint-url", "http://"+a.Regions[1].API, "--region", "eu-west-1")
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+fields[0], "AWS_SECRET_ACCESS_KEY="+fields[1], "AWS_SESSION_TOKEN="+fields[2])
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "assumed-role/r/demo") {
		t.Errorf("%v %s", err, out)
	}
	_ = syscall.Kill(d.pid("us-east-1a"), syscall.SIGCONT)
	t.Run("an opt-in Region", d.optIn)
}

func TestADeniedKeyIsRefusedFromThenOn(t *testing.T) {
	d := start(t)
	d.ok("aws", "iam", "create-user", "--user-name", "bob")
	fields := strings.Fields(d.ok("aws", "iam", "create-access-key", "--user-name", "bob", "--query", "AccessKey.[AccessKeyId,SecretAccessKey]", "--output", "text"))
	as := func() (string, error) {
		return d.run("env", "AWS_ACCESS_KEY_ID="+fields[0], "AWS_SECRET_ACCESS_KEY="+fields[1], "aws", "sts", "get-caller-identity")
	}
	if out, err := as(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if out, err := exec.Command(d.bin, "--data", d.data, "deny", "key", fields[0], "--reason", "test").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if out, err := as(); err == nil || !strings.Contains(out, "AccessDenied") {
		t.Errorf("a denied key: %s", out)
	}
}

func TestTheLastUseOfAnAccessKeyIsKnown(t *testing.T) {
	d := start(t)
	d.until("known", func() bool {
		out := d.ok("bash", "-c", "aws iam get-access-key-last-used --access-key-id $AWS_ACCESS_KEY_ID --output text")
		return strings.Contains(out, "us-east-1") && strings.Contains(out, "iam") && strings.Contains(out, "admin")
	})
}

func TestAStartThatCannotBeIsOneSentenceAndExit2(t *testing.T) {
	bin := build(t)
	foreign, half, file := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "file")
	for _, path := range []string{filepath.Join(foreign, "thesis.txt"), filepath.Join(half, "first-start"), file} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, port, _ := net.SplitHostPort(busy.Addr().String())
	for name, args := range map[string][]string{
		"foreign directory":      {"--data", foreign},
		"half-written directory": {"--data", half},
		"a file":                 {"--data", file},
		"unknown flag":           {"--dta", foreign},
		"no Region":              {"--regions", "mars", "--data", t.TempDir()},
		"not loopback":           {"--listen", "0.0.0.0:4260", "--data", t.TempDir()},
		"busy port":              {"--listen", "127.0.0.1:" + port, "--data", filepath.Join(t.TempDir(), "d")},
		"no address":             {"--listen", "nonsense", "--data", filepath.Join(foreign, "made")},
		"no zone":                {"--azs", "-1", "--data", t.TempDir()},
		"below a file":           {"--data", filepath.Join(file, "d")},
	} {
		cmd := exec.Command(bin, append([]string{"up"}, args...)...)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 2 || bytes.Count(out, []byte("\n")) != 1 || err == nil {
			t.Errorf("%s: exit %d\n%s", name, cmd.ProcessState.ExitCode(), out)
		}
	}
	if _, err := os.Stat(filepath.Join(foreign, "made")); err == nil {
		t.Error("a start that could not be left a directory behind")
	}
}

func TestAPathTooLongForASocketIsOneSentenceAndExit2(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 70))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(build(t), "up", "--data", filepath.Join(long, "data"))
	cmd.Env = append(os.Environ(), "TMPDIR="+long)
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 2 || bytes.Count(out, []byte("\n")) != 1 || !strings.Contains(string(out), "set TMPDIR to a shorter directory") {
		t.Errorf("exit %d\n%s", cmd.ProcessState.ExitCode(), out)
	}
}

func TestEnvPrintsFalseOnAnErrorSoThatNothingRunsAgainstAWS(t *testing.T) {
	bin := build(t)
	cmd := exec.Command("bash", "-c", `eval "$(`+bin+` env)" && echo reached`)
	cmd.Dir = t.TempDir()
	if out, err := cmd.Output(); err == nil || strings.Contains(string(out), "reached") {
		t.Errorf("%v %s", err, out)
	}
	cmd = exec.Command(bin, "exec", "--", "touch", "ran")
	cmd.Dir = t.TempDir()
	if err := cmd.Run(); err == nil {
		t.Error("exec succeeded without a deployment")
	}
	if _, err := os.Stat(filepath.Join(cmd.Dir, "ran")); err == nil {
		t.Error("exec ran its command")
	}
}
