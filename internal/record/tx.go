package record

import (
	"fmt"
	"sync/atomic"
)

// Entry is one record as a view holds it. Everything but Compiled is
// immutable.
type Entry struct {
	Key  Key
	Hash [32]byte // SHA-256 over key and stored bytes; see view
	// Packed is the compact form; it unpacks to the record. Empty when the
	// stored bytes do not survive the round trip: then Raw holds them.
	Packed string
	// Raw keeps the stored bytes of a value that this build cannot represent
	// (an unknown field, an old version), so that the digest stays right.
	Raw string
	// Bad says that the record failed to decode: whoever references it is
	// denied, and Get reports an error rather than absence.
	Bad bool
	// Compiled caches what the data plane derives from the record; nil until
	// first use. Its owner (authz) decides the type.
	Compiled atomic.Pointer[any]
}

// Reader is one consistent state. Every method answers from the same
// revision; none blocks.
type Reader interface {
	// Entry returns the record under key.
	Entry(key Key) (*Entry, bool)
	// Lookup returns the record that a hot index holds under term.
	Lookup(index, term string) (*Entry, bool)
	// Range calls yield for the entries of an ordered index whose term has
	// the prefix, in order of term, starting after the term `after` (empty:
	// from the first), until yield returns false.
	Range(index, prefix, after string, yield func(term string, e *Entry) bool)
}

// Tx is a Reader that also sees and collects its own writes. A call's writes
// take effect all together or not at all.
type Tx interface {
	Reader
	// Put stores an entry, which was made of the canonical bytes.
	Put(e *Entry, value []byte) error
	// Delete removes the record under key, if any.
	Delete(key Key)
}

// Open decodes the record of an entry.
func (k *Kind[R]) Open(e *Entry) (*R, error) {
	if e.Bad {
		return nil, fmt.Errorf("record: %s cannot be read by this build", e.Key)
	}
	if e.Raw != "" {
		return k.Decode([]byte(e.Raw))
	}
	v := new(R)
	if err := unpack(e.Packed, v); err != nil {
		return nil, fmt.Errorf("record: %s: %w", e.Key, err)
	}
	return v, nil
}

// Get returns the record of kind k under account and id, or ErrNotFound.
func Get[R any](r Reader, k *Kind[R], account, id string) (*R, error) {
	e, ok := r.Entry(MakeKey(k.Name, account, id))
	if !ok {
		return nil, ErrNotFound
	}
	return k.Open(e)
}

// Has says whether the record exists, readable or not.
func Has[R any](r Reader, k *Kind[R], account, id string) bool {
	_, ok := r.Entry(MakeKey(k.Name, account, id))
	return ok
}

// Put stores v, as it comes back from its compact form: nothing and an empty
// list are one there, so stored bytes and entry agree by construction.
func Put[R any](tx Tx, k *Kind[R], v *R) error {
	e := &Entry{Key: k.Key(v), Packed: pack(v)}
	value, err := k.stored(e.Packed)
	if err != nil {
		return fmt.Errorf("record: %s: %w", e.Key, err)
	}
	e.Hash = HashEntry(e.Key, value)
	return tx.Put(e, value)
}

// Delete removes v.
func Delete[R any](tx Tx, k *Kind[R], v *R) { tx.Delete(k.Key(v)) }

// Find returns the record that index ix holds under exactly term.
func Find[R any](r Reader, k *Kind[R], ix *Index[R], term string) (*R, error) {
	if ix.Hot {
		e, ok := r.Lookup(ix.Name, term)
		if !ok {
			return nil, ErrNotFound
		}
		return k.Open(e)
	}
	var found *Entry
	r.Range(ix.Name, term, "", func(t string, e *Entry) bool {
		if t == term {
			found = e
		}
		return false
	})
	if found == nil {
		return nil, ErrNotFound
	}
	return k.Open(found)
}

// Scan calls yield for the records that an ordered index holds under terms
// with the prefix, in order, from the first after the term `after`, until
// yield returns false. A record that cannot be read ends the scan with an
// error: a list that silently misses one would be a lie.
func Scan[R any](r Reader, k *Kind[R], ix *Index[R], prefix, after string, yield func(term string, v *R) bool) error {
	var failed error
	r.Range(ix.Name, prefix, after, func(term string, e *Entry) bool {
		v, err := k.Open(e)
		if err != nil {
			failed = err
			return false
		}
		return yield(term, v)
	})
	return failed
}
