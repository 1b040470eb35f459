//go:build unix

package keyring

import (
	"os"
	"syscall"
)

// sameOwner gives a file the owner of another one: who renews a key may not be
// who reads it.
func sameOwner(as, path string) error {
	info, err := os.Stat(as)
	if err != nil {
		return err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && int(s.Uid) != os.Geteuid() {
		return os.Chown(path, int(s.Uid), int(s.Gid))
	}
	return nil
}
