package keyring

import (
	"maps"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// A node that is admitted by a ticket is sealed its Region's wrapping keys by a node
// that has them, in the form in which the control plane would: what they open it
// opens then. Their records do not say so before it is enrolled.

// WrapFor seals every generation of its Region's wrapping key that this node has to
// another node of the Region.
func (r *Ring) WrapFor(s record.Reader, n *record.Node) (wraps []record.Wrap, err error) {
	var all []*record.RegionKey
	err = record.Scan(s, record.RegionKeys, record.RegionKeyByRegion, n.Region+record.Sep, "", func(_ string, k *record.RegionKey) bool {
		all = append(all, k)
		return true
	})
	for _, k := range all {
		key, failed := r.regionKey(s, k.Region, k.Generation)
		if failed != nil {
			continue // it was not given that one itself
		}
		own := &record.RegionKey{Region: k.Region, Generation: k.Generation}
		if err := wrapNode(own, key, n); err != nil {
			return nil, err
		}
		wraps = append(wraps, record.Wrap{Holder: n.ID, Generation: k.Generation, Sealed: own.Nodes[0].Sealed})
	}
	return wraps, err
}

// Take keeps what another node has sealed to this one.
func (r *Ring) Take(wraps []record.Wrap) {
	all := map[int][]byte{}
	if old := r.given.Load(); old != nil {
		maps.Copy(all, *old)
	}
	for _, w := range wraps {
		all[w.Generation] = w.Sealed
	}
	r.given.Store(&all)
}

// Holds says whether this node opens its Region's wrapping key in use.
func (r *Ring) Holds(s record.Reader) bool {
	k, err := newestRegionKey(s, r.Region)
	if err != nil || k == nil {
		return false
	}
	_, err = r.regionKey(s, r.Region, k.Generation)
	return err == nil
}

// sealedTo lists what a generation of the Region's wrapping key is sealed in to this
// node.
func (r *Ring) sealedTo(k *record.RegionKey) (list [][]byte) {
	for _, w := range k.Nodes {
		if w.Holder == r.Node {
			list = append(list, w.Sealed)
		}
	}
	if all := r.given.Load(); all != nil && k.Region == r.Region && len((*all)[k.Generation]) > 0 {
		list = append(list, (*all)[k.Generation])
	}
	return list
}
