//go:build unix

package node

import "golang.org/x/sys/unix"

// freeBytes is the space left for us on the disk of dir; unknown counts as
// enough, the store itself refuses what does not fit.
func freeBytes(dir string) uint64 {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 1 << 62
	}
	return uint64(s.Bavail) * uint64(s.Bsize)
}
