package config_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sort"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/config"
)

// TestMain is also the child that inherits: it tells what it was handed, and
// answers one connection on the socket called api.
func TestMain(m *testing.M) {
	if os.Getenv("CONFIG_TEST_CHILD") == "" {
		os.Exit(m.Run())
	}
	in, err := config.Inherit()
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	var names []string
	for name := range in {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Printf("%q %q%q%q\n", names, os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES"), os.Getenv("LISTEN_PID"))
	l, err := in.Listener("api", "127.0.0.1:99999") // no port: without a socket there is none
	if err != nil || l == nil {
		fmt.Println("api:", err)
		return
	}
	_, left := in["api"]
	fmt.Println("left", left)
	c, err := l.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprint(c, "hello")
	c.Close()
}

// child runs a process that is handed files under names.
func child(t *testing.T, fds, names string, files ...*os.File) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "CONFIG_TEST_CHILD=1", "LISTEN_FDS="+fds, "LISTEN_FDNAMES="+names, "LISTEN_PID=1")
	cmd.ExtraFiles = files
	return cmd
}

func socket(t *testing.T) (*os.File, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, l.Addr().String()
}

func TestASocketThatIsHandedOverIsListenedOnByItsName(t *testing.T) {
	other, _ := socket(t)
	api, addr := socket(t)
	cmd := child(t, "2", "admin:api", other, api)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", addr) // the socket is open in this process: it waits
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b, err := io.ReadAll(c); err != nil || string(b) != "hello" {
		t.Errorf("%q %v", b, err)
	}
	said, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil || string(said) != "[\"admin\" \"api\"] \"\"\"\"\"\"\nleft false\n" {
		t.Errorf("%v: %s", err, said)
	}
}

func TestDescriptorsThatDoNotFitTheirNamesStopTheStart(t *testing.T) {
	f, _ := socket(t)
	pipe, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer w.Close()
	for _, x := range []struct {
		name, fds, names string
		file             *os.File
		want             string
	}{
		{"fewer names", "2", "api", f, "error: LISTEN_FDS=2 does not fit"},
		{"more names", "1", "api:admin", f, "error: LISTEN_FDS=1 does not fit"},
		{"no number", "x", "api", f, "error: LISTEN_FDS=x"},
		{"a negative one", "-1", "api", f, "error: LISTEN_FDS=-1"},
		{"no names", "1", "", f, `[""]`}, // one socket without a name is nobody's
		{"two of one name", "2", "api:api", f, "error: LISTEN_FDNAMES=api:api names api twice"},
		{"no socket", "1", "api", pipe, "api: socket api handed over:"},
		{"nothing", "", "api", f, `[] `},
	} {
		out, err := child(t, x.fds, x.names, x.file).Output()
		if err != nil || !strings.Contains(string(out), x.want) {
			t.Errorf("%s: %v %s, want %q", x.name, err, out, x.want)
		}
	}
}

func TestWithoutASocketTheAddressIsListenedOnAndWithoutEitherNothing(t *testing.T) {
	var in config.Inherited
	if l, err := in.Listener("api", ""); l != nil || err != nil {
		t.Errorf("%v %v", l, err)
	}
	l, err := in.Listener("api", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if !config.Loopback(l.Addr().String()) {
		t.Errorf("%s", l.Addr())
	}
	if again, err := in.Listener("admin", l.Addr().String()); err == nil {
		again.Close()
		t.Error("one address was listened on twice")
	}
}
