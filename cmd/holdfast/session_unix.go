//go:build unix

package main

import "syscall"

// ownSession takes a detached child out of this terminal's session.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
