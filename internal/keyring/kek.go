package keyring

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// The KEK is renewed while everything goes on. A key more is put behind those in
// the file, on every control-plane node; each says in its record which it holds.
// Once all hold the newest, the sequencing node seals under it what is sealed
// under earlier ones. Where a ciphertext stands in this does not matter, since
// every key of the file is tried, so it may break off anywhere. Afterwards the
// earlier keys leave the file; they open backups of before.

// MaxKEKs is how many keys a KEK's file may hold.
const MaxKEKs = 8

// KEKs are the keys in a KEK's file, oldest first.
func KEKs(file []byte) iter.Seq[[]byte] { return slices.Chunk(file, KeySize) }

// tag names a KEK and says nothing about it.
func tag(kek []byte) string {
	h := hmac.New(sha256.New, kek)
	h.Write([]byte("holdfast: tag of a KEK"))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Tags names the keys in a KEK's file, oldest first.
func Tags(file []byte) (tags []string) {
	for k := range KEKs(file) {
		tags = append(tags, tag(k))
	}
	return tags
}

// openKEK opens what is sealed under any of the KEKs.
func (r *Ring) openKEK(sealed, bound []byte) ([]byte, error) {
	key, _, err := r.keyAndKEK(sealed, bound)
	return key, err
}

// keyAndKEK is openKEK, and says under which one it was.
func (r *Ring) keyAndKEK(sealed, bound []byte) (key, kek []byte, err error) {
	err = errNoKey
	for k := range KEKs(r.KEK) {
		if key, err = open(k, sealed, bound); err == nil {
			return key, k, nil
		}
	}
	return nil, nil, err
}

// newestKEK is the last in the file.
func (r *Ring) newestKEK() []byte { return r.KEK[len(r.KEK)-KeySize:] }

// sealKEK seals a new key under the KEK in use: the one that the state's first
// wrapping key is sealed under, since another node may not hold a newer one yet.
func (r *Ring) sealKEK(s record.Reader, key, bound []byte) ([]byte, error) {
	if len(r.KEK) == 0 {
		return nil, errControl
	}
	used := r.newestKEK()
	var failed error
	err := record.Scan(s, record.RegionKeys, record.RegionKeyByRegion, "", "", func(_ string, k *record.RegionKey) bool {
		_, used, failed = r.keyAndKEK(k.KEK, bindKey(forRegion, k.Region, k.Generation))
		return false
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	return seal(used, key, bound)
}

// underKEK is a kind of record that holds a key sealed under a KEK.
type underKEK[R any] struct {
	kind  *record.Kind[R]
	index *record.Index[R] // lists them all
	of    func(*R) sealedKey
}

// sealedKey is the key in such a record.
type sealedKey struct {
	what     string
	wrapping bool // it is a Region's
	sealed   *[]byte
	bound    []byte
}

// each yields every key of the kind.
func (u *underKEK[R]) each(s record.Reader, yield func(k sealedKey, reseal func(*Ring, record.Tx) error) (more bool)) (more bool, err error) {
	more = true
	err = record.Scan(s, u.kind, u.index, "", "", func(_ string, v *R) bool {
		account, id := u.kind.ID(v)
		more = yield(u.of(v), func(r *Ring, tx record.Tx) error { return u.reseal(r, tx, account, id) })
		return more
	})
	return more, err
}

// reseal seals the key of one record under the newest KEK.
func (u *underKEK[R]) reseal(r *Ring, tx record.Tx, account, id string) error {
	v, err := record.Get(tx, u.kind, account, id)
	if errors.Is(err, record.ErrNotFound) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return err
	}
	k := u.of(v)
	key, err := r.openKEK(*k.sealed, k.bound)
	if err != nil {
		return err
	}
	if *k.sealed, err = seal(r.newestKEK(), key, k.bound); err != nil {
		return err
	}
	return record.Put(tx, u.kind, v)
}

var (
	regionsUnderKEK = &underKEK[record.RegionKey]{record.RegionKeys, record.RegionKeyByRegion, func(k *record.RegionKey) sealedKey {
		return sealedKey{"the wrapping key of Region " + k.Region, true, &k.KEK, bindKey(forRegion, k.Region, k.Generation)}
	}}
	openingUnderKEK = &underKEK[record.OpeningKey]{record.OpeningKeys, record.OpeningKeyByClass, func(k *record.OpeningKey) sealedKey {
		return sealedKey{"the opening key of session tokens " + k.Class, false, &k.KEK, bindKey(forOpening, k.Class, k.Generation)}
	}}
	accountsUnderKEK = &underKEK[record.AccountKey]{record.AccountKeys, record.AccountKeyByAccount, func(k *record.AccountKey) sealedKey {
		return sealedKey{"the key of account " + k.Account, false, &k.KEK, bindKey(forAccount, k.Account, k.Generation)}
	}}
)

// eachUnderKEK yields all that a state has sealed under a KEK: Regions' keys
// first, since what is made anew follows them.
func eachUnderKEK(s record.Reader, yield func(k sealedKey, reseal func(*Ring, record.Tx) error) (more bool)) error {
	more, err := regionsUnderKEK.each(s, yield)
	if more && err == nil {
		more, err = openingUnderKEK.each(s, yield)
	}
	if more && err == nil {
		_, err = accountsUnderKEK.each(s, yield)
	}
	return err
}

// CheckKEK says whether the KEK's file opens all that a state has sealed under
// one: with another file every write would fail that needs a secret.
func (r *Ring) CheckKEK(s record.Reader) error {
	if failpoint.On(failpoint.KEKUnchecked) {
		return nil
	}
	opened, closed := 0, ""
	err := eachUnderKEK(s, func(k sealedKey, _ func(*Ring, record.Tx) error) bool {
		if _, err := r.openKEK(*k.sealed, k.bound); err == nil {
			opened++
		} else if closed == "" {
			closed = k.what
		}
		return opened == 0 || closed == "" // one of each says enough
	})
	switch {
	case err != nil || closed == "":
		return err
	case opened == 0:
		return fmt.Errorf("keyring: the KEK does not open %s: it is another deployment's", closed)
	}
	return fmt.Errorf("keyring: the KEK's file does not open %s, which is sealed under an earlier or a later KEK: put back the file that has both", closed)
}

// Lacking lists the control-plane nodes in force that have not said that they
// hold the newest KEK of this ring.
func (r *Ring) Lacking(s record.Reader) (nodes []string, err error) {
	newest := tag(r.newestKEK())
	err = record.Scan(s, record.Nodes, record.NodeByID, "", "", func(_ string, n *record.Node) bool {
		if n.Role != record.ControlNode || n.Fenced {
			return true
		}
		if h, err := record.Get(s, record.KEKHolders, record.None, n.ID); err != nil || !slices.Contains(h.KEKs, newest) {
			nodes = append(nodes, n.ID)
		}
		return true
	})
	return nodes, err
}

// Earlier lists what is not sealed under the newest KEK of this ring: Regions'
// wrapping keys, whose records are large, and the rest. Each seals its own anew.
func (r *Ring) Earlier(s record.Reader) (wrapping, rest []func(*Ring, record.Tx) error, err error) {
	err = eachUnderKEK(s, func(k sealedKey, reseal func(*Ring, record.Tx) error) bool {
		_, err := open(r.newestKEK(), *k.sealed, k.bound)
		switch {
		case err == nil:
		case k.wrapping:
			wrapping = append(wrapping, reseal)
		default:
			rest = append(rest, reseal)
		}
		return err != nil || !failpoint.On(failpoint.ResealsOnce)
	})
	return wrapping, rest, err
}
