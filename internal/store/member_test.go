package store_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/holdfast-iam/holdfast/internal/store"
	"github.com/holdfast-iam/holdfast/internal/store/storetest"
)

// freePorts are HOST:PORTs that nobody listens on.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var list []string
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

// cluster is three embedded members in this process.
type cluster struct {
	t       *testing.T
	dir     string
	configs []store.MemberConfig
	members []*store.Etcd
}

func newCluster(t *testing.T) *cluster { return newClusterOf(t, store.DefaultQuota) }

func newClusterOf(t *testing.T, quota int64) *cluster {
	t.Helper()
	run, err := os.MkdirTemp("", "hf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	c := &cluster{t: t, dir: t.TempDir(), members: make([]*store.Etcd, 3)}
	file := func(name string) string { return filepath.Join(c.dir, name) }
	if err := store.MakeAuthority(file("ca.crt"), file("ca.key"), time.Now()); err != nil {
		t.Fatal(err)
	}
	peers := map[string]string{}
	for i, address := range freePorts(t, 3) {
		peers[fmt.Sprint("m", i)] = address
	}
	for i := range 3 {
		name := fmt.Sprint("m", i)
		if err := store.IssueMember(file("ca.crt"), file("ca.key"), file(name+".crt"), file(name+".key"), name, "127.0.0.1", time.Now()); err != nil {
			t.Fatal(err)
		}
		c.configs = append(c.configs, store.MemberConfig{Dir: file(name), Run: run, Quota: quota, Log: quiet(),
			Name: name, Peers: peers, CA: file("ca.crt"), Cert: file(name + ".crt"), Key: file(name + ".key")})
	}
	c.open(0, 1, 2)
	t.Cleanup(func() {
		for _, m := range c.members {
			if m != nil {
				m.Close()
			}
		}
	})
	return c
}

func (c *cluster) open(which ...int) {
	c.t.Helper()
	var all sync.WaitGroup
	for _, i := range which {
		all.Go(func() {
			m, err := store.OpenMember(context.Background(), c.configs[i])
			if err != nil {
				c.t.Error(err)
				return
			}
			c.members[i] = m
		})
	}
	all.Wait()
	if c.t.Failed() {
		c.t.FailNow()
	}
}

func TestThreeMembersKeepTheContractAlsoWhenOneIsStoppedAndComesBack(t *testing.T) {
	c := newCluster(t)
	storetest.Run(t, func(*testing.T) store.KV { return c.members[0] }, func(t *testing.T, _ store.KV) store.KV {
		c.members[1].Close()
		c.open(1)
		kv := c.members[1]
		c.members[1] = nil // closed by the judge
		return kv
	})
}

func TestWithoutAMajorityTheStoreSaysSoAndAfterwardsItTakesWrites(t *testing.T) {
	c := newCluster(t)
	c.members[1].Close()
	c.members[2].Close()
	c.members[1], c.members[2] = nil, nil
	if _, err := c.members[0].Head(context.Background()); err == nil {
		t.Error("a head without a majority")
	}
	c.open(1, 2)
	until(t, "written", func() bool {
		ok, err := c.members[0].Commit(context.Background(), &store.Txn{Head: []byte("h"), Index: 1, Log: []byte("l")})
		return ok && err == nil
	})
}

// external starts a member that anybody with a certificate of the authority may
// use, with etcd's own limits unless they are given.
func external(t *testing.T, set func(*embed.Config)) store.ExternalConfig {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := store.MakeAuthority(file("ca.crt"), file("ca.key"), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := store.IssueMember(file("ca.crt"), file("ca.key"), file("m.crt"), file("m.key"), "m", "127.0.0.1", time.Now()); err != nil {
		t.Fatal(err)
	}
	ports := freePorts(t, 2)
	cfg := embed.NewConfig()
	cfg.Dir, cfg.ZapLoggerBuilder = file("data"), embed.NewZapLoggerBuilder(zap.NewNop())
	client, peer := url.URL{Scheme: "https", Host: ports[0]}, url.URL{Scheme: "http", Host: ports[1]}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.ClientTLSInfo.CertFile, cfg.ClientTLSInfo.KeyFile = file("m.crt"), file("m.key")
	cfg.ClientTLSInfo.TrustedCAFile, cfg.ClientTLSInfo.ClientCertAuth = file("ca.crt"), true
	set(cfg)
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	<-e.Server.ReadyNotify()
	return store.ExternalConfig{Endpoints: []string{client.String()}, CA: file("ca.crt"), Cert: file("m.crt"), Key: file("m.key")}
}

func TestAnExternalClusterWithWideLimitsKeepsTheContract(t *testing.T) {
	c := external(t, func(cfg *embed.Config) { cfg.MaxTxnOps, cfg.MaxRequestBytes = 4096, 16<<20 })
	storetest.Run(t, func(t *testing.T) store.KV {
		kv, err := store.OpenExternal(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		return kv
	}, nil)
}

func TestAnExternalClusterWithNarrowLimitsIsRefusedWithTheFlagToSet(t *testing.T) {
	for flag, set := range map[string]func(*embed.Config){
		"--max-txn-ops=4096":           func(cfg *embed.Config) { cfg.MaxRequestBytes = 16 << 20 },
		"--max-request-bytes=16777216": func(cfg *embed.Config) { cfg.MaxTxnOps = 4096 },
	} {
		if _, err := store.OpenExternal(context.Background(), external(t, set)); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

func TestAnExternalClusterThatCannotBeUsedIsRefusedWithOneSentence(t *testing.T) {
	wide := func(cfg *embed.Config) {
		cfg.MaxTxnOps, cfg.MaxRequestBytes, cfg.QuotaBackendBytes = 4096, 16<<20, 1<<30
	}
	good := external(t, wide)
	other := external(t, wide) // of another authority
	kv, err := store.OpenExternal(context.Background(), good)
	if err != nil || kv.Quota() != 1<<30 {
		t.Fatalf("%v %+v", err, kv)
	}
	kv.Close()
	if kv, err = store.OpenExternal(context.Background(), with(good, func(c *store.ExternalConfig) { c.Endpoints = append([]string{"https://127.0.0.1:1"}, c.Endpoints...) })); err != nil {
		t.Errorf("one member that is down stops the start: %v", err)
	} else {
		kv.Close()
	}
	for want, c := range map[string]store.ExternalConfig{
		"did not issue":                    with(good, func(c *store.ExternalConfig) { c.CA = other.CA }),
		"refuses the certificate in ":      with(good, func(c *store.ExternalConfig) { c.Cert, c.Key = other.Cert, other.Key }),
		"does not match":                   with(good, func(c *store.ExternalConfig) { c.Key = other.Key }),
		"holds no certificate":             with(good, func(c *store.ExternalConfig) { c.CA = c.Key }),
		"no such file":                     with(good, func(c *store.ExternalConfig) { c.Cert += "x" }),
		"cannot be reached":                with(good, func(c *store.ExternalConfig) { c.Endpoints = []string{"https://127.0.0.1:1"} }),
		"--quota-backend-bytes=2147483648": with(good, func(c *store.ExternalConfig) { c.Quota = 2 << 30 }),
	} {
		kv, err := store.OpenExternal(context.Background(), c)
		if err == nil {
			kv.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func with(c store.ExternalConfig, change func(*store.ExternalConfig)) store.ExternalConfig {
	change(&c)
	return c
}

func TestAMemberWithAnotherAuthoritysCertificateEndsWithOneSentence(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"ours", "others"} {
		if err := store.MakeAuthority(file(name+".crt"), file(name+".key"), time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := store.IssueMember(file(name+".crt"), file(name+".key"), file("of-"+name+".crt"), file("of-"+name+".key"), "a", "127.0.0.1", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct{ ca, cert, key, want string }{
		"another authority's": {"ours.crt", "of-others.crt", "of-others.key", "did not issue the member's certificate"},
		"another's key":       {"ours.crt", "of-ours.crt", "of-others.key", "private key does not match"},
		"none":                {"ours.crt", "absent.crt", "of-ours.key", "no such file"},
		"no authority":        {"ours.key", "of-ours.crt", "of-ours.key", "holds no certificate of an authority"},
	} {
		_, err := store.OpenMember(t.Context(), store.MemberConfig{Dir: file("etcd"), Run: dir, Quota: store.DefaultQuota, Log: quiet(), Name: "a",
			Peers: map[string]string{"a": "127.0.0.1:1", "b": "127.0.0.1:2"}, CA: file(c.ca), Cert: file(c.cert), Key: file(c.key)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
