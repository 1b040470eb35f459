package node

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/admission"
)

// Whoever sends most of a body and then nothing holds room until he is cut off, and
// takes none from small requests.
func TestBodiesThatAreHeldAreCountedUntilTheirRequestsEnd(t *testing.T) {
	const large = 300 << 10
	s := httptest.NewServer(counted(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		if full := (*admission.Refusal)(nil); errors.As(err, &full) {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}), admission.NewBodies(large, large)))
	defer s.Close()
	post := func(size int) int {
		t.Helper()
		r, err := s.Client().Post(s.URL, "text/plain", strings.NewReader(strings.Repeat("x", size)))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		return r.StatusCode
	}
	until := func(size, status int) {
		t.Helper()
		for post(size) != status {
			if t.Context().Err() != nil {
				t.Fatalf("never %d", status)
			}
		}
	}
	if c := post(large); c != http.StatusOK {
		t.Fatal(c)
	}
	stalled, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Close()
	if _, err := stalled.Write([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + strconv.Itoa(large) + "\r\n\r\n" + strings.Repeat("x", large-1))); err != nil {
		t.Fatal(err)
	}
	until(large, http.StatusTooManyRequests)
	if c := post(1 << 10); c != http.StatusOK {
		t.Errorf("a small one: %d", c)
	}
	stalled.Close()
	until(large, http.StatusOK)
}
