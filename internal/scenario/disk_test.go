package scenario

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

var disks = []scenario{
	{id: "D1", name: "the power fails under the control plane", shape: none, bugs: bugs(failpoint.NoFsync), long: true, tools: []string{"mkfs.ext4", "mount"}, do: func(s *run) {
		powerUnderControl(s, *powerCuts)
	}},
	{id: "D2", name: "the power fails under a Region node", shape: none, bugs: bugs(failpoint.NotSynced), long: true, tools: []string{"mkfs.ext4", "mount"}, do: powerUnderRegion},
	{id: "D3", name: "the control plane's disk reports an error", shape: one, bugs: bugs(failpoint.NoFsync), long: true, own: true, early: true, tools: []string{"strace"}, do: func(s *run) {
		s.ledger(func(l *drill.Ledger) {
			s.acked(l, 10)
			before := s.Pids("control")
			end := s.inject("control", "fdatasync:error=EIO")
			s.replaced(before) // fail-stop: nothing is tried twice
			end()
			s.acked(l, 10)
		})
	}},
	{id: "D4", name: "a Region node's disk reports an error", shape: two, bugs: bugs(failpoint.DiskErrorEnds), own: true, tools: []string{"strace"}, do: func(s *run) {
		before := s.Pids("eu-west-1a")
		end := s.inject("eu-west-1a", "fsync:error=EIO")
		s.under(&drill.Load{}, func() {
			s.until("alarmed", 20*time.Second, func() bool {
				s.tag(s.Client("us-east-1"), "d4")
				n := s.Look(s.ctx)["eu-west-1a"]
				return n != nil && strings.Contains(n.Why, "input/output error")
			})
		})
		end()
		s.check(fmt.Sprint(before) == fmt.Sprint(s.Pids("eu-west-1a")), "the node ended")
		s.converge(30 * time.Second)
	}},
	{id: "D5", name: "the control plane's disk is full", shape: none, bugs: bugs(failpoint.NoFloor), long: true, tools: []string{"mount"}, do: func(s *run) {
		s.mount("tmpfs", "-t", "tmpfs", "-o", "size=900m")
		s.begin(one)
		user := s.second()
		fill := s.fill(filepath.Join(s.dir, "m"), 200<<20) // left: between the floor and half of it
		s.under(&drill.Load{}, func() {
			s.until("a write refused", 20*time.Second, func() bool {
				return s.call(s.admin, "iam", "TagUser", "UserName", user, "Tags.member.1.Key", "d5", "Tags.member.1.Value", "v").Status == 503
			})
			a := s.call(s.admin, "iam", "DeleteUserPolicy", "UserName", user, "PolicyName", "p")
			s.check(a.Status == 200, "a deletion on a disk that is almost full: %s", a)
		})
		s.must(os.Remove(fill) == nil, "the disk cannot be made empty")
		s.settled("d5")
		s.converge(30 * time.Second)
	}},
	{id: "D6", name: "a Region node's disk is full", shape: none, bugs: bugs(failpoint.DiskErrorEnds), long: true, tools: []string{"mount"}, do: func(s *run) {
		dir := filepath.Join(s.dir, "m")
		s.mount("tmpfs", "-t", "tmpfs", "-o", "size=64m")
		s.begin(two)
		node := s.Layout.Node("eu-west-1a")
		s.stop()
		out, err := exec.Command("sh", "-c", `cp -a "$0"/. "$1"/ && chmod 700 "$1" && mount --bind "$1" "$0"`, node, dir).CombinedOutput()
		s.must(err == nil, "%v %s", err, out)
		s.heals = append(s.heals, func() { _ = exec.Command("umount", "-l", node).Run() })
		s.must(s.start() == nil, "it does not start again")
		s.converge(patience)
		fill := s.fill(dir, 0)
		before := s.Pids("eu-west-1a")
		s.under(&drill.Load{}, func() {
			s.until("alarmed", 20*time.Second, func() bool {
				s.tag(s.Client("us-east-1"), "d6")
				n := s.Look(s.ctx)["eu-west-1a"]
				return n != nil && n.Why != ""
			})
		})
		s.check(fmt.Sprint(before) == fmt.Sprint(s.Pids("eu-west-1a")), "the node ended")
		s.must(os.Remove(fill) == nil, "the disk cannot be made empty")
		s.converge(30 * time.Second)
		if len(s.notes) > 0 {
			s.check(false, "%s", s.logs())
		}
	}},
	{id: "D9", name: "a bit flips in the log of the store's only member", shape: one, bugs: bugs(failpoint.RepairsStore), long: true, own: true, do: func(s *run) {
		s.ledger(func(l *drill.Ledger) {
			s.acked(l, 20)
			mend := s.flipLog()
			log, err := os.Stat(s.Layout.Log("control"))
			s.must(err == nil && s.Kill("control") == nil, "kill: %v", err)
			s.under(&drill.Load{}, func() {
				s.until("refused to start", 20*time.Second, func() bool {
					b, _ := os.ReadFile(s.Layout.Log("control"))
					return int64(len(b)) > log.Size() && strings.Contains(string(b[log.Size():]), "crc mismatch")
				})
			})
			mend()
			s.acked(l, 5)
		})
	}},
	{id: "D12a", name: "a Region node's disk takes two seconds", shape: two, bugs: bugs(failpoint.NoBound), long: true, own: true, tools: []string{"strace"}, do: func(s *run) {
		s.waitedFor("control", 2)
		end := s.inject("eu-west-1a", "fsync,fdatasync:delay_enter=2000000")
		s.under(&drill.Load{}, func() {
			a := s.tag(s.Client("us-east-1"), "d12")
			s.check(strings.Contains(a.Header.Get("X-Holdfast-Applied"), "eu-west-1a"), "a write waited for a disk of two seconds: applied %q", a.Header.Get("X-Holdfast-Applied"))
			s.pass(3 * time.Second)
		})
		end()
		s.converge(30 * time.Second)
	}},
	{id: "D10", name: "bits flip in a Region node's copy", shape: one, bugs: bugs(failpoint.TrustsDisk), do: func(s *run) {
		for n := range 3 {
			s.damage(func(b []byte) []byte {
				at := len(b)*(n+2)/6 + n
				b[at] ^= 1 << n
				return b
			})
		}
	}},
	{id: "D11a", name: "a Region node's copy is empty", shape: one, bugs: bugs(failpoint.DamagedEnds), do: func(s *run) { s.damage(func([]byte) []byte { return nil }) }},
	{id: "D11b", name: "a Region node's copy is cut", shape: one, bugs: bugs(failpoint.DamagedEnds), long: true, do: func(s *run) { s.damage(func(b []byte) []byte { return b[:len(b)/2] }) }},
	{id: "D11c", name: "a Region node's copy is another deployment's", shape: one, bugs: bugs(failpoint.TrustsDisk), long: true, do: func(s *run) {
		other, err := newRig(filepath.Join(s.dir, "other"), one, "")
		if other != nil {
			defer other.stop()
		}
		s.must(err == nil, "%v", err)
		foreign, err := os.ReadFile(filepath.Join(other.Layout.Node("us-east-1a"), "replica", "snapshot"))
		s.must(err == nil, "%v", err)
		s.damage(func([]byte) []byte { return foreign })
	}},
	{id: "D15a", name: "all can read a Region node's keys", shape: one, bugs: bugs(failpoint.AnyFileMode), do: readable("us-east-1a", func(s *run) string { return filepath.Join(s.Layout.Node("us-east-1a"), "node.key") })},
	{id: "D15b", name: "all can read the KEK", shape: one, bugs: bugs(failpoint.AnyFileMode), long: true, do: readable("control", func(s *run) string { return s.Layout.KEK() })},
}

// readable makes a key file readable by all: its node does not start.
func readable(node string, file func(*run) string) func(*run) {
	return func(s *run) {
		path := file(s)
		info, err := os.Stat(path)
		s.must(err == nil, "%v", err)
		s.must(os.Chmod(path, 0o444) == nil, "chmod")
		defer os.Chmod(path, info.Mode().Perm())
		log, err := os.Stat(s.Layout.Log(node))
		s.must(err == nil, "%v", err)
		s.must(s.Kill(node) == nil, "kill")
		s.until("refused to start", 20*time.Second, func() bool {
			b, _ := os.ReadFile(s.Layout.Log(node))
			return int64(len(b)) > log.Size() && strings.Contains(string(b[log.Size():]), "can be read by others")
		})
		s.must(os.Chmod(path, info.Mode().Perm()) == nil, "chmod")
		s.converge(30 * time.Second)
	}
}

// damage changes both files of the Region node's copy and has it start: it must
// put them aside and serve what it fetches.
func (s *run) damage(change func([]byte) []byte) {
	dir := s.replica("us-east-1a")
	aside := filepath.Join(dir, "snapshot.damaged")
	_ = os.Remove(aside) // of an earlier time
	for _, name := range []string{"snapshot", "packed"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if os.IsNotExist(err) {
			continue
		}
		s.must(err == nil, "%v", err)
		s.replace(filepath.Join(dir, name), change(b), 0o600)
	}
	s.kill("us-east-1a")
	s.converge(30 * time.Second)
	_, err := os.Stat(aside)
	s.check(err == nil, "the damaged copy was not put aside: %v", err)
	s.under(&drill.Load{}, func() { s.pass(300 * time.Millisecond) })
}

// flipLog flips a bit in the middle of what the lone member has written to its
// log, and returns what undoes it.
func (s *run) flipLog() (mend func()) {
	files, _ := filepath.Glob(filepath.Join(s.Layout.Node("control"), "etcd", "member", "wal", "*.wal"))
	s.must(len(files) > 0, "the store has no log")
	path := files[len(files)-1]
	b, err := os.ReadFile(path)
	s.must(err == nil, "%v", err)
	at := int64(len(bytes.TrimRight(b, "\x00")) / 2) // the rest of the file is not written yet
	flip := func() {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		s.must(err == nil, "%v", err)
		defer f.Close()
		one := make([]byte, 1)
		_, err = f.ReadAt(one, at)
		s.must(err == nil, "%v", err)
		one[0] ^= 4
		_, err = f.WriteAt(one, at)
		s.must(err == nil, "%v", err)
	}
	flip()
	return flip
}

// inject has system calls of a node fail, until it is told otherwise.
func (s *run) inject(node, what string) (end func()) {
	cmd := exec.Command("strace", "-f", "-q", "-o", "/dev/null", "-e", "trace="+strings.Split(what, ":")[0], "-e", "inject="+what, "-p", fmt.Sprint(s.Pid(node)))
	s.must(cmd.Start() == nil, "strace does not start")
	ended := false
	end = func() {
		if !ended {
			ended = true
			_ = cmd.Process.Signal(syscall.SIGINT)
			_ = cmd.Wait()
		}
	}
	s.heals = append(s.heals, end)
	s.until("traced", 20*time.Second, func() bool {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Pid(node)))
		return strings.Contains(string(b), "TracerPid:\t") && !strings.Contains(string(b), "TracerPid:\t0\n")
	})
	return end
}

// mount mounts something on the directory m of the scenario.
func (s *run) mount(what string, how ...string) {
	dir := filepath.Join(s.dir, "m")
	s.must(os.MkdirAll(dir, 0o700) == nil, "mkdir")
	out, err := exec.Command("mount", append(how, what, dir)...).CombinedOutput()
	s.must(err == nil, "mount: %v %s", err, out)
	s.heals = append(s.heals, func() { _ = exec.Command("umount", "-l", dir).Run() })
	s.must(os.Chmod(dir, 0o700) == nil, "chmod")
}

// begin starts a deployment of the scenario's own, in m if that is there for it.
func (s *run) begin(how shape) {
	dir := filepath.Join(s.dir, "m", "d")
	if how == two {
		dir = filepath.Join(s.dir, "d")
	}
	early := s.rig.bugs
	r, err := newRig(dir, how, early)
	if r != nil {
		s.rig = r
		s.heals = append([]func(){r.stop}, s.heals...)
	}
	s.must(err == nil, "%v", err)
}

// fill leaves so many bytes of a disk.
func (s *run) fill(dir string, left int64) string {
	var fs unix.Statfs_t
	s.must(unix.Statfs(dir, &fs) == nil, "statfs")
	path := filepath.Join(dir, "fill")
	f, err := os.Create(path)
	s.must(err == nil, "%v", err)
	defer f.Close()
	block := make([]byte, 64<<10)
	for n := int64(fs.Bavail)*fs.Bsize - left; n > 0; n -= int64(len(block)) {
		if _, err := f.Write(block[:min(n, int64(len(block)))]); err != nil {
			break // full: what was wanted, when nothing is to be left
		}
	}
	return path
}
