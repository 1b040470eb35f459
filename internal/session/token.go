// Package session mints and opens session tokens: temporary credentials that
// every Region can verify without asking anyone.
//
// Invariant: a token is accepted only whole and unchanged, with the access key
// id that it was made for, under a signing key that its minter had published,
// within its own lifetime; what it says is readable only where its opening key
// was delivered.
package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// MaxToken bounds a token's text in bytes (L27: published from day one).
const MaxToken = 6 << 10

// MaxLife is the longest lifetime of any session.
const MaxLife = 36 * time.Hour

// The first two bytes: version of the layout, and what kind of token it is.
const (
	layout       = 1
	typeSession  = 1
	typeRegional = 2 // only the issuing Region accepts it
)

const (
	saltSize   = 16
	signDomain = "holdfast session token 1\n"
	keyDomain  = "holdfast session token key 1"
)

// ErrInvalid is all that is said of a token that is not ours, or not whole.
var ErrInvalid = errors.New("session: the token is not valid")

// ErrTooLarge says that policy and tags do not fit a token.
var ErrTooLarge = errors.New("session: policy and tags do not fit a session token")

// Claims are what a token says, sealed.
type Claims struct {
	Kind           uint8        `json:"k"`
	ID             string       `json:"i"` // of the session, 128 bits, hex
	Secret         string       `json:"s"`
	Account        string       `json:"a"`
	Principal      string       `json:"p"` // unique id
	Name           string       `json:"n,omitempty"`
	Issued         int64        `json:"t"` // Unix seconds
	Expires        int64        `json:"e"`
	SourceIdentity string       `json:"si,omitempty"`
	Tags           []record.Tag `json:"g,omitempty"`
	Transitive     []string     `json:"gt,omitempty"`
	MFA            int64        `json:"m,omitempty"`
	ParentKey      string       `json:"pk,omitempty"`
	ParentID       string       `json:"pi,omitempty"`
	Depth          int          `json:"d,omitempty"`
	Provider       string       `json:"pr,omitempty"`
	Policy         string       `json:"po,omitempty"`
	PolicyARNs     []string     `json:"pa,omitempty"`
	HasPolicy      bool         `json:"hp,omitempty"`
}

// Header is what a token says in clear.
type Header struct {
	Regional   bool
	Region     string // of the issuer
	KeyID      string // of the signing key
	Generation int    // of the opening key of the default class
	Rests      uint64 // log index of the records that it rests on
	salt       [saltSize]byte
	length     int // bytes of the header
}

// Mint makes a token. opening is the opening key of h.Generation.
func Mint(h Header, c *Claims, accessKeyID string, opening []byte, signing ed25519.PrivateKey) (string, error) {
	rand.Read(h.salt[:])
	b := h.append(nil)
	plain, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	g, err := tokenCipher(opening, h.salt[:])
	if err != nil {
		return "", err
	}
	b = g.Seal(b, make([]byte, g.NonceSize()), plain, bound(b, accessKeyID))
	b = append(b, ed25519.Sign(signing, append([]byte(signDomain), b...))...)
	if base64.RawURLEncoding.EncodedLen(len(b)) > MaxToken {
		return "", ErrTooLarge
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// Packed is the share of a token, in percent, that policy and tags take.
func Packed(c *Claims) int {
	n := len(c.Policy)
	for _, a := range c.PolicyARNs {
		n += len(a)
	}
	for _, t := range c.Tags {
		n += len(t.Key) + len(t.Value)
	}
	const room = MaxToken*3/4 - 700 // what the rest of a token takes at most
	return (100*n + room - 1) / room
}

// Token is a token that was opened and not yet verified.
type Token struct {
	Header
	Claims
	signed    []byte
	signature []byte
	// verified is the public key that the signature was verified with: a
	// cached token pays for that once.
	verified atomic.Pointer[string]
}

// Split decodes a token's text and its header in clear.
func Split(text string) (*Token, []byte, error) {
	if len(text) > MaxToken || strings.ContainsAny(text, "\r\n") { // which the decoder would skip
		return nil, nil, ErrInvalid
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, nil, ErrInvalid
	}
	t := new(Token)
	if !t.Header.parse(b) || len(b) < t.length+16+ed25519.SignatureSize {
		return nil, nil, ErrInvalid
	}
	cut := len(b) - ed25519.SignatureSize
	t.signed, t.signature = b[:cut], b[cut:]
	return t, b[t.length:cut], nil
}

// Open reads a token's claims with the opening key that its header names. The
// access key id is part of what is authenticated.
func Open(text, accessKeyID string, opening func(generation int) ([]byte, error)) (*Token, error) {
	t, sealed, err := Split(text)
	if err != nil {
		return nil, err
	}
	key, err := opening(t.Generation)
	if err != nil {
		return nil, ErrInvalid
	}
	g, err := tokenCipher(key, t.salt[:])
	if err != nil {
		return nil, ErrInvalid
	}
	plain, err := g.Open(nil, make([]byte, g.NonceSize()), sealed, bound(t.signed[:t.length], accessKeyID))
	if err != nil {
		return nil, ErrInvalid
	}
	if err := json.Unmarshal(plain, &t.Claims); err != nil {
		return nil, ErrInvalid
	}
	return t, nil
}

// Signed says whether the token carries a signature of the key.
func (t *Token) Signed(key ed25519.PublicKey) bool {
	if k := t.verified.Load(); k != nil && *k == string(key) {
		return true
	}
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, append([]byte(signDomain), t.signed...), t.signature) {
		return false
	}
	k := string(key)
	t.verified.Store(&k)
	return true
}

// tokenCipher derives the cipher of one token. Its key is used once, so a
// fixed nonce is right.
func tokenCipher(opening, salt []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, opening, salt, keyDomain, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func bound(header []byte, accessKeyID string) []byte {
	b := append([]byte{}, header...)
	return append(append(b, byte(len(accessKeyID))), accessKeyID...)
}

func (h *Header) append(b []byte) []byte {
	kind := byte(typeSession)
	if h.Regional {
		kind = typeRegional
	}
	b = append(b, layout, kind, byte(len(h.Region)))
	b = append(b, h.Region...)
	b = append(append(b, byte(len(h.KeyID))), h.KeyID...)
	b = binary.BigEndian.AppendUint16(b, uint16(h.Generation))
	b = binary.BigEndian.AppendUint64(b, h.Rests)
	return append(b, h.salt[:]...)
}

func (h *Header) parse(b []byte) bool {
	if len(b) < 3 || b[0] != layout || (b[1] != typeSession && b[1] != typeRegional) {
		return false
	}
	h.Regional = b[1] == typeRegional
	rest := b[2:]
	var ok bool
	if h.Region, rest, ok = cutText(rest); !ok {
		return false
	}
	if h.KeyID, rest, ok = cutText(rest); !ok || len(rest) < 2+8+saltSize {
		return false
	}
	h.Generation = int(binary.BigEndian.Uint16(rest))
	h.Rests = binary.BigEndian.Uint64(rest[2:])
	copy(h.salt[:], rest[10:])
	h.length = len(b) - len(rest) + 10 + saltSize
	return h.Generation > 0
}

func cutText(b []byte) (string, []byte, bool) {
	if len(b) < 1 || len(b) < 1+int(b[0]) {
		return "", nil, false
	}
	n := int(b[0])
	return string(b[1 : 1+n]), b[1+n:], true
}

// NewID makes a session's id.
func NewID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
