package replica

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/peer"
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
	begun   time.Time                                        // with the current one
	stream  grpc.BidiStreamingClient[peerpb.Up, peerpb.Down] // nil: not open yet
	frames  chan frame                                       // of the stream; nil: there is none, nor an attempt
	end     context.CancelFunc                               // of the stream
	events  []any                                            // that effects have caused
	again   <-chan time.Time                                 // when to try again
	refused error                                            // of the last frame of a peer
}

// frame is what came on a stream, the stream itself when it is open, or why it
// ended.
type frame struct {
	stream grpc.BidiStreamingClient[peerpb.Up, peerpb.Down]
	down   *peerpb.Down
	err    error
}

// Run follows until ctx ends, again after every failure, with jitter. It begins
// with the first source, unless its view says who sequences.
func (r *Replica) Run(ctx context.Context, sources []Source) error {
	d := &driver{Replica: r, turn: -1, events: []any{Timer{}}}
	d.know(sources)
	for {
		event := d.next(ctx)
		if ctx.Err() != nil {
			break
		}
		d.perform(ctx, r.step(event))
	}
	if d.frames != nil {
		d.end()
	}
	r.step(Disconnected{ctx.Err()})
	return nil
}

// Sources says whom Run may follow from now on.
func (r *Replica) Sources(ctx context.Context, list []Source) {
	select {
	case r.moved <- list:
	case <-ctx.Done():
	}
}

// know takes the sources that there are now. One that stays, by name and client,
// is followed on, or left aside as long as before.
func (d *driver) know(sources []Source) {
	var list []*candidate
	for _, s := range sources {
		c := &candidate{Source: s, shun: firstShun}
		for _, old := range d.sources {
			if old.Source == s {
				c = old
			}
		}
		list = append(list, c)
	}
	d.sources = list
}

// next is what effects have caused, else what comes first: the stream's next
// frame, a peer's, or the time to try again.
func (d *driver) next(ctx context.Context) any {
	for ctx.Err() == nil {
		if len(d.events) > 0 {
			e := d.events[0]
			d.events = d.events[1:]
			return e
		}
		if d.stream != nil {
			if s := d.sequencer(); s != nil && s != d.current {
				d.drop(errElsewhere)
				continue
			}
		}
		d.aside = false
		select {
		case <-ctx.Done():
		case f := <-d.frames:
			switch {
			case f.err != nil:
				d.drop(f.err)
			case f.stream != nil:
				d.stream = f.stream
				return Connected{}
			default:
				return Received{f.down}
			}
		case <-d.again:
			d.again = nil
			return Timer{}
		case s := <-d.words:
			return s
		case list := <-d.moved:
			d.know(list)
		case o := <-d.offers:
			d.take(ctx, o)
		}
	}
	return nil
}

// read opens a stream and hands over one by one what comes on it. One that is
// silent ends, also before it is open. cut ends what within bounds.
func (d *driver) read(ctx, within context.Context, cut context.CancelFunc, from peerpb.FeedClient, to chan<- frame) {
	defer cut()
	watch := time.AfterFunc(d.silence(), cut)
	defer watch.Stop()
	stream, err := from.Follow(within)
	for f := (frame{stream: stream, err: err}); ; {
		watch.Stop()
		select {
		case to <- f:
		case <-ctx.Done(): // nobody wants them any more
			return
		}
		if f.err != nil {
			return
		}
		watch.Reset(d.silence())
		down, err := stream.Recv()
		f = frame{down: down, err: err}
	}
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
	if d.frames == nil {
		return
	}
	d.end()
	d.stream, d.frames = nil, nil
	d.lost(err)
}

func (d *driver) lost(err error) {
	if errors.Is(err, errElsewhere) {
		d.Log.Info("following the node that sequences now", "node", d.View().Head.Node)
	} else {
		d.Log.Warn("not following the control plane; serving what is here", "from", d.current.Name, "error", err, "age", d.Age(d.Now()).String())
		d.current.leave(d.Now(), d.Now().Sub(d.begun) > goodRun)
	}
	if d.Fenced != nil && peer.SaysFenced(err) {
		d.Fenced()
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
			d.send(&peerpb.Up{Hello: &peerpb.Hello{Format: record.Format, Lineage: e.Lineage, Index: e.Index, Chain: e.Chain, Successors: e.Successors}})
		case Acknowledge:
			d.send(&peerpb.Up{Acknowledged: e.Index})
		case Append:
			err := d.log.append(e.Batch)
			if err != nil && failpoint.On(failpoint.DiskErrorEnds) {
				panic(err)
			}
			d.events = append(d.events, Written{err})
		case Rewrite:
			d.events = append(d.events, Written{errors.Join(d.rewrite(e.View, e.Seed), d.mark())})
		case Keep:
			d.events = append(d.events, Kept{d.keep(e.Records)})
		case Offer:
			d.offer(e.From)
		case HangUp:
			d.drop(e.Err)
		case Retry:
			d.again = time.After(e.Pause/2 + rand.N(e.Pause)) // jitter: no herd after an outage
		case Refuse:
			d.refused = e.Err
		default:
			d.show(effect)
		}
	}
}

// dial has a stream opened; Connected follows, or Disconnected.
func (d *driver) dial(ctx context.Context) {
	ctx, d.end = context.WithCancel(ctx)
	d.current, d.begun, d.frames = d.choose(), d.Now(), make(chan frame)
	within, cut := context.WithCancel(ctx)
	go d.read(ctx, within, cut, d.current.Client, d.frames)
}

func (d *driver) send(up *peerpb.Up) {
	if d.stream == nil {
		return
	}
	if err := d.stream.Send(up); err != nil {
		d.drop(err)
	}
}
