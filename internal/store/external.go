package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// dialTimeout bounds what is asked of one member at the start.
const dialTimeout = 5 * time.Second

// reconnect is how long a member that was lost is left alone: its majority may be
// back the next second, and gRPC's own pauses grow to two minutes.
var reconnect = grpc.ConnectParams{MinConnectTimeout: 2 * time.Second,
	Backoff: backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.3, MaxDelay: 2 * time.Second}}

// ExternalConfig names a cluster that somebody else runs, for Holdfast alone.
// Without CA there is no TLS.
type ExternalConfig struct {
	Endpoints     []string // URLs
	CA, Cert, Key string
	// Quota is how much of the cluster's own quota this store may take; 0: all of
	// it, DefaultQuota at most.
	Quota int64
	Log   *slog.Logger
}

// OpenExternal connects to an external cluster, once each member that can be
// reached has shown that its limits are wide enough.
func OpenExternal(ctx context.Context, c ExternalConfig) (*Etcd, error) {
	if c.CA != "" {
		if _, err := c.tls(); err != nil {
			return nil, err
		}
	}
	quota, err := c.patient(ctx)
	if err != nil {
		return nil, err
	}
	client, err := c.dial(c.Endpoints...)
	if err != nil {
		return nil, err
	}
	return &Etcd{client: client, quota: quota}, nil
}

// startPatience is how long a start waits for a cluster that has no leader: it may
// be choosing one, or be starting itself.
const startPatience = 30 * time.Second

// patient examines the cluster, again where it had no majority.
func (c *ExternalConfig) patient(ctx context.Context) (quota int64, err error) {
	bound, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		quota, err = c.examine(ctx) // which took its own time where it failed so
		if !errors.Is(err, errMajority) || bound.Err() != nil {
			return quota, err
		}
		if c.Log != nil {
			c.Log.Warn("waiting for a majority of etcd's members", "error", err)
		}
	}
}

func (c *ExternalConfig) dial(endpoints ...string) (*clientv3.Client, error) {
	conf := clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop(), DialTimeout: dialTimeout,
		DialKeepAliveTime: 5 * time.Second, DialKeepAliveTimeout: 2 * time.Second, MaxCallSendMsgSize: maxRequest, MaxCallRecvMsgSize: 1 << 30}
	conf.DialOptions = []grpc.DialOption{grpc.WithConnectParams(reconnect)}
	if c.CA != "" {
		conf.DialOptions = append(conf.DialOptions, grpc.WithTransportCredentials(c.credentials()))
	}
	client, err := clientv3.New(conf)
	if err != nil {
		return nil, fmt.Errorf("store: etcd at %s: %w", strings.Join(endpoints, ", "), err)
	}
	return client, nil
}

func (c *ExternalConfig) credentials() credentials.TransportCredentials {
	if c.CA == "" {
		return insecure.NewCredentials()
	}
	return &fromFiles{credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12}), c}
}

// tls is what the files say now.
func (c *ExternalConfig) tls() (*tls.Config, error) {
	own, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("store: the certificate for etcd in %s and its key in %s: %w", c.Cert, c.Key, err)
	}
	authority, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("store: the authority of etcd's certificates: %w", err)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own}, RootCAs: x509.NewCertPool()}
	if !conf.RootCAs.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("store: %s holds no certificate of an authority", c.CA)
	}
	return conf, nil
}

// fromFiles reads a client's certificate and its authorities anew at each
// handshake: files that are replaced are taken up without a restart.
type fromFiles struct {
	credentials.TransportCredentials
	c *ExternalConfig
}

// ClientHandshake implements credentials.TransportCredentials.
func (f *fromFiles) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conf, err := f.c.tls()
	if err != nil {
		return nil, nil, err
	}
	return credentials.NewTLS(conf).ClientHandshake(ctx, authority, conn)
}

// Clone implements credentials.TransportCredentials.
func (f *fromFiles) Clone() credentials.TransportCredentials {
	return &fromFiles{f.TransportCredentials.Clone(), f.c}
}

// HistoryKept is how many revisions of etcd's a cluster keeps beside the newest:
// enough to read the whole state at one of them.
const HistoryKept = 1000

// Forget drops etcd's own older revisions but for the newest ones: of an external
// cluster, since an embedded member does so by itself.
func (e *Etcd) Forget(ctx context.Context, keep int64) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	resp, err := e.client.Get(ctx, keyHead)
	if err != nil || resp.Header.Revision <= keep {
		return err
	}
	_, err = e.client.Compact(ctx, resp.Header.Revision-keep)
	if errors.Is(err, rpctypes.ErrCompacted) { // by the cluster's own settings
		return nil
	}
	return err
}
