package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What a group may need of an external cluster, whose defaults are 128
// operations and 1.5 MiB.
const (
	needTxnOps  = maxTxnOps
	needRequest = 12 << 20
	dialTimeout = 5 * time.Second
)

// ExternalConfig names a cluster that somebody else runs. Without CA there is
// no TLS.
type ExternalConfig struct {
	Endpoints     []string // URLs
	CA, Cert, Key string
}

// OpenExternal connects to an external cluster and asks whether its limits are
// wide enough.
func OpenExternal(ctx context.Context, c ExternalConfig) (*Etcd, error) {
	var conf *tls.Config
	if c.CA != "" {
		var err error
		if conf, err = (transport.TLSInfo{CertFile: c.Cert, KeyFile: c.Key, TrustedCAFile: c.CA}).ClientConfig(); err != nil {
			return nil, fmt.Errorf("store: certificates for etcd: %w", err)
		}
		conf.MinVersion = tls.VersionTLS12
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints, TLS: conf, Logger: zap.NewNop(), DialTimeout: dialTimeout,
		DialKeepAliveTime: 5 * time.Second, DialKeepAliveTimeout: 2 * time.Second, MaxCallSendMsgSize: maxRequest, MaxCallRecvMsgSize: 1 << 30})
	if err != nil {
		return nil, fmt.Errorf("store: etcd at %s: %w", strings.Join(c.Endpoints, ", "), err)
	}
	e := &Etcd{client: client}
	if err := e.checkLimits(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// checkLimits sends a transaction as large as a group may be, whose condition
// does not hold: it changes nothing.
func (e *Etcd) checkLimits(ctx context.Context) error {
	short, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	never := clientv3.Compare(clientv3.CreateRevision(keyHead), "=", -1)
	many := make([]clientv3.Op, needTxnOps)
	for i := range many {
		many[i] = clientv3.OpGet(fmt.Sprint("/hf/limit/", i))
	}
	_, err := e.client.Txn(short).If(never).Then(many...).Commit()
	if errors.Is(err, rpctypes.ErrTooManyOps) {
		return fmt.Errorf("store: etcd allows too few operations a transaction: start it with --max-txn-ops=%d", needTxnOps)
	}
	if err != nil {
		return fmt.Errorf("store: ask etcd for its limit on operations: %w", err)
	}
	long, cancel := context.WithTimeout(ctx, 4*dialTimeout)
	defer cancel()
	large := clientv3.OpPut("/hf/limit", strings.Repeat("x", needRequest))
	_, err = e.client.Txn(long).If(never).Then(large).Commit()
	if errors.Is(err, rpctypes.ErrRequestTooLarge) || status.Code(err) == codes.ResourceExhausted {
		return fmt.Errorf("store: etcd allows too small requests: start it with --max-request-bytes=%d", maxRequest)
	}
	if err != nil {
		return fmt.Errorf("store: ask etcd for its limit on requests: %w", err)
	}
	return nil
}
