package store

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// Keys in etcd.
const (
	keyHead   = "/hf/head"
	prefixLog = "/hf/log/"
	prefixRec = "/hf/state/"
)

// Settings that a prototype needed (one member): see docs/operations.md.
const (
	backendBatch    = 5 * time.Millisecond
	snapshotCount   = 1000
	snapshotCatchUp = 500
	maxTxnOps       = 4096
	maxRequest      = 16 << 20
	startTimeout    = 30 * time.Second
	commitTimeout   = 5 * time.Second
	readTimeout     = time.Second
	page            = 10_000
	// DefaultQuota is the backend's largest size.
	DefaultQuota = 4 << 30
)

// EtcdConfig says where an embedded member lives.
type EtcdConfig struct {
	Dir   string
	Run   string // short 0700 directory for its unix sockets
	Quota int64
	Log   *slog.Logger
}

// Etcd is a KV in an embedded etcd member, reachable through this process and
// unix sockets alone.
type Etcd struct {
	server *embed.Etcd
	client *clientv3.Client
}

// OpenEtcd starts the member and waits until it serves.
func OpenEtcd(c EtcdConfig) (*Etcd, error) {
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = "control", c.Dir
	client := url.URL{Scheme: "unix", Path: filepath.Join(c.Run, "etcd.sock")}
	peer := url.URL{Scheme: "unix", Path: filepath.Join(c.Run, "etcdpeer.sock")}
	for _, u := range []url.URL{client, peer} {
		if err := os.Remove(u.Path); err != nil && !os.IsNotExist(err) { // left by a killed process
			return nil, err
		}
	}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.BackendBatchInterval = backendBatch
	cfg.SnapshotCount, cfg.SnapshotCatchUpEntries = snapshotCount, snapshotCatchUp
	cfg.MaxTxnOps, cfg.MaxRequestBytes = maxTxnOps, maxRequest
	cfg.QuotaBackendBytes = c.Quota
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = "revision", "1000"
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	cfg.TickMs, cfg.ElectionMs = 10, 100 // one member: it only waits for itself
	e, err := embed.StartEtcd(cfg)
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
		return nil, fmt.Errorf("store: etcd in %s did not serve within %s", c.Dir, startTimeout)
	}
	return &Etcd{server: e, client: v3client.New(e.Server)}, nil
}

// Stopped yields when the member ends by itself: an error of its disk. The
// process must end with it.
func (e *Etcd) Stopped() <-chan error { return e.server.Err() }

func logKey(index uint64) string { return fmt.Sprintf("%s%020d", prefixLog, index) }

// Commit implements KV.
func (e *Etcd) Commit(ctx context.Context, t *Txn) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	expect := clientv3.Compare(clientv3.Value(keyHead), "=", string(t.Expect))
	if t.Expect == nil {
		expect = clientv3.Compare(clientv3.CreateRevision(keyHead), "=", 0)
	}
	ops := make([]clientv3.Op, 0, len(t.Changes)+2)
	ops = append(ops, clientv3.OpPut(keyHead, string(t.Head)), clientv3.OpPut(logKey(t.Index), string(t.Log)))
	for _, c := range t.Changes {
		if c.Value == nil {
			ops = append(ops, clientv3.OpDelete(prefixRec+string(c.Key)))
		} else {
			ops = append(ops, clientv3.OpPut(prefixRec+string(c.Key), string(c.Value)))
		}
	}
	resp, err := e.client.Txn(ctx).If(expect).Then(ops...).Commit()
	if err != nil {
		return false, fmt.Errorf("store: commit up to index %d: %w", t.Index, err)
	}
	return resp.Succeeded, nil
}

// Head implements KV: a linearizable read.
func (e *Etcd) Head(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	resp, err := e.client.Get(ctx, keyHead)
	if err != nil || len(resp.Kvs) == 0 {
		return nil, err
	}
	return resp.Kvs[0].Value, nil
}

// State implements KV.
func (e *Etcd) State(ctx context.Context, yield func(record.Key, []byte) bool) error {
	return e.pages(ctx, prefixRec, prefixRec, func(key string, value []byte) bool {
		return yield(record.Key(key[len(prefixRec):]), value)
	})
}

// Log implements KV.
func (e *Etcd) Log(ctx context.Context, from uint64, yield func(uint64, []byte) bool) error {
	return e.pages(ctx, prefixLog, logKey(from), func(key string, value []byte) bool {
		index, err := strconv.ParseUint(key[len(prefixLog):], 10, 64)
		return err == nil && yield(index, value)
	})
}

func (e *Etcd) pages(ctx context.Context, prefix, from string, yield func(string, []byte) bool) error {
	end := clientv3.GetPrefixRangeEnd(prefix)
	for {
		resp, err := e.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(page))
		if err != nil {
			return fmt.Errorf("store: read %s: %w", prefix, err)
		}
		for _, kv := range resp.Kvs {
			if !yield(string(kv.Key), kv.Value) {
				return nil
			}
		}
		if !resp.More {
			return nil
		}
		from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
}

// Trim implements KV.
func (e *Etcd) Trim(ctx context.Context, before uint64) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	_, err := e.client.Delete(ctx, prefixLog, clientv3.WithRange(logKey(before)))
	return err
}

// Close stops the member.
func (e *Etcd) Close() error {
	_ = e.client.Close() // in process: it reports its own cancelled context
	e.server.Close()
	return nil
}
