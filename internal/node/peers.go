package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/feed"
	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/replica"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Times of what a Region's nodes tell each other.
const (
	gossipEach  = 150 * time.Millisecond
	gossipPause = 5 * time.Millisecond // between two words, however much changes
	gossipLost  = time.Second          // without a word the stream is opened anew
	redial      = 200 * time.Millisecond
	// aloneFor is how long a node without any state waits for the control plane
	// before it asks its peers.
	aloneFor = time.Second
	// meetFor bounds how long a node that starts waits to hear of its peers.
	meetFor = 300 * time.Millisecond
)

// peers are the other nodes of this node's Region: what each says of itself,
// whom to catch up from, and what this node serves them.
type peers struct {
	peerpb.UnimplementedPeersServer
	r     *Region
	share *feed.Share
	links links
	heard map[string]heard // of the goroutine that learns where the peers are
	catch chan string      // whom to catch up from; one at a time
	load  atomic.Uint64

	mu      sync.Mutex
	machine *replica.Neighbours
	met     map[string]bool // heard, or found out of reach
}

// heard is a peer that a goroutine hears, on a connection.
type heard struct {
	conn *grpc.ClientConn
	stop func()
}

func newPeers(r *Region) *peers {
	p := &peers{r: r, share: &feed.Share{Region: r.Config.Region}, heard: map[string]heard{}, catch: make(chan string, 1), machine: replica.NewNeighbours(), met: map[string]bool{}}
	p.share.Admits = func(node string) bool { return p.enrolled(node) != nil }
	p.links = links{key: r.keys.TLS(), nodes: map[string]link{}, pinned: func(name string, key ed25519.PublicKey) bool {
		return r.replica.View() == nil || p.pinned(name, key)
	}}
	return p
}

// addresses lists where the Region's other nodes may be.
func (p *peers) addresses(v *view.View) map[string][]string {
	all := addressesOf(v, p.r.Config.Peers, func(n *record.Node) bool { return n.Role == record.RegionNode && n.Region == p.r.Config.Region })
	delete(all, p.r.keys.ID)
	return all
}

// dial opens connections, which are made when they are used. A node that has no
// state yet knows no keys: what it takes then it believes for its signatures
// alone, and once it has a state it dials again.
func (p *peers) dial() error {
	_, err := p.links.connect(nil)
	_, failed := p.links.connect(p.addresses(p.r.view()))
	return errors.Join(err, failed)
}

func (p *peers) pinned(name string, key ed25519.PublicKey) bool {
	n := p.enrolled(name)
	return n != nil && key.Equal(ed25519.PublicKey(n.TLS))
}

// enrolled is the record of a peer that is in force, be it by a ticket.
func (p *peers) enrolled(name string) *record.Node { return p.enrolledIn(p.r.view(), name) }

func (p *peers) enrolledIn(v *view.View, name string) *record.Node {
	n, err := record.Get(v, record.Nodes, record.None, name)
	if err != nil || n.Role != record.RegionNode || n.Region != p.r.Config.Region || n.Fenced {
		return nil
	}
	return n
}

// first waits for a first state, and has the peers give one while the control
// plane does not.
func (p *peers) first(ctx context.Context, wait func(context.Context) error) error {
	own, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.bootstrap(own)
	}()
	err := wait(ctx)
	stop()
	<-done
	return err
}

// live names the peers that are heard.
func (p *peers) live() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for _, s := range p.machine.Live(clock()) {
		names = append(names, s.Node)
	}
	return names
}

// bootstrap fetches a first state from a peer while the control plane gives
// none. A node whose copy is lost waits for the control plane (rule 14); one that
// comes by a ticket is told of it by its peers, on connections to the keys that the
// state pins.
func (p *peers) bootstrap(ctx context.Context) {
	for pinned := false; ctx.Err() == nil; {
		sleep(ctx, aloneFor/2+rand.N(aloneFor)) // jitter: a Region's nodes start together
		if p.r.replica.View() != nil && !pinned {
			if err := p.dial(); err != nil {
				p.r.Log.Warn("connect to the Region's nodes", "error", err)
				continue
			}
			pinned = true
		}
		if pinned {
			p.r.comeByTicket(ctx)
		}
		if p.r.served() || p.r.replica.Lost() {
			return
		}
		if p.r.replica.Following() {
			continue
		}
		all := p.links.all()
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, l := range all {
			err := p.r.replica.CatchUp(ctx, l.feed, func() bool { return false })
			if err == nil {
				p.r.Log.Info("a peer has given this node its first state", "peer", l.name)
				break
			}
			p.r.Log.Info("no first state from a peer", "peer", l.name, "error", err)
		}
	}
}

// run hears the peers and catches up from them until ctx ends.
func (p *peers) run(ctx context.Context, group *errgroup.Group) error {
	if err := p.dial(); err != nil { // with the keys that the state pins
		return err
	}
	p.attend(ctx, group)
	group.Go(func() error { return p.learn(ctx, group) })
	group.Go(func() error { return p.catchUps(ctx) })
	group.Go(func() error { return p.pulse(ctx) })
	group.Go(func() error { return p.measure(ctx) })
	p.meet(ctx)
	p.r.denials.fetch(ctx)
	p.r.tickets.fetch(ctx)
	return nil
}

// learn keeps to the peers that the state tells, until ctx ends.
func (p *peers) learn(ctx context.Context, group *errgroup.Group) error {
	return p.links.learn(ctx, p.r.view, p.addresses, func(all map[string][]string, changed bool, err error) {
		if err != nil {
			p.r.Log.Warn("connect to the Region's nodes", "error", err)
		}
		if changed {
			p.r.Log.Info("the Region's other nodes", "at", all)
			p.attend(ctx, group)
		}
	})
}

// attend has each peer that there is a connection to heard on it.
func (p *peers) attend(ctx context.Context, group *errgroup.Group) {
	for name, h := range p.heard {
		if p.links.conn(name) != h.conn {
			h.stop()
			delete(p.heard, name)
		}
	}
	for _, l := range p.links.all() {
		if p.heard[l.name].conn != nil {
			continue
		}
		own, stop := context.WithCancel(ctx)
		p.heard[l.name] = heard{l.conn, stop}
		group.Go(func() error { return p.watch(own, l) })
	}
}

// meet waits until each peer was heard, or is out of reach, and this node has
// what they have; a little while at most.
func (p *peers) meet(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, meetFor)
	defer cancel()
	for ctx.Err() == nil {
		if p.metAll() && p.ahead() == 0 {
			return
		}
		sleep(ctx, gossipPause)
	}
}

func (p *peers) metAll() bool {
	all := p.links.all()
	p.mu.Lock()
	defer p.mu.Unlock()
	return !slices.ContainsFunc(all, func(l link) bool { return !p.met[l.name] })
}

func (p *peers) step(event any) {
	p.mu.Lock()
	out := p.machine.Step(event, clock())
	p.mu.Unlock()
	for _, e := range out {
		p.catch <- e.Node // has room: one at a time
	}
}

// own tells the machine how this node stands.
func (p *peers) own() {
	if v := p.r.replica.View(); v != nil {
		p.step(replica.Own{Lineage: v.Head.Lineage, Index: v.Head.Index, Leased: p.r.leased(), Floor: p.r.replica.Floor()})
	}
}

// pulse lets the machine see time, and this node's view, go on.
func (p *peers) pulse(ctx context.Context) error {
	for ctx.Err() == nil {
		at := p.r.index()
		p.own()
		p.changed(ctx, at, gossipEach/3)
	}
	return nil
}

// changed waits until the view is newer than an index, or for a while.
func (p *peers) changed(ctx context.Context, index uint64, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	_ = p.r.replica.Await(ctx, index+1) // both are fine
}

// watch hears one peer, again after every failure.
func (p *peers) watch(ctx context.Context, l link) error {
	for ctx.Err() == nil {
		err := p.hear(ctx, l)
		p.step(replica.Gone{Node: l.name})
		p.meets(l.name)
		p.r.Log.Debug("a peer is not heard", "peer", l.name, "error", err)
		sleep(ctx, redial/2+rand.N(redial))
	}
	return nil
}

func (p *peers) hear(ctx context.Context, l link) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	name := l.name
	stream, err := peerpb.NewPeersClient(l.conn).Watch(ctx, &peerpb.WatchRequest{})
	if err != nil {
		return err
	}
	silent := time.AfterFunc(gossipLost, cancel)
	defer silent.Stop()
	for {
		s, err := stream.Recv()
		if err != nil {
			return err
		}
		silent.Reset(gossipLost)
		n := p.enrolled(name) // it may have been fenced since
		if n == nil {
			return errFenced
		}
		p.own() // what it says is compared with what this node serves now
		p.r.denials.heard(ctx, l, s.Denials)
		p.r.tickets.heard(ctx, l, s.Tickets)
		p.step(replica.Heard{Standing: replica.Standing{Node: name, Zone: n.Zone, Lineage: s.Lineage, Index: s.Index, Ready: s.Ready,
			Leased: s.Leased, Clock: time.Duration(s.ClockMs-clock().UnixMilli()) * time.Millisecond, Load: float64(min(s.Load, 1000)) / 1000}})
		p.meets(name)
	}
}

var (
	errFenced = errors.New("the peer is fenced")
	errMoved  = errors.New("nobody knows where the peer is any more")
)

func (p *peers) meets(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.met[name] = true
}

// catchUps takes what a peer has and this node has not, whenever the machine
// says so.
func (p *peers) catchUps(ctx context.Context) error {
	for {
		var name string
		select {
		case <-ctx.Done():
			return nil
		case name = <-p.catch:
		}
		from, err := p.r.index(), errMoved
		if conn := p.links.conn(name); conn != nil {
			err = p.r.replica.CatchUp(ctx, peerpb.NewFeedClient(conn), p.stay)
		}
		p.r.metrics.caughtUp.Inc()
		p.r.Log.Debug("caught up from a peer", "peer", name, "from", from, "to", p.r.index(), "error", err)
		p.own()
		p.step(replica.CaughtUp{Err: err})
	}
}

func (p *peers) stay() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.machine.Stay(clock())
}

// ready says whether this node is to take requests, as far as its peers are
// concerned.
func (p *peers) ready() (bool, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.machine.Ready(clock())
}

// ahead is the highest index that a peer serves and this node does not; 0: none.
// It is what they have told: to ask costs nobody anything.
func (p *peers) ahead() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.machine.Ahead(clock())
}

// await waits until this node serves an index, and has it catch up from whoever
// has it already.
func (p *peers) await(ctx context.Context, index uint64) error {
	p.step(replica.Wanted{Index: index})
	return p.r.replica.Await(ctx, index)
}

// Watch tells a peer how this node stands.
func (p *peers) Watch(_ *peerpb.WatchRequest, stream grpc.ServerStreamingServer[peerpb.Standing]) error {
	ctx := stream.Context()
	caller := peer.Caller(ctx)
	for p.enrolled(caller.ID) != nil {
		v := p.r.replica.View()
		ready, _ := p.r.ready()
		err := stream.Send(&peerpb.Standing{Lineage: v.Head.Lineage, Index: v.Head.Index, Ready: ready, Leased: p.r.leased(),
			ClockMs: clock().UnixMilli(), Load: uint32(p.load.Load()), Denials: p.r.denials.digest(), Tickets: p.r.tickets.digest()})
		if err != nil {
			return err
		}
		sleep(ctx, gossipPause)
		p.changed(ctx, v.Head.Index, gossipEach)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return status.Errorf(codes.PermissionDenied, "%s is no node of this Region in force", caller.ID)
}

// serve opens the listener for the Region's nodes.
func (p *peers) serve(ctx context.Context, group *errgroup.Group) error {
	l, err := p.r.Inherited.Listener("peer", p.r.Config.Peer)
	if err != nil || l == nil {
		return err
	}
	find := func(key ed25519.PublicKey) (*record.Node, bool) { return nodeOfKey(p.r.view(), key) }
	s, err := peer.Server(p.r.keys.TLS(), find, grpcOptions(p.r.Log, nil)...)
	if err != nil {
		return err
	}
	peerpb.RegisterFeedServer(s, p.share)
	peerpb.RegisterPeersServer(s, p)
	serveGRPC(ctx, group, s, l)
	return nil
}

// nodeOfKey finds the enrolled node that a TLS key belongs to, and says whether it
// is in force.
func nodeOfKey(v *view.View, key ed25519.PublicKey) (*record.Node, bool) {
	if v == nil {
		return nil, false
	}
	var found *record.Node
	err := record.Scan(v, record.Nodes, record.NodeByID, "", "", func(_ string, n *record.Node) bool {
		if key.Equal(ed25519.PublicKey(n.TLS)) {
			found = n
		}
		return found == nil
	})
	return found, err == nil && found != nil && !found.Fenced
}

// served says whether the node has a state with its own record in it, or a state and
// a ticket, and then the Region's wrapping key.
func (r *Region) served() bool {
	v := r.replica.View()
	return v != nil && (record.Has(v, record.Nodes, record.None, r.keys.ID) || r.byTicket() && r.ring.Holds(v))
}

// leased says whether the node follows the control plane and has heard it
// within a lease.
func (r *Region) leased() bool {
	return r.replica.Connected() && r.replica.Silence(clock()) < feed.Lease
}

// ready says whether the node is to take requests, and if not, why.
func (r *Region) ready() (bool, string) {
	select {
	case <-r.Ending:
		return false, "it is ending"
	default:
	}
	switch {
	case r.fenced.Load():
		return false, "it is fenced: taken out of the deployment"
	case r.replica.Lost():
		return false, "its disk copy is lost: it serves when the control plane has told it how far the log is"
	case r.replica.View() == nil:
		return false, "nothing to serve yet"
	}
	return r.peers.ready()
}
