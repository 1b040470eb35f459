//go:build !unix

package node

import "time"

// processorTime is not asked for on this system: load is what waits at the gate.
func processorTime() time.Duration { return 0 }
