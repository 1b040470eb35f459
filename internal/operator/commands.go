package operator

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

var (
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	serviceForm = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)
	actionForm  = regexp.MustCompile(`^[a-z0-9-]+:[A-Za-z0-9]*$`)
	callerForm  = regexp.MustCompile(`^arn:aws:iam::[0-9]{12}:(user|role)/[\x21-\x7e]+$`)
)

// own are the services whose actions no other service may ask about.
var own = []string{"iam:", "sts:", "organizations:", "signin:", "holdfast:"}

// command finds a command by its name; what is not here is refused.
func (s *Server) command(c *operatorpb.Command) (*command, error) {
	switch c.Name {
	case "service.create":
		return with(c, s.createService)
	case "service.list":
		return &command{read: func(r record.Reader) (any, error) {
			return list(r, record.Services, record.ServiceByName)
		}}, nil
	case "service.delete":
		return with(c, s.deleteService)
	case "deny.create":
		return with(c, s.deny)
	case "deny.list":
		return &command{read: func(r record.Reader) (any, error) { return list(r, record.Denials, record.DenialByTarget) }}, nil
	case "deny.lift":
		return with(c, s.lift)
	case "account.create":
		return with(c, s.createAccount)
	case "account.list":
		return &command{read: listAccounts}, nil
	case "account.delete":
		return with(c, s.deleteAccount)
	}
	return nil, fmt.Errorf("operator: there is no command %q", c.Name)
}

// with reads a command's arguments strictly.
func with[In any](c *operatorpb.Command, apply func(in *In, by string, tx record.Tx, now time.Time) (any, error)) (*command, error) {
	in := new(In)
	d := json.NewDecoder(bytes.NewReader(c.Arguments))
	d.DisallowUnknownFields()
	if err := d.Decode(in); err != nil {
		return nil, fmt.Errorf("operator: arguments of %s: %w", c.Name, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("operator: arguments of %s: more than one value", c.Name)
	}
	return &command{apply: func(tx record.Tx, now time.Time) (any, error) { return apply(in, c.Operator, tx, now) }}, nil
}

func list[R any](r record.Reader, k *record.Kind[R], ix *record.Index[R]) ([]*R, error) {
	out := []*R{}
	err := record.Scan(r, k, ix, "", "", func(_ string, v *R) bool {
		out = append(out, v)
		return true
	})
	return out, err
}

func (s *Server) createService(in *record.Service, _ string, tx record.Tx, now time.Time) (any, error) {
	in.Created = record.At(now)
	if err := checkService(in, tx); err != nil {
		return nil, err
	}
	return in, record.Put(tx, record.Services, in)
}

// checkService says what is wrong with a service's record.
func checkService(s *record.Service, r record.Reader) error {
	switch {
	case !serviceForm.MatchString(s.Name):
		return fmt.Errorf("service name %q is no service principal, such as storage.example.com", s.Name)
	case record.Has(r, record.Services, record.None, s.Name):
		return fmt.Errorf("service %s exists: delete it first", s.Name)
	case len(s.Callers) == 0 || len(s.Actions) == 0 || len(s.Resources) == 0 || len(s.Accounts) == 0:
		return errors.New("a service needs at least one caller, action prefix, resource pattern and account")
	}
	for _, c := range s.Callers {
		if !callerForm.MatchString(c) {
			return fmt.Errorf("caller %q is no ARN of a user or role", c)
		}
	}
	for _, a := range s.Actions {
		if !actionForm.MatchString(a) {
			return fmt.Errorf("action prefix %q is not of the form service:Prefix", a)
		}
		for _, o := range own {
			if strings.HasPrefix(a, o) {
				return fmt.Errorf("action prefix %q: no service may ask about %s actions", a, o)
			}
		}
	}
	for _, a := range s.Accounts {
		if a != "*" && !accountForm.MatchString(a) {
			return fmt.Errorf("account %q is not twelve digits or *", a)
		}
	}
	for _, p := range s.Resources {
		if p != "*" && (!strings.HasPrefix(p, "arn:") || strings.Count(p, ":") < 5) {
			return fmt.Errorf("resource pattern %q is no ARN pattern", p)
		}
	}
	return nil
}

type nameIn struct {
	Name string `json:"name"`
}

func (s *Server) deleteService(in *nameIn, _ string, tx record.Tx, _ time.Time) (any, error) {
	v, err := record.Get(tx, record.Services, record.None, in.Name)
	if err != nil {
		return nil, fmt.Errorf("there is no service %q", in.Name)
	}
	record.Delete(tx, record.Services, v)
	return v, nil
}

type denyIn struct {
	Scope   string      `json:"scope"`
	Target  string      `json:"target"`
	Account string      `json:"account,omitempty"`
	Before  record.Time `json:"before,omitempty"`
	Reason  string      `json:"reason,omitempty"`
}

func (s *Server) deny(in *denyIn, by string, tx record.Tx, now time.Time) (any, error) {
	if in.Target == "" || strings.ContainsAny(in.Target, "*? \x00") || len(in.Target) > 256 || len(in.Reason) > 1024 {
		return nil, fmt.Errorf("target %q: a denial names one thing, never a pattern", in.Target)
	}
	switch in.Scope {
	case record.DenySession, record.DenyKey, record.DenyID, record.DenyMinter, record.DenyAccount:
	case record.DenyBefore:
		if in.Before == 0 {
			in.Before = record.At(now)
		}
	case record.DenyIdentity:
		if !accountForm.MatchString(in.Account) {
			return nil, errors.New("a source identity is denied in one account: name it")
		}
	default:
		return nil, fmt.Errorf("there is no scope %q", in.Scope)
	}
	var id [8]byte
	rand.Read(id[:])
	d := &record.Denial{ID: hex.EncodeToString(id[:]), Scope: in.Scope, Target: in.Target, Account: in.Account, Before: in.Before,
		Reason: in.Reason, By: by, Created: record.At(now)}
	return d, record.Put(tx, record.Denials, d)
}

type idIn struct {
	ID string `json:"id"`
}

// lift leaves a tombstone. In production it takes two operators, which this
// release does not have: there it is refused.
func (s *Server) lift(in *idIn, _ string, tx record.Tx, _ time.Time) (any, error) {
	g, err := record.Get(tx, record.Geneses, record.None, "genesis")
	if err != nil {
		return nil, err
	}
	if g.Mode != "development" {
		return nil, errors.New("lifting a denial takes two operators in a production deployment")
	}
	d, err := record.Get(tx, record.Denials, record.None, in.ID)
	if err != nil {
		return nil, fmt.Errorf("there is no denial %q", in.ID)
	}
	d.Lifted = true
	return d, record.Put(tx, record.Denials, d)
}

type accountIn struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

func (s *Server) createAccount(in *accountIn, _ string, tx record.Tx, now time.Time) (any, error) {
	if in.ID == "" {
		var b [8]byte
		rand.Read(b[:])
		n := uint64(0)
		for _, c := range b {
			n = n<<8 | uint64(c)
		}
		in.ID = fmt.Sprintf("%012d", 100_000_000_000+n%900_000_000_000)
	}
	if !accountForm.MatchString(in.ID) || len(in.Name) > 128 {
		return nil, fmt.Errorf("account %q is not twelve digits, or its name is longer than 128 bytes", in.ID)
	}
	if record.Has(tx, record.Accounts, in.ID, in.ID) {
		return nil, fmt.Errorf("account %s exists", in.ID)
	}
	return s.MakeAccount(tx, in.ID, in.Name, now)
}

// accountLine is an account as a list shows it: nothing of its keys.
type accountLine struct {
	ID      string      `json:"id"`
	Name    string      `json:"name"`
	Alias   string      `json:"alias,omitempty"`
	Created record.Time `json:"created"`
}

func listAccounts(r record.Reader) (any, error) {
	all, err := list(r, record.Accounts, record.AccountByID)
	out := []accountLine{}
	for _, a := range all {
		out = append(out, accountLine{a.ID, a.Name, a.Alias, a.Created})
	}
	return out, err
}

func (s *Server) deleteAccount(in *idIn, _ string, tx record.Tx, _ time.Time) (any, error) {
	a, err := record.Get(tx, record.Accounts, in.ID, in.ID)
	if err != nil {
		return nil, fmt.Errorf("there is no account %q", in.ID)
	}
	for _, index := range []string{record.UserByName.Name, record.GroupByName.Name, record.RoleByName.Name, record.PolicyByName.Name, record.ProfileByName.Name} {
		held := ""
		tx.Range(index, in.ID+record.Sep, "", func(_ string, e *record.Entry) bool {
			held = e.Key.Kind()
			return false
		})
		if held != "" {
			return nil, fmt.Errorf("account %s still holds a %s: delete what is in it first", in.ID, held)
		}
	}
	record.Delete(tx, record.Accounts, a)
	return accountLine{a.ID, a.Name, a.Alias, a.Created}, nil
}
