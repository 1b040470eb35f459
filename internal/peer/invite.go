package peer

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"time"

	"google.golang.org/grpc/backoff"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// reconnect bounds how long a node waits before it dials again.
var reconnect = backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.3, MaxDelay: 2 * time.Second}

// Invite admits one node: an operator's word on a one-time key.
type Invite struct {
	Key       []byte      `json:"key"` // one-time Ed25519 public key
	Node      string      `json:"node"`
	Role      string      `json:"role"`
	Region    string      `json:"region,omitempty"`
	Zone      string      `json:"zone,omitempty"`
	Expires   record.Time `json:"expires"`
	Control   []byte      `json:"control"`        // TLS key of the control-plane node to join
	At        string      `json:"at,omitempty"`   // that node's name, where there are several
	Root      string      `json:"root,omitempty"` // hex SHA-256 of the root's public key
	Etcd      string      `json:"etcd,omitempty"` // HOST:PORT of the store's member that a new control-plane node brings
	Operator  string      `json:"operator"`
	Signature []byte      `json:"signature"`
}

// InviteFile is an invite with its private one-time key, as the new node gets
// it.
type InviteFile struct {
	Invite Invite `json:"invite"`
	Seed   []byte `json:"seed"`
}

const (
	inviteDomain = "holdfast invite 1\n"
	joinDomain   = "holdfast join 1\n"
	// InviteLife is how long an invite can be used.
	InviteLife = time.Hour
)

func (i *Invite) message() []byte {
	c := *i
	c.Signature = nil
	b, _ := record.Marshal(&c) // strings, bytes and a time: cannot fail
	return append([]byte(inviteDomain), b...)
}

// Sign signs the invite with an operator's key.
func (i *Invite) Sign(operator ed25519.PrivateKey) { i.Signature = ed25519.Sign(operator, i.message()) }

// Issue completes an invite with a one-time key, good for InviteLife from now,
// and signs it.
func (i *Invite) Issue(operator ed25519.PrivateKey, now time.Time) (*InviteFile, error) {
	public, oneTime, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	i.Key, i.Expires = public, record.At(now.Add(InviteLife))
	i.Sign(operator)
	return &InviteFile{Invite: *i, Seed: oneTime.Seed()}, nil
}

// Verify checks an invite against the operator's key and the clock.
func (i *Invite) Verify(operator ed25519.PublicKey, now time.Time) error {
	switch {
	case len(operator) != ed25519.PublicKeySize || !ed25519.Verify(operator, i.message(), i.Signature):
		return errors.New("peer: the invite is not signed by an enrolled operator")
	case !now.Before(i.Expires.Std()):
		return errors.New("peer: the invite has expired")
	case len(i.Key) != ed25519.PublicKeySize:
		return errors.New("peer: the invite has no key")
	}
	return nil
}

// Prove signs a node's record with the invite's one-time key.
func Prove(oneTime ed25519.PrivateKey, node []byte) []byte {
	return ed25519.Sign(oneTime, append([]byte(joinDomain), node...))
}

// Proven says whether a node's record carries the invite's proof.
func (i *Invite) Proven(node, proof []byte) bool {
	return len(i.Key) == ed25519.PublicKeySize && ed25519.Verify(i.Key, append([]byte(joinDomain), node...), proof)
}
