package operator

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

const nobody = 65534

// as runs do on a thread of another effective user, which ends with it.
func as(uid int, do func() error) error {
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is not used again
		if _, _, no := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); no != 0 {
			failed <- no
			return
		}
		failed <- do()
	}()
	return <-failed
}

// answered says whether a connection is kept: what is written comes back.
func answered(path string) error {
	c, err := net.Dial("unix", path)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	_, err = io.ReadFull(c, make([]byte, 1))
	return err
}

func TestAnotherUsersConnectionIsClosedEvenWhereTheModesLetItIn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: not root, so no other user to be")
	}
	dir := private0700(t)
	path := filepath.Join(dir, "operator.sock")
	l := listen(t, path)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(c, io.LimitReader(c, 1))
			c.Close()
		}
	}()
	if err := as(nobody, func() error { return answered(path) }); !errors.Is(err, os.ErrPermission) {
		t.Errorf("the modes let another user in: %v", err)
	}
	if err := errors.Join(os.Chmod(dir, 0o711), os.Chmod(path, 0o666)); err != nil {
		t.Fatal(err)
	}
	if err := as(nobody, func() error { return answered(path) }); err == nil || errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("another user's connection: %v, want it closed", err)
	}
	if err := answered(path); err != nil {
		t.Errorf("our own after it: %v", err)
	}
}

func TestADirectoryOfAnotherUserIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: not root, so nothing can be given to another user")
	}
	dir := private0700(t)
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(filepath.Join(dir, "operator.sock")); err == nil || !strings.Contains(err.Error(), "belongs to another user") {
		t.Errorf("%v", err)
	}
}

func TestAConnectionWhoseUserIsNotToldIsRefused(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if peerMay(a) {
		t.Error("admitted")
	}
}
