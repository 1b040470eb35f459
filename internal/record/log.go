package record

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Hash is a SHA-256 digest; its text form is hex.
type Hash [32]byte

// MarshalText writes hex.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads hex of exactly 32 bytes.
func (h *Hash) UnmarshalText(b []byte) error {
	if len(b) != 64 {
		return errors.New("record: a hash has 64 hex digits")
	}
	for i := range h {
		hi, ok1 := unhex(b[2*i])
		lo, ok2 := unhex(b[2*i+1])
		if !ok1 || !ok2 {
			return errors.New("record: a hash has 64 hex digits")
		}
		h[i] = hi<<4 | lo
	}
	return nil
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// Head is the signed end of the log at one commit: who follows the log
// believes a range of it because it ends in a head, not because of who sent it.
type Head struct {
	Cluster string `json:"cluster"`
	Lineage string `json:"lineage"`
	Format  int    `json:"format"`
	Term    uint64 `json:"term"`  // of the sequencer
	Index   uint64 `json:"index"` // of the last record
	Chain   Hash   `json:"chain"` // link of the last record
	State   Hash   `json:"state"` // digest of the state at Index
	Time    int64  `json:"time"`  // commit time, milliseconds since 1970
	Node    string `json:"node"`  // whose head key signed
	Sig     []byte `json:"sig"`
}

// At returns the commit time.
func (h *Head) At() time.Time { return time.UnixMilli(h.Time).UTC() }

// headDomain keeps a head's signature from meaning anything elsewhere.
const headDomain = "holdfast head 1\n"

func (h *Head) message() []byte {
	c := *h
	c.Sig = nil
	b, _ := json.Marshal(&c) // plain strings, numbers and hashes: cannot fail
	return append([]byte(headDomain), b...)
}

// Sign signs the head with a control-plane node's head key.
func (h *Head) Sign(key ed25519.PrivateKey) { h.Sig = ed25519.Sign(key, h.message()) }

// Verify says whether the head carries a signature of the key.
func (h *Head) Verify(key ed25519.PublicKey) bool {
	return verify(key, h.message(), h.Sig)
}

// Beat is a control-plane node's signed word that the log's end was this when
// it read it, at a time. It is no commit's head, and cannot be taken for one.
type Beat struct {
	Cluster string `json:"cluster"`
	Lineage string `json:"lineage"`
	Index   uint64 `json:"index"`
	Time    int64  `json:"time"` // milliseconds since 1970
	Node    string `json:"node"`
	Sig     []byte `json:"sig"`
}

// beatDomain keeps a beat's signature from meaning anything elsewhere.
const beatDomain = "holdfast heartbeat 1\n"

// NewBeat signs that the log's end is h, read at a time. It never goes behind
// the commit's own.
func NewBeat(h *Head, node string, at time.Time, key ed25519.PrivateKey) *Beat {
	b := &Beat{Cluster: h.Cluster, Lineage: h.Lineage, Index: h.Index, Time: max(h.Time, at.UnixMilli()), Node: node}
	b.Sig = ed25519.Sign(key, b.message())
	return b
}

func (b *Beat) message() []byte {
	c := *b
	c.Sig = nil
	text, _ := json.Marshal(&c) // plain strings and numbers: cannot fail
	return append([]byte(beatDomain), text...)
}

// At returns the time of the reading.
func (b *Beat) At() time.Time { return time.UnixMilli(b.Time).UTC() }

// Verify says whether the beat carries a signature of the key.
func (b *Beat) Verify(key ed25519.PublicKey) bool {
	return verify(key, b.message(), b.Sig)
}

// Change is one changed key; a nil Value is a deletion.
type Change struct {
	Key   Key             `json:"k"`
	Value json.RawMessage `json:"v,omitempty"`
}

// Public is the part of a log record that the feed carries.
type Public struct {
	Index   uint64   `json:"i"`
	Time    int64    `json:"t"`           // milliseconds since 1970
	Format  int      `json:"f"`           // of this record
	Call    string   `json:"c,omitempty"` // hash of the call id, hex; empty for a fence or a system record
	Changes []Change `json:"ch,omitempty"`
}

// Private is the part of a log record that never leaves the control plane:
// together with Public it is the audit record.
type Private struct {
	Caller    string          `json:"caller,omitempty"` // ARN, operator or node
	Operation string          `json:"op"`
	Request   json.RawMessage `json:"request,omitempty"` // redacted
	RequestID string          `json:"requestId,omitempty"`
	Source    string          `json:"source,omitempty"` // client address
	Answer    []byte          `json:"answer,omitempty"` // sealed under the account's key
}

// Logged is one log record with its two parts as the exact bytes that the
// chain covers.
type Logged struct {
	Public  json.RawMessage `json:"p"`
	Private json.RawMessage `json:"q"`
}

// LogValue is what one commit adds to the log: the records of its group, one
// index each, and the head that they end in.
type LogValue struct {
	Head    Head     `json:"head"`
	Records []Logged `json:"records"`
}

// Append appends the record's public part as JSON. Values are canonical JSON
// already and go in as they are.
func (p *Public) Append(b []byte) []byte {
	size := 128 + len(p.Call)
	for _, c := range p.Changes {
		size += 32 + len(c.Key) + len(c.Value)
	}
	b = slices.Grow(b, size)
	b = strconv.AppendUint(append(b, `{"i":`...), p.Index, 10)
	b = strconv.AppendInt(append(b, `,"t":`...), p.Time, 10)
	b = strconv.AppendInt(append(b, `,"f":`...), int64(p.Format), 10)
	if p.Call != "" {
		b = appendText(append(b, `,"c":`...), p.Call)
	}
	for i, c := range p.Changes {
		if i == 0 {
			b = append(b, `,"ch":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendText(append(b, `{"k":`...), string(c.Key))
		if c.Value != nil {
			b = append(append(b, `,"v":`...), c.Value...)
		}
		b = append(b, '}')
	}
	if len(p.Changes) > 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

// Append appends a commit as JSON; its records go in as the chain covers them.
func (l *LogValue) Append(b []byte) ([]byte, error) {
	head, err := Marshal(&l.Head)
	if err != nil {
		return nil, err
	}
	b = slices.Grow(b, 64+len(head)+l.size())
	b = append(append(append(b, `{"head":`...), head...), `,"records":[`...)
	for i, r := range l.Records {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, `{"p":`...), r.Public...)
		b = append(append(b, `,"q":`...), r.Private...)
		b = append(b, '}')
	}
	return append(b, `]}`...), nil
}

// size is about how many bytes the records take.
func (l *LogValue) size() int {
	n := 0
	for _, r := range l.Records {
		n += 16 + len(r.Public) + len(r.Private)
	}
	return n
}

// quoted are the characters that a backslash and one other stand for.
var quoted = [256]byte{'"': '"', '\\': '\\', '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't'}

// appendText appends a JSON string. What is not ASCII is left to the library,
// which knows what else must be written in another way.
func appendText(b []byte, s string) []byte {
	begun, from := len(b), 0
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch q := quoted[c]; {
		case q != 0:
			b = append(append(b, s[from:i]...), '\\', q)
			from = i + 1
		case c < 0x20 || c >= 0x80:
			text, _ := Marshal(s) // a string: cannot fail
			return append(b[:begun], text...)
		}
	}
	return append(append(b, s[from:]...), '"')
}

// Fed is one log record as the feed carries it.
type Fed struct {
	Public  json.RawMessage `json:"p"`
	Private Hash            `json:"h"` // SHA-256 of the private part
}

// Batch is one commit as the feed carries it.
type Batch struct {
	Head    Head  `json:"head"`
	Records []Fed `json:"records"`
}

// Link extends the chain by one record: SHA-256 over the previous link, the
// hash of the public and the hash of the private part.
func Link(previous Hash, public []byte, private Hash) Hash {
	p := sha256.Sum256(public)
	var b [96]byte
	copy(b[:32], previous[:])
	copy(b[32:64], p[:])
	copy(b[64:], private[:])
	return sha256.Sum256(b[:])
}

// Batch returns the feed's form of a commit.
func (l *LogValue) Batch() *Batch {
	b := &Batch{Head: l.Head, Records: make([]Fed, len(l.Records))}
	for i, r := range l.Records {
		b.Records[i] = Fed{Public: r.Public, Private: sha256.Sum256(r.Private)}
	}
	return b
}

// Open checks that the batch continues the chain after (index, chain) up to
// its own head and decodes its records. The head's signature is checked by the
// caller, who knows the keys.
func (b *Batch) Open(index uint64, chain Hash) ([]Public, error) {
	records := make([]Public, len(b.Records))
	for i, r := range b.Records {
		if err := json.Unmarshal(r.Public, &records[i]); err != nil {
			return nil, fmt.Errorf("record: log record after index %d: %w", index, err)
		}
		if records[i].Index != index+1 {
			return nil, fmt.Errorf("record: log index %d follows %d", records[i].Index, index)
		}
		index++
		chain = Link(chain, r.Public, r.Private)
	}
	if index != b.Head.Index || chain != b.Head.Chain {
		return nil, fmt.Errorf("record: batch up to index %d does not end in its head %d", index, b.Head.Index)
	}
	return records, nil
}

// Revision is the opaque name of (lineage, index) that clients see.
func Revision(lineage string, index uint64) string {
	return fmt.Sprintf("%s-%x", lineage, index)
}

// ParseRevision reads what Revision prints.
func ParseRevision(s string) (lineage string, index uint64, err error) {
	i := strings.LastIndexByte(s, '-')
	if i > 0 && len(s) <= 128 {
		index, err = strconv.ParseUint(s[i+1:], 16, 64)
	}
	if i <= 0 || len(s) > 128 || err != nil {
		return "", 0, errors.New("this is no revision")
	}
	return s[:i], index, nil
}

// Marshal is json.Marshal without HTML escaping, which would change the bytes
// of the values inside that digests are over.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes()[:b.Len()-1], nil
}
