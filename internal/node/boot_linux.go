package node

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootTime is the time since the machine started, its suspensions included.
func bootTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return monotonic()
	}
	return time.Duration(t.Nano())
}
