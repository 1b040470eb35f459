package operator

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// Key is an operator's key as its file holds it.
type Key struct {
	ID   string `json:"id"`
	Seed []byte `json:"seed"` // Ed25519
}

// LoadKey reads an operator's key file. It must be readable by its owner
// alone, in a directory that is.
func LoadKey(path string) (*Key, error) {
	b, err := keyring.ReadSecret(path)
	if err != nil {
		return nil, err
	}
	k := new(Key)
	if err := json.Unmarshal(b, k); err != nil || k.check() != nil { // the decoder's words may quote the file
		return nil, fmt.Errorf("%s holds no operator's key", path)
	}
	return k, nil
}

// MakeKey makes a new operator's key and its file, 0400. It never overwrites
// one. The root has yet to enroll its public half.
func MakeKey(path, id string) (*Key, error) {
	k := &Key{ID: id, Seed: make([]byte, ed25519.SeedSize)}
	rand.Read(k.Seed) // never fails (crypto/rand)
	if err := k.check(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(k)
	if err != nil {
		return nil, err
	}
	return k, keyring.WriteSecret(path, b)
}

func (k *Key) check() error {
	if k.ID == "" || len(k.ID) > maxName || len(k.Seed) != ed25519.SeedSize {
		return errors.New("operator: a key needs an id and a seed of 32 bytes")
	}
	return nil
}

// Public returns the public half, which the root enrolls.
func (k *Key) Public() ed25519.PublicKey {
	return ed25519.NewKeyFromSeed(k.Seed).Public().(ed25519.PublicKey)
}

// domain keeps a command's signature from meaning anything elsewhere.
const domain = "holdfast operator command 1\n"

// message is what an operator signs: every part behind its length.
func message(c *operatorpb.Command) []byte {
	b := []byte(domain)
	for _, part := range [][]byte{[]byte(c.Operator), []byte(c.Name), c.Arguments, c.Nonce} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return binary.BigEndian.AppendUint64(b, uint64(c.TimeMs))
}

// approvalDomain tells an approval from the command itself.
const approvalDomain = "holdfast operator approval 1\n"

// approval is what another operator signs: the command with whose it is.
func approval(c *operatorpb.Command) []byte { return append([]byte(approvalDomain), message(c)...) }

// Approve adds an operator's approval to another's command.
func Approve(c *operatorpb.Command, key *Key) error {
	if err := key.check(); err != nil {
		return err
	}
	if signedBy(c, key.ID) {
		return refuse("operator %s has signed this already: another operator approves it", key.ID)
	}
	c.Approvals = append(c.Approvals, &operatorpb.Approval{Operator: key.ID, Signature: ed25519.Sign(ed25519.NewKeyFromSeed(key.Seed), approval(c))})
	return nil
}

func signedBy(c *operatorpb.Command, id string) bool {
	return c.Operator == id || slices.ContainsFunc(c.Approvals, func(a *operatorpb.Approval) bool { return a.Operator == id })
}

// Sign makes a signed command of canonical arguments.
func Sign(key *Key, name string, arguments any, now time.Time) (*operatorpb.Command, error) {
	if err := key.check(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(arguments)
	if err != nil {
		return nil, err
	}
	if b, err = canonical(b); err != nil {
		return nil, err
	}
	c := &operatorpb.Command{Operator: key.ID, Name: name, Arguments: b, TimeMs: now.UnixMilli(), Nonce: make([]byte, nonceSize)}
	rand.Read(c.Nonce)
	c.Signature = ed25519.Sign(ed25519.NewKeyFromSeed(key.Seed), message(c))
	return c, nil
}

// canonical is the one form of a JSON value: members sorted and each once, no
// space, numbers as they were written.
func canonical(b []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("operator: more than one JSON value")
	}
	return record.Marshal(v)
}
