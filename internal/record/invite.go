package record

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Invite admits one node: an operator's word on a one-time key.
type Invite struct {
	Key       []byte `json:"key"` // one-time Ed25519 public key
	Node      string `json:"node"`
	Role      string `json:"role"`
	Region    string `json:"region,omitempty"`
	Zone      string `json:"zone,omitempty"`
	Expires   Time   `json:"expires"`
	Control   []byte `json:"control"`        // TLS key of the control-plane node to join
	At        string `json:"at,omitempty"`   // that node's name, where there are several
	Root      string `json:"root,omitempty"` // hex SHA-256 of the root's public key
	Etcd      string `json:"etcd,omitempty"` // HOST:PORT of the store's member that a new control-plane node brings
	Operator  string `json:"operator"`
	Signature []byte `json:"signature"`
}

const (
	inviteDomain = "holdfast invite 1\n"
	joinDomain   = "holdfast join 1\n"
)

func (i *Invite) message() []byte {
	c := *i
	c.Signature = nil
	b, _ := Marshal(&c) // strings, bytes and a time: cannot fail
	return append([]byte(inviteDomain), b...)
}

// Sign signs the invite with an operator's key.
func (i *Invite) Sign(operator ed25519.PrivateKey) { i.Signature = ed25519.Sign(operator, i.message()) }

// Verify checks an invite against the operator's key and the clock.
func (i *Invite) Verify(operator ed25519.PublicKey, now time.Time) error {
	switch {
	case !i.signed(operator):
		return errors.New("record: the invite is not signed by an enrolled operator")
	case !now.Before(i.Expires.Std()):
		return errors.New("record: the invite has expired")
	case len(i.Key) != ed25519.PublicKeySize:
		return errors.New("record: the invite has no key")
	}
	return nil
}

func (i *Invite) signed(operator ed25519.PublicKey) bool {
	return len(operator) == ed25519.PublicKeySize && ed25519.Verify(operator, i.message(), i.Signature)
}

// Prove signs a node's record with the invite's one-time key.
func Prove(oneTime ed25519.PrivateKey, node []byte) []byte {
	return ed25519.Sign(oneTime, append([]byte(joinDomain), node...))
}

// Proven says whether a node's record carries the invite's proof.
func (i *Invite) Proven(node, proof []byte) bool {
	return len(i.Key) == ed25519.PublicKeySize && ed25519.Verify(i.Key, append([]byte(joinDomain), node...), proof)
}

// Admission is how a control-plane node came to be one: its invite, and what it
// showed with it. It is kept for good, so that whoever is given a state can
// follow the chain from the root to the node that signed it.
type Admission struct {
	Node   string `json:"node"`
	Invite []byte `json:"invite"` // an Invite, as JSON
	Shown  []byte `json:"shown"`  // the node's record as it was proven, as JSON
	Proof  []byte `json:"proof"`  // by the invite's one-time key, over Shown
}

// Admissions is the kind of Admission.
var Admissions = &Kind[Admission]{Name: "admission", Version: 1, ID: func(a *Admission) (string, string) { return None, a.Node }}

// VerifyAdmission checks that an operator of the state r admitted a control-plane
// node with the key that it signs heads with. That the invite has expired since
// does not matter.
func VerifyAdmission(r Reader, g *Genesis, n *Node) error {
	var i Invite
	var shown Node
	a, err := Get(r, Admissions, None, n.ID)
	if err != nil || json.Unmarshal(a.Invite, &i) != nil || json.Unmarshal(a.Shown, &shown) != nil {
		return fmt.Errorf("record: nothing says who admitted control-plane node %s", n.ID)
	}
	op, err := Get(r, Operators, None, i.Operator)
	if err != nil || !op.Verify(g.Root) || !i.signed(op.Public) {
		return fmt.Errorf("record: no enrolled operator admitted control-plane node %s", n.ID)
	}
	same := shown.ID == n.ID && shown.Role == n.Role && bytes.Equal(shown.Head, n.Head) && bytes.Equal(i.Key, n.Invite)
	if i.Node != n.ID || i.Role != ControlNode || !same || !i.Proven(a.Shown, a.Proof) {
		return fmt.Errorf("record: control-plane node %s was admitted as another one", n.ID)
	}
	return nil
}
