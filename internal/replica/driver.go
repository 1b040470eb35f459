package replica

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"

	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// driver performs what the Follower asks for, over one client.
type driver struct {
	*Replica
	client peerpb.FeedClient
	stream grpc.BidiStreamingClient[peerpb.Up, peerpb.Down]
	end    context.CancelFunc // of the stream
	events []any              // that effects have caused
	retry  time.Duration
}

// Run follows until ctx ends, again after every failure, with jitter.
func (r *Replica) Run(ctx context.Context, client peerpb.FeedClient) error {
	d := &driver{Replica: r, client: client, events: []any{Timer{}}}
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
		down, err := d.stream.Recv()
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

// drop ends the stream, once.
func (d *driver) drop(err error) {
	if d.stream == nil {
		return
	}
	d.end()
	d.stream = nil
	d.lost(err)
}

func (d *driver) lost(err error) {
	d.Log.Warn("not following the control plane; serving what is here", "error", err, "age", d.Age(d.Now()).String())
	d.events = append(d.events, Disconnected{err})
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
			d.events = append(d.events, Written{d.log.append(e.Batch)})
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
	stream, err := d.client.Follow(ctx)
	if err != nil {
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
