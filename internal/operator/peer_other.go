//go:build !linux

package operator

import "net"

// peerMay: here the modes of socket and directory are the door.
func peerMay(net.Conn) bool { return true }
