package replica

import (
	"context"
	"crypto/ed25519"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/feed"
	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// fromPeer makes of frames what a peer sends.
func fromPeer(frames ...any) []any {
	list := []any{Sharing{}}
	for _, f := range frames {
		list = append(list, Shared{f.(Received).Down})
	}
	return list
}

// beat is a heartbeat of the source, now.
func (s *source) beat() Received {
	b, err := record.Marshal(record.NewBeat(&s.v.Head, s.v.Head.Node, time.Now(), head))
	s.put(err)
	return Received{&peerpb.Down{Frame: &peerpb.Down_Heartbeat{Heartbeat: b}}}
}

func TestABatchOfAPeerIsServedWhileTheControlPlaneCannotBeFollowed(t *testing.T) {
	s := newSource(t)
	f := NewFollower(rootHash())
	steps(f, Loaded{View: s.v, Seed: []byte("0123456789abcdef")})
	out := steps(f, fromPeer(batch(t, s.user(1)))...)
	if _, ok := has[Append](out); !ok {
		t.Fatalf("%v", out)
	}
	out = steps(f, Written{})
	if served, ok := has[Serve](out); !ok || served.View.Head.Index != s.v.Head.Index || len(served.Batch) == 0 {
		t.Fatalf("%v", out)
	}
	if _, ok := has[Acknowledge](out); ok {
		t.Error("it acknowledges on a stream that is not open")
	}
	if f.Linked() {
		t.Error("a node that a peer feeds says that it follows the control plane")
	}
}

func TestWhatComesFromAPeerIsAcknowledgedToTheControlPlaneAndTakenOnce(t *testing.T) {
	s := newSource(t)
	f := following(s)
	first := batch(t, s.user(1))
	out := steps(f, append(fromPeer(first), Written{})...)
	if ack, ok := has[Acknowledge](out); !ok || ack.Index != s.v.Head.Index {
		t.Fatalf("%v", out)
	}
	out = steps(f, first)
	if _, again := has[Append](out); again {
		t.Errorf("%v", out)
	}
	if ack, ok := has[Acknowledge](out); !ok || ack.Index != s.v.Head.Index {
		t.Errorf("%v", out)
	}
}

func TestWhatAPeerSendsIsBelievedNoMoreThanWhatAnybodySends(t *testing.T) {
	s := newSource(t)
	old := snapshot(t, s.v)
	s.user(1)
	served := s.v
	next := batch(t, s.user(2))
	flipped := append([]byte{}, next.Down.GetBatch()...)
	flipped[len(flipped)/2] ^= 1
	gap := batch(t, s.user(3))
	for name, frames := range map[string][]any{
		"an older snapshot":         old,
		"a part without a snapshot": snapshot(t, s.v)[1:],
		"a batch after a gap":       {gap},
		"a flipped bit":             {Received{&peerpb.Down{Frame: &peerpb.Down_Batch{Batch: flipped}}}},
		"no frame":                  {Received{&peerpb.Down{}}},
	} {
		f := NewFollower(rootHash())
		steps(f, Loaded{View: served}, Timer{}, Connected{})
		out := steps(f, fromPeer(frames...)...)
		if _, ok := has[Refuse](out); !ok || f.View() != served {
			t.Errorf("%s: %v", name, out)
		}
		if _, ok := has[HangUp](out); ok {
			t.Errorf("%s: the stream to the control plane ends for what a peer sent", name)
		}
		if _, ok := has[Append](steps(f, next)); !ok {
			t.Errorf("%s: the control plane's next batch is not taken", name)
		}
	}
}

func TestANodeWhoseDiskCopyIsLostServesOnlyWhenItHasAllThatTheControlPlaneNames(t *testing.T) {
	s := newSource(t)
	behind := s.v // a peer has this
	next := batch(t, s.user(1))
	f := NewFollower(rootHash())
	steps(f, Loaded{Lost: true})
	out := steps(f, append(fromPeer(snapshot(t, behind)...), Written{})...)
	if _, ok := has[Serve](out); ok || !f.Lost() {
		t.Fatalf("a peer's state is served in its old name: %v", out)
	}
	if out = steps(f, fromPeer(s.beat())...); len(out) != 0 || !f.Lost() {
		t.Fatalf("a heartbeat that a peer passes on proves it: %v", out)
	}
	out = steps(f, Timer{}, Connected{}, s.beat())
	_, acked := has[Acknowledge](out)
	if _, ok := has[Serve](out); ok || acked {
		t.Fatalf("it has less than the control plane names: %v", out)
	}
	out = steps(f, next, Written{})
	if served, ok := has[Serve](out); !ok || served.View.Head.Index != s.v.Head.Index || f.Lost() {
		t.Errorf("%v", out)
	}
}

func TestACopyThatIsLostWithItsDirectoryIsKnownToBeLost(t *testing.T) {
	s := newSource(t)
	dir := t.TempDir()
	mark := filepath.Join(dir, "served")
	open := func() *Replica {
		t.Helper()
		sub := filepath.Join(dir, "replica")
		if err := os.MkdirAll(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		r := &Replica{Dir: sub, Mark: mark, Root: rootHash(), Now: time.Now, Log: quiet()}
		if err := r.Open(); err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := open()
	if r.Lost() {
		t.Fatal("a new node has lost nothing")
	}
	d := &driver{Replica: r, events: append([]any{Connected{}}, snapshot(t, s.v)...)}
	for len(d.events) > 0 {
		d.perform(context.Background(), r.step(d.next(context.Background())))
	}
	if r.View() == nil {
		t.Fatal("nothing is served")
	}
	if r = open(); r.View() == nil || r.Lost() {
		t.Error("a copy that is there is taken for lost")
	}
	if err := os.RemoveAll(filepath.Join(dir, "replica")); err != nil {
		t.Fatal(err)
	}
	if r = open(); !r.Lost() {
		t.Error("the copy is gone, and the node takes itself for new")
	}
	run := func(events ...any) {
		d := &driver{Replica: r, events: events}
		for len(d.events) > 0 {
			d.perform(context.Background(), r.step(d.next(context.Background())))
		}
	}
	behind := snapshot(t, s.v)
	s.user(1)
	run(append([]any{Connected{}}, behind...)...)
	if r = open(); r.View() != nil || !r.Lost() { // killed before it had all
		t.Errorf("lost %v: what was fetched and never served is served after a crash", r.Lost())
	}
	run(append([]any{Connected{}}, snapshot(t, s.v)...)...)
	run(s.beat())
	if r.Lost() || r.View() == nil {
		t.Fatal("it has all, and does not serve")
	}
	if r = open(); r.View() == nil || r.Lost() {
		t.Error("the copy that took the lost one's place is taken for lost")
	}
}

// sharing serves what a node has to the node with the key region.
func sharing(t *testing.T, s *feed.Share, as *record.Node) peerpb.FeedClient {
	t.Helper()
	server, err := peer.Server(head, func(k ed25519.PublicKey) (*record.Node, bool) { return as, k.Equal(ed25519.PublicKey(public(region))) })
	if err != nil {
		t.Fatal(err)
	}
	peerpb.RegisterFeedServer(server, s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(l)
	t.Cleanup(server.Stop)
	conn, err := peer.Dial(l.Addr().String(), region, func(ed25519.PublicKey) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return peerpb.NewFeedClient(conn)
}

func TestAnEmptyNodeHasAPeersStateAndWhatFollowsWithoutAControlPlane(t *testing.T) {
	s := newSource(t)
	for n := range 50 {
		s.user(n)
	}
	share := &feed.Share{Region: "here"}
	client := sharing(t, share, &record.Node{ID: "r", Role: record.RegionNode, Region: "here"})
	share.Serve(s.v, nil)
	r := follower(t, t.TempDir())
	run(t, r, "127.0.0.1:1") // nobody is there
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.CatchUp(ctx, client, func() bool { return true }) }()
	await(t, r, s.v.Head.Index)
	for n := range 40 {
		l := s.user(100 + n)
		b := batch(t, l)
		share.Serve(s.v, b.Down.GetBatch())
	}
	await(t, r, s.v.Head.Index)
	if r.View().Digest() != s.v.Digest() || r.Connected() {
		t.Errorf("digest %v, connected %v", r.View().Digest() == s.v.Digest(), r.Connected())
	}
	before := r.Age(time.Now())
	share.Beat(s.beat().Down.GetHeartbeat())
	for r.beat.Load() <= s.v.Head.Time && ctx.Err() == nil {
		<-time.After(time.Millisecond)
	}
	if r.Age(time.Now()) > before+time.Second || r.Silence(time.Now()) < time.Hour {
		t.Errorf("age %s, silence %s", r.Age(time.Now()), r.Silence(time.Now()))
	}
	cancel()
	<-ended
}

func TestAPeerServesItsOwnRegionAlone(t *testing.T) {
	s := newSource(t)
	for name, as := range map[string]*record.Node{
		"another Region's":     {ID: "r", Role: record.RegionNode, Region: "there"},
		"a control-plane node": {ID: "r", Role: record.ControlNode, Region: "here"},
	} {
		share := &feed.Share{Region: "here"}
		share.Serve(s.v, nil)
		r := follower(t, t.TempDir())
		run(t, r, "127.0.0.1:1")
		if err := r.CatchUp(t.Context(), sharing(t, share, as), func() bool { return false }); err == nil || r.View() != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
