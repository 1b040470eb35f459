// Package store keeps the configuration: a log of group commits in etcd, the
// state that it comes to, and the sequencer that adds to it.
//
// Invariant: the log is the only lock. Every commit asserts that the head is
// still the one its group was applied on, so what a call read holds at its
// commit, and an acknowledged call is in the log.
package store

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// Txn is one atomic commit.
type Txn struct {
	// Expect is the stored head that the commit was made on; nil: none.
	Expect []byte
	Head   []byte
	// Log is the commit's log value, kept under its last index.
	Index   uint64
	Log     []byte
	Changes []record.Change
}

// KV is what the log is kept in. Its promises:
//
// Commit makes all of a Txn visible and durable, or nothing. (true, nil) says
// that it did; (false, nil) that the head was another and nothing happened; an
// error that the outcome is unknown: it may yet happen, until another Txn with
// the same Expect has been answered.
//
// Head is linearizable: it is as new as any Commit confirmed before it began.
// State is of one moment, whose head it returns. Log reads pages; nothing is
// promised between pages, so the caller checks that one continues the other.
//
// Fill takes the place of all records and log values of a KV that has no head:
// what a first Commit is then made on. (false, nil) says that there is a head and
// that nothing happened. It is not atomic; without a head nobody reads it.
//
// Watch tells of new heads until ctx ends. It may leave some out, never the
// last for long: it is good for waking who is idle, and for nothing else.
type KV interface {
	Commit(ctx context.Context, t *Txn) (ok bool, err error)
	Fill(ctx context.Context, records func(yield func(key record.Key, value []byte) bool)) (ok bool, err error)
	Head(ctx context.Context) ([]byte, error)
	State(ctx context.Context, yield func(key record.Key, value []byte) bool) (head []byte, err error)
	// Log yields the log values whose last index is at least from, in order.
	Log(ctx context.Context, from uint64, yield func(index uint64, value []byte) bool) error
	// Trim removes log values whose last index is below before.
	Trim(ctx context.Context, before uint64) error
	Watch(ctx context.Context, tell func(head []byte))
	Close() error
}

// Memory is a KV in memory, for tests and simulation: nothing is durable.
type Memory struct {
	mu    sync.Mutex
	head  []byte
	state map[record.Key][]byte
	log   map[uint64][]byte
	moved chan struct{} // closed and replaced at every commit
}

// Commit implements KV.
func (m *Memory) Commit(_ context.Context, t *Txn) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !bytes.Equal(m.head, t.Expect) {
		return false, nil
	}
	if m.state == nil {
		m.state, m.log = map[record.Key][]byte{}, map[uint64][]byte{}
	}
	m.head, m.log[t.Index] = t.Head, t.Log
	if m.moved != nil {
		close(m.moved)
		m.moved = nil
	}
	for _, c := range t.Changes {
		if c.Value == nil {
			delete(m.state, c.Key)
		} else {
			m.state[c.Key] = c.Value
		}
	}
	return true, nil
}

// Fill implements KV.
func (m *Memory) Fill(_ context.Context, records func(yield func(record.Key, []byte) bool)) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.head != nil {
		return false, nil
	}
	m.state, m.log = map[record.Key][]byte{}, map[uint64][]byte{}
	records(func(key record.Key, value []byte) bool {
		m.state[key] = value
		return true
	})
	return true, nil
}

// Head implements KV.
func (m *Memory) Head(context.Context) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.head, nil
}

// State implements KV.
func (m *Memory) State(_ context.Context, yield func(record.Key, []byte) bool) ([]byte, error) {
	m.mu.Lock()
	head := m.head
	keys := make([]record.Key, 0, len(m.state))
	for k := range m.state {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b record.Key) int { return strings.Compare(string(a), string(b)) })
	values := make([][]byte, len(keys))
	for i, k := range keys {
		values[i] = m.state[k]
	}
	m.mu.Unlock()
	for i, k := range keys {
		if !yield(k, values[i]) {
			break
		}
	}
	return head, nil
}

// Log implements KV.
func (m *Memory) Log(_ context.Context, from uint64, yield func(uint64, []byte) bool) error {
	m.mu.Lock()
	var indexes []uint64
	for i := range m.log {
		if i >= from {
			indexes = append(indexes, i)
		}
	}
	slices.Sort(indexes)
	values := make([][]byte, len(indexes))
	for n, i := range indexes {
		values[n] = m.log[i]
	}
	m.mu.Unlock()
	for n, i := range indexes {
		if !yield(i, values[n]) {
			break
		}
	}
	return nil
}

// Trim implements KV.
func (m *Memory) Trim(_ context.Context, before uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.log {
		if i < before {
			delete(m.log, i)
		}
	}
	return nil
}

// Watch implements KV.
func (m *Memory) Watch(ctx context.Context, tell func([]byte)) {
	for {
		m.mu.Lock()
		if m.moved == nil {
			m.moved = make(chan struct{})
		}
		head, moved := m.head, m.moved
		m.mu.Unlock()
		if head != nil {
			tell(head)
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return
		}
	}
}

// Close implements KV.
func (m *Memory) Close() error { return nil }
