package session

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// A token of layout 2 is read by several classes of Regions: its minter's own,
// as one of layout 1 is, and others, for each of which the key of its body is
// wrapped to the public half of that class's sealing key. So a node can let
// Regions read a token whose other tokens it cannot open.

// MaxWraps bounds the other classes of one token.
const MaxWraps = 24

const (
	keySize     = 32
	wrapSize    = keySize + 16 // with GCM's tag
	publicSize  = 32
	bodyDomain2 = "holdfast session token key 2"
	wrapDomain  = "holdfast session token wrap 2\n"
)

// ErrWraps says that a token cannot be made for the classes asked for.
var ErrWraps = errors.New("session: a token cannot be made for these classes of Regions")

// Recipient is another class that is to read a token.
type Recipient struct {
	Class      string
	Generation int    // of the class's sealing key
	Public     []byte // X25519
}

// wrap is the body's key for one class.
type wrap struct {
	class      string
	generation int
	sealed     []byte
}

// wrapsSize is what the classes take of a token, in bytes.
func wrapsSize(to []Recipient) int {
	n := 0
	for _, r := range to {
		n += 1 + len(r.Class) + 2 + wrapSize
	}
	if n > 0 {
		n += 1 + publicSize
	}
	return n
}

// wrapped makes the header of layout 2 and the key of the body. The salt of a
// token goes into no more than one body key, and the ephemeral key is its own.
func (h *Header) wrapped(accessKeyID string, opening []byte, to []Recipient) (header, key []byte, err error) {
	to = slices.SortedFunc(slices.Values(to), func(a, b Recipient) int { return strings.Compare(a.Class, b.Class) })
	if len(to) == 0 || len(to) > MaxWraps || h.Class == record.DefaultClass || h.Class == "" && h.Generation == 0 {
		return nil, nil, ErrWraps
	}
	if h.Generation > 0 {
		if key, err = bodyKey(opening, h.salt[:], bodyDomain2); err != nil {
			return nil, nil, err
		}
	} else {
		key = make([]byte, keySize)
		rand.Read(key)
	}
	ephemeral, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	h.ephemeral = ephemeral.PublicKey().Bytes()
	h.wraps = make([]wrap, len(to)) // says which layout it is
	fixed := append(append(h.append(nil), byte(len(to))), h.ephemeral...)
	for i, r := range to {
		w := wrap{class: r.Class, generation: r.Generation}
		if w.sealed, err = w.seal(ephemeral, r.Public, key, bound(fixed, accessKeyID)); err != nil {
			return nil, nil, err
		}
		h.wraps[i] = w
	}
	return h.appendWraps(fixed), key, nil
}

func (h *Header) appendWraps(b []byte) []byte {
	for _, w := range h.wraps {
		b = binary.BigEndian.AppendUint16(appendText(b, w.class), uint16(w.generation))
		b = append(b, w.sealed...)
	}
	return b
}

// seal wraps a body's key to a class's public key.
func (w *wrap) seal(ephemeral *ecdh.PrivateKey, public, key, bound []byte) ([]byte, error) {
	to, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return nil, ErrWraps
	}
	shared, err := ephemeral.ECDH(to)
	if err != nil {
		return nil, ErrWraps
	}
	wrapping, err := w.key(shared, ephemeral.PublicKey().Bytes(), public)
	if err != nil {
		return nil, err
	}
	g, err := newCipher(wrapping)
	if err != nil {
		return nil, err
	}
	return g.Seal(nil, make([]byte, g.NonceSize()), key, bound), nil
}

// key derives the key that wraps: of one token, for one generation of one class.
// Both public keys go in, as in RFC 9180 section 4.1.
func (w *wrap) key(shared, ephemeral, public []byte) ([]byte, error) {
	info := string(binary.BigEndian.AppendUint16([]byte(wrapDomain+w.class+"\n"), uint16(w.generation)))
	return hkdf.Key(sha256.New, shared, slices.Concat(ephemeral, public), info, keySize)
}

// unwrap finds the key of the body: by the minter's class where this node has
// its opening key, else by the first class of the wraps that it has.
func (h *Header) unwrap(accessKeyID string, token []byte, opening Opening) ([]byte, error) {
	if h.Generation > 0 {
		if key, err := opening(h.class(), h.Generation); err == nil {
			return bodyKey(key, h.salt[:], bodyDomain2)
		}
	}
	fixed := bound(token[:h.fixed()], accessKeyID)
	for i := range h.wraps {
		w := &h.wraps[i]
		if key, err := opening(w.class, w.generation); err == nil {
			return w.open(key, h.ephemeral, fixed)
		}
	}
	return nil, ErrInvalid
}

func (w *wrap) open(opening, ephemeral, bound []byte) ([]byte, error) {
	private, err := keyring.SealingPrivate(opening)
	if err != nil {
		return nil, err
	}
	from, err := ecdh.X25519().NewPublicKey(ephemeral)
	if err != nil {
		return nil, err
	}
	shared, err := private.ECDH(from)
	if err != nil {
		return nil, err
	}
	wrapping, err := w.key(shared, ephemeral, private.PublicKey().Bytes())
	if err != nil {
		return nil, err
	}
	g, err := newCipher(wrapping)
	if err != nil {
		return nil, err
	}
	return g.Open(nil, make([]byte, g.NonceSize()), w.sealed, bound)
}

// class is the minter's class by its name.
func (h *Header) class() string {
	if h.Class == "" {
		return record.DefaultClass
	}
	return h.Class
}

// fixed is how many bytes of the header come before its wraps.
func (h *Header) fixed() int {
	n := h.length
	for _, w := range h.wraps {
		n -= 1 + len(w.class) + 2 + wrapSize
	}
	return n
}

// parseWraps reads what follows the salt: count, ephemeral key, wraps. Their
// classes are in order, each once, and none the minter's own where that reads
// the token by itself: a token has one spelling.
func (h *Header) parseWraps(b []byte) (rest []byte, ok bool) {
	if len(b) < 1+publicSize || b[0] == 0 || b[0] > MaxWraps {
		return nil, false
	}
	n := int(b[0])
	h.ephemeral, rest = b[1:1+publicSize], b[1+publicSize:]
	last := ""
	for range n {
		w := wrap{}
		if w.class, rest, ok = cutText(rest); !ok || len(rest) < 2+wrapSize {
			return nil, false
		}
		w.generation = int(binary.BigEndian.Uint16(rest))
		w.sealed, rest = rest[2:2+wrapSize], rest[2+wrapSize:]
		if w.class <= last || w.generation == 0 || h.Generation > 0 && w.class == h.class() {
			return nil, false
		}
		last = w.class
		h.wraps = append(h.wraps, w)
	}
	return rest, h.Class != record.DefaultClass && (h.Class != "" || h.Generation > 0)
}
