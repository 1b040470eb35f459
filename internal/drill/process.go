package drill

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Processes are the nodes' processes: children of this deployment's supervisor
// that run the configuration of one of its nodes. Who runs none now is missing.
func (d *Deployment) Processes() map[string]int {
	all := map[string]int{}
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,args=").Output()
	if err != nil {
		return all
	}
	for _, line := range strings.Split(string(out), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[1] != strconv.Itoa(d.Addresses.Supervisor) {
			continue
		}
		for _, n := range d.Addresses.All() {
			if strings.HasSuffix(line, " --config "+d.Layout.Config(n.Name)) {
				all[n.Name], _ = strconv.Atoi(fields[0])
			}
		}
	}
	return all
}

// Pid is the process of a node. 0: there is none now.
func (d *Deployment) Pid(node string) int { return d.Processes()[node] }

// Signal sends a signal to nodes.
func (d *Deployment) Signal(s syscall.Signal, nodes ...string) error {
	all := d.Processes()
	for _, node := range nodes {
		pid := all[node]
		if pid == 0 {
			return fmt.Errorf("%s is not running", node)
		}
		if err := kill(pid, s); err != nil {
			return fmt.Errorf("%s: %w", node, err)
		}
	}
	return nil
}

// Freeze stops nodes as they are; what it returns lets them go on. A guardian
// does so as well when this process ends, however it ends.
func (d *Deployment) Freeze(nodes ...string) (thaw func(), err error) {
	var pids []string
	for _, node := range nodes {
		pid := d.Pid(node)
		if pid == 0 {
			return nil, fmt.Errorf("%s is not running", node)
		}
		pids = append(pids, strconv.Itoa(pid))
	}
	release, err := guardian("kill -CONT " + strings.Join(pids, " "))
	if err != nil {
		return nil, err
	}
	if err := d.Signal(stopSignal, nodes...); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// guardian runs a command when it is told to, and when this process has ended:
// it waits for the end of a pipe whose other end is here, in a session of its
// own that Ctrl-C does not reach.
func guardian(command string) (release func(), err error) {
	cmd := exec.Command("sh", "-c", "cat >/dev/null; "+command)
	cmd.SysProcAttr = ownSession()
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done := false
	return func() {
		if !done {
			done = true
			pipe.Close()
			_ = cmd.Wait() // a process that was to be thawed may be gone
		}
	}, nil
}

// Kill ends nodes as `kill -9` does; their supervisor starts them again.
func (d *Deployment) Kill(nodes ...string) error { return d.Signal(syscall.SIGKILL, nodes...) }

// Restarted waits until each of these processes was replaced by another.
func (d *Deployment) Restarted(before map[string]int, patience time.Duration) error {
	begun := d.Now()
	for {
		all, waiting := d.Processes(), ""
		for node, old := range before {
			if pid := all[node]; pid == 0 || pid == old {
				waiting = node
			}
		}
		switch {
		case waiting == "":
			return nil
		case d.Now().Sub(begun) > patience:
			return fmt.Errorf("%s did not start again within %s", waiting, patience)
		}
		<-time.After(lookPause)
	}
}

// Pids are the processes of nodes.
func (d *Deployment) Pids(nodes ...string) map[string]int {
	all, some := d.Processes(), map[string]int{}
	for _, node := range nodes {
		some[node] = all[node]
	}
	return some
}

// errNoRoot says what is missing for a firewall.
var errNoRoot = errors.New("this needs root, and nft (Debian's package nftables): it cuts connections with firewall rules of its own")

// MayCut says whether connections can be cut here: nil, or what is missing.
func MayCut() error {
	if _, err := exec.LookPath("nft"); err != nil || os.Geteuid() != 0 {
		return errNoRoot
	}
	if out, err := exec.Command("nft", "list", "tables").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", errNoRoot, strings.TrimSpace(string(out)))
	}
	return nil
}
