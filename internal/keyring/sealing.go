package keyring

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// sealingDomain separates the private half of a sealing key from all that is
// derived of an opening key besides.
const sealingDomain = "holdfast sealing key 1"

// SealingPrivate derives the private half of a class's sealing key from its
// opening key: whoever has the one has the other, and there is one secret to
// deliver, renew and lose.
func SealingPrivate(opening []byte) (*ecdh.PrivateKey, error) {
	seed, err := hkdf.Key(sha256.New, opening, nil, sealingDomain, 32)
	if err != nil {
		return nil, err
	}
	return ecdh.X25519().NewPrivateKey(seed)
}

// PublishSealing puts the sealing key of each opening key in use that has none.
// Only a deployment with an opt-in Region has any.
func (r *Ring) PublishSealing(tx record.Tx) error {
	list, err := newestOpeningKeys(tx)
	if err != nil {
		return err
	}
	for _, k := range list {
		if record.Has(tx, record.SealingKeys, record.None, k.Class+":"+record.Generation(k.Generation)) {
			continue
		}
		opening, _, err := r.Opening(tx, k.Class, k.Generation)
		if err != nil {
			return err
		}
		private, err := SealingPrivate(opening)
		if err != nil {
			return err
		}
		if err := record.Put(tx, record.SealingKeys, &record.SealingKey{Class: k.Class, Generation: k.Generation, Public: private.PublicKey().Bytes()}); err != nil {
			return err
		}
	}
	return nil
}

// SealingOf is a class's sealing key in use; nil for none.
func SealingOf(r record.Reader, class string) (*record.SealingKey, error) {
	return newest(r, record.SealingKeys, record.SealingKeyByClass, class)
}

// anyOptIn says whether the deployment has an opt-in Region.
func anyOptIn(r record.Reader) (found bool, err error) {
	err = record.Scan(r, record.Regions, record.RegionByName, "", "", func(_ string, g *record.Region) bool {
		found = g.OptIn
		return !found
	})
	return found, err
}
