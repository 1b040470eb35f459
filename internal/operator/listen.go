package operator

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
)

// Listen opens the operators' socket, mode 0600 in a directory that is 0700
// and ours. Connections of another user than ours and root are closed where
// the system tells whose they are (Linux); elsewhere the modes are the door.
func Listen(path string) (net.Listener, error) {
	if err := private(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("operators' socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &listener{l}, nil
}

// private makes sure that nobody else can reach into the directory. One made
// beforehand by another user, under a name that can be guessed, is refused.
func private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("directory of the operators' socket: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("directory of the operators' socket: %w", err)
	}
	switch {
	case !info.IsDir():
		return fmt.Errorf("directory of the operators' socket: %s is no directory", dir)
	case runtime.GOOS == "windows":
		return nil
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("directory of the operators' socket: others can reach into %s (mode %04o): take the rights of group and others away", dir, info.Mode().Perm())
	case !ours(info):
		return fmt.Errorf("directory of the operators' socket: %s belongs to another user", dir)
	}
	return nil
}

// removeStale removes the socket that a killed process left, and nothing else.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("operators' socket: %w", err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("operators' socket: %s is there and is no socket", path)
	}
	return os.Remove(path)
}

// listener closes the connections of users who may not ask.
type listener struct{ net.Listener }

// Accept returns the next connection of a user who may ask.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if peerMay(c) {
			return c, nil
		}
		c.Close()
	}
}

// admits says whether a peer's user may ask a process of the user own.
func admits(peer, own uint32) bool { return peer == own || peer == 0 }
