package node

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/overlay"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Times of the Region's own lists.
const (
	exchangeBound = 2 * time.Second
	exchangeEach  = 500 * time.Millisecond // with one peer, beside what operators do
	ownPulse      = 100 * time.Millisecond
	proposePause  = 500 * time.Millisecond
	refusedMost   = 30 * time.Second // it grows to after refusals, as long as the list is the same
)

// ownList is one of the Region's own lists while it is cut off, of denials or of
// tickets: on this node's disk as operators have signed it, among its peers, and on
// its way to the control plane.
type ownList struct {
	r       *Region
	kind    ownKind
	over    overlay.Overlaid
	entries atomic.Pointer[[]overlay.Entry] // on this node's disk

	mu      sync.Mutex // of the machine; held while it writes
	machine *overlay.List
	answers map[string]chan overlay.Answer
	talked  map[string]time.Time // to whom, and when
}

// ownKind is what the two lists differ in.
type ownKind struct {
	what string // in words
	file string
	most int // entries
	// read reads a command that was verified when it came, verify one that comes.
	read   func(text []byte) (overlay.Entry, error)
	verify func(v *view.View, text []byte) (overlay.Entry, error)
	// exchange is the call to a peer, propose the calls to the control plane.
	exchange func(context.Context, peerpb.PeersClient, *peerpb.Commands) (*peerpb.Commands, error)
	propose  func(context.Context, [][]byte) error
}

// openOwn reads a list. One that cannot be read stops the start: without it the node
// would admit what it has denied.
func openOwn(r *Region, kind ownKind, machine *overlay.List) (*ownList, error) {
	o := &ownList{r: r, kind: kind, machine: machine, answers: map[string]chan overlay.Answer{}, talked: map[string]time.Time{}}
	var commands [][]byte
	err := local.Read(filepath.Join(r.Config.Dir, kind.file), &commands)
	if errors.Is(err, os.ErrNotExist) {
		return o, nil
	}
	if err != nil {
		return nil, err
	}
	var list []overlay.Entry
	for _, text := range commands {
		e, err := kind.read(text)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	o.step(overlay.Loaded{Entries: list})
	o.applied(r.replica.View())
	return o, nil
}

// applied tells the machine what this node has applied.
func (o *ownList) applied(v *view.View) {
	if v != nil {
		o.step(overlay.Applied{State: v})
	}
}

// step hands an event to the machine and performs what it asks for.
func (o *ownList) step(event any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	events := []any{event}
	for len(events) > 0 {
		effects := o.machine.Step(events[0], clock())
		events = events[1:]
		for _, effect := range effects {
			switch e := effect.(type) {
			case overlay.Save:
				events = append(events, overlay.Saved{Err: o.write(e.Entries)})
			case overlay.Show:
				o.over.Show(e.Entries)
				o.entries.Store(&e.Entries)
			case overlay.Void:
				o.r.Log.Error("a node's ticket counts no more, and it may have been sealed the Region's wrapping keys: fence a node of the Region, so that they are renewed", "node", e.Entry.Ticket.Node.ID)
			case overlay.Answer:
				if c := o.answers[e.ID]; c != nil {
					c <- e // has room
					delete(o.answers, e.ID)
				}
			}
		}
	}
}

func (o *ownList) write(entries []overlay.Entry) error {
	path := filepath.Join(o.r.Config.Dir, o.kind.file)
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
func (o *ownList) here() []overlay.Entry {
	if e := o.entries.Load(); e != nil {
		return *e
	}
	return nil
}

func (o *ownList) commands() *peerpb.Commands {
	return &peerpb.Commands{Commands: commandsOf(o.here())}
}

func (o *ownList) digest() []byte { return overlay.Digest(o.here()) }

// run lets the machine see time, the state and the Region's nodes go on, and
// proposes the list to the control plane, until ctx ends.
func (o *ownList) run(ctx context.Context) error {
	var seen *view.View
	var turn proposals
	for ctx.Err() == nil {
		sleep(ctx, ownPulse)
		if len(o.here()) == 0 && !o.waiting() {
			continue
		}
		v := o.r.replica.View()
		o.step(o.r.others(v))
		if v != seen {
			seen = v
			o.applied(v)
		}
		o.step(overlay.Tick{})
		list := commandsOf(o.here())
		if len(list) == 0 || !o.r.leased() || !turn.due(o.digest(), clock()) {
			continue
		}
		err := o.kind.propose(ctx, list)
		turn.done(status.Code(err) == codes.PermissionDenied, clock())
		if err != nil && ctx.Err() == nil {
			o.r.Log.Warn("propose the Region's "+o.kind.what+" to the control plane", "error", err)
		}
	}
	return nil
}

// proposals says when a list is to be proposed next: one that was refused will be
// refused again, until it or the control plane has changed.
type proposals struct {
	digest []byte // of the last one
	pause  time.Duration
	next   time.Time
}

func (p *proposals) due(digest []byte, now time.Time) bool {
	if !bytes.Equal(digest, p.digest) {
		p.digest, p.pause, p.next = digest, proposePause, time.Time{}
	}
	return !now.Before(p.next)
}

func (p *proposals) done(refused bool, now time.Time) {
	if !refused {
		p.pause = proposePause
	}
	p.next = now.Add(p.pause)
	if refused {
		p.pause = min(2*p.pause, refusedMost)
	}
}

func (o *ownList) waiting() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.answers) > 0
}

// make takes an operator's command and returns when it is acknowledged.
func (o *ownList) make(ctx context.Context, e overlay.Entry) ([]string, error) {
	answer := make(chan overlay.Answer, 1)
	o.mu.Lock()
	o.answers[e.ID] = answer
	o.mu.Unlock()
	o.step(o.r.others(o.r.replica.View()))
	o.step(overlay.Made{Entry: e})
	for _, l := range o.r.peers.links.all() {
		go o.exchange(context.WithoutCancel(ctx), l) // bounded; its failure is that the node lacks it
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
func (o *ownList) heard(ctx context.Context, from link, digest []byte) {
	if bytes.Equal(digest, o.digest()) {
		return
	}
	o.mu.Lock()
	soon := clock().Sub(o.talked[from.name]).Abs() < exchangeEach
	if !soon {
		o.talked[from.name] = clock()
	}
	o.mu.Unlock()
	if !soon {
		go o.exchange(ctx, from)
	}
}

// fetch takes the list of every peer in reach before this node serves.
func (o *ownList) fetch(ctx context.Context) {
	var all errgroup.Group
	for _, l := range o.r.peers.links.all() {
		all.Go(func() error {
			o.exchange(ctx, l)
			return nil
		})
	}
	_ = all.Wait() // who is out of reach has nothing to tell
}

// exchange gives a peer this node's list and takes the peer's.
func (o *ownList) exchange(ctx context.Context, with link) {
	ctx, cancel := context.WithTimeout(ctx, exchangeBound)
	defer cancel()
	reply, err := o.kind.exchange(ctx, peerpb.NewPeersClient(with.conn), o.commands())
	if err != nil {
		o.r.Log.Debug("exchange the Region's "+o.kind.what, "peer", with.name, "error", err)
		return
	}
	o.tell(with.name, reply.Commands)
}

// tell takes what a node has on its disk. What cannot be verified is not taken.
func (o *ownList) tell(name string, commands [][]byte) {
	v := o.r.replica.View()
	var list []overlay.Entry
	for _, text := range commands[:min(len(commands), o.kind.most)] {
		e, err := o.kind.verify(v, text)
		if err != nil {
			o.r.Log.Warn("one of a peer's "+o.kind.what+" cannot be verified", "peer", name, "error", err)
			continue
		}
		list = append(list, e)
	}
	o.applied(v)
	o.step(overlay.Told{Node: name, Entries: list})
}

// others are the Region's other nodes in force, by the state and by ticket.
func (r *Region) others(v *view.View) overlay.Enrolled {
	e := overlay.Enrolled{Nodes: r.othersIn(v)}
	e.ByTicket = slices.DeleteFunc(r.othersIn(r.over(v)), func(id string) bool { return slices.Contains(e.Nodes, id) })
	return e
}

func (r *Region) othersIn(v *view.View) (names []string) {
	v.Range(record.NodeByID.Name, "", "", func(id string, e *record.Entry) bool {
		n, err := record.Nodes.Open(e)
		if err == nil && n.Role == record.RegionNode && n.Region == r.Config.Region && !n.Fenced && id != r.keys.ID {
			names = append(names, id)
		}
		return true
	})
	return names
}

// view is what this node serves: the newest state that it has, with what the Region
// has denied by itself in force, and over that whom it has admitted.
func (r *Region) view() *view.View { return r.over(r.replica.View()) }

func (r *Region) over(v *view.View) *view.View { return r.tickets.over.Over(r.denials.over.Over(v)) }
