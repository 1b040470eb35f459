package authn

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"

	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/session"
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
	bounded[[32]byte, *openedToken]
}

// openedToken is an opened token with the signing keys derived from its secret.
type openedToken struct {
	*session.Token
	keys signingKeys
}

func (t *tokenCache) open(r record.Reader, text, keyID string, ring *keyring.Ring) (*openedToken, error) {
	h := sha256.New()
	h.Write([]byte{byte(len(keyID))})
	h.Write([]byte(keyID))
	h.Write([]byte(text))
	id := [32]byte(h.Sum(nil))
	if tok, ok := t.get(id); ok {
		return tok, nil
	}
	opened, err := session.Open(text, keyID, func(generation int) ([]byte, error) {
		key, _, err := ring.Opening(r, record.DefaultClass, generation)
		return key, err
	})
	if err != nil {
		return nil, err
	}
	tok := &openedToken{Token: opened}
	t.put(id, tok)
	return tok, nil
}
