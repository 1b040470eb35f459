package peer

import (
	"crypto/ed25519"
	"crypto/rand"
	"time"

	"google.golang.org/grpc/backoff"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// reconnect bounds how long a node waits before it dials again.
var reconnect = backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.3, MaxDelay: 2 * time.Second}

// InviteFile is an invite with its private one-time key, as the new node gets
// it.
type InviteFile struct {
	Invite record.Invite `json:"invite"`
	Seed   []byte        `json:"seed"`
}

// InviteLife is how long an invite can be used.
const InviteLife = time.Hour

// Issue completes an invite with a one-time key, good for InviteLife from now,
// and signs it.
func Issue(i *record.Invite, operator ed25519.PrivateKey, now time.Time) (*InviteFile, error) {
	public, oneTime, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	i.Key, i.Expires = public, record.At(now.Add(InviteLife))
	i.Sign(operator)
	return &InviteFile{Invite: *i, Seed: oneTime.Seed()}, nil
}
