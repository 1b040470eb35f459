package drill

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Path is of everything that a drill makes in an account.
const Path = "/holdfast-drill/"

// Cast are the principals that a load asks as: what each may do is known.
type Cast struct {
	Name    string // of user and role
	Account string
	Admin   Credential
	User    Credential // may read itself and assume the role
	Revoked Credential // of the same user, inactive since before the load
	Session Credential // of the role, which may read itself
	Door    bool       // a service is registered for which the user asks
}

// NewCast makes them, and waits until no node has yet to hear of them.
func NewCast(ctx context.Context, c *Client, admin Credential, account string) (*Cast, error) {
	k := &Cast{Name: "holdfast-drill-" + strings.ToLower(rand.Text()[:8]), Account: account, Admin: admin}
	m := maker{ctx, c, admin, nil}
	user, role := "arn:aws:iam::"+account+":user"+Path+k.Name, k.RoleARN()
	m.iam("CreateUser", "UserName", k.Name, "Path", Path)
	m.iam("PutUserPolicy", "UserName", k.Name, "PolicyName", "drill", "PolicyDocument", fmt.Sprintf(`{"Version":"2012-10-17","Statement":[`+
		`{"Effect":"Allow","Action":"iam:GetUser","Resource":%q},{"Effect":"Allow","Action":"sts:AssumeRole","Resource":%q},`+
		`{"Effect":"Allow","Action":["holdfast:Authorize","holdfast:Authenticate","holdfast:AuthorizeUnproven"],"Resource":"*"}]}`, user, role))
	m.iam("CreateRole", "RoleName", k.Name, "Path", Path, "AssumeRolePolicyDocument",
		fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":%q},"Action":"sts:AssumeRole"}}`, account))
	m.iam("PutRolePolicy", "RoleName", k.Name, "PolicyName", "drill", "PolicyDocument",
		fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:GetRole","Resource":%q},{"Effect":"Allow","Action":"drill:Read","Resource":"*"}]}`, role))
	k.User = m.iam("CreateAccessKey", "UserName", k.Name).Credential()
	k.Revoked = m.iam("CreateAccessKey", "UserName", k.Name).Credential()
	m.iam("UpdateAccessKey", "UserName", k.Name, "AccessKeyId", k.Revoked.ID, "Status", "Inactive")
	if m.err != nil {
		return k, m.err
	}
	return k, k.assume(ctx, c)
}

// assume takes a session of the role. A node that was too slow to be waited for may
// yet have to hear of the key.
func (k *Cast) assume(ctx context.Context, c *Client) error {
	for begun := c.Now(); ; <-time.After(lookPause) {
		a, err := c.Call(ctx, k.User, "sts", "AssumeRole", "RoleArn", k.RoleARN(), "RoleSessionName", "drill")
		switch {
		case err == nil && a.Status == 200:
			k.Session = a.Credential()
			return nil
		case ctx.Err() != nil || c.Now().Sub(begun) > makePatience:
			return errors.Join(fmt.Errorf("AssumeRole: %s", a), err)
		}
	}
}

// String is an answer in a line.
func (a *Answer) String() string {
	if a == nil {
		return ""
	}
	return fmt.Sprintf("%d %s", a.Status, a.Code())
}

// RoleARN is the role's.
func (k *Cast) RoleARN() string { return "arn:aws:iam::" + k.Account + ":role" + Path + k.Name }

// maker calls operations until one fails.
type maker struct {
	ctx   context.Context
	c     *Client
	admin Credential
	err   error
}

func (m *maker) iam(action string, params ...string) *Answer {
	if m.err != nil {
		return &Answer{}
	}
	a, err := m.patiently(action, params)
	gone := err == nil && a.Code() == "NoSuchEntity" && strings.HasPrefix(action, "Delete") // a Region may list what is deleted already
	if err == nil && a.Status != 200 && !gone {
		err = errors.New(a.String())
	}
	if err != nil {
		m.err = fmt.Errorf("%s: %w", action, err)
		return &Answer{}
	}
	return a
}

// Questions are what the cast asks a Region, with what it will be answered as
// long as nothing about the cast changes.
func (k *Cast) Questions(c *Client) []Question {
	list := []Question{
		{Name: "who am I", Who: k.User, Service: "sts", Action: "GetCallerIdentity", Want: "200"},
		{Name: "read what is allowed", Who: k.User, Service: "iam", Action: "GetUser", Params: []string{"UserName", k.Name}, Want: "200"},
		{Name: "read what is not allowed", Who: k.User, Service: "iam", Action: "ListUsers", Want: "403 AccessDenied"},
		{Name: "assume a role", Who: k.User, Service: "sts", Action: "AssumeRole", Params: []string{"RoleArn", k.RoleARN(), "RoleSessionName", "drill"}, Want: "200"},
		{Name: "read as the role", Who: k.Session, Service: "iam", Action: "GetRole", Params: []string{"RoleName", k.Name}, Want: "200"},
		{Name: "read as the role what is not allowed", Who: k.Session, Service: "iam", Action: "ListRoles", Want: "403 AccessDenied"},
		{Name: "sign with an inactive key", Who: k.Revoked, Service: "sts", Action: "GetCallerIdentity", Want: "403 InvalidClientTokenId", Revoked: true},
	}
	if k.Door {
		list = append(list, k.decision("decision: allowed", "drill:Read", `"decision":"Allowed"`), k.decision("decision: denied", "drill:Write", `"decision":"ImplicitDeny"`))
	}
	for i := range list {
		list[i].Client = c
	}
	return list
}

// ServiceName is the service for which the user of a cast asks.
const ServiceName = "drill.example.com"

func (k *Cast) decision(name, action, want string) Question {
	body, _ := json.Marshal(map[string]any{"principal": "arn:aws:sts::" + k.Account + ":assumed-role/" + k.Name + "/drill", "action": action, "resource": "arn:aws:drill:::thing"})
	return Question{Name: name, Who: k.User, Path: "/holdfast/v1/authorize", Body: body, Want: want}
}

// Remove takes away everything under Path, also what earlier drills left.
func Remove(ctx context.Context, c *Client, admin Credential) error {
	m := maker{ctx, c, admin, nil}
	for {
		users, err := c.Users(ctx, admin, Path)
		if err != nil || len(users) == 0 {
			if err != nil {
				return err
			}
			break
		}
		for name := range users {
			m.removeUser(name)
		}
		if m.err != nil {
			return m.err
		}
	}
	for _, name := range m.iam("ListRoles", "PathPrefix", Path).Elements("RoleName") {
		for _, p := range m.iam("ListRolePolicies", "RoleName", name).Elements("member") {
			m.iam("DeleteRolePolicy", "RoleName", name, "PolicyName", p)
		}
		m.iam("DeleteRole", "RoleName", name)
	}
	return m.err
}

// makePatience is for how long a change is tried, as SDKs do, with the same
// invocation id: what the drill needs may be made on a busy machine.
const makePatience = 60 * time.Second

func (m *maker) patiently(action string, params []string) (*Answer, error) {
	id, begun := rand.Text(), m.c.Now()
	for {
		ctx, cancel := context.WithTimeout(m.ctx, makePatience)
		a, err := m.c.CallAs(ctx, id, m.admin, "iam", action, params...)
		cancel()
		if err == nil && a.Status < 500 && a.Code() != "Throttling" || m.ctx.Err() != nil || m.c.Now().Sub(begun) > makePatience {
			return a, err
		}
		<-time.After(lookPause)
	}
}

func (m *maker) removeUser(name string) {
	if !strings.Contains(name, "-w-") { // the ledger's have neither keys nor policies
		for _, id := range m.iam("ListAccessKeys", "UserName", name).Elements("AccessKeyId") {
			m.iam("DeleteAccessKey", "UserName", name, "AccessKeyId", id)
		}
		for _, p := range m.iam("ListUserPolicies", "UserName", name).Elements("member") {
			m.iam("DeleteUserPolicy", "UserName", name, "PolicyName", p)
		}
	}
	m.iam("DeleteUser", "UserName", name)
}
