package local

import "syscall"

// endsWithUs has the system end a process that knows nothing of us when we die.
func endsWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
