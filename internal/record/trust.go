package record

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Domains keep a signature of one kind from meaning anything elsewhere.
const (
	genesisDomain  = "holdfast genesis 1\n"
	operatorDomain = "holdfast operator 1\n"
)

func (g *Genesis) message() []byte {
	c := *g
	c.Signature = nil
	b, _ := Marshal(&c) // strings, numbers and bytes: cannot fail
	return append([]byte(genesisDomain), b...)
}

// Sign signs the record with the root's key.
func (g *Genesis) Sign(root ed25519.PrivateKey) { g.Signature = ed25519.Sign(root, g.message()) }

// Verify checks the record against the hash of the root's public key, which a
// node trusts before it has heard anything.
func (g *Genesis) Verify(rootHash string) error {
	if fmt.Sprintf("%x", sha256.Sum256(g.Root)) != rootHash {
		return errors.New("record: the genesis is of another root")
	}
	if !verify(g.Root, g.message(), g.Signature) {
		return errors.New("record: the genesis is not signed by its root")
	}
	return nil
}

func (o *Operator) message() []byte {
	c := *o
	c.Signature = nil
	b, _ := Marshal(&c)
	return append([]byte(operatorDomain), b...)
}

// Sign signs the operator's record with the root's key.
func (o *Operator) Sign(root ed25519.PrivateKey) { o.Signature = ed25519.Sign(root, o.message()) }

// Verify says whether the root enrolled the operator.
func (o *Operator) Verify(root ed25519.PublicKey) bool {
	return verify(root, o.message(), o.Signature)
}

// VerifyHead checks a head against the state r: signed by the head key of an
// enrolled, unfenced control-plane node.
func VerifyHead(r Reader, h *Head) error { return verifyHead(r, h.Node, h.Index, h.Verify) }

// VerifyNext checks the head of the commit after head old, whose state r is: of
// the same history, signed, and by the node that signed old unless it took over.
func VerifyNext(r Reader, old, h *Head) error {
	switch {
	case h.Cluster != old.Cluster || h.Lineage != old.Lineage:
		return fmt.Errorf("record: the head at index %d is of another cluster or lineage", h.Index)
	case h.Node == old.Node && h.Term != old.Term, h.Node != old.Node && h.Term != old.Term+1:
		return fmt.Errorf("record: the head at index %d is of node %s in term %d and follows one of %s in term %d", h.Index, h.Node, h.Term, old.Node, old.Term)
	}
	return VerifyHead(r, h)
}

// VerifyBeat is VerifyHead for a heartbeat.
func VerifyBeat(r Reader, b *Beat) error { return verifyHead(r, b.Node, b.Index, b.Verify) }

// MaySign says whether a node may sign heads: an enrolled, unfenced control-plane
// node.
func MaySign(r Reader, node string) bool {
	n, err := Get(r, Nodes, None, node)
	return err == nil && n.Role == ControlNode && !n.Fenced
}

func verifyHead(r Reader, node string, index uint64, signed func(ed25519.PublicKey) bool) error {
	n, err := Get(r, Nodes, None, node)
	if err != nil {
		return fmt.Errorf("record: the head at index %d is of the unknown node %q", index, node)
	}
	if n.Role != ControlNode || n.Fenced {
		return fmt.Errorf("record: the head at index %d is of node %s, which may not sign it", index, n.ID)
	}
	if !signed(n.Head) {
		return fmt.Errorf("record: the head at index %d is not signed by node %s", index, n.ID)
	}
	return nil
}

// vouches says whether the chain of trust reaches a control-plane node: from the
// root, which names a lineage's first ones, or over an operator, who admitted it.
func (g *Genesis) vouches(r Reader, node string) error {
	n, err := Get(r, Nodes, None, node)
	if err != nil || len(g.Controls) == 0 {
		return nil // VerifyHead refuses the first
	}
	for _, p := range g.Controls {
		if p.Node == n.ID {
			if !bytes.Equal(p.Head, n.Head) {
				return fmt.Errorf("record: control-plane node %s has another key than the root has named", n.ID)
			}
			return nil
		}
	}
	return VerifyAdmission(r, g, n)
}

// VerifyState checks a whole state against its head and the root: where trust
// begins.
func VerifyState(r Reader, h *Head, digest Hash, rootHash string) error {
	g, err := Get(r, Geneses, None, "genesis")
	if err != nil {
		return errors.New("record: the state has no genesis")
	}
	if err := g.Verify(rootHash); err != nil {
		return err
	}
	if g.Cluster != h.Cluster || g.Lineage != h.Lineage {
		return errors.New("record: the head is of another cluster or lineage")
	}
	if digest != h.State {
		return fmt.Errorf("record: the state does not come to the digest of its head at index %d", h.Index)
	}
	if err := verifyDescent(r, g, h); err != nil {
		return err
	}
	if err := g.vouches(r, h.Node); err != nil {
		return err
	}
	return VerifyHead(r, h)
}
