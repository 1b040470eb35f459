package session

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// A signing key lasts KeyLife; the present one and the next Ahead are always
// published (DESIGN §5: 60 days of work while cut off).
const (
	KeyLife = 30 * 24 * time.Hour
	Ahead   = 2
	// skew is how far clocks may be apart.
	skew = 5 * time.Minute
)

// PrivateKey is a node's half of a record.SigningKey.
type PrivateKey struct {
	ID        string      `json:"id"`
	Seed      []byte      `json:"seed"`
	NotBefore record.Time `json:"notBefore"`
	NotAfter  record.Time `json:"notAfter"`

	key ed25519.PrivateKey // of Seed: to derive it costs as much as to sign
}

// Key returns the Ed25519 key.
func (k *PrivateKey) Key() ed25519.PrivateKey {
	if k.key == nil {
		return ed25519.NewKeyFromSeed(k.Seed)
	}
	return k.key
}

// Public returns the record to publish.
func (k *PrivateKey) Public(node, region string) *record.SigningKey {
	return &record.SigningKey{ID: k.ID, Node: node, Region: region, Public: k.Key().Public().(ed25519.PublicKey),
		NotBefore: k.NotBefore, NotAfter: k.NotAfter}
}

// KeySet is a node's signing keys, oldest first.
type KeySet []PrivateKey

// ParseKeySet reads what Encode wrote.
func ParseKeySet(b []byte) (KeySet, error) {
	var s KeySet
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, err
	}
	for i := range s {
		if len(s[i].Seed) != ed25519.SeedSize {
			return nil, errors.New("session: a signing key has another size")
		}
		s[i].key = ed25519.NewKeyFromSeed(s[i].Seed)
	}
	return s, nil
}

// Encode is the key set's form on the node's disk.
func (s KeySet) Encode() []byte {
	b, _ := json.Marshal(s) // strings, bytes and times: cannot fail
	return b
}

// Grow returns the set with ended keys dropped and new ones made, so that the
// present one and the next Ahead are there. changed says that it differs.
func (s KeySet) Grow(now time.Time) (set KeySet, changed bool) { return s.GrowFrom(now, rand.Reader) }

// GrowFrom is Grow with randomness from a reader that does not fail, for the
// simulator.
func (s KeySet) GrowFrom(now time.Time, random io.Reader) (set KeySet, changed bool) {
	for _, k := range s {
		if k.NotAfter.Std().After(now) {
			set = append(set, k)
		}
	}
	changed = len(set) != len(s)
	ahead := Ahead
	if failpoint.On(failpoint.NoKeysAhead) {
		ahead = 0
	}
	for len(set) < 1+ahead {
		from := now.Add(-skew)
		if n := len(set); n > 0 {
			from = set[n-1].NotAfter.Std()
		}
		set = append(set, newPrivateKey(from, random))
		changed = true
	}
	return set, changed
}

func newPrivateKey(from time.Time, random io.Reader) PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = io.ReadFull(random, seed) // crypto/rand's does not fail
	key := ed25519.NewKeyFromSeed(seed)
	return PrivateKey{ID: record.SigningKeyID(key.Public().(ed25519.PublicKey)), Seed: seed, NotBefore: record.At(from), NotAfter: record.At(from.Add(KeyLife)), key: key}
}

// Choose returns the key to sign with now, and whether the token must be
// marked regional because not every node is known to have the key.
func (s KeySet) Choose(r record.Reader, now time.Time) (key *PrivateKey, regional bool) {
	for i := range s {
		k := &s[i]
		if now.Before(k.NotBefore.Std()) || !now.Before(k.NotAfter.Std()) {
			continue
		}
		published, err := record.Get(r, record.SigningKeys, record.None, k.ID)
		if err != nil || published.Revoked {
			continue
		}
		return k, !published.Known
	}
	// After its last key has ended the node goes on for its own Region.
	if n := len(s); n > 0 && record.Has(r, record.SigningKeys, record.None, s[n-1].ID) {
		return &s[n-1], true
	}
	return nil, false
}

// Horizon is how long the set's published keys reach from now.
func (s KeySet) Horizon(r record.Reader, now time.Time) time.Duration {
	var far time.Duration
	for i := range s {
		if record.Has(r, record.SigningKeys, record.None, s[i].ID) {
			far = max(far, s[i].NotAfter.Std().Sub(now))
		}
	}
	return far
}

// Verify judges an opened token against the minter's published key: signature,
// the key's time, revocation, fencing, regional marks and the token's own
// lifetime. floor is the time below which nothing that expires is accepted.
//
// key is the record of the token's KeyID, node that of the key's node.
func (t *Token) Verify(k *record.SigningKey, node *record.Node, region string) error {
	if k == nil || node == nil || k.ID != t.KeyID || k.Node != node.ID || k.Revoked || k.Region != t.Region || node.Fenced && !failpoint.On(failpoint.MinterUnchecked) {
		return ErrInvalid
	}
	if t.Regional && t.Region != region {
		return ErrInvalid
	}
	issued, expires := time.Unix(t.Issued, 0), time.Unix(t.Expires, 0)
	if issued.Before(k.NotBefore.Std().Add(-skew)) || (issued.After(k.NotAfter.Std().Add(skew)) && !t.Regional) || expires.Sub(issued) > MaxLife {
		return ErrInvalid
	}
	if !t.Signed(k.Public) {
		return ErrInvalid
	}
	return nil
}
