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
	Federated     // asks for AssumeRoleWithWebIdentity or -WithSAML
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
	mark   uint32 // of the key
	single bool
	key    string // folded
	one    [1]string
	many   []string
}

func (e *contextEntry) values() []string {
	if e.single {
		return e.one[:]
	}
	return e.many
}

// markOf tells most keys apart by one comparison of numbers.
func markOf(key string) uint32 {
	n := len(key)
	if n < 8 {
		return uint32(n)
	}
	return uint32(n)<<24 | uint32(key[n/2])<<16 | uint32(key[n-3])<<8 | uint32(key[n-1])
}

// Set gives a key its values, replacing those it had. Keys are compared
// without regard to ASCII case.
func (c *Context) Set(key string, values ...string) {
	e := c.entry(key)
	e.many, e.single = values, false
}

// SetOne is Set for one value. It allocates nothing in a context that is used
// again, if the key is lower case.
func (c *Context) SetOne(key, value string) {
	e := c.entry(key)
	e.one[0], e.many, e.single = value, nil, true
}

// entry returns the place of a key, a new one if it has none.
func (c *Context) entry(key string) *contextEntry {
	key = fold(key)
	mark := markOf(key)
	for i := range c.entries {
		if e := &c.entries[i]; e.mark == mark && e.key == key {
			return e
		}
	}
	c.entries = append(c.entries, contextEntry{mark: mark, key: key})
	return &c.entries[len(c.entries)-1]
}

// Has says whether a key was set.
func (c *Context) Has(key string) bool {
	key = fold(key)
	_, ok := c.get(key, markOf(key))
	return ok
}

// Reset empties the context and keeps its memory. What base holds shows
// through where nothing is set over it (nil: nothing does); base must not
// change meanwhile.
func (c *Context) Reset(base *Context) { c.base, c.entries = base, c.entries[:0] }

// get finds a folded key. A request has some twenty keys: comparing marks in a
// row is cheaper than a map.
func (c *Context) get(key string, mark uint32) ([]string, bool) {
	for ; c != nil; c = c.base {
		for i := range c.entries {
			if e := &c.entries[i]; e.mark == mark && e.key == key {
				return e.values(), true
			}
		}
	}
	return nil, false
}

// size is how many keys a look for one may have to pass.
func (c *Context) size() (n int) {
	for ; c != nil; c = c.base {
		n += len(c.entries)
	}
	return n
}
