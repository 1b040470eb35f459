//go:build faults

package record

import (
	"crypto/ed25519"
	"sync"
)

// In a build for fault tests what was verified once is remembered, byte for byte:
// in a simulated world twelve nodes verify each head, and spent most of their time
// on it. A release build holds none of it.
var verified struct {
	sync.Mutex
	known map[[ed25519.SignatureSize]byte]verification
}

// verification is what a signature was verified for.
type verification struct{ key, message string }

// maxVerified bounds what is remembered.
const maxVerified = 1 << 14

// verify says whether a message carries a signature of the key.
func verify(key ed25519.PublicKey, message, signature []byte) bool {
	if len(key) != ed25519.PublicKeySize || len(signature) != ed25519.SignatureSize {
		return false
	}
	id := [ed25519.SignatureSize]byte(signature)
	verified.Lock()
	old, ok := verified.known[id]
	verified.Unlock()
	if ok && old.key == string(key) && old.message == string(message) {
		return true
	}
	if !ed25519.Verify(key, message, signature) {
		return false
	}
	verified.Lock()
	defer verified.Unlock()
	if len(verified.known) >= maxVerified || verified.known == nil {
		verified.known = map[[ed25519.SignatureSize]byte]verification{}
	}
	verified.known[id] = verification{string(key), string(message)}
	return true
}
