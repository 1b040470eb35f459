package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/lineage"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// keyPair makes an age key elsewhere: its file and its recipient.
func keyPair(t *testing.T) (file, recipient string) {
	t.Helper()
	i, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(file, []byte(i.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, i.Recipient().String()
}

// tool runs a command of the deployment's operator and returns all that it said.
func (d *deploymentUnderTest) tool(args ...string) (said string, status int) {
	cmd := exec.Command(d.bin, append([]string{"--data", d.data}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		d.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestALostControlPlaneGoesOnFromItsReplicasOrItsBackup(t *testing.T) {
	d := start(t, "--regions", "us-east-1,eu-west-1")
	e, admin := d.endpoint(), d.admin()
	e.newUser(admin, "before", allowAll)
	identity, recipient := keyPair(t)
	file := filepath.Join(t.TempDir(), "backup")
	// In one deployment, since it takes a while to start; in this order.
	t.Run("ABackupIsMadeWhileServingAndVerifies", func(t *testing.T) { backedUp(t, d, file, identity, recipient) })
	t.Run("NothingHappensWithoutTheWordNorInAnotherCluster", func(t *testing.T) { asked(t, d, file, identity) })
	t.Run("ARestoreTakesTheRegionThatHasMoreAndLosesNothingAcknowledged", func(t *testing.T) { restored(t, d, file, identity) })
	t.Run("ANodeWithSurplusHandsItUpAndItsDeletionsHold", func(t *testing.T) { withSurplus(t, d) })
	t.Run("AnOldControlPlaneThatComesBackEndsForGoodAndItsDenialsAreHandedUp", func(t *testing.T) { comesBack(t, d) })
	t.Run("TheNextUpContinuesInTheNewLineage", func(t *testing.T) { goesOn(t, d) })
	t.Run("AnOldStoreAloneIsFollowedByNobodyUntilTheRootSays", func(t *testing.T) { oldStore(t, d) })
	t.Run("WithEveryNodeLostTheBackupIsTaken", func(t *testing.T) { allLost(t, d, file, identity) })
}

// oldStore puts an older copy of the store in the place of the control plane's,
// as one may be tempted to. It takes writes; nobody follows it.
func oldStore(t *testing.T, d *deploymentUnderTest) {
	control := local.Layout{Dir: d.data}.Node("control")
	d.stop()
	if err := os.CopyFS(filepath.Join(control, "etcd.old"), os.DirFS(filepath.Join(control, "etcd"))); err != nil {
		t.Fatal(err)
	}
	d.up()
	e, admin := d.endpoint().in(t), d.admin()
	e.created(admin, "after-the-copy") // the Region serves before it has heard from the control plane
	gone := e.newUser(admin, "gone", allowAll)
	e.made(e.iam(admin, "DeleteAccessKey", "UserName", "gone", "AccessKeyId", gone.id))
	e.created(admin, "newer-than-the-copy")
	d.until("equal", func() bool { return d.agree() })
	before, index := d.lineage(), d.index("us-east-1a")
	d.stop()
	if err := errors.Join(os.RemoveAll(filepath.Join(control, "etcd")), os.Rename(filepath.Join(control, "etcd.old"), filepath.Join(control, "etcd"))); err != nil {
		t.Fatal(err)
	}
	d.up()
	for _, name := range []string{"us-east-1a", "eu-west-1a"} {
		if now := d.index(name); now < index {
			t.Errorf("%s went back from %d to %d", name, index, now)
		}
	}
	e = d.endpoint().in(t)
	d.seen.Store(nil)
	e.made(e.iam(admin, "GetUser", "UserName", "newer-than-the-copy"))
	if out, status := d.tool("promote", "--yes"); status != 0 {
		t.Fatalf("status %d\n%s", status, out)
	}
	if now := d.lineage(); now == before || now == "" {
		t.Errorf("lineage %q after %q", now, before)
	}
	d.seen.Store(nil)
	e.made(e.iam(admin, "GetUser", "UserName", "newer-than-the-copy"))
	if r := e.sts(gone, "GetCallerIdentity"); r.status == 200 {
		t.Errorf("a deleted key is admitted: %s", r.body)
	}
}

// index is what a node serves.
func (d *deploymentUnderTest) index(name string) uint64 {
	d.t.Helper()
	a := d.addresses()
	for _, s := range askAll(d.t.Context(), &a) {
		if s.Name == name && s.Status != nil {
			return s.Status.Index
		}
	}
	d.t.Fatalf("%s does not answer", name)
	return 0
}

// allLost takes every node's disk: what is left are the keys that are kept
// elsewhere, the root's list, and a backup of a lineage long gone.
func allLost(t *testing.T, d *deploymentUnderTest, file, identity string) {
	before := d.lineage()
	minted := d.endpoint().in(t).made(d.endpoint().in(t).sts(d.admin(), "GetSessionToken")).credential()
	d.stop()
	if err := os.RemoveAll(filepath.Join(d.data, "nodes")); err != nil {
		t.Fatal(err)
	}
	if out, status := d.tool("promote", "--yes"); status != statusNo || !strings.Contains(out, "nothing to go on from") {
		t.Errorf("status %d\n%s", status, out)
	}
	kek := local.Layout{Dir: d.data}.KEK()
	if err := os.Rename(kek, kek+".away"); err != nil {
		t.Fatal(err)
	}
	if out, status := d.tool("restore", "--from", file, "--identity", identity, "--yes"); status != statusUsage || !strings.Contains(out, "without it a control plane opens no secret") {
		t.Errorf("without the KEK: status %d\n%s", status, out)
	}
	if err := keyring.MakeKEK(kek); err != nil {
		t.Fatal(err)
	}
	if out, status := d.tool("restore", "--from", file, "--identity", identity, "--yes"); status != statusNo || !strings.Contains(out, "the KEK does not open") {
		t.Errorf("with another KEK: status %d\n%s", status, out)
	}
	if err := os.Rename(kek+".away", kek); err != nil {
		t.Fatal(err)
	}
	out, status := d.tool("restore", "--from", file, "--identity", identity, "--yes")
	if status != 0 || !strings.Contains(out, "taken") || strings.Contains(out, "is not used") {
		t.Fatalf("status %d\n%s", status, out)
	}
	d.seen.Store(nil)
	d.up()
	e, admin := d.endpoint().in(t), d.admin()
	if now := d.lineage(); now == before || now == "" {
		t.Errorf("lineage %q after %q", now, before)
	}
	e.made(e.iam(admin, "GetUser", "UserName", "before"))
	if r := e.iam(admin, "GetUser", "UserName", "after-the-backup"); r.status != 404 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := e.sts(minted, "GetCallerIdentity"); r.status == 200 {
		t.Errorf("what a lost node has minted is admitted: %s", r.body)
	}
	e.created(admin, "after-all-was-lost")
	e.made(e.sts(e.newUser(admin, "new-key", allowAll), "GetCallerIdentity"))
}

// lineage is what every node serves, "" while they differ.
func (d *deploymentUnderTest) lineage() string {
	a, one := d.addresses(), ""
	for _, s := range askAll(d.t.Context(), &a) {
		if s.Status == nil || one != "" && s.Status.Lineage != one {
			return ""
		}
		one = s.Status.Lineage
	}
	return one
}

// loses kills the control plane and takes its disk.
func (d *deploymentUnderTest) loses(name string) {
	d.t.Helper()
	pid := d.pid(name)
	if err := os.Rename(local.Layout{Dir: d.data}.Node(name), filepath.Join(d.t.TempDir(), "lost")); err != nil {
		d.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		d.t.Fatal(err)
	}
}

// away ends a node, which then does not start until it is let back. (One that is
// frozen still finds on its connection what was sent to it.)
func (d *deploymentUnderTest) away(name string) (back func()) {
	d.t.Helper()
	config, pid := local.Layout{Dir: d.data}.Config(name), d.pid(name)
	if err := os.Rename(config, config+".away"); err != nil {
		d.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		d.t.Fatal(err)
	}
	return func() {
		if err := os.Rename(config+".away", config); err != nil {
			d.t.Fatal(err)
		}
	}
}

func asked(t *testing.T, d *deploymentUnderTest, file, identity string) {
	before := d.lineage()
	for _, word := range []string{"", "yes\n"} {
		cmd := exec.Command(d.bin, "--data", d.data, "promote")
		cmd.Stdin = strings.NewReader(word)
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != statusNo || !strings.Contains(string(out), "nothing was done") || !strings.Contains(string(out), "If it is well, do not promote") {
			t.Errorf("%q: %v\n%s", word, err, out)
		}
	}
	other := local.Layout{Dir: t.TempDir()}
	var m local.Marker
	if err := local.Read(local.Layout{Dir: d.data}.Marker(), &m); err != nil {
		t.Fatal(err)
	}
	m.Root = strings.Repeat("0", 64)
	if err := errors.Join(local.Write(other.Marker(), m, 0o600), os.Chmod(other.Dir, 0o700), keyring.MakeKEK(other.KEK()), keyring.MakeKEK(other.RootKey())); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(d.bin, "--data", other.Dir, "restore", "--from", file, "--identity", identity, "--yes").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another root") {
		t.Errorf("into another cluster: %v\n%s", err, out)
	}
	if now := d.lineage(); now != before || before == "" {
		t.Errorf("lineage %s after %s", now, before)
	}
}

func restored(t *testing.T, d *deploymentUnderTest, file, identity string) {
	e, admin := d.endpoint().in(t), d.admin()
	e.created(admin, "after-the-backup")
	before, old := d.lineage(), *d.seen.Load()
	d.loses("control")
	out, status := d.tool("restore", "--from", file, "--identity", identity, "--yes")
	if status != 0 || !strings.Contains(out, "the backup is not used") || !strings.Contains(out, "cannot be told") {
		t.Fatalf("status %d\n%s", status, out)
	}
	if now := d.lineage(); now == "" || now == before {
		t.Fatalf("lineage %q after %q", now, before)
	}
	if r := e.iam(admin, "ListUsers"); r.status != 200 {
		t.Errorf("a revision of before, which the new lineage goes on from (%s): %d %s", old, r.status, r.body)
	}
	beyond := record.Revision(before, 1<<20)
	d.seen.Store(&beyond)
	if r := e.iam(admin, "ListUsers"); r.status != 400 || !strings.Contains(string(r.body), "another lineage") {
		t.Errorf("a revision of before that the new lineage does not have (%s) is waited for: %d %s", beyond, r.status, r.body)
	}
	d.seen.Store(nil)
	for _, name := range []string{"before", "after-the-backup"} {
		e.made(e.iam(admin, "GetUser", "UserName", name))
	}
	// The very call of before, whose answer went with the old control plane.
	form := url.Values{"Action": {"CreateUser"}, "Version": {"2010-05-08"}, "UserName": {"after-the-backup"}}
	r := e.must(e.send(admin, "iam", "POST", "/", map[string]string{"Content-Type": "application/x-www-form-urlencoded", "amz-sdk-invocation-id": "create-after-the-backup"}, []byte(form.Encode())))
	if r.status != 409 || !strings.Contains(string(r.body), "its answer is lost") || !strings.Contains(string(r.body), before) {
		t.Errorf("a call of before the fork: %d %s", r.status, r.body)
	}
	e.created(admin, "in-the-new-lineage")
}

// withSurplus has one Region ahead of the other, and out of sight while a control
// plane is promoted from the other.
func withSurplus(t *testing.T, d *deploymentUnderTest) {
	e, admin := d.endpoint().in(t), d.admin()
	victim, kept := e.newUser(admin, "victim", allowAll), e.newUser(admin, "kept", allowAll)
	e.made(e.sts(victim, "GetCallerIdentity"))
	before := d.lineage()
	d.until("equal", func() bool { return d.agree() })
	back := d.away("eu-west-1a")
	e.made(e.iam(admin, "DeleteAccessKey", "UserName", "victim", "AccessKeyId", victim.id))
	e.made(e.iam(admin, "UpdateAccessKey", "UserName", "kept", "AccessKeyId", kept.id, "Status", "Inactive"))
	e.created(admin, "lost-with-the-old")
	wake := d.freeze("us-east-1a")
	d.loses("control")
	back()
	replica := filepath.Join(local.Layout{Dir: d.data}.Node("us-east-1a"), "replica")
	if err := os.Rename(replica, replica+".hidden"); err != nil {
		t.Fatal(err)
	}
	promoting := exec.Command(d.bin, "--data", d.data, "promote", "--yes")
	said := new(bytes.Buffer)
	promoting.Stderr = said
	if err := promoting.Start(); err != nil {
		t.Fatal(err)
	}
	a := d.addresses()
	d.until("promoted", func() bool {
		s, err := askNode(t.Context(), a.Control.Admin)
		return err == nil && s.Lineage != before
	})
	if err := os.Rename(replica+".hidden", replica); err != nil {
		t.Fatal(err)
	}
	wake()
	for range 20 { // while it goes over, and after
		if r := e.sts(victim, "GetCallerIdentity"); r.status == 200 {
			t.Fatalf("a deleted key is admitted: %s", r.body)
		}
	}
	if err := promoting.Wait(); err != nil || !strings.Contains(said.String(), "us-east-1a cannot be read") {
		t.Fatalf("%v\n%s", err, said)
	}
	d.seen.Store(nil)
	d.until("equal", func() bool { return d.agree() })
	for _, in := range []string{"us-east-1", "eu-west-1"} {
		e := *e
		if e.region = in; in == "eu-west-1" {
			e.base = "http://" + a.Regions[1].API
		}
		for name, c := range map[string]credential{"deleted": victim, "inactive": kept} {
			if r := e.sts(c, "GetCallerIdentity"); r.status == 200 {
				t.Errorf("%s: a key that was %s is admitted: %s", in, name, r.body)
			}
		}
		if r := e.iam(admin, "GetUser", "UserName", "lost-with-the-old"); r.status != 404 {
			t.Errorf("%s: %d %s", in, r.status, r.body)
		}
	}
	audited, _ := exec.Command("grep", "-rh", "--", `"op":"surplus"`, filepath.Join(local.Layout{Dir: d.data}.Node("control"), "audit")).Output()
	if !strings.Contains(string(audited), `"denials":2`) || !strings.Contains(string(audited), `"key":"user/111122223333/`) {
		t.Errorf("the audit lists: %s", audited)
	}
}

// comesBack promotes while the control plane is down with its disk whole, and
// then starts that one again, where nobody has told it anything.
func comesBack(t *testing.T, d *deploymentUnderTest) {
	e, admin := d.endpoint().in(t), d.admin()
	e.newUser(admin, "denied-there", "")
	us, eu := d.away("us-east-1a"), d.away("eu-west-1a")
	if out, err := d.operator("deny", "source-identity", "mallory", "--account", "111122223333", "--reason", "before the end"); err != nil {
		t.Fatal(out)
	}
	before := d.data + "/nodes/control"
	pid := d.pid("control")
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil { // it answers nobody, and its supervisor waits for it
		t.Fatal(err)
	}
	us()
	eu()
	promoting := exec.Command(d.bin, "--data", d.data, "promote", "--yes")
	said := new(bytes.Buffer)
	promoting.Stderr = said
	if err := promoting.Start(); err != nil {
		t.Fatal(err)
	}
	old := ""
	d.until("swapped", func() bool {
		found, _ := filepath.Glob(before + ".until-*")
		if len(found) > 0 {
			old = found[len(found)-1]
		}
		return old != ""
	})
	// It finds its successor where it is; take that away, as on another machine.
	if err := os.Remove(filepath.Join(old, lineage.SuccessorsFile)); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := promoting.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	d.seen.Store(nil)
	if out := d.holdfast("deny", "list"); strings.Contains(out, "mallory") {
		t.Fatalf("the denial has not been lost: %s", out)
	}
	socket := backFromTheDead(t, d, old)
	key, err := operator.LoadKey(local.Layout{Dir: d.data}.OperatorKey())
	if err != nil {
		t.Fatal(err)
	}
	client, err := operator.Dial([]string{socket}, key)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var account operator.NewAccount
	d.until("taking writes, which nobody follows", func() bool {
		_, err := client.Execute(t.Context(), "account.create", map[string]string{"id": "999900001111"}, &account, time.Now())
		return err == nil
	})
	if out := d.holdfast("account", "list"); strings.Contains(out, "999900001111") {
		t.Errorf("the Regions follow it: %s", out)
	}
	shown, err := os.ReadFile(filepath.Join(local.Layout{Dir: d.data}.Node("us-east-1a"), lineage.SuccessorsFile))
	if err == nil {
		err = os.WriteFile(filepath.Join(old, lineage.SuccessorsFile), shown, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(old, lineage.RetiredFile)
	d.until("retired", func() bool { _, err := os.Stat(left); return err == nil })
	d.until("refusing", func() bool {
		_, err := client.Execute(t.Context(), "account.create", map[string]string{"id": "999900002222"}, &account, time.Now())
		return errors.Is(err, operator.ErrUnreachable)
	})
	again := exec.Command(d.bin, "serve", "control", "--config", filepath.Join(old, "config.json"))
	if out, err := again.CombinedOutput(); err == nil || !strings.Contains(string(out), "has a successor") {
		t.Errorf("it starts again: %v\n%s", err, out)
	}
	if err := os.Rename(left, filepath.Join(before, lineage.SurplusDir, "old.surplus")); err != nil {
		t.Fatal(err)
	}
	d.until("handed up", func() bool { return strings.Contains(d.holdfast("deny", "list"), "mallory") })
}

// backFromTheDead starts an old control plane from a directory of its own, out of
// everybody's way, and returns its operators' socket.
func backFromTheDead(t *testing.T, d *deploymentUnderTest, dir string) string {
	t.Helper()
	c, err := config.Load(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	run, err := os.MkdirTemp("", "hf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	c.Dir, c.Run, c.Operator = dir, run, filepath.Join(run, "operator.sock")
	c.API, c.Peer, c.Admin = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	if err := local.Write(filepath.Join(dir, "config.json"), c, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(d.bin, "serve", "control", "--config", filepath.Join(dir, "config.json"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return c.Operator
}

func goesOn(t *testing.T, d *deploymentUnderTest) {
	before := d.lineage()
	d.stop()
	d.up()
	e := d.endpoint().in(t)
	e.created(d.admin(), "after-a-restart")
	e.made(e.iam(d.admin(), "GetUser", "UserName", "in-the-new-lineage"))
	if now := d.lineage(); now != before || before == "" {
		t.Errorf("lineage %s after %s", now, before)
	}
	d.carriesNoSecret()
}

func backedUp(t *testing.T, d *deploymentUnderTest, file, identity, recipient string) {
	if out, status := d.tool("backup", "--out", file, "--recipient", recipient); status != 0 || !strings.Contains(out, "records") {
		t.Fatalf("status %d\n%s", status, out)
	}
	if out, status := d.tool("backup", "--out", file, "--recipient", recipient); status != statusUsage {
		t.Errorf("it is overwritten: status %d\n%s", status, out)
	}
	if out, status := d.tool("backup", "--out", file+"2", "--recipient", "age1nobody"); status != statusUsage {
		t.Errorf("for nobody: status %d\n%s", status, out)
	}
	if out, status := d.tool("backup", "verify", file, "--identity", identity); status != 0 || !strings.Contains(out, "revision") {
		t.Errorf("status %d\n%s", status, out)
	}
	if out, status := d.tool("backup", "verify", file, "--identity", identity, "--root", strings.Repeat("0", 64)); status != statusNo || !strings.Contains(out, "another root") {
		t.Errorf("of another root: status %d\n%s", status, out)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut")
	if err := os.WriteFile(cut, whole[:len(whole)-100], 0o600); err != nil {
		t.Fatal(err)
	}
	if out, status := d.tool("backup", "verify", cut, "--identity", identity); status != statusNo {
		t.Errorf("cut: status %d\n%s", status, out)
	}
	holdsNoSecret(t, d, whole, identity)
	d.until("audited", func() bool {
		out, _ := exec.Command("grep", "-rc", `"operator:backup"`, filepath.Join(local.Layout{Dir: d.data}.Node("control"), "audit")).Output()
		return strings.TrimSpace(string(out)) == "1" || strings.HasSuffix(strings.TrimSpace(string(out)), ":1")
	})
}

// holdsNoSecret looks for the deployment's secrets in what a recipient reads.
func holdsNoSecret(t *testing.T, d *deploymentUnderTest, whole []byte, identity string) {
	t.Helper()
	text, err := os.ReadFile(identity)
	if err != nil {
		t.Fatal(err)
	}
	key, err := age.ParseX25519Identity(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(bytes.NewReader(whole), key)
	if err != nil {
		t.Fatal(err)
	}
	inside, err := io.ReadAll(r)
	if err != nil || !bytes.Contains(inside, []byte("AdministratorAccess")) {
		t.Fatalf("%d bytes, %v", len(inside), err)
	}
	l := local.Layout{Dir: d.data}
	c, err := l.Credentials("")
	if err != nil {
		t.Fatal(err)
	}
	kek, err := os.ReadFile(l.KEK())
	if err != nil {
		t.Fatal(err)
	}
	for what, secret := range map[string][]byte{"administrator's key": []byte(c.AdminSecret), "root's key": []byte(c.RootSecret), "KEK": kek, "KEK in hex": []byte(hex.EncodeToString(kek))} {
		if bytes.Contains(inside, secret) {
			t.Errorf("the %s stands in the backup", what)
		}
	}
}
