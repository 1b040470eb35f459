package replica

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/feed"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// steps hands events to a machine and returns what the last one asks for.
func steps(f *Follower, events ...any) []any {
	var out []any
	for _, e := range events {
		out = f.Step(e, time.Now())
	}
	return out
}

// has returns the first effect of a type.
func has[E any](effects []any) (E, bool) {
	for _, e := range effects {
		if x, ok := e.(E); ok {
			return x, true
		}
	}
	var none E
	return none, false
}

func batch(t *testing.T, l *record.LogValue) Received {
	t.Helper()
	b, err := record.Marshal(l.Batch())
	if err != nil {
		t.Fatal(err)
	}
	return Received{&peerpb.Down{Frame: &peerpb.Down_Batch{Batch: b}}}
}

// snapshot returns the frames that bring a view.
func snapshot(t *testing.T, v *view.View) []any {
	t.Helper()
	var list []any
	if err := feed.Snapshot(v, func(d *peerpb.Down) error {
		list = append(list, Received{d})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

// following is a machine that serves the source's view on an open stream.
func following(s *source) *Follower {
	f := NewFollower(rootHash())
	steps(f, Loaded{View: s.v, Seed: []byte("0123456789abcdef")}, Timer{}, Connected{})
	return f
}

func TestABatchIsServedAndAcknowledgedOnlyWhenItIsOnTheDisk(t *testing.T) {
	s := newSource(t)
	f := following(s)
	out := steps(f, batch(t, s.user(1)))
	if _, ok := has[Append](out); !ok || len(out) != 1 || f.View().Head.Index == s.v.Head.Index {
		t.Fatalf("%v", out)
	}
	out = steps(f, Written{})
	served, ok := has[Serve](out)
	ack, acked := has[Acknowledge](out)
	if !ok || !acked || served.View.Head.Index != s.v.Head.Index || ack.Index != s.v.Head.Index {
		t.Errorf("%v", out)
	}
}

func TestAfterAFailedAppendTheWholeViewIsWrittenAndThenBatchesAgain(t *testing.T) {
	s := newSource(t)
	f := following(s)
	first := batch(t, s.user(1))
	out := steps(f, first, Written{errors.New("no space")})
	if _, ok := has[HangUp](out); !ok {
		t.Fatalf("%v", out)
	}
	out = steps(f, Disconnected{}, Timer{}, Connected{}, first)
	whole, ok := has[Rewrite](out)
	if !ok || whole.View.Digest() != s.v.Digest() || len(whole.Seed) == 0 {
		t.Fatalf("%v", out)
	}
	if out = steps(f, Written{}, batch(t, s.user(2))); len(out) != 1 {
		t.Fatalf("%v", out)
	} else if _, ok := has[Append](out); !ok {
		t.Errorf("%v", out)
	}
}

func TestWhatIsBehindATornBatchIsFoundAfterARestart(t *testing.T) {
	s := newSource(t)
	dir := t.TempDir()
	r := follower(t, dir)
	frames := snapshot(t, s.v)
	d := &driver{Replica: r}
	play := func(events ...any) {
		d.events = append(d.events, events...)
		for len(d.events) > 0 {
			d.perform(context.Background(), r.step(d.next(context.Background())))
		}
	}
	play(append([]any{Connected{}}, frames...)...)
	second := batch(t, s.user(1))
	whole := r.log.f
	broken, err := os.OpenFile(filepath.Join(dir, logFile), os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	r.log.f = broken // writes fail
	play(second)
	r.log.f = whole
	if _, err := whole.Write([]byte{0, 0, 1, 0, '{'}); err != nil { // and have left a part behind
		t.Fatal(err)
	}
	play(Disconnected{}, Connected{}, second)
	play(batch(t, s.user(2)))
	if r.View().Head.Index != s.v.Head.Index {
		t.Fatalf("at %d, want %d", r.View().Head.Index, s.v.Head.Index)
	}
	if v := follower(t, dir).View(); v == nil || v.Head.Index != s.v.Head.Index {
		t.Error("after a restart it is older than what was served")
	}
}

func TestFramesThatCannotBeRightEndTheStream(t *testing.T) {
	s := newSource(t)
	old := snapshot(t, s.v)
	s.user(1)
	newer := *s.v
	newer.Head.Format = record.Format + 1
	ahead := s.v
	s.user(2)
	now := snapshot(t, ahead)
	for name, events := range map[string][]any{
		"an older snapshot":          old,
		"a snapshot of a new format": snapshot(t, &newer)[:1],
		"a part without a snapshot":  now[1:],
		"no frame":                   {Received{&peerpb.Down{}}},
		"a batch after a gap":        {batch(t, s.user(3))},
	} {
		f := NewFollower(rootHash())
		steps(f, Loaded{View: ahead}, Timer{}, Connected{})
		out := steps(f, events...)
		alarm, _ := has[Alarm](out)
		if _, ok := has[HangUp](out); !ok || alarm.Text == "" || f.View() != ahead {
			t.Errorf("%s: %v", name, out)
		}
		if out := steps(f, now...); len(out) != 0 {
			t.Errorf("%s: what comes after it is taken: %v", name, out)
		}
	}
}

func TestAStartWithAClockOfLongAgoHasTheFloorOfBefore(t *testing.T) {
	s := newSource(t)
	s.user(1)
	commit, long := s.v.Head.At(), time.Unix(0, 0)
	f := NewFollower(rootHash())
	if kept, ok := has[KeepFloor](f.Step(Loaded{View: s.v}, commit)); !ok || !kept.At.Equal(commit) {
		t.Fatalf("the floor is not kept: %v", kept)
	}
	f = NewFollower(rootHash())
	if out := f.Step(Loaded{View: s.v, Floor: commit}, long); !f.Floor().Equal(commit) {
		t.Errorf("floor %s: %v", f.Floor(), out)
	}
	f = NewFollower(rootHash())
	out := f.Step(Loaded{View: s.v}, long)
	if _, ok := has[Ahead](out); !ok || f.Floor().Equal(commit) {
		t.Errorf("a disk without a floor: %s, %v", f.Floor(), out)
	}
}

func TestAWordOfTheHeadFromAWrongClockDoesNotMakeLaterOnesOld(t *testing.T) {
	s := newSource(t)
	f := following(s)
	now := s.v.Head.At().Add(time.Minute)
	beat := func(at time.Time) Received {
		b, err := record.Marshal(record.NewBeat(&s.v.Head, s.v.Head.Node, at, head))
		if err != nil {
			t.Fatal(err)
		}
		return Received{&peerpb.Down{Frame: &peerpb.Down_Heartbeat{Heartbeat: b}}}
	}
	f.Step(beat(now.Add(time.Hour)), now)
	if f.Beat() != now.UnixMilli() {
		t.Errorf("the word of a clock that is ahead counts %d, now is %d", f.Beat(), now.UnixMilli())
	}
	now = now.Add(500 * time.Millisecond)
	if f.Step(beat(now), now); f.Beat() != now.UnixMilli() {
		t.Error("the next one is old")
	}
}

func TestAFrameDuringAWriteIsRefused(t *testing.T) {
	s := newSource(t)
	f := following(s)
	out := steps(f, batch(t, s.user(1)), batch(t, s.user(2)))
	if _, ok := has[HangUp](out); !ok {
		t.Errorf("%v", out)
	}
}

func TestAPauseDoublesUpToItsLimitAndStartsOverAfterAGoodRun(t *testing.T) {
	f := NewFollower(rootHash())
	now := time.Now()
	var last Retry
	for range 10 {
		f.Step(Timer{}, now)
		last, _ = has[Retry](f.Step(Disconnected{}, now))
	}
	if last.Pause != maxPause {
		t.Errorf("pause %v", last.Pause)
	}
	f.Step(Timer{}, now)
	if again, _ := has[Retry](f.Step(Disconnected{}, now.Add(2*goodRun))); again.Pause != firstPause {
		t.Errorf("pause %v", again.Pause)
	}
}

func TestANodeThatIsFencedGetsNothingOnTheStreamItHas(t *testing.T) {
	s := newSource(t)
	h, addr := serve(t, s)
	r := follower(t, t.TempDir())
	run(t, r, addr)
	await(t, r, s.v.Head.Index)
	before := s.v.Head.Index
	l := s.commit(func(tx record.Tx) {
		n, err := record.Get(tx, record.Nodes, record.None, "r")
		s.put(err)
		n.Fenced = true
		s.put(record.Put(tx, record.Nodes, n))
	})
	h.Publish(l, s.v)
	for range 200 { // it does not come back: it is refused at each try
		if time.Sleep(5 * time.Millisecond); !r.Connected() {
			break
		}
	}
	h.Publish(s.user(1), s.v)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := r.Await(ctx, before+1); err == nil || r.Connected() {
		t.Errorf("at %d, connected %v", r.View().Head.Index, r.Connected())
	}
}
