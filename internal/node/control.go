package node

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/feed"
	"github.com/holdfast-iam/holdfast/internal/front"
	"github.com/holdfast-iam/holdfast/internal/iam"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/store"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Control is a control-plane node.
type Control struct {
	Config    *config.Config
	Inherited config.Inherited
	Log       *slog.Logger
	Ready     func()
	Ending    <-chan struct{} // closed when the node will end soon; nil: never

	keys      *keyring.NodeKeys
	ring      *keyring.Ring
	store     *store.Etcd
	writer    *store.Writer
	hub       *feed.Hub
	front     *front.Handler
	metrics   *Metrics
	audit     *auditor
	controls  *controls // the control plane's other nodes
	operators *operators
	clock     *clockWatch
	floor     *timeFloor
	retiring  sync.WaitGroup // of what is left to do once there is a successor
	sequenced bool           // whether this node made the newest commit; for committed alone
}

// Run runs the node until ctx ends.
func (c *Control) Run(ctx context.Context) error {
	kv, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer kv.Close()
	defer c.controls.close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := c.writer.Run(ctx)
		c.retiring.Wait()
		return err
	})
	group.Go(func() error { return c.hub.Run(ctx) })
	group.Go(func() error { return c.follow(ctx) })
	group.Go(func() error {
		select {
		case err := <-kv.Stopped(): // an error of its disk: this process ends with it
			return fmt.Errorf("the store has stopped: %w", err)
		case <-ctx.Done():
			return nil
		}
	})
	group.Go(func() error { return c.clock.run(ctx) })
	group.Go(func() error { return c.floor.run(ctx) })
	if err := c.servePeers(ctx, group); err != nil { // before anything is committed: the others' clocks are needed for it
		return err
	}
	c.heed(ctx)
	if err := c.managedPolicies(ctx); err != nil {
		if ended := group.Wait(); ended != nil {
			err = ended
		}
		return err
	}
	group.Go(func() error { return c.announce(ctx) })
	group.Go(func() error { return c.controls.learn(ctx, c.keys.ID, c.writer.View, c.Log, func() {}) })
	group.Go(func() error { return c.lineages(ctx) })
	group.Go(func() error { return c.markKnown(ctx) })
	group.Go(func() error { return c.renewKeys(ctx) })
	group.Go(func() error { return c.renewKEK(ctx) })
	group.Go(func() error { return c.tendMembers(ctx) })
	group.Go(func() error { return c.tendFile(ctx) })
	group.Go(func() error { return c.tendHistory(ctx) })
	if err := c.serve(ctx, group); err != nil {
		return err
	}
	c.Ready()
	return group.Wait()
}

func (c *Control) open(ctx context.Context) (*store.Etcd, error) {
	var err error
	if c.keys, err = keyring.LoadNodeKeys(filepath.Join(c.Config.Dir, nodeKeysFile)); err != nil {
		return nil, err
	}
	kek, err := keyring.LoadKEK(c.Config.KEK)
	if err != nil {
		return nil, err
	}
	c.ring = &keyring.Ring{KEK: kek}
	c.metrics = newMetrics(c.Config, c.keys.ID, record.ControlNode)
	if c.audit, err = openAuditor(c.Config.Dir); err != nil {
		return nil, err
	}
	others := maps.Clone(c.Config.Controls)
	delete(others, c.keys.ID)
	c.controls, err = dialControls(others, c.keys.TLS(), func(name string, key ed25519.PublicKey) bool { return pinnedIn(c.writer.View(), name, key) })
	if err != nil {
		return nil, err
	}
	kv, err := c.openStore(ctx)
	if err != nil {
		return nil, errors.Join(err, c.controls.close())
	}
	err = c.load(ctx)
	if errors.Is(err, store.ErrSucceeded) {
		err = errors.Join(err, c.left(ctx))
	}
	if err == nil {
		err = c.ring.CheckKEK(c.writer.View())
	}
	if err != nil {
		return nil, errors.Join(err, kv.Close(), c.controls.close())
	}
	c.inherit()
	c.sequenced = c.writer.Sequences()
	c.clock, c.floor = newClockWatch(c), newTimeFloor(c)
	c.writer.Clock = c.clock.judge
	c.hub.Start(c.writer.View())
	return kv, nil
}

// probeEach is how often a store of several members is asked whether it can be
// reached.
const probeEach = 200 * time.Millisecond

// openStore opens the store where the configuration has it: a lone embedded
// member, one of several, or somebody else's cluster.
func (c *Control) openStore(ctx context.Context) (*store.Etcd, error) {
	var kv *store.Etcd
	var err error
	if len(c.Config.EtcdEndpoints) > 0 {
		kv, err = store.OpenExternal(ctx, store.ExternalConfig{Endpoints: c.Config.EtcdEndpoints, CA: c.Config.EtcdCA, Cert: c.Config.EtcdCert, Key: c.Config.EtcdKey,
			Quota: c.Config.QuotaBytes, Log: c.Log})
	} else {
		quota := c.Config.QuotaBytes
		if quota == 0 {
			quota = store.DefaultQuota
		}
		kv, err = store.OpenMember(ctx, store.MemberConfig{Dir: filepath.Join(c.Config.Dir, "etcd"), Run: c.Config.Run, Quota: quota, Log: c.Log,
			Name: c.keys.ID, Peers: c.Config.EtcdMembers, Joining: hasJoined(c.Config), CA: c.Config.EtcdCA, Cert: c.Config.EtcdCert, Key: c.Config.EtcdKey})
	}
	if err != nil {
		return nil, err
	}
	c.store = kv
	c.hub = &feed.Hub{Now: clock, Heartbeat: c.heartbeat, Refresh: c.refresh, Continues: c.continues, Lineages: feed.Successions{Succeeded: c.succeeded, HandUp: c.handUp}}
	floor := c.Config.FloorBytes
	if floor == 0 {
		floor = defaultFloor
	}
	head := c.keys.HeadKey() // once: to derive it costs as much as to sign
	c.writer = &store.Writer{KV: measured{kv, c.metrics}, Node: c.keys.ID, Sign: func(h *record.Head) { h.Sign(head) }, Now: clock, Log: c.Log,
		LogBytes: kv.Quota() / 4, Floor: uint64(floor), Free: func() uint64 { return freeBytes(c.Config.Dir) }, OnCommit: c.committed, Audited: c.audit.files.Index}
	if len(c.Config.EtcdMembers) > 0 || len(c.Config.EtcdEndpoints) > 0 {
		c.writer.Probe = probeEach
	}
	return kv, nil
}

// load holds the state at the head. Of an empty store the node with the genesis
// makes the first commit, and the others wait for it.
func (c *Control) load(ctx context.Context) error {
	for ctx.Err() == nil {
		err := c.writer.Open(ctx, func(h *record.Head, s *view.State) error {
			return record.VerifyState(s, h, s.Digest(), c.Config.Root)
		})
		if err != nil || c.writer.View() != nil {
			return err
		}
		if begun, err := c.succeed(ctx); begun || err != nil {
			return err
		}
		if _, err := os.Stat(c.Config.Genesis); err == nil || len(c.Config.Controls) == 0 {
			return c.genesis(ctx)
		}
		sleep(ctx, genesisPause)
	}
	return ctx.Err()
}

// genesisPause is how often an empty store is looked at again.
const genesisPause = 100 * time.Millisecond

// committed takes every confirmed commit, whoever made it, in order.
func (c *Control) committed(l *record.LogValue, v *view.View) {
	c.audit.note(l)
	if l.Head.Node == c.keys.ID {
		c.metrics.commitRecords.Observe(float64(len(l.Records)))
	}
	if l.Head.Index == 1 || c.writer.View() == nil || !c.hub.Started() { // the hub starts after genesis
		return
	}
	own := l.Head.Node == c.keys.ID
	if own && !c.sequenced {
		c.Log.Info("this node sequences now", "term", l.Head.Term, "index", l.Head.Index)
		c.hub.TakeOver()
	}
	c.sequenced = own
	c.hub.Publish(l, v)
}

// genesis commits the first records of a new deployment.
func (c *Control) genesis(ctx context.Context) error {
	b, err := os.ReadFile(c.Config.Genesis)
	if err != nil {
		return fmt.Errorf("the store is empty and there is no genesis: %w", err)
	}
	var changes []record.Change
	if err := json.Unmarshal(b, &changes); err != nil {
		return fmt.Errorf("%s: %w", c.Config.Genesis, err)
	}
	for _, ch := range changes {
		if ch.Key.Kind() == record.Geneses.Name {
			g, err := record.Geneses.Decode(ch.Value)
			if err != nil {
				return err
			}
			if err := g.Verify(c.Config.Root); err != nil {
				return err
			}
			return c.writer.Genesis(ctx, g, changes)
		}
	}
	return fmt.Errorf("%s holds no genesis record", c.Config.Genesis)
}

// heartbeat is the head as a linearizable read found it, signed for now.
func (c *Control) heartbeat(ctx context.Context) (*record.Beat, error) {
	v, err := c.writer.Linearizable(ctx)
	if err != nil {
		return nil, err
	}
	return record.NewBeat(&v.Head, c.keys.ID, clock(), c.keys.HeadKey()), nil
}

// servePeers answers the other nodes.
func (c *Control) servePeers(ctx context.Context, group *errgroup.Group) error {
	table := api.NewTable(iam.Ops(iam.Env{
		NewAccessKey: func(r record.Reader, account string, now time.Time) (record.AccessKey, string, error) {
			return c.ring.NewAccessKey(r, account, now)
		},
		NewBearer: keyring.NewBearer,
	})).Without(iam.Unbuilt())
	verifier := &authn.Verifier{Ring: c.ring, Region: c.Config.Region, AnyRegion: c.Config.AnyRegion, Floor: c.floor.At, Hot: new(view.Ring)}
	c.metrics.know(table)
	c.gauges(verifier)
	c.front = &front.Handler{Operations: front.NewOperations(table), Region: c.Config.Region, Verifier: verifier, Authorizer: &authz.Authorizer{},
		View: c.writer.Linearizable, Age: c.writer.Age, Relay: c.forward, Commit: c.commit, Gate: newGate(c.metrics), Changes: newChanges(c.metrics), Via: c.via, Markers: markers(c.ring), Now: clock, Log: c.Log, Observe: c.metrics.observe}
	peers, err := peer.Server(c.keys.TLS(), c.findNode, grpcOptions(c.Log, nil)...)
	if err != nil {
		return err
	}
	peerpb.RegisterFeedServer(peers, c.hub)
	peerpb.RegisterControlServer(peers, &controlServer{c: c})
	c.operators = &operators{c: c, here: &operator.Server{View: c.writer.View, Commit: c.commitOperator, MakeAccount: c.makeAccount, AdmitRegion: c.ring.NewRegion, Ring: c.ring, Now: clock, Authorizer: c.front.Authorizer, Log: c.readLog}}
	operatorpb.RegisterOperatorServer(peers, c.operators)
	listener, err := c.Inherited.Listener("peer", c.Config.Peer)
	if err != nil {
		return err
	}
	serveGRPC(ctx, group, peers, listener)
	return nil
}

// serve answers clients and operators.
func (c *Control) serve(ctx context.Context, group *errgroup.Group) error {
	tlsConfig, err := tlsOf(c.Config, c.Log)
	if err != nil {
		return err
	}
	apiListener, err := openAPI(c.Inherited, c.Config)
	if err != nil {
		return err
	}
	admin, err := c.Inherited.Listener("admin", c.Config.Admin)
	if err != nil {
		return err
	}
	group.Go(func() error {
		return serveHTTP(ctx, apiListener, leaving(clientTLS(c.front), c.Ending, apiListener), tlsConfig, c.Log)
	})
	group.Go(func() error {
		return serveHTTP(ctx, admin, adminHandler(ending(c.status, c.Ending), c.metrics), nil, c.Log)
	})
	return c.serveOperators(ctx, group)
}

// serveGRPC answers on a listener until ctx ends.
func serveGRPC(ctx context.Context, group *errgroup.Group, s *grpc.Server, l net.Listener) {
	group.Go(func() error { return s.Serve(l) })
	group.Go(func() error {
		<-ctx.Done()
		stopGRPC(s)
		return nil
	})
}

// stopGRPC ends a gRPC server: streams have no end of their own.
func stopGRPC(s *grpc.Server) {
	done := make(chan struct{})
	go func() {
		s.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(500 * time.Millisecond):
		s.Stop()
		<-done
	}
}

// commit has the sequencer run a front's write.
func (c *Control) commit(ctx context.Context, w *front.Write) *front.Outcome {
	o := c.writer.Do(ctx, store.Call{ID: w.CallID, Account: w.Account, Reduces: w.Reduces, Insist: w.Insist, Admit: w.Admit, Apply: w.Apply})
	if errors.Is(o.Err, store.ErrMoved) {
		return &front.Outcome{Moved: true}
	}
	if errors.Is(o.Err, store.ErrUnavailable) {
		return &front.Outcome{Err: front.Unavailable(o.Err.Error())}
	}
	if errors.Is(o.Err, store.ErrFormat) { // an account's own choice, while an upgrade is under way
		return &front.Outcome{Err: front.Unavailable(o.Err.Error())}
	}
	out := &front.Outcome{Err: o.Err, Index: o.Index, Replayed: o.Replayed}
	if o.Err != nil {
		return out
	}
	if o.Replayed {
		if err := answerLost(o.View, o.Index); err != nil {
			return &front.Outcome{Err: err}
		}
		private, err := c.writer.Private(ctx, o.Index)
		if err != nil {
			return &front.Outcome{Err: err}
		}
		out.Private = private
	}
	if o.View != nil {
		out.Lineage = o.View.Head.Lineage
	}
	if tell, ok := ctx.Value(committedKey{}).(func()); ok {
		tell()
	}
	out.Missing = c.hub.Wait(ctx, o.Index)
	failpoint.Crash(failpoint.BeforeAnswer)
	return out
}

func (c *Control) findNode(key ed25519.PublicKey) (*record.Node, bool) {
	found, ok := nodeOfKey(c.writer.View(), key)
	if found == nil && failpoint.On(failpoint.AnyPeer) {
		return &record.Node{ID: "anybody", Role: record.RegionNode}, true
	}
	return found, ok || found != nil && failpoint.On(failpoint.FencedFollow)
}

func (c *Control) status() Status {
	v := c.writer.View()
	s := Status{Node: c.keys.ID, Role: record.ControlNode, Region: c.Config.Region, Zone: c.Config.Zone, Ready: v != nil, Connected: c.writer.Reachable(), Age: c.writer.Age(clock()).Seconds(), Format: record.Format}
	if v != nil {
		s.fill(v)
		s.Sequencer, s.Term = v.Head.Node, v.Head.Term
		s.Fenced = fencedIn(v)
		if err := c.clock.judge(); err != nil {
			s.Why = err.Error()
		}
		if c.writer.Sequences() { // the set is the sequencer's
			s.InSync, s.Missing = c.hub.Members()
		}
	}
	return s
}

// fill tells which view a node serves.
func (s *Status) fill(v *view.View) {
	digest := v.Digest()
	s.Revision, s.Lineage, s.Index = record.Revision(v.Head.Lineage, v.Head.Index), v.Head.Lineage, v.Head.Index
	s.Digest, s.Records = fmt.Sprintf("%x", digest[:]), v.Len()
}
