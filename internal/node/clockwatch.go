package node

import (
	"context"
	"sync"
	"time"

	"github.com/holdfast-iam/holdfast/internal/clocks"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// clockEach is how often the control plane's nodes compare their clocks.
const clockEach = time.Second

// clockWatch says whether a control-plane node may put its time on a commit.
type clockWatch struct {
	c *Control

	mu     sync.Mutex
	bound  *clocks.Bound
	others []string // the control plane's other nodes that are in force
	why    string   // as it was logged last
}

func newClockWatch(c *Control) *clockWatch {
	return &clockWatch{c: c, bound: clocks.NewBound(reading()), others: c.otherControls()}
}

// reading looks at both clocks. The wall clock's is taken without Go's own
// monotonic part, which hides that it was set.
func reading() clocks.Reading { return clocks.Reading{Wall: clock().Round(0), Boot: boot()} }

// judge says why this node may not commit, or nil.
func (w *clockWatch) judge() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bound.Judge(reading(), w.others)
}

// otherControls are the control plane's other nodes that are in force.
func (c *Control) otherControls() (names []string) {
	v := c.writer.View()
	if v == nil {
		return nil
	}
	_ = record.Scan(v, record.Nodes, record.NodeByID, "", "", func(_ string, n *record.Node) bool { // one that cannot be read is none
		if n.Role == record.ControlNode && !n.Fenced && n.ID != c.keys.ID {
			names = append(names, n.ID)
		}
		return true
	})
	return names
}

// run compares clocks until ctx ends.
func (w *clockWatch) run(ctx context.Context) error {
	for ctx.Err() == nil {
		var asked sync.WaitGroup
		for _, n := range w.c.controls.all() {
			asked.Go(func() { w.ask(ctx, n) })
		}
		asked.Wait()
		names := w.c.otherControls()
		w.mu.Lock()
		w.others = names
		w.mu.Unlock()
		w.tell(w.judge())
		sleep(ctx, clockEach)
	}
	return nil
}

func (w *clockWatch) ask(ctx context.Context, n link) {
	ctx, cancel := context.WithTimeout(ctx, clockEach)
	defer cancel()
	asked := boot()
	reply, err := peerpb.NewControlClient(n.conn).Clock(ctx, &peerpb.ClockRequest{})
	answered := boot()
	if err != nil {
		return // what was heard before counts for a while
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bound.Heard(n.name, time.UnixMicro(reply.TimeUs), asked, answered)
}

// tell logs when the verdict changes.
func (w *clockWatch) tell(err error) {
	switch {
	case err == nil && w.why != "":
		w.why = ""
		w.c.Log.Info("this node's clock is believed again")
	case err != nil && w.why == "":
		w.why = err.Error()
		w.c.Log.Warn("this node commits nothing", "reason", err)
	}
}

// Clock tells what this node's clock shows.
func (s *controlServer) Clock(context.Context, *peerpb.ClockRequest) (*peerpb.ClockReply, error) {
	return &peerpb.ClockReply{TimeUs: clock().UnixMicro()}, nil
}
