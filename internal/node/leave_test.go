package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/lineage"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/store"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// A control plane can die between its retirement and the file that it is to leave,
// and the successor that ended it can be replaced by one of an earlier fork.
func TestAnEndedControlPlaneLeavesItsSurplusAtItsNextStartForTheNewestSuccessor(t *testing.T) {
	ctx := context.Background()
	root := operatorKeyAsRoot()
	keys, err := keyring.NewNodeKeys("cp-a", true)
	if err != nil {
		t.Fatal(err)
	}
	kv := &store.Memory{}
	writer := func() *store.Writer {
		return &store.Writer{KV: kv, Node: keys.ID, Sign: func(h *record.Head) { h.Sign(keys.HeadKey()) }, Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	}
	verify := func(*record.Head, *view.State) error { return nil }
	w := writer()
	if err := w.Open(ctx, verify); err != nil {
		t.Fatal(err)
	}
	head := keys.HeadKey().Public().(ed25519.PublicKey)
	g := &record.Genesis{Cluster: "c", Lineage: "l", Mode: "development", Root: root.Public().(ed25519.PublicKey), HashSeed: make([]byte, 16), Controls: []record.Pin{{Node: keys.ID, Head: head}}}
	g.Sign(root)
	tx := view.Empty(g.HashSeed).Begin()
	if err := errors.Join(record.Put(tx, record.Geneses, g), record.Put(tx, record.Nodes, &record.Node{ID: keys.ID, Role: record.ControlNode, Head: head, Format: record.Format})); err != nil {
		t.Fatal(err)
	}
	if err := w.Genesis(ctx, g, tx.Changes()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	put := func(change func(record.Tx) error) record.Head {
		t.Helper()
		if o := w.System(ctx, "test", false, func(tx record.Tx, _ time.Time) error { return change(tx) }); o.Err != nil {
			t.Fatal(o.Err)
		}
		return w.View().Head
	}
	var heads []record.Head
	for _, id := range []string{"a", "b", "c"} {
		heads = append(heads, put(func(tx record.Tx) error {
			return record.Put(tx, record.Denials, &record.Denial{ID: id, Scope: record.DenyID, Target: id})
		}))
	}
	successor := func(epoch int, at record.Head, name string) *record.Successor {
		s := &record.Successor{Epoch: epoch, Cluster: "c", Parent: "l", Fork: int(at.Index), Chain: at.Chain[:], Lineage: name, Old: g.Controls, New: g.Controls}
		s.Sign(root)
		return s
	}
	first, second := successor(1, heads[1], "m"), successor(2, heads[0], "n")
	put(func(tx record.Tx) error { return record.Put(tx, record.Successors, first) })
	if err := <-ended; !errors.Is(err, store.ErrSucceeded) {
		t.Fatal(err)
	}
	c := &Control{Config: &config.Config{Dir: t.TempDir()}, keys: keys, writer: writer(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if err := c.writer.Open(ctx, verify); !errors.Is(err, store.ErrSucceeded) {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name  string
		shown []*record.Successor
		fork  uint64
	}{
		{"nothing but its own log", nil, heads[1].Index},
		{"a newer one of an earlier fork", []*record.Successor{first, second}, heads[0].Index},
		{"what it has heeded", []*record.Successor{first, second}, heads[0].Index},
		{"that again, and a damaged history before its own beginning", []*record.Successor{first, second}, heads[0].Index},
	} {
		if strings.Contains(x.name, "damaged") {
			damaged := os.WriteFile(filepath.Join(c.Config.Dir, lineage.PastFile), []byte("{"), 0o600)
			if err := errors.Join(damaged, os.Remove(filepath.Join(c.Config.Dir, lineage.RetiredFile))); err != nil {
				t.Fatal(err)
			}
		}
		if x.shown != nil {
			if err := local.Write(filepath.Join(c.Config.Dir, lineage.SuccessorsFile), x.shown, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.left(ctx); err != nil {
			t.Fatal(err)
		}
		of, d, batches, err := lineage.ReadSurplus(filepath.Join(c.Config.Dir, lineage.RetiredFile))
		if err != nil {
			t.Fatal(err)
		}
		list, _, err := lineage.Open(batches, d, of, d.Newest().Lineage)
		if of != "l" || err != nil || len(list) != 1 || list[0].From != x.fork || len(list[0].Records) != int(c.writer.View().Head.Index-x.fork) {
			t.Errorf("shown %s: %s %+v %v", x.name, of, list, err)
		}
	}
}
