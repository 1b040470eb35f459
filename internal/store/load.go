package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Load starts a Sequencer at what the KV holds: the state at its head, and the
// call ids of the kept log. It is nil when the KV is empty. kept is told every
// commit of the log: its last index, its time in milliseconds and its size.
func Load(ctx context.Context, kv KV, node string, sign func(*record.Head), verify func(*record.Head, *view.State) error, kept func(index uint64, at int64, size int)) (*Sequencer, error) {
	state, raw, err := loadState(ctx, kv)
	if err != nil || raw == nil {
		return nil, err
	}
	var head record.Head
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, fmt.Errorf("store: the head cannot be read: %w", err)
	}
	if state.Digest() != head.State {
		return nil, fmt.Errorf("store: the records do not come to the digest of the head at index %d: the store is damaged", head.Index)
	}
	if err := verify(&head, state); err != nil {
		return nil, err
	}
	machine := NewSequencer(node, sign, &view.View{State: state, Head: head}, raw)
	return machine, replayLog(ctx, kv, machine, kept)
}

// loadState reads all records and the head that they are of. The hash seed
// stands in the Genesis record.
func loadState(ctx context.Context, kv KV) (*view.State, []byte, error) {
	var entries []*record.Entry
	head, err := kv.State(ctx, func(key record.Key, value []byte) bool {
		entries = append(entries, record.NewEntry(key, value))
		return true
	})
	if err != nil || head == nil {
		return nil, nil, err
	}
	var seed []byte
	for _, e := range entries {
		if e.Key.Kind() == record.Geneses.Name {
			g, err := record.Geneses.Open(e)
			if err != nil {
				return nil, nil, err
			}
			seed = g.HashSeed
		}
	}
	return view.Build(seed, func(yield func(*record.Entry) bool) {
		for _, e := range entries {
			if !yield(e) {
				return
			}
		}
	}, runtime.NumCPU()), head, nil
}

// replayLog rebuilds what is kept of the log: call ids and sizes, up to the
// machine's head. What others add meanwhile it follows later.
func replayLog(ctx context.Context, kv KV, machine *Sequencer, kept func(index uint64, at int64, size int)) error {
	var failed error
	err := kv.Log(ctx, 0, func(index uint64, value []byte) bool {
		var l record.LogValue
		if failed = json.Unmarshal(value, &l); failed != nil || index > machine.View().Head.Index {
			return false
		}
		for _, r := range l.Records {
			var p record.Public
			if failed = json.Unmarshal(r.Public, &p); failed != nil {
				return false
			}
			machine.Remember(p.Call, p.Index, p.Time)
		}
		kept(index, l.Head.Time, len(value))
		return true
	})
	return errors.Join(err, failed)
}
