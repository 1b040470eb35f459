package record

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Genesis is the first record of a lineage: the root's word on what this
// deployment is. It is state, because the log is trimmed.
type Genesis struct {
	Cluster string `json:"cluster"` // random, for good
	Lineage string `json:"lineage"` // changes with every restore or promotion
	Mode    string `json:"mode"`    // development or production, for good
	Format  int    `json:"format"`
	Account string `json:"account"` // the first
	Node    string `json:"node"`    // the first control-plane node
	// Controls are the lineage's first control-plane nodes; operators admit the
	// others. A deployment from before release 0.2 has none here: that its heads
	// are of its own nodes its state alone says.
	Controls  []Pin  `json:"controls,omitempty"`
	Created   Time   `json:"created"`
	Root      []byte `json:"root"`      // Ed25519 public key
	HashSeed  []byte `json:"hashSeed"`  // 16 bytes; keys the tries of this lineage
	Signature []byte `json:"signature"` // by Root, over the record without it
}

// Geneses is the kind of Genesis; there is one record, "genesis".
var Geneses = &Kind[Genesis]{Name: "genesis", Version: 2, Since: map[int]int{2: 2}, Upgrade: map[int]func(json.RawMessage) (json.RawMessage, error){1: unchanged},
	ID: func(*Genesis) (string, string) { return None, "genesis" }}

// unchanged is the upgrade to a version that has more fields, which may be absent.
func unchanged(r json.RawMessage) (json.RawMessage, error) { return r, nil }

// Operator is a key enrolled by the root. It is never an IAM principal.
type Operator struct {
	ID        string `json:"id"`
	Public    []byte `json:"public"` // Ed25519
	Created   Time   `json:"created"`
	Signature []byte `json:"signature"` // by the root
}

var (
	// OperatorByID lists all operators.
	OperatorByID = &Index[Operator]{Name: "operator.id", Terms: func(o *Operator) []string { return []string{o.ID} }}
	// Operators is the kind of Operator.
	Operators = &Kind[Operator]{Name: "operator", Version: 1, ID: func(o *Operator) (string, string) { return None, o.ID },
		Indexes: []*Index[Operator]{OperatorByID}}
)

// Roles of nodes.
const (
	ControlNode = "control"
	RegionNode  = "region"
)

// Node pins the public keys of an enrolled node. Fencing is setting Fenced.
type Node struct {
	ID     string `json:"id"`
	Role   string `json:"role"`             // ControlNode or RegionNode
	Region string `json:"region,omitempty"` // of a Region node
	Zone   string `json:"zone,omitempty"`
	TLS    []byte `json:"tls"`            // Ed25519 public key of its certificate
	HPKE   []byte `json:"hpke"`           // X25519 public key that secrets are sealed to
	Head   []byte `json:"head,omitempty"` // Ed25519 key for signed heads; control-plane nodes
	Invite []byte `json:"invite"`         // public one-time key that admitted it, or the TicketInvite of its ticket; single use
	Format int    `json:"format"`         // highest format that it reads
	Joined Time   `json:"joined"`
	Fenced bool   `json:"fenced,omitempty"`
}

// Fence takes a node out for good: nothing that it signs is believed from then on,
// and no node talks to it.
func (n *Node) Fence(tx Tx) error {
	n.Fenced = true
	Delete(tx, Addresses, &Address{Node: n.ID})
	Delete(tx, KEKHolders, &KEKHolder{Node: n.ID})
	return Put(tx, Nodes, n)
}

var (
	// NodeByInvite finds the node that an invite admitted.
	NodeByInvite = &Index[Node]{Name: "node.invite", Terms: func(n *Node) []string { return []string{string(n.Invite)} }}
	// NodeByID lists all nodes.
	NodeByID = &Index[Node]{Name: "node.id", Terms: func(n *Node) []string { return []string{n.ID} }}
	// Nodes is the kind of Node.
	Nodes = &Kind[Node]{Name: "node", Version: 1, ID: func(n *Node) (string, string) { return None, n.ID },
		Indexes: []*Index[Node]{NodeByInvite, NodeByID}}
)

// Address is where other nodes reach a node, as that node has announced it: the
// control plane's are reached by all, a Region's by that Region's. It is no word on
// who is there: that is the key in its Node record.
type Address struct {
	Node string `json:"node"`
	Peer string `json:"peer"` // HOST:PORT
}

// Addresses is the kind of Address. A build that does not know it goes on with
// the addresses in its configuration.
var Addresses = &Kind[Address]{Name: "address", Version: 1, ID: func(a *Address) (string, string) { return None, a.Node }}

// KEKHolder is a control-plane node's word on which KEKs it opens keys with.
type KEKHolder struct {
	Node string   `json:"node"`
	KEKs []string `json:"keks"` // tags, oldest first
}

// KEKHolders is the kind of KEKHolder. A build that does not know it has one KEK.
var KEKHolders = &Kind[KEKHolder]{Name: "kekholder", Version: 1, ID: func(h *KEKHolder) (string, string) { return None, h.Node }}

// Region is one Region of the deployment.
type Region struct {
	Name    string `json:"name"`
	OptIn   bool   `json:"optIn,omitempty"` // accounts must enable it
	Created Time   `json:"created"`
}

var (
	// RegionByName lists all Regions.
	RegionByName = &Index[Region]{Name: "region.name", Terms: func(r *Region) []string { return []string{r.Name} }}
	// Regions is the kind of Region.
	Regions = &Kind[Region]{Name: "region", Version: 1, ID: func(r *Region) (string, string) { return None, r.Name },
		Indexes: []*Index[Region]{RegionByName}}
)

// Wrap is a key sealed for one holder: a Region (under a generation of its
// wrapping key) or a node (under its HPKE key).
type Wrap struct {
	Holder     string `json:"holder"`
	Generation int    `json:"gen,omitempty"` // of the holder's wrapping key
	Sealed     []byte `json:"sealed"`
}

// RegionKey is one generation of a Region's wrapping key.
type RegionKey struct {
	Region     string `json:"region"`
	Generation int    `json:"gen"`
	Created    Time   `json:"created"`
	KEK        []byte `json:"kek"`             // sealed under the KEK
	Nodes      []Wrap `json:"nodes,omitempty"` // by HPKE to each node of the Region
}

var (
	// RegionKeyByRegion lists the generations of a Region's wrapping key.
	RegionKeyByRegion = &Index[RegionKey]{Name: "regionkey.region", Terms: func(k *RegionKey) []string {
		return []string{k.Region + Sep + Generation(k.Generation)}
	}}
	// RegionKeys is the kind of RegionKey.
	RegionKeys = &Kind[RegionKey]{Name: "regionkey", Version: 1,
		ID:      func(k *RegionKey) (string, string) { return None, k.Region + ":" + Generation(k.Generation) },
		Indexes: []*Index[RegionKey]{RegionKeyByRegion}}
)

// AccountKey is one generation of an account's data key.
type AccountKey struct {
	Account    string `json:"account"`
	Generation int    `json:"gen"`
	Created    Time   `json:"created"`
	KEK        []byte `json:"kek"`               // sealed under the KEK
	Regions    []Wrap `json:"regions,omitempty"` // under each Region's wrapping key
}

var (
	// AccountKeyByAccount lists the generations of an account's key.
	AccountKeyByAccount = &Index[AccountKey]{Name: "accountkey.account", Terms: func(k *AccountKey) []string {
		return []string{k.Account + Sep + Generation(k.Generation)}
	}}
	// AccountKeys is the kind of AccountKey.
	AccountKeys = &Kind[AccountKey]{Name: "accountkey", Version: 1,
		ID:      func(k *AccountKey) (string, string) { return k.Account, Generation(k.Generation) },
		Indexes: []*Index[AccountKey]{AccountKeyByAccount}}
)

// DefaultClass is the class of opening keys of the Regions enabled by default.
const DefaultClass = "default"

// OpeningKey opens the session tokens of its class.
type OpeningKey struct {
	Class      string `json:"class"`
	Generation int    `json:"gen"`
	Created    Time   `json:"created"`
	KEK        []byte `json:"kek"`
	Regions    []Wrap `json:"regions,omitempty"`
}

var (
	// OpeningKeyByClass lists the generations of a class, oldest first.
	OpeningKeyByClass = &Index[OpeningKey]{Name: "openingkey.class", Terms: func(k *OpeningKey) []string {
		return []string{k.Class + Sep + Generation(k.Generation)}
	}}
	// OpeningKeys is the kind of OpeningKey.
	OpeningKeys = &Kind[OpeningKey]{Name: "openingkey", Version: 1,
		ID:      func(k *OpeningKey) (string, string) { return None, k.Class + ":" + Generation(k.Generation) },
		Indexes: []*Index[OpeningKey]{OpeningKeyByClass}}
)

// SigningKey is the public half of a key with which one node signs session
// tokens for thirty days. Known means that every admitted node has it.
type SigningKey struct {
	ID        string `json:"id"`
	Node      string `json:"node"`
	Region    string `json:"region"`
	Public    []byte `json:"public"` // Ed25519
	NotBefore Time   `json:"notBefore"`
	NotAfter  Time   `json:"notAfter"`
	Known     bool   `json:"known,omitempty"`
	Revoked   bool   `json:"revoked,omitempty"`
}

// SigningKeyID is the id of a signing key: it says which key that is, so that
// nobody takes it with another.
func SigningKeyID(public []byte) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:10])
}

// named says whether the key's id is its own. Those of releases before it was so
// have a made-up one.
func (k *SigningKey) named() bool { return k.ID == SigningKeyID(k.Public) }

var (
	// SigningKeyByNode lists a node's keys by their first day.
	SigningKeyByNode = &Index[SigningKey]{Name: "signingkey.node", Terms: func(k *SigningKey) []string {
		return []string{k.Node + Sep + Generation(int(k.NotBefore))}
	}}
	// SigningKeys is the kind of SigningKey.
	SigningKeys = &Kind[SigningKey]{Name: "signingkey", Version: 1, ID: func(k *SigningKey) (string, string) { return None, k.ID },
		Indexes: []*Index[SigningKey]{SigningKeyByNode}}
)

// Service may ask for decisions. It bounds what its callers may ask and say;
// only operators write it.
type Service struct {
	Name      string   `json:"name"`             // service principal, e.g. storage.example.com
	Callers   []string `json:"callers"`          // ARNs of principals that speak for it
	Scopes    []string `json:"scopes,omitempty"` // credential scope services of the requests it shows us
	Hosts     []string `json:"hosts,omitempty"`  // of those requests
	Actions   []string `json:"actions"`          // prefixes, e.g. storage:
	Resources []string `json:"resources"`        // ARN patterns
	Accounts  []string `json:"accounts"`         // served; "*" for all
	Keys      []string `json:"keys,omitempty"`   // prefixes of condition keys of its own, e.g. storage:
	Created   Time     `json:"created"`
}

var (
	// ServiceByCaller lists the services that a caller speaks for.
	ServiceByCaller = &Index[Service]{Name: "service.caller", Terms: func(s *Service) []string {
		var terms []string
		for _, c := range s.Callers {
			terms = append(terms, c+Sep+s.Name)
		}
		return terms
	}}
	// ServiceByName lists all services.
	ServiceByName = &Index[Service]{Name: "service.name", Terms: func(s *Service) []string { return []string{s.Name} }}
	// Services is the kind of Service.
	Services = &Kind[Service]{Name: "service", Version: 1, ID: func(s *Service) (string, string) { return None, s.Name },
		Indexes: []*Index[Service]{ServiceByCaller, ServiceByName}}
)

// Scopes of a denial: exactly one thing each, never a wildcard.
const (
	DenySession  = "session"         // Target: 128-bit session id in hex
	DenyKey      = "key"             // Target: access key id
	DenyID       = "principal"       // Target: unique id of a user or role
	DenyBefore   = "sessions-before" // Target: unique id of a role or user; Before: issue time
	DenyIdentity = "source-identity" // Target: source identity, in Account
	DenyMinter   = "minter"          // Target: node id
	DenyAccount  = "account"         // Target: account id
)

// Denial refuses one thing at every revision from its own on. Lifted ones
// stay as tombstones of their id.
type Denial struct {
	ID      string `json:"id"`
	Scope   string `json:"scope"`
	Account string `json:"account,omitempty"`
	Target  string `json:"target"`
	Before  Time   `json:"before,omitempty"`
	Reason  string `json:"reason,omitempty"`
	By      string `json:"by"` // operator
	Created Time   `json:"created"`
	Lifted  bool   `json:"lifted,omitempty"`
}

var (
	// DenialByTarget finds the denials in force for one thing: scope, Sep, target.
	DenialByTarget = &Index[Denial]{Name: "denial.target", Terms: func(d *Denial) []string {
		if d.Lifted {
			return nil
		}
		return []string{d.Scope + Sep + d.Target + Sep + d.ID}
	}}
	// Denials is the kind of Denial.
	Denials = &Kind[Denial]{Name: "denial", Version: 1, ID: func(d *Denial) (string, string) { return None, d.ID },
		Indexes: []*Index[Denial]{DenialByTarget}}
)

// Generation prints a number so that text order is number order.
func Generation(n int) string {
	b := []byte("000000000000")
	for i := len(b) - 1; i >= 0 && n > 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return string(b)
}
