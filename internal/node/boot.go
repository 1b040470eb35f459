package node

import "time"

var started = clock()

// monotonic is the time since the process started, as far as the system counts it.
func monotonic() time.Duration { return clock().Sub(started) }
