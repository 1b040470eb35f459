package node

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
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
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/replica"
	"github.com/holdfast-iam/holdfast/internal/store"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// founded is the first state of a production deployment, as a Region node has it
// on its disk.
func founded(t *testing.T, f Founding) (rootHash, copyOf string) {
	t.Helper()
	rootHash, err := Found(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(f.Layout.Node(f.Node), "genesis.json"))
	if err != nil {
		t.Fatal(err)
	}
	var changes []record.Change
	if err := json.Unmarshal(b, &changes); err != nil {
		t.Fatal(err)
	}
	keys, err := keyring.LoadNodeKeys(filepath.Join(f.Layout.Node(f.Node), nodeKeysFile))
	if err != nil {
		t.Fatal(err)
	}
	w := writerOver(t, keys)
	var g *record.Genesis
	for _, c := range changes {
		if c.Key.Kind() == record.Geneses.Name {
			if g, err = record.Geneses.Decode(c.Value); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Genesis(context.Background(), g, changes); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := replica.WriteCopy(dir, w.View(), g.HashSeed); err != nil {
		t.Fatal(err)
	}
	return rootHash, dir
}

func writerOver(t *testing.T, keys *keyring.NodeKeys) *store.Writer {
	t.Helper()
	w := &store.Writer{KV: &store.Memory{}, Node: keys.ID, Sign: func(h *record.Head) { h.Sign(keys.HeadKey()) }, Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if err := w.Open(context.Background(), func(*record.Head, *view.State) error { return nil }); err != nil {
		t.Fatal(err)
	}
	return w
}

func operatorKey(id string) *operator.Key {
	return &operator.Key{ID: id, Seed: []byte(strings.Repeat(id[:1], 32))}
}

func TestAProductionPromotionTakesTheRootAndTwoOperatorsAndBeginsOnAMachineOfItsOwn(t *testing.T) {
	f := founding(t, "ann", "bob", "eve")
	rootHash, dir := founded(t, f)
	seed, err := keyring.ReadSecret(f.RootKey)
	if err != nil {
		t.Fatal(err)
	}
	root := ed25519.NewKeyFromSeed(seed)
	kek, err := keyring.LoadKEK(f.KEK)
	if err != nil {
		t.Fatal(err)
	}
	ground := Ground{Layout: f.Layout, Root: rootHash, Controls: []string{"cp-d"}, Zone: "d", Etcd: map[string]string{"cp-d": "10.0.0.4:2380"},
		Replicas: []Copy{{"gone", filepath.Join(dir, "nowhere")}, {"use-a", dir}}}
	for what, list := range map[string][]*operator.Key{"nobody": nil, "one": {operatorKey("ann")}, "one twice": {operatorKey("ann"), operatorKey("ann")}, "a stranger": {operatorKey("ann"), operatorKey("zoe")}} {
		p, err := PlanPromotion(ground, nil, kek, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Sign(root, list); err == nil || !strings.Contains(err.Error(), "consent") {
			t.Errorf("with the consent of %s: %v", what, err)
		}
	}
	p, err := PlanPromotion(ground, nil, kek, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Sign(operatorKeyAsRoot(), nil); err == nil {
		t.Error("another root signs")
	}
	if err := p.Sign(root, []*operator.Key{operatorKey("ann"), operatorKey("bob")}); err != nil {
		t.Fatal(err)
	}
	if err := p.Stage(root); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Swap(); err != nil {
		t.Fatal(err)
	}
	begins(t, f.Layout.Node("cp-d"), rootHash, p.Next)
	again, err := PlanPromotion(ground, nil, kek, time.Now())
	if err != nil || again.Next.Epoch != 2 {
		t.Errorf("the root's list is not remembered: %+v %v", again, err)
	}
	if _, err := PlanPromotion(ground, nil, make([]byte, 32), time.Now()); err == nil {
		t.Error("a KEK that opens nothing is taken")
	}
}

func operatorKeyAsRoot() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat("z", 32)))
}

// begins has a control-plane node make the first commit of what was staged.
func begins(t *testing.T, dir, rootHash string, s *record.Successor) {
	t.Helper()
	keys, err := keyring.LoadNodeKeys(filepath.Join(dir, nodeKeysFile))
	if err != nil {
		t.Fatal(err)
	}
	audit, err := openAuditor(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := &Control{Config: &config.Config{Dir: dir, Root: rootHash}, keys: keys, writer: writerOver(t, keys), audit: audit, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if begun, err := c.succeed(context.Background()); !begun || err != nil {
		t.Fatal(begun, err)
	}
	v := c.writer.View()
	if err := record.VerifyState(v, &v.Head, v.Digest(), rootHash); err != nil || v.Head.Lineage != s.Lineage || v.Head.Index != uint64(s.Fork)+1 {
		t.Errorf("%+v %v", v.Head, err)
	}
	if n, err := record.Get(v, record.Nodes, record.None, "cp-a"); err != nil || !n.Fenced {
		t.Errorf("the old control plane's node: %+v %v", n, err)
	}
	changed := filepath.Join(dir, lineage.SuccessionDir, lineage.ChangesFile)
	b, err := os.ReadFile(changed)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(changed, []byte(strings.Replace(string(b), `"fork":`, `"fork":1`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	c.writer = writerOver(t, keys)
	if _, err := c.succeed(context.Background()); err == nil {
		t.Error("a successor that the root has not signed so is begun")
	}
}
