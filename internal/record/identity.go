package record

// Tag is one key with its value.
type Tag struct {
	Key   string `json:"k"`
	Value string `json:"v,omitempty"`
}

// Inline is a policy that lives inside its user, group or role.
type Inline struct {
	Name     string `json:"name"`
	Document string `json:"doc"`
}

// PolicyRef names a managed policy: account/id. The account of AWS's own is
// "aws".
type PolicyRef string

// AWS is the pseudo-account of the AWS managed policies.
const AWS = "aws"

// AccessKey is a long-term key. The secret is sealed under its account's data
// key; PublicV4A is derived from it when the key is created, so that a SigV4A
// verifier opens nothing.
type AccessKey struct {
	ID         string `json:"id"`
	Active     bool   `json:"active,omitempty"`
	Created    Time   `json:"created"`
	Generation int    `json:"gen"`
	Sealed     []byte `json:"sealed"`
	PublicV4A  []byte `json:"v4a,omitempty"`
}

// ServiceCredential lets a user call one service with a Bearer. Only the
// SHA-256 of its secret is kept: nothing needs to be opened to verify it.
type ServiceCredential struct {
	ID      string `json:"id"`
	Service string `json:"service"`
	Name    string `json:"name"`
	Active  bool   `json:"active,omitempty"`
	Created Time   `json:"created"`
	Expires Time   `json:"expires,omitempty"` // zero: never
	Hash    []byte `json:"hash"`
}

// Account is one AWS-shaped account with the keys of its root user.
type Account struct {
	ID       string      `json:"id"`
	Name     string      `json:"name,omitempty"`
	Alias    string      `json:"alias,omitempty"`
	Created  Time        `json:"created"`
	RootKeys []AccessKey `json:"rootKeys,omitempty"`
	Regions  []string    `json:"regions,omitempty"` // opt-in Regions it has enabled
}

// Freshness is what an account demands of the view that answers for it: none
// demands nothing, and a Region that is cut off goes on answering.
type Freshness struct {
	Account string      `json:"account"`
	Rules   []FreshRule `json:"rules"`
}

// FreshRule demands a view younger than Within seconds for an action, which may
// end in a star: "iam:*", "storage:Delete*", "*".
type FreshRule struct {
	Action string `json:"action"`
	Within int    `json:"within"`
}

// Freshnesses is the kind of Freshness; an account has one at most.
var Freshnesses = &Kind[Freshness]{Name: "freshness", Version: 1, Since: map[int]int{1: 2},
	ID: func(f *Freshness) (string, string) { return f.Account, "rules" }}

var (
	// AccountByAlias finds an account by its sign-in alias.
	AccountByAlias = &Index[Account]{Name: "account.alias", Terms: func(a *Account) []string {
		if a.Alias == "" {
			return nil
		}
		return []string{a.Alias}
	}}
	// AccountByID lists all accounts.
	AccountByID = &Index[Account]{Name: "account.id", Terms: func(a *Account) []string { return []string{a.ID} }}
	// RootByKey finds the account of a root access key.
	RootByKey = &Index[Account]{Name: "account.key", Hot: true, Terms: func(a *Account) []string { return keyIDs(a.RootKeys) }}
	// Accounts is the kind of Account.
	Accounts = &Kind[Account]{Name: "account", Version: 1,
		ID:      func(a *Account) (string, string) { return a.ID, a.ID },
		Indexes: []*Index[Account]{AccountByAlias, AccountByID, RootByKey}}
)

// User is one IAM user. Its inline policies, memberships and keys live inside
// it: one read sees them all, one write changes them together.
type User struct {
	Account            string              `json:"account"`
	ID                 string              `json:"id"`
	Name               string              `json:"name"`
	Path               string              `json:"path"`
	Created            Time                `json:"created"`
	Tags               []Tag               `json:"tags,omitempty"`
	Inline             []Inline            `json:"inline,omitempty"`
	Attached           []PolicyRef         `json:"attached,omitempty"`
	Groups             []string            `json:"groups,omitempty"` // unique ids
	Boundary           PolicyRef           `json:"boundary,omitempty"`
	Keys               []AccessKey         `json:"keys,omitempty"`
	ServiceCredentials []ServiceCredential `json:"serviceCredentials,omitempty"`
}

var (
	// UserByName lists an account's users by folded name.
	UserByName = &Index[User]{Name: "user.name", Terms: func(u *User) []string { return []string{NameTerm(u.Account, u.Name)} }}
	// UserByKey finds the user of an access key.
	UserByKey = &Index[User]{Name: "user.key", Hot: true, Terms: func(u *User) []string { return keyIDs(u.Keys) }}
	// UserByCredential finds the user of a service-specific credential.
	UserByCredential = &Index[User]{Name: "user.credential", Hot: true, Terms: func(u *User) []string {
		var ids []string
		for _, c := range u.ServiceCredentials {
			ids = append(ids, c.ID)
		}
		return ids
	}}
	// UserByGroup lists the members of a group.
	UserByGroup = &Index[User]{Name: "user.group", Terms: func(u *User) []string {
		var terms []string
		for _, g := range u.Groups {
			terms = append(terms, u.Account+Sep+g+Sep+Fold(u.Name))
		}
		return terms
	}}
	// UserByPolicy lists the users that a managed policy is attached to.
	UserByPolicy = &Index[User]{Name: "user.policy", Terms: func(u *User) []string { return policyTerms(u.Account, u.Attached, u.Name) }}
	// UserByBoundary lists the users that a managed policy bounds.
	UserByBoundary = &Index[User]{Name: "user.boundary", Terms: func(u *User) []string { return boundaryTerms(u.Account, u.Boundary, u.Name) }}
	// Users is the kind of User.
	Users = &Kind[User]{Name: "user", Version: 1,
		ID:        func(u *User) (string, string) { return u.Account, u.ID },
		Documents: func(u *User) []string { return documents(u.Inline) },
		Indexes:   []*Index[User]{UserByName, UserByKey, UserByCredential, UserByGroup, UserByPolicy, UserByBoundary}}
)

// Group is one IAM group. Its members are found through UserByGroup.
type Group struct {
	Account  string      `json:"account"`
	ID       string      `json:"id"`
	Name     string      `json:"name"`
	Path     string      `json:"path"`
	Created  Time        `json:"created"`
	Inline   []Inline    `json:"inline,omitempty"`
	Attached []PolicyRef `json:"attached,omitempty"`
}

var (
	// GroupByName lists an account's groups by folded name.
	GroupByName = &Index[Group]{Name: "group.name", Terms: func(g *Group) []string { return []string{NameTerm(g.Account, g.Name)} }}
	// GroupByPolicy lists the groups that a managed policy is attached to.
	GroupByPolicy = &Index[Group]{Name: "group.policy", Terms: func(g *Group) []string { return policyTerms(g.Account, g.Attached, g.Name) }}
	// Groups is the kind of Group.
	Groups = &Kind[Group]{Name: "group", Version: 1,
		ID:        func(g *Group) (string, string) { return g.Account, g.ID },
		Documents: func(g *Group) []string { return documents(g.Inline) },
		Indexes:   []*Index[Group]{GroupByName, GroupByPolicy}}
)

// Role is one IAM role with the trust policy that says who may assume it.
type Role struct {
	Account     string      `json:"account"`
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	Path        string      `json:"path"`
	Created     Time        `json:"created"`
	Description string      `json:"description,omitempty"`
	Trust       string      `json:"trust"`
	MaxSession  int         `json:"maxSession"` // seconds
	Tags        []Tag       `json:"tags,omitempty"`
	Inline      []Inline    `json:"inline,omitempty"`
	Attached    []PolicyRef `json:"attached,omitempty"`
	Boundary    PolicyRef   `json:"boundary,omitempty"`
	Service     string      `json:"service,omitempty"` // of a service-linked role
}

var (
	// RoleByName lists an account's roles by folded name.
	RoleByName = &Index[Role]{Name: "role.name", Terms: func(r *Role) []string { return []string{NameTerm(r.Account, r.Name)} }}
	// RoleByPolicy lists the roles that a managed policy is attached to.
	RoleByPolicy = &Index[Role]{Name: "role.policy", Terms: func(r *Role) []string { return policyTerms(r.Account, r.Attached, r.Name) }}
	// RoleByBoundary lists the roles that a managed policy bounds.
	RoleByBoundary = &Index[Role]{Name: "role.boundary", Terms: func(r *Role) []string { return boundaryTerms(r.Account, r.Boundary, r.Name) }}
	// Roles is the kind of Role.
	Roles = &Kind[Role]{Name: "role", Version: 1,
		ID:        func(r *Role) (string, string) { return r.Account, r.ID },
		Documents: func(r *Role) []string { return append(documents(r.Inline), r.Trust) },
		Indexes:   []*Index[Role]{RoleByName, RoleByPolicy, RoleByBoundary}}
)

// InstanceProfile carries at most one role.
type InstanceProfile struct {
	Account string `json:"account"`
	ID      string `json:"id"`
	Name    string `json:"name"`
	Path    string `json:"path"`
	Created Time   `json:"created"`
	Role    string `json:"role,omitempty"` // unique id
	Tags    []Tag  `json:"tags,omitempty"`
}

var (
	// ProfileByName lists an account's instance profiles by folded name.
	ProfileByName = &Index[InstanceProfile]{Name: "profile.name", Terms: func(p *InstanceProfile) []string { return []string{NameTerm(p.Account, p.Name)} }}
	// ProfileByRole lists the instance profiles that carry a role.
	ProfileByRole = &Index[InstanceProfile]{Name: "profile.role", Terms: func(p *InstanceProfile) []string {
		if p.Role == "" {
			return nil
		}
		return []string{p.Account + Sep + p.Role + Sep + Fold(p.Name)}
	}}
	// InstanceProfiles is the kind of InstanceProfile.
	InstanceProfiles = &Kind[InstanceProfile]{Name: "profile", Version: 1,
		ID:      func(p *InstanceProfile) (string, string) { return p.Account, p.ID },
		Indexes: []*Index[InstanceProfile]{ProfileByName, ProfileByRole}}
)

// PolicyVersion is one of at most five versions of a managed policy.
type PolicyVersion struct {
	ID       string `json:"id"` // v1, v2, …
	Document string `json:"doc"`
	Created  Time   `json:"created"`
}

// Policy is one managed policy.
type Policy struct {
	Account     string          `json:"account"`
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Path        string          `json:"path"`
	Description string          `json:"description,omitempty"`
	Created     Time            `json:"created"`
	Updated     Time            `json:"updated"`
	Default     string          `json:"default"`
	Next        int             `json:"next"` // number of the next version; never reused
	Versions    []PolicyVersion `json:"versions"`
	Tags        []Tag           `json:"tags,omitempty"`
}

// Ref returns the reference that users, groups and roles hold.
func (p *Policy) Ref() PolicyRef { return PolicyRef(p.Account + "/" + p.ID) }

// Document returns the default version's document, or "".
func (p *Policy) Document() string {
	for _, v := range p.Versions {
		if v.ID == p.Default {
			return v.Document
		}
	}
	return ""
}

var (
	// PolicyByName lists an account's managed policies by folded name.
	PolicyByName = &Index[Policy]{Name: "policy.name", Terms: func(p *Policy) []string { return []string{NameTerm(p.Account, p.Name)} }}
	// Policies is the kind of Policy.
	Policies = &Kind[Policy]{Name: "policy", Version: 1,
		ID:        func(p *Policy) (string, string) { return p.Account, p.ID },
		Documents: func(p *Policy) []string { return []string{p.Document()} },
		Indexes:   []*Index[Policy]{PolicyByName}}
)

// KeyUse remembers when an access key was last used: gathered by the Regions,
// reported upward in batches, and so up to a few seconds behind.
type KeyUse struct {
	Account string `json:"account"`
	Key     string `json:"key"`
	Last    Time   `json:"last"`
	Region  string `json:"region"`
	Service string `json:"service"`
}

// KeyUses is the kind of KeyUse.
var KeyUses = &Kind[KeyUse]{Name: "keyuse", Version: 1, ID: func(u *KeyUse) (string, string) { return u.Account, u.Key }}

// NameTerm is the term under which a named record of an account is indexed.
func NameTerm(account, name string) string { return account + Sep + Fold(name) }

// Resolve splits a policy reference into the account and id of its record.
func (p PolicyRef) Resolve() (account, id string) {
	for i := 0; i < len(p); i++ {
		if p[i] == '/' {
			return string(p[:i]), string(p[i+1:])
		}
	}
	return "", ""
}

// PolicyTerm is the prefix under which the holders of a policy are indexed in
// one account.
func PolicyTerm(account string, p PolicyRef) string { return account + Sep + string(p) + Sep }

func policyTerms(account string, refs []PolicyRef, name string) []string {
	var terms []string
	for _, p := range refs {
		terms = append(terms, PolicyTerm(account, p)+Fold(name))
	}
	return terms
}

func boundaryTerms(account string, p PolicyRef, name string) []string {
	if p == "" {
		return nil
	}
	return []string{PolicyTerm(account, p) + Fold(name)}
}

func keyIDs(keys []AccessKey) []string {
	var ids []string
	for _, k := range keys {
		ids = append(ids, k.ID)
	}
	return ids
}

func documents(inline []Inline) []string {
	var docs []string
	for _, p := range inline {
		docs = append(docs, p.Document)
	}
	return docs
}
