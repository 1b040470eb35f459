package replica

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/feed"
	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

func key(b byte) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = b
	return ed25519.NewKeyFromSeed(seed)
}

func public(k ed25519.PrivateKey) []byte { return k.Public().(ed25519.PublicKey) }

var root, head, region = key(1), key(2), key(3)

func rootHash() string { return fmt.Sprintf("%x", sha256.Sum256(public(root))) }

// source is a log in memory: what a sequencer commits, without a store.
type source struct {
	t      *testing.T
	v      *view.View
	newest atomic.Pointer[view.View] // v, for the hub's goroutines
}

func newSource(t *testing.T) *source {
	s := &source{t: t}
	g := &record.Genesis{Cluster: "c", Lineage: "l", Mode: "development", Root: public(root), HashSeed: []byte("0123456789abcdef")}
	g.Sign(root)
	s.v = &view.View{State: view.Empty(g.HashSeed), Head: record.Head{Cluster: "c", Lineage: "l", Format: record.Format, Node: "control", Term: 1}}
	s.commit(func(tx record.Tx) {
		s.put(record.Put(tx, record.Geneses, g))
		s.put(record.Put(tx, record.Nodes, &record.Node{ID: "control", Role: record.ControlNode, Head: public(head), TLS: public(head)}))
		s.put(record.Put(tx, record.Nodes, &record.Node{ID: "r", Role: record.RegionNode, TLS: public(region)}))
	})
	return s
}

func (s *source) put(err error) {
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *source) commit(change func(record.Tx)) *record.LogValue {
	s.t.Helper()
	p := s.v.Begin()
	change(p)
	h := s.v.Head
	h.Index++
	h.Time, h.Node = time.Now().UnixMilli(), "control"
	pub, err := record.Marshal(record.Public{Index: h.Index, Time: h.Time, Format: record.Format, Changes: p.Changes()})
	s.put(err)
	private := []byte(`{"op":"test"}`)
	h.Chain = record.Link(h.Chain, pub, sha256.Sum256(private))
	state := p.State()
	h.State = state.Digest()
	h.Sign(head)
	s.v = &view.View{State: state, Head: h}
	s.newest.Store(s.v)
	return &record.LogValue{Head: h, Records: []record.Logged{{Public: pub, Private: private}}}
}

func (s *source) user(n int) *record.LogValue {
	return s.commit(func(tx record.Tx) {
		s.put(record.Put(tx, record.Users, &record.User{Account: "1", ID: fmt.Sprint(n), Name: fmt.Sprint("n&<", n), Path: "/"}))
	})
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func follower(t *testing.T, dir string) *Replica {
	t.Helper()
	r := &Replica{Dir: dir, Root: rootHash(), Now: time.Now, Log: quiet()}
	if err := r.Open(); err != nil {
		t.Fatal(err)
	}
	return r
}

// serve starts a hub over the source, on real gRPC.
func serve(t *testing.T, s *source) (*feed.Hub, string) {
	t.Helper()
	return serveBy(t, s, time.Now)
}

// serveBy is serve by a node with a clock of its own.
func serveBy(t *testing.T, s *source, clock func() time.Time) (*feed.Hub, string) {
	t.Helper()
	h := &feed.Hub{Now: time.Now, Heartbeat: func(context.Context) (*record.Beat, error) {
		v := s.newest.Load()
		return record.NewBeat(&v.Head, v.Head.Node, clock(), head), nil
	}}
	h.Start(s.v)
	server, err := peer.Server(head, func(k ed25519.PublicKey) (*record.Node, bool) {
		return &record.Node{ID: "r", Role: record.RegionNode}, k.Equal(ed25519.PublicKey(public(region)))
	})
	if err != nil {
		t.Fatal(err)
	}
	peerpb.RegisterFeedServer(server, h)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(l)
	ctx, cancel := context.WithCancel(context.Background())
	go h.Run(ctx)
	t.Cleanup(func() { cancel(); server.Stop() })
	return h, l.Addr().String()
}

func run(t *testing.T, r *Replica, addr string) {
	t.Helper()
	conn, err := peer.Dial(addr, region, func(k ed25519.PublicKey) bool { return k.Equal(ed25519.PublicKey(public(head))) })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Run(ctx, []Source{{"control", peerpb.NewFeedClient(conn)}})
	}()
	t.Cleanup(func() { cancel(); <-done; conn.Close() })
}

func await(t *testing.T, r *Replica, index uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.Await(ctx, index); err != nil {
		t.Fatalf("index %d: %v, alarm %q", index, err, r.Alarm())
	}
}

func TestAFollowerHasTheSourcesDigestAtItsIndexAlsoAfterARestartAlone(t *testing.T) {
	s := newSource(t)
	for n := range 50 {
		s.user(n)
	}
	h, addr := serve(t, s)
	dir := t.TempDir()
	r := follower(t, dir)
	run(t, r, addr)
	await(t, r, s.v.Head.Index)
	for n := range 50 {
		h.Publish(s.user(100+n), s.v)
	}
	await(t, r, s.v.Head.Index)
	for !h.Known(s.v.Head.Index) { // the acknowledgement is under way
		<-time.After(time.Millisecond)
	}
	if r.View().Digest() != s.v.Digest() {
		t.Error("digests differ")
	}
	alone := follower(t, dir)
	if v := alone.View(); v == nil || v.Digest() != s.v.Digest() || v.Head.Index != s.v.Head.Index {
		t.Errorf("after a restart it is another state")
	}
}

func TestWhatWasHeardLastIsCountedByTheNodesOwnClock(t *testing.T) {
	s := newSource(t)
	h, addr := serve(t, s)
	r := follower(t, t.TempDir())
	r.Now = func() time.Time { return time.Now().Add(time.Hour) }
	if r.Silence(r.Now()) < 1000*time.Hour {
		t.Error("it heard somebody before it followed")
	}
	run(t, r, addr)
	h.Publish(s.user(1), s.v)
	await(t, r, s.v.Head.Index)
	if age, silence := r.Age(r.Now()), r.Silence(r.Now()); age < 59*time.Minute || silence > time.Minute {
		t.Errorf("age %s, silence %s", age, silence)
	}
}

// The node that sequences, with its clock set back, has to be asked for a write to
// be told that it commits nothing, and another one then. Its time makes no view young.
func TestANodeWhoseClockWasSetBackIsHeardAllTheSame(t *testing.T) {
	s := newSource(t)
	var back, beats atomic.Int64
	h, addr := serveBy(t, s, func() time.Time {
		if back.Load() > 0 {
			beats.Add(1)
		}
		return time.Now().Add(-time.Duration(back.Load()))
	})
	r := follower(t, t.TempDir())
	run(t, r, addr)
	h.Publish(s.user(1), s.v)
	await(t, r, s.v.Head.Index)
	back.Store(int64(time.Hour))
	begun := time.Now()
	for beats.Load() < 2 {
		<-time.After(time.Millisecond)
	}
	from := time.Now() // all that was sent before the clock was set has come
	for r.Silence(time.Now()) >= time.Since(from) {
		if time.Since(from) > 10*time.Second {
			t.Fatalf("silent for %s", r.Silence(time.Now()))
		}
		<-time.After(time.Millisecond)
	}
	if beat := r.beat.Load(); beat > begun.UnixMilli() {
		t.Errorf("the view is as young as %s, of before the clock was set", time.UnixMilli(beat))
	}
}

func TestAWriteWaitsForASlowNodeOnceAndNamesIt(t *testing.T) {
	s := newSource(t)
	h, _ := serve(t, s)
	h.Publish(s.user(1), s.v)
	begun := time.Now()
	missing := h.Wait(context.Background(), s.v.Head.Index)
	if len(missing) != 1 || missing[0] != "r" || time.Since(begun) < feed.Bound {
		t.Errorf("missing %v after %s", missing, time.Since(begun))
	}
	h.Publish(s.user(2), s.v)
	if again := h.Wait(context.Background(), s.v.Head.Index); len(again) != 1 {
		t.Errorf("missing %v", again)
	}
}

func TestEveryFlippedByteOfTheDiskCopyIsDetected(t *testing.T) {
	s := newSource(t)
	s.user(1)
	dir := t.TempDir()
	if err := writeSnapshot(dir, s.v, []byte("0123456789abcdef")); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, snapshotFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := parseSnapshot(whole); err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		b := append([]byte{}, whole...)
		b[i] ^= 1 << (i % 8)
		if _, _, err := parseSnapshot(b); err == nil {
			t.Fatalf("byte %d does not matter", i)
		}
	}
}

func TestThePackedCopyIsTheSameViewAndEveryFlippedByteOfItIsDetected(t *testing.T) {
	s := newSource(t)
	for i := range 40 {
		s.user(i)
	}
	dir := t.TempDir()
	seed := []byte("0123456789abcdef")
	if err := errors.Join(writeSnapshot(dir, s.v, seed), writePacked(dir, s.v, seed)); err != nil {
		t.Fatal(err)
	}
	head, err := readHead(dir)
	if err != nil {
		t.Fatal(err)
	}
	v, gotSeed, err := readPacked(dir, head)
	if err != nil || !bytes.Equal(gotSeed, seed) || v.Digest() != s.v.Digest() || v.Len() != s.v.Len() {
		t.Fatalf("another view: %v", err)
	}
	sameIndexes(t, s.v.State, v.State)
	if err := verifyEntries(v); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, packedFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		b := append([]byte{}, whole...)
		b[i] ^= 1 << (i % 8)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := readPacked(dir, head); err == nil {
			t.Fatalf("byte %d does not matter", i)
		}
	}
	other := *head
	other.Index++
	if _, _, err := readPacked(dir, &other); err == nil {
		t.Error("a packed copy of another view is used")
	}
}

// sameIndexes compares every index, term by term.
func sameIndexes(t *testing.T, want, got *view.State) {
	t.Helper()
	type place struct{ index, term string }
	of := func(s *view.State) map[place]record.Key {
		all := map[place]record.Key{}
		s.Parts(func(index string, _ bool, terms func(func(string, *record.Entry) bool)) bool {
			terms(func(term string, e *record.Entry) bool {
				all[place{index, term}] = e.Key
				return true
			})
			return true
		})
		return all
	}
	if w, g := of(want), of(got); len(w) == 0 || !maps.Equal(w, g) {
		t.Errorf("%d terms, want %d", len(g), len(w))
	}
}

func TestARecordThatIsNotWhatWasSignedIsFoundBehindGoodSums(t *testing.T) {
	s := newSource(t)
	s.user(1)
	first := true
	s.v.All(func(e *record.Entry) bool {
		if first && e.Packed != "" {
			e.Hash[0] ^= 1
			first = false
		}
		return true
	})
	if first || verifyEntries(s.v) == nil {
		t.Error("not found")
	}
}

func TestEveryFlippedByteOfABatchIsDetected(t *testing.T) {
	s := newSource(t)
	before := s.v
	b, err := record.Marshal(s.user(1).Batch())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := advance(before, b); err != nil {
		t.Fatal(err)
	}
	for i := range b {
		other := append([]byte{}, b...)
		other[i] ^= 1 << (i % 7)
		if v, err := advance(before, other); err == nil && (v.Digest() != s.v.Digest() || v.Head.Chain != s.v.Head.Chain) {
			t.Fatalf("byte %d: accepted as another state", i)
		}
	}
}

func TestABatchThatDoesNotContinueIsRefused(t *testing.T) {
	s := newSource(t)
	before := s.v
	s.user(1)
	second, err := record.Marshal(s.user(2).Batch())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := advance(before, second); err == nil {
		t.Error("a gap was accepted")
	}
}

func TestTheFloorsFileIsReadAsItWasWrittenAndABrokenOneIsNone(t *testing.T) {
	r := &Replica{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	if at := r.keptFloor(); !at.IsZero() {
		t.Errorf("no file: %s", at)
	}
	want := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	if err := r.keepFloor(want); err != nil || !r.keptFloor().Equal(want) {
		t.Errorf("%v, %s", err, r.keptFloor())
	}
	for _, text := range []string{"", "x", `"2026-13-01T00:00:00Z"`, "1764000000"} {
		if err := os.WriteFile(filepath.Join(r.Dir, floorFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if at := r.keptFloor(); !at.IsZero() {
			t.Errorf("%q is read as %s", text, at)
		}
	}
}

func TestATornTailOfTheBatchLogIsCutOff(t *testing.T) {
	dir := t.TempDir()
	l, _, err := openLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.append([]byte("one")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.f.Write([]byte{0, 0, 0, 9, 't'}); err != nil {
		t.Fatal(err)
	}
	_, list, err := openLog(dir)
	if err != nil || len(list) != 1 || string(list[0]) != "one" {
		t.Errorf("%q %v", list, err)
	}
}

func FuzzSnapshot(f *testing.F) {
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, _ = parseSnapshot(b) // must not panic or allocate without bound
	})
}

func TestASourceThatStaysIsKeptWhenAnotherComes(t *testing.T) {
	a, b := Source{Name: "a", Client: peerpb.NewFeedClient(nil)}, Source{Name: "b", Client: peerpb.NewFeedClient(nil)}
	d := &driver{Replica: &Replica{}}
	d.know([]Source{a})
	kept := d.sources[0]
	kept.until = time.Unix(1, 0)
	d.know([]Source{b, a})
	if len(d.sources) != 2 || d.sources[1] != kept || d.sources[0].Name != "b" {
		t.Errorf("%+v", d.sources)
	}
	moved := Source{Name: "a", Client: peerpb.NewFeedClient(nil)} // at another address
	d.know([]Source{moved})
	if len(d.sources) != 1 || d.sources[0] == kept {
		t.Error("a connection that was closed is kept")
	}
}
