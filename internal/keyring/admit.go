package keyring

import (
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// A Region that is admitted gets a wrapping key of its own, and every key that
// the Regions enabled by default share one small wrap more: nothing is sealed
// anew, so nothing that was sealed before has to be touched.

// NewRegion admits a Region: its record, a wrapping key that no node has held, and its
// wraps of the opening keys, which are few. One that is enabled by default gets those of
// its class, and the accounts' keys follow by WrapAccounts; an opt-in Region gets
// a class of its own, and of accounts' keys those of EnableAccount.
func (r *Ring) NewRegion(tx record.Tx, name string, optIn bool, now time.Time) error {
	region := &record.Region{Name: name, OptIn: optIn, Created: record.At(now)}
	if err := record.Put(tx, record.Regions, region); err != nil {
		return err
	}
	generation := 1
	if old, err := newestRegionKey(tx, name); err != nil {
		return err
	} else if old != nil { // it was taken out, and comes again
		generation = old.Generation + 1
	}
	k, err := r.NewRegionKey(tx, name, generation, nil, now)
	if err != nil {
		return err
	}
	if err := record.Put(tx, record.RegionKeys, k); err != nil {
		return err
	}
	var all []*record.OpeningKey
	err = record.Scan(tx, record.OpeningKeys, record.OpeningKeyByClass, region.Class()+record.Sep, "", func(_ string, o *record.OpeningKey) bool {
		all = append(all, o)
		return true
	})
	if err != nil {
		return err
	}
	for _, o := range all {
		if len(lacking([]string{name}, o.Regions)) == 0 {
			continue // its nodes are given the earlier generations too
		}
		bound := bindKey(forOpening, o.Class, o.Generation)
		if o.Regions, err = r.wrapMore(tx, o.KEK, o.Regions, name, bound); err != nil {
			return err
		}
		if err := record.Put(tx, record.OpeningKeys, o); err != nil {
			return err
		}
	}
	if !optIn {
		return nil
	}
	return r.openClass(tx, region, len(all) == 0, now)
}

// openClass gives an opt-in Region the first opening key of its class, where it
// has none, and publishes to whom other Regions' nodes seal.
func (r *Ring) openClass(tx record.Tx, region *record.Region, first bool, now time.Time) error {
	if first {
		o, err := r.NewOpeningKey(tx, region.Class(), 1, []string{region.Name}, now)
		if err != nil {
			return err
		}
		if err := record.Put(tx, record.OpeningKeys, o); err != nil {
			return err
		}
	}
	return r.PublishSealing(tx)
}

// wrapMore wraps a key, which the KEK opens, for one more Region.
func (r *Ring) wrapMore(s record.Reader, kek []byte, wraps []record.Wrap, region string, bound []byte) ([]record.Wrap, error) {
	if r.KEK == nil {
		return nil, errControl
	}
	key, err := r.openKEK(kek, bound)
	if err != nil {
		return nil, err
	}
	used, err := newestRegionKey(s, region)
	if err != nil {
		return nil, err
	}
	if used == nil {
		return nil, errNoKey
	}
	wrapping, err := r.regionKey(s, region, used.Generation)
	if err != nil {
		return nil, err
	}
	sealed, err := seal(wrapping, key, bound)
	return append(wraps, record.Wrap{Holder: region, Generation: used.Generation, Sealed: sealed}), err
}

// lacking lists the Regions enabled by default that a key is not wrapped for.
func lacking(regions []string, wraps []record.Wrap) (list []string) {
	held := map[string]bool{}
	for _, w := range wraps {
		held[w.Holder] = true
	}
	for _, region := range regions {
		if !held[region] {
			list = append(list, region)
		}
	}
	return list
}

// DefaultRegions lists the Regions that are enabled by default.
func DefaultRegions(r record.Reader) (list []string, err error) {
	err = record.Scan(r, record.Regions, record.RegionByName, "", "", func(_ string, region *record.Region) bool {
		if !region.OptIn {
			list = append(list, region.Name)
		}
		return true
	})
	return list, err
}

// AccountsUnwrapped lists accounts, after one and `most` of them, with a key
// that a Region enabled by default lacks.
func AccountsUnwrapped(r record.Reader, after string, most int) (accounts []string, err error) {
	regions, err := DefaultRegions(r)
	if err != nil {
		return nil, err
	}
	from := ""
	if after != "" {
		from = after + record.Sep + "\xff" // behind its last generation
	}
	err = record.Scan(r, record.AccountKeys, record.AccountKeyByAccount, "", from, func(_ string, k *record.AccountKey) bool {
		if n := len(accounts); (n == 0 || accounts[n-1] != k.Account) && len(lacking(regions, k.Regions)) > 0 {
			accounts = append(accounts, k.Account)
		}
		return len(accounts) < most
	})
	return accounts, err
}

// WrapAccounts wraps every generation of the accounts' keys for the Regions
// that lack it: what was sealed under an old one is opened there too.
func (r *Ring) WrapAccounts(tx record.Tx, accounts []string) error {
	regions, err := DefaultRegions(tx)
	if err != nil {
		return err
	}
	for _, account := range accounts {
		var all []*record.AccountKey
		err := record.Scan(tx, record.AccountKeys, record.AccountKeyByAccount, account+record.Sep, "", func(_ string, k *record.AccountKey) bool {
			all = append(all, k)
			return true
		})
		if err != nil {
			return err
		}
		for _, k := range all {
			for _, region := range lacking(regions, k.Regions) {
				if k.Regions, err = r.wrapMore(tx, k.KEK, k.Regions, region, bindKey(forAccount, account, k.Generation)); err != nil {
					return err
				}
			}
			if err := record.Put(tx, record.AccountKeys, k); err != nil {
				return err
			}
		}
	}
	return nil
}
