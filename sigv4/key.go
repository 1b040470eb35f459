package sigv4

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
)

// SigningKey is the secret of one day, Region and service, derived from a
// secret access key. Its zero value verifies nothing.
type SigningKey [32]byte

// DeriveKey derives the signing key of a scope. The scope's values are the
// caller's to have checked. Without a secret the key is zero.
// IAM User Guide, "Create a signed AWS API request", step 3.
func DeriveKey[S ~string | ~[]byte](secret S, scope Scope) SigningKey {
	if len(secret) == 0 {
		return SigningKey{}
	}
	var room [128]byte
	k := sum(append(append(room[:0], "AWS4"...), secret...), scope.Date)
	clear(room[:])
	k = sum(k[:], scope.Region)
	k = sum(k[:], scope.Service)
	return SigningKey(sum(k[:], terminator))
}

func sum(key []byte, message string) [32]byte {
	var room [128]byte
	return hmac256(key, append(room[:0], message...))
}

// hmac256 is HMAC-SHA-256 without allocations for the short keys and messages
// of signing: crypto/hmac makes two digests for every key.
func hmac256(key, message []byte) (out [32]byte) {
	const block, room = sha256.BlockSize, 448
	if len(key) > block || len(message) > room {
		return longHMAC(bytes.Clone(key), bytes.Clone(message))
	}
	var inner [block + room]byte
	var outer [block + sha256.Size]byte
	copy(inner[:], key)
	copy(outer[:], key)
	for i := range block {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	n := copy(inner[block:], message)
	digest := sha256.Sum256(inner[:block+n])
	copy(outer[block:], digest[:])
	return sha256.Sum256(outer[:])
}

// longHMAC takes copies, so that what the short way works on stays on the
// stack.
func longHMAC(key, message []byte) [32]byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return [32]byte(h.Sum(nil))
}
