//go:build !unix

package drill

import (
	"errors"
	"syscall"
)

const stopSignal = syscall.SIGKILL // never sent: see kill

// kill says that drills are for systems whose processes take signals.
func kill(int, syscall.Signal) error {
	return errors.New("drills send signals to processes, which this system does not know")
}

func ownSession() *syscall.SysProcAttr { return nil }
