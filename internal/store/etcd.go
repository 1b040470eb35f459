package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// Keys in etcd.
const (
	keyHead   = "/hf/head"
	prefixLog = "/hf/log/"
	prefixRec = "/hf/state/"
)

const (
	commitTimeout = 2 * time.Second
	readTimeout   = 600 * time.Millisecond
	fillTimeout   = 30 * time.Second
	watchPause    = 200 * time.Millisecond
	page          = 10_000
	stateTries    = 5
)

// Etcd is a KV in etcd: in an embedded member, reachable through this process
// and unix sockets alone, or in a cluster that somebody else runs.
type Etcd struct {
	server *embed.Etcd // nil: external
	client *clientv3.Client
	quota  int64
}

// Quota is how large the store's file may become.
func (e *Etcd) Quota() int64 { return e.quota }

// Stopped yields when the embedded member ends by itself: an error of its disk.
// The process must end with it.
func (e *Etcd) Stopped() <-chan error {
	if e.server == nil {
		return nil
	}
	return e.server.Err()
}

func logKey(index uint64) string { return fmt.Sprintf("%s%020d", prefixLog, index) }

// put is OpPut without a copy of the value on the way.
func put(key string, value []byte) clientv3.Op {
	op := clientv3.OpPut(key, "")
	op.WithValueBytes(value)
	return op
}

// Commit implements KV.
func (e *Etcd) Commit(ctx context.Context, t *Txn) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	expect := clientv3.Compare(clientv3.Value(keyHead), "=", string(t.Expect))
	if t.Expect == nil {
		expect = clientv3.Compare(clientv3.CreateRevision(keyHead), "=", 0)
	}
	if failpoint.On(failpoint.NoHeadCompare) {
		expect = clientv3.Compare(clientv3.Version(keyHead), ">", -1)
	}
	ops := make([]clientv3.Op, 0, len(t.Changes)+2)
	ops = append(ops, put(keyHead, t.Head), put(logKey(t.Index), t.Log))
	for _, c := range t.Changes {
		if c.Value == nil {
			ops = append(ops, clientv3.OpDelete(prefixRec+string(c.Key)))
		} else {
			ops = append(ops, put(prefixRec+string(c.Key), c.Value))
		}
	}
	resp, err := e.client.Txn(ctx).If(expect).Then(ops...).Commit()
	if errors.Is(err, rpctypes.ErrNoSpace) {
		err = fmt.Errorf("%w: %w", ErrFull, err)
	}
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

// State implements KV. What compaction took away meanwhile is read anew.
func (e *Etcd) State(ctx context.Context, yield func(record.Key, []byte) bool) ([]byte, error) {
	for try := 1; ; try++ {
		head, records, err := e.state(ctx, try)
		if errors.Is(err, rpctypes.ErrCompacted) && try < stateTries && !failpoint.On(failpoint.CompactionEnds) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, kv := range records {
			if !yield(kv.key, kv.value) {
				break
			}
		}
		return head, nil
	}
}

type keyed struct {
	key   record.Key
	value []byte
}

// state reads head and records at one revision of the store.
func (e *Etcd) state(ctx context.Context, try int) (head []byte, records []keyed, err error) {
	resp, err := e.client.Get(ctx, keyHead)
	if err != nil || len(resp.Kvs) == 0 {
		return nil, nil, err
	}
	if try == 1 && failpoint.Wrong(failpoint.StoreCompacts) {
		failpoint.Stall(failpoint.StoreCompacts) // somebody writes meanwhile
		_ = e.Forget(ctx, 0)
	}
	err = e.pages(ctx, prefixRec, prefixRec, resp.Header.Revision, func(key string, value []byte) bool {
		records = append(records, keyed{record.Key(key[len(prefixRec):]), value})
		return true
	})
	return resp.Kvs[0].Value, records, err
}

// Log implements KV.
func (e *Etcd) Log(ctx context.Context, from uint64, yield func(uint64, []byte) bool) error {
	return e.pages(ctx, prefixLog, logKey(from), 0, func(key string, value []byte) bool {
		index, err := strconv.ParseUint(key[len(prefixLog):], 10, 64)
		return err == nil && yield(index, value)
	})
}

// pages reads a prefix at a revision of the store; 0: each page at the newest.
func (e *Etcd) pages(ctx context.Context, prefix, from string, revision int64, yield func(string, []byte) bool) error {
	end := clientv3.GetPrefixRangeEnd(prefix)
	for {
		resp, err := e.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(page), clientv3.WithRev(revision))
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

// Watch implements KV. The head is read again whenever the watch begins anew.
func (e *Etcd) Watch(ctx context.Context, tell func([]byte)) {
	for ctx.Err() == nil {
		changes := e.client.Watch(ctx, keyHead)
		if head, err := e.Head(ctx); err == nil && head != nil {
			tell(head)
		}
		for resp := range changes {
			if n := len(resp.Events); n > 0 && resp.Events[n-1].Kv != nil && !failpoint.Wrong(failpoint.WatchSilent) {
				tell(resp.Events[n-1].Kv.Value)
			}
		}
		pause(ctx, watchPause)
	}
}

// Trim implements KV.
func (e *Etcd) Trim(ctx context.Context, before uint64) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	_, err := e.client.Delete(ctx, prefixLog, clientv3.WithRange(logKey(before)))
	return err
}

// Close stops the embedded member.
func (e *Etcd) Close() error {
	if e.server == nil {
		return e.client.Close()
	}
	_ = e.client.Close() // in process: it reports its own cancelled context
	e.server.Close()
	return nil
}
