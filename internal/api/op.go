// Package api says what an operation is: one Go function whose input and
// output structs are the wire contract, one row in a table.
//
// Invariant: a row cannot be made without naming its signing service, whether
// it reads, writes or is a Region's own, and how its authorization is found;
// nothing is unsigned that does not say so.
package api

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"reflect"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// Effect says where an operation runs.
type Effect uint8

// The effects. A row with the zero value is refused by NewTable.
const (
	_        Effect = iota
	Read            // answered by every node from its view
	Write           // committed by the control plane; Regions relay it
	Regional        // a Region's own (STS): from memory, never relayed
)

// Nothing is the output of an operation that answers nothing.
type Nothing struct{}

// Access is one thing that the caller must be allowed to do.
type Access struct {
	Action   string // "iam:CreateUser"; empty: service:Name of the row
	Resource string // ARN, or "*"
	Account  string // that owns the resource; empty: the caller's
	// Context holds the condition keys of this request, e.g.
	// iam:PolicyARN, aws:RequestTag/k, aws:TagKeys, aws:ResourceTag/k.
	Context map[string][]string
	// Trust is the resource-based policy that takes part in the decision
	// (a role's trust policy), "" for none.
	Trust string
}

// Call is what an operation is given when it runs.
type Call struct {
	Tx        record.Tx // a Read's refuses Put
	Caller    *authn.Caller
	Account   string // the caller's, in which the operation works
	Now       time.Time
	Region    string // that answers; the first Region on the control plane
	RequestID string
	Source    string // client address
	Secure    bool   // came over TLS
	Agent     string // User-Agent
	Global    bool   // came to the host of STS that names no Region
	MFA       bool
	// Seed is 32 random bytes made in prepare: everything random in apply is
	// derived from it, so that apply is a pure function.
	Seed [32]byte
	// Op is the row's name, and Markers seals and opens where pages start.
	Op      string
	Markers Markers
	// Made is what the row's Prepare returned.
	Made any
	n    uint64
}

// NewID returns a unique id: AWS's four-letter prefix and 17 characters of
// base32, from 85 random bits.
func (c *Call) NewID(prefix string) string {
	var b [40]byte
	copy(b[:], c.Seed[:])
	binary.BigEndian.PutUint64(b[32:], c.n)
	c.n++
	sum := sha256.Sum256(b[:])
	return prefix + base32.StdEncoding.EncodeToString(sum[:15])[:17]
}

// Markers seal where the next page of a list starts, with the account's key
// and bound to what a marker is for; they open what was sealed for the same.
type Markers struct {
	Seal func(r record.Reader, account, bound string, text []byte) ([]byte, error)
	Open func(r record.Reader, account, bound string, sealed []byte) ([]byte, error)
}

// SealMarker returns the opaque marker of a page's start. It is good for this
// caller and this operation alone.
func (c *Call) SealMarker(text string) (string, error) {
	b, err := c.Markers.Seal(c.Tx, c.Account, c.Op+" "+c.Caller.UserID, []byte(text))
	return base64.RawURLEncoding.EncodeToString(b), err
}

// OpenMarker opens what SealMarker made.
func (c *Call) OpenMarker(marker string) (string, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(marker)
	if err != nil {
		return "", err
	}
	text, err := c.Markers.Open(c.Tx, c.Account, c.Op+" "+c.Caller.UserID, b)
	return string(text), err
}

// Op is one row of the table.
type Op struct {
	Service  string // signing service and prefix of its actions: iam, sts
	Version  string // of the API
	Name     string
	Effect   Effect
	Unsigned bool // AssumeRoleWithWebIdentity and its kin
	// Open rows authenticate but ask no policy (GetCallerIdentity).
	Open bool
	In   reflect.Type // struct
	Out  reflect.Type // struct; Nothing for none

	// Prepare does what is slow, once, outside the sequencer: key making,
	// sealing, compiling. Nil for most. Its result is Call.Made.
	Prepare func(c *Call, in any) (any, error)
	// Access lists what the caller must be allowed to do. It may read.
	Access func(c *Call, in any) ([]Access, error)
	// Run is the body: in is *In, the result *Out. It must be a pure function
	// of the call: it can run again on a newer state.
	Run func(c *Call, in any) (any, error)
}

// Define makes a row; In and Out are inferred from the body.
func Define[In, Out any](service, version, name string, effect Effect,
	access func(*Call, *In) ([]Access, error), body func(*Call, *In) (*Out, error)) Op {
	op := Op{Service: service, Version: version, Name: name, Effect: effect,
		In: reflect.TypeFor[In](), Out: reflect.TypeFor[Out](),
		Run: func(c *Call, in any) (any, error) {
			out, err := body(c, in.(*In))
			if err != nil {
				return nil, err // not a typed nil
			}
			return out, nil
		}}
	if access == nil {
		op.Open = true
		return op
	}
	op.Access = func(c *Call, in any) ([]Access, error) { return access(c, in.(*In)) }
	return op
}

// WithPrepare adds the slow half to a row.
func WithPrepare[In, Made any](op Op, prepare func(*Call, *In) (Made, error)) Op {
	op.Prepare = func(c *Call, in any) (any, error) { return prepare(c, in.(*In)) }
	return op
}

// Action returns the policy action of the row, e.g. iam:CreateUser.
func (op *Op) Action() string { return op.Service + ":" + op.Name }

// Table finds rows by API version and action name.
type Table struct {
	rows    map[string]*Op
	ops     []*Op
	unbuilt map[string]bool
}

// NewTable joins lists of rows. A row that leaves out its service, version,
// effect or body, or stands there twice, is a mistake of ours: it panics.
func NewTable(lists ...[]Op) *Table {
	t := &Table{rows: make(map[string]*Op)}
	for _, list := range lists {
		for i := range list {
			op := &list[i]
			if op.Service == "" || op.Version == "" || op.Name == "" || op.Effect == 0 || op.Run == nil || (op.Access == nil && !op.Open) {
				panic("api: incomplete row " + op.Name)
			}
			key := op.Version + " " + op.Name
			if t.rows[key] != nil {
				panic("api: row stands twice: " + key)
			}
			t.rows[key] = op
			t.ops = append(t.ops, op)
		}
	}
	return t
}

// Without says which operations of an API's version exist at AWS and have no
// row: clients are told so, not that there is no such thing.
func (t *Table) Without(version string, names []string) *Table {
	if t.unbuilt == nil {
		t.unbuilt = map[string]bool{}
	}
	for _, name := range names {
		t.unbuilt[version+" "+name] = true
	}
	return t
}

// Unbuilt says whether an operation exists at AWS and not here.
func (t *Table) Unbuilt(version, action string) bool { return t.unbuilt[version+" "+action] }

// Find returns the row of an action in a version of an API, or nil.
func (t *Table) Find(version, action string) *Op { return t.rows[version+" "+action] }

// All returns the rows in the order they were given.
func (t *Table) All() []*Op { return t.ops }

// Services lists the signing services that the table has rows for.
func (t *Table) Services() []string {
	var names []string
	for _, op := range t.ops {
		if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+op.Service+" ") {
			names = append(names, op.Service)
		}
	}
	return names
}
