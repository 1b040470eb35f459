package replica

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// successor is the root's word that a lineage goes on at a view.
func successor(epoch int, fork *view.View, lineage string) *record.Successor {
	s := &record.Successor{Epoch: epoch, Cluster: "c", Parent: fork.Head.Lineage, Fork: int(fork.Head.Index), Chain: fork.Head.Chain[:], Time: int(fork.Head.Time),
		Lineage: lineage, New: []record.Pin{{Node: "control", TLS: public(head), Head: public(head)}}}
	s.Sign(root)
	return s
}

// heirOf is the log of a successor that begins at a view.
func heirOf(t *testing.T, fork *view.View, r *record.Successor) *source {
	t.Helper()
	s := &source{t: t, v: &view.View{State: fork.State, Head: fork.Head}}
	s.v.Head.Lineage = r.Lineage
	s.commit(func(tx record.Tx) {
		g, err := record.Get(tx, record.Geneses, record.None, "genesis")
		s.put(err)
		g.Lineage = r.Lineage
		g.Sign(root)
		s.put(record.Put(tx, record.Geneses, g))
		s.put(record.Put(tx, record.Successors, r))
	})
	return s
}

func shows(list ...*record.Successor) Received {
	return Received{&peerpb.Down{Frame: &peerpb.Down_Successors{Successors: &peerpb.Successors{Records: encode(list)}}}}
}

// kept shows a successor, and lets it be kept.
func kept(f *Follower, list ...*record.Successor) []any {
	return steps(f, shows(list...), Kept{}, Disconnected{errSuccession})
}

func TestANodeWithoutSurplusGoesOverToTheSuccessorOnceThatIsOnItsDisk(t *testing.T) {
	s := newSource(t)
	f := following(s)
	next := successor(1, s.v, "m")
	out := steps(f, shows(next))
	if keep, ok := has[Keep](out); !ok || len(keep.Records) != 1 || !f.Busy() {
		t.Fatalf("%v", out)
	}
	if out = steps(f, Kept{}); len(out) != 1 {
		t.Fatalf("%v", out)
	}
	if _, ok := has[HangUp](out); !ok {
		t.Fatalf("%v", out)
	}
	ask, _ := has[Ask](steps(f, Disconnected{errSuccession}, Timer{}, Connected{}))
	if ask.Lineage != "m" || ask.Index != 0 || len(ask.Successors) != 1 {
		t.Fatalf("asks %+v", ask)
	}
	heir := heirOf(t, s.v, next)
	out = steps(f, append(snapshot(t, heir.v), Written{})...)
	if ack, ok := has[Acknowledge](out); !ok || ack.Index != heir.v.Head.Index || f.View().Head.Lineage != "m" {
		t.Errorf("%v, serves %s", out, f.View().Head.Lineage)
	}
	out = steps(f, batch(t, heir.user(1)), Written{})
	if ack, ok := has[Acknowledge](out); !ok || ack.Index != heir.v.Head.Index {
		t.Errorf("the successor's batch: %v", out)
	}
}

func TestOfAPredecessorNothingIsAppliedOrAcknowledgedAnyMore(t *testing.T) {
	s := newSource(t)
	f := following(s)
	next, before := successor(1, s.v, "m"), s.v.Head.Index
	kept(f, next)
	for what, event := range map[string]any{"a batch": batch(t, s.user(1)), "a heartbeat": beat(t, s)} {
		out := steps(f, Timer{}, Connected{}, event)
		if _, acked := has[Acknowledge](out); acked || f.View().Head.Index != before {
			t.Errorf("%s: %v", what, out)
		}
		steps(f, Disconnected{})
	}
	out := steps(f, append([]any{Timer{}, Connected{}}, snapshot(t, s.v)...)...)
	if _, ok := has[HangUp](out); !ok || f.Busy() {
		t.Errorf("a snapshot: %v", out)
	}
}

func beat(t *testing.T, s *source) Received {
	t.Helper()
	b, err := record.Marshal(record.NewBeat(&s.v.Head, "control", time.Now(), head))
	if err != nil {
		t.Fatal(err)
	}
	return Received{&peerpb.Down{Frame: &peerpb.Down_Heartbeat{Heartbeat: b}}}
}

func TestANodeWithSurplusServesItsStateUntilTheSuccessorHasItsDenials(t *testing.T) {
	s := newSource(t)
	f := following(s)
	fork := s.v
	next := successor(1, fork, "m")
	steps(f, batch(t, s.user(1)), Written{})
	kept(f, next)
	ask, _ := has[Ask](steps(f, Timer{}, Connected{}))
	if ask.Lineage != "l" || len(ask.Successors) != 1 {
		t.Fatalf("asks %+v", ask)
	}
	out := steps(f, shows(next))
	if offer, ok := has[Offer](out); !ok || offer.From != fork.Head.Index || len(out) != 1 {
		t.Fatalf("%v", out)
	}
	heir := heirOf(t, fork, next)
	if out = steps(f, snapshot(t, heir.v)...); f.Busy() {
		t.Errorf("it goes over before its surplus is handed up: %v", out)
	}
	at := heir.v.Head.Index + 1
	steps(f, Disconnected{}, Timer{}, Connected{}, Received{&peerpb.Down{Frame: &peerpb.Down_Handed{Handed: &peerpb.Handed{Index: at}}}}, Disconnected{errSuccession})
	if out = steps(f, append([]any{Timer{}, Connected{}}, snapshot(t, heir.v)...)...); f.Busy() {
		t.Errorf("it goes over to a state without the denials of its surplus: %v", out)
	}
	heir.user(2)
	ask, _ = has[Ask](steps(f, Disconnected{}, Timer{}, Connected{}))
	steps(f, append(snapshot(t, heir.v), Written{})...)
	if ask.Lineage != "m" || f.View().Head.Lineage != "m" || f.View().Head.Index != at {
		t.Errorf("asked %+v, serves %s %d", ask, f.View().Head.Lineage, f.View().Head.Index)
	}
}

func TestAfterAStepTowardsTheSuccessorANodeDoesNotWaitForWhatFailedBefore(t *testing.T) {
	s := newSource(t)
	f := following(s)
	next := successor(1, s.v, "m")
	steps(f, batch(t, s.user(1)), Written{})
	failing := func() time.Duration {
		for range 20 {
			steps(f, Disconnected{}, Timer{}, Connected{})
		}
		retry, _ := has[Retry](steps(f, Disconnected{}))
		steps(f, Timer{}, Connected{})
		return retry.Pause
	}
	if p := failing(); p != maxPause {
		t.Fatalf("after many failures it waits %v", p)
	}
	retry, _ := has[Retry](kept(f, next))
	if retry.Pause != firstPause {
		t.Errorf("with a successor on its disk it waits %v", retry.Pause)
	}
	failing()
	steps(f, Received{&peerpb.Down{Frame: &peerpb.Down_Handed{Handed: &peerpb.Handed{Index: 9}}}})
	retry, _ = has[Retry](steps(f, Disconnected{errSuccession}))
	if retry.Pause != firstPause {
		t.Errorf("with its surplus handed up it waits %v", retry.Pause)
	}
}

func TestWithoutTheRootsWordNoOtherLineageIsFollowed(t *testing.T) {
	s := newSource(t)
	fork := s.v
	s.user(1)
	stranger := successor(1, fork, "m")
	stranger.Sign(head)
	elsewhere := successor(1, fork, "m")
	elsewhere.Cluster = "d"
	elsewhere.Sign(root)
	bare := &source{t: t, v: &view.View{State: fork.State, Head: fork.Head}}
	bare.v.Head.Lineage = "m"
	bare.commit(func(tx record.Tx) { // the root has signed its genesis, and no successor
		g, err := record.Get(tx, record.Geneses, record.None, "genesis")
		s.put(err)
		g.Lineage = "m"
		g.Sign(root)
		s.put(record.Put(tx, record.Geneses, g))
	})
	for what, events := range map[string][]any{
		"a snapshot without it":              snapshot(t, bare.v),
		"a successor that another signed":    {shows(stranger)},
		"a successor of another cluster":     {shows(elsewhere)},
		"an older state of the same lineage": snapshot(t, fork), // a backup, alone
	} {
		f := following(s)
		out := steps(f, events...)
		if _, ok := has[HangUp](out); !ok || f.Busy() || f.View() != s.v || f.Heir() != nil {
			t.Errorf("%s: %v", what, out)
		}
	}
}

func TestOfSeveralSuccessorsTheHighestEpochWins(t *testing.T) {
	s := newSource(t)
	f := following(s)
	first, second := successor(1, s.v, "m"), successor(2, s.v, "k")
	kept(f, second)
	steps(f, Timer{}, Connected{})
	kept(f, first)
	if h := f.Heir(); h == nil || h.Lineage != "k" {
		t.Errorf("goes to %+v", h)
	}
	sibling := heirOf(t, s.v, first)
	if out := steps(f, append([]any{Timer{}, Connected{}}, snapshot(t, sibling.v)...)...); f.Busy() {
		t.Errorf("it goes to the lower one: %v", out)
	}
}

func TestARetirementInTheLogIsLearntAndNotApplied(t *testing.T) {
	s := newSource(t)
	f := following(s)
	before := s.v
	next := successor(1, s.v, "m")
	l := s.commit(func(tx record.Tx) { s.put(record.Put(tx, record.Successors, next)) })
	out := steps(f, batch(t, l))
	if _, ok := has[Keep](out); !ok || f.View() != before {
		t.Fatalf("%v", out)
	}
	steps(f, Kept{})
	if h := f.Heir(); h == nil || h.Lineage != "m" || f.View() != before {
		t.Errorf("goes to %+v", h)
	}
	bare := NewFollower(rootHash())
	if out := steps(bare, append([]any{Timer{}, Connected{}}, snapshot(t, s.v)...)...); bare.Busy() {
		t.Errorf("a new node begins with a lineage that has ended: %v", out)
	}
}

func TestASnapshotOfASuccessorShowsItAndIsTakenTheNextTime(t *testing.T) {
	s := newSource(t)
	f := following(s)
	heir := heirOf(t, s.v, successor(1, s.v, "m"))
	out := steps(f, snapshot(t, heir.v)...)
	if _, ok := has[Keep](out); !ok || f.View() != s.v {
		t.Fatalf("%v", out)
	}
	steps(f, append([]any{Kept{}, Disconnected{errSuccession}, Timer{}, Connected{}}, append(snapshot(t, heir.v), Written{})...)...)
	if f.View().Head.Lineage != "m" {
		t.Errorf("serves %s", f.View().Head.Lineage)
	}
}

func TestTheSuccessorIsKnownAfterARestartAlsoWhenTheCopyIsLost(t *testing.T) {
	s := newSource(t)
	dir := t.TempDir()
	next := successor(1, s.v, "m")
	r := follower(t, dir)
	if err := r.keep(encode(record.Descent{next})); err != nil {
		t.Fatal(err)
	}
	if err := r.rewrite(s.v, []byte("0123456789abcdef")); err != nil {
		t.Fatal(err)
	}
	if r = follower(t, dir); r.Heir() == nil || r.Heir().Lineage != "m" {
		t.Errorf("goes to %+v", r.Heir())
	}
	if err := os.Remove(dir + "/" + snapshotFile); err != nil {
		t.Fatal(err)
	}
	r = follower(t, dir)
	steps(r.machine, Timer{}, Connected{})
	if steps(r.machine, snapshot(t, s.v)...); r.machine.Busy() {
		t.Error("it begins again with the lineage that has ended")
	}
	if steps(r.machine, append([]any{Disconnected{}, Timer{}, Connected{}}, snapshot(t, heirOf(t, s.v, next).v)...)...); !r.machine.Busy() {
		t.Error("it does not begin with the successor")
	}
}

// A replica with surplus follows the hub of its successor, over real gRPC.
func TestANodeHandsItsSurplusUpAndGoesOver(t *testing.T) {
	s := newSource(t)
	r := follower(t, t.TempDir())
	if err := r.rewrite(s.v, []byte("0123456789abcdef")); err != nil {
		t.Fatal(err)
	}
	fork := s.v
	b, err := record.Marshal(s.user(1).Batch())
	if err == nil {
		err = r.log.append(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	r = follower(t, r.Dir)
	heir := heirOf(t, fork, successor(1, fork, "m"))
	h, addr := serve(t, heir)
	handed := make(chan []*record.Batch, 1)
	h.Lineages.HandUp = func(_ context.Context, node, of string, d record.Descent, batches []*record.Batch) (uint64, error) {
		if node != "r" || of != "l" || d.Newest().Lineage != "m" {
			t.Errorf("%s of %s knows %+v", node, of, d)
		}
		if len(handed) == 0 {
			handed <- batches
			h.Publish(heir.user(2), heir.v) // the denials
		}
		return heir.v.Head.Index, nil
	}
	run(t, r, addr)
	for ; r.View().Head.Lineage != "m"; <-time.After(time.Millisecond) {
		if t.Context().Err() != nil {
			t.Fatal(r.Alarm())
		}
	}
	if list := <-handed; len(list) != 1 || list[0].Head.Index != s.v.Head.Index || r.View().Head.Index != heir.v.Head.Index {
		t.Errorf("%d batches, serves %d", len(list), r.View().Head.Index)
	}
}

func TestAControlPlaneIsShownItsSuccessorByWhoFollowsThat(t *testing.T) {
	s := newSource(t)
	h, addr := serve(t, s)
	told := make(chan record.Descent, 100)
	h.Lineages.Succeeded = func(_ context.Context, d record.Descent) { told <- d }
	next := successor(1, s.v, "m")
	r := follower(t, t.TempDir())
	if err := r.rewrite(heirOf(t, s.v, next).v, []byte("0123456789abcdef")); err != nil {
		t.Fatal(err)
	}
	r = follower(t, r.Dir)
	run(t, r, addr)
	if d := <-told; d.Newest().Lineage != "m" || d.Newest().Epoch != 1 {
		t.Errorf("told %+v", d)
	}
	if r.View().Head.Lineage != "m" {
		t.Error("the follower went back")
	}
}

func TestTheKeptLogReachesBackBehindTheSnapshot(t *testing.T) {
	s := newSource(t)
	dir := t.TempDir()
	r := follower(t, dir)
	if err := r.rewrite(s.v, []byte("0123456789abcdef")); err != nil {
		t.Fatal(err)
	}
	from := s.v.Head.Index
	add := func(n int) {
		t.Helper()
		b, err := record.Marshal(s.user(n).Batch())
		if err == nil {
			err = r.log.append(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add(1)
	add(2)
	if err := r.rewrite(s.v, []byte("0123456789abcdef")); err != nil {
		t.Fatal(err)
	}
	add(3)
	if list, err := KeptLog(dir, from, &s.v.Head); err != nil || len(list) != 3 {
		t.Errorf("%d batches, %v", len(list), err)
	}
	if list, err := KeptLog(dir, from+2, &s.v.Head); err != nil || len(list) != 1 {
		t.Errorf("%d batches, %v", len(list), err)
	}
	if _, err := KeptLog(dir, from-1, &s.v.Head); err == nil {
		t.Error("what is not kept is told as kept")
	}
	v, _, err := ReadCopy(dir, rootHash())
	if err != nil || v.Head.Index != s.v.Head.Index {
		t.Errorf("%v %v", v, err)
	}
}
