package operator

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// NewAccount is an account with its root key, shown once.
type NewAccount struct {
	Account    string `json:"account"`
	RootKeyID  string `json:"rootAccessKeyId"`
	RootSecret string `json:"rootSecretAccessKey"`
}

// AccountLine is an account as a list shows it: nothing of its keys.
type AccountLine struct {
	ID      string      `json:"id"`
	Name    string      `json:"name,omitempty"`
	Alias   string      `json:"alias,omitempty"`
	Created record.Time `json:"created"`
}

func line(a *record.Account) AccountLine { return AccountLine{a.ID, a.Name, a.Alias, a.Created} }

type accountIn struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

type idIn struct {
	ID string `json:"id"`
}

func (s *Server) createAccount(in *accountIn, _ signers, tx record.Tx, now time.Time) (any, error) {
	if in.ID == "" {
		var b [8]byte
		rand.Read(b[:]) // never fails (crypto/rand)
		in.ID = fmt.Sprintf("%012d", 100_000_000_000+binary.BigEndian.Uint64(b[:])%900_000_000_000)
	}
	switch {
	case !accountForm.MatchString(in.ID):
		return nil, refuse("account %q is not twelve digits", in.ID)
	case !plain(in.Name, 128):
		return nil, refuse("the account's name is longer than 128 bytes or holds what cannot be printed")
	case record.Has(tx, record.Accounts, in.ID, in.ID):
		return nil, refuse("account %s exists", in.ID)
	}
	return s.MakeAccount(tx, in.ID, in.Name, now)
}

func listAccounts(r record.Reader) (any, error) {
	all, err := list(r, record.Accounts, record.AccountByID)
	out := []AccountLine{}
	for _, a := range all {
		out = append(out, line(a))
	}
	return out, err
}

// held are the indexes that list what an account must not hold to be deleted.
var held = []struct{ index, one, many string }{
	{record.UserByName.Name, "user", "users"}, {record.GroupByName.Name, "group", "groups"}, {record.RoleByName.Name, "role", "roles"},
	{record.PolicyByName.Name, "policy", "policies"}, {record.ProfileByName.Name, "instance profile", "instance profiles"},
}

// countMost bounds the counting of what an account holds.
const countMost = 1000

// holds says what is in an account, such as "2 users, 1 role"; "" for nothing.
func holds(r record.Reader, account string) string {
	var parts []string
	for _, h := range held {
		n := 0
		r.Range(h.index, account+record.Sep, "", func(string, *record.Entry) bool {
			n++
			return n <= countMost
		})
		switch {
		case n > countMost:
			parts = append(parts, fmt.Sprintf("more than %d %s", countMost, h.many))
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, h.many))
		case n == 1:
			parts = append(parts, "1 "+h.one)
		}
	}
	return strings.Join(parts, ", ")
}

func deleteAccount(in *idIn, _ signers, tx record.Tx, _ time.Time) (any, error) {
	if !accountForm.MatchString(in.ID) {
		return nil, refuse("account %q is not twelve digits", in.ID)
	}
	a, err := record.Get(tx, record.Accounts, in.ID, in.ID)
	if err != nil {
		return nil, missing(err, "there is no account %s", in.ID)
	}
	if left := holds(tx, in.ID); left != "" {
		return nil, refuse("account %s still holds %s: delete what is in it first", in.ID, left)
	}
	record.Delete(tx, record.Accounts, a)
	record.Delete(tx, record.Freshnesses, &record.Freshness{Account: a.ID})
	record.Delete(tx, record.STSPreferences, &record.STSPreference{Account: a.ID})
	// With its keys goes everything that is sealed under them: a later account
	// of the same id opens nothing of this one's.
	var keys []*record.AccountKey
	err = record.Scan(tx, record.AccountKeys, record.AccountKeyByAccount, in.ID+record.Sep, "", func(_ string, k *record.AccountKey) bool {
		keys = append(keys, k)
		return true
	})
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		record.Delete(tx, record.AccountKeys, k)
	}
	for _, k := range a.RootKeys {
		record.Delete(tx, record.KeyUses, &record.KeyUse{Account: a.ID, Key: k.ID})
	}
	return line(a), nil
}
