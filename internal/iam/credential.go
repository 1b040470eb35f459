package iam

import (
	"slices"
	"time"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/wire"
)

// credentialService is the one service that takes service-specific
// credentials here: the decision doors.
const credentialService = "holdfast.amazonaws.com"

func credentialOps(env Env) []api.Op {
	create := api.WithPrepare(write("CreateServiceSpecificCredential", ofService(theUser[createCredentialIn]), createCredential),
		func(c *api.Call, _ *createCredentialIn) (madeBearer, error) { return makeBearer(env, c), nil })
	reset := api.WithPrepare(write("ResetServiceSpecificCredential", ofService(maybeUser[credentialIn]), resetCredential),
		func(c *api.Call, in *credentialIn) (madeBearer, error) {
			secret, hash := env.NewBearer(string(in.ServiceSpecificCredentialId))
			return madeBearer{"", secret, hash}, nil
		})
	return []api.Op{create, reset,
		write("UpdateServiceSpecificCredential", ofService(maybeUser[updateCredentialIn]), updateCredential),
		write("DeleteServiceSpecificCredential", ofService(maybeUser[credentialIn]), deleteCredential),
		read("ListServiceSpecificCredentials", credentialHolders, listCredentials),
	}
}

// ofService adds iam:ServiceSpecificCredentialServiceName to what the caller is
// asked for: that of every credential there is.
func ofService[In any](on func(*api.Call, *In) ([]api.Access, error)) func(*api.Call, *In) ([]api.Access, error) {
	return func(c *api.Call, in *In) ([]api.Access, error) {
		list, err := on(c, in)
		for i := range list {
			if list[i].Context == nil {
				list[i].Context = map[string][]string{}
			}
			list[i].Context["iam:ServiceSpecificCredentialServiceName"] = []string{credentialService}
			if new, ok := any(in).(*createCredentialIn); ok {
				list[i].Context["iam:ServiceSpecificCredentialServiceName"] = []string{string(new.ServiceName)}
				if new.CredentialAgeDays != nil {
					list[i].Context["iam:ServiceSpecificCredentialAgeDays"] = []string{itoa(int(*new.CredentialAgeDays))}
				}
			}
		}
		return list, err
	}
}

// madeBearer is what prepare makes.
type madeBearer struct {
	id, secret string
	hash       []byte
}

func makeBearer(env Env, c *api.Call) madeBearer {
	id := c.NewID("ACCA")
	secret, hash := env.NewBearer(id)
	return madeBearer{id, secret, hash}
}

// CredentialID, ServiceName and AgeDays are members of these operations.
type (
	CredentialID string
	ServiceName  string
	AgeDays      int
)

// Limits of the types.
func (CredentialID) Limits() wire.Limit { return wire.Limit{Min: 20, Max: 128, Pattern: keyPattern} }
func (AgeDays) Limits() wire.Limit      { return wire.Limit{Min: 1, Max: 36600} }

type credential struct {
	CreateDate                  time.Time
	ExpirationDate              *time.Time
	ServiceName                 string
	ServiceUserName             string
	ServiceCredentialAlias      string
	ServiceCredentialSecret     string `q:"omitempty"`
	ServiceSpecificCredentialId string
	UserName                    string
	Status                      string
}

func wireCredential(u *record.User, k *record.ServiceCredential, secret string) credential {
	w := credential{CreateDate: stamp(k.Created), ServiceName: k.Service, ServiceUserName: k.Name, ServiceCredentialAlias: k.Name, ServiceCredentialSecret: secret,
		ServiceSpecificCredentialId: k.ID, UserName: u.Name, Status: status(k.Active)}
	if k.Expires != 0 {
		t := stamp(k.Expires)
		w.ExpirationDate = &t
	}
	return w
}

type createCredentialIn struct {
	heldIn
	ServiceName       ServiceName `q:"required"`
	CredentialAgeDays *AgeDays
}

type credentialOut struct{ ServiceSpecificCredential credential }

func createCredential(c *api.Call, in *createCredentialIn) (*credentialOut, error) {
	if in.ServiceName != credentialService {
		return nil, fault.NotSupportedService.Errorf("The service %s does not support service specific credentials here; %s does.", in.ServiceName, credentialService)
	}
	u, err := findUser(c, in.userName())
	if err != nil {
		return nil, err
	}
	if len(u.ServiceCredentials) >= maxKeys {
		return nil, fault.LimitExceeded.Errorf("Cannot exceed quota for ServiceSpecificCredentialsPerUser: %d", maxKeys)
	}
	made := c.Made.(madeBearer)
	k := record.ServiceCredential{ID: made.id, Service: credentialService, Name: u.Name + "-at-" + u.Account, Active: true, Created: record.At(c.Now), Hash: made.hash}
	if in.CredentialAgeDays != nil {
		k.Expires = record.At(c.Now.AddDate(0, 0, int(*in.CredentialAgeDays)))
	}
	u.ServiceCredentials = append(u.ServiceCredentials, k)
	return &credentialOut{wireCredential(u, &k, made.secret)}, record.Put(c.Tx, record.Users, u)
}

type credentialIn struct {
	UserName                    NewUserName
	ServiceSpecificCredentialId CredentialID `q:"required"`
}

func (in *credentialIn) userName() string { return string(in.UserName) }

func findCredential(c *api.Call, name, id string) (*record.User, int, error) {
	u, err := userOr(c, name)
	if err != nil {
		return nil, 0, err
	}
	i := slices.IndexFunc(u.ServiceCredentials, func(k record.ServiceCredential) bool { return k.ID == id })
	if i < 0 {
		return nil, 0, fault.NoSuchEntity.Errorf("The service specific credential with id %s cannot be found.", id)
	}
	return u, i, nil
}

func resetCredential(c *api.Call, in *credentialIn) (*credentialOut, error) {
	u, i, err := findCredential(c, in.userName(), string(in.ServiceSpecificCredentialId))
	if err != nil {
		return nil, err
	}
	made := c.Made.(madeBearer)
	u.ServiceCredentials[i].Hash = made.hash
	return &credentialOut{wireCredential(u, &u.ServiceCredentials[i], made.secret)}, record.Put(c.Tx, record.Users, u)
}

type updateCredentialIn struct {
	credentialIn
	Status Status `q:"required"`
}

func updateCredential(c *api.Call, in *updateCredentialIn) (*api.Nothing, error) {
	u, i, err := findCredential(c, in.userName(), string(in.ServiceSpecificCredentialId))
	if err != nil {
		return nil, err
	}
	if u.ServiceCredentials[i].Active, err = active(in.Status); err != nil {
		return nil, err
	}
	return &api.Nothing{}, record.Put(c.Tx, record.Users, u)
}

func deleteCredential(c *api.Call, in *credentialIn) (*api.Nothing, error) {
	u, i, err := findCredential(c, in.userName(), string(in.ServiceSpecificCredentialId))
	if err != nil {
		return nil, err
	}
	u.ServiceCredentials = slices.Delete(u.ServiceCredentials, i, i+1)
	return &api.Nothing{}, record.Put(c.Tx, record.Users, u)
}

type listCredentialsIn struct {
	UserName    NewUserName
	ServiceName ServiceName
	AllUsers    *bool
	page
}

func (in *listCredentialsIn) userName() string { return string(in.UserName) }

type credentialMetadata struct {
	UserName                    string
	Status                      string
	ServiceUserName             string
	ServiceCredentialAlias      string
	CreateDate                  time.Time
	ExpirationDate              *time.Time
	ServiceSpecificCredentialId string
	ServiceName                 string
}

type listCredentialsOut struct {
	ServiceSpecificCredentials []credentialMetadata
	paged
}

// credentialHolders asks for one user, or with AllUsers for every user.
func credentialHolders(c *api.Call, in *listCredentialsIn) ([]api.Access, error) {
	if in.AllUsers != nil && *in.AllUsers {
		return one("*", nil)
	}
	return maybeUser(c, in)
}

func listCredentials(c *api.Call, in *listCredentialsIn) (*listCredentialsOut, error) {
	out := &listCredentialsOut{ServiceSpecificCredentials: []credentialMetadata{}}
	if in.AllUsers != nil && *in.AllUsers {
		if in.UserName != "" {
			return nil, fault.ValidationError.Errorf("UserName and AllUsers cannot be given together.")
		}
		var err error
		out.paged, err = take(c, record.Users, record.UserByName, c.Account+record.Sep, in.page,
			func(u *record.User) bool { return len(u.ServiceCredentials) > 0 },
			func(u *record.User) { out.add(u, u.ServiceCredentials, in.ServiceName) })
		return out, err
	}
	u, err := userOr(c, in.userName())
	if err != nil {
		return nil, err
	}
	list, next, err := slice(c, u.ServiceCredentials, in.page)
	out.add(u, list, in.ServiceName)
	out.paged = next
	return out, err
}

func (out *listCredentialsOut) add(u *record.User, list []record.ServiceCredential, of ServiceName) {
	for _, k := range list {
		if of == "" || string(of) == k.Service {
			w := wireCredential(u, &k, "")
			out.ServiceSpecificCredentials = append(out.ServiceSpecificCredentials,
				credentialMetadata{w.UserName, w.Status, w.ServiceUserName, w.ServiceCredentialAlias, w.CreateDate, w.ExpirationDate, w.ServiceSpecificCredentialId, w.ServiceName})
		}
	}
}
