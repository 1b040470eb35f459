package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/local"
)

// inZones is a control plane over three zones and one Region of three nodes.
func inZones(t *testing.T) *deploymentUnderTest {
	t.Helper()
	return start(t, "--azs", "3")
}

// sequencer is the control-plane node that sequences, as the nodes in reach say.
func (d *deploymentUnderTest) sequencer() (name string, term uint64) {
	a := d.addresses()
	for _, s := range askAll(context.Background(), &a) {
		if s.Status != nil && s.Status.Role == "control" && s.Status.Term >= term {
			name, term = s.Status.Sequencer, s.Status.Term
		}
	}
	return name, term
}

func (d *deploymentUnderTest) signal(name string, s syscall.Signal) {
	d.t.Helper()
	if err := syscall.Kill(d.pid(name), s); err != nil {
		d.t.Fatalf("%s: %v", name, err)
	}
}

// freeze stops processes; thaw lets them go on, also at the test's end.
func (d *deploymentUnderTest) freeze(names ...string) (thaw func()) {
	d.t.Helper()
	var pids []int
	for _, name := range names {
		pids = append(pids, d.pid(name))
		d.signal(name, syscall.SIGSTOP)
	}
	for _, pid := range pids { // until then it may accept a connection, and keep it
		d.until("stopped", func() bool { return isStopped(pid) })
	}
	thaw = func() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}
	d.t.Cleanup(thaw)
	return thaw
}

// isStopped says whether no thread of a process runs any more, or it has ended.
func isStopped(pid int) bool {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(task) // of a thread that has ended: nothing
		if _, state, ok := strings.Cut(string(text), ") "); ok && !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}

// created sends one call until it is answered, as an SDK does: with the same
// invocation id. It returns how long that took.
func (e *endpoint) created(c credential, name string) time.Duration {
	form := url.Values{"Action": {"CreateUser"}, "Version": {"2010-05-08"}, "UserName": {name}}
	begun := time.Now()
	for try := 0; ; try++ {
		r, err := e.send(c, "iam", "POST", "/", map[string]string{"Content-Type": "application/x-www-form-urlencoded", "amz-sdk-invocation-id": "create-" + name}, []byte(form.Encode()))
		switch {
		case err == nil && r.status == 200:
			return time.Since(begun)
		case err == nil && r.status < 500, time.Since(begun) > time.Minute:
			e.t.Errorf("%s after %d tries: %v %v", name, try, err, r)
			return time.Since(begun)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// ledger is clients that create users, one after the other, and note what was
// acknowledged.
type ledger struct {
	e     *endpoint
	admin credential
	stop  chan struct{}
	all   sync.WaitGroup
	mu    sync.Mutex
	names []string
	last  time.Time
}

func (e *endpoint) ledger(admin credential, clients int) *ledger {
	l := &ledger{e: e, admin: admin, stop: make(chan struct{})}
	for c := range clients {
		l.all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				default:
				}
				name := fmt.Sprintf("ledger-%d-%d", c, n)
				e.created(admin, name)
				l.mu.Lock()
				l.names, l.last = append(l.names, name), time.Now()
				l.mu.Unlock()
			}
		})
	}
	return l
}

// next waits for a write that is acknowledged from now on.
func (l *ledger) next() time.Duration {
	l.e.t.Helper()
	from := time.Now()
	var last time.Time
	l.e.d.until("writing", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		last = l.last
		return last.After(from)
	})
	return last.Sub(from)
}

func TestAControlPlaneOverThreeZones(t *testing.T) {
	d := inZones(t)
	e, admin := d.endpoint(), d.admin()
	e.http.Transport = manyConnections(16)
	e.newRole(admin, "r", "")
	user := e.newUser(admin, "caller", allowAll)
	// In one deployment, since it takes a while to start; in this order.
	t.Run("AnyNodeTakesAWriteAndEveryNodeReadsItAtOnce", func(t *testing.T) { anyNode(t, d) })
	t.Run("TheSequencersLossLosesNothingAndDoesNothingTwice", func(t *testing.T) { takeOvers(t, d) })
	t.Run("WithoutAMajorityReadsAndSTSGoOnAndWritesAreRefused", func(t *testing.T) { minority(t, d, user) })
	t.Run("ADenialIsTakenWhileTheSequencerIsFrozen", func(t *testing.T) { denied(t, d, user) })
	t.Run("ARegionNodeFollowsAControlPlaneNodeThatItsConfigurationDoesNotName", func(t *testing.T) { announced(t, d) })
	t.Run("TheNextUpContinues", func(t *testing.T) { continued(t, d) })
	t.Run("TheNodeThatSequencesIsFencedByAnother", func(t *testing.T) { fencedSequencer(t, d) })
}

func fencedSequencer(t *testing.T, d *deploymentUnderTest) {
	e, admin := d.endpoint().in(t), d.admin()
	e.created(admin, "before-the-fence")
	name, term := d.sequencer()
	if out, err := d.operator("node", "fence", name, "--reason", "test"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	e.created(admin, "after-the-fence")
	if now, next := d.sequencer(); now == name || next <= term {
		t.Errorf("%s sequences in term %d after %s was fenced in term %d", now, next, name, term)
	}
	a := d.addresses()
	d.until("out", func() bool {
		for _, s := range askAll(context.Background(), &a) {
			if s.Name == name && s.Status == nil {
				return true
			}
		}
		return false
	})
}

func anyNode(t *testing.T, d *deploymentUnderTest) {
	admin := d.admin()
	nodes := d.addresses().ControlNodes()
	for round := range 5 { // a commit that takes too long is taken over, as it should be
		_, term := d.sequencer()
		for i, a := range nodes {
			e := d.endpoint().in(t)
			e.base = "http://" + a.API
			name := fmt.Sprintf("through-%s-%d", a.Name, round)
			e.created(admin, name)
			e.base = "http://" + nodes[(i+1)%len(nodes)].API
			e.made(e.iam(admin, "GetUser", "UserName", name))
		}
		if _, now := d.sequencer(); now == term {
			return
		}
	}
	t.Error("every round had a take-over: a forward that is answered is none")
}

func takeOvers(t *testing.T, d *deploymentUnderTest) {
	e, admin := d.endpoint().in(t), d.admin()
	e.http.Transport = manyConnections(16)
	l := e.ledger(admin, 4)
	l.next()
	var thaw []func()
	for i, fault := range []string{"killed", "frozen", "killed", "frozen"} {
		name, term := d.sequencer()
		switch fault {
		case "killed":
			d.signal(name, syscall.SIGKILL)
		case "frozen":
			thaw = append(thaw, d.freeze(name))
		}
		took := e.created(admin, fmt.Sprint("after-fault-", i))
		t.Logf("fault %d: %s %s in term %d, next write acknowledged after %s", i+1, name, fault, term, took.Round(time.Millisecond))
		if fault == "frozen" {
			d.until("taken over", func() bool { _, now := d.sequencer(); return now > term })
			thaw[len(thaw)-1]() // it finds that its head is stale
			l.next()
		}
		d.until("all back", func() bool { return d.agree() })
	}
	close(l.stop)
	l.all.Wait()
	d.until("equal", func() bool { return d.agree() })
	listed := e.allUsers(admin)
	for _, name := range l.names {
		if listed[name] != 1 {
			t.Errorf("%s was acknowledged and is there %d times", name, listed[name])
		}
	}
	t.Logf("%d acknowledged writes over four take-overs", len(l.names))
}

// agree says whether every node answers and has the same state.
func (d *deploymentUnderTest) agree() bool {
	a := d.addresses()
	all := askAll(context.Background(), &a)
	for _, s := range all {
		if s.Status == nil || !s.Status.Ready || s.Status.Digest != all[0].Status.Digest {
			return false
		}
	}
	return true
}

// allUsers counts the users of the account by name.
func (e *endpoint) allUsers(c credential) map[string]int {
	e.t.Helper()
	count := map[string]int{}
	for marker := ""; ; {
		params := []string{"MaxItems", "1000"}
		if marker != "" {
			params = append(params, "Marker", marker)
		}
		r := e.made(e.iam(c, "ListUsers", params...))
		for _, part := range strings.Split(string(r.body), "<UserName>")[1:] {
			name, _, _ := strings.Cut(part, "</UserName>")
			count[name]++
		}
		if marker = r.element("Marker"); marker == "" {
			return count
		}
	}
}

func minority(t *testing.T, d *deploymentUnderTest, user credential) {
	e, admin := d.endpoint().in(t), d.admin()
	nodes := d.addresses().ControlNodes()
	thaw := d.freeze(nodes[0].Name, nodes[1].Name)
	began := time.Now()
	for n := range 3 {
		refused := time.Now()
		r := e.iam(admin, "CreateUser", "UserName", fmt.Sprint("minority-", n))
		if r.status != 503 || r.code() != "ServiceUnavailable" {
			t.Errorf("a write without a majority: %d %s", r.status, r.body)
		}
		t.Logf("refused after %s", time.Since(refused).Round(time.Millisecond))
	}
	e.made(e.iam(admin, "GetUser", "UserName", "caller"))
	e.made(e.assume(user, "r", "demo"))
	alone := *e
	alone.base = "http://" + nodes[2].API
	if r := alone.made(alone.iam(admin, "GetUser", "UserName", "caller")); r.header.Get("X-Holdfast-View-Age") == "" {
		t.Errorf("a read without a majority is not marked: %v", r.header)
	}
	thaw()
	thawed := time.Now()
	e.created(admin, "majority")
	t.Logf("without a majority for %s; writes %s after it was back", thawed.Sub(began).Round(time.Millisecond), time.Since(thawed).Round(time.Millisecond))
	d.until("equal", func() bool { return d.agree() })
}

func denied(t *testing.T, d *deploymentUnderTest, user credential) {
	e := d.endpoint().in(t)
	e.made(e.sts(user, "GetCallerIdentity"))
	name, _ := d.sequencer()
	defer d.freeze(name)()
	everywhere := false
	d.until("denied", func() bool { // an election may be under way
		out, err := d.operator("deny", "key", user.id, "--reason", "test")
		if err != nil {
			logs, _ := exec.Command("sh", "-c", "grep -hv '\"msg\":\"request\"' "+d.data+"/logs/control*.log | tail -n 12").CombinedOutput()
			t.Logf("%s is frozen: %v %s\n%s", name, err, out, logs)
		}
		everywhere = !strings.Contains(string(out), "not yet on")
		return err == nil
	})
	refused := func() bool { return e.sts(user, "GetCallerIdentity").status != 200 }
	if everywhere && !refused() {
		t.Error("a key that is denied everywhere is accepted")
	}
	d.until("refused", refused) // by a node that followed the frozen one, when it has left it
}

func continued(t *testing.T, d *deploymentUnderTest) {
	d.until("equal", func() bool { return d.agree() })
	d.stop()
	d.up()
	e := d.endpoint().in(t)
	e.made(e.iam(d.admin(), "GetUser", "UserName", "majority"))
	e.created(d.admin(), "after") // the Region serves before it has heard from the control plane
	var m local.Marker
	if err := local.Read(local.Layout{Dir: d.data}.Marker(), &m); err != nil || len(m.Etcd) != 3 {
		t.Errorf("%v %+v", err, m)
	}
	d.carriesNoSecret()
}

// operator runs an operator's command.
func (d *deploymentUnderTest) operator(args ...string) (string, error) {
	out, err := exec.Command(d.bin, append([]string{"--data", d.data}, args...)...).CombinedOutput()
	return string(out), err
}
