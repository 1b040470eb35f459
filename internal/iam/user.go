package iam

import (
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
)

func userOps() []api.Op {
	return []api.Op{
		write("CreateUser", newUser, createUser),
		read("GetUser", maybeUser[getUserIn], getUser),
		write("UpdateUser", renamedUser, updateUser),
		write("DeleteUser", theUser[userIn], deleteUser),
		read("ListUsers", anything[listIn], listUsers),
	}
}

// User is a user on the wire.
type User struct {
	Path                string `q:"omitempty"` // this and the name are not part of root's
	UserName            string `q:"omitempty"`
	UserId              string
	Arn                 string
	CreateDate          time.Time
	PermissionsBoundary *Boundary
	Tags                []Tag `q:"omitempty"`
}

// Boundary is a permissions boundary on the wire.
type Boundary struct {
	PermissionsBoundaryType string
	PermissionsBoundaryArn  string
}

func wireUser(c *api.Call, u *record.User, full bool) (User, error) {
	w := User{Path: u.Path, UserName: u.Name, UserId: u.ID, Arn: userARN(u), CreateDate: stamp(u.Created)}
	if full {
		w.Tags = wireTags(u.Tags)
	}
	var err error
	w.PermissionsBoundary, err = wireBoundary(c, u.Boundary)
	return w, err
}

func wireBoundary(c *api.Call, ref record.PolicyRef) (*Boundary, error) {
	if ref == "" {
		return nil, nil
	}
	p, err := policyAt(c, ref)
	if err != nil {
		return nil, err
	}
	return &Boundary{"Policy", policyARN(p)}, nil
}

// named is an input that names a user; it finds what the caller must be
// allowed to touch.
type userNamed interface{ userName() string }

type userIn struct {
	UserName UserName `q:"required"`
}

// heldIn is userIn where the model bounds the name as for a new one.
type heldIn struct {
	UserName NewUserName `q:"required"`
}

func (in *heldIn) userName() string { return string(in.UserName) }

func (in *userIn) userName() string { return string(in.UserName) }

// theUser is the access of an operation on one user. One that is absent is
// authorized by the ARN that it would have at the root path.
func theUser[In any](c *api.Call, in *In) ([]api.Access, error) {
	return userAccess(c, any(in).(userNamed).userName(), nil)
}

func userAccess(c *api.Call, name string, request []Tag) ([]api.Access, error) {
	u, err := findUser(c, name)
	if err != nil {
		return one(arnOf(c.Account, "user", "/", name), tagContext(request, nil))
	}
	return one(userARN(u), boundaryContext(c, u.Boundary, tagContext(request, u.Tags)))
}

// maybeUser is theUser where no name means the caller itself.
func maybeUser[In any](c *api.Call, in *In) ([]api.Access, error) {
	name := any(in).(userNamed).userName()
	if name == "" {
		if c.Caller.Kind == authn.Root || c.Caller.Kind == authn.RootSession {
			return one("arn:aws:iam::"+c.Account+":root", nil)
		}
		u, err := self(c)
		if err != nil {
			return nil, err
		}
		return one(userARN(u), tagContext(nil, u.Tags))
	}
	return userAccess(c, name, nil)
}

// self is the user who calls.
func self(c *api.Call) (*record.User, error) {
	if c.Caller.Kind != authn.User && c.Caller.Kind != authn.TokenSession {
		return nil, fault.ValidationError.Errorf("Must specify userName when calling with non-User credentials")
	}
	u, err := record.Get(c.Tx, record.Users, c.Account, c.Caller.ID)
	return u, missing(err, "The user with name %s cannot be found.", c.Caller.UserID)
}

// userOr finds the named user, or without a name the caller.
func userOr(c *api.Call, name string) (*record.User, error) {
	if name == "" {
		return self(c)
	}
	return findUser(c, name)
}

type createUserIn struct {
	Path                Path
	UserName            NewUserName `q:"required"`
	PermissionsBoundary *ARN
	Tags                Tags
}

func newUser(c *api.Call, in *createUserIn) ([]api.Access, error) {
	m := tagContext(in.Tags, nil)
	if in.PermissionsBoundary != nil {
		m["iam:PermissionsBoundary"] = []string{string(*in.PermissionsBoundary)}
	}
	return created(arnOf(c.Account, "user", orSlash(in.Path), string(in.UserName)), m, in.Tags, "iam:TagUser")
}

type userOut struct{ User User }

func createUser(c *api.Call, in *createUserIn) (*userOut, error) {
	if record.Fold(string(in.UserName)) != "" && nameTaken(c, record.Users, record.UserByName, string(in.UserName)) {
		return nil, fault.EntityAlreadyExists.Errorf("User with name %s already exists.", in.UserName)
	}
	tags, err := addTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	u := &record.User{Account: c.Account, ID: c.NewID("AIDA"), Name: string(in.UserName), Path: orSlash(in.Path), Created: record.At(c.Now), Tags: tags}
	if in.PermissionsBoundary != nil {
		p, err := findPolicy(c, string(*in.PermissionsBoundary))
		if err != nil {
			return nil, err
		}
		u.Boundary = p.Ref()
	}
	if err := record.Put(c.Tx, record.Users, u); err != nil {
		return nil, err
	}
	w, err := wireUser(c, u, true)
	return &userOut{w}, err
}

func nameTaken[R any](c *api.Call, k *record.Kind[R], ix *record.Index[R], name string) bool {
	_, err := record.Find(c.Tx, k, ix, record.NameTerm(c.Account, name))
	return err == nil
}

type getUserIn struct{ UserName UserName }

func (in *getUserIn) userName() string { return string(in.UserName) }

func getUser(c *api.Call, in *getUserIn) (*userOut, error) {
	if in.UserName == "" && (c.Caller.Kind == authn.Root || c.Caller.Kind == authn.RootSession) {
		a, err := record.Get(c.Tx, record.Accounts, c.Account, c.Account)
		if err != nil {
			return nil, err
		}
		return &userOut{User{UserId: a.ID, Arn: "arn:aws:iam::" + a.ID + ":root", CreateDate: stamp(a.Created)}}, nil
	}
	u, err := userOr(c, string(in.UserName))
	if err != nil {
		return nil, err
	}
	w, err := wireUser(c, u, true)
	return &userOut{w}, err
}

type updateUserIn struct {
	UserName    UserName `q:"required"`
	NewPath     *Path
	NewUserName *NewUserName
}

func (in *updateUserIn) userName() string { return string(in.UserName) }

// renamedUser asks for the user as it is and as it will be: nobody may take a
// name that is outside their reach (IAM API Reference, UpdateUser).
func renamedUser(c *api.Call, in *updateUserIn) ([]api.Access, error) {
	list, err := userAccess(c, in.userName(), nil)
	if u, missing := findUser(c, in.userName()); missing == nil {
		to := arnOf(c.Account, "user", string(or(in.NewPath, Path(u.Path))), string(or(in.NewUserName, NewUserName(u.Name))))
		list = append(list, api.Access{Resource: to, Context: list[0].Context})
	}
	return list, err
}

func updateUser(c *api.Call, in *updateUserIn) (*api.Nothing, error) {
	u, err := findUser(c, string(in.UserName))
	if err != nil {
		return nil, err
	}
	if n := in.NewUserName; n != nil {
		if record.Fold(string(*n)) != record.Fold(u.Name) && nameTaken(c, record.Users, record.UserByName, string(*n)) {
			return nil, fault.EntityAlreadyExists.Errorf("User with name %s already exists.", *n)
		}
		u.Name = string(*n)
	}
	if in.NewPath != nil {
		u.Path = orSlash(*in.NewPath)
	}
	return &api.Nothing{}, record.Put(c.Tx, record.Users, u)
}

func deleteUser(c *api.Call, in *userIn) (*api.Nothing, error) {
	u, err := findUser(c, string(in.UserName))
	if err != nil {
		return nil, err
	}
	switch {
	case len(u.Keys) > 0:
		err = fault.DeleteConflict.Errorf("Cannot delete entity, must delete access keys first.")
	case len(u.Inline) > 0:
		err = fault.DeleteConflict.Errorf("Cannot delete entity, must delete policies first.")
	case len(u.Attached) > 0:
		err = fault.DeleteConflict.Errorf("Cannot delete entity, must detach all policies first.")
	case len(u.Groups) > 0:
		err = fault.DeleteConflict.Errorf("Cannot delete entity, must remove users from group first.")
	case len(u.ServiceCredentials) > 0:
		err = fault.DeleteConflict.Errorf("Cannot delete entity, must delete service specific credentials first.")
	}
	if err != nil {
		return nil, err
	}
	record.Delete(c.Tx, record.Users, u)
	return &api.Nothing{}, nil
}

type listIn struct {
	PathPrefix PathPrefix
	page
}

type listUsersOut struct {
	Users []User
	paged
}

func listUsers(c *api.Call, in *listIn) (*listUsersOut, error) {
	out := &listUsersOut{Users: []User{}}
	var failed error
	p, err := take(c, record.Users, record.UserByName, c.Account+record.Sep, in.page,
		func(u *record.User) bool { return strings.HasPrefix(u.Path, string(in.PathPrefix)) },
		func(u *record.User) {
			w, err := wireUser(c, u, false)
			if err != nil {
				failed = err
			}
			w.PermissionsBoundary = nil
			out.Users = append(out.Users, w)
		})
	if err == nil {
		err = failed
	}
	out.paged = p
	return out, err
}
