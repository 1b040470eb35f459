package node

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/lineage"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/replica"
	"github.com/holdfast-iam/holdfast/internal/store"
)

// Ground is what a promotion stands on: where its files go, what can be looked
// at, and which control-plane nodes begin.
type Ground struct {
	Layout   local.Layout
	Root     string            // hex SHA-256 of the root's public key
	Controls []string          // names of the control-plane nodes, the first one begins
	Zone     string            // of the first
	Etcd     map[string]string // HOST:PORT of their members of the store; empty: one that is alone
	Replicas []Copy
	Marker   *local.Marker // of a deployment on this machine; nil: the nodes are on machines of their own
}

// Copy is a Region node's disk copy.
type Copy struct{ Name, Dir string }

// LocalGround is the ground of a deployment on this machine.
func LocalGround(l local.Layout, m *local.Marker) Ground {
	g := Ground{Layout: l, Root: m.Root, Controls: m.ControlNames(), Zone: "a", Etcd: m.Etcd, Marker: m}
	for _, region := range m.Regions {
		for z := range m.Zones {
			name := region + string(rune('a'+z))
			g.Replicas = append(g.Replicas, Copy{name, filepath.Join(l.Node(name), replicaDir)})
		}
	}
	return g
}

// Promotion is a plan to go on with a new control plane from the highest state
// that can be had. Nothing has happened until Sign.
type Promotion struct {
	Ground
	Sources []*lineage.Source
	Best    *lineage.Source
	Next    *record.Successor
	Surplus []lineage.Loss // what replicas of older lineages hold beyond the fork

	now   time.Time
	known record.Descent
	keys  []*keyring.NodeKeys
	nodes []*record.Node
	dirs  map[string]string // of the replicas
}

// PlanPromotion looks at every replica, and at the backup that is given, and
// plans to go on from the highest. kek must open it.
func PlanPromotion(g Ground, backup *lineage.Source, kek []byte, now time.Time) (*Promotion, error) {
	p := &Promotion{Ground: g, now: now, dirs: map[string]string{}}
	for _, c := range g.Replicas {
		p.dirs[c.Name] = c.Dir
		p.Sources = append(p.Sources, p.replica(c))
	}
	if backup != nil {
		p.Sources = append(p.Sources, backup)
	}
	var err error
	if p.Best, err = lineage.Choose(p.Sources); err != nil {
		return nil, err
	}
	if err := (&keyring.Ring{KEK: kek}).CheckKEK(p.Best.View); err != nil {
		return nil, err
	}
	if err := p.gather(); err != nil {
		return nil, err
	}
	if err := p.makeNodes(); err != nil {
		return nil, err
	}
	p.Next, err = lineage.Next(p.Best, p.known, random()[:16], p.pins(), record.At(now))
	return p, err
}

// replica reads what a Region node has on its disk, whether or not it runs: what
// it serves is never ahead of that.
func (p *Promotion) replica(c Copy) *lineage.Source {
	s := &lineage.Source{Name: c.Name}
	if s.View, s.Seed, s.Err = replica.ReadCopy(c.Dir, p.Root); s.Err != nil {
		return s
	}
	if s.Known, s.Err = record.DescentOf(s.View); s.Err != nil {
		return s
	}
	shown, err := replica.ReadSuccessors(c.Dir, s.View)
	s.Known, s.Err = s.Known.With(shown), err
	return s
}

// gather collects every successor that anybody knows, and what replicas hold
// that the best one does not.
func (p *Promotion) gather() error {
	var own []*record.Successor
	if err := local.Read(p.Layout.Lineages(), &own); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	p.known = own
	for _, s := range p.Sources {
		p.known = p.known.With(s.Known)
	}
	for _, s := range p.Sources {
		if s.Err != nil || s.Backup || s == p.Best || s.View.Head.Lineage == p.Best.View.Head.Lineage {
			continue
		}
		losses, err := p.beyond(s)
		if err != nil {
			s.Behind = err.Error()
		}
		p.Surplus = append(p.Surplus, losses...)
	}
	return nil
}

// beyond lists what a replica of another lineage holds after the common prefix.
func (p *Promotion) beyond(s *lineage.Source) ([]lineage.Loss, error) {
	from, _ := p.known.Common(s.View.Head.Lineage, p.Best.View.Head.Lineage)
	if s.View.Head.Index <= from {
		return nil, nil
	}
	list, err := replica.KeptLog(p.dirs[s.Name], from, &s.View.Head)
	if err != nil {
		return nil, err
	}
	had := lineage.Stretch{Lineage: s.View.Head.Lineage}
	for _, b := range replica.Batches(list) {
		for _, r := range b.Records {
			var public record.Public
			if err := json.Unmarshal(r.Public, &public); err != nil {
				return nil, err
			}
			had.Records = append(had.Records, public)
		}
	}
	all, err := lineage.Derive(p.Best.View, p.Best.View.Head.Time, []lineage.Stretch{had})
	if err != nil {
		return nil, err
	}
	return all.Lost, nil
}

func (p *Promotion) makeNodes() error {
	for n, name := range p.Controls {
		zone := p.Zone
		if n > 0 {
			zone = string(rune('a' + n))
		}
		keys, err := keyring.NewNodeKeys(name, true)
		if err != nil {
			return err
		}
		hpke, err := keys.HPKEPublic()
		if err != nil {
			return err
		}
		p.keys = append(p.keys, keys)
		p.nodes = append(p.nodes, &record.Node{ID: name, Role: record.ControlNode, Zone: zone, TLS: keys.TLS().Public().(ed25519.PublicKey), HPKE: hpke,
			Head: keys.HeadKey().Public().(ed25519.PublicKey), Format: record.Format, Joined: record.At(p.now)})
	}
	return nil
}

func (p *Promotion) pins() (list []record.Pin) {
	for _, n := range p.nodes {
		list = append(list, record.Pin{Node: n.ID, TLS: n.TLS, Head: n.Head})
	}
	return list
}

// Sign has operators and the root sign the successor, and the root remember it
// before anybody hears of it: its epochs rise also when all else is lost.
func (p *Promotion) Sign(root ed25519.PrivateKey, operators []*operator.Key) error {
	if fmt.Sprintf("%x", sha256.Sum256(root.Public().(ed25519.PublicKey))) != p.Root {
		return errors.New("the root's key is of another deployment")
	}
	for _, k := range operators {
		p.Next.Consent(k.ID, ed25519.NewKeyFromSeed(k.Seed))
	}
	p.Next.Sign(root)
	if err := p.Next.Verify(p.Best.View); err != nil {
		return err
	}
	var own []*record.Successor
	if err := local.Read(p.Layout.Lineages(), &own); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return local.Write(p.Layout.Lineages(), append(own, p.Next), 0o600)
}

// Stage writes the new control plane's directories beside the old ones.
func (p *Promotion) Stage(root ed25519.PrivateKey) error {
	logs := p.logs()
	calls := p.calls(logs)
	past := lineage.Past(&p.Best.View.Head, p.known, logs...)
	for i, name := range p.Controls {
		dir := p.staged(name)
		if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(filepath.Join(dir, lineage.SurplusDir), 0o700)); err != nil {
			return err
		}
		if err := p.keys[i].Save(filepath.Join(dir, nodeKeysFile)); err != nil {
			return err
		}
		if err := p.stageConfig(i, dir); err != nil {
			return err
		}
		if err := local.Write(filepath.Join(dir, lineage.CallsFile), calls, 0o600); err != nil {
			return err
		}
		if err := lineage.WriteSurplus(filepath.Join(dir, lineage.PastFile), p.Next.Parent, p.Descent(), past); err != nil {
			return err
		}
	}
	dir := filepath.Join(p.staged(p.Controls[0]), lineage.SuccessionDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	changes, err := lineage.Changes(p.Best.View, p.Next, func(g *record.Genesis) { g.Sign(root) }, p.nodes, p.lostNodes())
	if err != nil {
		return err
	}
	b, err := record.Marshal(changes) // not indented: the values are canonical bytes
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, lineage.ChangesFile), b, 0o600); err != nil {
		return err
	}
	return replica.WriteCopy(dir, p.Best.View, p.Best.Seed)
}

func (p *Promotion) staged(name string) string { return p.Layout.Node(name) + ".next" }

// stageConfig writes what a node of a deployment that runs starts with; the next
// `up` writes it anew.
func (p *Promotion) stageConfig(n int, dir string) error {
	name := p.Controls[n]
	if address := p.Etcd[name]; address != "" {
		if err := issueMember(p.Layout, address, name, dir, p.now); err != nil {
			return err
		}
	}
	var a local.Addresses
	if p.Marker == nil || local.Read(p.Layout.AddressesFile(), &a) != nil {
		return nil // nobody waits for it
	}
	return local.Write(filepath.Join(dir, "config.json"), p.Layout.ControlConfig(p.Marker, &a, n), 0o600)
}

// logs are what each replica has kept of its log.
func (p *Promotion) logs() (logs [][]*record.Batch) {
	for _, s := range p.Sources {
		if s.Err == nil && !s.Backup {
			logs = append(logs, replica.KeptBatches(p.dirs[s.Name]))
		}
	}
	return logs
}

// calls are the call ids that the feed carried within the window.
func (p *Promotion) calls(logs [][]*record.Batch) []store.Inherited {
	list := []store.Inherited{}
	for _, r := range lineage.Calls(&p.Best.View.Head, store.Window, logs...) {
		list = append(list, store.Inherited{ID: r.Call, Index: r.Index, At: r.Time})
	}
	return list
}

// lostNodes are the Region nodes of this directory whose keys are gone with
// their disks: they leave the state, and join again as new ones.
func (p *Promotion) lostNodes() (list []string) {
	if p.Marker == nil {
		return nil
	}
	for _, c := range p.Replicas {
		if _, err := os.Stat(filepath.Join(p.Layout.Node(c.Name), nodeKeysFile)); errors.Is(err, fs.ErrNotExist) && record.Has(p.Best.View, record.Nodes, record.None, c.Name) {
			list = append(list, c.Name)
		}
	}
	return list
}

// Show writes the successors where a node of this machine looks for what it is
// shown.
func (p *Promotion) Show(name string) error {
	dir := p.Layout.Node(name)
	if _, err := os.Stat(dir); err != nil {
		return err
	}
	return p.ShowIn(dir)
}

// ShowIn writes the successors into a directory.
func (p *Promotion) ShowIn(dir string) error {
	return local.Write(filepath.Join(dir, lineage.SuccessorsFile), p.Descent(), 0o600)
}

// Descent is every successor that there is now.
func (p *Promotion) Descent() record.Descent { return p.known.With(record.Descent{p.Next}) }

// Retired says whether an old control-plane node has said that it has ended, and
// takes what it left over into the new one's directory. It may have ended for the
// successor of a promotion that was broken off, and its directory be aside already:
// whoever is handed it looks at what it is worth to itself.
func (p *Promotion) Retired(name string) (found bool, err error) {
	for i, left := range p.retired(name) {
		of, d, batches, err := lineage.ReadSurplus(left)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return found, err
		}
		found = true
		file := fmt.Sprintf("%s-%d.surplus", name, i)
		for _, n := range p.Controls {
			if err := lineage.WriteSurplus(filepath.Join(p.staged(n), lineage.SurplusDir, file), of, d, batches); err != nil {
				return true, err
			}
		}
	}
	return found, nil
}

// retired is where an old control-plane node may have left its surplus.
func (p *Promotion) retired(name string) []string {
	list := []string{filepath.Join(p.Layout.Node(name), lineage.RetiredFile)}
	for epoch := p.Best.Epoch() + 1; epoch < p.Next.Epoch; epoch++ { // of promotions from which nobody goes on
		list = append(list, filepath.Join(p.aside(name, epoch), lineage.RetiredFile))
	}
	return list
}

// aside is where the directory is kept in whose place that of a successor came.
func (p *Promotion) aside(name string, epoch int) string {
	return fmt.Sprintf("%s.until-%d", p.Layout.Node(name), epoch)
}

// Swap puts the new control plane's directories in the place of the old ones,
// which are kept. It returns where.
func (p *Promotion) Swap() (kept []string, err error) {
	for _, name := range p.Controls {
		dir := p.Layout.Node(name)
		if _, err := os.Stat(dir); err == nil {
			aside := p.aside(name, p.Next.Epoch)
			if err := os.Rename(dir, aside); err != nil {
				return kept, err
			}
			kept = append(kept, aside)
		}
		if err := os.Rename(p.staged(name), dir); err != nil {
			return kept, err
		}
	}
	return kept, nil
}
