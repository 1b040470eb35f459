//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Machines are network and mount namespaces of this machine: each has an
// address on its site's bridge and its own /etc, /run, /var/lib and binaries.
// The sites' bridges are joined by cables, which a test can pull.
type machines struct {
	t    *testing.T
	dir  string // for everything; every machine sees it
	net  string // prefix of the namespaces' names
	pids map[string]int
}

// site is where machines stand: its number is the third part of the address.
type site struct {
	number int
	names  []string // .1, .2, …; the balancer is .9
	lb     string
}

func newMachines(t *testing.T, sites []site) *machines {
	t.Helper()
	for _, tool := range []string{"ip", "unshare", "nsenter", "setpriv", "haproxy", "openssl", "aws", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			notRun(t, tool, "the deployment page's test needs it")
		}
	}
	if os.Geteuid() != 0 {
		notRun(t, "root", "the deployment page's test makes network namespaces")
	}
	dir, err := os.MkdirTemp("", "hf-page-")
	if err != nil {
		t.Fatal(err)
	}
	build(t)
	begun := time.Now()
	m := &machines{t: t, dir: dir, net: fmt.Sprintf("hf%d-", os.Getpid()), pids: map[string]int{}}
	t.Cleanup(m.remove)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	m.shims()
	m.cable(sites)
	for _, s := range sites {
		for _, name := range append(s.names, s.lb) {
			if name != "" {
				m.boot(name)
			}
		}
	}
	t.Logf("%d machines: %s", len(m.pids), time.Since(begun).Round(time.Millisecond))
	return m
}

// cable makes the namespaces and what joins them.
func (m *machines) cable(sites []site) {
	m.t.Helper()
	m.ip("netns", "add", m.net+"switch")
	sw := func(args ...string) { m.ip(append([]string{"-n", m.net + "switch"}, args...)...) }
	for _, s := range sites {
		bridge := fmt.Sprint("br", s.number)
		sw("link", "add", bridge, "type", "bridge")
		sw("link", "set", bridge, "up")
		if s.number > 0 {
			sw("link", "add", fmt.Sprint("cut", s.number), "type", "veth", "peer", "name", fmt.Sprint("up", s.number))
			for link, to := range map[string]string{"cut": bridge, "up": "br0"} {
				sw("link", "set", fmt.Sprint(link, s.number), "master", to, "up")
			}
		}
		for i, name := range append(s.names, s.lb) {
			if name == "" {
				continue
			}
			host := i + 1
			if name == s.lb {
				host = 9
			}
			m.ip("netns", "add", m.net+name)
			port := fmt.Sprintf("p%d-%d", s.number, host)
			m.ip("link", "add", port, "netns", m.net+"switch", "type", "veth", "peer", "name", "e0", "netns", m.net+name)
			sw("link", "set", port, "master", bridge, "up")
			own := func(args ...string) { m.ip(append([]string{"-n", m.net + name}, args...)...) }
			own("addr", "add", fmt.Sprintf("10.77.%d.%d/24", s.number, host), "dev", "e0")
			own("link", "set", "lo", "up")
			own("link", "set", "e0", "up")
			own("route", "add", "10.77.0.0/16", "dev", "e0") // to the other sites; there is no default route
		}
	}
}

func (m *machines) ip(args ...string) {
	m.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		m.t.Fatalf("ip %v: %v %s", args, err, out)
	}
}

// shims are what stands in for the tools that need a real machine: ssh and scp
// enter namespaces, systemctl starts what the units say.
func (m *machines) shims() {
	m.t.Helper()
	bin := filepath.Join(m.dir, "bin")
	for _, d := range []string{bin, filepath.Join(m.dir, "log"), filepath.Join(m.dir, "pids"), filepath.Join(m.dir, "desk")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			m.t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		m.t.Fatal(err)
	}
	if out, err := exec.Command("cp", build(m.t), filepath.Join(bin, "holdfast")).CombinedOutput(); err != nil {
		m.t.Fatalf("%v %s", err, out)
	}
	enter := "pid=$(cat " + m.dir + "/pids/$host)\n"
	for name, text := range map[string]string{
		// ssh -fNL LOCAL:REMOTE HOST, or ssh HOST COMMAND…
		"ssh": `if [ "$1" = -fNL ]; then host=$3; ` + enter + `ln -sf "/proc/$pid/root${2#*:}" "${2%%:*}"; exit; fi
host=$1; shift; ` + enter + `exec nsenter -t $pid -n -m -p -- /bin/bash -c "$*"`,
		// scp -p FILE… HOST:PATH
		"scp": `[ "$1" = -p ] && shift; to=${*: -1}; host=${to%%:*}; to=${to#*:}; ` + enter + `
for f in "${@:1:$#-1}"; do
  [ "$f" = "$to/holdfast" -o "$f" = "${to}holdfast" ] && continue # all machines share the binaries
  cp -p --remove-destination "$f" "/proc/$pid/root$to"
done`,
		"systemctl": "exec env HOLDFAST_TEST_SYSTEMCTL=" + m.dir + " " + self + ` "$@"`,
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/bash\nset -eu\n"+text+"\n"), 0o755); err != nil {
			m.t.Fatal(err)
		}
	}
}

// bootScript makes a machine's own directories, and holds it until its standard
// input ends: it is the first process of a namespace, with which all others end.
const bootScript = `set -e
dir=$1; name=$2
mkdir -p $dir/disk-$name && mount -t tmpfs none $dir/disk-$name && cd $dir/disk-$name && mkdir etc work
[ $name = desk ] || mount -t proc none /proc # the desk finds the others by the machine's own
mount -t overlay overlay -o lowerdir=/etc,upperdir=$PWD/etc,workdir=$PWD/work /etc
mount -t overlay overlay -o lowerdir=$dir/bin:/usr/local/bin /usr/local/bin
mount -t tmpfs -o mode=0755 none /run
mount -t tmpfs -o mode=0755 none /var/lib
mkdir -p /var/lib/haproxy /etc/haproxy
: > /etc/resolv.conf
echo $name > /run/machine
echo up
exec cat > /dev/null`

func (m *machines) boot(name string) {
	m.t.Helper()
	cmd := exec.Command("ip", "netns", "exec", m.net+name, "unshare", "-m", "-p", "--fork", "--kill-child", "--propagation", "private", "bash", "-c", bootScript, "boot", m.dir, name)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "up\n" {
		m.t.Fatalf("%s does not boot: %q %v", name, line, err)
	}
	// ip has become unshare, whose one child is the shell, and then cat.
	child, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid))
	if err != nil {
		m.t.Fatal(err)
	}
	if m.pids[name], err = strconv.Atoi(strings.TrimSpace(string(child))); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.dir, "pids", name), []byte(strconv.Itoa(m.pids[name])), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// remove ends what runs in the namespaces, and removes them: also those of a
// test that was killed.
func (m *machines) remove() {
	list, _ := exec.Command("ip", "netns", "list").Output()
	for _, line := range strings.Split(string(list), "\n") {
		name, _, _ := strings.Cut(line, " ")
		var pid int
		if n, _ := fmt.Sscanf(name, "hf%d-", &pid); n != 1 || pid != os.Getpid() && syscall.Kill(pid, 0) == nil {
			continue
		}
		pids, _ := exec.Command("ip", "netns", "pids", name).Output()
		for _, pid := range strings.Fields(string(pids)) {
			if n, err := strconv.Atoi(pid); err == nil {
				_ = syscall.Kill(n, syscall.SIGKILL)
			}
		}
		_ = exec.Command("ip", "netns", "del", name).Run()
	}
	if m.t.Failed() || testing.Verbose() {
		logs, _ := filepath.Glob(filepath.Join(m.dir, "log", "*"))
		for _, path := range logs {
			out, _ := exec.Command("tail", "-n", "4", path).Output()
			m.t.Logf("%s:\n%s", filepath.Base(path), out)
		}
	}
	_ = os.RemoveAll(m.dir)
}

// pull cuts a site off: its cable, and every route that leads out of it.
func (m *machines) pull(s site) {
	m.ip("-n", m.net+"switch", "link", "set", fmt.Sprint("cut", s.number), "down")
	for _, name := range append(s.names, s.lb) {
		m.ip("-n", m.net+name, "route", "del", "10.77.0.0/16")
	}
}

func (m *machines) plug(s site) {
	m.ip("-n", m.net+"switch", "link", "set", fmt.Sprint("cut", s.number), "up")
	for _, name := range append(s.names, s.lb) {
		m.ip("-n", m.net+name, "route", "add", "10.77.0.0/16", "dev", "e0")
	}
}

// desk is the shell at which everything is typed.
type desk struct {
	m   *machines
	in  io.Writer
	out *bufio.Reader
	n   int
}

func (m *machines) sit(name, repository string) *desk {
	m.t.Helper()
	cmd := exec.Command("nsenter", "-t", strconv.Itoa(m.pids[name]), "-n", "-m", "--", "bash")
	cmd.Env = append(os.Environ(), "PATH=/usr/local/bin:"+os.Getenv("PATH"), "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1", "HOME="+m.dir+"/desk")
	in, err := cmd.StdinPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	cmd.Dir = filepath.Join(m.dir, "desk")
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { // a shell that ends must not be waited for
		_ = cmd.Wait()
		w.Close()
		close(ended)
	}()
	m.t.Cleanup(func() { in.Close(); _ = cmd.Process.Kill(); r.Close(); <-ended })
	d := &desk{m: m, in: in, out: bufio.NewReader(r)}
	d.must("cd " + cmd.Dir + " && ln -s " + repository + "/deploy deploy") // entering a namespace forgets the directory
	return d
}

// run types a script and returns what it says; an error when a command of it
// fails. The shell's variables and directory stay.
func (d *desk) run(script string) (string, error) {
	d.n++
	end := fmt.Sprintf("--- %d ", d.n)
	// Not in a subshell, whose variables would be lost; what fails leaves the rest out.
	file := filepath.Join(d.m.dir, fmt.Sprintf("step-%d", d.n))
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(andThen(script), "\r", "")), 0o600); err != nil {
		return "", err
	}
	fmt.Fprintf(d.in, "failed=; trap 'failed=1' ERR; . %s </dev/null; echo; echo \"%s${failed:-0}\"\n", file, end)
	var said strings.Builder
	for {
		line, err := d.out.ReadString('\n')
		if rest, ok := strings.CutPrefix(line, end); ok {
			text := strings.TrimSuffix(said.String(), "\n")
			if strings.TrimSpace(rest) != "0" {
				return text, fmt.Errorf("a command failed")
			}
			return text, nil
		}
		if err != nil {
			return said.String(), err
		}
		said.WriteString(line)
	}
}

// andThen has a script stop at the first command that fails, as set -e does in
// a script of its own.
func andThen(script string) string {
	return "set -E; trap 'failed=1; trap - ERR; return 1 2>/dev/null' ERR\n" + script + "\ntrap - ERR\n"
}

func (d *desk) must(script string) string {
	d.m.t.Helper()
	out, err := d.run(script)
	if err != nil {
		d.m.t.Fatalf("%s\n%v\n%s", script, err, out)
	}
	return out
}

// until repeats a script until it succeeds, and returns how long that took.
func (d *desk) until(what, script string) time.Duration {
	d.m.t.Helper()
	begun := time.Now()
	for {
		out, err := d.run(script)
		if err == nil {
			return time.Since(begun)
		}
		if time.Since(begun) > time.Minute {
			d.m.t.Fatalf("not %s:\n%s", what, out)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// systemctl stands in for systemd in a machine: it starts what the unit says,
// as its user, with its directories, and waits until it says that it is ready.
func systemctl(dir string, args []string) error {
	var verb, unit string
	for _, a := range args {
		switch {
		case strings.HasPrefix(a, "-"):
		case verb == "":
			verb = a
		default:
			unit = a
		}
	}
	machine, err := os.ReadFile("/run/machine")
	if err != nil {
		return err
	}
	pidFile := "/run/" + unit + ".pid"
	if verb == "kill" {
		return end(pidFile, syscall.SIGKILL)
	}
	if verb == "stop" || verb == "restart" || verb == "reload-or-restart" {
		if err := end(pidFile, syscall.SIGTERM); err != nil || verb == "stop" {
			return err
		}
	}
	log, err := os.OpenFile(filepath.Join(dir, "log", strings.TrimSpace(string(machine))+"-"+unit+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	for try := 1; ; try++ { // Restart=always, RestartSec=1s, as the units say
		err := startUnit(unit, pidFile, log)
		if err == nil || try == unitTries {
			return err
		}
		<-time.After(time.Second)
	}
}

// unitTries bounds the starts of a unit that ends before it is ready.
const unitTries = 10

func startUnit(unit, pidFile string, log *os.File) error {
	cmd, await, err := unitCommand(unit)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(cmd.Process.Pid)), 0o644); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ready := make(chan error, 1)
	go func() { ready <- await() }()
	select {
	case err := <-ended:
		return fmt.Errorf("%s ended: %v", unit, err)
	case err := <-ready:
		return err
	}
}

func end(pidFile string, s syscall.Signal) error {
	b, err := os.ReadFile(pidFile)
	if os.IsNotExist(err) {
		return nil
	}
	pid, err := strconv.Atoi(string(b))
	if err != nil {
		return err
	}
	_ = syscall.Kill(pid, s) // it may be gone
	for syscall.Kill(pid, 0) == nil && !zombie(pid) {
		time.Sleep(10 * time.Millisecond)
	}
	return os.Remove(pidFile)
}

func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, ok := strings.Cut(string(b), ") ")
	return err != nil || ok && strings.HasPrefix(rest, "Z")
}

// unitCommand is what a unit starts, and how its readiness is waited for.
func unitCommand(unit string) (*exec.Cmd, func() error, error) {
	if unit == "haproxy" { // Debian's unit, whose master process a namespace has no use for
		cmd := exec.Command("haproxy", "-db", "-f", "/etc/haproxy/haproxy.cfg")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		return cmd, func() error { return nil }, nil
	}
	b, err := os.ReadFile("/etc/systemd/system/" + unit + ".service")
	if err != nil {
		return nil, nil, err
	}
	set := map[string]string{}
	for _, line := range strings.Split(string(b), "\n") {
		if key, value, ok := strings.Cut(line, "="); ok {
			set[key] = value
		}
	}
	user := set["User"]
	for _, d := range []string{"/var/lib/" + set["StateDirectory"], "/run/" + set["RuntimeDirectory"]} {
		if out, err := exec.Command("install", "-d", "-m", "0700", "-o", user, "-g", set["Group"], d).CombinedOutput(); err != nil {
			return nil, nil, fmt.Errorf("%w %s", err, out)
		}
	}
	notify := fmt.Sprintf("/run/%s.%d.notify", unit, os.Getpid())
	_ = os.Remove(notify) // of a start that failed
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify})
	if err != nil {
		return nil, nil, err
	}
	if err := os.Chmod(l.LocalAddr().String(), 0o777); err != nil {
		return nil, nil, err
	}
	args := append([]string{"--reuid", user, "--regid", set["Group"], "--clear-groups", "--no-new-privs"}, strings.Fields(set["ExecStart"])...)
	cmd := exec.Command("setpriv", args...)
	cmd.Env = []string{"NOTIFY_SOCKET=" + l.LocalAddr().String(), "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd, func() error {
		_ = l.SetReadDeadline(time.Now().Add(60 * time.Second))
		b := make([]byte, 256)
		for {
			n, err := l.Read(b)
			if err != nil || strings.Contains(string(b[:n]), "READY=1") {
				return err
			}
		}
	}, nil
}

// actsAsSystemctl: the machines' systemctl runs this binary, before any test.
func actsAsSystemctl() {
	dir := os.Getenv("HOLDFAST_TEST_SYSTEMCTL")
	if dir == "" {
		return
	}
	if err := systemctl(dir, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "systemctl:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func init() { actsAsSystemctl() }
