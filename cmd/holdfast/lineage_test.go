package main

import (
	"bytes"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/holdfast-iam/holdfast/internal/local"
)

// keyPair makes an age key elsewhere: its file and its recipient.
func keyPair(t *testing.T) (file, recipient string) {
	t.Helper()
	i, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(file, []byte(i.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, i.Recipient().String()
}

// tool runs a command of the deployment's operator and returns all that it said.
func (d *deploymentUnderTest) tool(args ...string) (said string, status int) {
	cmd := exec.Command(d.bin, append([]string{"--data", d.data}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		d.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestALostControlPlaneGoesOnFromItsReplicasOrItsBackup(t *testing.T) {
	d := start(t, "--regions", "us-east-1,eu-west-1")
	e, admin := d.endpoint(), d.admin()
	e.newUser(admin, "before", allowAll)
	identity, recipient := keyPair(t)
	file := filepath.Join(t.TempDir(), "backup")
	// In one deployment, since it takes a while to start; in this order.
	t.Run("ABackupIsMadeWhileServingAndVerifies", func(t *testing.T) { backedUp(t, d, file, identity, recipient) })
}

func backedUp(t *testing.T, d *deploymentUnderTest, file, identity, recipient string) {
	if out, status := d.tool("backup", "--out", file, "--recipient", recipient); status != 0 || !strings.Contains(out, "records") {
		t.Fatalf("status %d\n%s", status, out)
	}
	if out, status := d.tool("backup", "--out", file, "--recipient", recipient); status != statusUsage {
		t.Errorf("it is overwritten: status %d\n%s", status, out)
	}
	if out, status := d.tool("backup", "--out", file+"2", "--recipient", "age1nobody"); status != statusUsage {
		t.Errorf("for nobody: status %d\n%s", status, out)
	}
	if out, status := d.tool("backup", "verify", file, "--identity", identity); status != 0 || !strings.Contains(out, "revision") {
		t.Errorf("status %d\n%s", status, out)
	}
	if out, status := d.tool("backup", "verify", file, "--identity", identity, "--root", strings.Repeat("0", 64)); status != statusNo || !strings.Contains(out, "another root") {
		t.Errorf("of another root: status %d\n%s", status, out)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut")
	if err := os.WriteFile(cut, whole[:len(whole)-100], 0o600); err != nil {
		t.Fatal(err)
	}
	if out, status := d.tool("backup", "verify", cut, "--identity", identity); status != statusNo {
		t.Errorf("cut: status %d\n%s", status, out)
	}
	holdsNoSecret(t, d, whole, identity)
	d.until("audited", func() bool {
		out, _ := exec.Command("grep", "-rc", `"operator:backup"`, filepath.Join(local.Layout{Dir: d.data}.Node("control"), "audit")).Output()
		return strings.TrimSpace(string(out)) == "1" || strings.HasSuffix(strings.TrimSpace(string(out)), ":1")
	})
}

// holdsNoSecret looks for the deployment's secrets in what a recipient reads.
func holdsNoSecret(t *testing.T, d *deploymentUnderTest, whole []byte, identity string) {
	t.Helper()
	text, err := os.ReadFile(identity)
	if err != nil {
		t.Fatal(err)
	}
	key, err := age.ParseX25519Identity(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(bytes.NewReader(whole), key)
	if err != nil {
		t.Fatal(err)
	}
	inside, err := io.ReadAll(r)
	if err != nil || !bytes.Contains(inside, []byte("AdministratorAccess")) {
		t.Fatalf("%d bytes, %v", len(inside), err)
	}
	l := local.Layout{Dir: d.data}
	c, err := l.Credentials("")
	if err != nil {
		t.Fatal(err)
	}
	kek, err := os.ReadFile(l.KEK())
	if err != nil {
		t.Fatal(err)
	}
	for what, secret := range map[string][]byte{"administrator's key": []byte(c.AdminSecret), "root's key": []byte(c.RootSecret), "KEK": kek, "KEK in hex": []byte(hex.EncodeToString(kek))} {
		if bytes.Contains(inside, secret) {
			t.Errorf("the %s stands in the backup", what)
		}
	}
}
