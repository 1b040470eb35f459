package view_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

func keyOf(name string) ed25519.PrivateKey {
	sum := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(sum[:])
}

func publicOf(name string) ed25519.PublicKey { return keyOf(name).Public().(ed25519.PublicKey) }

// world is a state and who signs what of it. What is given away: its genesis is
// public.
type trustWorld struct {
	genesis   record.Genesis
	operators []*record.Operator
	nodes     []*record.Node
	admitted  []*record.Admission
	signer    string
	key       string // that the head is signed with; "": the signer's
}

func control(name string) *record.Node {
	return &record.Node{ID: name, Role: record.ControlNode, TLS: publicOf(name + " tls"), HPKE: publicOf(name + " hpke"), Head: publicOf(name)}
}

func newTrustWorld() *trustWorld {
	w := &trustWorld{signer: "cp-a", nodes: []*record.Node{control("cp-a")}}
	w.genesis = record.Genesis{Cluster: "c", Lineage: "l", Mode: "production", Node: "cp-a", Root: publicOf("root"), HashSeed: make([]byte, 16),
		Controls: []record.Pin{{Node: "cp-a", TLS: publicOf("cp-a tls"), Head: publicOf("cp-a")}}}
	w.genesis.Sign(keyOf("root"))
	ann := &record.Operator{ID: "ann", Public: publicOf("ann")}
	ann.Sign(keyOf("root"))
	w.operators = append(w.operators, ann)
	return w
}

// admit adds a control-plane node as a join leaves it, which signs from then on.
func (w *trustWorld) admit(t *testing.T, name, by string, change func(*record.Invite)) *record.Node {
	t.Helper()
	n := control(name)
	i := record.Invite{Key: publicOf(name + " invite"), Node: name, Role: record.ControlNode, Operator: by, Expires: record.At(time.Unix(1, 0))}
	if change != nil {
		change(&i)
	}
	i.Sign(keyOf(by))
	shown, err := record.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	invite, err := record.Marshal(&i)
	if err != nil {
		t.Fatal(err)
	}
	n.Invite = i.Key
	w.admitted = append(w.admitted, &record.Admission{Node: name, Invite: invite, Shown: shown, Proof: record.Prove(keyOf(name+" invite"), shown)})
	w.nodes, w.signer = append(w.nodes, n), name
	return n
}

func (w *trustWorld) verify(t *testing.T) error {
	t.Helper()
	tx := (&view.View{State: view.Empty(w.genesis.HashSeed)}).Begin()
	put := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	put(record.Put(tx, record.Geneses, &w.genesis))
	for _, o := range w.operators {
		put(record.Put(tx, record.Operators, o))
	}
	for _, n := range w.nodes {
		put(record.Put(tx, record.Nodes, n))
	}
	for _, a := range w.admitted {
		put(record.Put(tx, record.Admissions, a))
	}
	s := tx.State()
	h := record.Head{Cluster: "c", Lineage: "l", Index: 7, Node: w.signer, State: s.Digest()}
	if w.key == "" {
		w.key = w.signer
	}
	h.Sign(keyOf(w.key))
	return record.VerifyState(&view.View{State: s, Head: h}, &h, s.Digest(), fmt.Sprintf("%x", sha256.Sum256(publicOf("root"))))
}

// TestAStateIsBelievedOnlyAlongTheChainFromTheRootToTheNodeThatSignedIt: who has
// the public genesis cannot make a state that a node without one would take.
func TestAStateIsBelievedOnlyAlongTheChainFromTheRootToTheNodeThatSignedIt(t *testing.T) {
	for _, x := range []struct {
		name string
		do   func(w *trustWorld)
		want string // "" is believed
	}{
		{"signed by the first node", func(*trustWorld) {}, ""},
		{"by one that an operator admitted", func(w *trustWorld) {
			w.admit(t, "cp-b", "ann", nil)
		}, ""},
		{"by the first node under another key", func(w *trustWorld) {
			w.nodes[0].Head, w.key = publicOf("thief"), "thief"
		}, "another key than the root has named"},
		{"by a node that nobody admitted", func(w *trustWorld) {
			w.nodes, w.signer = append(w.nodes, control("thief")), "thief"
		}, "nothing says who admitted"},
		{"by one that a stranger admitted", func(w *trustWorld) {
			w.admit(t, "thief", "mallory", nil)
		}, "no enrolled operator"},
		{"by one that an operator of the stranger's admitted", func(w *trustWorld) {
			mallory := &record.Operator{ID: "mallory", Public: publicOf("mallory")}
			mallory.Sign(keyOf("mallory"))
			w.operators = append(w.operators, mallory)
			w.admit(t, "thief", "mallory", nil)
		}, "no enrolled operator"},
		{"with an invite that was for a Region node", func(w *trustWorld) {
			w.admit(t, "thief", "ann", func(i *record.Invite) { i.Role = record.RegionNode })
		}, "as another one"},
		{"with another node's invite", func(w *trustWorld) {
			w.admit(t, "thief", "ann", func(i *record.Invite) { i.Node = "cp-b" })
		}, "as another one"},
		{"with an invite whose key is another's", func(w *trustWorld) {
			w.admit(t, "thief", "ann", func(i *record.Invite) { i.Key = publicOf("cp-b invite") })
		}, "as another one"},
		{"by one whose key was changed after its admission", func(w *trustWorld) {
			w.admit(t, "cp-b", "ann", nil).Head = publicOf("thief")
			w.key = "thief"
		}, "as another one"},
		{"by one that is fenced", func(w *trustWorld) { w.nodes[0].Fenced = true }, "may not sign it"},
		{"with pins that the root did not sign", func(w *trustWorld) {
			w.genesis.Controls = []record.Pin{{Node: "thief", Head: publicOf("thief")}}
			w.nodes, w.signer = append(w.nodes, control("thief")), "thief"
		}, "not signed by its root"},
		{"with the pins taken out", func(w *trustWorld) {
			w.genesis.Controls = nil
			w.nodes, w.signer = append(w.nodes, control("thief")), "thief"
		}, "not signed by its root"},
		{"of a deployment that was founded without pins", func(w *trustWorld) {
			w.genesis.Controls = nil
			w.genesis.Sign(keyOf("root"))
		}, ""},
	} {
		w := newTrustWorld()
		x.do(w)
		err := w.verify(t)
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
	}
}

func TestADeploymentThatNamesItsFirstNodesBeginsAtTheFormatThatReadsThem(t *testing.T) {
	w := newTrustWorld()
	tx := (&view.View{State: view.Empty(w.genesis.HashSeed)}).Begin()
	if err := record.Put(tx, record.Geneses, &w.genesis); err != nil {
		t.Fatal(err)
	}
	if got := record.FormatOf(tx.Changes()); got < 2 {
		t.Errorf("it begins at format %d", got)
	}
	old := record.Genesis{Cluster: "c", Root: publicOf("root")}
	b, err := record.Marshal(&old)
	if err != nil || bytes.Contains(b, []byte("controls")) {
		t.Errorf("the bytes of one from before, which its root has signed, are others: %s", b)
	}
}
