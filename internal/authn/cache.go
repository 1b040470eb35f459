package authn

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/session"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// cacheMax and cacheBytes bound each cache; at its bound it starts over. Tokens are
// as large as their holders like, within session.MaxToken.
const (
	cacheMax   = 1 << 16
	cacheBytes = 128 << 20
)

// bounded is a map that many read without a lock.
type bounded[K comparable, V any] struct {
	m           atomic.Pointer[sync.Map]
	size, bytes atomic.Int64
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

// put keeps a value that takes about so many bytes.
func (b *bounded[K, V]) put(k K, v V, bytes int) {
	m := b.m.Load()
	if m == nil || b.size.Load() >= cacheMax || b.bytes.Load() >= cacheBytes {
		m = new(sync.Map)
		b.m.Store(m)
		b.size.Store(0)
		b.bytes.Store(0)
	}
	m.Store(k, v)
	b.size.Add(1)
	b.bytes.Add(int64(bytes))
}

// tokenCache keeps opened tokens by their text. What it keeps is what was
// sealed inside; everything that can change (the signing key, the minter, the
// principal, denials, expiry) is asked at every request.
type tokenCache struct {
	bounded[uint64, *openedToken]
	opened atomic.Uint64
}

// tokenSeed keys the cache's hash: nobody can choose tokens that fall together.
var tokenSeed = maphash.MakeSeed()

// openedToken is an opened token with what follows from it.
type openedToken struct {
	*session.Token
	text, keyID string // that it was opened with
	keys        signingKeys
	signing     record.Key // of its signing key's record
	last        atomic.Pointer[claimant]
}

// claimant is the caller that a token last came to, with the record of the
// signing key that names its minter.
type claimant struct {
	*Caller
	signing *record.Entry
}

// again returns the caller that the token came to last, if it rests on the
// very records that this view has.
func (t *openedToken) again(v *view.View) *Caller {
	last := t.last.Load()
	if last == nil {
		return nil
	}
	if e, _ := v.Entry(last.Principal.Key); e != last.Principal {
		return nil
	}
	if e, _ := v.Entry(t.signing); e != last.signing {
		return nil
	}
	if last.Index != v.Head.Index {
		c := *last.Caller
		c.Index = v.Head.Index
		last = &claimant{&c, last.signing}
		t.last.Store(last)
	}
	return last.Caller
}

func (t *tokenCache) open(r record.Reader, text, keyID string, ring *keyring.Ring) (*openedToken, error) {
	id := maphash.String(tokenSeed, text)
	if failpoint.On(failpoint.CacheByKeyID) {
		id = maphash.String(tokenSeed, keyID)
	}
	if tok, ok := t.get(id); ok && (tok.text == text || failpoint.On(failpoint.CacheByKeyID)) && tok.keyID == keyID {
		return tok, nil
	}
	t.opened.Add(1)
	opened, err := session.Open(text, keyID, func(class string, generation int) ([]byte, error) {
		key, _, err := ring.Opening(r, class, generation)
		return key, err
	})
	if err != nil {
		return nil, err
	}
	tok := &openedToken{Token: opened, text: strings.Clone(text), keyID: strings.Clone(keyID), // not the request's memory
		signing: record.MakeKey(record.SigningKeys.Name, record.None, opened.KeyID)}
	t.put(id, tok, openedSize+3*len(text))
	return tok, nil
}

// openedSize is about what an opened token takes in memory beside three times its
// text: itself, what was signed, and what that says.
const openedSize = 1 << 10
