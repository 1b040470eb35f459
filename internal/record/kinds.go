package record

import (
	"crypto/sha256"
	"reflect"
)

// Term is one index term of an entry.
type Term struct {
	Index string
	Hot   bool
	Term  string
}

// Form is a kind with its Go type erased: what a view needs to hold records
// of any kind without knowing one.
type Form struct {
	Name    string
	Version int
	prepare func(key Key, value []byte) (packed string, ok bool)
	stored  func(e *Entry) ([]byte, error)
	terms   func(e *Entry) ([]Term, error)
	docs    func(e *Entry) []string
	kind    reflect.Type
	since   map[int]int
	indexes []string // names, hot ones with a star
}

// Forms lists every kind there is, in the order of docs/records.md.
var Forms = []*Form{
	form(Geneses), form(Operators), form(Nodes), form(Regions), form(RegionKeys), form(AccountKeys),
	form(Admissions), form(OpeningKeys), form(SigningKeys), form(Services), form(Denials), form(Accounts), form(Users),
	form(Groups), form(Roles), form(InstanceProfiles), form(Policies), form(KeyUses), form(Freshnesses),
	form(Successors), form(SealingKeys), form(STSPreferences), form(Addresses), form(KEKHolders),
}

var formByName = func() map[string]*Form {
	m := make(map[string]*Form, len(Forms))
	for _, f := range Forms {
		m[f.Name] = f
	}
	return m
}()

// HashEntry is the leaf hash of one record: SHA-256 over the length of the
// key, the key and the stored bytes.
func HashEntry(key Key, value []byte) [32]byte {
	h := sha256.New()
	n := len(key)
	h.Write([]byte{byte(n >> 8), byte(n)})
	h.Write([]byte(key))
	h.Write(value)
	return [32]byte(h.Sum(nil))
}

// NewEntry makes the entry of stored bytes. It never fails: what cannot be
// decoded is kept as it came, marked Bad.
func NewEntry(key Key, value []byte) *Entry {
	e := &Entry{Key: key, Hash: HashEntry(key, value)}
	f := formByName[key.Kind()]
	if f == nil {
		e.Raw, e.Bad = string(value), true
		return e
	}
	packed, exact := f.prepare(key, value)
	if exact {
		e.Packed = packed
		return e
	}
	e.Raw, e.Bad = string(value), packed == ""
	return e
}

// Stored returns the canonical bytes that the entry was made from.
func (e *Entry) Stored() ([]byte, error) {
	if e.Raw != "" {
		return []byte(e.Raw), nil
	}
	return formByName[e.Key.Kind()].stored(e)
}

// Terms returns the entry's index terms; none for a Bad entry.
func (e *Entry) Terms() ([]Term, error) {
	f := formByName[e.Key.Kind()]
	if e.Bad || f == nil {
		return nil, nil
	}
	return f.terms(e)
}

// Documents returns the policy documents inside the entry.
func (e *Entry) Documents() []string {
	f := formByName[e.Key.Kind()]
	if e.Bad || f == nil {
		return nil
	}
	return f.docs(e)
}

func form[R any](k *Kind[R]) *Form {
	k.shape() // what cannot be shaped stops the program at its start
	var indexes []string
	for _, ix := range k.Indexes {
		name := ix.Name
		if ix.Hot {
			name += "*"
		}
		indexes = append(indexes, name)
	}
	return &Form{Name: k.Name, Version: k.Version, kind: reflect.TypeFor[R](), since: k.Since, indexes: indexes,
		prepare: func(key Key, value []byte) (string, bool) { return prepare(k, key, value) },
		stored: func(e *Entry) ([]byte, error) {
			return k.stored(e.Packed)
		},
		terms: func(e *Entry) (terms []Term, err error) {
			if len(k.Indexes) == 0 {
				return nil, nil
			}
			err = k.peek(e, func(v *R) {
				for _, ix := range k.Indexes {
					for _, t := range ix.Terms(v) {
						terms = append(terms, Term{ix.Name, ix.Hot, t})
					}
				}
			})
			return terms, err
		},
		docs: func(e *Entry) []string {
			v, err := k.Open(e)
			if err != nil || k.Documents == nil {
				return nil
			}
			return k.Documents(v)
		},
	}
}

// peek shows the record of an entry for the length of a call: look must keep
// nothing but texts. It costs no allocation.
func (k *Kind[R]) peek(e *Entry, look func(*R)) error {
	if e.Raw != "" {
		v, err := k.Decode([]byte(e.Raw))
		if err == nil {
			look(v)
		}
		return err
	}
	v, ok := k.scratch.Get().(*R)
	if !ok {
		v = new(R)
	}
	err := unpack(e.Packed, v)
	if err == nil {
		look(v)
	}
	k.scratch.Put(v)
	return err
}

// prepare packs a stored value. The second result says that the packed form
// encodes back to exactly these bytes; a packed form of "" that the value does
// not decode, or decodes to a record of another key.
func prepare[R any](k *Kind[R], key Key, value []byte) (string, bool) {
	if packed, exact := k.readStored(value); exact {
		same := false
		_ = k.peek(&Entry{Packed: packed}, func(v *R) { same = k.Key(v) == key })
		if !same {
			packed = ""
		}
		return packed, same
	}
	v, err := k.Decode(value)
	if err != nil || k.Key(v) != key {
		return "", false
	}
	again, err := k.Encode(v)
	return pack(v), err == nil && string(again) == string(value)
}
