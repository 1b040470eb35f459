package operator

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// Limits of a service's record.
const (
	maxItems = 64   // of each list
	maxItem  = 1024 // bytes of each item
)

var (
	serviceForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)
	callerForm  = regexp.MustCompile(`^arn:aws:iam::[0-9]{12}:(user/([\x21-\x29\x2b-\x2e\x30-\x3e\x40-\x7e]+/)*|role/)[A-Za-z0-9_+=,.@-]{1,64}$`)
	prefixForm  = regexp.MustCompile(`^[a-z0-9-]+:[A-Za-z0-9/_.-]*$`)
	actionForm  = regexp.MustCompile(`^[a-z0-9-]+:[A-Za-z0-9]*$`)
	scopeForm   = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
	hostForm    = regexp.MustCompile(`^([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$`)
	textForm    = regexp.MustCompile(`^[\x21-\x7e]+$`)
)

// NewService is what a service's record is made of.
type NewService struct {
	Name      string   `json:"name"`
	Callers   []string `json:"callers"`
	Scopes    []string `json:"scopes,omitempty"`
	Hosts     []string `json:"hosts,omitempty"`
	Actions   []string `json:"actions"`
	Resources []string `json:"resources"`
	Accounts  []string `json:"accounts"`
	Keys      []string `json:"keys,omitempty"`
}

func createService(in *NewService, _ signers, tx record.Tx, now time.Time) (any, error) {
	s := &record.Service{Name: in.Name, Callers: in.Callers, Scopes: in.Scopes, Hosts: in.Hosts, Actions: in.Actions,
		Resources: in.Resources, Accounts: in.Accounts, Keys: in.Keys, Created: record.At(now)}
	if err := checkName(s.Name, tx); err != nil {
		return nil, err
	}
	if err := checkLists(s); err != nil {
		return nil, err
	}
	if err := checkCallers(s, tx); err != nil {
		return nil, err
	}
	return s, record.Put(tx, record.Services, s)
}

func checkName(name string, r record.Reader) error {
	if len(name) > 128 || !serviceForm.MatchString(name) {
		return refuse("service name %q is no service principal, such as storage.example.com", name)
	}
	if first, rest, _ := strings.Cut(name, "."); slices.Contains(own, first) && strings.HasPrefix(rest, "amazonaws.com") {
		return refuse("service name %s is our own", name)
	}
	if record.Has(r, record.Services, record.None, name) {
		return refuse("service %s exists: delete it first", name)
	}
	return nil
}

// rule says what an item of a list must look like.
type rule struct {
	name  string
	items []string
	least int
	want  string
	good  func(string) bool
}

func checkLists(s *record.Service) error {
	for _, l := range []rule{
		{"caller", s.Callers, 1, "the ARN of a user, or of a role without its path", callerForm.MatchString},
		{"action prefix", s.Actions, 1, "of the form service:Prefix, of a service that is not ours", func(p string) bool { return actionForm.MatchString(p) && foreign(p) }},
		{"resource pattern", s.Resources, 1, "an ARN pattern of six parts of a service that is not ours, or *", goodPattern},
		{"account", s.Accounts, 1, "twelve digits, or * alone", func(a string) bool {
			return accountForm.MatchString(a) || a == "*" && len(s.Accounts) == 1
		}},
		{"scope", s.Scopes, 0, "the name of a service that is not ours", func(c string) bool { return scopeForm.MatchString(c) && !slices.Contains(own, c) }},
		{"host", s.Hosts, 0, "a host in lower case, with its port if it has one", hostForm.MatchString},
		{"condition key prefix", s.Keys, 0, "of the form service:Prefix, of keys that are not ours", func(p string) bool {
			return prefixForm.MatchString(p) && foreign(p) && !authz.Reserved(p)
		}},
	} {
		if err := l.check(); err != nil {
			return err
		}
	}
	return nil
}

func (l *rule) check() error {
	if len(l.items) < l.least {
		return refuse("a service needs at least one caller, action prefix, resource pattern and account: there is no %s", l.name)
	}
	if len(l.items) > maxItems {
		return refuse("more than %d of one list: %s", maxItems, l.name)
	}
	if twice, ok := repeated(l.items); ok {
		return refuse("%s %q stands twice", l.name, twice)
	}
	for _, item := range l.items {
		if len(item) > maxItem || !l.good(item) {
			return refuse("%s %q is not %s", l.name, item[:min(len(item), 128)], l.want)
		}
	}
	return nil
}

// foreign says that a prefix service:… is of a service that is not ours.
func foreign(prefix string) bool {
	service, _, _ := strings.Cut(prefix, ":")
	return !slices.Contains(own, service)
}

func goodPattern(p string) bool {
	if p == "*" {
		return true
	}
	parts := strings.SplitN(p, ":", 6)
	return len(parts) == 6 && parts[0] == "arn" && parts[5] != "" && textForm.MatchString(p) && !slices.Contains(own, parts[2])
}

// checkCallers: one principal speaks for one service, or nobody could say for
// which it asks.
func checkCallers(s *record.Service, r record.Reader) error {
	for _, c := range s.Callers {
		other := ""
		err := record.Scan(r, record.Services, record.ServiceByCaller, c+record.Sep, "", func(_ string, v *record.Service) bool {
			other = v.Name
			return false
		})
		if err != nil {
			return err
		}
		if other != "" {
			return refuse("caller %s speaks for service %s already", c, other)
		}
	}
	return nil
}

type nameIn struct {
	Name string `json:"name"`
}

func deleteService(in *nameIn, _ signers, tx record.Tx, _ time.Time) (any, error) {
	if !serviceForm.MatchString(in.Name) {
		return nil, refuse("there is no service %q", in.Name)
	}
	s, err := record.Get(tx, record.Services, record.None, in.Name)
	if err != nil {
		return nil, missing(err, "there is no service %q", in.Name)
	}
	record.Delete(tx, record.Services, s)
	return s, nil
}
