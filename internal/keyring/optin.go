package keyring

import (
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// EnableAccount wraps every generation of an account's key for an opt-in Region
// that the account enables: its nodes open then what was sealed before.
func (r *Ring) EnableAccount(tx record.Tx, account, region string) error {
	all, err := accountKeys(tx, account)
	if err != nil {
		return err
	}
	for _, k := range all {
		if !wrappedFor(k.Regions, region) {
			if k.Regions, err = r.wrapMore(tx, k.KEK, k.Regions, region, bindKey(forAccount, account, k.Generation)); err != nil {
				return err
			}
		}
		if err := record.Put(tx, record.AccountKeys, k); err != nil {
			return err
		}
	}
	return nil
}

// DisableAccount takes a Region's wraps of an account's keys away, and makes a
// new generation without it. What its nodes have opened they keep, so it stays
// written that they were given it: Exposed tells it.
func (r *Ring) DisableAccount(tx record.Tx, account, region string, now time.Time) error {
	all, err := accountKeys(tx, account)
	if err != nil || len(all) == 0 {
		return err
	}
	for _, k := range all {
		for i := range k.Regions {
			if k.Regions[i].Holder == region {
				k.Regions[i].Sealed = nil
			}
		}
		if err := record.Put(tx, record.AccountKeys, k); err != nil {
			return err
		}
	}
	last := all[len(all)-1]
	_, regions, err := stale(tx, last.Regions)
	if err != nil {
		return err
	}
	k, err := r.NewAccountKey(tx, account, last.Generation+1, regions, now)
	if err != nil {
		return err
	}
	return record.Put(tx, record.AccountKeys, k)
}

// accountKeys are the generations of an account's key, oldest first.
func accountKeys(r record.Reader, account string) (all []*record.AccountKey, err error) {
	err = record.Scan(r, record.AccountKeys, record.AccountKeyByAccount, account+record.Sep, "", func(_ string, k *record.AccountKey) bool {
		all = append(all, k)
		return true
	})
	return all, err
}

// wrappedFor says whether a Region can open a key by one of its wraps. One
// without a ciphertext says only that it could once.
func wrappedFor(wraps []record.Wrap, region string) bool {
	for _, w := range wraps {
		if w.Holder == region && len(w.Sealed) > 0 {
			return true
		}
	}
	return false
}
