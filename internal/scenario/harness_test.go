package scenario

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/local"
)

var (
	extent    = flag.String("faults", "quick", "quick, or all scenarios")
	red       = flag.Bool("red", false, "run each scenario on each of its bugs, which must turn it red")
	powerCuts = flag.Int("power-cuts", 3, "in scenario D1")
	reports   = flag.String("report", "", "file with a line a scenario that was run; what stands there as good is not run again")
)

// scenario is one fault of the catalogue, and what must hold.
type scenario struct {
	id    string // of the catalogue, with a letter where it has several
	name  string
	shape shape
	bugs  []failpoint.Bug // each turns it red
	long  bool            // not in `make test`
	// own has the scenario a deployment of its own, because it does not leave it
	// as it was.
	own   bool
	early bool     // its bugs are there from the first start on
	tools []string // commands that it needs
	do    func(s *run)
}

// shape is what `up` is asked for.
type shape string

// The shapes.
const (
	one   shape = "--regions us-east-1"
	two   shape = "--regions us-east-1,eu-west-1"
	zones shape = "--regions us-east-1 --azs 3"
	none  shape = "" // the scenario begins its own
)

// inOwnNetwork says that the tests run in a network and mounts of their own.
const inOwnNetwork = "HOLDFAST_SCENARIO_NETWORK"

// TestMain has the tests run in namespaces that end with them, so that no rule,
// address, mount or process of theirs is anybody else's, or is left behind.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(inOwnNetwork) == "" {
		if _, err := binary(); err != nil { // out there, where modules can be fetched
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(again())
	}
	if *red {
		patience = 40 * time.Second
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "scenarios need ip (Debian's package iproute2): %v %s\n", err, out)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// again runs this test binary in its own namespaces.
func again() int {
	bin, _ := binary()
	defer os.RemoveAll(filepath.Dir(bin))
	args := []string{"--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"}
	if os.Geteuid() != 0 {
		args = append(args, "--map-root-user")
	}
	cmd := exec.Command("unshare", append(append(args, os.Args[0]), os.Args[1:]...)...)
	cmd.Env = append(os.Environ(), inOwnNetwork+"="+bin)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		if cmd.ProcessState == nil {
			fmt.Fprintln(os.Stderr, "scenarios need unshare (Debian's package util-linux):", err)
		}
		return 1
	}
	return 0
}

// binary builds the command with failpoints, once.
var binary = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv(inOwnNetwork); bin != "" {
		return bin, nil
	}
	dir, err := os.MkdirTemp("", "holdfast-faults-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "holdfast")
	out, err := exec.Command("go", "build", "-tags", "faults", "-o", bin, "../../cmd/holdfast").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return bin, nil
})

// rig is a deployment under test.
type rig struct {
	*drill.Deployment
	shape   shape
	bin     string
	up      *exec.Cmd
	said    *strings.Builder
	admin   drill.Credential
	cast    *drill.Cast
	port    int    // the first that it listens on
	bugs    string // in HOLDFAST_FAULT
	lines   map[string][]string
	offsets map[string]time.Duration // of the clients' clock
	mu      sync.Mutex
}

// now is the clients' clock.
func (r *rig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Add(r.offsets["clock"] + r.offsets["passed"])
}

// patience bounds what has to happen in the end. On a bug it does not happen.
// A deployment has to start on every machine, however busy.
var patience = startPatience

const startPatience = 2 * time.Minute

// newRig starts a deployment in a directory.
func newRig(dir string, s shape, bugs string) (*rig, error) {
	bin, err := binary()
	if err != nil {
		return nil, err
	}
	r := &rig{shape: s, bin: bin, bugs: bugs, lines: map[string][]string{}, offsets: map[string]time.Duration{}, Deployment: &drill.Deployment{Layout: local.Layout{Dir: dir}}}
	r.Now, r.port = r.now, nextPort()
	if err := r.start(); err != nil {
		return r, err
	}
	c, err := r.Layout.Credentials("")
	if err != nil {
		return r, err
	}
	r.admin = drill.Credential{ID: c.AdminKeyID, Secret: c.AdminSecret}
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	if r.cast, err = drill.NewCast(ctx, r.Client(""), r.admin, c.Account); err != nil {
		return r, err
	}
	out, err := r.operator("service", "create", drill.ServiceName, "--caller", "arn:aws:iam::"+c.Account+":user"+drill.Path+r.cast.Name,
		"--action", "drill:", "--resource", "arn:aws:drill:::*", "--account", c.Account)
	if err != nil {
		return r, fmt.Errorf("%w %s", err, out)
	}
	r.cast.Door = true
	_, err = r.Converge(ctx, startPatience)
	return r, err
}

// operator runs an operator's command.
func (r *rig) operator(args ...string) (string, error) {
	out, err := exec.Command(r.bin, append([]string{"--data", r.Layout.Dir}, args...)...).CombinedOutput()
	return string(out), err
}

// ports of the deployments: the network is these tests' own. All are below those
// that the kernel gives to outgoing connections.
var ports atomic.Int64

func nextPort() int { return 10_000 + 1000*int(ports.Add(1)%22) }

func (r *rig) readyFile() string { return r.Layout.Dir + ".ready" }

// launch starts `up` and does not wait for it.
func (r *rig) launch() error {
	_ = os.Remove(r.readyFile()) // one of a killed run would lie
	r.said = new(strings.Builder)
	r.up = exec.Command(r.bin, append([]string{"up", "--data", r.Layout.Dir, "--listen", fmt.Sprint("127.0.0.1:", r.port), "--ready-file", r.readyFile()}, strings.Fields(string(r.shape))...)...)
	r.up.Stderr = r.said
	r.up.Env = append(os.Environ(), failpoint.Variable+"="+r.bugs)
	return r.up.Start()
}

// start starts `up`, for the first time or again.
func (r *rig) start() error {
	if err := r.launch(); err != nil {
		return err
	}
	for begun := time.Now(); ; <-time.After(10 * time.Millisecond) {
		if _, err := os.Stat(r.readyFile()); err == nil {
			break
		}
		if time.Since(begun) > startPatience {
			return fmt.Errorf("not ready after %s: %s\n%s", startPatience, r.said, r.logs())
		}
	}
	return r.attach()
}

// attach finds where it listens.
func (r *rig) attach() error {
	d, err := drill.Attach(r.Layout, r.now)
	if err == nil {
		r.Deployment = d
	}
	return err
}

// logs are the ends of the nodes' logs.
func (r *rig) logs() string {
	if r.Deployment == nil {
		return ""
	}
	out, _ := exec.Command("sh", "-c", `for f in "$0"/logs/*; do echo "$f"; grep -hv '"msg":"request"' "$f" | tail -n 4; done`, r.Layout.Dir).CombinedOutput()
	return string(out)
}

// stop ends `up` and its nodes, also frozen ones.
func (r *rig) stop() {
	if r.up == nil || r.up.ProcessState != nil {
		return
	}
	for _, pid := range r.Processes() {
		_ = exec.Command("kill", "-CONT", fmt.Sprint(pid)).Run()
	}
	_ = r.up.Process.Signal(os.Interrupt)
	_ = r.up.Wait()
}

// tell gives nodes their files of faults, and waits until those that run have
// read them.
func (r *rig) tell(nodes ...string) error {
	for _, node := range nodes {
		path := filepath.Join(r.Layout.Node(node), failpoint.File)
		text := strings.Join(r.lines[node], "\n")
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			return err
		}
		if err := os.Rename(path+".new", path); err != nil {
			return err
		}
	}
	running := r.Processes()
	for _, node := range nodes {
		path, text := filepath.Join(r.Layout.Node(node), failpoint.File+failpoint.Taken), strings.Join(r.lines[node], "\n")
		for begun := time.Now(); running[node] != 0; <-time.After(2 * time.Millisecond) {
			if b, err := os.ReadFile(path); err == nil && string(b) == text {
				break
			}
			if time.Since(begun) > 5*time.Second { // it is frozen, and reads it when it is not
				break
			}
		}
	}
	return nil
}

func (r *rig) nodes() []string { return append(r.ControlNodes(), r.RegionNodes("")...) }

// run is one scenario on one deployment. What does not hold is noted, not
// failed: on a bug that is what is wanted.
type run struct {
	*rig
	ctx   context.Context
	dir   string // for files of its own
	notes []string
	heals []func()
	mu    sync.Mutex
}

// check notes what does not hold.
func (s *run) check(held bool, format string, args ...any) {
	if !held {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.notes = append(s.notes, fmt.Sprintf(format, args...))
	}
}

type enough struct{}

// must notes what does not hold, and ends the scenario.
func (s *run) must(held bool, format string, args ...any) {
	if s.check(held, format, args...); !held {
		panic(enough{})
	}
}

// until waits for a condition; one that does not come ends the scenario.
func (s *run) until(what string, within time.Duration, done func() bool) time.Duration {
	begun := time.Now()
	for !done() {
		s.must(time.Since(begun) < within && s.ctx.Err() == nil, "not %s within %s", what, within)
		<-time.After(10 * time.Millisecond)
	}
	return time.Since(begun)
}

// on adds a line to a node's file of faults.
func (s *run) on(node, line string) {
	s.lines[node] = append(s.lines[node], line)
	err := s.tell(node)
	s.must(err == nil, "%v", err)
}

// onAll adds a line to every node's.
func (s *run) onAll(line string, nodes ...string) {
	if len(nodes) == 0 {
		nodes = s.nodes()
	}
	for _, node := range nodes {
		s.lines[node] = append(s.lines[node], line)
	}
	err := s.tell(nodes...)
	s.must(err == nil, "%v", err)
}

// off takes lines that begin with a word out of every node's.
func (s *run) off(word string) {
	for _, node := range s.nodes() {
		s.lines[node] = slices.DeleteFunc(s.lines[node], func(l string) bool { return strings.HasPrefix(l, word) })
	}
	err := s.tell(s.nodes()...)
	s.must(err == nil, "%v", err)
}

// clock has the clock of nodes, and with "clients" of the clients, set apart from
// the machine's.
func (s *run) clock(offset time.Duration, nodes ...string) { s.shift("clock", offset, nodes) }

// passed has so much time passed on all clocks of nodes, and with "clients" of
// the clients.
func (s *run) passed(offset time.Duration, nodes ...string) { s.shift("passed", offset, nodes) }

func (s *run) shift(how string, offset time.Duration, nodes []string) {
	for _, node := range nodes {
		if node == "clients" {
			s.rig.mu.Lock()
			s.offsets[how] = offset
			s.rig.mu.Unlock()
			continue
		}
		s.lines[node] = slices.DeleteFunc(s.lines[node], func(l string) bool { return strings.HasPrefix(l, how+" ") })
		s.lines[node] = append(s.lines[node], how+" "+offset.String())
	}
	err := s.tell(slices.DeleteFunc(slices.Clone(nodes), func(n string) bool { return n == "clients" })...)
	s.must(err == nil, "%v", err)
}

// everybody are all nodes and the clients.
func (s *run) everybody() []string { return append(s.nodes(), "clients") }

// freeze stops nodes until it is told otherwise.
func (s *run) freeze(nodes ...string) (thaw func()) {
	thaw, err := s.Freeze(nodes...)
	s.must(err == nil, "%v", err)
	s.heals = append(s.heals, thaw)
	return thaw
}

// kill ends nodes and waits for those that take their place.
func (s *run) kill(nodes ...string) {
	before := s.Pids(nodes...)
	err := s.Kill(nodes...)
	s.must(err == nil, "%v", err)
	s.replaced(before)
}

func (s *run) replaced(before map[string]int) {
	err := s.Restarted(before, patience)
	s.must(err == nil, "%v", err)
}

// cut keeps nodes from others until it is told otherwise.
func (s *run) cut(c *drill.Cut) (heal func()) {
	c.Deployment, c.Life = s.Deployment, 5*time.Minute
	err := c.Begin()
	s.must(err == nil, "%v", err)
	healed := false
	heal = func() {
		if !healed {
			healed = true
			c.Heal()
		}
	}
	s.heals = append(s.heals, heal)
	return heal
}

// call asks the first Region as somebody.
func (s *run) call(who drill.Credential, service, action string, params ...string) *drill.Answer {
	return s.callAt(s.Client(""), who, service, action, params...)
}

func (s *run) callAt(c *drill.Client, who drill.Credential, service, action string, params ...string) *drill.Answer {
	ctx, cancel := context.WithTimeout(s.ctx, 20*time.Second)
	defer cancel()
	a, err := c.Call(ctx, who, service, action, params...)
	if err != nil {
		return &drill.Answer{Body: []byte(err.Error())}
	}
	return a
}

// made is a call that must succeed.
func (s *run) made(who drill.Credential, service, action string, params ...string) *drill.Answer {
	a := s.call(who, service, action, params...)
	s.must(a.Status == 200, "%s: %d %s", action, a.Status, a.Body)
	return a
}

// written is a write that is repeated until it is answered, as SDKs do.
func (s *run) written(action string, params ...string) time.Duration {
	begun := time.Now()
	id := fmt.Sprint(action, params, begun.UnixNano())
	s.until(action+" answered", patience, func() bool {
		ctx, cancel := context.WithTimeout(s.ctx, 10*time.Second)
		defer cancel()
		a, err := s.Client("").CallAs(ctx, id, s.admin, "iam", action, params...)
		s.must(err != nil || a.Status == 200 || a.Status >= 500, "%s: %v", action, a)
		return err == nil && a.Status == 200
	})
	return time.Since(begun)
}

// controlClient asks a control-plane node.
func (s *run) controlClient(n int) *drill.Client {
	return drill.NewClient(s.Addresses.ControlNodes()[n].API, "us-east-1", s.now)
}

// questions are the cast's, to every Region.
func (s *run) questions() (all []drill.Question) {
	for _, region := range s.Regions() {
		all = append(all, s.cast.Questions(s.Client(region))...)
	}
	return all
}

// under does something under a load of known answers, none of which may fail.
func (s *run) under(l *drill.Load, do func()) drill.Summary {
	if l.Rate == 0 {
		l.Rate = 60
	}
	if l.Timeout == 0 {
		l.Timeout = 5 * time.Second
	}
	if l.Questions == nil {
		l.Questions = s.questions()
	}
	l.Now = time.Now
	ctx, cancel := context.WithCancel(s.ctx)
	var wait sync.WaitGroup
	wait.Go(func() { l.Run(ctx) })
	func() {
		defer wait.Wait()
		defer cancel()
		do()
		s.until("asked anything beside it", time.Second, func() bool { return len(l.Calls()) > 0 })
	}()
	sum := drill.Sum(l.Calls())
	for _, c := range sum.Failures[:min(3, len(sum.Failures))] {
		s.check(false, "at %s %q in %s came to %q, not %q", c.At, c.Question, c.Region, c.Got, c.Want)
	}
	s.check(sum.Sent > 0 && sum.Admitted == 0, "%d requests, of an inactive key %d admitted", sum.Sent, sum.Admitted)
	return sum
}

// ledger does something while users are made, none of which may be lost.
func (s *run) ledger(do func(l *drill.Ledger)) {
	l := &drill.Ledger{Client: s.Client(""), Admin: s.admin, Prefix: fmt.Sprintf("w-%d", time.Now().UnixNano()), Path: drill.Path, Rate: 40, Patience: patience}
	ctx, cancel := context.WithCancel(s.ctx)
	var wait sync.WaitGroup
	wait.Go(func() { l.Run(ctx) })
	func() {
		defer wait.Wait()
		defer cancel()
		do(l)
	}()
	s.converge(30 * time.Second)
	ctx, cancel = context.WithTimeout(s.ctx, startPatience)
	defer cancel()
	for _, c := range []*drill.Client{s.controlClient(0), s.Client("")} {
		w, err := l.Check(ctx, c)
		s.must(err == nil, "%v", err)
		s.check(w.Held() && w.Acknowledged > 0, "%d acknowledged; lost %v, twice %v, wrong %v", w.Acknowledged, w.Lost, w.Doubled, w.Wrong)
	}
}

// acked waits for some more acknowledged writes.
func (s *run) acked(l *drill.Ledger, n int) {
	was, _ := l.Acked()
	s.until(fmt.Sprintf("%d more writes acknowledged", n), patience, func() bool { now, _ := l.Acked(); return now >= was+n })
}

// converge says that all nodes come to the same state.
func (s *run) converge(within time.Duration) {
	_, err := s.Converge(s.ctx, within)
	s.check(err == nil, "%v", err)
}

// pass lets some time pass under a load.
func (s *run) pass(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.ctx.Done():
	}
}

// discard stops a deployment and takes its files away.
func (r *rig) discard() {
	if r.Deployment == nil {
		return // it never began
	}
	r.stop()
	_ = os.RemoveAll(filepath.Dir(r.Layout.Dir)) // of the system's temporary ones
}
