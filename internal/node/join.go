package node

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// joined is what a node keeps of its admission.
type joined struct {
	Control []byte `json:"control"`      // pinned TLS key of the control-plane node that it joined at
	At      string `json:"at,omitempty"` // that node's name, where there are several
}

// hasJoined says whether a node came by an invite.
func hasJoined(c *config.Config) bool {
	_, err := os.Stat(filepath.Join(c.Dir, joinedFile))
	return err == nil
}

// ErrJoined says that a node has been admitted before.
var ErrJoined = errors.New("this node has joined already: start it with `holdfast serve`")

// Join admits a node of either plane with its invite: it makes the node's keys
// and shows them, with the invite, to the control-plane node that the invite
// names. It returns the node's name.
func Join(ctx context.Context, c *config.Config) (string, error) {
	if hasJoined(c) {
		return "", ErrJoined
	}
	path := filepath.Join(c.Dir, nodeKeysFile)
	keys, err := keyring.LoadNodeKeys(path)
	if keyring.Absent(err) {
		keys, err = newKeys(c, path)
	}
	if err != nil {
		return "", err
	}
	_, err = join(ctx, c, keys)
	return keys.ID, err
}

func readInvite(c *config.Config) (*peer.InviteFile, error) {
	if c.Invite == "" {
		return nil, errors.New(`this node has no keys yet and needs an invite: name its file with "invite"`)
	}
	b, err := keyring.ReadSecret(c.Invite)
	if err != nil {
		return nil, fmt.Errorf("this node has no keys yet and needs an invite: %w", err)
	}
	f := new(peer.InviteFile)
	if err := json.Unmarshal(b, f); err != nil || len(f.Seed) != ed25519.SeedSize { // the decoder's words may quote the file
		return nil, fmt.Errorf("%s holds no invite", c.Invite)
	}
	i := &f.Invite
	switch {
	case i.Role != c.Role:
		return nil, fmt.Errorf("the invite is for a %s node, the configuration is of a %s node", i.Role, c.Role)
	case i.Role == record.RegionNode && i.Region != c.Region:
		return nil, fmt.Errorf("the invite is for Region %s, the configuration is of Region %s", i.Region, c.Region)
	case i.Root != "" && i.Root != c.Root:
		return nil, fmt.Errorf("the invite is of another deployment: its root is %s, the configuration's is %s", i.Root, c.Root)
	}
	return f, nil
}

// newKeys makes the keys of a node that an invite names.
func newKeys(c *config.Config, path string) (*keyring.NodeKeys, error) {
	f, err := readInvite(c)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	keys, err := keyring.NewNodeKeys(f.Invite.Node, c.Role == record.ControlNode)
	if err != nil {
		return nil, err
	}
	return keys, keys.Save(path)
}

// joinPatience bounds the whole of an admission.
const joinPatience = 30 * time.Second

// join presents the invite. What was learnt is written last.
func join(ctx context.Context, c *config.Config, keys *keyring.NodeKeys) (joined, error) {
	f, err := readInvite(c)
	if err != nil {
		return joined{}, err
	}
	request, err := joinRequest(c, keys, f)
	if err != nil {
		return joined{}, err
	}
	address := c.ControlNodes()[f.Invite.At]
	if address == "" {
		address = c.Control
	}
	if address == "" {
		return joined{}, fmt.Errorf(`the invite is for control-plane node %s: "controls" does not say where it is`, f.Invite.At)
	}
	conn, err := peer.Dial(address, keys.TLS(), func(k ed25519.PublicKey) bool { return k.Equal(ed25519.PublicKey(f.Invite.Control)) })
	if err != nil {
		return joined{}, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, joinPatience)
	defer cancel()
	var refused error
	for {
		_, err = peerpb.NewControlClient(conn).Join(ctx, request, grpc.WaitForReady(true))
		if err != nil && ctx.Err() != nil {
			return joined{}, errors.Join(err, refused)
		}
		if status.Code(err) != codes.Unavailable {
			break
		}
		refused = err
		sleep(ctx, probeEach) // it is done once, however often it is asked for
	}
	if err != nil {
		return joined{}, err
	}
	j := joined{Control: f.Invite.Control, At: f.Invite.At}
	return j, local.Write(filepath.Join(c.Dir, joinedFile), j, 0o600)
}

func joinRequest(c *config.Config, keys *keyring.NodeKeys, f *peer.InviteFile) (*peerpb.JoinRequest, error) {
	hpke, err := keys.HPKEPublic()
	if err != nil {
		return nil, err
	}
	n := &record.Node{ID: keys.ID, Role: c.Role, Zone: c.Zone, TLS: keys.TLS().Public().(ed25519.PublicKey), HPKE: hpke, Format: record.Format}
	if c.Role == record.ControlNode {
		n.Head = keys.HeadKey().Public().(ed25519.PublicKey)
	} else {
		n.Region = c.Region
	}
	node, err := json.Marshal(n)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(f.Invite)
	if err != nil {
		return nil, err
	}
	return &peerpb.JoinRequest{Invite: text, Node: node, Proof: record.Prove(ed25519.NewKeyFromSeed(f.Seed), node)}, nil
}

// invited says whether a node's record is what its invite is for.
func invited(i *record.Invite, n *record.Node) bool {
	if n.ID != i.Node || n.Role != i.Role || n.Region != i.Region || n.Fenced {
		return false
	}
	switch n.Role {
	case record.RegionNode:
		return n.Region != "" && len(n.Head) == 0
	case record.ControlNode:
		return n.Region == "" && len(n.Head) == ed25519.PublicKeySize
	}
	return false
}

// takeMember takes the member of a new control-plane node into the store's
// cluster, where its members are embedded.
func (c *Control) takeMember(ctx context.Context, i *record.Invite) error {
	if i.Role != record.ControlNode || i.Etcd == "" {
		return nil
	}
	left, err := c.store.AddMember(ctx, i.Node, i.Etcd, c.goneControl)
	for _, name := range left {
		c.Log.Info("the store's members", "change", name+" removed", "for", i.Node)
	}
	if err != nil {
		c.Log.Warn("take in a member of the store", "node", i.Node, "address", i.Etcd, "error", err)
		return status.Error(codes.Unavailable, "the store cannot take in another member now: "+err.Error())
	}
	return nil
}

// tendPause is how often the store's members are looked at.
const tendPause = 500 * time.Millisecond

// tendMembers has members that have caught up vote, and takes those of fenced
// nodes out.
func (c *Control) tendMembers(ctx context.Context) error {
	for c.sequencing(ctx, tendPause) {
		what, err := c.store.TendMembers(ctx, c.goneControl)
		if what != "" {
			c.Log.Info("the store's members", "change", what)
		}
		if err != nil && ctx.Err() == nil {
			c.Log.Warn("tend the store's members", "error", err)
		}
		sleep(ctx, tendPause)
	}
	return nil
}

// goneControl says whether a name is of a control-plane node that does not come
// back.
func (c *Control) goneControl(name string) bool {
	n, err := record.Get(c.writer.View(), record.Nodes, record.None, name)
	return err == nil && n.Role == record.ControlNode && n.Fenced
}
