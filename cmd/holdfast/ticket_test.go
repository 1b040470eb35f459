package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/node"
	"github.com/holdfast-iam/holdfast/internal/operator"
	tokens "github.com/holdfast-iam/holdfast/internal/session"
)

// byTicket loses a machine of a Region that is cut off, for good, and brings up
// another one in its place. It is told where one node is, and learns where the other
// is from the state; they learn where it is from its ticket.
func byTicket(t *testing.T, d *deploymentUnderTest, user credential) {
	e, admin := d.fresh(t), d.admin()
	victim := e.newUser(admin, "denied-while-cut-off", allowAll)
	_, port, _ := strings.Cut(d.regionPeers()["us-east-1b"], ":")
	d.advertises("us-east-1b", "localhost:"+port) // which no configuration says
	d.until("equal, and it is in the state where one is", func() bool {
		return d.regionAgrees() && strings.Contains(d.log("us-east-1a"), `"the Region's other nodes"`)
	})
	thaw := d.freezeControl()
	t.Cleanup(d.freeze(cut)) // until the test ends

	n := d.inRegionsPlace(t)
	request := filepath.Join(filepath.Dir(n.file), "request.json")
	n.run("node", "ticket", "request", "--config", n.file, "--id", "us-east-1d", "--out", request)
	n.start() // it waits for its ticket
	if out, err := d.operator("node", "ticket", "issue", request, "--region", "us-east-1"); err != nil || !strings.Contains(out, "not yet on "+cut) || !strings.Contains(out, "by ticket") {
		t.Fatalf("%v %s", err, out)
	}
	if out, err := d.operator("node", "ticket", "issue", request, "--region", "us-east-1"); err == nil || !strings.Contains(out, "us-east-1d is enrolled, or was") {
		t.Errorf("a second ticket for one name: %v %s", err, out)
	}
	n.serves(t, user, true)
	d.until("heard by the others, and hears them", func() bool {
		a, b, own := d.status("us-east-1a"), d.status("us-east-1b"), n.status()
		return slices.Contains(a.Peers, "us-east-1d") && slices.Contains(b.Peers, "us-east-1d") && slices.Contains(own.Peers, "us-east-1b")
	})
	if out, err := d.operator("deny", "key", victim.id, "--region", "us-east-1"); err != nil {
		t.Errorf("%v %s", err, out)
	}
	own := n.endpoint()
	d.until("denied on the new node too", func() bool { return own.asksSTS(victim, "GetCallerIdentity").status == 403 })
	_ = n.cmd.Process.Signal(syscall.SIGKILL)
	_ = n.cmd.Wait()
	n.start()
	regional := n.serves(t, user, true)

	thaw()
	d.until("enrolled", func() bool {
		out, err := d.operator("node", "list")
		return err == nil && strings.Contains(out, "us-east-1d")
	})
	d.until("the audit says who admitted it", func() bool {
		files, _ := filepath.Glob(filepath.Join(local.Layout{Dir: d.data}.Node("*"), "audit", "*"))
		return exec.Command("grep", append([]string{"-qs", `"op":"ticket of us-east-1d, signed by `}, files...)...).Run() == nil
	})
	// Nobody waits any more for the machine that is lost to know the new one's keys.
	if out, err := d.operator("node", "fence", cut, "--reason", "disk lost"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	d.until("the Region has no ticket any more, and the node none of what came with it", func() bool {
		out, err := d.operator("node", "ticket", "list", "--region", "us-east-1", "--format", "json")
		var list []operator.NodeLine
		_, failed := os.Stat(filepath.Join(filepath.Dir(n.file), "data", "region-key.json"))
		return err == nil && json.Unmarshal([]byte(out), &list) == nil && len(list) == 0 && os.IsNotExist(failed)
	})
	d.until("connected", func() bool { s := n.status(); return s != nil && s.Connected })
	if !e.everywhere(regional, false) {
		t.Error("a session of before the return is refused after it")
	}
	d.until("minting for every Region", func() bool { return !n.minted(user).Regional })
	n.serves(t, user, false)
}

// inRegionsPlace is the configuration of a new machine that knows one node of its
// Region, and a control plane that does not answer.
func (d *deploymentUnderTest) inRegionsPlace(t *testing.T) *handNode {
	n := d.byHand("us-east-1", "d")
	like, err := config.Load(local.Layout{Dir: d.data}.Config("us-east-1a"))
	if err != nil {
		t.Fatal(err)
	}
	n.config.Control, n.config.Controls, n.config.Invite = like.Control, like.Controls, ""
	n.config.Peer, n.config.Peers = freeAddress(t), map[string]string{"us-east-1a": d.regionPeers()["us-east-1a"]}
	n.write()
	return n
}

func (n *handNode) status() *node.Status {
	s, err := askNode(n.t.Context(), n.config.Admin)
	if err != nil {
		return nil
	}
	return s
}

// minted is what a session says in clear that the node mints for a user.
func (n *handNode) minted(user credential) *tokens.Token {
	n.t.Helper()
	e := n.endpoint()
	token, _, err := tokens.Split(e.made(e.assume(user, "r", "demo")).credential().token)
	if err != nil {
		n.t.Fatal(err)
	}
	return token
}

// serves: the node opens a user's secret, decides, and mints a session that the
// others accept, marked as its Region's own or not. It accepts theirs.
func (n *handNode) serves(t *testing.T, user credential, regional bool) credential {
	t.Helper()
	n.until("ready", func() bool { status, _ := n.ready(); return status == 200 })
	own, others := n.endpoint(), n.fresh(t)
	own.made(own.iam(user, "GetUser"))
	minted := own.made(own.assume(user, "r", "demo")).credential()
	if token, _, err := tokens.Split(minted.token); err != nil || token.Regional != regional {
		t.Errorf("%v %+v", err, token)
	}
	own.made(own.sts(minted, "GetCallerIdentity"))
	if !others.everywhere(minted, false) {
		t.Error("a node of the Region refuses a session of the new one")
	}
	theirs := others.made(others.asksSTS(user, "AssumeRole", "RoleArn", "arn:aws:iam::111122223333:role/r", "RoleSessionName", "demo")).credential()
	own.made(own.sts(theirs, "GetCallerIdentity"))
	return minted
}
