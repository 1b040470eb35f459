package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestAnOverloadedNodeAnswersSomeAndThrottlesTheRest: many clients at once ask
// for a thousand decisions each. Whoever is not answered is told so in AWS's
// words, which SDKs repeat; nobody gets a 5xx; health is seen all the while.
func TestAnOverloadedNodeAnswersSomeAndThrottlesTheRest(t *testing.T) {
	a := newAsking(t)
	health := "http://" + a.d.addresses().Regions[0].Admin
	question := with(about(session, "storage:GetObject", "arn:aws:storage:::cat"), "questions", make([]struct{}, 1000))
	var answered, throttled, decided atomic.Int64
	done := make(chan struct{})
	var all sync.WaitGroup
	for range 600 {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				r := a.door(a.asker, "/holdfast/v1/authorize", question)
				switch {
				case r.status == 200:
					answered.Add(1)
					decided.Add(int64(strings.Count(string(r.body), `"decision":"Allowed"`)))
				case r.status == 400 && r.code() == "Throttling" && r.header.Get("X-Amzn-ErrorType") == "Throttling":
					throttled.Add(1)
				default:
					t.Errorf("%d %s", r.status, r.body)
					return
				}
			}
		})
	}
	looks := 0
	a.d.until("overloaded", func() bool {
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			if text := look(t, health+path); path == "/metrics" && !strings.Contains(text, "holdfast_refused_total") {
				t.Errorf("no refusals are told:\n%s", text)
			}
		}
		looks++
		return answered.Load() > 20 && throttled.Load() > 20
	})
	close(done)
	all.Wait()
	if decided.Load() != 1000*answered.Load() || looks == 0 {
		t.Errorf("%d decisions in %d answers", decided.Load(), answered.Load())
	}
	if r := a.sts(a.admin, "GetCallerIdentity"); r.status != 200 {
		t.Errorf("afterwards: %d %s", r.status, r.body)
	}
}

// look reads a page of the health listener.
func look(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != 200 {
		t.Errorf("%s: %d %v", url, r.StatusCode, err)
	}
	return string(text)
}

// TestSlowClientsTakeNothingFromOthers: hundreds that stop within their header,
// within their body, or do not read what they asked for.
func TestSlowClientsTakeNothingFromOthers(t *testing.T) {
	d := start(t)
	e, admin := d.endpoint(), d.admin()
	address := strings.TrimPrefix(e.base, "http://")
	hold := func(text string) net.Conn {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		return c
	}
	head := "POST / HTTP/1.1\r\nHost: " + address + "\r\n"
	var stopped []net.Conn
	for range 250 {
		stopped = append(stopped, hold(head))
		hold(head + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat("a", 100_000))
	}
	for range 50 {
		hold(strings.Repeat(head+"Content-Length: 0\r\n\r\n", 200))
	}
	for i := range 100 {
		if r := e.sts(admin, "GetCallerIdentity"); r.status != 200 {
			t.Fatalf("call %d: %d %s", i, r.status, r.body)
		}
	}
	metrics := look(t, "http://"+d.addresses().Regions[0].Admin+"/metrics")
	for _, want := range []string{`holdfast_admission_waiting\{.*gate="work".*\} 0\n`, `holdfast_admission_busy\{.*gate="work".*\} 0\n`, `holdfast_refused_total\{.*class="issue".*gate="work".*reason="late".*\} 0\n`} {
		if !regexp.MustCompile(want).MatchString(metrics) {
			t.Errorf("not %s", want)
		}
	}
	for _, c := range stopped { // and they do not stay for ever
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Fatal(fmt.Errorf("a client that sends no header is kept: %w", err))
		}
	}
}
