package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// handNode is a Region node that is not of the deployment's supervisor.
type handNode struct {
	*deploymentUnderTest
	config *config.Config
	file   string
	cmd    *exec.Cmd
	said   *bytes.Buffer
}

// byHand makes the configuration of a Region node.
func (d *deploymentUnderTest) byHand(region, zone string) *handNode {
	d.t.Helper()
	var m local.Marker
	if err := local.Read(local.Layout{Dir: d.data}.Marker(), &m); err != nil {
		d.t.Fatal(err)
	}
	dir := d.t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		d.t.Fatal(err)
	}
	n := &handNode{deploymentUnderTest: d, file: filepath.Join(dir, "node.json")}
	n.config = &config.Config{Role: "region", Dir: "data", Region: region, Zone: zone, Root: m.Root, Invite: "invite.json",
		API: freeAddress(d.t), Admin: freeAddress(d.t), Control: d.addresses().Control.Peer}
	n.write()
	return n
}

func (n *handNode) write() {
	n.t.Helper()
	b, err := json.Marshal(n.config)
	if err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(n.file, b, 0o600); err != nil {
		n.t.Fatal(err)
	}
}

// invite has an operator invite the node.
func (n *handNode) invite(args ...string) {
	n.t.Helper()
	args = append([]string{"node", "invite", "--role", "region", "--region", n.config.Region, "--id", n.config.Region + n.config.Zone,
		"--out", filepath.Join(filepath.Dir(n.file), "invite.json")}, args...)
	if out, err := n.operator(args...); err != nil {
		n.t.Fatalf("%v %s", err, out)
	}
}

func (n *handNode) run(args ...string) {
	n.t.Helper()
	if out, err := exec.Command(n.bin, args...).CombinedOutput(); err != nil {
		n.t.Fatalf("%v: %v %s", args, err, out)
	}
}

func (n *handNode) start() {
	n.t.Helper()
	cmd := exec.Command(n.bin, "serve", "region", "--config", n.file)
	n.cmd, n.said = cmd, new(bytes.Buffer)
	cmd.Stderr = n.said
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// ready is what the node says of its readiness, "" while it says nothing.
func (n *handNode) ready() (int, string) {
	r, err := http.Get("http://" + n.config.Admin + "/readyz")
	if err != nil {
		return 0, ""
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body)
	return r.StatusCode, string(b)
}

func (n *handNode) endpoint() *endpoint {
	e := n.deploymentUnderTest.endpoint()
	e.base, e.region = "http://"+n.config.API, n.config.Region
	return e
}

// TestARegionComesAndGoes adds a Region and a node of it to a deployment that
// runs, and takes it out again.
func TestARegionComesAndGoes(t *testing.T) {
	d := start(t)
	home, admin := d.endpoint(), d.admin()
	before := home.newUser(admin, "before", allowAll)
	home.newRole(admin, "r", "")
	if out, err := d.operator("region", "create", "eu-west-1"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	n := d.byHand("eu-west-1", "a")
	n.invite()
	n.run("config", "check", n.file)
	n.run("node", "join", "--config", n.file)
	again := exec.Command(d.bin, "node", "join", "--config", n.file)
	if out, err := again.CombinedOutput(); again.ProcessState.ExitCode() != 2 || !bytes.Contains(out, []byte("joined already")) {
		t.Errorf("a second admission: %v %s", err, out)
	}
	n.start()
	d.until("ready", func() bool { status, _ := n.ready(); return status == 200 })
	d.until("serving the user that was there before", func() bool { return n.endpoint().iam(before, "GetUser").status == 200 })
	t.Run("AskedToEndItSaysSoFirst", func(t *testing.T) { endsGently(t, n, before) })
	t.Run("TakenOutItServesNobodyAndItsSessionsAreRefused", func(t *testing.T) { takenOutRegion(t, n, before) })
}

func endsGently(t *testing.T, n *handNode, user credential) {
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	n.until("saying that it is ending", func() bool { status, _ := n.ready(); return status == 503 })
	if r := n.endpoint().iam(user, "GetUser"); r.status != 200 {
		t.Errorf("while it is ending: %d", r.status)
	}
	if err := n.cmd.Wait(); err != nil {
		t.Errorf("%v %s", err, n.said)
	}
	n.start()
	n.until("ready again", func() bool { status, _ := n.ready(); return status == 200 })
}

func takenOutRegion(t *testing.T, n *handNode, user credential) {
	home, e, admin := n.deploymentUnderTest.endpoint(), n.endpoint(), n.admin()
	session := e.made(e.assume(user, "r", "demo")).credential()
	home.made(home.sts(session, "GetCallerIdentity"))
	if out, err := n.operator("region", "delete", "eu-west-1"); err != nil || !strings.Contains(out, "eu-west-1a") {
		t.Fatalf("%v %s", err, out)
	}
	if r := home.sts(session, "GetCallerIdentity"); r.code() != "InvalidClientTokenId" {
		t.Errorf("a session of the Region that is gone: %d %s", r.status, r.body)
	}
	out := func() bool {
		status, why := n.ready()
		return status == 503 && strings.Contains(why, "fenced")
	}
	n.until("told that it is out", out)
	for _, r := range []*reply{e.iam(user, "GetUser"), e.sts(user, "GetCallerIdentity"), e.iam(admin, "CreateUser", "UserName", "x")} {
		if r.status != 503 || r.code() != "ServiceUnavailable" {
			t.Errorf("it answers %d %s", r.status, r.body)
		}
	}
	if out, err := n.operator("status"); err != nil {
		t.Errorf("%v %s", err, out)
	}
	// Nobody waits for it, and what is sealed from some moment on it cannot open.
	users := 0
	n.until("its keys are renewed", func() bool {
		users++
		r := home.iam(admin, "CreateUser", "UserName", "after"+strings.Repeat("x", users))
		if applied := r.header.Get("X-Holdfast-Applied"); strings.Contains(applied, "eu-west-1a") {
			t.Errorf("applied: %s", applied)
		}
		home.made(home.iam(admin, "CreateAccessKey", "UserName", "after"+strings.Repeat("x", users)))
		return len(n.exposed("eu-west-1a").Keys) < 3+users
	})
	// Cut off and started again it stays out.
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait()
	n.config.Control = "127.0.0.1:1"
	n.write()
	n.start()
	n.until("out also after its restart", out)
}
