package node

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

func TestWhoHasConnectedWhenANodeEndsIsAnswered(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "answered") })
	ctx, end := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serveHTTP(ctx, l, answer, nil, slog.New(slog.DiscardHandler)) }()

	early, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	another, err := http.Get("http://" + address) // by when it is answered the connection before it is taken, too
	if err != nil {
		t.Fatal(err)
	}
	another.Body.Close()
	end()
	for {
		late, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			break // nobody is taken any more
		}
		late.Close()
	}
	if _, err := io.WriteString(early, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(early), nil)
	if err != nil {
		t.Fatalf("a request on a connection that was taken before the end: %v", err)
	}
	defer r.Body.Close()
	if b, _ := io.ReadAll(r.Body); string(b) != "answered" {
		t.Errorf("%s %q", r.Status, b)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestANodeThatEndsWaitsForWhoSaysNothingForAMomentOnly(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serveHTTP(ctx, l, http.NotFoundHandler(), nil, slog.New(slog.DiscardHandler)) }()
	silent, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	end()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("it still waits after a minute")
	}
}
