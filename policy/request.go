package policy

// PrincipalKind is what kind of principal asks. The zero value is nobody.
type PrincipalKind uint8

// The kinds of principals.
const (
	Anonymous PrincipalKind = iota
	RootUser
	User
	RoleSession   // an assumed role
	FederatedUser // GetFederationToken
	Service       // an AWS-style service principal
	WebIdentity   // asks for AssumeRoleWithWebIdentity; Federated principals match
	SAML
)

// Principal is who asks.
type Principal struct {
	Kind     PrincipalKind
	ARN      string // a session's own for sessions
	Account  string
	UniqueID string // of the user or role
	RoleARN  string // of a role session
	// Names are a service's principals, or the provider's ARN or name of a
	// federated identity.
	Names []string
	// ServiceLinked roles are not limited by SCPs and RCPs.
	ServiceLinked bool
}

// Request is one question.
type Request struct {
	Principal       Principal
	Action          string // service:Name
	Resource        string // ARN, or * for an action that works on none
	ResourceAccount string // that owns the resource; empty: the principal's
	Context         Context
}

// Context holds the condition keys of a request. It can be reset and used
// again; the zero value is empty.
type Context struct {
	base    *Context
	entries []contextEntry
}

type contextEntry struct {
	key    string // folded
	one    [1]string
	many   []string
	single bool
}

func (e *contextEntry) values() []string {
	if e.single {
		return e.one[:]
	}
	return e.many
}

// Set gives a key its values, replacing those it had. Keys are compared
// without regard to ASCII case.
func (c *Context) Set(key string, values ...string) {
	*c.entry(key) = contextEntry{key: fold(key), many: values}
}

// SetOne is Set for one value. It allocates nothing in a context that is used
// again, if the key is lower case.
func (c *Context) SetOne(key, value string) {
	*c.entry(key) = contextEntry{key: fold(key), one: [1]string{value}, single: true}
}

// entry returns the place of a key, a new one if it has none.
func (c *Context) entry(key string) *contextEntry {
	key = fold(key)
	for i := range c.entries {
		if c.entries[i].key == key {
			return &c.entries[i]
		}
	}
	c.entries = append(c.entries, contextEntry{})
	return &c.entries[len(c.entries)-1]
}

// Has says whether a key was set.
func (c *Context) Has(key string) bool {
	_, ok := c.get(fold(key))
	return ok
}

// Reset empties the context and keeps its memory. What base holds shows
// through where nothing is set over it (nil: nothing does); base must not
// change meanwhile.
func (c *Context) Reset(base *Context) { c.base, c.entries = base, c.entries[:0] }

// get finds a folded key. A request has some twenty keys: comparing lengths
// first makes a scan cheaper than a map.
func (c *Context) get(key string) ([]string, bool) {
	for i := range c.entries {
		if len(c.entries[i].key) == len(key) && c.entries[i].key == key {
			return c.entries[i].values(), true
		}
	}
	if c.base != nil {
		return c.base.get(key)
	}
	return nil, false
}
