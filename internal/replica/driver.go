package replica

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// Source is a control-plane node that may be followed.
type Source struct {
	Name   string
	Client peerpb.FeedClient
}

// silence is how long a source may send nothing: three heartbeats, or what takes
// their place. One that is frozen does not close its connection.
const silence = 1500 * time.Millisecond

// silence is how long a source may send nothing.
func (d *driver) silence() time.Duration {
	if failpoint.On(failpoint.NoSilenceLimit) {
		return time.Hour
	}
	return silence
}

// A source that fails is left aside for a while, twice as long each time.
const (
	firstShun = time.Second
	maxShun   = 30 * time.Second
)

// candidate is a Source as the driver knows it.
type candidate struct {
	Source
	shun  time.Duration // how long it is left aside when it fails next
	until time.Time     // it is left aside
}

// driver performs what the Follower asks for, over one source at a time: the
// node that signed the newest head, which sequences, or while that cannot be
// followed another.
type driver struct {
	*Replica
	sources []*candidate
	turn    int
	current *candidate
	begun   time.Time // with the current one
	stream  grpc.BidiStreamingClient[peerpb.Up, peerpb.Down]
	end     context.CancelFunc // of the stream
	watch   *time.Timer        // ends a silent stream
	events  []any              // that effects have caused
	retry   time.Duration
}

// Run follows until ctx ends, again after every failure, with jitter. It begins
// with the first source, unless its view says who sequences.
func (r *Replica) Run(ctx context.Context, sources []Source) error {
	d := &driver{Replica: r, turn: -1, events: []any{Timer{}}}
	for _, s := range sources {
		d.sources = append(d.sources, &candidate{Source: s, shun: firstShun})
	}
	for {
		event := d.next(ctx)
		if ctx.Err() != nil {
			break
		}
		d.perform(ctx, r.step(event))
	}
	if d.stream != nil {
		d.end()
	}
	r.step(Disconnected{ctx.Err()})
	return nil
}

// next is what effects have caused, else the stream's next frame, else the
// time to try again.
func (d *driver) next(ctx context.Context) any {
	if len(d.events) > 0 {
		e := d.events[0]
		d.events = d.events[1:]
		return e
	}
	if d.stream != nil {
		if s := d.sequencer(); s != nil && s != d.current {
			d.drop(errElsewhere)
			return d.next(ctx)
		}
		d.watch.Reset(d.silence())
		down, err := d.stream.Recv()
		d.watch.Stop()
		if err != nil {
			if ctx.Err() == nil {
				d.drop(err)
				return d.next(ctx)
			}
			return nil
		}
		return Received{down}
	}
	select {
	case <-ctx.Done():
	case <-time.After(d.retry/2 + rand.N(d.retry)): // jitter: no herd after an outage
	}
	return Timer{}
}

var errElsewhere = errors.New("replica: another node sequences")

// sequencer is the source that signed the newest head, unless it is left aside.
func (d *driver) sequencer() *candidate {
	v := d.View()
	if v == nil {
		return nil
	}
	for _, s := range d.sources {
		if s.Name == v.Head.Node && !d.Now().Before(s.until) {
			return s
		}
	}
	return nil
}

// choose picks whom to follow: the node that sequences, else the next in turn
// that is not left aside.
func (d *driver) choose() *candidate {
	if s := d.sequencer(); s != nil {
		return s
	}
	for range d.sources {
		d.turn++
		if s := d.sources[d.turn%len(d.sources)]; !d.Now().Before(s.until) {
			return s
		}
	}
	d.turn++
	return d.sources[d.turn%len(d.sources)]
}

// drop ends the stream, once.
func (d *driver) drop(err error) {
	if d.stream == nil {
		return
	}
	d.end()
	d.watch.Stop()
	d.stream = nil
	d.lost(err)
}

func (d *driver) lost(err error) {
	if errors.Is(err, errElsewhere) {
		d.Log.Info("following the node that sequences now", "node", d.View().Head.Node)
	} else {
		d.Log.Warn("not following the control plane; serving what is here", "from", d.current.Name, "error", err, "age", d.Age(d.Now()).String())
		d.current.leave(d.Now(), d.Now().Sub(d.begun) > goodRun)
	}
	d.events = append(d.events, Disconnected{err})
}

// leave puts a source aside, for longer when it has never been good.
func (s *candidate) leave(now time.Time, good bool) {
	if good {
		s.shun = firstShun
	}
	s.until = now.Add(s.shun)
	s.shun = min(2*s.shun, maxShun)
}

func (d *driver) perform(ctx context.Context, effects []any) {
	for _, effect := range effects {
		switch e := effect.(type) {
		case Dial:
			d.dial(ctx)
		case Ask:
			d.send(&peerpb.Up{Hello: &peerpb.Hello{Format: record.Format, Lineage: e.Lineage, Index: e.Index, Chain: e.Chain}})
		case Acknowledge:
			d.send(&peerpb.Up{Acknowledged: e.Index})
		case Append:
			err := d.log.append(e.Batch)
			if err != nil && failpoint.On(failpoint.DiskErrorEnds) {
				panic(err)
			}
			d.events = append(d.events, Written{err})
		case Rewrite:
			d.events = append(d.events, Written{d.rewrite(e.View, e.Seed)})
		case HangUp:
			d.drop(e.Err)
		case Retry:
			d.retry = e.Pause
		default:
			d.show(effect)
		}
	}
}

func (d *driver) dial(ctx context.Context) {
	ctx, d.end = context.WithCancel(ctx)
	d.current, d.begun = d.choose(), d.Now()
	d.watch = time.AfterFunc(silence, d.end)
	stream, err := d.current.Client.Follow(ctx)
	if err != nil {
		d.watch.Stop()
		d.end()
		d.lost(err)
		return
	}
	d.stream = stream
	d.events = append(d.events, Connected{})
}

func (d *driver) send(up *peerpb.Up) {
	if d.stream == nil {
		return
	}
	if err := d.stream.Send(up); err != nil {
		d.drop(err)
	}
}
