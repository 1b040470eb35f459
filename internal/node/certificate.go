package node

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/holdfast-iam/holdfast/internal/config"
)

// certificateLook is how often the files of the clients' certificate are looked
// at, at a handshake.
const certificateLook = time.Second

// certificate is the certificate that clients see: the files', whenever they
// change. While they cannot be read, or do not fit, the last good one is shown.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu     sync.Mutex
	pair   *tls.Certificate
	seen   [2]os.FileInfo
	looked time.Time
}

// tlsOf loads the api listener's certificate; nil without one.
func tlsOf(c *config.Config, log *slog.Logger) (*tls.Config, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	own := &certificate{cert: c.TLSCert, key: c.TLSKey, log: log}
	if err := own.load(); err != nil {
		return nil, fmt.Errorf("certificate for clients: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own.current(clock()), nil }}, nil
}

func (c *certificate) current(now time.Time) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := now.Sub(c.looked); d >= 0 && d < certificateLook {
		return c.pair
	}
	c.looked = now
	if c.changed() {
		if err := c.load(); err != nil {
			c.log.Error("the certificate for clients has changed and cannot be used; the last one is shown", "error", err)
		} else {
			c.log.Info("the certificate for clients has changed", "notAfter", c.pair.Leaf.NotAfter)
		}
	}
	return c.pair
}

// changed says whether a file is another than the one that was loaded.
func (c *certificate) changed() bool {
	for i, path := range []string{c.cert, c.key} {
		info, err := os.Stat(path)
		if err != nil || !os.SameFile(info, c.seen[i]) || info.ModTime() != c.seen[i].ModTime() || info.Size() != c.seen[i].Size() {
			return true
		}
	}
	return false
}

func (c *certificate) load() error {
	var seen [2]os.FileInfo
	for i, path := range []string{c.cert, c.key} {
		var err error
		if seen[i], err = os.Stat(path); err != nil {
			return err
		}
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return err
	}
	c.pair, c.seen = &pair, seen
	return nil
}
