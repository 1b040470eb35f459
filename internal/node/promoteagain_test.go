package node

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/lineage"
	"github.com/holdfast-iam/holdfast/internal/operator"
)

// A promotion that was broken off has its own successor, and the old control plane
// may have ended for that: what it left is nowhere else.
func TestAPromotionThatIsRunAgainTakesWhatTheOldControlPlaneLeftForTheFirst(t *testing.T) {
	f := founding(t, "ann", "bob", "eve")
	rootHash, dir := founded(t, f)
	seed, err := keyring.ReadSecret(f.RootKey)
	if err != nil {
		t.Fatal(err)
	}
	kek, err := keyring.LoadKEK(f.KEK)
	if err != nil {
		t.Fatal(err)
	}
	ground := Ground{Layout: f.Layout, Root: rootHash, Controls: []string{f.Node}, Zone: "a", Replicas: []Copy{{"use-a", dir}}}
	staged := func() *Promotion {
		t.Helper()
		p, err := PlanPromotion(ground, nil, kek, time.Now())
		if err == nil {
			root := ed25519.NewKeyFromSeed(seed)
			if err = p.Sign(root, []*operator.Key{operatorKey("ann"), operatorKey("bob")}); err == nil {
				err = p.Stage(root)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	handedUp := func(p *Promotion) (n int) {
		t.Helper()
		if _, err := p.Retired(f.Node); err != nil {
			t.Fatal(err)
		}
		list, err := filepath.Glob(filepath.Join(p.staged(f.Node), lineage.SurplusDir, "*.surplus"))
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	left := func(p *Promotion) {
		t.Helper()
		path := filepath.Join(f.Layout.Node(f.Node), lineage.RetiredFile)
		if err := lineage.WriteSurplus(path, p.Next.Parent, p.Descent(), nil); err != nil {
			t.Fatal(err)
		}
	}

	first := staged()
	if n := handedUp(first); n != 0 {
		t.Fatalf("%d files before anybody left one", n)
	}
	left(first)
	// Broken off before the directories changed places.
	if n := handedUp(staged()); n != 1 {
		t.Errorf("run again: %d files are handed up, want the one that was left for the first run", n)
	}
	// Broken off while they did.
	second := staged()
	if err := os.Rename(f.Layout.Node(f.Node), fmt.Sprintf("%s.until-%d", f.Layout.Node(f.Node), second.Next.Epoch)); err != nil {
		t.Fatal(err)
	}
	third := staged()
	if n := handedUp(third); n != 1 {
		t.Errorf("run again with the old directory put aside: %d files are handed up", n)
	}
	if _, err := third.Swap(); err != nil {
		t.Fatal(err)
	}
}
