package operator

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// RegionAdmit is the command that admits a node to one Region while it is cut off:
// signed, it is that node's ticket.
const RegionAdmit = "region.admit"

// Ticket is what operators sign. It holds no secret and needs no end of its own: it
// is good for the very keys that it names, in one Region of one cluster.
type Ticket struct {
	Cluster string      `json:"cluster,omitempty"`
	Region  string      `json:"region"`
	Node    string      `json:"node"` // a name that no node has had
	Zone    string      `json:"zone,omitempty"`
	TLS     []byte      `json:"tls"`
	HPKE    []byte      `json:"hpke"`
	Format  int         `json:"format"`         // the highest that the node reads
	Peer    string      `json:"peer,omitempty"` // HOST:PORT where the Region's nodes reach it
	Signing []TicketKey `json:"signing"`
}

// TicketKey is a key that the node signs tokens with.
type TicketKey struct {
	ID        string      `json:"id"`
	Public    []byte      `json:"public"`
	NotBefore record.Time `json:"notBefore"`
	NotAfter  record.Time `json:"notAfter"`
}

// Limits of a ticket's signing keys.
const (
	maxTicketKeys = 3
	signingLife   = 30 * 24 * time.Hour // of one, as session has it
)

var signingForm = regexp.MustCompile(`^[0-9a-f]{20}$`)

// Admits verifies what operators have signed to admit a node to one Region, as far
// as r knows them. It asks nothing about the time: a list is read days later; and
// nothing about what the state has of the node: see record.Ticket.
func Admits(r record.Reader, text []byte, cluster, region string) (id string, t *record.Ticket, err error) {
	c, in, err := ticketOf(text)
	if err != nil {
		return "", nil, err
	}
	by, err := (&Server{reader: r}).signed(c)
	if err != nil {
		return "", nil, err
	}
	if err := two(r, by, "admitting a node while its Region is cut off"); err != nil {
		return "", nil, err
	}
	if in.Cluster != cluster || in.Region != region {
		return "", nil, refuse("the ticket is for Region %q of a deployment, and this is not it: this is Region %s", in.Region, region)
	}
	return ReadTicket(text)
}

// ReadTicket reads a ticket that was verified before: its id, and what it comes to,
// the same on every node and on the control plane.
func ReadTicket(text []byte) (id string, t *record.Ticket, err error) {
	c, in, err := ticketOf(text)
	if err != nil {
		return "", nil, err
	}
	made := time.UnixMilli(c.TimeMs)
	if err := in.check(made); err != nil {
		return "", nil, err
	}
	sum := sha256.Sum256(message(c))
	t = &record.Ticket{Node: &record.Node{ID: in.Node, Role: record.RegionNode, Region: in.Region, Zone: in.Zone, TLS: in.TLS, HPKE: in.HPKE,
		Invite: record.TicketInvite(sum), Format: in.Format, Joined: record.At(made)}}
	for _, k := range in.Signing {
		t.Keys = append(t.Keys, &record.SigningKey{ID: k.ID, Node: in.Node, Region: in.Region, Public: k.Public, NotBefore: k.NotBefore, NotAfter: k.NotAfter})
	}
	if in.Peer != "" {
		t.Address = &record.Address{Node: in.Node, Peer: in.Peer}
	}
	return hex.EncodeToString(sum[:16]), t, nil
}

// Fingerprint is a word on what a node shows of itself, its keys above all, that
// people can compare over a telephone: the same on the new machine and at each
// operator who signs.
func (t *Ticket) Fingerprint() string {
	shown := *t
	shown.Cluster = ""          // the machine does not know it yet
	b, _ := json.Marshal(shown) // plain fields: cannot fail
	sum := sha256.Sum256(b)
	words := make([]string, 8)
	for i := range words {
		words[i] = hex.EncodeToString(sum[2*i : 2*i+2])
	}
	return strings.Join(words, "-")
}

// FingerprintOf is the fingerprint of what a command admits; "": it admits no node.
func FingerprintOf(c *operatorpb.Command) string {
	t := new(Ticket)
	if c.Name != RegionAdmit || decode(c, t) != nil {
		return ""
	}
	return t.Fingerprint()
}

// TicketSigners are the operators that a ticket names as its signers. Whether they
// have signed it, Admits says.
func TicketSigners(text []byte) (names []string) {
	c, _, err := ticketOf(text)
	if err != nil {
		return nil
	}
	names = append(names, c.Operator)
	for _, a := range c.Approvals {
		names = append(names, a.Operator)
	}
	return names
}

// ticketOf reads the form of a ticket.
func ticketOf(text []byte) (*operatorpb.Command, *Ticket, error) {
	c, in := new(operatorpb.Command), new(Ticket)
	if len(text) > 2*maxArguments || proto.Unmarshal(text, c) != nil || c.Name != RegionAdmit || len(c.Nonce) != nonceSize || len(c.Approvals) > maxApprovals {
		return nil, nil, errors.New("operator: this is no ticket of a node")
	}
	return c, in, decode(c, in)
}

// check is what a ticket has to be in itself.
func (t *Ticket) check(made time.Time) error {
	switch {
	case !nodeForm.MatchString(t.Node) || t.Zone != "" && !nodeForm.MatchString(t.Zone):
		return refuse("node %q in zone %q: a name has letters, digits, . _ -", t.Node, t.Zone)
	case len(t.TLS) != ed25519.PublicKeySize || !keyring.SealsTo(t.HPKE):
		return refuse("node %s shows no keys: let it make its request anew", t.Node)
	case t.Format < record.FirstFormat:
		return refuse("node %s does not say which format it reads", t.Node)
	case t.Peer != "" && !dialled(t.Peer):
		return refuse("node %s is not reached at %q: want HOST:PORT", t.Node, t.Peer)
	case len(t.Signing) == 0 || len(t.Signing) > maxTicketKeys:
		return refuse("node %s shows %d signing keys: 1 to %d", t.Node, len(t.Signing), maxTicketKeys)
	}
	last := record.At(made.Add(maxTicketKeys * signingLife))
	seen := map[string]bool{}
	for _, k := range t.Signing {
		if !signingForm.MatchString(k.ID) || seen[k.ID] || len(k.Public) != ed25519.PublicKeySize || k.NotBefore >= k.NotAfter ||
			k.NotAfter.Std().Sub(k.NotBefore.Std()) > signingLife || k.NotAfter > last {
			return refuse("a signing key of node %s is none, or lasts too long", t.Node)
		}
		seen[k.ID] = true
	}
	return nil
}

func dialled(address string) bool {
	host, port, err := net.SplitHostPort(address)
	return err == nil && host != "" && port != "" && plain(address, 300)
}

// ReadRequest reads what a new node shows of itself, as it has written it.
func ReadRequest(path string, now time.Time) (*Ticket, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxArguments+1))
	if err != nil {
		return nil, err
	}
	t := new(Ticket)
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if len(b) > maxArguments || d.Decode(t) != nil || t.Cluster != "" {
		return nil, fmt.Errorf("%s holds no request of a new node", path)
	}
	return t, t.check(now)
}

// admit has the Region's nodes take a ticket.
func (s *RegionServer) admit(ctx context.Context, c *operatorpb.Command) (*operatorpb.Result, error) {
	if _, err := s.verify(c); err != nil { // signature, time and nonce
		return nil, status.Error(codes.PermissionDenied, err.Error())
	}
	text, err := proto.Marshal(c)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	state, v := s.State(), s.View()
	id, t, err := Admits(v, text, state.Cluster, state.Region)
	if err == nil {
		err = t.Unused(v)
	}
	if err == nil && t.Node.Format < v.Head.Format {
		err = refuse("node %s reads format %d, and the log has format %d: give it a newer build", t.Node.ID, t.Node.Format, v.Head.Format)
	}
	if err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	missing, err := s.Admit(ctx, id, text, t)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	body, err := json.Marshal(nodeLine(t.Node))
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &operatorpb.Result{Body: body, Missing: missing}, nil
}
