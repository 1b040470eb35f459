package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strconv"
)

// KeySize is the size of every symmetric key in bytes.
const KeySize = 32

// errSealed is all that is said of a secret that does not open.
var errSealed = errors.New("keyring: a sealed secret does not open")

// newKey makes a symmetric key.
func newKey() []byte {
	k := make([]byte, KeySize)
	rand.Read(k)
	return k
}

// bind joins the parts that a ciphertext is bound to, each behind its length,
// so that no two lists of parts are the same bytes (lesson L8).
func bind(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}

// bindKey joins what one generation of an owner's key is bound to.
func bindKey(purpose, owner string, generation int) []byte {
	return bind(purpose, owner, strconv.Itoa(generation))
}

// seal encrypts with AES-256-GCM under a random nonce. Keys are per account
// and generation, far below the 2^32 messages that random nonces allow.
func seal(key, plaintext, bound []byte) ([]byte, error) {
	g, err := gcm(key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, g.NonceSize(), g.NonceSize()+len(plaintext)+g.Overhead())
	rand.Read(nonce)
	return g.Seal(nonce, nonce, plaintext, bound), nil
}

func open(key, sealed, bound []byte) ([]byte, error) {
	g, err := gcm(key)
	if err != nil || len(sealed) < g.NonceSize() {
		return nil, errSealed
	}
	plain, err := g.Open(nil, sealed[:g.NonceSize()], sealed[g.NonceSize():], bound)
	if err != nil {
		return nil, errSealed
	}
	return plain, nil
}

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
