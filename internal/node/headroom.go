package node

import (
	"context"
	"math"
	"runtime"
	"time"

	"github.com/holdfast-iam/holdfast/internal/replica"
)

// How a node's load is measured: often, so that short bursts count, and
// smoothed over about ten seconds.
const (
	loadEach   = 100 * time.Millisecond
	loadWeight = 0.01
)

// measure keeps how busy this node is: the larger of the slots taken at its
// gate and of the processor time that it uses, each as a part of all.
func (p *peers) measure(ctx context.Context) error {
	smooth, at, used := 0.0, clock(), processorTime()
	for ctx.Err() == nil {
		sleep(ctx, loadEach)
		now, spent := clock(), processorTime()
		processor := 0.0
		if passed := now.Sub(at); passed > 0 { // the clock may have been set
			processor = (spent - used).Seconds() / passed.Seconds() / float64(runtime.GOMAXPROCS(0))
		}
		at, used = now, spent
		smooth += loadWeight * (min(max(processor, p.r.work.Busy()), 1) - smooth)
		p.load.Store(uint64(math.Round(1000 * smooth)))
	}
	return nil
}

// busy is this node's load, as a part of what it can do.
func (p *peers) busy() float64 { return float64(p.load.Load()) / 1000 }

// headroom is how busy the rest of the Region would be without the zone that
// has most nodes: 1 is all that it can do. False: nobody would be left.
func (p *peers) headroom() (float64, bool) {
	ready, _ := p.r.ready()
	p.mu.Lock()
	nodes := p.machine.Live(clock())
	p.mu.Unlock()
	return replica.Without(append(nodes, replica.Standing{Node: p.r.keys.ID, Zone: p.r.Config.Zone, Ready: ready, Load: p.busy()}))
}
