package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/node"
)

// status is what a node says of itself, nil when it says nothing.
func (d *deploymentUnderTest) status(name string) *node.Status {
	a := d.addresses()
	for _, n := range a.All() {
		if n.Name == name {
			s, err := askNode(context.Background(), n.Admin)
			if err != nil {
				return nil
			}
			return s
		}
	}
	return nil
}

// log is what a node's process has logged.
func (d *deploymentUnderTest) log(name string) string {
	b, err := os.ReadFile(local.Layout{Dir: d.data}.Log(name))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(b)
}

// restart kills a node's process, does something, and the supervisor starts it
// anew.
func (d *deploymentUnderTest) restart(name string, meanwhile func(dir string)) {
	d.t.Helper()
	thaw := d.freeze(name) // so that it is not started before all is done
	pid := d.pid(name)
	meanwhile(filepath.Join(d.data, "nodes", name))
	_ = syscall.Kill(pid, syscall.SIGKILL)
	thaw()
	d.until("started anew", func() bool { now := d.pid(name); return now != 0 && now != pid })
}

// fresh connects anew for each request: a connection that a frozen node has
// accepted is nobody else's.
func (d *deploymentUnderTest) fresh(t *testing.T) *endpoint {
	e := d.endpoint().in(t)
	e.http.Transport, e.http.Timeout = &http.Transport{DisableKeepAlives: true}, 3*time.Second
	return e
}

// answers calls until a node answers: one that is being frozen may still accept.
func (e *endpoint) answers(call func() (*reply, error)) (r *reply) {
	e.t.Helper()
	e.d.until("answered", func() (ok bool) {
		var err error
		r, err = call()
		return err == nil
	})
	return r
}

func (e *endpoint) asksSTS(c credential, action string, params ...string) *reply {
	return e.answers(func() (*reply, error) { return e.try(c, "sts", "2011-06-15", action, values(params)) })
}

func (e *endpoint) asksIAM(c credential, action string, params ...string) *reply {
	return e.answers(func() (*reply, error) { return e.try(c, "iam", "2010-05-08", action, values(params)) })
}

// freezeControl stops the control plane: nothing of it answers, and no
// connection closes.
func (d *deploymentUnderTest) freezeControl() (thaw func()) {
	var names []string
	for _, n := range d.addresses().ControlNodes() {
		names = append(names, n.Name)
	}
	return d.freeze(names...)
}

func TestNodesOfARegionAreEachOthersPeers(t *testing.T) {
	d := start(t, "--azs", "3")
	e, admin := d.endpoint(), d.admin()
	e.newRole(admin, "r", "")
	user := e.newUser(admin, "caller", allowAll)
	// In one deployment, since it takes a while to start; in this order.
	t.Run("EveryNodeHearsTheOthersAndSaysWhatIsLeftWithoutAZone", func(t *testing.T) { heard(t, d) })
	t.Run("ANodeThatIsCutFromTheControlPlaneIsFedByItsPeers", func(t *testing.T) { fed(t, d) })
	t.Run("ATokenThatANodeAheadHasMadeIsAcceptedAtANodeBehind", func(t *testing.T) { ahead(t, d, user) })
	t.Run("WithoutAControlPlaneALostCopyIsNotServedAndTheOthersServe", func(t *testing.T) { lostCopy(t, d, user) })
	t.Run("WithoutAControlPlaneANewNodeIsGivenItsStateByAPeer", func(t *testing.T) { newNode(t, d, user) })
	t.Run("WithoutAControlPlaneAllNodesStartAgain", func(t *testing.T) { allAgain(t, d, user) })
	t.Run("ARegionThatIsCutOffDeniesByItself", func(t *testing.T) { deniesAlone(t, d) })
	t.Run("ARegionThatIsCutOffAdmitsANewNodeInPlaceOfALostOne", func(t *testing.T) { byTicket(t, d, user) })
}

func heard(t *testing.T, d *deploymentUnderTest) {
	d.until("heard", func() bool {
		for _, n := range d.addresses().Regions {
			if s := d.status(n.Name); s == nil || !s.Ready || len(s.Peers) != 2 || s.ZoneLoss == nil {
				return false
			}
		}
		return true
	})
	out, err := d.operator("status")
	if err != nil || !regexp.MustCompile(`us-east-1 can(not)? lose a zone: the others would be \d+ % busy`).MatchString(out) {
		t.Errorf("%v %s", err, out)
	}
}

// cutOff has a node look for the control plane where nobody is, and for its
// peers too unless they are named.
func (d *deploymentUnderTest) cutOff(name string, peers map[string]string) {
	d.t.Helper()
	path := local.Layout{Dir: d.data}.Config(name)
	c, err := config.Load(path)
	if err != nil {
		d.t.Fatal(err)
	}
	for n := range c.Controls {
		c.Controls[n] = "127.0.0.1:1"
	}
	c.Peers = peers
	d.restart(name, func(string) {
		if err := local.Write(path, c, 0o600); err != nil {
			d.t.Fatal(err)
		}
	})
}

// advertises has a node tell its address.
func (d *deploymentUnderTest) advertises(name, address string) {
	d.t.Helper()
	path := local.Layout{Dir: d.data}.Config(name)
	c, err := config.Load(path)
	if err != nil {
		d.t.Fatal(err)
	}
	c.Advertise = address
	d.restart(name, func(string) {
		if err := local.Write(path, c, 0o600); err != nil {
			d.t.Fatal(err)
		}
	})
}

// joinUp undoes cutOff.
func (d *deploymentUnderTest) joinUp(name, like string) {
	d.t.Helper()
	layout := local.Layout{Dir: d.data}
	c, err := config.Load(layout.Config(name))
	if err != nil {
		d.t.Fatal(err)
	}
	whole, err := config.Load(layout.Config(like))
	if err != nil {
		d.t.Fatal(err)
	}
	c.Controls, c.Peers = whole.Controls, whole.Peers
	d.restart(name, func(string) {
		if err := local.Write(layout.Config(name), c, 0o600); err != nil {
			d.t.Fatal(err)
		}
	})
	d.until("connected", func() bool { s := d.status(name); return s != nil && s.Ready && s.Connected })
}

// regionPeers is where the Region's nodes listen to each other.
func (d *deploymentUnderTest) regionPeers() map[string]string {
	peers := map[string]string{}
	for _, n := range d.addresses().Regions {
		peers[n.Name] = n.Peer
	}
	return peers
}

// cut is the node that these tests cut off.
const cut = "us-east-1c"

func fed(t *testing.T, d *deploymentUnderTest) {
	d.cutOff(cut, d.regionPeers())
	e, admin := d.fresh(t), d.admin()
	e.created(admin, "written-while-one-is-cut-off")
	index := d.status("us-east-1a").Index
	d.until("fed", func() bool {
		s := d.status(cut)
		return s != nil && s.Index >= index && s.Ready && !s.Connected && s.Age < 2
	})
	if s := d.status(cut); s.Connected {
		t.Error("it says that it is connected")
	}
	// It answers like the others, writes apart.
	defer d.freeze("us-east-1a", "us-east-1b")()
	e.made(e.asksIAM(admin, "GetUser", "UserName", "written-while-one-is-cut-off"))
	if r := e.asksIAM(admin, "CreateUser", "UserName", "x"); r.status != 503 || r.code() != "ServiceUnavailable" {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func ahead(t *testing.T, d *deploymentUnderTest, user credential) {
	e, admin := d.fresh(t), d.admin()
	d.cutOff(cut, nil)
	d.until("alone", func() bool { s := d.status(cut); return s != nil && s.Ready && len(s.Peers) == 0 })
	behind := d.status(cut).Index
	thaw := d.freeze(cut)
	e.newRole(admin, "new", "") // which the node does not know
	known, unknown := e.made(e.assume(user, "r", "demo")).credential(), e.made(e.assume(user, "new", "demo")).credential()
	rest := d.freeze("us-east-1a", "us-east-1b")
	thaw()
	d.seen.Store(nil) // nobody demands a revision: the tokens do
	e.made(e.asksSTS(known, "GetCallerIdentity"))
	if r := e.asksSTS(unknown, "GetCallerIdentity"); r.status != 503 || r.code() != "ServiceUnavailable" {
		t.Errorf("a session of a role that the node has not heard of: %d %s", r.status, r.body)
	}
	if s := d.status(cut); s == nil || s.Index != behind {
		t.Errorf("the node is not behind: %+v", s)
	}
	rest()
	// From here on whichever node answers has it, or gets it in time.
	d.cutOff(cut, d.regionPeers())
	for range 20 {
		e.made(e.sts(unknown, "GetCallerIdentity"))
	}
	for round := range 3 {
		thaw := d.freeze(cut)
		name := fmt.Sprint("newer-", round)
		e.newRole(admin, name, "")
		token := e.made(e.assume(user, name, "demo")).credential()
		d.seen.Store(nil)
		thaw()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if r := e.sts(token, "GetCallerIdentity"); r.status == 403 || r.status == 400 {
					t.Errorf("a session that a node ahead has made is refused: %d %s", r.status, r.body)
				}
			})
		}
		all.Wait()
	}
}

func lostCopy(t *testing.T, d *deploymentUnderTest, user credential) {
	thaw := d.freezeControl()
	defer thaw()
	since := len(d.log(cut))
	d.restart(cut, func(dir string) {
		if err := os.RemoveAll(filepath.Join(dir, "replica")); err != nil {
			t.Fatal(err)
		}
	})
	e := d.fresh(t)
	d.until("told, and has tried to follow the control plane again and again", func() bool {
		e.made(e.assume(user, "r", "demo"))
		log := d.log(cut)[since:]
		return strings.Contains(log, "had a disk copy and has it no more") && strings.Count(log, "not following the control plane") > 3
	})
	if s := d.status(cut); s != nil {
		t.Errorf("it serves index %d in its old name", s.Index)
	}
}

func newNode(t *testing.T, d *deploymentUnderTest, user credential) {
	thaw := d.freezeControl()
	defer thaw()
	d.restart(cut, func(dir string) { // as after it has joined
		for _, name := range []string{"replica", "served"} {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	})
	d.until("given a state", func() bool { s := d.status(cut); return s != nil && s.Ready })
	s, peer := d.status(cut), d.status("us-east-1a")
	if s.Digest != peer.Digest || s.Index != peer.Index || s.Connected {
		t.Errorf("at %d with %s, its peer at %d with %s", s.Index, s.Digest, peer.Index, peer.Digest)
	}
	defer d.freeze("us-east-1a", "us-east-1b")()
	e := d.fresh(t)
	e.made(e.asksSTS(user, "GetCallerIdentity"))
}

func allAgain(t *testing.T, d *deploymentUnderTest, user credential) {
	thaw := d.freezeControl()
	defer thaw()
	for _, n := range d.addresses().Regions {
		d.restart(n.Name, func(string) {})
	}
	e := d.fresh(t)
	e.made(e.assume(user, "r", "demo"))
	d.until("ready", func() bool {
		for _, n := range d.addresses().Regions {
			if s := d.status(n.Name); s == nil || !s.Ready || len(s.Peers) != 2 {
				return false
			}
		}
		return true
	})
}
