//go:build linux

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// pageStep is one block of commands of the page.
type pageStep struct{ name, script string }

var fence = regexp.MustCompile("(?ms)^```sh ([a-z-]+)\n(.*?)^```$")

func steps(t *testing.T, page string) (list []pageStep) {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if n, all := strings.Count(string(b), "```sh"), len(fence.FindAllString(string(b), -1)); n != all {
		t.Fatalf("%d of %d blocks have no name, and would not be run", n-all, n)
	}
	for _, m := range fence.FindAllStringSubmatch(string(b), -1) {
		list = append(list, pageStep{m[1], m[2]})
	}
	return list
}

// assume is an AssumeRole as a client of a Region types it without an SDK.
func assume(region, address, resolve string) string {
	return `curl -sSf --max-time 5 --cacert "$PWD/ca.crt" --aws-sigv4 aws:amz:` + region + `:sts --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" ` + resolve +
		` -d 'Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::111122223333:role/reader&RoleSessionName=demo' https://` + address + `/`
}

// user is an IAM call about a user at a balancer, without an SDK: they are slow
// to start.
func user(address, region, action, name string) string {
	return `curl -sSf --max-time 5 --cacert "$PWD/ca.crt" --aws-sigv4 aws:amz:` + region + `:iam --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" ` +
		`-d 'Action=` + action + `&Version=2010-05-08&UserName=` + name + `' https://` + address + `/`
}

// written is a write that is repeated until it is done.
func written(name string) string {
	return user("10.77.1.9", "us-east-1", "CreateUser", name) + " || " + user("10.77.1.9", "us-east-1", "GetUser", name)
}

func TestTheDeploymentPageBringsUpThreeZonesAndTwoRegions(t *testing.T) {
	if os.Getenv("HOLDFAST_PAGE") == "" {
		t.Skip("`make test` runs it in a step of its own, as `make page` does: its twelve machines want the processors to themselves")
	}
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	use := site{1, []string{"use-a", "use-b", "use-c"}, "use-lb"}
	euw := site{2, []string{"euw-a", "euw-b", "euw-c"}, "euw-lb"}
	m := newMachines(t, []site{{0, []string{"cp-a", "cp-b", "cp-c", "desk"}, ""}, use, euw})
	d := m.sit("desk", repository)
	after := map[string]func(t *testing.T, d *desk){
		"grow":            growed,
		"other-region":    func(t *testing.T, d *desk) { cutOff(t, d, euw) },
		"replace-control": replaced,
		"renew":           renewed,
		"kek-add":         resealed,
		"kek-drop":        renewed,
		"fence":           fenced,
		"restart":         unharmed,
	}
	before := map[string]func(t *testing.T, d *desk){
		"balancers": func(_ *testing.T, d *desk) {
			d.must(`for m in use euw; do for z in a b c; do ssh $m-$z true; done; done`)
		},
		"replace-control": diskLost,
		"fence":           minted,
		"restart":         loaded,
	}
	for _, s := range steps(t, filepath.Join(repository, "docs/operations/deploy.md")) {
		if check := before[s.name]; check != nil {
			check(t, d)
		}
		begun := time.Now()
		out, err := d.run(s.script)
		if err != nil {
			t.Fatalf("%s: %v\n%s", s.name, err, out)
		}
		t.Logf("%s: %s", s.name, time.Since(begun).Round(time.Millisecond))
		delete(before, s.name)
		if check := after[s.name]; check != nil {
			check(t, d)
			t.Logf("%s, checked: %s", s.name, time.Since(begun).Round(time.Millisecond))
		}
		delete(after, s.name)
	}
	for name := range after {
		t.Errorf("the page has no step %s any more", name)
	}
	for name := range before {
		t.Errorf("the page has no step %s any more", name)
	}
}

func growed(t *testing.T, d *desk) {
	d.until("three voters", `for z in b c; do cat `+d.m.dir+`/log/cp-*-holdfast-control.log | grep -q "cp-$z votes" || false; done`)
	if out, err := d.run(`ssh cp-b 'setpriv --reuid holdfast --regid holdfast --clear-groups holdfast node join --config /etc/holdfast/control.json'`); err == nil || !strings.Contains(out, "has joined already") {
		t.Errorf("an invite was used twice: %s", out)
	}
}

// cutOff takes a Region's cable and every route out of it: there is no name
// service either. STS, decisions and cold starts of all nodes go on.
func cutOff(t *testing.T, d *desk, s site) {
	d.m.pull(s)
	inside := func(script string) string {
		return `nsenter -t $(cat ` + d.m.dir + `/pids/euw-lb) -n -- ` + script
	}
	decide := `curl -sSf --max-time 5 --cacert "$PWD/ca.crt" --aws-sigv4 aws:amz:eu-west-1:holdfast --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" ` +
		`-H 'Content-Type: application/json' -d '{"principal":"arn:aws:iam::111122223333:role/reader","action":"storage:GetObject","resource":"arn:aws:storage:::photos/cat.jpg"}' ` +
		`https://10.77.2.9/holdfast/v1/authorize`
	answers := func(when string) {
		for _, script := range []string{assume("eu-west-1", "10.77.2.9", ""), decide} {
			if out, err := d.run(inside(script)); err != nil {
				t.Errorf("%s: %s", when, out)
			}
		}
	}
	if out, err := d.run(inside(`ping -c1 -W1 10.77.0.1`)); err == nil {
		t.Errorf("the Region is not cut off: %s", out)
	}
	answers("cut off")
	d.must(`for z in a b c; do ssh euw-$z systemctl kill holdfast-region; done; for z in a b c; do ssh euw-$z systemctl start holdfast-region & done; wait`)
	d.until("answering after a cold start of all nodes", inside(assume("eu-west-1", "10.77.2.9", "")))
	answers("after a cold start of all nodes")
	if out, err := d.run(user("10.77.1.9", "us-east-1", "CreateUser", "while-cut")); err != nil {
		t.Errorf("a write through the other Region: %s", out)
	}
	d.m.plug(s)
	d.until("caught up", user("10.77.2.9", "eu-west-1", "GetUser", "while-cut"))
}

// diskLost takes a control-plane machine's disk, with all that was on it.
func diskLost(_ *testing.T, d *desk) {
	d.must(`ssh cp-c 'systemctl kill holdfast-control; rm -rf /var/lib/holdfast/* /etc/holdfast/control.json /etc/holdfast/invite.json'`)
}

// replaced: the new member votes, and counts when another one is lost.
func replaced(t *testing.T, d *desk) {
	d.until("the new member votes", `cat `+d.m.dir+`/log/cp-*-holdfast-control.log | grep -q "cp-d votes"`)
	log := d.must(`cat ` + d.m.dir + `/log/cp-*-holdfast-control.log`)
	if !strings.Contains(log, "cp-c removed") {
		t.Error("the lost member has not left the store")
	}
	d.must(`ssh cp-b systemctl kill holdfast-control`)
	d.until("a write without cp-b", written("without-b"))
	d.must(`ssh cp-b systemctl start holdfast-control`)
}

// renewed: a member that restarts speaks to the others with its new certificate.
func renewed(_ *testing.T, d *desk) {
	d.must(`ssh cp-b systemctl kill holdfast-control; ssh cp-b systemctl start holdfast-control`)
	d.until("a write after it", written("renewed"))
}

// resealed: what was sealed under the old KEK is sealed under the new one by itself.
func resealed(_ *testing.T, d *desk) {
	d.until("nothing sealed under the old KEK", `cat `+d.m.dir+`/log/cp-*-holdfast-control.log | grep -q "nothing is sealed under an earlier KEK"`)
}

// minted has the node that is to be stolen mint a session.
func minted(_ *testing.T, d *desk) {
	d.must(`nsenter -t $(cat ` + d.m.dir + `/pids/euw-c) -n -- ` + assume("eu-west-1", "10.77.2.3:4260", "") + ` > minted.xml
field() { sed -n "s/.*<$1>\(.*\)<\/$1>.*/\1/p" minted.xml; }
identity() { AWS_ACCESS_KEY_ID=$(field AccessKeyId) AWS_SECRET_ACCESS_KEY=$(field SecretAccessKey) AWS_SESSION_TOKEN=$(field SessionToken) aws sts get-caller-identity; }
identity`)
}

func fenced(t *testing.T, d *desk) {
	if out, err := d.run(`identity`); err == nil || !strings.Contains(out, "InvalidClientTokenId") && !strings.Contains(out, "AccessDenied") {
		t.Errorf("a session that the fenced node minted: %s", out)
	}
}

// loaded sends reads and writes through a balancer until the file is gone, and
// notes what fails; a client that repeats nothing.
func loaded(_ *testing.T, d *desk) {
	d.must(`touch loaded failures; for kind in r w; do ( n=0; while [ -e loaded ]; do n=$((n+1))
if [ $kind = r ]; then ` + user("10.77.1.9", "us-east-1", "GetUser", "admin") + `; else ` + strings.ReplaceAll(user("10.77.1.9", "us-east-1", "CreateUser", "load-N"), "load-N'", "load-'$n") + `; fi >/dev/null 2>>failures && echo $n > done-$kind || echo failed $kind $n >> failures
done ) & done`)
}

func unharmed(t *testing.T, d *desk) {
	if out := d.must(`rm loaded; wait; cat done-r done-w; cat failures`); strings.Contains(out, "failed") || len(strings.Fields(out)) != 2 {
		t.Errorf("while a node was restarted: %s", out)
	} else {
		t.Logf("while a node was restarted: %s reads and writes, none failed", strings.Join(strings.Fields(out), " and "))
	}
}
