package scenario

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/local"
)

// lineages are faults of what is written, by whom and for whom: old stores,
// copies, keys and builds.
var lineages = []scenario{
	{id: "F8", name: "an old copy of the store takes the store's place", shape: two, bugs: bugs(failpoint.AnyHistory), long: true, own: true, do: func(s *run) {
		key := s.made(s.admin, "iam", "CreateAccessKey", "UserName", s.second()).Credential()
		s.stop()
		s.copied(filepath.Join(s.Layout.Node("control"), "etcd"), filepath.Join(s.dir, "etcd"))
		s.again()
		s.made(s.admin, "iam", "DeleteAccessKey", "UserName", s.cast.Name+"-2", "AccessKeyId", key.ID)
		for range 3 {
			s.tag(s.controlClient(0), "newer")
		}
		s.converge(30 * time.Second)
		was := s.Look(s.ctx)
		s.stop()
		s.must(os.RemoveAll(filepath.Join(s.Layout.Node("control"), "etcd")) == nil, "the store cannot be removed")
		s.copied(filepath.Join(s.dir, "etcd"), filepath.Join(s.Layout.Node("control"), "etcd"))
		s.must(s.start() == nil, "it does not start again: %s", s.said)
		s.under(&drill.Load{}, func() {
			s.until("the old store above what the Regions have", patience, func() bool {
				s.tag(s.controlClient(0), "other")
				n := s.Look(s.ctx)["control"]
				return n != nil && n.Index > was["us-east-1a"].Index+2
			})
			s.kill("control") // now its index tells nothing, and no batch that it remembers
			for _, node := range s.RegionNodes("") {
				s.until(node+" refuses it, or follows", 30*time.Second, func() bool {
					n := s.Look(s.ctx)[node]
					return n != nil && n.Digest != was[node].Digest || s.tells(node, 0, "its store is an old one, or a copy")
				})
			}
			s.pass(2 * time.Second)
		})
		now := s.Look(s.ctx)
		for _, node := range s.RegionNodes("") {
			s.check(now[node] != nil && now[node].Digest == was[node].Digest, "%s serves what the old store has: index %d after %d", node, now[node].Index, was[node].Index)
		}
		out, err := s.operator("promote", "--yes")
		s.must(err == nil, "%v %s", err, out)
		s.converge(patience)
		now = s.Look(s.ctx)
		s.check(now["control"] != nil && now["control"].Lineage != was["control"].Lineage, "after a promotion the lineage is the old one")
		for _, region := range s.Regions() {
			a := s.callAt(s.Client(region), key, "sts", "GetCallerIdentity")
			s.check(a.Code() == "InvalidClientTokenId", "in %s the deleted key is answered %s", region, a)
		}
	}},
	{id: "F9", name: "a copy of the control plane runs beside it", shape: two, bugs: bugs(failpoint.BelievesBatches), long: true, own: true, do: func(s *run) {
		heal := s.twin()
		s.under(&drill.Load{}, func() {
			s.saidBy("eu-west-1a", "not following the control plane")
			s.until("eu-west-1a refuses the copy", 20*time.Second, func() bool {
				n := s.Look(s.ctx)["eu-west-1a"]
				return n != nil && n.Why != "" && !n.Connected
			})
			s.tag(s.controlClient(0), "one")
			s.pass(time.Second)
		})
		was := s.Look(s.ctx)
		s.check(was["us-east-1a"] != nil && was["control"] != nil && was["us-east-1a"].Digest == was["control"].Digest, "us-east-1a does not follow its control plane: %v", was["us-east-1a"])
		heal()
		s.converge(30 * time.Second)
	}},
	{id: "U6", name: "something new is used before every node reads it", shape: two, bugs: bugs(failpoint.NoFormatGate), do: func(s *run) {
		use := func() *drill.Answer {
			return s.call(s.admin, "iam", "SetSecurityTokenServicePreferences", "GlobalEndpointTokenVersion", "v2Token")
		}
		s.on("eu-west-1a", "trouble "+string(failpoint.OlderBuild))
		s.until("eu-west-1a an older build's", 20*time.Second, func() bool { return s.formats()["eu-west-1a"] < s.formats()["us-east-1a"] })
		a := use()
		s.check(a.Status == 503 && strings.Contains(string(a.Body), "do not read format") && strings.Contains(string(a.Body), "eu-west-1a"), "before every node reads it: %s %s", a, a.Body)
		s.off("trouble ")
		s.until("taken", 20*time.Second, func() bool { return use().Status == 200 })
		s.made(s.admin, "iam", "SetSecurityTokenServicePreferences", "GlobalEndpointTokenVersion", "v1Token")
		s.converge(10 * time.Second)
	}},
	{id: "K3", name: "another node's key signs the heads, and the one before it is fenced", shape: zones, bugs: bugs(failpoint.FencedSigns), long: true, own: true, do: func(s *run) {
		name, term := s.Sequencer(s.ctx)
		thaw := s.freeze(name)
		s.written("TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", "k3", "Tags.member.1.Value", "a")
		thaw()
		s.converge(patience)
		next, now := s.Sequencer(s.ctx)
		s.must(next != name && now > term, "%s sequences in term %d after %s was frozen in term %d", next, now, name, term)
		log, err := os.Stat(s.Layout.Log(name))
		s.must(err == nil, "%v", err)
		s.under(&drill.Load{Retries: 1}, func() {
			out, err := s.operator("node", "fence", name, "--reason", "test")
			s.must(err == nil, "%v %s", err, out)
			s.saidSince(name, log.Size(), "this node may not commit what follows its own fencing")
			s.until(name+" gone", 20*time.Second, func() bool { return s.Look(s.ctx)[name] == nil })
			s.written("TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", "k3", "Tags.member.1.Value", "b")
			s.kill("us-east-1b") // whose copy holds heads of both keys
		})
		s.until("the Region at the control plane's state", 30*time.Second, func() bool {
			all, digests := s.Look(s.ctx), map[string]bool{}
			for _, n := range all {
				digests[n.Digest] = n.Ready
			}
			return len(all) == len(s.nodes())-1 && len(digests) == 1
		})
	}},
}

// again starts it once more, all of it.
func (s *run) again() {
	err := s.start()
	s.must(err == nil, "it does not start again: %v; it said %s", err, s.said)
	s.converge(patience)
}

// copied copies a directory.
func (s *run) copied(from, to string) {
	out, err := exec.Command("cp", "-a", from, to).CombinedOutput()
	s.must(err == nil, "%v %s", err, out)
}

// saidBy waits until a node's log has a text.
func (s *run) saidBy(node, text string) { s.saidSince(node, 0, text) }

func (s *run) saidSince(node string, from int64, text string) {
	s.until(fmt.Sprintf("%q said by %s", text, node), 30*time.Second, func() bool { return s.tells(node, from, text) })
}

// tells says whether a node's log has a text behind a place.
func (s *run) tells(node string, from int64, text string) bool {
	b, _ := os.ReadFile(s.Layout.Log(node))
	return int64(len(b)) > from && strings.Contains(string(b[from:]), text)
}

// formats are those that the nodes say that they read.
func (s *run) formats() map[string]int {
	out, err := s.operator("node", "list", "--format", "json")
	var list []struct {
		ID     string
		Format int
	}
	s.must(err == nil && json.Unmarshal([]byte(out), &list) == nil, "%v %s", err, out)
	all := map[string]int{}
	for _, n := range list {
		all[n.ID] = n.Format
	}
	return all
}

// twin runs a copy of the control plane beside it, with other commits, and has
// eu-west-1a ask that one.
func (s *run) twin() (heal func()) {
	s.stop()
	dir := filepath.Join(s.dir, "twin")
	s.copied(s.Layout.Node("control"), dir)
	s.again()
	c, err := config.Read(s.Layout.Config("control"))
	s.must(err == nil, "%v", err)
	port := nextPort()
	at := func(n int) string { return fmt.Sprint("127.0.0.1:", port+n) }
	c.Dir, c.Run, c.Operator = dir, filepath.Join(s.dir, "run"), filepath.Join(s.dir, "run", "operator.sock")
	c.API, c.Peer, c.Admin = at(0), at(1), at(2)
	s.must(os.MkdirAll(c.Run, 0o700) == nil && local.Write(filepath.Join(dir, "config.json"), c, 0o600) == nil, "the copy has no configuration")
	said := new(strings.Builder)
	cmd := exec.Command(s.bin, "serve", "control", "--config", filepath.Join(dir, "config.json"))
	cmd.Env, cmd.Stderr = append(os.Environ(), failpoint.Variable+"="+s.rig.bugs), said
	s.must(cmd.Start() == nil, "the copy does not start")
	s.heals = append(s.heals, func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	other := drill.NewClient(c.API, "us-east-1", s.now)
	for n := range 4 { // both go on, each with writes of its own
		s.until("a write taken by the copy", 30*time.Second, func() bool {
			return s.callAt(other, s.admin, "iam", "TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", "twin", "Tags.member.1.Value", fmt.Sprint(n)).Status == 200
		})
		if n < 2 {
			s.tag(s.controlClient(0), "one")
		}
	}
	s.converge(30 * time.Second)
	own := s.Addresses.Control.Peer
	s.points("eu-west-1a", c.Peer)
	return func() { s.points("eu-west-1a", own) }
}

// points has a Region node ask the control plane at an address.
func (s *run) points(node, control string) {
	c, err := config.Read(s.Layout.Config(node))
	s.must(err == nil, "%v", err)
	c.Control = control
	err = local.Write(s.Layout.Config(node), c, 0o600)
	s.must(err == nil, "%v", err)
	s.kill(node)
}
