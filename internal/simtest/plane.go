package simtest

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/holdfast-iam/holdfast/internal/clocks"
	"github.com/holdfast-iam/holdfast/internal/lineage"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/store"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// plane is the control plane of one lineage: its store, its nodes, and the log
// as it really is.
type plane struct {
	w        *world
	lineage  string
	kv       *faulty
	controls []*control
	history  history

	fork     *fork    // that it goes on from; nil: it is the first
	shown    [][]byte // successors, in its nodes' directories
	down     bool     // its nodes are stopped
	gone     bool     // for good, with their disks
	ended    bool     // its log says that it has a successor
	left     bool     // it has left what its successor does not have,
	handedTo *plane   // which has been handed up,
	lacks    []lineage.Stretch
	files    int               // that it has left
	unkept   map[string]uint64 // of each ancestor, up to where nobody had kept the log when it began
}

// newPlane makes a control plane that has not begun. Its nodes have the names of
// those before, and keys of their own.
func (w *world) newPlane(lineage string) *plane {
	p := &plane{w: w, lineage: lineage}
	p.kv = &faulty{plane: p}
	for i := range w.shape.controls {
		c := &control{w: w, plane: p, id: fmt.Sprintf("ctl-%d", i), clock: w.newClock(), cut: map[*control]time.Duration{}}
		c.clock.offset = w.between(0, 2*healthy) - healthy
		c.bound = clocks.NewBound(c.clock.reading())
		c.key = keyOf(lineage + " " + c.id)
		p.controls = append(p.controls, c)
	}
	return p
}

// newest is the control plane that the root has named last.
func (w *world) newest() *plane { return w.planes[len(w.planes)-1] }

// planeOf is the one of a lineage; nil: there is none.
func (w *world) planeOf(lineage string) *plane {
	for _, p := range w.planes {
		if p.lineage == lineage {
			return p
		}
	}
	return nil
}

// nodes are the records of the control plane's own nodes.
func (p *plane) nodes() (list []*record.Node) {
	for _, c := range p.controls {
		list = append(list, &record.Node{ID: c.id, Role: record.ControlNode, TLS: []byte(p.lineage + c.id), Head: publicOf(c.key), Format: record.Format})
	}
	return list
}

// writer is what makes the first commit of a log.
func (p *plane) writer(kv store.KV) (*store.Writer, error) {
	c := p.controls[0]
	w := &store.Writer{KV: kv, Node: c.id, Sign: c.sign, Now: c.clock.wall, Log: slog.New(slog.NewTextHandler(discard, nil))}
	return w, w.Open(context.Background(), func(*record.Head, *view.State) error { return nil })
}

// genesis makes the first commit of all.
func (p *plane) genesis() error {
	first := &store.Memory{}
	w, err := p.writer(first)
	if err != nil {
		return err
	}
	g, changes, err := p.first()
	if err != nil {
		return err
	}
	ctx := context.Background()
	if err := w.Genesis(ctx, g, changes); err != nil {
		return err
	}
	head, err := first.Head(ctx)
	if err != nil {
		return err
	}
	return first.Log(ctx, 0, func(index uint64, value []byte) bool {
		p.kv.apply(&store.Txn{Head: head, Index: index, Log: value, Changes: changes})
		return true
	})
}

// anyControl draws one of the control plane's nodes.
func (p *plane) anyControl() *control { return p.controls[p.w.rand.IntN(len(p.controls))] }
