package backup

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

var (
	rootKey = ed25519.NewKeyFromSeed([]byte(strings.Repeat("r", 32)))
	headKey = ed25519.NewKeyFromSeed([]byte(strings.Repeat("h", 32)))
	seed    = []byte(strings.Repeat("s", 16))
	began   = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
)

func hashOf(key ed25519.PrivateKey) string {
	return fmt.Sprintf("%x", sha256.Sum256(key.Public().(ed25519.PublicKey)))
}

// deployment is a state with its log.
type deployment struct {
	t    testing.TB
	view *view.View
	log  []*record.LogValue
}

// newDeployment has a genesis, a node and some users, one a commit.
func newDeployment(t testing.TB, users int) *deployment {
	d := &deployment{t: t, view: &view.View{State: view.Empty(seed), Head: record.Head{Cluster: "c", Lineage: "l"}}}
	d.commit(func(tx record.Tx) error {
		g := &record.Genesis{Cluster: "c", Lineage: "l", Mode: "development", Root: rootKey.Public().(ed25519.PublicKey), HashSeed: seed}
		g.Sign(rootKey)
		n := &record.Node{ID: "n", Role: record.ControlNode, Head: headKey.Public().(ed25519.PublicKey)}
		return errors.Join(record.Put(tx, record.Geneses, g), record.Put(tx, record.Nodes, n))
	})
	for i := range users {
		d.commit(func(tx record.Tx) error {
			return record.Put(tx, record.Users, &record.User{Account: "111122223333", ID: fmt.Sprintf("AIDA%012d", i), Name: fmt.Sprintf("user%d", i), Path: "/"})
		})
	}
	return d
}

func (d *deployment) commit(change func(record.Tx) error) {
	d.t.Helper()
	p := d.view.Begin()
	if err := change(p); err != nil {
		d.t.Fatal(err)
	}
	head := d.view.Head
	head.Index++
	head.Time, head.Format, head.Node = began.UnixMilli()+int64(head.Index), record.Format, "n"
	public := (&record.Public{Index: head.Index, Time: head.Time, Format: record.Format, Changes: p.Changes()}).Append(nil)
	private := []byte(`{"op":"test"}`)
	head.Chain = record.Link(head.Chain, public, sha256.Sum256(private))
	state := p.State()
	head.State = state.Digest()
	head.Sign(headKey)
	d.view = &view.View{State: state, Head: head}
	d.log = append(d.log, &record.LogValue{Head: head, Records: []record.Logged{{Public: public, Private: private}}})
}

// read yields the log two commits at a time.
func (d *deployment) read(_ context.Context, from uint64) ([]*record.LogValue, error) {
	var list []*record.LogValue
	for _, l := range d.log {
		if l.Head.Index >= from && len(list) < 2 {
			list = append(list, l)
		}
	}
	return list, nil
}

func identity(t testing.TB) *age.X25519Identity {
	t.Helper()
	i, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func (d *deployment) backup(to *age.X25519Identity) []byte {
	d.t.Helper()
	var b bytes.Buffer
	recipients, err := Recipients([]string{to.Recipient().String()})
	if err == nil {
		_, err = Write(context.Background(), &b, d.view, d.read, record.At(began), recipients, nil)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return b.Bytes()
}

func TestABackupReadsBackAsTheStateAndLogThatItWasMadeOf(t *testing.T) {
	d, key := newDeployment(t, 7), identity(t)
	file := d.backup(key)
	d.commit(func(tx record.Tx) error { // goes on meanwhile
		return record.Put(tx, record.Regions, &record.Region{Name: "us-east-1"})
	})
	var log []*record.LogValue
	b, err := Read(bytes.NewReader(file), []age.Identity{key}, hashOf(rootKey), func(l *record.LogValue) error { log = append(log, l); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if b.View.Head.Index != 8 || b.View.Digest() != d.log[7].Head.State || b.View.Len() != 9 || len(log) != 8 {
		t.Errorf("index %d, %d records, %d commits", b.View.Head.Index, b.View.Len(), len(log))
	}
	if s := b.Summary; s.Records != 9 || s.LogFirst != 1 || s.LogLast != 8 || s.Revision != "l-8" {
		t.Errorf("%+v", s)
	}
}

func TestABackupMayBeginWhereTheLogWasTrimmed(t *testing.T) {
	d, key := newDeployment(t, 7), identity(t)
	d.log = d.log[4:]
	b, err := Read(bytes.NewReader(d.backup(key)), []age.Identity{key}, hashOf(rootKey), nil)
	if err != nil || b.Summary.LogFirst != 5 {
		t.Errorf("%v %+v", err, b)
	}
}

func TestABackupThatIsCutChangedOrForeignIsRefused(t *testing.T) {
	d, key := newDeployment(t, 3), identity(t)
	file := d.backup(key)
	read := func(b []byte, i age.Identity, root string) error {
		_, err := Read(bytes.NewReader(b), []age.Identity{i}, root, nil)
		return err
	}
	for n := 0; n < len(file); n += 7 {
		if read(file[:n], key, hashOf(rootKey)) == nil {
			t.Fatalf("cut at %d is taken", n)
		}
		changed := bytes.Clone(file)
		changed[n] ^= 1
		if read(changed, key, hashOf(rootKey)) == nil {
			t.Fatalf("changed at %d is taken", n)
		}
	}
	if read(append(bytes.Clone(file), 0), key, hashOf(rootKey)) == nil {
		t.Error("what has something behind its end is taken")
	}
	if err := read(file, identity(t), hashOf(rootKey)); err == nil {
		t.Error("another identity reads it")
	}
	if err := read(file, key, hashOf(headKey)); err == nil || !strings.Contains(err.Error(), "another root") {
		t.Errorf("of another root: %v", err)
	}
}

// Who can encrypt to a recipient is
// anybody, so each part is held against the root, the head or the chain.
func TestWhatAStrangerEncryptsIsRefused(t *testing.T) {
	key := identity(t)
	for name, spoil := range map[string]func(d *deployment){
		"a head that its node did not sign":  func(d *deployment) { d.view.Head.Sign(rootKey) },
		"a state that its head is not of":    func(d *deployment) { d.view.State = view.Empty(seed).Begin().State() },
		"another lineage":                    func(d *deployment) { d.view.Head.Lineage = "k"; d.view.Head.Sign(headKey) },
		"a log that lacks a commit":          func(d *deployment) { d.log = append(d.log[:1:1], d.log[2:]...) },
		"a log with a changed record":        func(d *deployment) { d.log[2].Records[0].Private = []byte(`{"op":"else"}`) },
		"a log that ends before its state":   func(d *deployment) { d.log = d.log[:3] },
		"a log whose end is another's":       func(d *deployment) { d.log[3].Head.Chain[0] ^= 1 },
		"a genesis that the root signed not": func(d *deployment) { d.unsigned() },
	} {
		d := newDeployment(t, 3)
		spoil(d)
		var b bytes.Buffer
		recipients, err := Recipients([]string{key.Recipient().String()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Write(context.Background(), &b, d.view, d.read, record.At(began), recipients, nil); err != nil {
			continue // refused where it is written
		}
		if _, err := Read(bytes.NewReader(b.Bytes()), []age.Identity{key}, hashOf(rootKey), nil); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestTheEndSumsUpAllBeforeIt(t *testing.T) {
	d, key := newDeployment(t, 1), identity(t)
	plain, err := age.Decrypt(bytes.NewReader(d.backup(key)), key)
	if err != nil {
		t.Fatal(err)
	}
	var inside, sealed bytes.Buffer
	if _, err := inside.ReadFrom(plain); err != nil {
		t.Fatal(err)
	}
	inside.Bytes()[inside.Len()-1] ^= 1
	w, err := age.Encrypt(&sealed, key.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inside.WriteTo(w); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	if _, err := Read(&sealed, []age.Identity{key}, hashOf(rootKey), nil); !errors.Is(err, errCut) {
		t.Errorf("got %v", err)
	}
}

// unsigned gives the state a genesis of a stranger.
func (d *deployment) unsigned() {
	d.commit(func(tx record.Tx) error {
		g, err := record.Get(tx, record.Geneses, record.None, "genesis")
		if err != nil {
			return err
		}
		g.Sign(headKey)
		return record.Put(tx, record.Geneses, g)
	})
}

func TestABackupHasRecipientsOrIsNotMade(t *testing.T) {
	for _, names := range [][]string{nil, {"age1"}, {identity(t).String()}, {"ssh-ed25519 AAAA"}} {
		if _, err := Recipients(names); err == nil {
			t.Errorf("%d recipients are taken", len(names))
		}
	}
	if _, err := Recipients([]string{identity(t).Recipient().String()}); err != nil {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	d := newDeployment(f, 2)
	var b bytes.Buffer
	key, err := age.GenerateX25519Identity()
	if err != nil {
		f.Fatal(err)
	}
	if _, err := Write(context.Background(), &b, d.view, d.read, record.At(began), []age.Recipient{key.Recipient()}, nil); err != nil {
		f.Fatal(err)
	}
	plain, err := age.Decrypt(bytes.NewReader(b.Bytes()), key)
	if err != nil {
		f.Fatal(err)
	}
	var inside bytes.Buffer
	if _, err := inside.ReadFrom(plain); err != nil {
		f.Fatal(err)
	}
	f.Add(inside.Bytes())
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		var sealed bytes.Buffer
		w, err := age.Encrypt(&sealed, key.Recipient())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		got, err := Read(&sealed, []age.Identity{key}, hashOf(rootKey), nil)
		if err == nil && got.View.Digest() != d.view.Digest() {
			t.Error("a state that nobody signed is taken")
		}
	})
}
