package iam

import (
	"time"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
)

func keyOps(env Env) []api.Op {
	create := write("CreateAccessKey", maybeUser[createKeyIn], createAccessKey)
	create = api.WithPrepare(create, func(c *api.Call, _ *createKeyIn) (madeKey, error) {
		k, secret, err := env.NewAccessKey(c.Tx, c.Account, c.Now)
		return madeKey{k, secret}, err
	})
	return []api.Op{
		create,
		write("UpdateAccessKey", maybeUser[updateKeyIn], updateAccessKey),
		write("DeleteAccessKey", maybeUser[deleteKeyIn], deleteAccessKey),
		read("ListAccessKeys", maybeUser[listKeysIn], listAccessKeys),
		read("GetAccessKeyLastUsed", anything[lastUsedIn], getAccessKeyLastUsed),
	}
}

// madeKey is what prepare makes: a sealed key, and its secret for the answer.
type madeKey struct {
	key    record.AccessKey
	secret string
}

type createKeyIn struct{ UserName UserName }

func (in *createKeyIn) userName() string { return string(in.UserName) }

type accessKey struct {
	UserName        string
	AccessKeyId     string
	Status          string
	SecretAccessKey string
	CreateDate      time.Time
}

type createKeyOut struct{ AccessKey accessKey }

// holder is whose keys an operation is about: a user's, or root's own.
type holder struct {
	user    *record.User
	account *record.Account
	keys    *[]record.AccessKey
	name    string
}

func keyHolder(c *api.Call, name string) (*holder, error) {
	if name == "" && (c.Caller.Kind == authn.Root || c.Caller.Kind == authn.RootSession) {
		a, err := record.Get(c.Tx, record.Accounts, c.Account, c.Account)
		if err != nil {
			return nil, err
		}
		return &holder{account: a, keys: &a.RootKeys}, nil
	}
	u, err := userOr(c, name)
	if err != nil {
		return nil, err
	}
	return &holder{user: u, keys: &u.Keys, name: u.Name}, nil
}

func (h *holder) save(c *api.Call) error {
	if h.account != nil {
		return record.Put(c.Tx, record.Accounts, h.account)
	}
	return record.Put(c.Tx, record.Users, h.user)
}

func (h *holder) find(id string) (int, error) {
	for i := range *h.keys {
		if (*h.keys)[i].ID == id {
			return i, nil
		}
	}
	return 0, fault.NoSuchEntity.Errorf("The Access Key with id %s cannot be found.", id)
}

func status(active bool) string {
	if active {
		return "Active"
	}
	return "Inactive"
}

func createAccessKey(c *api.Call, in *createKeyIn) (*createKeyOut, error) {
	h, err := keyHolder(c, string(in.UserName))
	if err != nil {
		return nil, err
	}
	if len(*h.keys) >= maxKeys {
		return nil, fault.LimitExceeded.Errorf("Cannot exceed quota for AccessKeysPerUser: %d", maxKeys)
	}
	made := c.Made.(madeKey)
	*h.keys = append(*h.keys, made.key)
	return &createKeyOut{accessKey{h.name, made.key.ID, "Active", made.secret, stamp(made.key.Created)}}, h.save(c)
}

type updateKeyIn struct {
	UserName    UserName
	AccessKeyId KeyID  `q:"required"`
	Status      Status `q:"required"`
}

func (in *updateKeyIn) userName() string { return string(in.UserName) }

func updateAccessKey(c *api.Call, in *updateKeyIn) (*api.Nothing, error) {
	h, err := keyHolder(c, string(in.UserName))
	if err != nil {
		return nil, err
	}
	i, err := h.find(string(in.AccessKeyId))
	if err != nil {
		return nil, err
	}
	if (*h.keys)[i].Active, err = active(in.Status); err != nil {
		return nil, err
	}
	return &api.Nothing{}, h.save(c)
}

type deleteKeyIn struct {
	UserName    UserName
	AccessKeyId KeyID `q:"required"`
}

func (in *deleteKeyIn) userName() string { return string(in.UserName) }

func deleteAccessKey(c *api.Call, in *deleteKeyIn) (*api.Nothing, error) {
	h, err := keyHolder(c, string(in.UserName))
	if err != nil {
		return nil, err
	}
	i, err := h.find(string(in.AccessKeyId))
	if err != nil {
		return nil, err
	}
	*h.keys = append((*h.keys)[:i:i], (*h.keys)[i+1:]...)
	return &api.Nothing{}, h.save(c)
}

type listKeysIn struct {
	UserName UserName
	page
}

func (in *listKeysIn) userName() string { return string(in.UserName) }

type keyMetadata struct {
	UserName    string
	AccessKeyId string
	Status      string
	CreateDate  time.Time
}

type listKeysOut struct {
	AccessKeyMetadata []keyMetadata
	paged
}

func listAccessKeys(c *api.Call, in *listKeysIn) (*listKeysOut, error) {
	h, err := keyHolder(c, string(in.UserName))
	if err != nil {
		return nil, err
	}
	list, p, err := slice(c, *h.keys, in.page)
	if err != nil {
		return nil, err
	}
	out := &listKeysOut{AccessKeyMetadata: []keyMetadata{}, paged: p}
	for _, k := range list {
		out.AccessKeyMetadata = append(out.AccessKeyMetadata, keyMetadata{h.name, k.ID, status(k.Active), stamp(k.Created)})
	}
	return out, nil
}

type lastUsedIn struct {
	AccessKeyId KeyID `q:"required"`
}

type lastUsed struct {
	LastUsedDate *time.Time
	ServiceName  string
	Region       string
}

type lastUsedOut struct {
	UserName          string
	AccessKeyLastUsed lastUsed
}

func getAccessKeyLastUsed(c *api.Call, in *lastUsedIn) (*lastUsedOut, error) {
	gone := fault.AccessDenied.Errorf("User: %s is not authorized to perform: iam:GetAccessKeyLastUsed on resource: access key %s", c.Caller.ARN, in.AccessKeyId)
	u, err := record.Find(c.Tx, record.Users, record.UserByKey, string(in.AccessKeyId))
	if err != nil || u.Account != c.Account {
		return nil, gone
	}
	out := &lastUsedOut{UserName: u.Name, AccessKeyLastUsed: lastUsed{ServiceName: "N/A", Region: "N/A"}}
	if use, err := record.Get(c.Tx, record.KeyUses, c.Account, string(in.AccessKeyId)); err == nil {
		t := stamp(use.Last)
		out.AccessKeyLastUsed = lastUsed{&t, use.Service, use.Region}
	}
	return out, nil
}

// active reads a status that a caller may set: Expired is one that only time
// gives.
func active(s Status) (bool, error) {
	if s == "Expired" {
		return false, fault.InvalidInput.Errorf("Status Expired cannot be set; set Active or Inactive.")
	}
	return s == "Active", nil
}
