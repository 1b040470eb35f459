//go:build !linux

package local

import "syscall"

// endsWithUs: only Linux ends a process with the one that started it.
func endsWithUs() *syscall.SysProcAttr { return nil }
