package session

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"slices"
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

// Grow returns the set with new keys made, so that one of now and the next Ahead
// are there. changed says that it differs. Nothing is dropped here: now is the
// node's own clock, which may be wrong for a moment.
func (s KeySet) Grow(now time.Time) (set KeySet, changed bool) { return s.GrowFrom(now, rand.Reader) }

// GrowFrom is Grow with randomness from a reader that does not fail, for the
// simulator.
func (s KeySet) GrowFrom(now time.Time, random io.Reader) (set KeySet, changed bool) {
	ahead := Ahead
	if failpoint.On(failpoint.NoKeysAhead) {
		ahead = 0
	}
	set = s
	at, from := now, now.Add(-skew)
	for range 1 + ahead {
		i := set.at(at)
		if i < 0 {
			set, i = set.with(newPrivateKey(from, random), at)
			changed = true
		}
		at = set[i].NotAfter.Std()
		from = at
	}
	return set, changed
}

// at is the place of the key of a time, -1 where there is none.
func (s KeySet) at(t time.Time) int {
	return slices.IndexFunc(s, func(k PrivateKey) bool { return k.begun(t) && t.Before(k.NotAfter.Std()) })
}

func (k *PrivateKey) begun(t time.Time) bool { return !t.Before(k.NotBefore.Std()) }

// with puts a new key where it is in time. It ends where the next one begins,
// which a clock that was ahead has made.
func (s KeySet) with(k PrivateKey, at time.Time) (set KeySet, i int) {
	if i = slices.IndexFunc(s, func(next PrivateKey) bool { return !next.begun(at) }); i < 0 {
		i = len(s)
	} else {
		k.NotAfter = min(k.NotAfter, s[i].NotBefore)
	}
	return slices.Insert(slices.Clone(s), i, k), i
}

// Trim returns the set without the keys that have ended: those that are published
// by the floor, which no clock of this node's alone moves, and the others, which
// have signed nothing, by now. The last that is published stays: it serves the
// node's own Region for as long as no later one can be.
func (s KeySet) Trim(r record.Reader, floor, now time.Time) KeySet {
	var set KeySet
	last, later := -1, false
	for i, k := range s {
		switch published := record.Has(r, record.SigningKeys, record.None, k.ID); {
		case published && k.NotAfter.Std().After(floor):
			set, later = append(set, k), true
		case published:
			last = i
		case k.NotAfter.Std().After(now):
			set = append(set, k)
		}
	}
	if last >= 0 && !later {
		set = slices.Insert(set, 0, s[last])
	}
	return set
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
		if k := &s[i]; k.begun(now) && now.Before(k.NotAfter.Std()) {
			if p := publishedOf(r, k); p != nil {
				return k, !p.Known
			}
		}
	}
	// After its last key has ended the node goes on for its own Region.
	for i := len(s) - 1; i >= 0; i-- {
		if k := &s[i]; k.begun(now) && publishedOf(r, k) != nil {
			return k, true
		}
	}
	return nil, false
}

// publishedOf is the record of a key that may sign; nil: there is none.
func publishedOf(r record.Reader, k *PrivateKey) *record.SigningKey {
	p, err := record.Get(r, record.SigningKeys, record.None, k.ID)
	if err != nil || p.Revoked {
		return nil
	}
	return p
}

// Horizon is how long the set's published keys reach from now, one after the
// other.
func (s KeySet) Horizon(r record.Reader, now time.Time) time.Duration {
	at := now
	for i := range s {
		if k := &s[i]; k.begun(at) && k.NotAfter.Std().After(at) && publishedOf(r, k) != nil {
			at = k.NotAfter.Std()
		}
	}
	return at.Sub(now)
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
