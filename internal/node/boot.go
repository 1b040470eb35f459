package node

import "time"

var started = time.Now()

// monotonic is the time since the process started, as far as the system counts it.
func monotonic() time.Duration { return time.Since(started) }
