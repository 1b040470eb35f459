package scenario

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

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
