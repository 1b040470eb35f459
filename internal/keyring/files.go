package keyring

import (
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

// ReadSecret reads a key file. It must be readable by its owner alone, in a
// directory that is.
func ReadSecret(path string) ([]byte, error) {
	for _, p := range []string{path, filepath.Dir(path)} {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 && !failpoint.On(failpoint.AnyFileMode) {
			return nil, fmt.Errorf("%s can be read by others (mode %04o): take the rights of group and others away", p, info.Mode().Perm())
		}
	}
	return os.ReadFile(path)
}

// WriteSecret writes a new key file, 0400, durable before it returns. It
// never overwrites one.
func WriteSecret(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// LoadKEK reads the keys that account keys are sealed under: one, or several
// while it is renewed, oldest first.
func LoadKEK(path string) ([]byte, error) {
	b, err := ReadSecret(path)
	if err == nil && (len(b) == 0 || len(b)%KeySize != 0 || len(b) > MaxKEKs*KeySize) {
		err = fmt.Errorf("%s holds no key of %d bytes, nor up to %d of them", path, KeySize, MaxKEKs)
	}
	return b, err
}

// MakeKEK makes a KEK file.
func MakeKEK(path string) error { return WriteSecret(path, newKey()) }

// AddKEK puts a new key behind those in a KEK's file.
func AddKEK(path string) error {
	b, err := LoadKEK(path)
	if err != nil {
		return err
	}
	if len(b) == MaxKEKs*KeySize {
		return fmt.Errorf("%s holds %d keys already: take those away that nothing is sealed under any more", path, MaxKEKs)
	}
	return replaceSecret(path, append(b, newKey()...))
}

// DropKEKs leaves the newest key alone in a KEK's file. The earlier ones go to a
// new file, since backups of before need them.
func DropKEKs(path, earlier string) error {
	b, err := LoadKEK(path)
	if err != nil {
		return err
	}
	last := len(b) - KeySize
	if last == 0 {
		return fmt.Errorf("%s holds one key: there is none to take away", path)
	}
	if err := WriteSecret(earlier, b[:last]); err != nil {
		return err
	}
	return replaceSecret(path, b[last:])
}

// replaceSecret replaces a key file: a reader sees the old one or the new one,
// and it has the old one's owner.
func replaceSecret(path string, b []byte) error {
	next := path + ".new"
	if err := os.Remove(next); err != nil && !Absent(err) {
		return err
	}
	if err := WriteSecret(next, b); err != nil {
		return err
	}
	if err := sameOwner(path, next); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// NodeKeys are a node's own secrets.
type NodeKeys struct {
	ID      string `json:"id"`
	TLSSeed []byte `json:"tls"`
	HPKE    []byte `json:"hpke"`
	Head    []byte `json:"head,omitempty"` // control-plane nodes
}

// kem is the node's key encapsulation: X25519 and ML-KEM together, so that
// what is sealed today stays sealed.
func kem() hpke.KEM { return hpke.MLKEM768X25519() }

// NewNodeKeys makes the keys of a node; head says that it signs heads.
func NewNodeKeys(id string, head bool) (*NodeKeys, error) {
	h, err := kem().GenerateKey()
	if err != nil {
		return nil, err
	}
	private, err := h.Bytes()
	if err != nil {
		return nil, err
	}
	k := &NodeKeys{ID: id, TLSSeed: seed(), HPKE: private}
	if head {
		k.Head = seed()
	}
	return k, nil
}

func seed() []byte {
	b := make([]byte, ed25519.SeedSize)
	rand.Read(b)
	return b
}

// TLS returns the node's TLS key.
func (k *NodeKeys) TLS() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(k.TLSSeed) }

// HeadKey returns the key that signs heads.
func (k *NodeKeys) HeadKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(k.Head) }

// HPKEPublic returns the public key that secrets are sealed to.
func (k *NodeKeys) HPKEPublic() ([]byte, error) {
	p, err := kem().NewPrivateKey(k.HPKE)
	if err != nil {
		return nil, err
	}
	return p.PublicKey().Bytes(), nil
}

// LoadNodeKeys reads a node's keys; fs.ErrNotExist says that it has none yet.
func LoadNodeKeys(path string) (*NodeKeys, error) {
	b, err := ReadSecret(path)
	if err != nil {
		return nil, err
	}
	k := new(NodeKeys)
	if err := json.Unmarshal(b, k); err != nil || len(k.TLSSeed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s holds no keys of a node", path)
	}
	return k, nil
}

// Save writes the keys.
func (k *NodeKeys) Save(path string) error {
	b, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return WriteSecret(path, b)
}

// Absent says whether an error means that a file is not there.
func Absent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
