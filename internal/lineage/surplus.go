// Package lineage decides what restoring and promoting a control plane come to:
// from which state it goes on, and what is made of what that state does not
// have.
//
// Invariant: nothing that a predecessor took away comes back without being told:
// deletions of a surplus become denials of the same things, and the rest of it
// is listed.
package lineage

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// Loss is one change that a predecessor made and that its successor does not
// have.
type Loss struct {
	Index uint64     `json:"index"`
	Time  int64      `json:"time"`           // of the commit, milliseconds since 1970
	Call  string     `json:"call,omitempty"` // hash of the call id
	What  string     `json:"what"`           // put, deleted
	Key   record.Key `json:"key"`
}

// Surplus is what is made of the records of a predecessor that its successor
// does not have.
type Surplus struct {
	Denials  []*record.Denial
	Fenced   []*record.Node
	Revoked  []string     // signing keys
	Services []record.Key // deleted services
	Lost     []Loss
}

// deriver turns a surplus into what its successor is to do, change by change.
type deriver struct {
	Surplus
	now     record.Reader // of the successor
	lineage string
	fork    int64                    // commit time of the fork, milliseconds
	before  map[record.Key][]removed // credentials that a record had at its last change
}

// removed is a credential, or what else is taken away one by one.
type removed struct {
	id     string
	active bool
}

// Derive says what a surplus comes to in the state of the successor, whose fork
// was at a time in milliseconds. Denials have ids that follow from lineage, index,
// place and target (protocol rule 20), so that it does not matter who hands them
// up, or how often.
func Derive(now record.Reader, fork int64, list []Stretch) (*Surplus, error) {
	d := &deriver{now: now, fork: fork, before: map[record.Key][]removed{}}
	for _, s := range list {
		d.lineage = s.Lineage
		for _, r := range s.Records {
			for place, c := range r.Changes {
				if err := d.change(&r, place, c); err != nil {
					return nil, fmt.Errorf("lineage: %s at index %d: %w", c.Key, r.Index, err)
				}
			}
		}
	}
	return &d.Surplus, nil
}

func (d *deriver) change(r *record.Public, place int, c record.Change) error {
	deny := func(scope, target string) { d.deny(r, place, scope, target) }
	gone := c.Value == nil
	switch kind := c.Key.Kind(); {
	case kind == record.KeyUses.Name, kind == record.Addresses.Name, kind == record.KEKHolders.Name: // a node announces its own again
		return nil
	case kind == record.Successors.Name: // that is known
		return nil
	case gone && !failpoint.On(failpoint.DeletionsLost) && (kind == record.Users.Name || kind == record.Roles.Name):
		deny(record.DenyID, c.Key.ID())
	case gone && kind == record.Accounts.Name:
		deny(record.DenyAccount, c.Key.ID())
	case gone && kind == record.Services.Name:
		d.Services = append(d.Services, c.Key)
	case !gone && (kind == record.Users.Name || kind == record.Accounts.Name):
		if err := d.credentials(c, deny); err != nil {
			return err
		}
	case !gone && kind == record.Denials.Name:
		x, err := record.Denials.Decode(c.Value)
		if err != nil {
			return err
		}
		d.Denials = append(d.Denials, x)
		return nil
	case !gone && kind == record.Nodes.Name:
		n, err := record.Nodes.Decode(c.Value)
		if err != nil {
			return err
		}
		if n.Fenced {
			d.Fenced = append(d.Fenced, n)
			return nil
		}
	case !gone && kind == record.SigningKeys.Name:
		k, err := record.SigningKeys.Decode(c.Value)
		if err != nil {
			return err
		}
		if k.Revoked {
			d.Revoked = append(d.Revoked, k.ID)
		}
		return nil // its node publishes it again
	}
	what := "put"
	if gone {
		what = "deleted"
	}
	d.Lost = append(d.Lost, Loss{r.Index, r.Time, r.Call, what, c.Key})
	return nil
}

// deny derives a denial.
func (d *deriver) deny(r *record.Public, place int, scope, target string) {
	sum := sha256.Sum256(fmt.Appendf(nil, "holdfast surplus 1\n%q %d %d %q %q", d.lineage, r.Index, place, scope, target))
	at := record.Time(r.Time / 1000)
	d.Denials = append(d.Denials, &record.Denial{ID: hex.EncodeToString(sum[:8]), Scope: scope, Target: target, By: "surplus", Created: at,
		Reason: fmt.Sprintf("taken away at revision %s, which this lineage does not have", record.Revision(d.lineage, r.Index))})
}

// credentials denies the credentials that a change took out of a record, or made
// inactive. What was made after the fork in the successor is not in the surplus,
// and not taken away by it.
func (d *deriver) credentials(c record.Change, deny func(scope, target string)) error {
	after, err := credentialsIn(c.Key, c.Value)
	if err != nil {
		return err
	}
	before, known := d.before[c.Key]
	if !known {
		if e, ok := d.now.Entry(c.Key); ok {
			value, err := e.Stored()
			if err == nil {
				before, err = credentialsAt(c.Key, value, d.fork)
			}
			if err != nil {
				return err
			}
		}
	}
	for _, old := range before {
		if old.active && !slices.Contains(after, old) {
			deny(record.DenyKey, old.id)
		}
	}
	for _, x := range after { // what was active again later on is not denied
		if x.active {
			d.Denials = slices.DeleteFunc(d.Denials, func(old *record.Denial) bool { return old.By == "surplus" && old.Target == x.id })
		}
	}
	d.before[c.Key] = after
	return nil
}

func credentialsIn(key record.Key, value []byte) ([]removed, error) {
	return credentialsAt(key, value, 1<<62)
}

// credentialsAt lists the credentials of a user, or of an account's root, that
// were made up to a moment, in milliseconds. A successor's first commit is a
// second after the fork, so whole seconds tell on which side one is.
func credentialsAt(key record.Key, value []byte, until int64) (list []removed, err error) {
	var keys []record.AccessKey
	switch key.Kind() {
	case record.Accounts.Name:
		a, err := record.Accounts.Decode(value)
		if err != nil {
			return nil, err
		}
		keys = a.RootKeys
	default:
		u, err := record.Users.Decode(value)
		if err != nil {
			return nil, err
		}
		keys = u.Keys
		for _, x := range u.ServiceCredentials {
			if int64(x.Created) <= until/1000 {
				list = append(list, removed{x.ID, x.Active})
			}
		}
	}
	for _, k := range keys {
		if int64(k.Created) <= until/1000 {
			list = append(list, removed{k.ID, k.Active})
		}
	}
	return list, nil
}

// Groups cuts what is to be done into pieces of one commit each.
func (s *Surplus) Groups(most int) []func(tx record.Tx) error {
	var all []func(tx record.Tx) error
	for _, x := range s.Denials {
		all = append(all, func(tx record.Tx) error { return putDenial(tx, x) })
	}
	for _, n := range s.Fenced {
		all = append(all, func(tx record.Tx) error { return fence(tx, n) })
	}
	for _, id := range s.Revoked {
		all = append(all, func(tx record.Tx) error { return revoke(tx, id) })
	}
	for _, key := range s.Services {
		all = append(all, func(tx record.Tx) error { tx.Delete(key); return nil })
	}
	var groups []func(tx record.Tx) error
	for part := range slices.Chunk(all, most) {
		groups = append(groups, func(tx record.Tx) error {
			for _, do := range part {
				if err := do(tx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return groups
}

// putDenial: a tombstone beats its id whatever the order.
func putDenial(tx record.Tx, d *record.Denial) error {
	old, err := record.Get(tx, record.Denials, record.None, d.ID)
	switch {
	case err == nil && (old.Lifted || !d.Lifted):
		return nil
	case err != nil && !errors.Is(err, record.ErrNotFound):
		return err
	}
	return record.Put(tx, record.Denials, d)
}

// fence fences a node. One that the successor has not is put there as fenced: its
// invite or its ticket, which never expires, would enrol it again, in force.
func fence(tx record.Tx, fenced *record.Node) error {
	n, err := record.Get(tx, record.Nodes, record.None, fenced.ID)
	switch {
	case errors.Is(err, record.ErrNotFound) && fenced.Role == record.RegionNode:
		return errors.Join(record.Put(tx, record.Nodes, fenced), held(tx, fenced))
	case errors.Is(err, record.ErrNotFound) || err == nil && (n.Fenced || n.Role == record.ControlNode):
		return nil // the predecessor's own nodes are out already
	case err != nil:
		return err
	}
	return n.Fence(tx)
}

// held notes that a node was given its Region's wrapping key, though what was sealed
// to it is not here: so the key is renewed without it.
func held(tx record.Tx, n *record.Node) error {
	var newest *record.RegionKey
	err := record.Scan(tx, record.RegionKeys, record.RegionKeyByRegion, n.Region+record.Sep, "", func(_ string, k *record.RegionKey) bool {
		newest = k
		return true
	})
	if err != nil || newest == nil {
		return err
	}
	k := *newest
	k.Nodes = append(slices.Clone(k.Nodes), record.Wrap{Holder: n.ID})
	return record.Put(tx, record.RegionKeys, &k)
}

func revoke(tx record.Tx, id string) error {
	k, err := record.Get(tx, record.SigningKeys, record.None, id)
	if errors.Is(err, record.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	k.Revoked = true
	return record.Put(tx, record.SigningKeys, k)
}
