//go:build unix

package main

import "golang.org/x/sys/unix"

// noCore has the system keep no memory of ours when the process dies.
func noCore() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) } // systemd's unit says it too
