package keyring

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
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
