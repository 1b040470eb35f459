package node

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
	"github.com/pires/go-proxyproto/tlvparse"
)

// A balancer tells the client's address and whether it spoke TLS in a PROXY v2
// header. Only listed balancers are believed, and they have to send it: what
// anybody else sends in its place is no HTTP and refused as such (lesson L13).

// proxyHeaderTimeout bounds how long a balancer may take for its header.
const proxyHeaderTimeout = 5 * time.Second

// errProxyVersion refuses the text form of the header, which cannot tell TLS.
var errProxyVersion = errors.New("node: a balancer's PROXY header is not of version 2")

// behindProxies takes the PROXY header off connections of the listed balancers.
func behindProxies(l net.Listener, proxies []netip.Prefix) net.Listener {
	if l == nil || len(proxies) == 0 {
		return l
	}
	return &proxyproto.Listener{Listener: l, ReadHeaderTimeout: proxyHeaderTimeout,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			if isProxy(o.Upstream, proxies) {
				return proxyproto.REQUIRE, nil
			}
			return proxyproto.SKIP, nil
		},
		ValidateHeader: func(h *proxyproto.Header) error {
			if h.Version != 2 {
				return errProxyVersion
			}
			return nil
		}}
}

func isProxy(a net.Addr, proxies []netip.Prefix) bool {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return false
	}
	ip := tcp.AddrPort().Addr().Unmap()
	for _, p := range proxies {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

type connKey struct{}

// keepConn lets a handler ask which connection a request came on.
func keepConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// clientTLS has requests say whether the client, not its balancer, spoke TLS.
func clientTLS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Context().Value(connKey{}).(net.Conn)
		if t, ok := c.(*tls.Conn); ok {
			c = t.NetConn()
		}
		if p, ok := c.(*proxyproto.Conn); ok {
			own := *r
			own.TLS = toldTLS(p.ProxyHeader())
			r = &own
		}
		next.ServeHTTP(w, r)
	})
}

// toldTLS is what a balancer's header tells of its client's TLS; nil: none.
func toldTLS(h *proxyproto.Header) *tls.ConnectionState {
	if h == nil {
		return nil
	}
	list, err := h.TLVs()
	if err != nil {
		return nil
	}
	if s, ok := tlvparse.FindSSL(list); ok && s.ClientSSL() {
		return &tls.ConnectionState{} // of the client's connection we know no more
	}
	return nil
}
