package authn

import (
	"strings"

	"github.com/holdfast-iam/holdfast/arn"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Claim is who a caller is, apart from any view: what a token or a handle
// holds.
type Claim struct {
	Kind    Kind
	Account string
	ID      string
	KeyID   string
	Session *Session
}

// claimed finds the principal of a claim in a state. It is an error that the
// principal is gone: its unique id is never given to another.
func claimed(ring *view.Ring, r record.Reader, c Claim) (*Caller, error) {
	out := &Caller{Kind: c.Kind, Account: c.Account, ID: c.ID, KeyID: c.KeyID, Session: c.Session, ring: ring}
	var err error
	switch c.Kind {
	case User, TokenSession:
		err = out.asUser(r)
	case Root, RootSession:
		err = out.asRoot(r)
	case RoleSession:
		err = out.asRole(r)
	case Federated:
		err = out.asFederated(r)
	default:
		err = errToken
	}
	if err != nil {
		return nil, err
	}
	if (c.Session == nil) != (c.Kind == User || c.Kind == Root) {
		return nil, errToken
	}
	return out, nil
}

func (c *Caller) find(r record.Reader, kind string) error {
	e, ok := r.Entry(record.MakeKey(kind, c.Account, c.ID))
	if !ok || e.Bad {
		return errToken
	}
	c.Principal, c.Form = e, FormOf(c.ring, e)
	if c.Form.Err != nil {
		return errToken
	}
	return nil
}

func (c *Caller) asUser(r record.Reader) error {
	if err := c.find(r, record.Users.Name); err != nil {
		return err
	}
	c.UserID, c.ARN = c.Form.User.ID, c.Form.ARN
	return nil
}

func (c *Caller) asRoot(r record.Reader) error {
	if err := c.find(r, record.Accounts.Name); err != nil {
		return err
	}
	c.UserID, c.ARN = c.Account, c.Form.ARN
	return nil
}

func (c *Caller) asRole(r record.Reader) error {
	if err := c.find(r, record.Roles.Name); err != nil {
		return err
	}
	if c.Session == nil {
		return errToken
	}
	role := c.Form.Role
	c.UserID = role.ID + ":" + c.Session.Name
	c.ARN = "arn:aws:sts::" + role.Account + ":assumed-role/" + role.Name + "/" + c.Session.Name
	return nil
}

// asFederated is GetFederationToken's: the user (or root) who asked is the
// principal whose policies bound it.
func (c *Caller) asFederated(r record.Reader) error {
	if c.Session == nil {
		return errToken
	}
	kind := record.Users.Name
	if c.ID == c.Account {
		kind = record.Accounts.Name
	}
	c.UserID = c.Account + ":" + c.Session.Name
	c.ARN = "arn:aws:sts::" + c.Account + ":federated-user/" + c.Session.Name
	return c.find(r, kind)
}

// Unproven makes a caller of a bare ARN, for questions about somebody who has
// not proved anything: a user, a role, or a role's session.
func Unproven(r record.Reader, text string) (*Caller, error) {
	a, err := arn.Parse(text)
	if err != nil {
		return nil, fault.InvalidParameterValue.Errorf("%q is no ARN of a principal.", text)
	}
	none := fault.NoSuchEntity.Errorf("There is no principal %s.", text)
	kind, rest, _ := strings.Cut(a.Resource, "/")
	switch {
	case a.Service == "iam" && a.Resource == "root":
		c, err := claimed(nil, r, Claim{Kind: Root, Account: a.Account, ID: a.Account})
		if err != nil {
			return nil, none
		}
		return c, nil
	case a.Service == "iam" && kind == "user":
		u, err := record.Find(r, record.Users, record.UserByName, record.NameTerm(a.Account, base(rest)))
		if err != nil || "user"+u.Path+u.Name != a.Resource {
			return nil, none
		}
		return claimed(nil, r, Claim{Kind: User, Account: u.Account, ID: u.ID})
	case a.Service == "iam" && kind == "role":
		role, err := record.Find(r, record.Roles, record.RoleByName, record.NameTerm(a.Account, base(rest)))
		if err != nil || "role"+role.Path+role.Name != a.Resource {
			return nil, none
		}
		return unprovenRole(r, a.Account, role.Name, "unproven", none)
	case a.Service == "sts" && kind == "assumed-role":
		role, name, ok := strings.Cut(rest, "/")
		if ok && name != "" && !strings.Contains(name, "/") {
			return unprovenRole(r, a.Account, role, name, none)
		}
	}
	return nil, fault.InvalidParameterValue.Errorf("%q is no ARN of a user, a role, a role's session or an account's root.", text)
}

func unprovenRole(r record.Reader, account, name, session string, none error) (*Caller, error) {
	role, err := record.Find(r, record.Roles, record.RoleByName, record.NameTerm(account, name))
	if err != nil {
		return nil, none
	}
	return claimed(nil, r, Claim{Kind: RoleSession, Account: account, ID: role.ID, Session: &Session{Name: session}})
}

func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
