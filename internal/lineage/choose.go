package lineage

import (
	"errors"
	"fmt"
	"slices"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Source is a state from which a control plane could go on: a replica's, or a
// backup's. Err says why it cannot be used.
type Source struct {
	Name   string
	Backup bool
	Err    error

	View   *view.View
	Seed   []byte
	Known  record.Descent // successors that it holds or was shown
	Behind string         // what it was passed over for
}

// Epoch is the epoch of the source's lineage.
func (s *Source) Epoch() int { return s.Known.Epoch(s.View.Head.Lineage) }

// Revision names the source's state.
func (s *Source) Revision() string {
	return record.Revision(s.View.Head.Lineage, s.View.Head.Index)
}

// above says whether a source is to be preferred: by ancestry first, index
// second, and a replica before a backup of the same state (protocol rule 16).
func (s *Source) above(o *Source) bool {
	switch a, b := s.Epoch(), o.Epoch(); {
	case a != b:
		return a > b
	case s.View.Head.Index != o.View.Head.Index:
		return s.View.Head.Index > o.View.Head.Index
	}
	return !s.Backup && o.Backup
}

// Choose takes the highest verified state. Two of one lineage and index that
// differ are an error: somebody signed two histories.
func Choose(sources []*Source) (*Source, error) {
	var best *Source
	for _, s := range sources {
		if s.Err == nil && (best == nil || s.above(best) != failpoint.On(failpoint.LowestFork)) {
			best = s
		}
	}
	if best == nil {
		return nil, errors.New("no replica and no backup can be read: there is nothing to go on from")
	}
	for _, s := range sources {
		if s.Err == nil && s.View.Head.Cluster != best.View.Head.Cluster {
			return nil, fmt.Errorf("%s is of another cluster than %s", s.Name, best.Name)
		}
		if s.Err == nil && s.View.Head.Lineage == best.View.Head.Lineage && s.View.Head.Index == best.View.Head.Index && s.View.Head.Chain != best.View.Head.Chain {
			return nil, fmt.Errorf("%s and %s hold two histories at %s: one of them was not made by this deployment's log", s.Name, best.Name, s.Revision())
		}
	}
	return best, nil
}

// Next is the successor that goes on from a source, yet to be signed. known are
// all successors that anybody has shown, the root's own list included.
func Next(from *Source, known record.Descent, name string, pins []record.Pin, now record.Time) (*record.Successor, error) {
	h := &from.View.Head
	s := &record.Successor{Epoch: 1, Cluster: h.Cluster, Parent: h.Lineage, Fork: int(h.Index), Chain: h.Chain[:], Time: int(h.Time), Lineage: name, Created: now, New: pins}
	if newest := known.Newest(); newest != nil {
		s.Epoch = newest.Epoch + 1
	}
	err := record.Scan(from.View, record.Nodes, record.NodeByID, "", "", func(_ string, n *record.Node) bool {
		if n.Role == record.ControlNode {
			s.Old = append(s.Old, record.Pin{Node: n.ID, TLS: n.TLS, Head: n.Head})
		}
		return true
	})
	return s, err
}

// Changes is what makes the fork's state the successor's: its genesis, the
// root's word, its control-plane nodes, and none of the parent's.
func Changes(fork *view.View, s *record.Successor, genesis func(*record.Genesis), nodes []*record.Node, gone []string) ([]record.Change, error) {
	tx := fork.Begin()
	g, err := record.Get(tx, record.Geneses, record.None, "genesis")
	if err != nil {
		return nil, err
	}
	g.Lineage, g.Created, g.Node, g.Controls = s.Lineage, s.Created, nodes[0].ID, s.New
	genesis(g)
	if err := record.Put(tx, record.Geneses, g); err != nil {
		return nil, err
	}
	if err := record.Put(tx, record.Successors, s); err != nil {
		return nil, err
	}
	for _, p := range s.Old {
		n, err := record.Get(tx, record.Nodes, record.None, p.Node)
		if err != nil {
			return nil, err
		}
		n.Fenced = true
		if err := record.Put(tx, record.Nodes, n); err != nil {
			return nil, err
		}
	}
	for _, n := range nodes {
		if err := record.Put(tx, record.Nodes, n); err != nil {
			return nil, err
		}
	}
	for _, id := range gone {
		if err := forget(tx, id); err != nil {
			return nil, err
		}
	}
	return tx.Changes(), nil
}

// forget takes a Region node out whose disk is lost, so that a new one may have
// its name: what was wrapped for it, and what it has minted.
func forget(tx record.Tx, id string) error {
	tx.Delete(record.MakeKey(record.Nodes.Name, record.None, id))
	var wrapping []*record.RegionKey
	err := record.Scan(tx, record.RegionKeys, record.RegionKeyByRegion, "", "", func(_ string, k *record.RegionKey) bool {
		if n := len(k.Nodes); n > 0 {
			if k.Nodes = slices.DeleteFunc(k.Nodes, func(w record.Wrap) bool { return w.Holder == id }); len(k.Nodes) < n {
				wrapping = append(wrapping, k)
			}
		}
		return true
	})
	for _, k := range wrapping {
		err = errors.Join(err, record.Put(tx, record.RegionKeys, k))
	}
	var signing []*record.SigningKey
	err = errors.Join(err, record.Scan(tx, record.SigningKeys, record.SigningKeyByNode, id+record.Sep, "", func(_ string, k *record.SigningKey) bool {
		signing = append(signing, k)
		return true
	}))
	for _, k := range signing {
		k.Revoked = true
		err = errors.Join(err, record.Put(tx, record.SigningKeys, k))
	}
	return err
}
