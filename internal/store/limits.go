package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What a group may need of an external cluster, whose defaults are 128
// operations and 1.5 MiB.
const (
	needTxnOps  = maxTxnOps
	needRequest = 12 << 20
	// grpcOverhead is what etcd takes of a message beyond its own limit, less a
	// little for what is around the text.
	grpcOverhead = 511 << 10
	needMajor    = 3
	needMinor    = 5
)

// errLimit says that a member has answered, and will not do.
var errLimit = errors.New("store: etcd will not do")

// errMajority says that a member answers, and its cluster does not.
var errMajority = errors.New("has no majority of its members, or does not answer")

// examine asks each member for its version, quota and limits, which are its own
// flags'. One that cannot be reached may be down; with none there is no start.
func (c *ExternalConfig) examine(ctx context.Context) (quota int64, err error) {
	quotas, errs := make([]int64, len(c.Endpoints)), make([]error, len(c.Endpoints))
	var all sync.WaitGroup
	for i, endpoint := range c.Endpoints {
		all.Go(func() { quotas[i], errs[i] = c.examineMember(ctx, endpoint) })
	}
	all.Wait()
	reached := 0
	quota = c.Quota
	if quota == 0 {
		quota = DefaultQuota
	}
	for i, err := range errs {
		if errors.Is(err, errLimit) {
			return 0, err
		}
		if err == nil {
			reached++
			quota = min(quota, quotas[i])
		}
	}
	if reached == 0 {
		return 0, errs[0]
	}
	for _, err := range errs {
		if err != nil && c.Log != nil {
			c.Log.Warn("a member of etcd is left out for now", "error", err)
		}
	}
	return quota, nil
}

func (c *ExternalConfig) examineMember(ctx context.Context, endpoint string) (quota int64, err error) {
	s, err := c.status(ctx, endpoint)
	if err != nil {
		return 0, c.explain(endpoint, err)
	}
	client, err := c.dial(endpoint)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	var major, minor int
	if n, _ := fmt.Sscanf(s.Version, "%d.%d", &major, &minor); n != 2 || major < needMajor || major == needMajor && minor < needMinor {
		return 0, fmt.Errorf("%w: at %s it is version %s, and %d.%d is the oldest that can be used", errLimit, endpoint, s.Version, needMajor, needMinor)
	}
	quota = s.DbSizeQuota
	switch {
	case quota == 0: // 3.5 does not tell
		quota = max(c.Quota, DefaultQuota)
	case quota < c.Quota:
		return 0, fmt.Errorf(`%w: at %s its quota is %d bytes: start it with --quota-backend-bytes=%d, or set "quotaBytes" to no more than it has`, errLimit, endpoint, quota, c.Quota)
	}
	return quota, c.tryLimits(ctx, client, endpoint)
}

// status asks a member how it is, over a connection without etcd's own retries,
// which hide why there is none.
func (c *ExternalConfig) status(ctx context.Context, endpoint string) (*etcdserverpb.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient("passthrough:///"+u.Host, grpc.WithTransportCredentials(c.credentials()))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return etcdserverpb.NewMaintenanceClient(conn).Status(ctx, &etcdserverpb.StatusRequest{})
}

// tryLimits sends transactions with as many operations and as many bytes as a
// group may have. They only read: what can write goes through the log of every
// member, whatever its condition, and twelve megabytes for each start and member
// would be a load of their own.
func (c *ExternalConfig) tryLimits(ctx context.Context, client *clientv3.Client, endpoint string) error {
	never := clientv3.Compare(clientv3.CreateRevision(keyHead), "=", -1)
	try := func(within time.Duration, ops ...clientv3.Op) error {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		_, err := client.Txn(ctx).If(never).Then(ops...).Commit()
		return err
	}
	many := make([]clientv3.Op, needTxnOps)
	for i := range many {
		many[i] = clientv3.OpGet(fmt.Sprint("/hf/limit/", i))
	}
	err := try(dialTimeout, many...)
	if errors.Is(err, rpctypes.ErrTooManyOps) {
		return fmt.Errorf("%w: at %s it allows too few operations a transaction: start it with --max-txn-ops=%d", errLimit, endpoint, needTxnOps)
	}
	if err == nil {
		err = try(4*dialTimeout, clientv3.OpGet(strings.Repeat("x", needRequest+grpcOverhead)))
	}
	if errors.Is(err, rpctypes.ErrRequestTooLarge) || status.Code(err) == codes.ResourceExhausted {
		return fmt.Errorf("%w: at %s it allows too small requests: start it with --max-request-bytes=%d", errLimit, endpoint, maxRequest)
	}
	if err != nil {
		return c.explain(endpoint, err)
	}
	return nil
}

// explain says in one sentence why a member could not be asked.
func (c *ExternalConfig) explain(endpoint string, err error) error {
	text := err.Error()
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(text, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("signed by unknown authority"):
		return fmt.Errorf(`store: etcd at %s has a certificate that the authority in %s did not issue: "etcdCA" is the one that issued etcd's own`, endpoint, c.CA)
	case has("x509: "):
		return fmt.Errorf("store: the certificate of etcd at %s does not hold: %s", endpoint, text[strings.Index(text, "x509: ")+len("x509: "):])
	case c.CA != "" && has("remote error: tls: ", "error reading server preface", "broken pipe", "connection reset", "EOF"): // it may have closed before its reason was read
		return fmt.Errorf(`store: etcd at %s refuses the certificate in %s, or ends the connection: the authority in its --trusted-ca-file has to have issued "etcdCert" (%w)`, endpoint, c.Cert, err)
	case has("connection refused", "no route to host", "i/o timeout", "no such host", "network is unreachable"):
		return fmt.Errorf("store: etcd at %s cannot be reached: %w", endpoint, err)
	case errors.Is(err, context.DeadlineExceeded), has("request timed out", "no leader", "leader changed"):
		return fmt.Errorf("store: etcd at %s %w: %w", endpoint, errMajority, err)
	}
	return fmt.Errorf("store: ask etcd at %s for its limits: %w", endpoint, err)
}
