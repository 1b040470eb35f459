package authn

import (
	"slices"
	"time"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// Recheck says again, on another state, that a caller's credential is good:
// its principal is there under the same unique id, its key active, nothing
// about it denied, its session not expired. The sequencer asks it first of all
// at the commit revision.
func Recheck(r record.Reader, c *Caller, now time.Time) error {
	if c == nil || c.Kind == Nobody || c.Principal == nil {
		return fault.MissingAuthenticationToken.Errorf("Request is missing Authentication Token")
	}
	e, ok := r.Entry(c.Principal.Key)
	if !ok || e.Bad {
		return errToken
	}
	if _, ok := r.Entry(FormOf(c.ring, e).account); !ok {
		return errToken
	}
	if err := c.checkKeys(r); err != nil {
		return err
	}
	if err := c.regions(r); err != nil {
		return err
	}
	if Denied(r, c) {
		return fault.AccessDenied.Errorf("User: %s is denied by an operator.", c.ARN)
	}
	if s := c.Session; s != nil && !s.Expires.IsZero() && !now.Before(s.Expires) && !failpoint.On(failpoint.ExpiryUnchecked) {
		return errExpired
	}
	return nil
}

// At returns a caller who was rechecked on a state as that state has the
// principal: its record, and so its policies, tags and names, are of then.
func (c *Caller) At(r record.Reader) (*Caller, error) {
	if e, ok := r.Entry(c.Principal.Key); ok && e == c.Principal {
		return c, nil
	}
	now, err := claimed(c.ring, r, Claim{Kind: c.Kind, Account: c.Account, ID: c.ID, KeyID: c.KeyID, Session: c.Session})
	if err != nil {
		return nil, err
	}
	now.Index, now.token, now.through = c.Index, c.token, c.through
	return now, nil
}

// checkKeys says that the long-term key behind the caller is active: its own,
// or the one that its session was made with.
func (c *Caller) checkKeys(r record.Reader) error {
	id := c.KeyID
	if c.Session != nil {
		id = c.Session.ParentKey
	}
	if id == "" || record.Fold(id[:min(4, len(id))]) == "acca" {
		return c.checkBearer(r, id)
	}
	e, ok := holderOf(r, id)
	if !ok {
		return errToken
	}
	form := FormOf(c.ring, e)
	if form.Err != nil {
		return form.Err
	}
	if k := keyIn(form.longTermKeys(), id); k == nil || !k.Active && !failpoint.On(failpoint.InactiveSigns) {
		return errToken
	}
	if c.Session != nil {
		return c.minterStands(r)
	}
	return nil
}

// holderOf is the user or account that has a long-term key.
func holderOf(r record.Reader, keyID string) (*record.Entry, bool) {
	e, ok := r.Lookup(record.UserByKey.Name, keyID)
	if !ok {
		e, ok = r.Lookup(record.RootByKey.Name, keyID)
	}
	return e, ok
}

// checkBearer is the same for a service-specific credential; an unproven
// caller, which no door lets act, has no key at all.
func (c *Caller) checkBearer(r record.Reader, id string) error {
	if id == "" {
		return nil
	}
	e, ok := r.Lookup(record.UserByCredential.Name, id)
	if !ok {
		return errToken
	}
	form := FormOf(c.ring, e)
	if form.Err != nil {
		return form.Err
	}
	if !slices.ContainsFunc(form.User.ServiceCredentials, func(k record.ServiceCredential) bool { return k.ID == id && k.Active }) {
		return errToken
	}
	return nil
}

// minterStands says that the node that made the session is not fenced.
func (c *Caller) minterStands(r record.Reader) error {
	key := c.Session.minter
	if key == "" {
		key = record.MakeKey(record.Nodes.Name, record.None, c.Session.Minter)
	}
	if n := nodeOf(c.ring, r, key); (n == nil || n.Fenced) && !failpoint.On(failpoint.MinterUnchecked) {
		return errToken
	}
	return nil
}

// Denied says whether an operator's denial is in force for anything that the
// caller rests on.
func Denied(r record.Reader, c *Caller) bool {
	if !anyDenial(r) || failpoint.On(failpoint.DenialsIgnored) {
		return false
	}
	if denied(r, record.DenyAccount, c.Account) || denied(r, record.DenyID, c.ID) || denied(r, record.DenyKey, c.KeyID) {
		return true
	}
	s := c.Session
	if s == nil {
		return false
	}
	if denied(r, record.DenySession, s.ID) || denied(r, record.DenyKey, s.ParentKey) || denied(r, record.DenyMinter, s.Minter) ||
		denied(r, record.DenyID, s.ParentID) || deniedIdentity(r, c.Account, s.SourceIdentity) {
		return true
	}
	// Whoever began it, however long the chain of roles is.
	if e, ok := holderOf(r, s.ParentKey); ok && (denied(r, record.DenyID, e.Key.ID()) || denied(r, record.DenyAccount, e.Key.Account())) {
		return true
	}
	return deniedBefore(r, c.ID, s.Issued)
}

// anyDenial says whether there is any denial at all: mostly there is none.
func anyDenial(r record.Reader) bool {
	found := false
	r.Range(record.DenialByTarget.Name, "", "", func(string, *record.Entry) bool {
		found = true
		return false
	})
	return found
}

func denied(r record.Reader, scope, target string) bool {
	if target == "" {
		return false
	}
	found := false
	r.Range(record.DenialByTarget.Name, scope+record.Sep+target+record.Sep, "", func(string, *record.Entry) bool {
		found = true
		return false
	})
	return found
}

// deniedBefore asks for denials of the sessions issued before a time. A denial
// that cannot be read denies.
func deniedBefore(r record.Reader, id string, issued time.Time) bool {
	found := false
	err := record.Scan(r, record.Denials, record.DenialByTarget, record.DenyBefore+record.Sep+id+record.Sep, "", func(_ string, d *record.Denial) bool {
		found = issued.Before(d.Before.Std())
		return !found
	})
	return found || err != nil
}

func deniedIdentity(r record.Reader, account, identity string) bool {
	if identity == "" {
		return false
	}
	found := false
	err := record.Scan(r, record.Denials, record.DenialByTarget, record.DenyIdentity+record.Sep+identity+record.Sep, "", func(_ string, d *record.Denial) bool {
		found = d.Account == account
		return !found
	})
	return found || err != nil
}
