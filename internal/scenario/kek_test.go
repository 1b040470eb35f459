package scenario

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/keyring"
)

var renewals = []scenario{
	{id: "K8a", name: "the control plane dies with the KEK half renewed", shape: two, bugs: bugs(failpoint.ResealsOnce), long: true, own: true, do: func(s *run) {
		key := s.keyOfSecond()
		s.addKEK()
		s.under(&drill.Load{}, func() {
			before := s.Pids("control")
			s.on("control", "crash "+string(failpoint.BetweenSeals)) // it has read the old file yet
			s.kill("control")
			died := s.Pids("control")
			s.replaced(died)
			s.check(died["control"] != before["control"], "it did not start with the new file")
			s.until("all sealed under the new KEK", patience, func() bool { return s.resealed("control") })
		})
		s.dropKEKs()
		s.kill("control")
		s.secrets(key)
		s.converge(30 * time.Second)
	}},
	{id: "K8b", name: "one control-plane node of three has no new KEK yet, and takes over", shape: zones, bugs: bugs(failpoint.SealsAhead), long: true, own: true, do: func(s *run) {
		key := s.keyOfSecond()
		late, _ := s.Sequencer(s.ctx)
		s.addKEK()
		for _, node := range s.ControlNodes() {
			if node != late {
				s.kill(node)
			}
		}
		thaw := s.freeze(late)
		s.secrets(key) // by one that has it
		s.pass(settling)
		thaw()
		for range 12 {
			name, _ := s.Sequencer(s.ctx)
			if name == late {
				break
			}
			thaw := s.freeze(name)
			s.written("TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", "k8", "Tags.member.1.Value", name)
			thaw()
		}
		name, _ := s.Sequencer(s.ctx)
		s.must(name == late, "%s took over, and never %s", name, late)
		s.secrets(key)
		s.kill(late)
		s.until("all sealed under the new KEK", 2*patience, func() bool { return s.resealed(s.ControlNodes()...) })
		s.dropKEKs()
		for _, node := range s.ControlNodes() {
			s.kill(node)
			s.secrets(key)
		}
		s.converge(30 * time.Second)
	}},
}

// keyOfSecond makes the second user a key.
func (s *run) keyOfSecond() drill.Credential {
	return s.made(s.admin, "iam", "CreateAccessKey", "UserName", s.second()).Credential()
}

// addKEK puts a new key into the KEK's file, which all control-plane nodes read.
func (s *run) addKEK() {
	err := keyring.AddKEK(s.Layout.KEK())
	s.must(err == nil, "%v", err)
}

// dropKEKs leaves the new one alone there.
func (s *run) dropKEKs() {
	err := keyring.DropKEKs(s.Layout.KEK(), s.Layout.KEK()+".earlier")
	s.must(err == nil, "%v", err)
}

// resealed says whether a node has said that nothing is sealed under an earlier KEK.
func (s *run) resealed(nodes ...string) bool {
	for _, node := range nodes {
		if b, err := os.ReadFile(s.Layout.Log(node)); err == nil && bytes.Contains(b, []byte("nothing is sealed under an earlier KEK")) {
			return true
		}
	}
	return false
}

// secrets says that the control plane opens and seals what needs a secret: every
// write's answer is sealed, and a key signs that was there before.
func (s *run) secrets(before drill.Credential) {
	s.written("TagUser", "UserName", s.cast.Name, "Tags.member.1.Key", "k8", "Tags.member.1.Value", fmt.Sprint(time.Now().UnixNano()))
	for n, node := range s.ControlNodes() {
		a := s.callAt(s.controlClient(n), before, "iam", "GetUser")
		s.check(a.Status == 0 || a.Status < 500 && a.Code() != "InvalidClientTokenId" && a.Code() != "SignatureDoesNotMatch", "a key of before is answered %s at %s", a, node)
	}
}
