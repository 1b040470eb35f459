package node

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/credentials"

	"github.com/holdfast-iam/holdfast/internal/admission"
	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/doors/authzen"
	"github.com/holdfast-iam/holdfast/internal/doors/native"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/front"
	"github.com/holdfast-iam/holdfast/internal/iam"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/replica"
	"github.com/holdfast-iam/holdfast/internal/session"
	"github.com/holdfast-iam/holdfast/internal/sts"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Files of a Region node, in its directory.
const (
	joinedFile  = "joined.json"  // what it learnt when it joined
	signingFile = "signing.keys" // private halves of its signing keys
	replicaDir  = "replica"
	servedFile  = "served" // it has had a replica: one that is lost is a lost disk
)

// Region is a Region node.
type Region struct {
	Config    *config.Config
	Inherited config.Inherited
	Log       *slog.Logger
	Ready     func()
	Ending    <-chan struct{} // closed when the node will end soon; nil: never

	keys     *keyring.NodeKeys
	ring     *keyring.Ring
	joined   joined
	replica  *replica.Replica
	controls *controls
	peers    *peers
	denials  *ownList
	tickets  *ownList
	work     *admission.Gate
	signing  atomic.Pointer[session.KeySet]
	front    *front.Handler
	metrics  *Metrics
	uses     keyUses
	fenced   atomic.Bool // it serves nobody any more
}

// Run runs the node until ctx ends.
func (r *Region) Run(ctx context.Context) error {
	if err := r.open(ctx); err != nil {
		return err
	}
	defer r.controls.close()
	defer r.peers.links.close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.replica.Run(ctx, r.sources()) })
	group.Go(func() error { return r.shown(ctx) })
	group.Go(func() error {
		return r.controls.learn(ctx, "", r.replica.View, r.Log, func() { r.replica.Sources(ctx, r.sources()) })
	})
	if err := r.peers.first(ctx, r.firstView); err != nil {
		return errors.Join(err, group.Wait())
	}
	group.Go(func() error { return r.announce(ctx) })
	group.Go(func() error { return r.keepKeys(ctx) })
	group.Go(func() error { return r.publishKeys(ctx) })
	group.Go(func() error { return r.reportUses(ctx) })
	if err := r.serve(ctx, group); err != nil {
		return err
	}
	if err := r.awaitReady(ctx); err != nil {
		return errors.Join(err, group.Wait())
	}
	r.Ready()
	// The disk copy's sums were checked before it was served; its records are
	// held against the signed digest now. One that fails takes the node out:
	// it starts again, from a copy that its peers hold.
	group.Go(r.replica.Check)
	return group.Wait()
}

// open loads the node's keys and disk copy, and joins when it is new.
func (r *Region) open(ctx context.Context) error {
	path := filepath.Join(r.Config.Dir, nodeKeysFile)
	keys, err := keyring.LoadNodeKeys(path)
	if keyring.Absent(err) {
		keys, err = newKeys(r.Config, path)
	}
	if err != nil {
		return err
	}
	r.keys = keys
	if err := local.Read(filepath.Join(r.Config.Dir, joinedFile), &r.joined); err != nil {
		if r.joined, err = join(ctx, r.Config, keys); err != nil {
			return fmt.Errorf("join: %w", err)
		}
	}
	if r.ring, err = keyring.NewRegionRing(keys, r.Config.Region); err != nil {
		return err
	}
	if r.controls, err = dialControls(r.Config.ControlNodes(), keys.TLS(), r.pinned); err != nil {
		return err
	}
	r.fenced.Store(wasFenced(r.Config.Dir))
	dir := filepath.Join(r.Config.Dir, replicaDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	r.peers = newPeers(r)
	r.replica = &replica.Replica{Dir: dir, Mark: filepath.Join(r.Config.Dir, servedFile), Root: r.Config.Root, Now: clock, Log: r.Log, Share: r.peers.share, Fenced: r.fence}
	if err := r.replica.Open(); err != nil {
		return err
	}
	if r.denials, err = openDenials(r); err != nil {
		return fmt.Errorf("the Region's own denials: %w", err)
	}
	if r.tickets, err = openTickets(r); err != nil {
		return fmt.Errorf("the Region's own tickets: %w", err)
	}
	return r.peers.dial()
}

// pinned says whether a control-plane node shows its key: the one in its record,
// or the one that the invite named.
func (r *Region) pinned(name string, key ed25519.PublicKey) bool {
	v := r.replica.View()
	if heir := r.replica.Heir(); heir != nil {
		return pinnedBy(heir, name, key)
	}
	if pinnedIn(v, name, key) {
		return true
	}
	if !key.Equal(ed25519.PublicKey(r.joined.Control)) || r.joined.At != "" && r.joined.At != name {
		return false
	}
	return v == nil || r.joined.At == "" || !record.Has(v, record.Nodes, record.None, name)
}

// sources are whom this node may follow.
func (r *Region) sources() []replica.Source {
	var list []replica.Source
	for _, n := range r.controls.all() {
		list = append(list, replica.Source{Name: n.name, Client: n.feed})
		if n.name == r.joined.At { // the one that it knows before it has any view
			list[0], list[len(list)-1] = list[len(list)-1], list[0]
		}
	}
	return list
}

// firstView waits until the node has a state that it may serve.
func (r *Region) firstView(ctx context.Context) error {
	for {
		if r.served() && (r.replica.Connected() || !failpoint.On(failpoint.NeedsControl)) {
			return nil
		}
		wait, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		index := uint64(1)
		if v := r.replica.View(); v != nil {
			index = v.Head.Index + 1
		}
		_ = r.replica.Await(wait, index) // asked again above
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (r *Region) serve(ctx context.Context, group *errgroup.Group) error {
	tlsConfig, err := tlsOf(r.Config, r.Log)
	if err != nil {
		return err
	}
	r.metrics = newMetrics(r.Config, r.keys.ID, record.RegionNode)
	verifier := &authn.Verifier{Ring: r.ring, Region: r.Config.Region, OptIn: r.optIn(), AnyRegion: r.Config.AnyRegion, Floor: r.replica.Floor, Hot: new(view.Ring)}
	r.gauges(verifier)
	authorizer, work := &authz.Authorizer{}, newGate(r.metrics)
	r.work = work
	if err := errors.Join(r.peers.serve(ctx, group), r.peers.run(ctx, group)); err != nil {
		return err
	}
	group.Go(func() error { return r.denials.run(ctx) })
	group.Go(func() error { return r.tickets.run(ctx) })
	if err := r.serveOperators(ctx, group, &operator.Server{View: r.view, Now: clock, Authorizer: authorizer}); err != nil {
		return err
	}
	current := func(context.Context) (*view.View, error) { return r.view(), nil }
	if failpoint.Built {
		current = r.needy()
	}
	current = r.unlessFenced(current)
	decider := &native.Decider{View: current, Verifier: verifier, Authorizer: authorizer, Region: r.Config.Region, Now: clock, Age: r.replica.Age,
		Await: r.peers.await, Leased: r.leased, Ahead: r.peers.ahead, Waiting: new(atomic.Int32), Demands: new(atomic.Int32), Gate: work, Log: r.Log}
	table := api.NewTable(iam.Ops(iam.Env{}), sts.Ops(sts.Env{Mint: r.mint, OpenMessage: r.openMessage, AccountOf: keyring.AccountOf})).Without(iam.Unbuilt()).Without(sts.Unbuilt())
	r.metrics.know(table)
	r.front = &front.Handler{Operations: front.NewOperations(table), Region: r.Config.Region, Verifier: verifier, Authorizer: authorizer,
		View: current, Await: r.peers.await, Leased: r.leased, Ahead: r.peers.ahead, Age: r.replica.Age, Relay: r.metrics.relayed(r.relay), Doors: r.doorsOf(decider), Gate: work, Changes: newChanges(r.metrics),
		Used: func(account, keyID, service string, now time.Time) {
			r.uses.note(r.Config.Region, account, keyID, service, now)
		},
		Markers: markers(r.ring), Global: r.metrics.global.Inc, Now: clock, Log: r.Log, Observe: r.metrics.observe}
	var front http.Handler = r.front
	if failpoint.Built {
		front = unready(front)
	}
	apiListener, err := openAPI(r.Inherited, r.Config)
	if err != nil {
		return err
	}
	if r.Config.SharedSocket && apiListener != nil {
		apiListener = newYielding(apiListener, r.yields)
	}
	admin, err := r.Inherited.Listener("admin", r.Config.Admin)
	if err != nil {
		return err
	}
	if err := r.serveDecisions(ctx, group, decider, tlsConfig); err != nil {
		return err
	}
	group.Go(func() error {
		return serveHTTP(ctx, apiListener, leaving(clientTLS(front), r.Ending, apiListener), tlsConfig, r.Log)
	})
	group.Go(func() error {
		return serveHTTP(ctx, admin, adminHandler(ending(r.status, r.Ending), r.metrics), nil, r.Log)
	})
	return nil
}

// serveDecisions opens the gRPC door, where it has an address.
func (r *Region) serveDecisions(ctx context.Context, group *errgroup.Group, d *native.Decider, tlsConfig *tls.Config) error {
	l, err := r.Inherited.Listener("decide", r.Config.Decide)
	if err != nil || l == nil {
		return err
	}
	var creds credentials.TransportCredentials
	if tlsConfig != nil {
		creds = credentials.NewTLS(tlsConfig)
	}
	if r.Config.SharedSocket {
		l = newYielding(l, r.yields)
	}
	door, ended := r.counted(d, "grpc"), callEnded(r.Log, r.metrics.observe)
	door.Turned = func(method string, err error) { ended(method, clock(), err) }
	s := native.NewServer(door, creds, grpcOptions(r.Log, r.metrics.observe)...)
	serveGRPC(ctx, group, s, l)
	return nil
}

// doorsOf routes the decision doors' paths.
func (r *Region) doorsOf(d *native.Decider) http.Handler {
	json, zen := native.NewDoor(r.counted(d, "http")), &authzen.Door{Decider: r.counted(d, "authzen")}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/holdfast/v1/") {
			json.ServeHTTP(w, r)
			return
		}
		zen.ServeHTTP(w, r)
	})
}

// counted is a decider whose decisions are counted as one door's.
func (r *Region) counted(d *native.Decider, door string) *native.Decider {
	own := *d
	own.Decided = r.metrics.decided(door)
	return &own
}

// silentAfter is how long the control plane may be silent before writes are
// refused at once: three heartbeats.
const silentAfter = 1500 * time.Millisecond

// A client hears within a second that the control plane is out of reach: the
// first node's patience, and that of the one that is asked after it, which may
// have to take over.
const (
	relayPatience = 400 * time.Millisecond
	relayTries    = 2
	nextPatience  = 550 * time.Millisecond
)

// relay hands a write to the control plane as it came: to the node that
// sequences, and when that does not answer to another. A call is done once, so
// asking twice is safe.
func (r *Region) relay(ctx context.Context, m *front.Relayed) (*front.Reply, error) {
	unreachable := front.Unavailable("it cannot be reached from this Region")
	if r.fenced.Load() {
		return nil, errTakenOut
	}
	if r.replica.Silence(clock()) > silentAfter && !failpoint.On(failpoint.RelayWaits) {
		return nil, unreachable
	}
	ctx, cancel := context.WithTimeout(ctx, busyPatience+5*time.Second)
	defer cancel()
	patience := relayPatience
	if failpoint.On(failpoint.RelayWaits) {
		patience = 30 * time.Second
	}
	asked := r.controls.order(r.replica.View().Head.Node, clock())
	if len(asked) == 1 { // nobody else can be asked: silence is left to the heartbeats
		patience = busyPatience
	}
	for n, control := range asked[:min(relayTries, len(asked))] {
		reply, err := relayOver(ctx, control.conn, relayRequest(m), patience, r.index)
		answered := err == nil && reply.Status != http.StatusServiceUnavailable
		r.controls.note(control.name, err == nil, clock())
		if answered || err == nil && n+1 == min(relayTries, len(asked)) {
			return frontReply(reply), nil
		}
		patience = nextPatience
		r.Log.Warn("relay", "to", control.name, "error", err)
	}
	return nil, unreachable
}

func (r *Region) index() uint64 { return r.replica.View().Head.Index }

// ask has a control-plane node do something that may be asked of several.
func (r *Region) ask(ctx context.Context, do func(context.Context, peerpb.ControlClient) error) error {
	err := errSilent
	for _, n := range r.controls.order(r.replica.View().Head.Node, clock()) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		err = do(ctx, peerpb.NewControlClient(n.conn))
		cancel()
		r.controls.note(n.name, !unanswered(err), clock())
		if !unanswered(err) {
			break
		}
	}
	return err
}

// mint makes the credential of a session, signed by this node.
func (r *Region) mint(c *api.Call, claims sts.Claims) (*sts.Minted, error) {
	unready := fault.ServiceUnavailable.Errorf("This node cannot issue credentials now: its signing key is not published yet.").WithRetryAfter(time.Second)
	set := r.signing.Load()
	if set == nil {
		return nil, unready
	}
	v := r.view()
	key, regional := set.Choose(v, c.Now)
	if key == nil {
		return nil, unready
	}
	h := session.Header{Regional: regional, Region: r.Config.Region, KeyID: key.ID, Rests: v.Head.Index}
	opening, to, err := r.audience(v, &h, claims.Account, claims.Version)
	if err != nil {
		return nil, err
	}
	id, err := keyring.NewKeyID(keyring.Temporary, claims.Account)
	if err != nil {
		return nil, err
	}
	s := &claims.Session
	body := &session.Claims{Kind: uint8(claims.Kind), ID: session.NewID(), Secret: keyring.NewSecret(), Account: claims.Account, Principal: claims.ID,
		Name: s.Name, Issued: s.Issued.Unix(), Expires: s.Expires.Unix(), SourceIdentity: s.SourceIdentity, Tags: s.Tags, Transitive: s.Transitive,
		ParentKey: s.ParentKey, ParentID: s.ParentID, Depth: s.Depth, Provider: s.Provider, Policy: s.Policy, PolicyARNs: s.PolicyARNs, HasPolicy: s.HasPolicy}
	token, err := session.Mint(h, body, id, opening, key.Key(), to...)
	if errors.Is(err, session.ErrTooLarge) {
		return nil, fault.PackedPolicyTooLarge.Errorf("Packed size of session policies and tags is %d%% of the allotted space.", session.Packed(body, to...))
	}
	if err != nil {
		return nil, err
	}
	return &sts.Minted{KeyID: id, Secret: body.Secret, Token: token, Packed: session.Packed(body, to...)}, nil
}

func markers(ring *keyring.Ring) api.Markers {
	return api.Markers{Seal: ring.SealMarker, Open: ring.OpenMarker}
}

func (r *Region) openMessage(s record.Reader, account, message string) ([]byte, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(message)
	if err != nil {
		return nil, err
	}
	return r.ring.OpenMessage(s, account, sealed)
}

// keysPause is how often the node looks at its signing keys.
const keysPause = 500 * time.Millisecond

// publishKeys keeps the node's signing keys grown and published.
func (r *Region) publishKeys(ctx context.Context) error {
	path := filepath.Join(r.Config.Dir, signingFile)
	set := session.KeySet{}
	b, err := keyring.ReadSecret(path)
	if err == nil {
		set, err = session.ParseKeySet(b)
	}
	if err != nil && !keyring.Absent(err) {
		return fmt.Errorf("signing keys: %w", err)
	}
	for {
		grown, changed := set.Trim(r.view(), r.replica.Floor(), clock()).Grow(clock())
		if changed || len(grown) != len(set) {
			if err := replaceSecret(path, grown.Encode()); err != nil {
				return fmt.Errorf("signing keys: %w", err)
			}
			set = grown
		}
		r.signing.Store(&set)
		if err := r.publish(ctx, set); err != nil && ctx.Err() == nil {
			r.Log.Warn("publish signing keys", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(keysPause):
		}
	}
}

func replaceSecret(path string, b []byte) error {
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !keyring.Absent(err) {
		return err
	}
	if err := keyring.WriteSecret(tmp, b); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func (r *Region) publish(ctx context.Context, set session.KeySet) error {
	v := r.view() // what its ticket names is handed up with it
	req := &peerpb.PublishKeysRequest{}
	for i := range set {
		if len(req.Keys) == maxPublish || record.Has(v, record.SigningKeys, record.None, set[i].ID) {
			continue
		}
		b, err := json.Marshal(set[i].Public(r.keys.ID, r.Config.Region))
		if err != nil {
			return err
		}
		req.Keys = append(req.Keys, b)
	}
	if len(req.Keys) == 0 || r.byTicket() {
		return nil
	}
	return r.ask(ctx, func(ctx context.Context, c peerpb.ControlClient) error {
		_, err := c.PublishKeys(ctx, req)
		return err
	})
}

// awaitReady waits until the node can issue tokens that all Regions accept,
// or, cut off, as good as it can.
func (r *Region) awaitReady(ctx context.Context) error {
	deadline := clock().Add(5 * time.Second)
	for {
		if r.known() || r.fenced.Load() || clock().After(deadline) && r.replica.View() != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (r *Region) known() bool {
	set := r.signing.Load()
	if set == nil {
		return false
	}
	key, regional := set.Choose(r.view(), clock())
	return key != nil && !regional
}

func (r *Region) status() Status {
	v := r.replica.View()
	s := Status{Node: r.keys.ID, Role: record.RegionNode, Region: r.Config.Region, Zone: r.Config.Zone, Format: record.Format,
		Why: r.replica.Alarm(), Connected: r.replica.Connected(), Age: r.replica.Age(clock()).Seconds()}
	ready, why := r.ready()
	if s.Ready = ready; !ready {
		s.Why = why
	}
	if v == nil {
		return s
	}
	s.fill(v)
	s.Peers, s.Load = r.peers.live(), r.peers.busy()
	if left, ok := r.peers.headroom(); ok {
		s.ZoneLoss = &left
	}
	if set := r.signing.Load(); set != nil {
		s.Horizon = set.Horizon(r.view(), clock()).Seconds()
	}
	return s
}
