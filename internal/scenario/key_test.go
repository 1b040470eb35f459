package scenario

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

const day = 24 * time.Hour

var keys = []scenario{
	{id: "K4", name: "a Region that is cut off for forty days signs with the keys that it published", shape: two, bugs: bugs(failpoint.NoKeysAhead), long: true, own: true, early: true, tools: firewall, do: func(s *run) { cutOff(s, 4, 10*day) }},
	{id: "K5", name: "a node is fenced: what it minted is refused everywhere", shape: two, bugs: bugs(failpoint.MinterUnchecked), own: true, do: func(s *run) {
		minted := s.session("eu-west-1")
		a := s.callAt(s.Client("us-east-1"), minted, "sts", "GetCallerIdentity")
		s.must(a.Status == 200, "before: %s", a)
		out, err := s.operator("node", "fence", "eu-west-1a", "--reason", "test")
		s.must(err == nil, "%v %s", err, out)
		a = s.callAt(s.Client("us-east-1"), minted, "sts", "GetCallerIdentity")
		s.check(a.Status == 403, "a session of the fenced node is answered %s", a)
		a = s.callAt(s.controlClient(0), minted, "iam", "GetRole", "RoleName", s.cast.Name)
		s.check(a.Status == 403, "by the control plane it is answered %s", a)
	}},
	{id: "X1", name: "a fenced node asks for the feed", shape: two, bugs: bugs(failpoint.FencedFollow), long: true, own: true, do: func(s *run) {
		out, err := s.operator("node", "fence", "eu-west-1a", "--reason", "test")
		s.must(err == nil, "%v %s", err, out)
		s.until("it follows nobody", 10*time.Second, func() bool { n := s.Look(s.ctx)["eu-west-1a"]; return n == nil || !n.Connected })
		s.tag(s.Client("us-east-1"), "x1")
		all := s.Look(s.ctx)
		s.check(all["eu-west-1a"] == nil || all["eu-west-1a"].Index < all["control"].Index, "it has what was written after it was fenced")
	}},
	{id: "K6", name: "a session outlives the key that signed it", shape: one, bugs: bugs(failpoint.KeysByTimer), long: true, own: true, do: func(s *run) {
		s.made(s.admin, "iam", "UpdateRole", "RoleName", s.cast.Name, "MaxSessionDuration", "43200")
		s.passed(30*day-4*time.Hour, s.everybody()...)
		long := s.made(s.cast.User, "sts", "AssumeRole", "RoleArn", s.cast.RoleARN(), "RoleSessionName", "long", "DurationSeconds", "43200").Credential()
		s.passed(30*day+4*time.Hour, s.everybody()...)
		a := s.call(long, "sts", "GetCallerIdentity")
		s.check(a.Status == 200, "four hours after its key ended, and four before itself: %s", a)
		s.passed(30*day+9*time.Hour, s.everybody()...)
		s.expired(long)
	}},
	{id: "K7", name: "the control plane starts with another deployment's KEK", shape: one, bugs: bugs(failpoint.KEKUnchecked), do: func(s *run) {
		good, err := os.ReadFile(s.Layout.KEK())
		s.must(err == nil, "%v", err)
		bad := append([]byte{}, good...)
		bad[0] ^= 1
		s.replace(s.Layout.KEK(), bad, 0o400)
		defer s.replace(s.Layout.KEK(), good, 0o400)
		err = s.Kill("control")
		s.must(err == nil, "%v", err)
		s.under(&drill.Load{}, func() {
			s.until("said", 20*time.Second, func() bool {
				b, _ := os.ReadFile(s.Layout.Log("control"))
				return strings.Contains(string(b), "is another deployment")
			})
		})
		s.replace(s.Layout.KEK(), good, 0o400)
		s.converge(30 * time.Second)
	}},
	{id: "K9", name: "another token comes with an access key id that was seen", shape: one, bugs: bugs(failpoint.CacheByKeyID), do: func(s *run) {
		good := s.session("us-east-1")
		s.made(good, "sts", "GetCallerIdentity")
		other := s.session("us-east-1")
		for i, token := range []string{other.Token, flip(good.Token, 0), flip(good.Token, len(good.Token)/2), flip(good.Token, len(good.Token)-2), good.Token[:len(good.Token)-4]} {
			a := s.call(drill.Credential{ID: good.ID, Secret: good.Secret, Token: token}, "sts", "GetCallerIdentity")
			s.check(a.Status == 403, "token %d is answered %s", i, a)
		}
		s.made(good, "sts", "GetCallerIdentity")
	}},
	{id: "I3a", name: "a key is made inactive: no node admits it once that is answered", shape: two, bugs: bugs(failpoint.InactiveSigns, failpoint.NoWait), do: func(s *run) {
		s.onAll("trouble "+string(failpoint.SlowApply), "eu-west-1a")
		for range 3 {
			key := s.made(s.admin, "iam", "CreateAccessKey", "UserName", s.second()).Credential()
			s.until("known in both", 20*time.Second, func() bool { return s.callAt(s.Client("eu-west-1"), key, "sts", "GetCallerIdentity").Status == 200 })
			a := s.made(s.admin, "iam", "UpdateAccessKey", "UserName", s.cast.Name+"-2", "AccessKeyId", key.ID, "Status", "Inactive")
			lacks := a.Header.Get("X-Holdfast-Applied")
			for _, region := range s.Regions() {
				if strings.Contains(lacks, region+"a") {
					continue // the answer says so
				}
				a := s.callAt(s.Client(region), key, "sts", "GetCallerIdentity")
				s.check(a.Code() == "InvalidClientTokenId", "in %s, which has it, the key is answered %s; applied: %s", region, a, lacks)
			}
			s.made(s.admin, "iam", "DeleteAccessKey", "UserName", s.cast.Name+"-2", "AccessKeyId", key.ID)
		}
		s.off("trouble ")
	}},
	{id: "I3b", name: "an operator denies a key", shape: two, bugs: bugs(failpoint.DenialsIgnored), do: func(s *run) {
		key := s.made(s.admin, "iam", "CreateAccessKey", "UserName", s.second()).Credential()
		s.until("known in both", 20*time.Second, func() bool { return s.callAt(s.Client("eu-west-1"), key, "sts", "GetCallerIdentity").Status == 200 })
		out, err := s.operator("deny", "key", key.ID, "--reason", "test")
		s.must(err == nil, "%v %s", err, out)
		for _, region := range s.Regions() {
			a := s.callAt(s.Client(region), key, "sts", "GetCallerIdentity")
			s.check(a.Code() == "AccessDenied", "in %s the key is answered %s", region, a)
		}
		s.made(s.admin, "iam", "DeleteAccessKey", "UserName", s.cast.Name+"-2", "AccessKeyId", key.ID)
	}},
	{id: "X3", name: "a key is made inactive while it writes: no write of its own follows", shape: one, bugs: bugs(failpoint.NoRecheck), do: func(s *run) {
		for range 8 {
			s.race()
		}
	}},
}

// flip changes one character of a token.
func flip(token string, at int) string {
	b := []byte(token)
	if b[at] == 'A' {
		b[at] = 'B'
	} else {
		b[at] = 'A'
	}
	return string(b)
}

// replace replaces a file that cannot be written.
func (s *run) replace(path string, b []byte, mode os.FileMode) {
	err := os.WriteFile(path+".other", b, mode)
	if err == nil {
		err = os.Rename(path+".other", path)
	}
	s.must(err == nil, "%v", err)
}

// second is another user than the cast's, who may tag itself; made once.
func (s *run) second() string {
	name := s.cast.Name + "-2"
	if s.call(s.admin, "iam", "GetUser", "UserName", name).Status != 200 {
		s.made(s.admin, "iam", "CreateUser", "UserName", name, "Path", drill.Path)
		s.made(s.admin, "iam", "PutUserPolicy", "UserName", name, "PolicyName", "p", "PolicyDocument",
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:TagUser","Resource":"*"}}`)
	}
	return name
}

// race has a key write from many clients while it is made inactive.
func (s *run) race() {
	name, c := s.second(), s.controlClient(0)
	key := s.made(s.admin, "iam", "CreateAccessKey", "UserName", name).Credential()
	var wait sync.WaitGroup
	var mu sync.Mutex
	var written []uint64
	stop := make(chan struct{})
	for i := range 24 {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				a := s.callAt(c, key, "iam", "TagUser", "UserName", name, "Tags.member.1.Key", fmt.Sprint("x", i), "Tags.member.1.Value", fmt.Sprint(time.Now().UnixNano()))
				if a.Status == 200 {
					mu.Lock()
					written = append(written, indexOf(a))
					mu.Unlock()
				}
			}
		})
	}
	s.pass(150 * time.Millisecond)
	a := s.callAt(c, s.admin, "iam", "UpdateAccessKey", "UserName", name, "AccessKeyId", key.ID, "Status", "Inactive")
	s.pass(100 * time.Millisecond)
	close(stop)
	wait.Wait()
	s.must(a.Status == 200, "UpdateAccessKey: %s %s", a, a.Body)
	for _, index := range written {
		s.check(index <= indexOf(a), "a write at index %d was taken, and its key was made inactive at %d", index, indexOf(a))
	}
	s.made(s.admin, "iam", "DeleteAccessKey", "UserName", name, "AccessKeyId", key.ID)
}

// indexOf is the index of an answer's revision.
func indexOf(a *drill.Answer) uint64 {
	_, text, _ := strings.Cut(a.Revision(), "-")
	for strings.Contains(text, "-") {
		_, text, _ = strings.Cut(text, "-")
	}
	n, _ := strconv.ParseUint(text, 16, 64)
	return n
}
