package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"go.uber.org/zap"

	"github.com/holdfast-iam/holdfast/internal/store"
)

// asEtcd has this test binary be etcd itself, with etcd's own flags.
const asEtcd = "HOLDFAST_TEST_ETCD"

func beEtcd() {
	if os.Getenv(asEtcd) != "" {
		etcdmain.Main(append([]string{"etcd"}, os.Args[1:]...))
	}
}

// etcdCluster is three etcd processes that somebody else runs.
type etcdCluster struct {
	t       *testing.T
	dir     string
	clients []string // HOST:PORT of each
	peers   []string
	state   string // of --initial-cluster-state
	running []*exec.Cmd
	flags   []string
}

func newEtcdCluster(t *testing.T) *etcdCluster {
	t.Helper()
	c := &etcdCluster{t: t, dir: t.TempDir(), state: "new", running: make([]*exec.Cmd, 3),
		flags: []string{"--max-txn-ops=4096", "--max-request-bytes=16777216", "--snapshot-count=1000", "--heartbeat-interval=50", "--election-timeout=500", "--quota-backend-bytes=1073741824"}}
	ports := listening(t, 6)
	c.clients, c.peers = ports[:3], ports[3:]
	c.authority("old")
	c.trust("old")
	for i := range 3 {
		c.issue("old", c.name(i))
	}
	c.issue("old", "holdfast")
	for i := range 3 {
		c.start(i)
	}
	t.Cleanup(func() {
		for i := range 3 {
			c.kill(i)
		}
	})
	return c
}

// listening are ports that are free.
func listening(t *testing.T, n int) (list []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		list = append(list, l.Addr().String())
	}
	return list
}

func (c *etcdCluster) name(i int) string       { return fmt.Sprint("etcd", i) }
func (c *etcdCluster) file(name string) string { return filepath.Join(c.dir, name) }

// authority makes one that certificates can be issued by.
func (c *etcdCluster) authority(name string) {
	c.t.Helper()
	if err := store.MakeAuthority(c.file(name+"-ca.crt"), c.file(name+"-ca.key"), time.Now()); err != nil {
		c.t.Fatal(err)
	}
}

// trust puts authorities into the file that all look at.
func (c *etcdCluster) trust(names ...string) {
	c.t.Helper()
	var all []byte
	for _, name := range names {
		b, err := os.ReadFile(c.file(name + "-ca.crt"))
		if err != nil {
			c.t.Fatal(err)
		}
		all = append(all, b...)
	}
	if err := os.WriteFile(c.file("ca.new"), all, 0o644); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(c.file("ca.new"), c.file("ca.crt")); err != nil {
		c.t.Fatal(err)
	}
}

// issue gives somebody a certificate, in the place of an older one.
func (c *etcdCluster) issue(authority, name string) {
	c.t.Helper()
	if err := store.IssueMember(c.file(authority+"-ca.crt"), c.file(authority+"-ca.key"), c.file(name+".crt"), c.file(name+".key"), name, "127.0.0.1", time.Now()); err != nil {
		c.t.Fatal(err)
	}
}

func (c *etcdCluster) start(i int) {
	c.t.Helper()
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	var all []string
	for k, p := range c.peers {
		all = append(all, c.name(k)+"=https://"+p)
	}
	crt, key, ca := c.file(c.name(i)+".crt"), c.file(c.name(i)+".key"), c.file("ca.crt")
	args := append([]string{"--name", c.name(i), "--data-dir", c.file(c.name(i)), "--log-level", "error",
		"--listen-client-urls", "https://" + c.clients[i], "--advertise-client-urls", "https://" + c.clients[i],
		"--listen-peer-urls", "https://" + c.peers[i], "--initial-advertise-peer-urls", "https://" + c.peers[i],
		"--initial-cluster", strings.Join(all, ","), "--initial-cluster-state", c.state,
		"--cert-file", crt, "--key-file", key, "--trusted-ca-file", ca, "--client-cert-auth",
		"--peer-cert-file", crt, "--peer-key-file", key, "--peer-trusted-ca-file", ca, "--peer-client-cert-auth"}, c.flags...)
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asEtcd+"=1")
	log, err := os.OpenFile(c.file(c.name(i)+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.running[i] = cmd
}

func (c *etcdCluster) kill(i int) {
	if c.running[i] != nil {
		_ = c.running[i].Process.Kill()
		_ = c.running[i].Wait()
		c.running[i] = nil
	}
}

func (c *etcdCluster) urls() (list []string) {
	for _, a := range c.clients {
		list = append(list, "https://"+a)
	}
	return list
}

// client is an administrator's, of some of the members.
func (c *etcdCluster) client(t *testing.T, members ...int) *clientv3.Client {
	t.Helper()
	own, err := tls.LoadX509KeyPair(c.file("holdfast.crt"), c.file("holdfast.key"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(c.file("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	conf := &tls.Config{Certificates: []tls.Certificate{own}, RootCAs: x509.NewCertPool()}
	conf.RootCAs.AppendCertsFromPEM(ca)
	var at []string
	for _, i := range members {
		at = append(at, c.urls()[i])
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: at, TLS: conf, Logger: zap.NewNop(), DialTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// whole waits until every member answers with a leader.
func (c *etcdCluster) whole(t *testing.T) {
	t.Helper()
	for begun := time.Now(); ; {
		n := 0
		for i := range 3 {
			client := c.client(t, i)
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			if _, err := client.Get(ctx, "x"); err == nil {
				n++
			}
			cancel()
			client.Close()
		}
		if n == 3 {
			return
		}
		if time.Since(begun) > time.Minute {
			out, _ := exec.Command("sh", "-c", "tail -n 3 "+c.dir+"/*.log").CombinedOutput()
			t.Fatalf("%d of 3 etcd members answer\n%s", n, out)
		}
	}
}
