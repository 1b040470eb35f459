package authn

import (
	"strings"
	"sync/atomic"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
	"github.com/holdfast-iam/holdfast/sigv4"
)

// Form is what the data plane derives from a principal's record: kept at its
// entry while it is hot, shared, and not to be changed. It holds nothing of
// other records.
type Form struct {
	User    *record.User    // one of the three
	Role    *record.Role    //
	Account *record.Account // of root
	ARN     string          // of the principal itself: a role's, not its session's
	Err     error           // the record cannot be read: the principal is denied

	// Derived is authz's: the policies that the principal's record names.
	Derived atomic.Pointer[any]

	account record.Key // of its account's record
	keys    signingKeys
}

// FormOf returns the form of a user's, role's or account's entry.
func FormOf(ring *view.Ring, e *record.Entry) *Form {
	return ring.Compiled(e, func() any { return newForm(e) }).(*Form)
}

func newForm(e *record.Entry) *Form {
	f := &Form{account: record.MakeKey(record.Accounts.Name, e.Key.Account(), e.Key.Account())}
	switch e.Key.Kind() {
	case record.Users.Name:
		if f.User, f.Err = record.Users.Open(e); f.Err == nil {
			f.ARN = "arn:aws:iam::" + f.User.Account + ":user" + f.User.Path + f.User.Name
		}
	case record.Roles.Name:
		if f.Role, f.Err = record.Roles.Open(e); f.Err == nil {
			f.ARN = "arn:aws:iam::" + f.Role.Account + ":role" + f.Role.Path + f.Role.Name
		}
	case record.Accounts.Name:
		if f.Account, f.Err = record.Accounts.Open(e); f.Err == nil {
			f.ARN = "arn:aws:iam::" + f.Account.ID + ":root"
		}
	default:
		f.Err = errToken
	}
	return f
}

// longTermKeys are the access keys in the record.
func (f *Form) longTermKeys() []record.AccessKey {
	switch {
	case f.User != nil:
		return f.User.Keys
	case f.Account != nil:
		return f.Account.RootKeys
	}
	return nil
}

// signingKeys keeps the signing keys last derived from the secrets of one
// record or token, whose bytes never change under it.
type signingKeys struct {
	next  atomic.Uint32
	slots [4]atomic.Pointer[signingSlot]
}

type signingSlot struct {
	keyID string
	scope sigv4.Scope
	key   sigv4.SigningKey
}

func (k *signingKeys) get(keyID string, scope *sigv4.Scope) *sigv4.SigningKey {
	for i := range k.slots {
		if s := k.slots[i].Load(); s != nil && s.keyID == keyID && (s.scope == *scope || failpoint.On(failpoint.KeyForAnyDay)) {
			return &s.key
		}
	}
	return nil
}

func (k *signingKeys) derive(keyID string, scope *sigv4.Scope, secret []byte) *sigv4.SigningKey {
	own := sigv4.Scope{Date: strings.Clone(scope.Date), Region: strings.Clone(scope.Region), Service: strings.Clone(scope.Service)} // not the request's memory
	s := &signingSlot{keyID: strings.Clone(keyID), scope: own, key: sigv4.DeriveKey(string(secret), *scope)}
	k.slots[k.next.Add(1)%uint32(len(k.slots))].Store(s)
	return &s.key
}
