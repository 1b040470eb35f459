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
// again; the zero value is empty. Keys that are set in a copy are its own;
// memory is shared, so that neither may be reset while the other is needed.
type Context struct {
	base    *Context
	entries []contextEntry
	slots   []uint32 // by mark, the next free one: a place in entries, from 1; the last: how many they hold
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

// markOf tells keys apart by one comparison of numbers.
func markOf(key string) uint32 { return uint32(hashOf(key)) }

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
	if e := c.find(key, mark); e != nil {
		return e
	}
	n, size := len(c.entries), c.size()
	if size > 0 && int(c.slots[size]) != n { // a copy of this context has more keys: what they share stays as it is
		c.entries, c.slots = c.entries[:n:n], nil
	}
	c.entries = append(c.entries, contextEntry{mark: mark, key: key})
	switch {
	case 2*(n+1) <= len(c.slots):
		c.place(n)
		return &c.entries[n]
	case size == 0 && cap(c.slots) > 0: // all that there is, for a table in use may be a copy's too
		c.slots = c.slots[:cap(c.slots)]
		clear(c.slots)
	default:
		c.slots = make([]uint32, max(fewSlots, 2*size)+1)
	}
	for i := range c.entries {
		c.place(i)
	}
	return &c.entries[n]
}

// size is how many slots the table has: a power of two, or none.
func (c *Context) size() int { return max(len(c.slots)-1, 0) }

// fewSlots is the first size of a context's table, a power of two. No more than half
// of the slots are used.
const fewSlots = 16

// place puts an entry into the table.
func (c *Context) place(entry int) {
	size := c.size()
	i := c.entries[entry].mark
	for c.slots[i&uint32(size-1)] != 0 {
		i++
	}
	c.slots[i&uint32(size-1)] = uint32(entry + 1)
	c.slots[size] = uint32(entry + 1)
}

// find returns the entry of a folded key in this layer, nil if it has none.
func (c *Context) find(key string, mark uint32) *contextEntry {
	size := c.size()
	for i := mark; size > 0; i++ {
		at := int(c.slots[i&uint32(size-1)])
		if at == 0 {
			break
		}
		if at > len(c.entries) {
			continue // a copy of this context has more keys
		}
		if e := &c.entries[at-1]; e.mark == mark && e.key == key {
			return e
		}
	}
	return nil
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
func (c *Context) Reset(base *Context) { c.base, c.entries, c.slots = base, c.entries[:0], c.slots[:0] }

// get finds a folded key.
func (c *Context) get(key string, mark uint32) ([]string, bool) {
	for ; c != nil; c = c.base {
		if e := c.find(key, mark); e != nil {
			return e.values(), true
		}
	}
	return nil, false
}
