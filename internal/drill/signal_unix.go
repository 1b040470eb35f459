//go:build unix

package drill

import "syscall"

// stopSignal freezes a process.
const stopSignal = syscall.SIGSTOP

func kill(pid int, s syscall.Signal) error { return syscall.Kill(pid, s) }

// ownSession takes a child out of this terminal's session.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
