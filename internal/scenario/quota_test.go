package scenario

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/local"
)

// quotas are faults of the room that a node may take.
var quotas = []scenario{
	{id: "D7", name: "the store has used up its quota", shape: one, bugs: bugs(failpoint.AlarmStays), long: true, own: true, do: func(s *run) {
		s.configure("control", func(c *config.Config) { c.QuotaBytes = 16 << 20 }) // half of it is AWS's managed policies
		store := s.member("etcd.sock")
		s.overfill(store)
		s.ledger(func(l *drill.Ledger) {
			s.under(&drill.Load{}, func() {
				before := s.Pids("control")
				a := s.callAt(s.controlClient(0), s.admin, "iam", "TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", "d7", "Tags.member.1.Value", "v")
				s.check(a.Status == 503 && strings.Contains(string(a.Body), "the store has used up its quota"), "a write to a store that is full: %s %s", a, a.Body)
				s.until("writes refused", 20*time.Second, func() bool { n, _ := l.Refused(); return n > 20 })
				taken, _ := l.Acked()
				s.check(taken == 0, "%d writes were taken by a store that is full", taken)
				s.compact(store)
				s.acked(l, 10)
				s.check(fmt.Sprint(before) == fmt.Sprint(s.Pids("control")), "the control plane ended")
			})
		})
		b, _ := os.ReadFile(s.Layout.Log("control"))
		s.check(strings.Contains(string(b), "the store's file was written anew"), "the log does not say that the file was written anew")
	}},
	{id: "R6", name: "a stranger holds all descriptors of a Region node", shape: two, bugs: bugs(failpoint.AcceptErrorEnds), do: func(s *run) {
		before, in := s.Pids("eu-west-1a"), s.Client("eu-west-1") // who is in stays in
		asked := func(c *drill.Client) int { return s.callAt(c, s.cast.User, "sts", "GetCallerIdentity").Status }
		s.must(asked(in) == 200, "before: no answer")
		log, err := os.Stat(s.Layout.Log("eu-west-1a"))
		s.must(err == nil, "%v", err)
		lift := s.descriptors("eu-west-1a", 30)
		leave := s.crowd(strings.TrimPrefix(in.Base, "http://"), 300)
		s.until("it says so", 20*time.Second, func() bool {
			b, _ := os.ReadFile(s.Layout.Log("eu-west-1a"))
			return int64(len(b)) > log.Size() && strings.Contains(string(b[log.Size():]), "too many open files")
		})
		s.under(&drill.Load{Questions: s.cast.Questions(s.Client("us-east-1"))}, func() {
			s.tag(s.Client("us-east-1"), "r6")
			s.check(asked(in) == 200, "who was in is not answered")
			s.pass(time.Second)
		})
		leave()
		s.until("others taken again", 20*time.Second, func() bool { return asked(s.Client("eu-west-1")) == 200 })
		lift()
		s.check(fmt.Sprint(before) == fmt.Sprint(s.Pids("eu-west-1a")), "the node ended")
		s.converge(30 * time.Second)
	}},
}

// configure changes a node's configuration and has it start with it.
func (s *run) configure(node string, change func(*config.Config)) {
	c, err := config.Read(s.Layout.Config(node))
	s.must(err == nil, "%v", err)
	change(c)
	err = local.Write(s.Layout.Config(node), c, 0o600)
	s.must(err == nil, "%v", err)
	s.kill(node)
	s.converge(30 * time.Second)
}

// member asks a member of the store, as etcdctl does on its machine.
func (s *run) member(socket string) *clientv3.Client {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + filepath.Join(s.Layout.Run(), socket)}, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	s.must(err == nil, "%v", err)
	s.heals = append(s.heals, func() { c.Close() })
	return c
}

// overfill has the store keep a history that nobody compacts, until it takes no
// more.
func (s *run) overfill(store *clientv3.Client) {
	s.until("the store full", patience, func() bool {
		_, err := store.Put(s.ctx, "/history", strings.Repeat("x", 64<<10))
		return errors.Is(err, rpctypes.ErrNoSpace)
	})
}

// compact has it forget what was, as it does every five minutes by itself.
func (s *run) compact(store *clientv3.Client) {
	gone, err := store.Delete(s.ctx, "/history")
	s.must(err == nil, "%v", err)
	_, err = store.Compact(s.ctx, gone.Header.Revision, clientv3.WithCompactPhysical())
	s.must(err == nil, "%v", err)
}

// descriptors leaves a node so many more than it has open, until it is told
// otherwise.
func (s *run) descriptors(node string, more int) (lift func()) {
	pid := s.Pid(node)
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	s.must(err == nil, "%v", err)
	var was unix.Rlimit
	err = unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &was)
	s.must(err == nil, "%v", err)
	err = unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(len(open) + more), Max: was.Max}, nil)
	s.must(err == nil, "%v", err)
	lift = func() { _ = unix.Prlimit(pid, unix.RLIMIT_NOFILE, &was, nil) } // of a process that has ended: nothing
	s.heals = append(s.heals, lift)
	return lift
}

// crowd holds so many connections on which nothing is said.
func (s *run) crowd(address string, n int) (leave func()) {
	var all []net.Conn
	leave = func() {
		for _, c := range all {
			c.Close()
		}
		all = nil
	}
	s.heals = append(s.heals, func() { leave() })
	for range n {
		c, err := net.DialTimeout("tcp", address, 5*time.Second)
		s.must(err == nil, "%v", err)
		all = append(all, c)
	}
	return leave
}
