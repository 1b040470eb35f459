package node

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/feed"
	"github.com/holdfast-iam/holdfast/internal/front"
	"github.com/holdfast-iam/holdfast/internal/iam"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/managed"
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

	keys    *keyring.NodeKeys
	ring    *keyring.Ring
	writer  *store.Writer
	hub     *feed.Hub
	front   *front.Handler
	metrics *Metrics
	audit   *auditor
}

// Run runs the node until ctx ends.
func (c *Control) Run(ctx context.Context) error {
	kv, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer kv.Close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.writer.Run(ctx) })
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
	if err := c.managedPolicies(ctx); err != nil {
		return err
	}
	group.Go(func() error { return c.markKnown(ctx) })
	group.Go(func() error { return c.renewKeys(ctx) })
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
	if c.audit, err = openAuditor(c.Config.Dir); err != nil {
		return nil, err
	}
	quota := c.Config.QuotaBytes
	if quota == 0 {
		quota = store.DefaultQuota
	}
	kv, err := store.OpenMember(store.MemberConfig{Dir: filepath.Join(c.Config.Dir, "etcd"), Run: c.Config.Run, Quota: quota, Log: c.Log})
	if err != nil {
		return nil, err
	}
	c.hub = &feed.Hub{Now: time.Now, Heartbeat: c.heartbeat}
	floor := c.Config.FloorBytes
	if floor == 0 {
		floor = defaultFloor
	}
	head := c.keys.HeadKey() // once: to derive it costs as much as to sign
	c.writer = &store.Writer{KV: kv, Node: c.keys.ID, Sign: func(h *record.Head) { h.Sign(head) }, Now: time.Now, Log: c.Log,
		LogBytes: quota / 4, Floor: uint64(floor), Free: func() uint64 { return freeBytes(c.Config.Dir) }, OnCommit: c.committed, Audited: c.audit.files.Index}
	err = c.writer.Open(ctx, func(h *record.Head, s *view.State) error {
		return record.VerifyState(s, h, s.Digest(), c.Config.Root)
	})
	if err == nil && c.writer.View() == nil {
		err = c.genesis(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, kv.Close())
	}
	c.hub.Start(c.writer.View())
	return kv, nil
}

func (c *Control) committed(l *record.LogValue, v *view.View) {
	c.audit.note(l)
	if l.Head.Index > 1 { // the hub starts after genesis
		c.hub.Publish(l, v)
	}
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

// managedGroup bounds how many of AWS's policies one system commit writes.
const managedGroup = 100

// managedPolicies writes AWS's policies where they are missing or older.
func (c *Control) managedPolicies(ctx context.Context) error {
	all, err := managed.Policies()
	if err != nil {
		return err
	}
	var due []*record.Policy
	v := c.writer.View()
	for _, p := range all {
		old, err := record.Get(v, record.Policies, p.Account, p.ID)
		if err != nil || old.Next < p.Next {
			due = append(due, p)
		}
	}
	for len(due) > 0 {
		n := min(managedGroup, len(due))
		o := c.writer.System(ctx, "managed policies", func(tx record.Tx, _ time.Time) error {
			for _, p := range due[:n] {
				if err := record.Put(tx, record.Policies, p); err != nil {
					return err
				}
			}
			return nil
		})
		if o.Err != nil {
			return o.Err
		}
		due = due[n:]
	}
	return nil
}

// heartbeat is the head as a linearizable read found it, signed for now.
func (c *Control) heartbeat(ctx context.Context) (*record.Beat, error) {
	v, err := c.writer.Linearizable(ctx)
	if err != nil {
		return nil, err
	}
	return record.NewBeat(&v.Head, c.keys.ID, time.Now(), c.keys.HeadKey()), nil
}

func (c *Control) serve(ctx context.Context, group *errgroup.Group) error {
	tlsConfig, err := tlsOf(c.Config)
	if err != nil {
		return err
	}
	c.metrics = newMetrics(c.status)
	table := api.NewTable(iam.Ops(iam.Env{
		NewAccessKey: func(r record.Reader, account string, now time.Time) (record.AccessKey, string, error) {
			return c.ring.NewAccessKey(r, account, now)
		},
		NewBearer: keyring.NewBearer,
	})).Without(iam.Unbuilt())
	c.front = &front.Handler{Operations: front.NewOperations(table), Region: c.Config.Region,
		Verifier: &authn.Verifier{Ring: c.ring, Region: c.Config.Region, AnyRegion: c.Config.AnyRegion, Hot: new(view.Ring)}, Authorizer: &authz.Authorizer{},
		View: c.linearizable, Age: func(time.Time) time.Duration { return 0 }, Commit: c.commit, Markers: markers(c.ring), Now: time.Now, Log: c.Log, Observe: c.metrics.observe}
	peers, err := peer.Server(c.keys.TLS(), c.findNode, grpcOptions(c.Log, nil)...)
	if err != nil {
		return err
	}
	peerpb.RegisterFeedServer(peers, c.hub)
	peerpb.RegisterControlServer(peers, &controlServer{c: c})
	apiListener, err := c.Inherited.Listener("api", c.Config.API)
	if err != nil {
		return err
	}
	admin, err := c.Inherited.Listener("admin", c.Config.Admin)
	if err != nil {
		return err
	}
	peerListener, err := c.Inherited.Listener("peer", c.Config.Peer)
	if err != nil {
		return err
	}
	group.Go(func() error { return serveHTTP(ctx, apiListener, c.front, tlsConfig, c.Log) })
	group.Go(func() error { return serveHTTP(ctx, admin, adminHandler(c.status, c.metrics), nil, c.Log) })
	group.Go(func() error { return peers.Serve(peerListener) })
	if err := c.serveOperators(ctx, group); err != nil {
		return err
	}
	group.Go(func() error {
		<-ctx.Done()
		stopGRPC(peers)
		return nil
	})
	return nil
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

// linearizable is the view for reads; without quorum it is the last one.
func (c *Control) linearizable(ctx context.Context) (*view.View, error) {
	v, err := c.writer.Linearizable(ctx)
	if err != nil && v == nil {
		return nil, err
	}
	return v, nil
}

// commit has the sequencer run a front's write.
func (c *Control) commit(ctx context.Context, w *front.Write) *front.Outcome {
	o := c.writer.Do(ctx, store.Call{ID: w.CallID, Account: w.Account, Reduces: w.Reduces, Admit: w.Admit, Apply: w.Apply})
	if errors.Is(o.Err, store.ErrUnavailable) {
		return &front.Outcome{Err: front.Unavailable(o.Err.Error())}
	}
	out := &front.Outcome{Err: o.Err, Index: o.Index, Replayed: o.Replayed}
	if o.Err != nil {
		return out
	}
	if o.Replayed {
		private, err := c.writer.Private(ctx, o.Index)
		if err != nil {
			return &front.Outcome{Err: err}
		}
		out.Private = private
	}
	if o.View != nil {
		out.Lineage = o.View.Head.Lineage
	}
	out.Missing = c.hub.Wait(ctx, o.Index)
	return out
}

func (c *Control) findNode(key ed25519.PublicKey) (*record.Node, bool) {
	var found *record.Node
	err := record.Scan(c.writer.View(), record.Nodes, record.NodeByID, "", "", func(_ string, n *record.Node) bool {
		if key.Equal(ed25519.PublicKey(n.TLS)) {
			found = n
		}
		return found == nil
	})
	return found, err == nil && found != nil && !found.Fenced
}

func (c *Control) status() Status {
	v := c.writer.View()
	s := Status{Node: c.keys.ID, Role: record.ControlNode, Region: c.Config.Region, Zone: c.Config.Zone, Ready: v != nil, Connected: true, Format: record.Format}
	if v != nil {
		s.fill(v)
		s.InSync, s.Missing = c.hub.Members()
	}
	return s
}

// fill tells which view a node serves.
func (s *Status) fill(v *view.View) {
	digest := v.Digest()
	s.Revision, s.Lineage, s.Index = record.Revision(v.Head.Lineage, v.Head.Index), v.Head.Lineage, v.Head.Index
	s.Digest, s.Records = fmt.Sprintf("%x", digest[:]), v.Len()
}

// knownPause is how often unknown signing keys are looked at.
const knownPause = 50 * time.Millisecond

// markKnown marks signing keys that every enrolled node has acknowledged.
func (c *Control) markKnown(ctx context.Context) error {
	for {
		if due := c.unknownKeys(); len(due) > 0 && c.hub.Known(c.writer.View().Head.Index) {
			o := c.writer.System(ctx, "signing keys known", func(tx record.Tx, _ time.Time) error {
				for _, id := range due {
					k, err := record.Get(tx, record.SigningKeys, record.None, id)
					if err != nil {
						return err
					}
					k.Known = true
					if err := record.Put(tx, record.SigningKeys, k); err != nil {
						return err
					}
				}
				return nil
			})
			if o.Err != nil && ctx.Err() == nil {
				c.Log.Error("mark signing keys known", "error", o.Err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(knownPause):
		}
	}
}

func (c *Control) unknownKeys() []string {
	var due []string
	err := record.Scan(c.writer.View(), record.SigningKeys, record.SigningKeyByNode, "", "", func(_ string, k *record.SigningKey) bool {
		if !k.Known && !k.Revoked {
			due = append(due, k.ID)
		}
		return true
	})
	if err != nil {
		c.Log.Error("signing keys", "error", err)
	}
	return due
}
