// Package record is the vocabulary: every kind of record that the control
// plane keeps and the Regions follow, its fields, key, version and indexes.
//
// Invariant: the stored form of a record is canonical JSON, {"v":N,"r":{…}}
// with fields in declaration order, so that equal records are equal bytes and
// every digest over them agrees on every node. A kind's name, a version number
// and a field name are never reused or given another meaning.
package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
)

// ErrNotFound says that no record has the key or index term asked for.
var ErrNotFound = errors.New("record: not found")

// Key names one record: kind/account/id. Kinds that belong to no account use
// the account "-".
type Key string

// MakeKey joins the parts of a key. None of them may hold a slash.
func MakeKey(kind, account, id string) Key { return Key(kind + "/" + account + "/" + id) }

// Kind returns the name of the record's kind.
func (k Key) Kind() string {
	name, _, _ := strings.Cut(string(k), "/")
	return name
}

// Account returns the account that the record belongs to, or "-".
func (k Key) Account() string {
	_, rest, _ := strings.Cut(string(k), "/")
	account, _, _ := strings.Cut(rest, "/")
	return account
}

// ID returns the record's id within kind and account.
func (k Key) ID() string {
	return string(k)[strings.LastIndexByte(string(k), '/')+1:]
}

// None is the account part of the key of a record that belongs to no account.
const None = "-"

// Kind says what a kind of record is. All its functions are pure.
type Kind[R any] struct {
	Name    string // in keys; never reused
	Version int    // of the stored form that this build writes
	ID      func(*R) (account, id string)
	// Upgrade turns the stored form of version n into that of n+1.
	Upgrade map[int]func(json.RawMessage) (json.RawMessage, error)
	// Since is the format whose nodes read a stored version, by version; one that
	// is not listed every node reads. It is for what restricts: see FormatOf.
	Since map[int]int
	// Documents lists the policy documents inside, for compiling ahead of use.
	Documents func(*R) []string
	Indexes   []*Index[R]

	shaped  atomic.Pointer[shape]
	scratch sync.Pool
}

// shape returns the shape of the kind's type.
func (k *Kind[R]) shape() *shape {
	if s := k.shaped.Load(); s != nil {
		return s
	}
	s := shapeOf(reflect.TypeFor[R]())
	k.shaped.Store(s)
	return s
}

// Index is a lookup that a kind declares and every view derives on apply. It
// is no part of the state digest.
type Index[R any] struct {
	Name string
	// Hot indexes are hash tries for a single exact lookup on the request
	// path; the others are ordered and can be scanned.
	Hot bool
	// Terms lists what the record is found under, each at most once. An
	// ordered index's term starts with the account and Sep.
	Terms func(*R) []string
}

// Sep ends the leading parts of an ordered index's term; no name holds it.
const Sep = "\x00"

// Key returns the key of v.
func (k *Kind[R]) Key(v *R) Key {
	account, id := k.ID(v)
	return MakeKey(k.Name, account, id)
}

type stored struct {
	Version int             `json:"v"`
	Record  json.RawMessage `json:"r"`
}

// Encode returns the canonical stored form of v.
func (k *Kind[R]) Encode(v *R) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"v":%d,"r":`, k.Version)
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("record: encode %s: %w", k.Name, err)
	}
	b.Truncate(b.Len() - 1) // the encoder's newline
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Decode reads a stored form, upgrading an older version step by step. A
// version above this build's is an error: whoever references the record is
// denied.
func (k *Kind[R]) Decode(value []byte) (*R, error) {
	var s stored
	if err := json.Unmarshal(value, &s); err != nil {
		return nil, fmt.Errorf("record: decode %s: %w", k.Name, err)
	}
	if s.Version < 1 || s.Version > k.Version {
		return nil, fmt.Errorf("record: %s has version %d, this build reads 1 to %d", k.Name, s.Version, k.Version)
	}
	for n := s.Version; n < k.Version; n++ {
		up := k.Upgrade[n]
		if up == nil {
			return nil, fmt.Errorf("record: %s has no upgrade from version %d", k.Name, n)
		}
		r, err := up(s.Record)
		if err != nil {
			return nil, fmt.Errorf("record: upgrade %s from version %d: %w", k.Name, n, err)
		}
		s.Record = r
	}
	v := new(R)
	if err := json.Unmarshal(s.Record, v); err != nil {
		return nil, fmt.Errorf("record: decode %s: %w", k.Name, err)
	}
	return v, nil
}

// Fold lowers ASCII letters, and only those: IAM names are unique without
// regard to case, and Unicode folding would let two names meet (lesson L6).
func Fold(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return foldSlow(s)
		}
	}
	return s
}

func foldSlow(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
