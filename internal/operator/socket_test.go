package operator

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
)

// private0700 is a directory with a short path that only we can reach.
func private0700(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "op")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func listen(t *testing.T, path string) net.Listener {
	t.Helper()
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestTheSocketIsOursAloneInADirectoryThatIs(t *testing.T) {
	path := filepath.Join(private0700(t), "made", "operator.sock")
	listen(t, path)
	for p, want := range map[string]fs.FileMode{path: fs.ModeSocket | 0o600, filepath.Dir(path): fs.ModeDir | 0o700} {
		if info, err := os.Lstat(p); err != nil || info.Mode() != want {
			t.Errorf("%s: %v %v, want %v", p, info.Mode(), err, want)
		}
	}
}

func TestADirectoryThatOthersReachOrThatIsNoneIsRefused(t *testing.T) {
	for _, x := range []struct {
		name  string
		do    func(dir string) error
		words string
	}{
		{"others may enter", func(dir string) error { return os.Chmod(dir, 0o701) }, "others can reach into"},
		{"a group may read", func(dir string) error { return os.Chmod(dir, 0o740) }, "others can reach into"},
		{"as /tmp is", func(dir string) error { return os.Chmod(dir, 0o777|fs.ModeSticky) }, "others can reach into"},
		{"a file", func(dir string) error { return errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600)) }, "directory"},
		{"a link to one", func(dir string) error {
			return errors.Join(os.Rename(dir, dir+"x"), os.Symlink(dir+"x", dir))
		}, "is no directory"},
	} {
		dir := filepath.Join(private0700(t), "d")
		if err := errors.Join(os.Mkdir(dir, 0o700), x.do(dir)); err != nil {
			t.Fatal(err)
		}
		l, err := Listen(filepath.Join(dir, "operator.sock"))
		if err == nil || !strings.Contains(err.Error(), x.words) {
			t.Errorf("%s: %v, want %q", x.name, err, x.words)
		}
		if l != nil {
			l.Close()
		}
	}
}

func TestASocketThatAKilledProcessLeftIsReplaced(t *testing.T) {
	path := filepath.Join(private0700(t), "operator.sock")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal("nothing was left")
	}
	l := listen(t, path)
	go func() { _, _ = l.Accept() }()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestWhatIsNoSocketIsNotRemoved(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"a file":      func(path string) error { return os.WriteFile(path, []byte("kept"), 0o600) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"a link":      func(path string) error { return os.Symlink("elsewhere", path) },
	} {
		path := filepath.Join(private0700(t), "operator.sock")
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		if l, err := Listen(path); err == nil || !strings.Contains(err.Error(), "is no socket") {
			t.Errorf("%s: %v", name, err)
			l.Close()
		}
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%s was removed", name)
		}
	}
}

func TestAPeerIsOurselfOrRoot(t *testing.T) {
	for _, x := range []struct {
		peer, own uint32
		want      bool
	}{{1000, 1000, true}, {0, 1000, true}, {0, 0, true}, {1001, 1000, false}, {1000, 0, false}, {65534, 0, false}} {
		if admits(x.peer, x.own) != x.want {
			t.Errorf("%+v", x)
		}
	}
}

// serve runs a server on a socket and returns its path.
func serve(t *testing.T, w *world) string {
	t.Helper()
	path := filepath.Join(private0700(t), "operator.sock")
	l := listen(t, path)
	s := grpc.NewServer()
	operatorpb.RegisterOperatorServer(s, w.Server)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return path
}

func dial(t *testing.T, path string, key *Key) *Client {
	t.Helper()
	c, err := Dial([]string{path}, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestAClientTellsWhatWasDoneFromWhatWasRefusedAndWhatIsNotKnown(t *testing.T) {
	w := newWorld(t, "development")
	path := serve(t, w)
	c := dial(t, path, w.key)
	var made NewAccount
	r, err := c.Execute(context.Background(), "account.create", map[string]string{"name": "n", "id": "333344445555"}, &made, w.now)
	if err != nil || made.Account != "333344445555" || r.Revision == "" {
		t.Fatalf("%v %+v", err, made)
	}
	var refused *Refused
	_, err = c.Execute(context.Background(), "account.create", map[string]string{"id": "333344445555"}, &made, w.now)
	if !errors.As(err, &refused) || refused.Reason != "account 333344445555 exists" {
		t.Errorf("%v", err)
	}
	_, err = c.Execute(context.Background(), "account.take", struct{}{}, &made, w.now)
	if !errors.As(err, &refused) {
		t.Errorf("an unknown command: %v", err)
	}
	_, err = dial(t, path, &Key{ID: "eve", Seed: make([]byte, 32)}).Execute(context.Background(), "account.list", struct{}{}, &made, w.now)
	if !errors.As(err, &refused) || !strings.Contains(refused.Reason, "not signed by an enrolled operator") {
		t.Errorf("a stranger: %v", err)
	}
	w.Commit = func(context.Context, Change) (Done, error) { return Done{}, errors.New("no quorum") }
	_, err = c.Execute(context.Background(), "account.create", struct{}{}, &made, w.now)
	if !errors.Is(err, ErrUnconfirmed) || errors.As(err, &refused) {
		t.Errorf("without quorum: %v", err)
	}
	nowhere := dial(t, filepath.Join(private0700(t), "none.sock"), w.key)
	if _, err := nowhere.Execute(context.Background(), "account.list", struct{}{}, &made, w.now); !errors.Is(err, ErrUnreachable) {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestAKeyFileIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(private0700(t), "operator.key")
	k, err := MakeKey(path, "ann")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o400 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if again, err := LoadKey(path); err != nil || !again.Public().Equal(k.Public()) || again.ID != "ann" {
		t.Errorf("%+v %v", again, err)
	}
	if _, err := MakeKey(path, "bob"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("it was overwritten: %v", err)
	}
	if err := os.Chmod(path, 0o440); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(path); err == nil || !strings.Contains(err.Error(), "can be read by others") {
		t.Errorf("%v", err)
	}
	for name, text := range map[string]string{"no JSON": "secret-seed", "no id": `{"seed":"c2VjcmV0LXNlZWQ="}`, "a short seed": `{"id":"ann","seed":"c2VjcmV0LXNlZWQ="}`, "nothing": ""} {
		path := filepath.Join(private0700(t), "operator.key")
		if err := os.WriteFile(path, []byte(text), 0o400); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKey(path); err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "holds no operator's key") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, k := range map[string]*Key{"no id": {Seed: make([]byte, 32)}, "a long id": {ID: strings.Repeat("k", maxName+1), Seed: make([]byte, 32)}, "no seed": {ID: "ann"}} {
		if _, err := Sign(k, "account.list", struct{}{}, time.Now()); err == nil {
			t.Errorf("%s: signed", name)
		}
		if _, err := Dial([]string{"x"}, k); err == nil {
			t.Errorf("%s: dialled", name)
		}
	}
	if _, err := MakeKey(filepath.Join(private0700(t), "k"), ""); err == nil {
		t.Error("a key without an id was made")
	}
}
