package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/local"
)

// freeAddress is one that nobody listens on now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestARegionThatIsAdmittedServesTheUsersThatWereThereBefore adds a Region and a
// node of it, by hand, to a deployment that runs.
func TestARegionThatIsAdmittedServesTheUsersThatWereThereBefore(t *testing.T) {
	d := start(t)
	before := d.endpoint().newUser(d.admin(), "before", allowAll)
	if out, err := d.operator("region", "create", "eu-west-1"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	var m local.Marker
	if err := local.Read(local.Layout{Dir: d.data}.Marker(), &m); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c := &config.Config{Role: "region", Dir: "data", Region: "eu-west-1", Zone: "a", Root: m.Root, Invite: "invite.json",
		API: freeAddress(t), Admin: freeAddress(t), Control: d.addresses().Control.Peer}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "node.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := d.operator("node", "invite", "--role", "region", "--region", "eu-west-1", "--id", "eu-west-1a", "--out", filepath.Join(dir, "invite.json")); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for _, args := range [][]string{{"config", "check", file}, {"node", "join", "--config", file}} {
		if out, err := exec.Command(d.bin, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v %s", args, err, out)
		}
	}
	again := exec.Command(d.bin, "node", "join", "--config", file)
	if out, err := again.CombinedOutput(); again.ProcessState.ExitCode() != 2 || !bytes.Contains(out, []byte("joined already")) {
		t.Errorf("a second admission: %v %s", err, out)
	}
	cmd := exec.Command(d.bin, "serve", "region", "--config", file)
	said := new(bytes.Buffer)
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	d.until("ready", func() bool {
		r, err := http.Get("http://" + c.Admin + "/readyz")
		if err == nil {
			r.Body.Close()
		}
		return err == nil && r.StatusCode == 200
	})
	e := d.endpoint()
	e.base = "http://" + c.API
	d.until("serving the user that was there before", func() bool { return e.iam(before, "GetUser").status == 200 })
	// Asked to end, it says so first, and then ends by itself.
	_ = cmd.Process.Signal(syscall.SIGTERM)
	d.until("saying that it is ending", func() bool {
		r, err := http.Get("http://" + c.Admin + "/readyz")
		if err == nil {
			r.Body.Close()
		}
		return err == nil && r.StatusCode == 503
	})
	if r := e.iam(before, "GetUser"); r.status != 200 {
		t.Errorf("while it is ending: %d", r.status)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v %s", err, said)
	}
}
