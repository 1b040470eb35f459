package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
	"github.com/pires/go-proxyproto/tlvparse"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/store"
)

// told is a server behind a proxy at one of the given addresses, which answers
// what it knows of its client.
func told(t *testing.T, conf *tls.Config, proxies ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var list []netip.Prefix
	for _, p := range proxies {
		list = append(list, netip.MustParsePrefix(p))
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.RemoteAddr, " ", r.TLS != nil)
	})
	go func() {
		done <- serveHTTP(ctx, behindProxies(l, list), clientTLS(h), conf, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() { cancel(); <-done })
	return l.Addr().String()
}

// header is a PROXY header of 192.0.2.7:1234; secure adds that it spoke TLS.
func header(t *testing.T, version byte, secure bool) string {
	t.Helper()
	h := proxyproto.HeaderProxyFromAddrs(version, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 1234}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80})
	if secure {
		tlv, err := tlvparse.PP2SSL{Client: tlvparse.PP2_BITFIELD_CLIENT_SSL, TLV: []proxyproto.TLV{{Type: proxyproto.PP2_SUBTYPE_SSL_VERSION, Value: []byte("TLSv1.3")}}}.Marshal()
		if err == nil {
			err = h.SetTLVs([]proxyproto.TLV{tlv})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func ask(t *testing.T, address, before string, conf *tls.Config) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, before)
	if conf != nil {
		c = tls.Client(c, conf)
	}
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	b, _ := io.ReadAll(c) // a refusal may be a reset
	_, body, _ := strings.Cut(string(b), "\r\n\r\n")
	if !strings.HasPrefix(string(b), "HTTP/1.1 200") {
		return "refused"
	}
	return body
}

func TestAClientsAddressAndTLSAreAListedBalancersWordAndNobodyElses(t *testing.T) {
	listed, other := told(t, nil, "127.0.0.0/8"), told(t, nil, "10.0.0.0/8")
	for _, x := range []struct{ name, address, before, want string }{
		{"a listed balancer", listed, header(t, 2, false), "192.0.2.7:1234 false"},
		{"a listed balancer whose client spoke TLS", listed, header(t, 2, true), "192.0.2.7:1234 true"},
		{"a listed balancer that says nothing", listed, "", "refused"},
		{"the text form", listed, header(t, 1, false), "refused"},
		{"two headers", listed, header(t, 2, false) + header(t, 2, true), "refused"},
		{"a stranger", other, "", "127.0.0.1:"},
		{"a stranger who claims to be a balancer", other, header(t, 2, true), "refused"},
		{"a stranger who claims it in text", other, header(t, 1, false), "refused"},
	} {
		if got := ask(t, x.address, x.before, nil); !strings.HasPrefix(got, x.want) {
			t.Errorf("%s: %q, want %q", x.name, got, x.want)
		}
	}
}

// pairOf makes a certificate for a name, in place of what was there.
func pairOf(t *testing.T, dir, name string) *config.Config {
	t.Helper()
	f := func(s string) string { return filepath.Join(dir, s) }
	now := time.Now()
	if err := store.MakeAuthority(f("ca.crt"), f("ca.key"), now); err != nil {
		t.Fatal(err)
	}
	if err := store.IssueMember(f("ca.crt"), f("ca.key"), f("crt"), f("key"), name, "127.0.0.1", now); err != nil {
		t.Fatal(err)
	}
	return &config.Config{TLSCert: f("crt"), TLSKey: f("key")}
}

func TestBehindABalancerTheClientsTLSCountsNotTheBalancers(t *testing.T) {
	conf, err := tlsOf(pairOf(t, t.TempDir(), "one"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	address := told(t, conf, "127.0.0.0/8")
	lax := &tls.Config{InsecureSkipVerify: true}
	if got := ask(t, address, header(t, 2, false), lax); got != "192.0.2.7:1234 false" {
		t.Errorf("a client that spoke plain HTTP to its balancer: %q", got)
	}
	if got := ask(t, address, header(t, 2, true), lax); got != "192.0.2.7:1234 true" {
		t.Errorf("a client that spoke TLS to its balancer: %q", got)
	}
}

func TestANewCertificateIsShownAndABrokenOneIsNot(t *testing.T) {
	dir := t.TempDir()
	c := pairOf(t, dir, "one")
	own := &certificate{cert: c.TLSCert, key: c.TLSKey, log: slog.New(slog.DiscardHandler)}
	if err := own.load(); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	shown := func() string {
		now = now.Add(certificateLook)
		return own.current(now).Leaf.Subject.CommonName
	}
	if shown() != "one" {
		t.Errorf("%s", shown())
	}
	pairOf(t, dir, "two")
	if shown() != "two" {
		t.Errorf("after a renewal: %s", shown())
	}
	own.key = filepath.Join(dir, "none")
	if shown() != "two" {
		t.Errorf("without a key: %s", shown())
	}
}

func TestClientsOfOldTLSAreRefused(t *testing.T) {
	conf, err := tlsOf(pairOf(t, t.TempDir(), "one"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	address := told(t, conf)
	for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
		if (err == nil) != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			c.Close()
		}
	}
}

func TestANodeThatIsEndingSaysSoBeforeItStops(t *testing.T) {
	asked := make(chan struct{})
	status := ending(func() Status { return Status{Ready: true} }, asked)
	if !status().Ready {
		t.Error("ending already")
	}
	close(asked)
	if s := status(); s.Ready || s.Why == "" {
		t.Errorf("%+v", s)
	}
}

func TestAnswersOfANodeThatIsEndingTellClientsToLeave(t *testing.T) {
	asked := make(chan struct{})
	s := httptest.NewServer(leaving(http.NotFoundHandler(), asked, nil))
	defer s.Close()
	stays := func() bool {
		r, err := http.Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return !r.Close
	}
	if !stays() {
		t.Error("a client leaves a node that is not ending")
	}
	close(asked)
	if stays() {
		t.Error("a client stays")
	}
}

func TestASocketThatIsHandedOverIsPlainOnLoopbackAlone(t *testing.T) {
	everywhere, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer everywhere.Close()
	here, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	for _, x := range []struct {
		l    net.Listener
		c    config.Config
		want bool
	}{{here, config.Config{}, true}, {everywhere, config.Config{}, false}, {everywhere, config.Config{InsecureHTTP: true}, true}, {everywhere, config.Config{TLSCert: "c"}, true}} {
		if err := mayBePlain(x.l, &x.c); (err == nil) != x.want {
			t.Errorf("%s %+v: %v", x.l.Addr(), x.c, err)
		}
	}
}
