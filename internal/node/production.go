package node

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/store"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Founding is what a production deployment begins with.
type Founding struct {
	Layout    local.Layout // of the directory that its keys are made in
	RootKey   string       // where the root's key goes
	KEK       string       // and the key that account keys are sealed under
	Account   string       // the first
	Regions   []string
	Operators []*operator.Public
	Node      string // the first control-plane node
	Zone      string
	Etcd      string // HOST:PORT of its member of the store
}

// RootCredentials is the file with the first account's root access key, in the
// founding's directory: for a shell, and the one secret there in clear.
const RootCredentials = "account-root.env"

// minOperators is the least of a production deployment: some things take two.
const minOperators = 2

// Found makes a production deployment: its keys, and the first records, which
// the first control-plane node commits at its first start. It returns the hash
// of the root's key.
func Found(f Founding) (rootHash string, err error) {
	if len(f.Operators) < minOperators {
		return "", fmt.Errorf("a production deployment needs %d operators at least, three are better: some things take two of them", minOperators)
	}
	seen := map[string]bool{}
	for _, o := range f.Operators {
		if seen[o.ID] || seen[string(o.Key)] {
			return "", fmt.Errorf("operator %s is named twice, or shares a key", o.ID)
		}
		seen[o.ID], seen[string(o.Key)] = true, true
	}
	d := &production{f: f, development: development{now: clock(), tx: view.Empty(nil).Begin(),
		Options: local.Options{Layout: f.Layout, Account: f.Account, Regions: f.Regions, Etcd: map[string]string{f.Node: f.Etcd}}}}
	for _, step := range []func() error{d.makeRoot, d.makeKEK, d.makeNode, d.makeGenesis, d.makeRegions, d.makeAccount, d.write} {
		if err := step(); err != nil {
			return "", err
		}
	}
	return d.rootHash, nil
}

// production is a development deployment's making, where each step keeps apart
// what machines and people must not have together.
type production struct {
	development
	f Founding
}

func (d *production) makeRoot() error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	d.root = key
	d.rootHash = fmt.Sprintf("%x", sha256.Sum256(key.Public().(ed25519.PublicKey)))
	if err := keyring.WriteSecret(d.f.RootKey, key.Seed()); err != nil {
		return err
	}
	for _, o := range d.f.Operators {
		rec := o.Enroll(d.now)
		rec.Sign(d.root)
		if err := record.Put(d.tx, record.Operators, rec); err != nil {
			return err
		}
	}
	return nil
}

func (d *production) makeKEK() error {
	if err := keyring.MakeKEK(d.f.KEK); err != nil {
		return err
	}
	kek, err := keyring.LoadKEK(d.f.KEK)
	d.ring = &keyring.Ring{KEK: kek}
	return err
}

func (d *production) makeGenesis() error {
	g := &record.Genesis{Cluster: random(), Lineage: random()[:16], Mode: "production", Format: record.Format, Account: d.f.Account, Node: d.f.Node,
		Created: record.At(d.now), Root: d.root.Public().(ed25519.PublicKey), Controls: d.pins, HashSeed: make([]byte, 16)}
	rand.Read(g.HashSeed)
	g.Sign(d.root)
	return record.Put(d.tx, record.Geneses, g)
}

// makeNode makes the first node, and the authority by which the members of the
// store know each other: also a lone one, so that others can be added.
func (d *production) makeNode() error {
	if err := store.MakeAuthority(d.f.Layout.EtcdAuthority("crt"), d.f.Layout.EtcdAuthority("key"), d.now); err != nil {
		return err
	}
	return d.development.makeNode(d.f.Node, d.f.Zone)
}

// makeAccount makes the first account with its root key; the root makes users.
func (d *production) makeAccount() error {
	k, err := d.ring.NewAccountKey(d.tx, d.f.Account, 1, d.f.Regions, d.now)
	if err != nil {
		return err
	}
	if err := record.Put(d.tx, record.AccountKeys, k); err != nil {
		return err
	}
	root, secret, err := d.ring.NewAccessKey(d.tx, d.f.Account, d.now)
	if err != nil {
		return err
	}
	a := &record.Account{ID: d.f.Account, Name: "first", Created: record.At(d.now), RootKeys: []record.AccessKey{root}}
	text := fmt.Sprintf("AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\nHOLDFAST_ACCOUNT_ID=%s\n", root.ID, secret, d.f.Account)
	return errors.Join(record.Put(d.tx, record.Accounts, a), keyring.WriteSecret(filepath.Join(d.f.Layout.Dir, RootCredentials), []byte(text)))
}

// write writes the genesis file beside the first node's keys.
func (d *production) write() error {
	b, err := record.Marshal(d.tx.Changes())
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.f.Layout.Node(d.f.Node), "genesis.json"), b, 0o600)
}

// LoadRoot reads the root's key.
func LoadRoot(path string) (ed25519.PrivateKey, error) {
	b, err := keyring.ReadSecret(path)
	if err == nil && len(b) != ed25519.SeedSize {
		err = fmt.Errorf("%s holds no root key", path)
	}
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(b), nil
}
