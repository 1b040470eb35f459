//go:build unix

package main

import (
	"syscall"
	"time"
)

// spent is the CPU time of this process so far, the collector's included: what
// other programs on the machine take does not count.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return time.Duration(time.Now().UnixNano())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
