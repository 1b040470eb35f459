package scenario

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/store"
)

// certificates are faults of what the store's members prove themselves with.
var certificates = []scenario{
	{id: "S6", name: "a member of the store shows another authority's certificate", shape: zones, bugs: bugs(failpoint.AnyMember), long: true, own: true, early: true, do: func(s *run) {
		var m local.Marker
		s.must(local.Read(s.Layout.Marker(), &m) == nil, "no marker")
		name, _ := s.Sequencer(s.ctx)
		victim := s.ControlNodes()[0]
		if victim == name {
			victim = s.ControlNodes()[1]
		}
		crt, key := s.foreignMember(victim)
		s.must(visits(m.Etcd[name], s.Layout.EtcdFile(victim, "crt"), s.Layout.EtcdFile(victim, "key")) == nil, "a member is not answered by another one")
		s.check(visits(m.Etcd[name], crt, key) != nil, "a member answers who shows another authority's certificate")
		s.check(visits(m.Etcd[name], "", "") != nil, "a member answers who shows none")
		s.ledger(func(l *drill.Ledger) {
			s.acked(l, 10)
			log, err := os.Stat(s.Layout.Log(victim))
			s.must(err == nil, "%v", err)
			back := s.swapped(victim, crt, key)
			s.must(s.Kill(victim) == nil, "kill")
			s.saidSince(victim, log.Size(), "did not issue the member's certificate")
			s.acked(l, 10)
			back()
			s.until(victim+" back", patience, func() bool { n := s.Look(s.ctx)[victim]; return n != nil && n.Ready })
			s.acked(l, 10)
		})
	}},
}

// foreignMember is a certificate for a member, and its key, of an authority that
// none of the others knows.
func (s *run) foreignMember(name string) (crt, key string) {
	file := func(name string) string { return filepath.Join(s.dir, name) }
	err := store.MakeAuthority(file("authority.crt"), file("authority.key"), time.Now())
	s.must(err == nil, "%v", err)
	err = store.IssueMember(file("authority.crt"), file("authority.key"), file("member.crt"), file("member.key"), name, "127.0.0.1", time.Now())
	s.must(err == nil, "%v", err)
	return file("member.crt"), file("member.key")
}

// swapped puts a pair in the place of a member's, until it is told otherwise.
func (s *run) swapped(node, crt, key string) (back func()) {
	read := func(path string) []byte {
		b, err := os.ReadFile(path)
		s.must(err == nil, "%v", err)
		return b
	}
	ownCrt, ownKey := read(s.Layout.EtcdFile(node, "crt")), read(s.Layout.EtcdFile(node, "key"))
	set := func(crt, key []byte) {
		s.replace(s.Layout.EtcdFile(node, "crt"), crt, 0o644)
		s.replace(s.Layout.EtcdFile(node, "key"), key, 0o400)
	}
	set(read(crt), read(key))
	return func() { set(ownCrt, ownKey) }
}

// visits asks a member where the others ask it, with a certificate or none.
func visits(address, crt, key string) error {
	conf := &tls.Config{InsecureSkipVerify: true}
	if crt != "" {
		pair, err := tls.LoadX509KeyPair(crt, key)
		if err != nil {
			return err
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}}
	res, err := client.Get("https://" + address + "/version")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	if err == nil && res.StatusCode != 200 {
		err = fmt.Errorf("status %d", res.StatusCode)
	}
	return err
}
