package authn

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"

	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/session"
	"github.com/holdfast-iam/holdfast/sigv4"
)

// cacheMax bounds each cache; at its bound it starts over.
const cacheMax = 1 << 16

// bounded is a map that many read without a lock.
type bounded[K comparable, V any] struct {
	m    atomic.Pointer[sync.Map]
	size atomic.Int64
}

func (b *bounded[K, V]) get(k K) (v V, ok bool) {
	m := b.m.Load()
	if m == nil {
		return v, false
	}
	x, ok := m.Load(k)
	if !ok {
		return v, false
	}
	return x.(V), true
}

func (b *bounded[K, V]) put(k K, v V) {
	m := b.m.Load()
	if m == nil || b.size.Load() >= cacheMax {
		m = new(sync.Map)
		b.m.Store(m)
		b.size.Store(0)
	}
	m.Store(k, v)
	b.size.Add(1)
}

// tokenCache keeps opened tokens by the hash of text and access key id. What
// it keeps is what was sealed inside; everything that can change (the signing
// key, the minter, the principal, denials, expiry) is asked at every request.
type tokenCache struct {
	bounded[[32]byte, *session.Token]
}

func (t *tokenCache) open(r record.Reader, text, keyID string, ring *keyring.Ring) (*session.Token, error) {
	h := sha256.New()
	h.Write([]byte{byte(len(keyID))})
	h.Write([]byte(keyID))
	h.Write([]byte(text))
	id := [32]byte(h.Sum(nil))
	if tok, ok := t.get(id); ok {
		return tok, nil
	}
	tok, err := session.Open(text, keyID, func(generation int) ([]byte, error) {
		key, _, err := ring.Opening(r, record.DefaultClass, generation)
		return key, err
	})
	if err != nil {
		return nil, err
	}
	t.put(id, tok)
	return tok, nil
}

// keyScope names one derived signing key. The secret's hash is part of it: an
// id says nothing about which secret derived the key.
type keyScope struct {
	id, date, region, service string
	secret                    [32]byte
}

// keyCache keeps derived signing keys.
type keyCache struct {
	bounded[keyScope, *sigv4.SigningKey]
}

func (k *keyCache) get(id string, secret []byte, s sigv4.Scope) *sigv4.SigningKey {
	at := keyScope{id, s.Date, s.Region, s.Service, sha256.Sum256(secret)}
	if key, ok := k.bounded.get(at); ok {
		return key
	}
	key := sigv4.DeriveKey(string(secret), s)
	k.put(at, &key)
	return &key
}
