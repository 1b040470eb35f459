package replica

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// peerSilence is how long a peer may send nothing: two of the words with which
// it fills its silence.
const peerSilence = time.Second

// offer is a frame of a peer on its way to the machine; nil begins a stream.
type offer struct {
	down     *peerpb.Down
	believed chan error
}

// CatchUp takes from a peer of the Region what it has and this node has not:
// until the peer has no more, and then for as long as stay says so. One at a
// time; Run has to be under way.
func (r *Replica) CatchUp(ctx context.Context, client peerpb.FeedClient, stay func() bool) error {
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	watch := time.AfterFunc(peerSilence, cut)
	defer watch.Stop()
	stream, err := client.Follow(ctx)
	if err != nil {
		return err
	}
	hello := &peerpb.Hello{Format: record.Format}
	if v := r.View(); v != nil {
		hello.Lineage, hello.Index, hello.Chain = v.Head.Lineage, v.Head.Index, v.Head.Chain[:]
	}
	if err := stream.Send(&peerpb.Up{Hello: hello}); err != nil {
		return err
	}
	if err := r.offer(ctx, nil); err != nil {
		return err
	}
	for {
		watch.Reset(peerSilence)
		down, err := stream.Recv()
		watch.Stop()
		if err != nil {
			return err
		}
		if _, all := down.Frame.(*peerpb.Down_Ready); all && !stay() {
			return nil
		}
		if err := r.offer(ctx, down); err != nil {
			return err
		}
	}
}

// offer has the machine take a frame of a peer, and says whether it believed it.
func (r *Replica) offer(ctx context.Context, down *peerpb.Down) error {
	o := offer{down, make(chan error, 1)}
	select {
	case r.offers <- o:
	case <-ctx.Done():
		return ctx.Err()
	}
	return <-o.believed // at once
}

// take hands a peer's frame to the machine.
func (d *driver) take(ctx context.Context, o offer) {
	d.aside, d.refused = true, nil
	if o.down == nil {
		d.perform(ctx, d.step(Sharing{}))
	} else {
		d.perform(ctx, d.step(Shared{o.down}))
	}
	o.believed <- d.refused
}

// told says whether an event is the control plane's word.
func (r *Replica) told(event any) bool {
	switch event.(type) {
	case Loaded, Sharing, Shared:
		return false
	}
	return !r.aside
}

// pass hands a heartbeat on to the peers, in the words of who signed it.
func (r *Replica) pass(event any) {
	if r.Share == nil || r.machine.Beat() <= r.beat.Load() {
		return
	}
	var down *peerpb.Down
	switch e := event.(type) {
	case Received:
		down = e.Down
	case Shared:
		down = e.Down
	}
	if b, ok := down.GetFrame().(*peerpb.Down_Heartbeat); ok {
		r.Share.Beat(b.Heartbeat)
	}
}

// Following says whether a stream to the control plane is open, be it that only a
// snapshot comes on it so far.
func (r *Replica) Following() bool { return r.open.Load() }

// Lost says that the disk copy is lost, so that nothing is served yet.
func (r *Replica) Lost() bool { return r.lost.Load() }

func (r *Replica) marked() bool {
	if r.Mark == "" {
		return false
	}
	_, err := os.Stat(r.Mark)
	return !errors.Is(err, fs.ErrNotExist) // what cannot be told counts as there
}

// refetching is what the mark says while the copy that this node had is lost and no
// other one was served yet: what a source has sent by then may be older than what
// was served before, also after a crash.
const refetching = "the disk copy was lost\n"

// unserved says whether the copy on the disk is such a one.
func (r *Replica) unserved() bool {
	text, err := os.ReadFile(r.Mark)
	return err == nil && string(text) == refetching
}

// refetch has the mark say so, or no more.
func (r *Replica) refetch(text string) error {
	next := r.Mark + ".next"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(next, r.Mark); err != nil {
		return err
	}
	return syncDir(filepath.Dir(r.Mark))
}

// mark notes for good that this node has a disk copy, before it serves from it.
func (r *Replica) mark() error {
	if r.Mark == "" || r.marked() {
		return nil
	}
	f, err := os.OpenFile(r.Mark, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(filepath.Dir(r.Mark))
}
