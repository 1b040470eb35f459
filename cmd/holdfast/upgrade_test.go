package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/local"
)

// upgradeRequests is how many requests each part is held to at least, and upgradeRate
// how many a second are sent; the published figure takes more than a test can.
var (
	upgradeRequests = flag.Int("upgrade-requests", 1, "requests during the rolling upgrade, the restarts and the way back, at least")
	upgradeRate     = flag.Int("upgrade-rate", 100, "requests a second meanwhile")
)

// TestAnUpgradeNodeByNodeAndItsTakingBackFailNoRequest: the release before is built
// from history, and its nodes are replaced one after the other by this build's, under
// load; old and new run side by side meanwhile. Then this build's are restarted, and
// then the release before takes their places again.
func TestAnUpgradeNodeByNodeAndItsTakingBackFailNoRequest(t *testing.T) {
	d := &deploymentUnderTest{t: t, bin: filepath.Join(t.TempDir(), "holdfast"), data: filepath.Join(t.TempDir(), "data")}
	older, newer := previousRelease(t), build(t)
	install(t, older, d.bin)
	d.up("--azs", "3")
	at, err := drill.Attach(local.Layout{Dir: d.data}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	admin := drill.Credential{ID: d.admin().id, Secret: d.admin().secret}
	cast, err := drill.NewCast(t.Context(), at.Client(""), admin, "111122223333")
	if err != nil {
		t.Fatal(err)
	}
	r := &rolling{d: d, at: at, cast: cast}
	// 0.1.0 cuts connections when it ends, new ones too: as SDKs do, up to three
	// times. Of this build, what is sent on an idle connection at the moment in which
	// it is closed has to be sent again, whoever closes it.
	r.under(t, "upgrade", 2, newer)
	r.under(t, "restart", 1, newer)
	r.under(t, "back", 2, older) // at more requests than a round takes it is itself replaced
}

// rolling replaces the nodes of a deployment under load.
type rolling struct {
	d    *deploymentUnderTest
	at   *drill.Deployment
	cast *drill.Cast
}

// under replaces every node by a build's, one after the other, for as long as the
// load takes. No request may fail, no write be lost.
func (r *rolling) under(t *testing.T, what string, retries int, build string) {
	client := r.at.Client("")
	load := &drill.Load{Questions: r.cast.Questions(client), Rate: *upgradeRate, Retries: retries, Timeout: 10 * time.Second, Now: time.Now}
	ledger := &drill.Ledger{Client: client, Admin: r.cast.Admin, Prefix: r.cast.Name + "-w-" + what[:3], Path: drill.Path, Rate: 5, Patience: 20 * time.Second}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { load.Run(ctx) })
	running.Go(func() { ledger.Run(ctx) })
	replaced := 0
	for replaced == 0 || len(load.Calls()) < *upgradeRequests {
		install(t, build, r.d.bin)
		for _, name := range append(r.at.RegionNodes(""), r.at.ControlNodes()...) {
			r.d.replace(r.at, name)
			replaced++
		}
	}
	stop()
	running.Wait()
	r.d.until("equal", func() bool { return r.d.agree() })
	s := drill.Sum(load.Calls())
	w, err := ledger.Check(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d nodes replaced under %d requests: %d failed, %d repeated; p50 %s, p99 %s, longest %s; %d writes acknowledged, %d tries refused, %d not answered",
		what, replaced, s.Sent, s.Failed, s.Retried, s.P50, s.P99, s.Max, w.Acknowledged, w.Refused, w.Unanswered)
	if s.Failed > 0 {
		t.Errorf("failed: %+v", s.Failures)
	}
	if !w.Held() || w.Acknowledged == 0 {
		t.Errorf("%+v", w)
	}
}

// replace has a node end, and waits until its successor is ready and follows.
func (d *deploymentUnderTest) replace(at *drill.Deployment, name string) {
	d.t.Helper()
	old := d.pid(name)
	d.signal(name, syscall.SIGTERM)
	d.until(name+" replaced", func() bool {
		pid := d.pid(name)
		s := at.Look(context.Background())[name]
		return pid != 0 && pid != old && s != nil && s.Ready && s.Connected
	})
}

// install puts a build where the supervisor starts nodes from, in one step.
func install(t *testing.T, build, place string) {
	t.Helper()
	if out, err := exec.Command("sh", "-c", fmt.Sprintf("cp %q %q.new && mv %q.new %q", build, place, place, place)).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
}

// previousRelease builds the release that docs/releases.md names last.
func previousRelease(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/releases.md")
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile("(?m)^\\| [0-9.]+ \\| [0-9-]+ \\| `([0-9a-f]+)` \\|").FindAllSubmatch(page, -1)
	if len(all) == 0 {
		t.Fatal("docs/releases.md names no release")
	}
	commit := string(all[len(all)-1][1])
	dir := t.TempDir()
	if out, err := exec.Command("sh", "-c", fmt.Sprintf("git -C ../.. archive %s | tar -x -C %q", commit, dir)).CombinedOutput(); err != nil {
		notRun(t, "history", fmt.Sprintf("the release before, %s, cannot be read from git: %v %s", commit, err, out))
	}
	bin := filepath.Join(dir, "holdfast")
	cmd := exec.Command("go", "build", "-o", bin, "./cmd/holdfast")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("release %s: %v\n%s", commit, err, out)
	}
	return bin
}
