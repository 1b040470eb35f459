package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// terraformMirror is where a provider lies that needs no registry.
func terraformMirror() string {
	if dir := os.Getenv("HOLDFAST_TF_PLUGINS"); dir != "" {
		return dir
	}
	return "/opt/tf-plugins"
}

// terraforming is a directory with a configuration, against a deployment.
type terraforming struct {
	d      *deploymentUnderTest
	dir    string
	config string // of the CLI
}

func newTerraforming(t *testing.T) *terraforming {
	t.Helper()
	if _, err := exec.LookPath("terraform"); err != nil {
		notRun(t, "terraform", "it is not in PATH")
	}
	x := &terraforming{dir: t.TempDir(), config: filepath.Join(t.TempDir(), "terraformrc")}
	if mirror := terraformMirror(); exists(filepath.Join(mirror, "registry.terraform.io", "hashicorp", "aws")) {
		text := fmt.Sprintf("disable_checkpoint = true\nprovider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", mirror)
		if err := os.WriteFile(x.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if file := os.Getenv("TF_CLI_CONFIG_FILE"); file != "" && exists(file) {
		x.config = file
	} else {
		notRun(t, "terraform", "there is no AWS provider in "+mirror+", and TF_CLI_CONFIG_FILE names no configuration")
	}
	text, err := os.ReadFile("testdata/terraform/main.tf")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(x.dir, "main.tf"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	x.d = start(t)
	x.ok("init", "-no-color")
	return x
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// try runs Terraform and returns its exit status.
func (x *terraforming) try(args ...string) (string, int) {
	x.d.t.Helper()
	env := []string{"TF_CLI_CONFIG_FILE=" + x.config, "TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1", "AWS_EC2_METADATA_DISABLED=true"}
	out, err := x.d.run(append(append([]string{"env"}, env...), append([]string{"terraform", "-chdir=" + x.dir}, args...)...)...)
	var ended *exec.ExitError
	switch {
	case err == nil:
		return out, 0
	case errors.As(err, &ended):
		return out, ended.ExitCode()
	}
	return err.Error(), -1
}

func (x *terraforming) ok(args ...string) string {
	x.d.t.Helper()
	out, status := x.try(args...)
	if status != 0 {
		x.d.t.Fatalf("terraform %v: exit %d\n%s", args, status, out)
	}
	return out
}

func (x *terraforming) apply() { x.d.t.Helper(); x.ok("apply", "-auto-approve", "-no-color") }

// settled says that what was applied is what is there: an empty plan.
func (x *terraforming) settled() {
	x.d.t.Helper()
	if out, status := x.try("plan", "-detailed-exitcode", "-no-color"); status != 0 {
		x.d.t.Errorf("the plan after an apply is not empty: exit %d\n%s", status, out)
	}
}

// destroy destroys everything, and finds nothing left of it.
func (x *terraforming) destroy() {
	x.d.t.Helper()
	x.ok("destroy", "-auto-approve", "-no-color")
	out := x.d.ok("bash", "-c", "for list in list-users list-groups list-roles list-instance-profiles 'list-policies --scope Local'; do aws iam $list --output json; done")
	if names := strings.Count(out, `"CreateDate"`); names != 1 || !strings.Contains(out, "user/admin") {
		x.d.t.Errorf("after the destruction there is more than the administrator:\n%s", out)
	}
}

// killControl ends the control plane's process as a crash does, and returns
// without waiting for the next one.
func (x *terraforming) killControl() {
	x.d.t.Helper()
	pid := x.d.pid("control")
	if pid == 0 {
		x.d.t.Fatal("there is no control plane")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		x.d.t.Fatal(err)
	}
}

// applyThroughACrash kills the control plane when the apply has made its first
// user: what remains of it goes to the next process.
func (x *terraforming) applyThroughACrash() {
	x.d.t.Helper()
	var out string
	var status int
	done := make(chan struct{})
	go func() {
		defer close(done)
		out, status = x.try("apply", "-auto-approve", "-no-color")
	}()
	client := x.d.as(x.d.admin(), nil).iam
	x.d.until("alice made", func() bool {
		_, err := client.GetUser(x.d.t.Context(), &iam.GetUserInput{UserName: new("alice")})
		return err == nil
	})
	x.killControl()
	<-done
	if status != 0 {
		x.d.t.Fatalf("an apply through a crash: exit %d\n%s", status, out)
	}
}

func TestTerraformAppliesSettlesAndDestroysAlsoAcrossACrashOfTheControlPlane(t *testing.T) {
	x := newTerraforming(t)
	x.apply()
	x.settled()
	// by hand, outside Terraform: force_destroy takes along what it does not know
	x.d.ok("aws", "iam", "create-access-key", "--user-name", "alice")
	x.d.ok("aws", "iam", "create-service-specific-credential", "--user-name", "alice", "--service-name", "holdfast.amazonaws.com")
	x.destroy()

	x.applyThroughACrash()
	x.killControl()
	x.settled()
	x.killControl()
	x.destroy()
}
