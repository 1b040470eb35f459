//go:build !linux

package node

import "time"

// bootTime is the time since the process started: this system's clock that cannot
// be set. Where that one stands still during a suspension, the wall clock looks as
// if it had been set.
func bootTime() time.Duration { return monotonic() }
