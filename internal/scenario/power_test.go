package scenario

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"

	"github.com/holdfast-iam/holdfast/internal/drill"
)

// disk is an ext4 file system in a file, whose power can fail: what was not
// synced is gone then (EXT4_IOC_SHUTDOWN without a flush of the journal).
type disk struct {
	s     *run
	image string
	dir   string
}

func (s *run) newDisk() *disk {
	d := &disk{s, filepath.Join(s.dir, "image"), filepath.Join(s.dir, "m")}
	f, err := os.Create(d.image)
	s.must(err == nil && f.Truncate(700<<20) == nil && f.Close() == nil, "an image cannot be made: %v", err)
	out, err := exec.Command("mkfs.ext4", "-q", d.image).CombinedOutput()
	s.must(err == nil, "mkfs.ext4: %v %s", err, out)
	d.on()
	return d
}

func (d *disk) on() { d.s.mount(d.image, "-o", "loop") }

// EXT4_IOC_SHUTDOWN is _IOR('X', 125, u32); 2: nothing more reaches the disk.
const (
	ext4Shutdown = 0x8004587d
	noLogFlush   = 2
)

// off has the power fail.
func (d *disk) off() {
	f, err := os.Open(d.dir)
	d.s.must(err == nil, "%v", err)
	flags := uint32(noLogFlush)
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), ext4Shutdown, uintptr(unsafe.Pointer(&flags)))
	d.s.must(errno == 0, "EXT4_IOC_SHUTDOWN: %v", errno)
	f.Close()
}

// cycle has the power fail under a process's files, kills what ran on them, and
// starts it on what was durable.
func (d *disk) cycle(end func()) {
	d.off()
	end()
	d.out()
	d.on()
}

// out unmounts it, once the processes that were killed are gone.
func (d *disk) out() {
	d.s.until("unmounted", 20*time.Second, func() bool { return exec.Command("umount", d.dir).Run() == nil })
}

// powerUnderControl fails the power of a deployment, so many times.
func powerUnderControl(s *run, cycles int) {
	d := s.newDisk()
	s.begin(one)
	for range cycles {
		s.ledger(func(l *drill.Ledger) {
			s.acked(l, 15)
			d.cycle(s.killAll)
			err := s.start()
			s.must(err == nil, "it does not start again: %v; it said %s", err, s.said)
			s.acked(l, 5)
		})
	}
}

// killAll ends `up` and its nodes as a power cut does.
func (s *run) killAll() {
	for _, pid := range s.Processes() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = s.up.Process.Kill()
	_ = s.up.Wait()
}

// silent does something while Region nodes run and the control plane cannot
// start.
func (s *run) silent(do func()) {
	good, err := os.ReadFile(s.Layout.KEK())
	s.must(err == nil, "%v", err)
	bad := append([]byte{}, good...)
	bad[0] ^= 1
	s.replace(s.Layout.KEK(), bad, 0o400)
	defer s.replace(s.Layout.KEK(), good, 0o400)
	s.must(s.launch() == nil, "it does not start")
	defer s.stop()
	s.until("there", 20*time.Second, func() bool { return s.attach() == nil && s.Look(s.ctx)["eu-west-1a"] != nil })
	do()
}

// powerUnderRegion fails the power under a Region node's copy alone.
func powerUnderRegion(s *run) {
	d := s.newDisk()
	s.begin(two)
	node := s.Layout.Node("eu-west-1a")
	for n := range 2 {
		s.stop()
		if n == 0 {
			out, err := exec.Command("sh", "-c", `cp -a "$0"/. "$1"/ && chmod 700 "$1" && sync`, node, d.dir).CombinedOutput()
			s.must(err == nil, "%v %s", err, out)
		}
		out, err := exec.Command("mount", "--bind", d.dir, node).CombinedOutput()
		s.must(err == nil, "%v %s", err, out)
		s.must(s.start() == nil, "it does not start")
		s.converge(patience)
		for range 5 {
			s.tag(s.Client("us-east-1"), "d2")
		}
		s.converge(20 * time.Second)
		was := s.Look(s.ctx)["eu-west-1a"]
		d.off()
		s.killAll()
		s.until("unmounted", 20*time.Second, func() bool { return exec.Command("umount", node).Run() == nil })
		d.out()
		d.on()
		out, err = exec.Command("mount", "--bind", d.dir, node).CombinedOutput()
		s.must(err == nil, "%v %s", err, out)
		s.silent(func() {
			now := s.Look(s.ctx)["eu-west-1a"]
			s.check(was != nil && now != nil && now.Index >= was.Index, "it serves %v after %v", now, was)
		})
		_ = exec.Command("umount", node).Run()
	}
}
