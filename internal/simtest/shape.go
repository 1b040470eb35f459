package simtest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"io"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// shape is how big a world is. The seed chooses it: small worlds cost little
// and are most of a campaign, the whole of three Regions comes now and then.
type shape struct {
	name     string
	of       int   // this many worlds of 1000
	controls int   // nodes of the control plane
	regions  []int // nodes of each Region
	clients  int
	hops     int // of five days each, for which a Region is cut off
}

var shapes = []shape{
	{"small world", 800, 3, []int{3, 1}, 3, 0},
	{"world of one control node", 80, 1, []int{2, 1}, 3, 0},
	{"middle world", 60, 3, []int{3, 3}, 8, 0},
	{"whole world", 20, 3, []int{3, 3, 3}, 32, 0},
	{"world of sixty days", 40, 3, []int{3, 2}, 3, 12},
}

// draw has the seed choose.
func (w *world) draw() {
	n := w.rand.IntN(1000)
	for _, s := range shapes {
		if w.shape = s; n < s.of {
			break
		}
		n -= s.of
	}
	w.seen[w.shape.name]++
	w.withKeys = w.chance(400)
}

// The keys of every world: seeds choose events, not keys.
var rootKey = ed25519.NewKeyFromSeed([]byte("simulated root key: 32 bytes....")[:32])

func publicOf(k ed25519.PrivateKey) []byte { return k.Public().(ed25519.PublicKey) }

var rootHash = fmt.Sprintf("%x", sha256.Sum256(publicOf(rootKey)))

// hashSeed keys the tries' hash in every world.
var hashSeed = []byte("0123456789abcdef")

// keyOf is a key of its name.
func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("simulated key: " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// build makes the nodes and clients of a world and starts them.
func (w *world) build() {
	for i, n := range w.shape.regions {
		var all []*region
		for z := range n {
			name := fmt.Sprintf("r%d", i)
			all = append(all, &region{w: w, id: fmt.Sprintf("%s-%d", name, z), region: name, clock: w.newClock(), hood: hood{apart: map[*region]time.Duration{}}})
		}
		for _, r := range all {
			for _, p := range all {
				if p != r {
					r.hood.near = append(r.hood.near, p)
				}
			}
		}
		w.regions = append(w.regions, all...)
	}
	p := w.newPlane("l")
	w.planes = append(w.planes, p)
	if err := p.genesis(); err != nil {
		w.fail("genesis: %v", err)
		return
	}
	for _, c := range p.controls {
		c.start()
	}
	w.old = p.controls[0].machine.View()
	for i, r := range w.regions {
		if i == 0 || w.chance(900) {
			r.start()
		} else { // a new node comes later
			w.after(w.between(time.Second, 8*time.Second), r.start)
		}
	}
	for i := range w.shape.clients {
		c := &client{w: w, plane: p, id: fmt.Sprintf("c%d", i)}
		w.clients = append(w.clients, c)
		w.after(w.between(0, time.Second), c.next)
	}
	w.plan()
}

// first returns the first records of a deployment.
func (p *plane) first() (*record.Genesis, []record.Change, error) {
	g := &record.Genesis{Cluster: "c", Lineage: p.lineage, Mode: "development", Root: publicOf(rootKey), HashSeed: hashSeed, Controls: p.pins()}
	g.Sign(rootKey)
	tx := view.Empty(hashSeed).Begin()
	if err := record.Put(tx, record.Geneses, g); err != nil {
		return nil, nil, err
	}
	nodes := p.nodes()
	for _, r := range p.w.regions {
		nodes = append(nodes, &record.Node{ID: r.id, Role: record.RegionNode, Region: r.region})
	}
	for i, n := range nodes {
		n.Invite, n.Format = []byte{byte(i)}, record.Format
		if err := record.Put(tx, record.Nodes, n); err != nil {
			return nil, nil, err
		}
	}
	return g, tx.Changes(), nil
}

// discard is where nobody reads.
var discard = io.Discard
