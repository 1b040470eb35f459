package node

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/overlay"
	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// denialsFile holds the Region's own denials on this node, as operators have
// signed them.
const denialsFile = "denials.json"

// Times of the Region's own denials.
const (
	exchangeBound = 2 * time.Second
	exchangeEach  = 500 * time.Millisecond // with one peer, beside what operators do
	denialsPulse  = 100 * time.Millisecond
	proposePause  = 500 * time.Millisecond
)

// denials are the Region's own while it is cut off: on this node's disk, among
// its peers, and on their way to the control plane.
type denials struct {
	r       *Region
	over    overlay.Overlaid
	entries atomic.Pointer[[]overlay.Entry] // on this node's disk

	mu      sync.Mutex // of the machine; held while it writes
	machine *overlay.List
	answers map[string]chan overlay.Answer
	talked  map[string]time.Time // to whom, and when
}

// openDenials reads the list. One that cannot be read stops the start: without
// it the node would admit what it has denied. It was verified when it came.
func openDenials(r *Region) (*denials, error) {
	d := &denials{r: r, machine: overlay.NewList(), answers: map[string]chan overlay.Answer{}, talked: map[string]time.Time{}}
	var commands [][]byte
	err := local.Read(filepath.Join(r.Config.Dir, denialsFile), &commands)
	if errors.Is(err, os.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return nil, err
	}
	var list []overlay.Entry
	for _, text := range commands {
		id, denials, err := operator.ReadRegional(text)
		if err != nil {
			return nil, err
		}
		list = append(list, overlay.Entry{ID: id, Command: text, Denials: denials})
	}
	d.step(overlay.Loaded{Entries: list})
	d.step(overlay.Applied{State: r.replica.View()})
	return d, nil
}

// entryOf verifies a command of operators for this Region.
func entryOf(v *view.View, text []byte, region string) (overlay.Entry, error) {
	id, list, err := operator.Regional(v, text, v.Head.Cluster, region)
	return overlay.Entry{ID: id, Command: text, Denials: list}, err
}

// step hands an event to the machine and performs what it asks for.
func (d *denials) step(event any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	events := []any{event}
	for len(events) > 0 {
		effects := d.machine.Step(events[0], clock())
		events = events[1:]
		for _, effect := range effects {
			switch e := effect.(type) {
			case overlay.Save:
				events = append(events, overlay.Saved{Err: d.write(e.Entries)})
			case overlay.Show:
				d.over.Show(e.Entries)
				d.entries.Store(&e.Entries)
			case overlay.Answer:
				if c := d.answers[e.ID]; c != nil {
					c <- e // has room
					delete(d.answers, e.ID)
				}
			}
		}
	}
}

func (d *denials) write(entries []overlay.Entry) error {
	path := filepath.Join(d.r.Config.Dir, denialsFile)
	if err := local.Write(path, commandsOf(entries), 0o600); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func commandsOf(entries []overlay.Entry) [][]byte {
	list := [][]byte{}
	for _, e := range entries {
		list = append(list, e.Command)
	}
	return list
}

// here lists what is on this node's disk.
func (d *denials) here() []overlay.Entry {
	if e := d.entries.Load(); e != nil {
		return *e
	}
	return nil
}

func (d *denials) digest() []byte { return overlay.Digest(d.here()) }

// run lets the machine see time, the state and the Region's nodes go on, and
// proposes the list to the control plane, until ctx ends.
func (d *denials) run(ctx context.Context) error {
	var seen *view.View
	var proposed time.Time
	for ctx.Err() == nil {
		sleep(ctx, denialsPulse)
		v := d.r.replica.View()
		if len(d.here()) == 0 && !d.waiting() {
			continue
		}
		d.step(overlay.Enrolled{Nodes: d.others(v)})
		if v != seen {
			seen = v
			d.step(overlay.Applied{State: v})
		}
		d.step(overlay.Tick{})
		if d.r.leased() && clock().Sub(proposed) >= proposePause {
			proposed = clock()
			d.propose(ctx)
		}
	}
	return nil
}

func (d *denials) waiting() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.answers) > 0
}

// others are the Region's other nodes in force.
func (d *denials) others(v *view.View) []string {
	var names []string
	v.Range(record.NodeByID.Name, "", "", func(id string, e *record.Entry) bool {
		n, err := record.Nodes.Open(e)
		if err == nil && n.Role == record.RegionNode && n.Region == d.r.Config.Region && !n.Fenced && id != d.r.keys.ID {
			names = append(names, id)
		}
		return true
	})
	return names
}

// propose hands the list up: what the control plane has already, in force or
// lifted, stays as it is there.
func (d *denials) propose(ctx context.Context) {
	req := &peerpb.DenyRequest{Commands: commandsOf(d.here())}
	if len(req.Commands) == 0 {
		return
	}
	if err := d.r.ask(ctx, func(ctx context.Context, c peerpb.ControlClient) error {
		_, err := c.Deny(ctx, req)
		return err
	}); err != nil && ctx.Err() == nil {
		d.r.Log.Warn("propose the Region's denials to the control plane", "error", err)
	}
}

// make takes an operator's command and returns when it is acknowledged.
func (d *denials) make(ctx context.Context, id string, command []byte, list []*record.Denial) ([]string, error) {
	answer := make(chan overlay.Answer, 1)
	d.mu.Lock()
	d.answers[id] = answer
	d.mu.Unlock()
	d.step(overlay.Enrolled{Nodes: d.others(d.r.replica.View())})
	d.step(overlay.Made{Entry: overlay.Entry{ID: id, Command: command, Denials: list}})
	for _, l := range d.r.peers.links.all() {
		go d.exchange(context.WithoutCancel(ctx), l) // bounded; its failure is that the node lacks it
	}
	select {
	case a := <-answer:
		return a.Missing, a.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// heard compares a peer's list with this node's, and exchanges them where they
// differ.
func (d *denials) heard(ctx context.Context, from link, digest []byte) {
	if bytes.Equal(digest, d.digest()) {
		return
	}
	d.mu.Lock()
	soon := clock().Sub(d.talked[from.name]).Abs() < exchangeEach
	if !soon {
		d.talked[from.name] = clock()
	}
	d.mu.Unlock()
	if !soon {
		go d.exchange(ctx, from)
	}
}

// fetch takes the list of every peer in reach before this node serves.
func (d *denials) fetch(ctx context.Context) {
	var all errgroup.Group
	for _, l := range d.r.peers.links.all() {
		all.Go(func() error {
			d.exchange(ctx, l)
			return nil
		})
	}
	_ = all.Wait() // who is out of reach has nothing to tell
}

// exchange gives a peer this node's list and takes the peer's.
func (d *denials) exchange(ctx context.Context, with link) {
	ctx, cancel := context.WithTimeout(ctx, exchangeBound)
	defer cancel()
	reply, err := peerpb.NewPeersClient(with.conn).Exchange(ctx, &peerpb.Denials{Commands: commandsOf(d.here())})
	if err != nil {
		d.r.Log.Debug("exchange the Region's denials", "peer", with.name, "error", err)
		return
	}
	d.tell(with.name, reply.Commands)
}

// tell takes what a node has on its disk. What cannot be verified is not taken.
func (d *denials) tell(name string, commands [][]byte) {
	v := d.r.replica.View()
	var list []overlay.Entry
	for _, text := range commands[:min(len(commands), overlay.MaxEntries)] {
		e, err := entryOf(v, text, d.r.Config.Region)
		if err != nil {
			d.r.Log.Warn("a peer's denial cannot be verified", "peer", name, "error", err)
			continue
		}
		list = append(list, e)
	}
	d.step(overlay.Applied{State: v})
	d.step(overlay.Told{Node: name, Entries: list})
}

// Exchange takes a peer's list, and answers when it is on this node's disk.
func (p *peers) Exchange(ctx context.Context, in *peerpb.Denials) (*peerpb.Denials, error) {
	caller := peer.Caller(ctx)
	if p.enrolled(caller.ID) == nil {
		return nil, status.Errorf(codes.PermissionDenied, "%s is no node of this Region in force", caller.ID)
	}
	p.r.denials.tell(caller.ID, in.Commands)
	return &peerpb.Denials{Commands: commandsOf(p.r.denials.here())}, nil
}

// view is what this node serves: the newest state that it has, with the Region's
// own denials in force.
func (r *Region) view() *view.View { return r.denials.over.Over(r.replica.View()) }

// serveOperators opens the operators' socket of a Region node.
func (r *Region) serveOperators(ctx context.Context, group *errgroup.Group, reads *operator.Server) error {
	if r.Config.Operator == "" {
		return nil
	}
	l, err := operator.Listen(r.Config.Operator)
	if err != nil {
		return err
	}
	s := grpc.NewServer(grpcOptions(r.Log, nil)...)
	operatorpb.RegisterOperatorServer(s, &operator.RegionServer{Server: reads, State: r.denials.state, Deny: r.denials.make})
	serveGRPC(ctx, group, s, l)
	return nil
}

// state is what an operator has to know to sign for this Region.
func (d *denials) state() operator.RegionState {
	s := operator.RegionState{Cluster: d.r.replica.View().Head.Cluster, Region: d.r.Config.Region, Sequence: 1, Denials: []operator.RegionalDenial{}}
	for _, e := range d.here() {
		s.Sequence++
		for _, one := range e.Denials {
			s.Denials = append(s.Denials, operator.RegionalDenial{Denial: one, Region: s.Region})
		}
	}
	return s
}
