// Package clocks judges whether a control-plane node's own clock can be believed,
// before its time is put on a commit. It reads no clock; what it is told decides.
//
// Invariant: a clock is never believed for being one's own: a control-plane node
// needs a majority that agrees, and a clock that was set is not believed at once.
package clocks

import (
	"fmt"
	"time"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

const (
	// Tolerance is how far a control-plane node's clock may be from the others'
	// and from its own boot clock.
	Tolerance = time.Second
	// Steady is how long a clock must run evenly, after it was set, before its
	// time is put on a commit again.
	Steady = time.Minute
	// Fresh is for how long another node's word on its clock counts: a boot
	// clock does not drift by a second in it.
	Fresh = 30 * time.Second
)

// Reading is one look at a node's two clocks: the wall's, which can be set, and
// the one that counts since the machine started, suspension included.
type Reading struct {
	Wall time.Time
	Boot time.Duration
}

// ahead is how far the wall clock has moved against the boot clock since old.
func (r Reading) ahead(old Reading) time.Duration {
	return r.Wall.Sub(old.Wall) - (r.Boot - old.Boot)
}

// Bound judges a control-plane node's clock. It is for one goroutine at a time.
type Bound struct {
	even  Reading // the last reading known to be even with the boot clock
	set   bool    // the wall clock was set,
	setAt time.Duration
	heard map[string]heard
}

// heard is what another node's clock shows, told by this node's boot clock.
type heard struct {
	at        Reading // its wall clock, our boot clock
	uncertain time.Duration
}

// NewBound starts from a reading, which is taken to be even.
func NewBound(now Reading) *Bound { return &Bound{even: now, heard: map[string]heard{}} }

// Heard takes another node's wall clock as it was between two readings of this
// node's boot clock.
func (b *Bound) Heard(node string, wall time.Time, asked, answered time.Duration) {
	half := (answered - asked) / 2
	b.heard[node] = heard{Reading{wall, asked + half}, half}
}

// Judge says why this node may not put its time on a commit, or nil. others are
// the control plane's other nodes.
func (b *Bound) Judge(now Reading, others []string) error {
	b.follow(now)
	if failpoint.On(failpoint.AnyClock) {
		return nil
	}
	if b.set {
		return fmt.Errorf("its clock was set %.0f seconds ago: it has to run evenly for %.0f", (now.Boot - b.setAt).Seconds(), Steady.Seconds())
	}
	agree := 1
	for _, name := range others {
		if b.agrees(name, now) {
			agree++
		}
	}
	if all := len(others) + 1; agree <= all/2 {
		return fmt.Errorf("its clock is known to be within %.0f second of that of %d of %d control-plane nodes, itself included: a majority is needed", Tolerance.Seconds(), agree, all)
	}
	return nil
}

// follow compares the two clocks. Their slow drift apart is no step: what is even
// is taken anew every minute.
func (b *Bound) follow(now Reading) {
	switch d := now.ahead(b.even).Abs(); {
	case d > Tolerance:
		b.even, b.set, b.setAt = now, true, now.Boot
	case now.Boot-b.even.Boot >= Steady:
		b.even, b.set = now, false
	case b.set && now.Boot-b.setAt >= Steady:
		b.set = false
	}
}

func (b *Bound) agrees(name string, now Reading) bool {
	h, ok := b.heard[name]
	return ok && now.Boot-h.at.Boot <= Fresh && now.ahead(h.at).Abs() <= Tolerance+h.uncertain
}
