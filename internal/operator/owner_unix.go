//go:build unix

package operator

import (
	"io/fs"
	"os"
	"syscall"
)

// ours says whether a file belongs to our user.
func ours(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid()
}
