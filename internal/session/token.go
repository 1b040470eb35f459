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

// The first two bytes: version of the layout, and what kind of token it is. The
// first layout is read by the Regions enabled by default and by no other; the
// second, of wrap.go, also by other classes of Regions than the minter's.
const (
	layout       = 1
	layoutWraps  = 2
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
	Class      string // of the issuer's opening keys; "": the default one
	Generation int    // of its opening key; 0: the issuer's own class cannot read it
	Rests      uint64 // log index of the records that it rests on
	salt       [saltSize]byte
	ephemeral  []byte // X25519, layout 2
	wraps      []wrap // of the body's key for other classes, layout 2
	length     int    // bytes of the header
}

// Mint makes a token that the issuer's own class reads, with the opening key of
// h.Generation, and every class of to.
func Mint(h Header, c *Claims, accessKeyID string, opening []byte, signing ed25519.PrivateKey, to ...Recipient) (string, error) {
	rand.Read(h.salt[:])
	b, key, err := h.begin(accessKeyID, opening, to)
	if err != nil {
		return "", err
	}
	plain, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	g, err := newCipher(key)
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

// begin makes a token's header and the key of its body.
func (h *Header) begin(accessKeyID string, opening []byte, to []Recipient) (header, key []byte, err error) {
	if h.Class != "" || len(to) > 0 {
		return h.wrapped(accessKeyID, opening, to)
	}
	key, err = bodyKey(opening, h.salt[:], keyDomain)
	return h.append(nil), key, err
}

// Packed is the share of what other classes of Regions leave of a token, in
// percent, that policy and tags take.
func Packed(c *Claims, to ...Recipient) int {
	n := len(c.Policy)
	for _, a := range c.PolicyARNs {
		n += len(a)
	}
	for _, t := range c.Tags {
		n += len(t.Key) + len(t.Value)
	}
	room := MaxToken*3/4 - 700 - wrapsSize(to) // what the rest of a token takes at most
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

// Narrow says that only the default class of Regions reads the token, and one of
// them made it: nobody else has a key to seal it with.
func (t *Token) Narrow() bool { return t.layout() == layout }

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

// Opening finds the opening key of a generation of a class; it is an error that
// this node was not given it.
type Opening func(class string, generation int) ([]byte, error)

// Open reads a token's claims with the first opening key of those that its header
// names that is to be had. The access key id is part of what is authenticated.
func Open(text, accessKeyID string, opening Opening) (*Token, error) {
	t, sealed, err := Split(text)
	if err != nil {
		return nil, err
	}
	key, err := t.bodyKey(accessKeyID, t.signed, opening)
	if err != nil {
		return nil, ErrInvalid
	}
	g, err := newCipher(key)
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

// bodyKey finds the key of a token's body by its header.
func (h *Header) bodyKey(accessKeyID string, token []byte, opening Opening) ([]byte, error) {
	if h.layout() == layoutWraps {
		return h.unwrap(accessKeyID, token, opening)
	}
	key, err := opening(record.DefaultClass, h.Generation)
	if err != nil {
		return nil, err
	}
	return bodyKey(key, h.salt[:], keyDomain)
}

// bodyKey derives the key of one token's body from an opening key.
func bodyKey(opening, salt []byte, domain string) ([]byte, error) {
	return hkdf.Key(sha256.New, opening, salt, domain, 32)
}

// newCipher makes the cipher of a key that seals one thing: a fixed nonce is
// right.
func newCipher(key []byte) (cipher.AEAD, error) {
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

// layout is the header's: a token of the default class for no other is of the
// first.
func (h *Header) layout() byte {
	if h.Class != "" || len(h.wraps) > 0 {
		return layoutWraps
	}
	return layout
}

func (h *Header) append(b []byte) []byte {
	kind := byte(typeSession)
	if h.Regional {
		kind = typeRegional
	}
	b = append(b, h.layout(), kind)
	b = appendText(appendText(b, h.Region), h.KeyID)
	if h.layout() == layoutWraps {
		b = appendText(b, h.Class)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(h.Generation))
	b = binary.BigEndian.AppendUint64(b, h.Rests)
	return append(b, h.salt[:]...)
}

func (h *Header) parse(b []byte) bool {
	if len(b) < 3 || (b[0] != layout && b[0] != layoutWraps) || (b[1] != typeSession && b[1] != typeRegional) {
		return false
	}
	h.Regional = b[1] == typeRegional
	rest := b[2:]
	var ok bool
	if h.Region, rest, ok = cutText(rest); !ok {
		return false
	}
	if h.KeyID, rest, ok = cutText(rest); !ok {
		return false
	}
	if b[0] == layoutWraps {
		if h.Class, rest, ok = cutText(rest); !ok {
			return false
		}
	}
	if len(rest) < 2+8+saltSize {
		return false
	}
	h.Generation = int(binary.BigEndian.Uint16(rest))
	h.Rests = binary.BigEndian.Uint64(rest[2:])
	copy(h.salt[:], rest[10:])
	rest = rest[10+saltSize:]
	if b[0] == layoutWraps {
		if rest, ok = h.parseWraps(rest); !ok {
			return false
		}
	}
	h.length = len(b) - len(rest)
	return b[0] == layoutWraps || h.Generation > 0
}

func appendText(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }

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
