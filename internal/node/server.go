package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-iam/holdfast/internal/admission"
	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/front"
)

// At shutdown: how long requests under way may take to end, and how long who has
// connected may take to send one.
const (
	drainTimeout = 5 * time.Second
	firstTimeout = time.Second
)

// What bodies hold in memory together, and those of one address (admission.Bodies).
const (
	allBodies     = 64 << 20
	addressBodies = 16 << 20
)

// counted has the bodies of requests counted while they are held.
func counted(next http.Handler, bodies *admission.Bodies) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := bodies.Of(r.Body, r.RemoteAddr)
		defer body.Release()
		own := *r
		own.Body = body
		next.ServeHTTP(w, &own)
	})
}

// serveHTTP serves until ctx ends, then drains. All four timeouts are set:
// slow clients cost nothing (lesson L46).
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, tlsConfig *tls.Config, log *slog.Logger) error {
	if l == nil {
		<-ctx.Done()
		return nil
	}
	h = counted(h, admission.NewBodies(allBodies, addressBodies))
	s := &http.Server{Handler: h, ConnContext: keepConn, MaxHeaderBytes: front.MaxHeader, TLSConfig: tlsConfig,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	l = &telling{Listener: l, log: log}
	var arrived arrivals
	s.ConnState = arrived.note
	if failpoint.On(failpoint.WaitsForSlow) {
		s.ReadHeaderTimeout, s.ReadTimeout = 0, 0
	}
	done := make(chan error, 1)
	go func() {
		if tlsConfig != nil {
			done <- s.ServeTLS(l, "", "")
		} else {
			done <- s.Serve(l)
		}
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	// From Shutdown on net/http answers no request that it has not read yet: first
	// nobody may come any more, and who has come is to be heard.
	_ = l.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		return err
	}
	arrived.wait(firstTimeout)
	drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := s.Shutdown(drain); err != nil {
		_ = s.Close() // what has not drained by now is cut
	}
	return nil
}

// arrivals are the connections on which nothing has been read yet.
type arrivals struct {
	conns sync.Map // net.Conn
	many  atomic.Int64
}

// note is an http.Server's ConnState.
func (a *arrivals) note(c net.Conn, s http.ConnState) {
	if s == http.StateNew {
		a.conns.Store(c, nil)
		a.many.Add(1)
	} else if _, was := a.conns.LoadAndDelete(c); was {
		a.many.Add(-1)
	}
}

// wait returns when there is none, or after so long, when it cuts those that are
// left: else Shutdown waits for them.
func (a *arrivals) wait(most time.Duration) {
	each := time.NewTicker(most / 200)
	defer each.Stop()
	for end := time.After(most); a.many.Load() > 0; {
		select {
		case <-end:
			a.conns.Range(func(c, _ any) bool {
				_ = c.(net.Conn).Close()
				return true
			})
			return
		case <-each.C:
		}
	}
}

// openAPI opens the api listener, behind the balancers that the configuration
// names.
func openAPI(in config.Inherited, c *config.Config) (net.Listener, error) {
	proxies, err := c.ProxyPrefixes()
	if err != nil {
		return nil, err
	}
	l, err := in.Listener("api", c.API)
	if err != nil || l == nil {
		return nil, err
	}
	if err := mayBePlain(l, c); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return behindProxies(l, proxies), nil
}

// mayBePlain refuses plain HTTP on a socket that was handed over and can be
// reached from elsewhere: the configuration's own addresses were checked.
func mayBePlain(l net.Listener, c *config.Config) error {
	if c.TLSCert != "" || c.InsecureHTTP || l.Addr().Network() == "unix" || config.Loopback(l.Addr().String()) {
		return nil
	}
	return fmt.Errorf(`the socket %s that was handed over is not loopback: give "tlsCert" and "tlsKey", or allow plain HTTP with "insecureHTTP": true`, l.Addr())
}
