package keyring

import (
	"errors"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// A fenced node keeps what it could open. So its Region's wrapping key gets a
// new generation without it, and after that every key that is wrapped for the
// Region: what is sealed from then on the node cannot open. What was sealed
// before stays as it is; Exposed says what that is. A Region that is taken out is
// one whose nodes are all fenced: the keys are renewed without it, and its wrapping
// keys stay, so that Exposed can say what its nodes held.

// nodesOf lists the nodes of a Region that are not fenced.
func nodesOf(r record.Reader, region string) (list []*record.Node, err error) {
	err = record.Scan(r, record.Nodes, record.NodeByID, "", "", func(_ string, n *record.Node) bool {
		if n.Role == record.RegionNode && n.Region == region && !n.Fenced {
			list = append(list, n)
		}
		return true
	})
	return list, err
}

// heldByFenced says whether a fenced node has been given a wrapping key.
func heldByFenced(r record.Reader, k *record.RegionKey) bool {
	for _, w := range k.Nodes {
		if n, err := record.Get(r, record.Nodes, record.None, w.Holder); err != nil || n.Fenced {
			return true
		}
	}
	return false
}

// Compromised lists the Regions whose wrapping key a fenced node has.
func Compromised(r record.Reader) (regions []string, err error) {
	err = record.Scan(r, record.Regions, record.RegionByName, "", "", func(_ string, region *record.Region) bool {
		var k *record.RegionKey
		if k, err = newestRegionKey(r, region.Name); err == nil && k != nil && heldByFenced(r, k) {
			regions = append(regions, region.Name)
		}
		return err == nil
	})
	return regions, err
}

// RenewRegions makes a new generation of the wrapping key of each Region whose
// present one a fenced node has, for the nodes that are not.
func (r *Ring) RenewRegions(tx record.Tx, now time.Time) error {
	regions, err := Compromised(tx)
	if err != nil {
		return err
	}
	for _, region := range regions {
		if err := r.renewRegion(tx, region, now); err != nil {
			return err
		}
	}
	return nil
}

func (r *Ring) renewRegion(tx record.Tx, region string, now time.Time) error {
	old, err := newestRegionKey(tx, region)
	if err != nil {
		return err
	}
	nodes, err := nodesOf(tx, region)
	if err != nil {
		return err
	}
	k, err := r.NewRegionKey(tx, region, old.Generation+1, nodes, now)
	if err != nil {
		return err
	}
	return record.Put(tx, record.RegionKeys, k)
}

// stale says whether a key is wrapped under a generation of a Region's
// wrapping key that is not in use any more, or for a Region that was taken out,
// and lists the Regions that it stays wrapped for.
func stale(r record.Reader, wraps []record.Wrap) (due bool, regions []string, err error) {
	for _, w := range wraps {
		if len(w.Sealed) == 0 { // it had the key once: see DisableAccount
			continue
		}
		if !record.Has(r, record.Regions, record.None, w.Holder) {
			due = true
			continue
		}
		used, err := newestRegionKey(r, w.Holder)
		if err != nil {
			return false, nil, err
		}
		due = due || used == nil || used.Generation != w.Generation
		regions = append(regions, w.Holder)
	}
	return due, regions, nil
}

// newestOpeningKeys are the opening keys in use.
func newestOpeningKeys(r record.Reader) (list []*record.OpeningKey, err error) {
	err = record.Scan(r, record.OpeningKeys, record.OpeningKeyByClass, "", "", func(_ string, k *record.OpeningKey) bool {
		if n := len(list); n > 0 && list[n-1].Class == k.Class {
			list[n-1] = k // a class's generations are in order
		} else {
			list = append(list, k)
		}
		return true
	})
	return list, err
}

// OpeningDue says whether an opening key is to be renewed.
func OpeningDue(r record.Reader) (bool, error) {
	list, err := newestOpeningKeys(r)
	if err != nil {
		return false, err
	}
	for _, k := range list {
		if due, _, err := stale(r, k.Regions); due || err != nil {
			return due, err
		}
	}
	return false, nil
}

// RenewOpening makes a new generation of each class of opening keys whose
// newest is wrapped under an old wrapping key.
func (r *Ring) RenewOpening(tx record.Tx, now time.Time) error {
	list, err := newestOpeningKeys(tx)
	if err != nil {
		return err
	}
	for _, k := range list {
		due, regions, err := stale(tx, k.Regions)
		if err != nil {
			return err
		}
		if !due {
			continue
		}
		if k, err = r.NewOpeningKey(tx, k.Class, k.Generation+1, regions, now); err != nil {
			return err
		}
		if err := record.Put(tx, record.OpeningKeys, k); err != nil {
			return err
		}
	}
	if optIn, err := anyOptIn(tx); err != nil || !optIn {
		return err
	}
	return r.PublishSealing(tx)
}

// AccountsDue lists accounts, after one and `most` of them, whose key in use
// is wrapped under an old wrapping key.
func AccountsDue(r record.Reader, after string, most int) (accounts []string, err error) {
	from := ""
	if after != "" {
		from = after + record.Sep + "\xff" // behind its last generation
	}
	var last *record.AccountKey
	note := func() {
		var due bool
		if last != nil && err == nil {
			if due, _, err = stale(r, last.Regions); due {
				accounts = append(accounts, last.Account)
			}
		}
	}
	failed := record.Scan(r, record.AccountKeys, record.AccountKeyByAccount, "", from, func(_ string, k *record.AccountKey) bool {
		if last != nil && last.Account != k.Account {
			note()
		}
		last = k
		return err == nil && len(accounts) < most
	})
	if len(accounts) < most {
		note()
	}
	return accounts, errors.Join(failed, err)
}

// RenewAccounts makes a new generation of the accounts' keys.
func (r *Ring) RenewAccounts(tx record.Tx, accounts []string, now time.Time) error {
	for _, account := range accounts {
		old, err := newest(tx, record.AccountKeys, record.AccountKeyByAccount, account)
		if err != nil {
			return err
		}
		if old == nil {
			continue // deleted meanwhile
		}
		_, regions, err := stale(tx, old.Regions)
		if err != nil {
			return err
		}
		k, err := r.NewAccountKey(tx, account, old.Generation+1, regions, now)
		if err != nil {
			return err
		}
		if err := record.Put(tx, record.AccountKeys, k); err != nil {
			return err
		}
	}
	return nil
}

// Exposed yields every generation of an account's key that a node of a Region
// could open, with the account.
func Exposed(r record.Reader, node *record.Node, yield func(account string, generation int) bool) error {
	all, err := generations(r, node.Region)
	if err != nil {
		return err
	}
	held := map[int]bool{} // generations of the Region's wrapping key
	for _, k := range all {
		for _, w := range k.Nodes {
			held[k.Generation] = held[k.Generation] || w.Holder == node.ID
		}
	}
	return record.Scan(r, record.AccountKeys, record.AccountKeyByAccount, "", "", func(_ string, k *record.AccountKey) bool {
		for _, w := range k.Regions {
			if w.Holder == node.Region && held[w.Generation] {
				return yield(k.Account, k.Generation)
			}
		}
		return true
	})
}
