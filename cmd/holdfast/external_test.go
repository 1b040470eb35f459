package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/node"
)

// overEtcd is a control plane of three nodes over somebody else's cluster, and
// a Region of one node: each a process of its own that nobody starts again.
func overEtcd(t *testing.T, c *etcdCluster) *deploymentUnderTest {
	t.Helper()
	d := &deploymentUnderTest{t: t, bin: build(t), data: filepath.Join(t.TempDir(), "data"), said: new(bytes.Buffer)}
	l := local.Layout{Dir: d.data}
	ports := listening(t, 13)
	port := func() string { p := ports[0]; ports = ports[1:]; return p }
	a := local.Addresses{Supervisor: os.Getpid(), Operator: l.OperatorSocket()}
	unused := map[string]string{} // where embedded members would listen
	for _, name := range local.ControlNames(3) {
		a.Controls = append(a.Controls, local.NodeAddresses{Name: name, API: port(), Peer: port(), Admin: port()})
		unused[name] = "127.0.0.1:1"
	}
	a.Control = a.Controls[0]
	region := local.NodeAddresses{Name: "us-east-1a", Region: "us-east-1", API: port(), Decide: port(), Peer: port(), Admin: port()}
	a.Regions = []local.NodeAddresses{region}
	if err := l.Make(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Join(d.data, "nodes"), filepath.Join(d.data, "logs"), l.Run(), l.Node(region.Name)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m, err := node.Develop(local.Options{Layout: l, Regions: []string{"us-east-1"}, Zones: 3, Etcd: unused})
	if err != nil {
		t.Fatal(err)
	}
	write := func(path string, v any) {
		t.Helper()
		if err := local.Write(path, v, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(l.Marker(), m)
	write(l.AddressesFile(), a)
	controls := map[string]string{}
	for n, x := range a.Controls {
		conf := l.ControlConfig(m, &a, n)
		conf.EtcdMembers, conf.EtcdEndpoints = nil, c.urls()
		conf.EtcdCA, conf.EtcdCert, conf.EtcdKey = c.file("ca.crt"), c.file("holdfast.crt"), c.file("holdfast.key")
		write(l.Config(x.Name), conf)
		controls[x.Name] = x.Peer
	}
	write(l.Config(region.Name), &config.Config{Role: "region", Dir: l.Node(region.Name), Region: "us-east-1", Zone: "a", API: region.API, Decide: region.Decide,
		Peer: region.Peer, Admin: region.Admin, Root: m.Root, Controls: controls, Invite: filepath.Join(l.Node(region.Name), "invite.json")})
	if err := node.Invite(l, region.Name, "us-east-1", "a"); err != nil {
		t.Fatal(err)
	}
	return d
}

// serve runs one node until the test ends.
func (d *deploymentUnderTest) serve(role, name string, flags ...string) *exec.Cmd {
	d.t.Helper()
	cmd := d.node(role, name, flags...)
	log, err := os.OpenFile(local.Layout{Dir: d.data}.Log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
	})
	return cmd
}

func (d *deploymentUnderTest) node(role, name string, flags ...string) *exec.Cmd {
	return exec.Command(d.bin, append([]string{"serve", role, "--config", local.Layout{Dir: d.data}.Config(name)}, flags...)...)
}

// begins starts all nodes and waits until they are ready.
func (d *deploymentUnderTest) begins() {
	d.t.Helper()
	a := d.addresses()
	for _, x := range a.All() {
		role := "control"
		if x.Region != "" {
			role = "region"
		}
		d.serve(role, x.Name)
	}
	for _, x := range a.All() {
		d.until(x.Name+" ready", func() bool {
			r, err := http.Get("http://" + x.Admin + "/readyz")
			if err != nil {
				return false
			}
			r.Body.Close()
			return r.StatusCode == 200
		})
	}
}

func TestAControlPlaneOverAnEtcdClusterOfOnesOwn(t *testing.T) {
	c := newEtcdCluster(t)
	d := overEtcd(t, c)
	c.whole(t)
	// In one deployment, since it takes a while to start; in this order.
	t.Run("AWrongCertificateIsRefusedWithOneSentence", func(t *testing.T) { wrongCertificates(t, d, c) })
	d.begins()
	e, admin := d.endpoint(), d.admin()
	e.http.Transport = manyConnections(16)
	e.newRole(admin, "r", "")
	user := e.newUser(admin, "caller", allowAll)
	l := e.ledger(admin, 4)
	l.next()
	t.Run("AMembersDeathIsAShortWait", func(t *testing.T) { memberDies(t, d, c, l) })
	t.Run("EachMemberIsDefragmentedUnderWrites", func(t *testing.T) { defragmented(t, c, l) })
	t.Run("ItsAuthorityIsReplacedWithoutARestart", func(t *testing.T) { authorityReplaced(t, d, c, l) })
	t.Run("AMemberIsReplacedUnderWrites", func(t *testing.T) { memberReplaced(t, c, l) })
	close(l.stop)
	l.all.Wait()
	t.Run("WithoutAMajorityReadsAndSTSGoOnAndWritesAreRefused", func(t *testing.T) { etcdMajorityLost(t, d, c, user) })
	d.until("equal", func() bool { return d.agree() })
	listed := e.allUsers(admin)
	for _, name := range l.names {
		if listed[name] != 1 {
			t.Errorf("%s was acknowledged and is there %d times", name, listed[name])
		}
	}
	t.Logf("%d acknowledged writes", len(l.names))
	d.carriesNoSecret()
}

func wrongCertificates(t *testing.T, d *deploymentUnderTest, c *etcdCluster) {
	c.authority("stranger")
	c.issue("stranger", "impostor")
	name := d.addresses().Controls[0].Name
	l := local.Layout{Dir: d.data}
	var good config.Config
	if err := local.Read(l.Config(name), &good); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := local.Write(l.Config(name), &good, 0o600); err != nil {
			t.Fatal(err)
		}
	}()
	for _, x := range []struct {
		change func(*config.Config)
		want   string
	}{
		{func(k *config.Config) { k.EtcdCA = c.file("stranger-ca.crt") }, "stranger-ca.crt did not issue"},
		{func(k *config.Config) { k.EtcdCert, k.EtcdKey = c.file("impostor.crt"), c.file("impostor.key") }, "refuses the certificate in " + c.file("impostor.crt")},
		{func(k *config.Config) { k.EtcdKey = c.file("impostor.key") }, "private key does not match public key"},
	} {
		k := good
		x.change(&k)
		if err := local.Write(l.Config(name), &k, 0o600); err != nil {
			t.Fatal(err)
		}
		// The flag wins over the file's.
		cmd := d.node("control", name, "--etcd-endpoints", strings.Join(c.urls(), ","))
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), x.want) || strings.Contains(string(out), "goroutine ") || len(bytes.Split(bytes.TrimSpace(out), []byte("\n"))) > 2 {
			t.Errorf("want %q: %v\n%s", x.want, err, out)
		}
	}
}

// within is for a condition of the ledger: how long until a write is acknowledged.
func (l *ledger) within(t *testing.T, what string) {
	t.Helper()
	t.Logf("%s: the next write acknowledged after %s", what, l.next().Round(time.Millisecond))
}

func memberDies(t *testing.T, d *deploymentUnderTest, c *etcdCluster, l *ledger) {
	for i := range 3 { // the leader is among them
		c.kill(i)
		l.within(t, fmt.Sprintf("etcd member %d killed", i))
		c.start(i)
		c.whole(t)
	}
	d.until("equal", func() bool { return d.agree() })
}

func defragmented(t *testing.T, c *etcdCluster, l *ledger) {
	for i := range 3 {
		client := c.client(t, i)
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		if _, err := client.Defragment(ctx, c.urls()[i]); err != nil {
			t.Error(err)
		}
		cancel()
		l.within(t, fmt.Sprintf("etcd member %d defragmented", i))
	}
}

// authorityReplaced does what docs/operations/external-etcd.md says.
func authorityReplaced(t *testing.T, d *deploymentUnderTest, c *etcdCluster, l *ledger) {
	before := map[string]int{}
	for _, x := range d.addresses().All() {
		before[x.Name] = d.pid(x.Name)
	}
	again := func(what string) {
		for i := range 3 {
			c.kill(i)
			c.start(i)
			c.whole(t)
		}
		l.within(t, what)
	}
	c.authority("new")
	c.trust("old", "new")
	again("both authorities trusted")
	for i := range 3 {
		c.issue("new", c.name(i))
	}
	c.issue("new", "holdfast")
	l.within(t, "certificates of the new authority")
	c.trust("new")
	again("the old authority trusted no more")
	for name, pid := range before {
		if now := d.pid(name); now != pid || now == 0 {
			t.Errorf("%s was process %d and is %d", name, pid, now)
		}
	}
	if err := os.Remove(c.file("old-ca.key")); err != nil {
		t.Error(err)
	}
}

func memberReplaced(t *testing.T, c *etcdCluster, l *ledger) {
	c.kill(2)
	client := c.client(t, 0, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	all, err := client.MemberList(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all.Members {
		if m.Name == c.name(2) {
			if _, err := client.MemberRemove(ctx, m.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	for { // etcd takes no new member in before the others have been together for five seconds
		if _, err = client.MemberAdd(ctx, []string{"https://" + c.peers[2]}); err == nil || ctx.Err() != nil {
			break
		}
		<-time.After(100 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(c.file(c.name(2))); err != nil {
		t.Fatal(err)
	}
	c.state = "existing"
	c.start(2)
	c.whole(t)
	l.within(t, "a member replaced")
}

func etcdMajorityLost(t *testing.T, d *deploymentUnderTest, c *etcdCluster, user credential) {
	e, admin := d.endpoint().in(t), d.admin()
	c.kill(1)
	c.kill(2)
	for n := range 3 {
		refused := time.Now()
		r := e.iam(admin, "CreateUser", "UserName", fmt.Sprint("minority-", n))
		if r.status != 503 || r.code() != "ServiceUnavailable" {
			t.Errorf("a write without a majority: %d %s", r.status, r.body)
		}
		t.Logf("refused after %s", time.Since(refused).Round(time.Millisecond))
	}
	e.made(e.iam(admin, "GetUser", "UserName", "caller"))
	e.made(e.assume(user, "r", "demo"))
	c.start(1)
	begun := time.Now()
	e.created(admin, "majority")
	t.Logf("writes %s after a majority was started", time.Since(begun).Round(time.Millisecond))
	c.start(2)
	c.whole(t)
}
