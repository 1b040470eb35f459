package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

// Settings that a prototype needed: see docs/operations.md.
const (
	backendBatch    = 5 * time.Millisecond
	snapshotCount   = 1000
	snapshotCatchUp = 500
	maxTxnOps       = 4096
	maxRequest      = 16 << 20
	startTimeout    = 30 * time.Second
	// DefaultQuota is the backend's largest size.
	DefaultQuota = 4 << 30
)

// Ticks of etcd's elections in milliseconds. A member that is alone only waits
// for itself; several in one metropolitan area lose a leader for half a second.
const (
	aloneTick, aloneElection   = 10, 100
	memberTick, memberElection = 50, 500
)

// MemberConfig says where an embedded member lives.
type MemberConfig struct {
	Dir   string
	Run   string // short 0700 directory for its unix sockets
	Quota int64
	Log   *slog.Logger
	// Name, Peers and the three files are of a member among several: its own
	// name, each member's HOST:PORT, and what it proves itself with to the
	// others and knows them by. The authority is etcd's own.
	Name          string
	Peers         map[string]string
	CA, Cert, Key string
	// Joining says that the cluster is there and takes this member in: of an
	// empty Dir it begins from the others, which are found at Peers.
	Joining bool
}

// OpenMember starts an embedded member and waits until it serves.
func OpenMember(ctx context.Context, c MemberConfig) (*Etcd, error) {
	if c.Joining && len(c.Peers) > 0 && !wal.Exist(filepath.Join(c.Dir, "member", "wal")) {
		peers, err := c.takenIn(ctx)
		if err != nil {
			return nil, err
		}
		c.Peers = peers
	}
	cfg, err := c.settings()
	if err != nil {
		return nil, err
	}
	e, err := embed.StartEtcd(cfg)
	if err != nil && failpoint.On(failpoint.RepairsStore) {
		_ = os.RemoveAll(c.Dir)
		e, err = embed.StartEtcd(cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("store: start etcd in %s: %w", c.Dir, err)
	}
	select {
	case <-e.Server.ReadyNotify():
	case err := <-e.Err():
		e.Close()
		return nil, fmt.Errorf("store: etcd in %s: %w", c.Dir, err)
	case <-time.After(startTimeout):
		e.Close()
		return nil, fmt.Errorf("store: etcd in %s did not serve within %s: a majority of its members is needed", c.Dir, startTimeout)
	}
	kv := &Etcd{server: e, client: v3client.New(e.Server), quota: c.Quota}
	if len(c.Peers) > 0 {
		if err := kv.adopt(ctx, cfg.AdvertisePeerUrls[0].String()); err != nil {
			return nil, errors.Join(fmt.Errorf("store: tell the cluster where member %s listens: %w", c.Name, err), kv.Close())
		}
	}
	return kv, nil
}

func (c *MemberConfig) settings() (*embed.Config, error) {
	cfg := embed.NewConfig()
	cfg.Dir = c.Dir
	cfg.BackendBatchInterval = backendBatch
	cfg.SnapshotCount, cfg.SnapshotCatchUpEntries = snapshotCount, snapshotCatchUp
	cfg.MaxTxnOps, cfg.MaxRequestBytes = maxTxnOps, maxRequest
	cfg.QuotaBackendBytes = c.Quota
	cfg.BootstrapDefragThresholdMegabytes = uint(max(1, c.Quota/leastFreed>>20))
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = "revision", "1000"
	cfg.UnsafeNoFsync = failpoint.On(failpoint.NoFsync)
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	if len(c.Peers) == 0 {
		return cfg, c.alone(cfg)
	}
	return cfg, c.among(cfg)
}

// alone is a member that nobody else speaks to: unix sockets only.
func (c *MemberConfig) alone(cfg *embed.Config) error {
	cfg.Name = "control"
	client, err := c.socket("etcd.sock")
	if err != nil {
		return err
	}
	peer, err := c.socket("etcdpeer.sock")
	if err != nil {
		return err
	}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.TickMs, cfg.ElectionMs = aloneTick, aloneElection
	return nil
}

// among is a member among others, which prove themselves with certificates of
// one authority.
func (c *MemberConfig) among(cfg *embed.Config) error {
	cfg.Name = c.Name
	client, err := c.socket(c.Name + ".etcd.sock")
	if err != nil {
		return err
	}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	if c.Peers[c.Name] == "" {
		return fmt.Errorf("store: member %q is not among the members of the cluster", c.Name)
	}
	if err := c.proven(); err != nil && !failpoint.On(failpoint.AnyMember) {
		return err
	}
	own := url.URL{Scheme: "https", Host: c.Peers[c.Name]}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{own}, []url.URL{own}
	var list []string
	for name, address := range c.Peers {
		list = append(list, name+"=https://"+address)
	}
	sort.Strings(list)
	cfg.InitialCluster = strings.Join(list, ",")
	if c.Joining {
		cfg.ClusterState = embed.ClusterStateFlagExisting
	}
	cfg.PeerTLSInfo = c.tls()
	cfg.TlsMinVersion = "TLS1.3"
	cfg.TickMs, cfg.ElectionMs = memberTick, memberElection
	return nil
}

// tls is what the members prove themselves with.
func (c *MemberConfig) tls() transport.TLSInfo {
	if failpoint.On(failpoint.AnyMember) {
		return transport.TLSInfo{CertFile: c.Cert, KeyFile: c.Key, InsecureSkipVerify: true}
	}
	return transport.TLSInfo{CertFile: c.Cert, KeyFile: c.Key, TrustedCAFile: c.CA, ClientCertAuth: true}
}

// socket is a unix socket of the member's; what a killed process left is
// removed.
func (c *MemberConfig) socket(name string) (url.URL, error) {
	u := url.URL{Scheme: "unix", Path: filepath.Join(c.Run, name)}
	if err := os.Remove(u.Path); err != nil && !os.IsNotExist(err) {
		return u, err
	}
	return u, nil
}
