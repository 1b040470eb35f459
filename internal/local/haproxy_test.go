package local_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/holdfast-iam/holdfast/internal/local"
)

// haproxy is Debian's haproxy; where it is missing the test's list says so, and
// HOLDFAST_REQUIRE=haproxy makes that a failure.
func haproxy(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("haproxy")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/haproxy")
	}
	if err == nil {
		return path
	}
	if slices.Contains(strings.Split(os.Getenv("HOLDFAST_REQUIRE"), ","), "haproxy") {
		t.Fatal("HOLDFAST_REQUIRE asks for haproxy, which is not installed")
	}
	if list := os.Getenv("HOLDFAST_NOT_RUN"); list != "" { // the test command collects the lines
		f, err := os.OpenFile(list, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		fmt.Fprintln(f, "haproxy: it is not installed")
	}
	t.Skip("NOT RUN: haproxy: it is not installed")
	return ""
}

// stub is a node behind the balancer: it answers, or takes a request and dies.
type stub struct {
	local.BalancedNode
	ready, dies atomic.Bool
	got         atomic.Int64
	mu          sync.Mutex
	caller      string
}

func newStub(t *testing.T, name string) *stub {
	t.Helper()
	n := &stub{BalancedNode: local.BalancedNode{Name: name}}
	n.ready.Store(true)
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" || !n.ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	api := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		n.got.Add(1)
		n.mu.Lock()
		n.caller = r.RemoteAddr
		n.mu.Unlock()
		if n.dies.Load() {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, name)
	})}
	go func() { _ = api.Serve(&proxyproto.Listener{Listener: l}) }()
	t.Cleanup(func() { admin.Close(); api.Close() })
	n.API, n.Admin = l.Addr().String(), strings.TrimPrefix(admin.URL, "http://")
	return n
}

// balanced starts HAProxy before the stubs and returns its address and log.
func balanced(t *testing.T, stubs ...*stub) (base string, log *lockedBuffer) {
	t.Helper()
	path := haproxy(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := local.Balancer{Region: "us-east-1", Listen: "fd@3"}
	for _, s := range stubs {
		b.Nodes = append(b.Nodes, s.BalancedNode)
	}
	text, err := local.HAProxy(b)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log = new(lockedBuffer)
	cmd := exec.Command(path, "-db", "-f", file)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{f}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	base = "http://" + l.Addr().String()
	until(t, "answering", func() bool {
		if len(ended) > 0 {
			t.Fatalf("haproxy has ended: %s", log)
		}
		r, err := quick.Get(base + "/holdfast/v1/up")
		if err == nil {
			r.Body.Close()
		}
		return err == nil && r.StatusCode == 200
	})
	return base, log
}

// quick asks again soon.
var quick = &http.Client{Timeout: time.Second}

// client gives up on a balancer that takes a connection and never answers.
var client = &http.Client{Timeout: 20 * time.Second}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("not %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

const auth = "AWS4-HMAC-SHA256 Credential=AKID/20261125/us-east-1/%s/aws4_request, SignedHeaders=host, Signature=00"

// send sends one call; the action is in the body, or with GET in the query.
func send(t *testing.T, method, target, service, body string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", fmt.Sprintf(auth, service))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(r)
	if err != nil { // closed without a word: it was not the first request on its connection
		return 0, ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func TestTheBalancerRepeatsWhatChangesNothingAndNeverAWriteThatWasSent(t *testing.T) {
	dead, alive := newStub(t, "dead"), newStub(t, "alive")
	base, log := balanced(t, dead, alive)
	dead.dies.Store(true)
	for _, x := range []struct {
		name, method, target, service, body string
		repeated                            bool
	}{
		{"a read", "POST", "/", "iam", "Action=GetUser&Version=2010-05-08", true},
		{"a read in the query", "GET", "/?Action=ListUsers&Version=2010-05-08", "iam", "", true},
		{"STS", "POST", "/", "sts", "Action=AssumeRole&Version=2011-06-15", true},
		{"a decision", "POST", "/holdfast/v1/authorize", "holdfast", "{}", true},
		{"AuthZEN", "POST", "/access/v1/evaluation", "holdfast", "{}", true},
		{"a write", "POST", "/", "iam", "Action=CreateUser&Version=2010-05-08", false},
		{"a write that mentions a read", "POST", "/?Action=GetUser", "iam", "Action=CreateUser", false},
		{"a write in the query that mentions a read", "POST", "/?Action=CreateUser", "iam", "Action=GetUser", false},
		{"nothing that it knows", "POST", "/", "iam", "", false},
		{"a name that only begins like a read", "POST", "/", "iam", "Action=Get%20User", false},
	} {
		died := 0
		for range 8 {
			before := dead.got.Load() + alive.got.Load()
			status, _ := send(t, x.method, base+x.target, x.service, x.body)
			if status != 200 {
				died++
			}
			if sent := dead.got.Load() + alive.got.Load() - before; !x.repeated && sent != 1 {
				t.Errorf("%s was sent %d times", x.name, sent)
			}
		}
		if (died == 0) != x.repeated {
			t.Errorf("%s: %d of 8 failed", x.name, died)
		}
	}
	if strings.Contains(log.String(), "Action=") || !strings.Contains(log.String(), "GET /") {
		t.Errorf("the log shows a query, or nothing:\n%s", log)
	}
	if host, _, _ := net.SplitHostPort(alive.caller); host != "127.0.0.1" || alive.caller == "" {
		t.Errorf("the node saw the client at %q", alive.caller)
	}
}

func TestANodeThatIsNotReadyIsAskedNoMoreAndWithoutAnyTheAnswerIsAWSs(t *testing.T) {
	a, b := newStub(t, "a"), newStub(t, "b")
	base, _ := balanced(t, a, b)
	a.ready.Store(false)
	until(t, "left alone", func() bool {
		before := a.got.Load()
		for range 6 {
			if status, _ := send(t, "POST", base, "iam", "Action=CreateUser"); status != 200 {
				t.Errorf("%d while a node is ending", status)
			}
		}
		return a.got.Load() == before
	})
	b.ready.Store(false)
	var body string
	until(t, "out", func() bool {
		var status int
		status, body = send(t, "POST", base, "iam", url.Values{"Action": {"CreateUser"}}.Encode())
		return status == 503
	})
	var answer struct {
		XMLName xml.Name `xml:"https://iam.amazonaws.com/doc/2010-05-08/ ErrorResponse"`
		Code    string   `xml:"Error>Code"`
		ID      string   `xml:"RequestId"`
	}
	if err := xml.Unmarshal([]byte(body), &answer); err != nil || answer.Code != "ServiceUnavailable" || len(answer.ID) != 36 {
		t.Errorf("%v %s", err, body)
	}
}
