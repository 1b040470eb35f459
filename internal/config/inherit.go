package config

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// firstFD is the first descriptor that a parent hands over (sd_listen_fds(3)).
const firstFD = 3

// Inherited are the descriptors that the parent handed over by name: sockets
// as systemd does it, and under "parent" and "notify" two pipes of `up`.
type Inherited map[string]*os.File

// Inherit takes what LISTEN_FDS and LISTEN_FDNAMES name and clears the
// variables, so that no child of ours takes them again.
func Inherit() (Inherited, error) {
	count, names := os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	os.Unsetenv("LISTEN_FDS")
	os.Unsetenv("LISTEN_FDNAMES")
	os.Unsetenv("LISTEN_PID")
	if count == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	list := strings.Split(names, ":")
	if err != nil || n != len(list) {
		return nil, fmt.Errorf("LISTEN_FDS=%s does not fit LISTEN_FDNAMES=%s", count, names)
	}
	in := make(Inherited, n)
	for i, name := range list {
		if in[name] != nil {
			return nil, fmt.Errorf("LISTEN_FDNAMES=%s names %s twice", names, name)
		}
		in[name] = os.NewFile(uintptr(firstFD+i), name)
	}
	return in, nil
}

// Listener returns the socket handed over under name, or listens on addr.
// An empty addr and no socket is no listener: nil, nil.
func (in Inherited) Listener(name, addr string) (net.Listener, error) {
	if f := in[name]; f != nil {
		l, err := net.FileListener(f)
		f.Close()
		delete(in, name)
		if err != nil {
			return nil, fmt.Errorf("socket %s handed over: %w", name, err)
		}
		return l, nil
	}
	if addr == "" {
		return nil, nil
	}
	return net.Listen("tcp", addr)
}
