package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/front"
)

// drainTimeout is how long requests under way may take to end at shutdown.
const drainTimeout = 5 * time.Second

// serveHTTP serves until ctx ends, then drains. All four timeouts are set:
// slow clients cost nothing (lesson L46).
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, tlsConfig *tls.Config, log *slog.Logger) error {
	if l == nil {
		<-ctx.Done()
		return nil
	}
	s := &http.Server{Handler: h, ConnContext: keepConn, MaxHeaderBytes: front.MaxHeader, TLSConfig: tlsConfig,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	l = &telling{Listener: l, log: log}
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
	drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := s.Shutdown(drain); err != nil {
		_ = s.Close() // what has not drained by now is cut
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
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
