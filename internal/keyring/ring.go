// Package keyring keeps and opens secrets: account keys, Region wrapping keys,
// opening keys of session tokens, and what is sealed under them.
//
// Invariant: it is the only room that opens a sealed secret, and every
// ciphertext is bound to what it is for, whose it is and its generation, so
// that none can be moved to another place.
package keyring

import (
	"crypto/hpke"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// Ring opens secrets on one node: a control-plane node by the KEK, a Region
// node by its HPKE key and its Region's wrapping key.
type Ring struct {
	KEK    []byte                           // control plane: what its file holds, see KEKs; nil in a Region
	Node   string                           // Region node's id
	Region string                           // Region node's
	HPKE   hpke.PrivateKey                  // Region node's
	given  atomic.Pointer[map[string]given] // generations of the Region's wrapping key, beside what its record has, by what the KEK has sealed
	cache  cache
}

// NewRegionRing makes the ring of a Region node.
func NewRegionRing(keys *NodeKeys, region string) (*Ring, error) {
	p, err := kem().NewPrivateKey(keys.HPKE)
	if err != nil {
		return nil, fmt.Errorf("keyring: HPKE key of the node: %w", err)
	}
	return &Ring{Node: keys.ID, Region: region, HPKE: p}, nil
}

// Purposes that ciphertexts are bound to.
const (
	forAccount = "account key"
	forRegion  = "region key"
	forOpening = "opening key"
	forSecret  = "access key"
	forAnswer  = "answer"
	forMessage = "authorization message"
	forMarker  = "marker"
)

var errNoKey = errors.New("keyring: this node has no key for that")

// newest is the generation in use of what an owner has: its index lists them in
// order. Nil for none.
func newest[R any](s record.Reader, kind *record.Kind[R], ix *record.Index[R], owner string) (last *R, err error) {
	err = record.Scan(s, kind, ix, owner+record.Sep, "", func(_ string, k *R) bool {
		last = k
		return true
	})
	return last, err
}

// generations are those of a Region's wrapping key, oldest first.
func generations(s record.Reader, region string) (list []*record.RegionKey, err error) {
	err = record.Scan(s, record.RegionKeys, record.RegionKeyByRegion, region+record.Sep, "", func(_ string, k *record.RegionKey) bool {
		list = append(list, k)
		return true
	})
	return list, err
}

// newestRegionKey is a Region's wrapping key in use; nil for none.
func newestRegionKey(s record.Reader, region string) (*record.RegionKey, error) {
	return newest(s, record.RegionKeys, record.RegionKeyByRegion, region)
}

// regionKey opens one generation of a Region's wrapping key.
func (r *Ring) regionKey(s record.Reader, region string, generation int) ([]byte, error) {
	k, err := record.Get(s, record.RegionKeys, record.None, region+":"+record.Generation(generation))
	if err != nil {
		return nil, errNoKey
	}
	key, err := r.cached(k.KEK, func() ([]byte, error) {
		if r.KEK != nil {
			return r.openKEK(k.KEK, bindKey(forRegion, region, generation))
		}
		for _, w := range k.Nodes {
			if w.Holder == r.Node {
				return r.unseal(k, w.Sealed)
			}
		}
		return nil, errNoKey
	})
	if all := r.given.Load(); err != nil && all != nil {
		if g, is := (*all)[string(k.KEK)]; is {
			return g.key, nil // not cached: what its own record has goes before it
		}
	}
	return key, err
}

// unseal opens what a generation of the Region's wrapping key is sealed in to this
// node. It does not say who has sealed it.
func (r *Ring) unseal(k *record.RegionKey, sealed []byte) ([]byte, error) {
	bound := append(bindKey(forRegion, k.Region, k.Generation), r.Node...)
	return hpke.Open(r.HPKE, hpke.HKDFSHA256(), hpke.AES256GCM(), bound, sealed)
}

// unwrap opens a key that is sealed under the KEK and for each Region.
func (r *Ring) unwrap(s record.Reader, kek []byte, regions []record.Wrap, bound []byte) ([]byte, error) {
	return r.cached(kek, func() ([]byte, error) {
		if r.KEK != nil {
			return r.openKEK(kek, bound)
		}
		for _, w := range regions {
			if w.Holder != r.Region || len(w.Sealed) == 0 {
				continue
			}
			wrapping, err := r.regionKey(s, r.Region, w.Generation)
			if err != nil {
				return nil, err
			}
			return open(wrapping, w.Sealed, bound)
		}
		return nil, errNoKey
	})
}

// accountKey opens one generation of an account's key; 0 is the newest.
func (r *Ring) accountKey(s record.Reader, account string, generation int) ([]byte, int, error) {
	var k *record.AccountKey
	var err error
	if generation > 0 {
		k, err = record.Get(s, record.AccountKeys, account, record.Generation(generation))
	} else {
		k, err = newest(s, record.AccountKeys, record.AccountKeyByAccount, account)
	}
	if err != nil || k == nil {
		return nil, 0, errNoKey
	}
	key, err := r.unwrap(s, k.KEK, k.Regions, bindKey(forAccount, account, k.Generation))
	return key, k.Generation, err
}

// Opening opens one generation of a class of opening keys; 0 is the newest.
func (r *Ring) Opening(s record.Reader, class string, generation int) ([]byte, int, error) {
	var k *record.OpeningKey
	var err error
	if generation > 0 {
		k, err = record.Get(s, record.OpeningKeys, record.None, class+":"+record.Generation(generation))
	} else {
		k, err = newest(s, record.OpeningKeys, record.OpeningKeyByClass, class)
	}
	if err != nil || k == nil {
		return nil, 0, errNoKey
	}
	key, err := r.unwrap(s, k.KEK, k.Regions, bindKey(forOpening, class, k.Generation))
	return key, k.Generation, err
}

// Secret opens the secret of an access key of an account. It is cached: on the
// request path it costs a lookup.
func (r *Ring) Secret(s record.Reader, account string, k *record.AccessKey) ([]byte, error) {
	return r.cached(k.Sealed, func() ([]byte, error) {
		key, _, err := r.accountKey(s, account, k.Generation)
		if err != nil {
			return nil, err
		}
		return open(key, k.Sealed, bind(forSecret, account, k.ID, strconv.Itoa(k.Generation)))
	})
}

// Seal encrypts under the newest key of an account, bound to purpose and id.
// The result starts with the generation.
func (r *Ring) Seal(s record.Reader, account, purpose, id string, plaintext []byte) ([]byte, error) {
	key, generation, err := r.accountKey(s, account, 0)
	if err != nil {
		return nil, err
	}
	sealed, err := seal(key, plaintext, bind(purpose, account, id, strconv.Itoa(generation)))
	if err != nil {
		return nil, err
	}
	return append([]byte{byte(generation >> 8), byte(generation)}, sealed...), nil
}

// Open is the reverse of Seal.
func (r *Ring) Open(s record.Reader, account, purpose, id string, sealed []byte) ([]byte, error) {
	if len(sealed) < 2 {
		return nil, errSealed
	}
	generation := int(sealed[0])<<8 | int(sealed[1])
	if generation == 0 {
		return nil, errSealed
	}
	key, _, err := r.accountKey(s, account, generation)
	if err != nil {
		return nil, err
	}
	return open(key, sealed[2:], bind(purpose, account, id, strconv.Itoa(generation)))
}

// SealAnswer seals the answer of a write for its repetition.
func (r *Ring) SealAnswer(s record.Reader, account, callID string, plaintext []byte) ([]byte, error) {
	return r.Seal(s, account, forAnswer, callID, plaintext)
}

// OpenAnswer opens what SealAnswer sealed.
func (r *Ring) OpenAnswer(s record.Reader, account, callID string, sealed []byte) ([]byte, error) {
	return r.Open(s, account, forAnswer, callID, sealed)
}

// SealMessage seals an encoded authorization message for its account.
func (r *Ring) SealMessage(s record.Reader, account string, plaintext []byte) ([]byte, error) {
	return r.Seal(s, account, forMessage, "", plaintext)
}

// OpenMessage opens what SealMessage sealed.
func (r *Ring) OpenMessage(s record.Reader, account string, sealed []byte) ([]byte, error) {
	return r.Open(s, account, forMessage, "", sealed)
}

// SealMarker seals where a list's next page starts, for what it is bound to.
func (r *Ring) SealMarker(s record.Reader, account, bound string, text []byte) ([]byte, error) {
	return r.Seal(s, account, forMarker, bound, text)
}

// OpenMarker opens what SealMarker sealed for the same.
func (r *Ring) OpenMarker(s record.Reader, account, bound string, sealed []byte) ([]byte, error) {
	return r.Open(s, account, forMarker, bound, sealed)
}

// SealRegion encrypts under this Region's newest wrapping key: good at every
// node of the Region and nowhere else.
func (r *Ring) SealRegion(s record.Reader, region, purpose, id string, plaintext []byte) ([]byte, error) {
	k, err := newestRegionKey(s, region)
	if err != nil || k == nil {
		return nil, errNoKey
	}
	key, err := r.regionKey(s, region, k.Generation)
	if err != nil {
		return nil, err
	}
	sealed, err := seal(key, plaintext, bind("region "+purpose, region, id, strconv.Itoa(k.Generation)))
	if err != nil {
		return nil, err
	}
	return append([]byte{byte(k.Generation >> 8), byte(k.Generation)}, sealed...), nil
}

// OpenRegion is the reverse of SealRegion.
func (r *Ring) OpenRegion(s record.Reader, region, purpose, id string, sealed []byte) ([]byte, error) {
	if len(sealed) < 2 {
		return nil, errSealed
	}
	generation := int(sealed[0])<<8 | int(sealed[1])
	key, err := r.regionKey(s, region, generation)
	if err != nil {
		return nil, err
	}
	return open(key, sealed[2:], bind("region "+purpose, region, id, strconv.Itoa(generation)))
}

// cache keeps opened secrets by the hash of their ciphertext, which binds
// everything else. Readers take no lock; at its bound it starts over.
type cache struct {
	mu   sync.Mutex
	m    atomic.Pointer[sync.Map]
	size int
}

const cacheMax = 1 << 17

func (r *Ring) cached(sealed []byte, open func() ([]byte, error)) ([]byte, error) {
	m := r.cache.m.Load()
	id := sha256.Sum256(sealed)
	if m != nil {
		if v, ok := m.Load(id); ok {
			return v.([]byte), nil
		}
	}
	plain, err := open()
	if err != nil {
		return nil, err
	}
	r.cache.mu.Lock()
	defer r.cache.mu.Unlock()
	m = r.cache.m.Load()
	if m == nil || r.cache.size >= cacheMax {
		m = new(sync.Map)
		r.cache.m.Store(m)
		r.cache.size = 0
	}
	m.Store(id, plain)
	r.cache.size++
	return plain, nil
}
