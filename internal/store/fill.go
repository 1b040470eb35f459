package store

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// Bounds of one transaction of Fill, below etcd's.
const (
	fillOps   = 1000
	fillBytes = 4 << 20
)

// Fill implements KV: some records a transaction, each of which asserts that
// there is no head. What an earlier one left half is deleted first.
func (e *Etcd) Fill(ctx context.Context, records func(yield func(record.Key, []byte) bool)) (bool, error) {
	size, ops := 0, []clientv3.Op{clientv3.OpDelete(prefixRec, clientv3.WithPrefix()), clientv3.OpDelete(prefixLog, clientv3.WithPrefix())}
	ok, err := true, error(nil)
	write := func() {
		ok, err = e.fill(ctx, ops)
		ops, size = nil, 0
	}
	write()
	records(func(key record.Key, value []byte) bool {
		ops, size = append(ops, put(prefixRec+string(key), value)), size+len(key)+len(value)
		if len(ops) >= fillOps || size >= fillBytes {
			write()
		}
		return ok && err == nil
	})
	if ok && err == nil && len(ops) > 0 {
		write()
	}
	return ok, err
}

func (e *Etcd) fill(ctx context.Context, ops []clientv3.Op) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, fillTimeout)
	defer cancel()
	resp, err := e.client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(keyHead), "=", 0)).Then(ops...).Commit()
	if err != nil {
		return false, fmt.Errorf("store: fill: %w", err)
	}
	return resp.Succeeded, nil
}
