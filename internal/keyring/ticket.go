package keyring

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// A node that is admitted by a ticket is sealed its Region's wrapping keys by a node
// that has them, in the form in which the control plane would: what they open it
// opens then. Their records do not say so before it is enrolled.

// WrapFor seals every generation of its Region's wrapping key that this node has to
// another node of the Region.
func (r *Ring) WrapFor(s record.Reader, n *record.Node) (wraps []record.Wrap, err error) {
	all, err := generations(s, n.Region)
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

// given is a generation of the Region's wrapping key that another node has sealed to
// this one, and that was proved.
type given struct {
	wrap record.Wrap
	key  []byte
}

// Take keeps what another node has sealed to this one, as far as the state proves it,
// and says whether it was given anything new. Whoever knows a public key can seal to
// it, so a generation counts when it has opened a key that the state has under it, and
// one that has nothing under it yet does not count yet. What this node opens already
// stays. Of the wraps of a generation the first is tried alone.
func (r *Ring) Take(s record.Reader, wraps []record.Wrap) (grown bool, err error) {
	offered := map[int]given{}
	kek := map[int]string{}
	own, err := generations(s, r.Region)
	for _, k := range own {
		i := slices.IndexFunc(wraps, func(w record.Wrap) bool { return w.Generation == k.Generation })
		if i < 0 {
			continue
		}
		if _, err := r.regionKey(s, r.Region, k.Generation); err == nil {
			continue
		}
		if key, err := r.unseal(k, wraps[i].Sealed); err == nil {
			offered[k.Generation], kek[k.Generation] = given{wraps[i], key}, string(k.KEK)
		}
	}
	proved, failed := r.prove(s, offered)
	all := map[string]given{}
	if old := r.given.Load(); old != nil {
		maps.Copy(all, *old)
	}
	for _, g := range proved {
		all[kek[g.wrap.Generation]] = g
	}
	r.given.Store(&all)
	return len(proved) > 0, errors.Join(err, failed)
}

// prove lists what opens a key that the state has under it: an opening key, which are
// few, or else an account's.
func (r *Ring) prove(s record.Reader, offered map[int]given) (proved []given, err error) {
	try := func(wraps []record.Wrap, purpose, owner string, generation int) (more bool) {
		for _, w := range wraps {
			g, is := offered[w.Generation]
			if !is || w.Holder != r.Region || len(w.Sealed) == 0 {
				continue
			}
			delete(offered, w.Generation) // one says it
			if _, err := open(g.key, w.Sealed, bindKey(purpose, owner, generation)); err == nil {
				proved = append(proved, g)
			}
		}
		return len(offered) > 0
	}
	if len(offered) > 0 {
		err = record.Scan(s, record.OpeningKeys, record.OpeningKeyByClass, "", "", func(_ string, k *record.OpeningKey) bool {
			return try(k.Regions, forOpening, k.Class, k.Generation)
		})
	}
	if err == nil && len(offered) > 0 {
		err = record.Scan(s, record.AccountKeys, record.AccountKeyByAccount, "", "", func(_ string, k *record.AccountKey) bool {
			return try(k.Regions, forAccount, k.Account, k.Generation)
		})
	}
	return proved, err
}

// Given lists what this node has taken, in order.
func (r *Ring) Given() []record.Wrap {
	list := []record.Wrap{}
	if all := r.given.Load(); all != nil {
		for _, g := range *all {
			list = append(list, g.wrap)
		}
	}
	slices.SortFunc(list, func(a, b record.Wrap) int { return cmp.Compare(a.Generation, b.Generation) })
	return list
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

// HoldsAll says whether this node opens every generation of its Region's wrapping key.
func (r *Ring) HoldsAll(s record.Reader) bool {
	own, err := generations(s, r.Region)
	for _, k := range own {
		if _, err := r.regionKey(s, r.Region, k.Generation); err != nil {
			return false
		}
	}
	return err == nil
}
