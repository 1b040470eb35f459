package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/operator"
)

// holdfast runs our own command on the deployment; it must succeed.
func (d *deploymentUnderTest) holdfast(args ...string) string {
	d.t.Helper()
	cmd := exec.Command(d.bin, append([]string{"--data", d.data}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		d.t.Fatalf("holdfast %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// exposed lists what a node could open.
func (d *deploymentUnderTest) exposed(node string) (x operator.Exposed) {
	d.t.Helper()
	if err := json.Unmarshal([]byte(d.holdfast("node", "exposed", node, "--format", "json")), &x); err != nil {
		d.t.Fatal(err)
	}
	return x
}

func TestAFencedNodesSessionsAreRefusedAndItsKeysRenewed(t *testing.T) {
	d := start(t, "--regions", "us-east-1,eu-west-1")
	admin, e := d.admin(), d.endpoint()
	other := *e
	other.base, other.region = "http://"+d.addresses().Regions[1].API, "eu-west-1"
	e.newRole(admin, "r", "")
	session := e.made(e.assume(admin, "r", "demo")).credential()
	other.made(other.sts(session, "GetCallerIdentity"))
	d.holdfast("node", "fence", "us-east-1a", "--reason", "stolen")
	if r := other.sts(session, "GetCallerIdentity"); r.code() != "InvalidClientTokenId" {
		t.Errorf("a fenced node's session: %d %s", r.status, r.body)
	}
	other.made(other.sts(admin, "GetCallerIdentity"))
	if x := d.exposed("us-east-1a"); x.Accounts != 1 || len(x.Keys) != 2 {
		t.Errorf("%+v", x)
	}
	// Once the account's key is renewed, a new key is not among what it could open.
	users := 0
	d.until("renewed", func() bool {
		users++
		made := other.newUser(admin, fmt.Sprintf("u%d", users), "")
		other.made(other.sts(made, "GetCallerIdentity"))
		return len(d.exposed("us-east-1a").Keys) < 2+users
	})
	if out := d.holdfast("node", "list"); !strings.Contains(out, "fenced") {
		t.Errorf("%s", out)
	}
	d.proposes()
}

// proposes writes a command for another operator, who alone may approve it.
func (d *deploymentUnderTest) proposes() {
	d.t.Helper()
	file := filepath.Join(d.t.TempDir(), "proposal")
	d.holdfast("deny", "minter", "eu-west-1a", "--propose", file)
	if out := d.holdfast("deny", "list", "--format", "json"); strings.Contains(out, "eu-west-1a") {
		d.t.Errorf("a proposal is in force: %s", out)
	}
	d.holdfast("approve", file)
	cmd := exec.Command(d.bin, "--data", d.data, "approve", file, "--yes")
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "another operator approves it") {
		d.t.Errorf("exit %d\n%s", cmd.ProcessState.ExitCode(), out)
	}
}
