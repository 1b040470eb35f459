package operator

import (
	"cmp"
	"errors"
	"slices"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
	"github.com/holdfast-iam/holdfast/policy"
)

type containIn struct {
	Principal string      `json:"principal"` // ARN of a user, a role or an account's root
	Since     record.Time `json:"since"`     // what was made from then on may be of the principal's making
}

// Containment is what has to be denied so that a principal can do nothing any
// more, and what it could have left behind. Operators alone lift a denial: no
// permission of the principal's, be it an account's administrator or root,
// reaches it.
type Containment struct {
	Principal string   `json:"principal"`
	ID        string   `json:"id"`
	Deny      []Denied `json:"deny"`
	// Assumes lists the roles that it may assume: its sessions of them are
	// denied with it, however long the chain; the roles' other users are not.
	Assumes []string `json:"assumes"`
	// Made lists what was made since and that it may make: of its making, or
	// somebody else's.
	Made []Thing `json:"made"`
}

// Thing is a principal or a key, and the one denial that would refuse it.
type Thing struct {
	What    string      `json:"what"` // access key, user, role
	Name    string      `json:"name"` // of the user or role
	Created record.Time `json:"created"`
	Deny    Denied      `json:"deny"`
}

// contain plans; to deny is another command, so that the same plan serves the
// control plane and a Region that is cut off.
func (s *Server) contain(in *containIn, v *view.View) (any, error) {
	c, err := authn.Unproven(v, in.Principal)
	var f *fault.Error
	if errors.As(err, &f) {
		return nil, refuse("%s", f.Message)
	}
	if err != nil {
		return nil, err
	}
	out := &Containment{Principal: c.ARN, ID: c.ID, Deny: []Denied{}, Assumes: []string{}, Made: []Thing{}}
	var keys []record.AccessKey
	switch c.Kind {
	case authn.User:
		u, err := record.Get(v, record.Users, c.Account, c.ID)
		if err != nil {
			return nil, err
		}
		keys = u.Keys
		out.deny(record.DenyID, c.ID)
		for _, k := range u.ServiceCredentials {
			out.deny(record.DenyKey, k.ID)
		}
	case authn.RoleSession:
		out.deny(record.DenyID, c.ID)
	case authn.Root:
		a, err := record.Get(v, record.Accounts, c.Account, c.Account)
		if err != nil {
			return nil, err
		}
		keys = a.RootKeys
	default:
		return nil, refuse("%s is no user, role or root", in.Principal)
	}
	for _, k := range keys {
		out.deny(record.DenyKey, k.ID)
	}
	out.deny(record.DenyBefore, c.ID)
	return out, s.left(out, c, in.Since, v)
}

func (c *Containment) deny(scope, target string) {
	c.Deny = append(c.Deny, Denied{Scope: scope, Target: target})
}

// left finds what the principal may assume, and what it may have made.
func (s *Server) left(out *Containment, c *authn.Caller, since record.Time, v *view.View) error {
	now := s.Now()
	may := func(action, resource, account, trust string) bool {
		return s.Authorizer.Decide(v, &authz.Question{Caller: c, Action: action, Resource: resource, Account: account, Trust: trust, Now: now}).Kind == policy.Allowed
	}
	err := record.Scan(v, record.Roles, record.RoleByName, "", "", func(_ string, r *record.Role) bool {
		arn := "arn:aws:iam::" + r.Account + ":role" + r.Path + r.Name
		if r.ID != c.ID && may("sts:AssumeRole", arn, r.Account, r.Trust) {
			out.Assumes = append(out.Assumes, arn)
		}
		if r.Account == c.Account && r.Created >= since && r.ID != c.ID && may("iam:CreateRole", arn, r.Account, "") {
			out.Made = append(out.Made, Thing{"role", r.Name, r.Created, Denied{Scope: record.DenyID, Target: r.ID}})
		}
		return true
	})
	if err != nil {
		return err
	}
	err = record.Scan(v, record.Users, record.UserByName, c.Account+record.Sep, "", func(_ string, u *record.User) bool {
		arn := "arn:aws:iam::" + u.Account + ":user" + u.Path + u.Name
		if u.ID == c.ID {
			return true
		}
		if u.Created >= since && may("iam:CreateUser", arn, u.Account, "") {
			out.Made = append(out.Made, Thing{"user", u.Name, u.Created, Denied{Scope: record.DenyID, Target: u.ID}})
		}
		for _, k := range u.Keys {
			if k.Created >= since && may("iam:CreateAccessKey", arn, u.Account, "") {
				out.Made = append(out.Made, Thing{"access key", u.Name, k.Created, Denied{Scope: record.DenyKey, Target: k.ID}})
			}
		}
		return true
	})
	slices.SortStableFunc(out.Made, func(a, b Thing) int { return cmp.Compare(a.Created, b.Created) })
	return err
}
