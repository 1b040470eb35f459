// Package node is the assembly: it joins the rooms into a control-plane node
// and a Region node, starts and stops them, and makes development deployments.
//
// Invariant: a node is a value with Run; everything that it starts has ended
// when Run returns.
package node

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/managed"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/store"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Defaults of `up`.
const (
	DefaultAccount = "111122223333"
	DefaultRegion  = "us-east-1"
	adminName      = "admin"
)

// defaultFloor is the free disk space, in bytes, below which writes are refused.
const defaultFloor = 256 << 20

// nodeKeysFile is where a node keeps its secrets, in its directory.
const nodeKeysFile = "node.key"

// Develop makes a new development deployment in a data directory: root,
// operator, the control-plane nodes, and the first records.
func Develop(o local.Options) (*local.Marker, error) {
	if o.Account == "" {
		o.Account = DefaultAccount
	}
	if len(o.Regions) == 0 {
		o.Regions = []string{DefaultRegion}
	}
	o.Zones = max(o.Zones, 1)
	if free := freeBytes(o.Layout.Dir); free < defaultFloor {
		return nil, fmt.Errorf("the disk has %d MiB free: below %d MiB the control plane takes no writes", free>>20, defaultFloor>>20)
	}
	d := &development{Options: o, now: clock(), tx: view.Empty(nil).Begin(), optIn: optInAmong(o.Regions)}
	if err := d.make(); err != nil {
		return nil, err
	}
	return &local.Marker{Format: 1, Account: o.Account, Regions: o.Regions, Zones: o.Zones, Root: d.rootHash, Etcd: o.Etcd}, nil
}

type development struct {
	local.Options
	now      time.Time
	tx       *view.Pending
	ring     *keyring.Ring
	root     ed25519.PrivateKey
	rootHash string
	pins     []record.Pin // the control plane's nodes
	optIn    []string     // of Regions
}

func (d *development) make() error {
	for _, step := range []func() error{d.makeRoot, d.makeKEK, d.makeNodes, d.makeGenesis, d.makeRegions, d.makeAccount, d.write} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (d *development) makeRoot() error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	d.root = key
	d.rootHash = fmt.Sprintf("%x", sha256.Sum256(key.Public().(ed25519.PublicKey)))
	if err := keyring.WriteSecret(d.Layout.RootKey(), key.Seed()); err != nil {
		return err
	}
	op, err := operator.MakeKey(d.Layout.OperatorKey(), "development")
	if err != nil {
		return err
	}
	rec := &record.Operator{ID: op.ID, Public: op.Public(), Created: record.At(d.now)}
	rec.Sign(d.root)
	return record.Put(d.tx, record.Operators, rec)
}

func (d *development) makeKEK() error {
	if err := keyring.MakeKEK(d.Layout.KEK()); err != nil {
		return err
	}
	kek, err := keyring.LoadKEK(d.Layout.KEK())
	d.ring = &keyring.Ring{KEK: kek}
	return err
}

func (d *development) makeGenesis() error {
	g := &record.Genesis{Cluster: random(), Lineage: random()[:16], Mode: "development", Format: record.Format, Account: d.Account, Node: d.controls()[0],
		Created: record.At(d.now), Root: d.root.Public().(ed25519.PublicKey), Controls: d.pins, HashSeed: make([]byte, 16)}
	rand.Read(g.HashSeed)
	g.Sign(d.root)
	return record.Put(d.tx, record.Geneses, g)
}

// controls names the control plane's nodes.
func (d *development) controls() []string { return local.ControlNames(d.Zones) }

// makeNodes makes the control plane's nodes, and where they are several the
// authority by which the members of their store know each other.
func (d *development) makeNodes() error {
	if len(d.Etcd) > 0 {
		if err := store.MakeAuthority(d.Layout.EtcdAuthority("crt"), d.Layout.EtcdAuthority("key"), d.now); err != nil {
			return err
		}
	}
	for n, name := range d.controls() {
		if err := d.makeNode(name, string(rune('a'+n))); err != nil {
			return err
		}
	}
	return nil
}

func (d *development) makeNode(name, zone string) error {
	dir := d.Layout.Node(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	keys, err := keyring.NewNodeKeys(name, true)
	if err != nil {
		return err
	}
	if err := keys.Save(filepath.Join(dir, nodeKeysFile)); err != nil {
		return err
	}
	hpke, err := keys.HPKEPublic()
	if err != nil {
		return err
	}
	if address := d.Etcd[name]; address != "" {
		if err := issueMember(d.Layout, address, name, dir, d.now); err != nil {
			return err
		}
	}
	n := &record.Node{ID: keys.ID, Role: record.ControlNode, Zone: zone, TLS: keys.TLS().Public().(ed25519.PublicKey), HPKE: hpke,
		Head: keys.HeadKey().Public().(ed25519.PublicKey), Format: record.Format, Joined: record.At(d.now)}
	d.pins = append(d.pins, record.Pin{Node: n.ID, TLS: n.TLS, Head: n.Head})
	return record.Put(d.tx, record.Nodes, n)
}

// issueMember gives a node's etcd member a certificate, in the node's directory.
func issueMember(l local.Layout, address, name, dir string, now time.Time) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	return store.IssueMember(l.EtcdAuthority("crt"), l.EtcdAuthority("key"), filepath.Join(dir, "etcd.crt"), filepath.Join(dir, "etcd.key"), name, host, now)
}

func random() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// makeRegions makes the Regions, those enabled by default first: nodes of the
// others seal to their class.
func (d *development) makeRegions() error {
	var all []string
	for _, name := range d.Regions {
		if slices.Contains(d.optIn, name) {
			continue
		}
		all = append(all, name)
		if err := record.Put(d.tx, record.Regions, &record.Region{Name: name, Created: record.At(d.now)}); err != nil {
			return err
		}
		k, err := d.ring.NewRegionKey(d.tx, name, 1, nil, d.now)
		if err != nil {
			return err
		}
		if err := record.Put(d.tx, record.RegionKeys, k); err != nil {
			return err
		}
	}
	k, err := d.ring.NewOpeningKey(d.tx, record.DefaultClass, 1, all, d.now)
	if err != nil {
		return err
	}
	if err := record.Put(d.tx, record.OpeningKeys, k); err != nil {
		return err
	}
	for _, name := range d.optIn {
		if err := d.ring.NewRegion(d.tx, name, true, d.now); err != nil {
			return err
		}
	}
	return nil
}

// makeAccount makes the first account with its root key and an administrator. It
// has every Region enabled.
func (d *development) makeAccount() error {
	k, err := d.ring.NewAccountKey(d.tx, d.Account, 1, d.Regions, d.now)
	if err != nil {
		return err
	}
	if err := record.Put(d.tx, record.AccountKeys, k); err != nil {
		return err
	}
	root, rootSecret, err := d.ring.NewAccessKey(d.tx, d.Account, d.now)
	if err != nil {
		return err
	}
	admin, adminSecret, err := d.ring.NewAccessKey(d.tx, d.Account, d.now)
	if err != nil {
		return err
	}
	a := &record.Account{ID: d.Account, Name: "development", Created: record.At(d.now), RootKeys: []record.AccessKey{root}, Regions: d.optIn}
	sum := sha256.Sum256([]byte(d.rootHash + d.Account))
	u := &record.User{Account: d.Account, ID: "AIDA" + idText(sum[:]), Name: adminName, Path: "/", Created: record.At(d.now),
		Attached: []record.PolicyRef{managed.Ref("AdministratorAccess")}, Keys: []record.AccessKey{admin}}
	if err := errors.Join(record.Put(d.tx, record.Accounts, a), record.Put(d.tx, record.Users, u)); err != nil {
		return err
	}
	return d.Layout.KeepCredentials(local.Credentials{Account: d.Account, AdminKeyID: admin.ID, AdminSecret: adminSecret, RootKeyID: root.ID, RootSecret: rootSecret})
}

// idText spells bytes in the alphabet of unique ids.
func idText(b []byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	out := make([]byte, 17)
	for i := range out {
		out[i] = alphabet[b[i]&31]
	}
	return string(out)
}

// write writes the genesis file, which the control plane commits at its first
// start.
func (d *development) write() error {
	b, err := record.Marshal(d.tx.Changes()) // not indented: the values are canonical bytes
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.Layout.Node(d.controls()[0]), "genesis.json"), b, 0o600)
}

// Invite makes sure that a Region node that has no keys yet has an invite.
func Invite(l local.Layout, name, region, zone string) error {
	if _, err := os.Stat(filepath.Join(l.Node(name), joinedFile)); err == nil {
		return nil
	}
	op, err := operator.LoadKey(l.OperatorKey())
	if err != nil {
		return err
	}
	var m local.Marker
	if err := local.Read(l.Marker(), &m); err != nil {
		return err
	}
	at := local.ControlNames(1)[0]
	if len(m.Etcd) > 0 {
		at = local.ControlNames(m.Zones)[0]
	}
	control, err := keyring.LoadNodeKeys(filepath.Join(l.Node(at), nodeKeysFile))
	if err != nil {
		return err
	}
	i := record.Invite{Node: name, Role: record.RegionNode, Region: region, Zone: zone, Root: m.Root,
		Control: control.TLS().Public().(ed25519.PublicKey), At: at, Operator: op.ID}
	file, err := peer.Issue(&i, ed25519.NewKeyFromSeed(op.Seed), clock())
	if err != nil {
		return err
	}
	return local.Write(filepath.Join(l.Node(name), "invite.json"), file, 0o400)
}
