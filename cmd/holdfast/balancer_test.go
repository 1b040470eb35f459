package main

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestUpWithABalancerLosesNoReadWhenANodeIsKilled has HAProxy before three nodes
// of a Region, as in production.
func TestUpWithABalancerLosesNoReadWhenANodeIsKilled(t *testing.T) {
	if _, err := balancerPath("haproxy"); err != nil {
		notRun(t, "haproxy", err.Error())
	}
	d := start(t, "--azs", "3", "--balancer", "haproxy")
	e, admin := d.endpoint(), d.admin()
	e.made(e.iam(admin, "CreateUser", "UserName", "behind"))
	for _, name := range []string{"us-east-1a", "us-east-1b", "us-east-1c"} {
		d.signal(name, syscall.SIGKILL)
		for range 20 { // the client repeats nothing; the balancer does
			if r := e.iam(admin, "GetUser", "UserName", "behind"); r.status != 200 {
				t.Errorf("after %s was killed: %d %s", name, r.status, r.body)
			}
		}
		d.until("back", d.agree)
	}
	pids, err := exec.Command("pgrep", "-f", d.data+"/haproxy-us-east-1.cfg").Output()
	if err != nil || len(strings.Fields(string(pids))) != 1 {
		t.Fatalf("%v: %q", err, pids)
	}
	d.stop()
	if out, err := exec.Command("pgrep", "-f", d.data+"/haproxy-us-east-1.cfg").Output(); err == nil {
		t.Errorf("the balancer was left behind: %s", out)
	}
}
