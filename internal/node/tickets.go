package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/overlay"
	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/session"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Files of tickets, in a Region node's directory.
const (
	ticketsFile = "tickets.json"    // the Region's, as operators have signed them
	wrapsFile   = "region-key.json" // the Region's wrapping keys, as a peer has sealed them to this node by its ticket
)

// RequestTicket makes the keys of a new Region node that cannot reach the control
// plane, and returns what it shows of itself for a ticket: the same when it is asked
// again. Then `holdfast serve region` runs it, as soon as it has one.
func RequestTicket(c *config.Config, name string) (*operator.Ticket, error) {
	path := filepath.Join(c.Dir, nodeKeysFile)
	keys, err := keyring.LoadNodeKeys(path)
	switch {
	case err == nil && keys.ID != name:
		return nil, fmt.Errorf("%s holds the keys of node %s", c.Dir, keys.ID)
	case err == nil && !hasJoined(c):
		return nil, fmt.Errorf("%s holds the keys of a node that has begun to join with an invite", c.Dir)
	case keyring.Absent(err):
		if keys, err = ticketKeys(c, name, path); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	}
	return showKeys(c, keys)
}

// ticketKeys makes a node's keys. That it knows no control-plane node by an invite
// is written first, its name last.
func ticketKeys(c *config.Config, name, path string) (*keyring.NodeKeys, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	keys, err := keyring.NewNodeKeys(name, false)
	if err != nil {
		return nil, err
	}
	set, _ := session.KeySet{}.Grow(clock())
	err = errors.Join(replaceSecret(filepath.Join(c.Dir, signingFile), set.Encode()), local.Write(filepath.Join(c.Dir, joinedFile), joined{}, 0o600))
	if err != nil {
		return nil, err
	}
	return keys, keys.Save(path)
}

// showKeys is what a node shows of itself.
func showKeys(c *config.Config, keys *keyring.NodeKeys) (*operator.Ticket, error) {
	hpke, err := keys.HPKEPublic()
	if err != nil {
		return nil, err
	}
	b, err := keyring.ReadSecret(filepath.Join(c.Dir, signingFile))
	if err != nil {
		return nil, err
	}
	set, err := session.ParseKeySet(b)
	if err != nil {
		return nil, err
	}
	t := &operator.Ticket{Region: c.Region, Node: keys.ID, Zone: c.Zone, TLS: keys.TLS().Public().(ed25519.PublicKey), HPKE: hpke, Format: record.Format, Peer: c.Advertise}
	if t.Peer == "" && config.Reachable(c.Peer) {
		t.Peer = c.Peer
	}
	for i := range set {
		k := set[i].Public(keys.ID, c.Region)
		t.Signing = append(t.Signing, operator.TicketKey{ID: k.ID, Public: k.Public, NotBefore: k.NotBefore, NotAfter: k.NotAfter})
	}
	return t, nil
}

// openTickets opens the list of the nodes that the Region has admitted by itself,
// and what a peer has sealed to this node where it is one of them.
func openTickets(r *Region) (*ownList, error) {
	if v := r.replica.View(); v != nil {
		if _, err := r.takeKept(v); err != nil {
			return nil, err
		}
	}
	entry := func(id string, text []byte, t *record.Ticket, err error) (overlay.Entry, error) {
		return overlay.Entry{ID: id, Command: text, Ticket: t}, err
	}
	verify := func(s record.Reader, text []byte) (overlay.Entry, error) {
		g, err := record.Get(s, record.Geneses, record.None, "genesis")
		if err != nil {
			return overlay.Entry{}, err
		}
		id, t, err := operator.Admits(s, text, g.Cluster, r.Config.Region)
		return entry(id, text, t, err)
	}
	return openOwn(r, ownKind{what: "tickets", file: ticketsFile, most: overlay.MaxTickets,
		read: func(text []byte) (overlay.Entry, error) {
			id, t, err := operator.ReadTicket(text)
			return entry(id, text, t, err)
		},
		verify: func(v *view.View, text []byte) (overlay.Entry, error) { return verify(v, text) },
		exchange: func(ctx context.Context, c peerpb.PeersClient, in *peerpb.Commands) (*peerpb.Commands, error) {
			return c.Tickets(ctx, in)
		},
		propose: r.proposeTickets,
	}, overlay.NewTickets(func(s record.Reader, e *overlay.Entry) bool {
		_, err := verify(s, e.Command)
		return err == nil
	}))
}

// Tickets takes a peer's tickets, and answers when they are on this node's disk.
func (p *peers) Tickets(ctx context.Context, in *peerpb.Commands) (*peerpb.Commands, error) {
	return p.exchanged(ctx, p.r.tickets, in)
}

// proposeTickets hands the tickets up, each by itself: one that is refused holds up
// no other, and one that the Region has withdrawn follows the denial that says so.
func (r *Region) proposeTickets(ctx context.Context, commands [][]byte) error {
	var errs []error
	for _, text := range commands {
		if _, t, err := operator.ReadTicket(text); err != nil || t.Withdrawn(r.view()) && !t.Withdrawn(r.replica.View()) {
			continue
		}
		errs = append(errs, r.ask(ctx, func(ctx context.Context, c peerpb.ControlClient) error {
			_, err := c.Admit(ctx, &peerpb.AdmitRequest{Command: text})
			return err
		}))
	}
	return errors.Join(errs...)
}

// byTicket says whether this node is one by its ticket alone: the state that it has
// does not know it.
func (r *Region) byTicket() bool {
	v := r.replica.View()
	if v == nil || record.Has(v, record.Nodes, record.None, r.keys.ID) {
		return false
	}
	n, err := record.Get(r.view(), record.Nodes, record.None, r.keys.ID)
	return err == nil && !n.Fenced
}

// comeByTicket has the Region's nodes tell this one whom operators have admitted,
// and, if it is among them, seal the Region's wrapping keys to it.
func (r *Region) comeByTicket(ctx context.Context) {
	r.tickets.fetch(ctx)
	r.takeKeys(ctx)
}

// takeKeys asks the Region's nodes for its wrapping keys while the one in use is not
// here: one after another, until all are. What one gives counts as far as the state
// proves it, so one that lies, or has none, leaves it to the next.
func (r *Region) takeKeys(ctx context.Context) {
	if !r.byTicket() || r.ring.Holds(r.replica.View()) {
		return
	}
	if _, err := r.takeKept(r.replica.View()); err != nil {
		r.Log.Warn("read the wrapping keys that peers have sealed to this node", "error", err)
	}
	for _, l := range r.peers.links.all() {
		if !r.byTicket() || r.ring.HoldsAll(r.replica.View()) {
			return
		}
		if err := r.takeKeysFrom(ctx, peerpb.NewPeersClient(l.conn)); err != nil {
			r.Log.Info("no wrapping keys of the Region from a peer", "peer", l.name, "error", err)
		}
	}
}

// takeKept takes what peers have sealed to this node before, as it would a peer's.
func (r *Region) takeKept(v *view.View) (bool, error) {
	var wraps []record.Wrap
	err := local.Read(filepath.Join(r.Config.Dir, wrapsFile), &wraps)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return r.ring.Take(v, wraps)
}

// takeKeysFrom asks one node.
func (r *Region) takeKeysFrom(ctx context.Context, c peerpb.PeersClient) error {
	ctx, cancel := context.WithTimeout(ctx, exchangeBound)
	defer cancel()
	reply, err := c.Keys(ctx, &peerpb.KeysRequest{})
	if err != nil {
		return err
	}
	var wraps []record.Wrap
	for _, w := range reply.Wraps {
		wraps = append(wraps, record.Wrap{Holder: r.keys.ID, Generation: int(w.Generation), Sealed: w.Sealed})
	}
	return r.take(r.replica.View(), wraps)
}

// take keeps what a node gives beside what others have given, in memory and on disk.
func (r *Region) take(v *view.View, wraps []record.Wrap) error {
	grown, err := r.ring.Take(v, wraps)
	if !grown {
		return errors.Join(errUnproved, err)
	}
	return errors.Join(err, local.Write(filepath.Join(r.Config.Dir, wrapsFile), r.ring.Given(), 0o600))
}

var errUnproved = errors.New("nothing that it has sealed to this node opens what the state has under a wrapping key that this node lacks")

// keepKeys keeps the Region's wrapping keys here while this node is one by its
// ticket, until ctx ends: a new generation is not sealed to it by who makes it.
func (r *Region) keepKeys(ctx context.Context) error {
	for r.byTicket() && ctx.Err() == nil {
		r.takeKeys(ctx)
		sleep(ctx, keysPause)
	}
	if !r.byTicket() { // its own record says what it was given
		_ = os.Remove(filepath.Join(r.Config.Dir, wrapsFile)) // it may never have been there
	}
	return nil
}

// Keys seals the Region's wrapping keys to the node that asks: one of the Region in
// force, be it by ticket. It gets nothing that is not sealed to its own pinned key.
func (p *peers) Keys(ctx context.Context, _ *peerpb.KeysRequest) (*peerpb.KeysReply, error) {
	return p.keysIn(p.r.replica.View(), peer.Caller(ctx).ID)
}

// keysIn asks one state both who is in force and which generations there are: what
// was renewed because the caller was fenced is not sealed to it by an older word.
func (p *peers) keysIn(v *view.View, caller string) (*peerpb.KeysReply, error) {
	n := p.enrolledIn(p.r.over(v), caller)
	if n == nil {
		return nil, status.Errorf(codes.PermissionDenied, "%s is no node of this Region in force", caller)
	}
	wraps, err := p.r.ring.WrapFor(v, n)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	reply := &peerpb.KeysReply{}
	for _, w := range wraps {
		reply.Wraps = append(reply.Wraps, &peerpb.Wrap{Generation: int32(w.Generation), Sealed: w.Sealed})
	}
	return reply, nil
}
