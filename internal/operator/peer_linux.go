package operator

import (
	"net"
	"os"
	"syscall"
)

// peerMay says whether the connection is of our own user or root; one whose
// user is not told is refused (unix(7), SO_PEERCRED).
func peerMay(c net.Conn) bool {
	uid, ok := peerUID(c)
	return ok && admits(uid, uint32(os.Geteuid()))
}

func peerUID(c net.Conn) (uid uint32, ok bool) {
	u, isUnix := c.(*net.UnixConn)
	if !isUnix {
		return 0, false
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			uid, ok = cred.Uid, true
		}
	})
	return uid, ok && err == nil
}
