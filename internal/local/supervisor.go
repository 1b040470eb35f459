package local

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

// Restarts wait from minPause, doubling to maxPause for a process that does not
// get as far as being ready; one that was ready is wanted back at once.
const (
	minPause    = 50 * time.Millisecond
	maxPause    = 5 * time.Second
	stopTimeout = 10 * time.Second
	maxLog      = 16 << 20 // bytes; what was before is kept once, as .1
	logPause    = 10 * time.Second
)

// Process is one node's process. Its sockets stay open in the supervisor, so
// that a restart refuses no connection.
type Process struct {
	Name    string
	Args    []string            // after the executable
	Sockets map[string]*os.File // by LISTEN_FDNAMES name
	LogFile string
	// Foreign is another executable than ours, which knows nothing of the
	// pipes: it is asked to end by a signal, and the system ends it with us.
	Foreign string
}

// Event is something that happened to a process.
type Event struct {
	Name  string
	What  string // started, ready, ended
	Error error  // of ended
	Pid   int
}

// Supervisor keeps processes running. It holds the write end of each one's
// parent pipe: when the supervisor ends, even killed, they end with it.
type Supervisor struct {
	Executable string
	Events     func(Event) // called from the processes' goroutines
	mu         sync.Mutex
	pids       map[string]int
}

// Pid returns the process id of a running process, or 0.
func (s *Supervisor) Pid(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pids[name]
}

// Keep runs one process, and again whenever it ends, until ctx ends; then it
// asks it to end and waits.
func (s *Supervisor) Keep(ctx context.Context, p Process) {
	pause := minPause
	for ctx.Err() == nil {
		ready, err := s.once(ctx, p)
		if ctx.Err() != nil {
			return
		}
		s.Events(Event{Name: p.Name, What: "ended", Error: err})
		if ready {
			pause = minPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
	}
}

// once runs a process to its end and says whether it was ever ready.
func (s *Supervisor) once(ctx context.Context, p Process) (wasReady bool, err error) {
	log, err := openLog(p.LogFile)
	if err != nil {
		return false, err
	}
	defer log.Close()
	ended := make(chan struct{})
	defer close(ended)
	go keepSmall(p.LogFile, ended)
	parentRead, parentWrite, err := os.Pipe()
	if err != nil {
		return false, err
	}
	defer parentWrite.Close()
	notifyRead, notifyWrite, err := os.Pipe()
	if err != nil {
		parentRead.Close()
		return false, err
	}
	defer notifyRead.Close()
	cmd := exec.Command(cmp.Or(p.Foreign, s.Executable), p.Args...)
	release := func() error { return parentWrite.Close() }
	if p.Foreign != "" {
		cmd.SysProcAttr = endsWithUs()
		release = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	}
	cmd.Stderr, cmd.Stdout = log, log
	names := []string{"parent", "notify"}
	cmd.ExtraFiles = []*os.File{parentRead, notifyWrite}
	for name, f := range p.Sockets {
		names = append(names, name)
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	cmd.Env = append(childEnviron(), "LISTEN_FDS="+strconv.Itoa(len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	err = cmd.Start()
	parentRead.Close()
	notifyWrite.Close()
	if err != nil {
		return false, err
	}
	s.setPid(p.Name, cmd.Process.Pid)
	defer s.setPid(p.Name, 0)
	s.Events(Event{Name: p.Name, What: "started", Pid: cmd.Process.Pid})
	var ready atomic.Bool
	go s.watchReady(p.Name, cmd.Process.Pid, notifyRead, &ready)
	err = wait(ctx, cmd, release)
	return ready.Load(), err
}

func (s *Supervisor) setPid(name string, pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pids == nil {
		s.pids = map[string]int{}
	}
	s.pids[name] = pid
}

func (s *Supervisor) watchReady(name string, pid int, r io.Reader, ready *atomic.Bool) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		ready.Store(true)
		s.Events(Event{Name: name, What: lines.Text(), Pid: pid})
	}
}

// wait returns when the process has ended; when ctx ends it lets go of the
// process, which ends then, and insists after a while.
func wait(ctx context.Context, cmd *exec.Cmd, release func() error) error {
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err == nil {
			err = errors.New("it ended by itself")
		}
		return err
	case <-ctx.Done():
	}
	_ = release() // it may have ended already
	select {
	case err := <-done:
		return err
	case <-time.After(stopTimeout):
		_ = cmd.Process.Kill()
		return <-done
	}
}

// childEnviron drops what could reach into a node by accident: clients'
// settings and proxies.
func childEnviron() []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		upper := strings.ToUpper(name)
		if strings.HasPrefix(upper, "AWS_") || strings.HasPrefix(upper, "LISTEN_") || strings.HasPrefix(upper, "HOLDFAST_") && !(failpoint.Built && upper == failpoint.Variable) ||
			strings.HasPrefix(upper, "ETCD_") || strings.HasSuffix(upper, "_PROXY") {
			continue
		}
		env = append(env, kv)
	}
	return env
}

func openLog(path string) (*os.File, error) {
	if err := shorten(path, maxLog); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of the process: %w", err)
	}
	return f, nil
}

// keepSmall shortens a process's log whenever it has grown, until the process ends.
func keepSmall(path string, ended <-chan struct{}) {
	tick := time.NewTicker(logPause)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			_ = shorten(path, maxLog) // on a full disk it goes on growing by what fits
		}
	}
}

// shorten empties a log of more than so many bytes once they are copied to its
// place for earlier ones. The process that appends to it need not know; what it
// writes in between is lost.
func shorten(path string, most int64) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() <= most {
		return nil
	}
	if err != nil {
		return err
	}
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path+".1", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close()); err != nil {
		return err
	}
	return os.Truncate(path, 0)
}
