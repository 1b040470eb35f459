package local

import (
	"fmt"
	"net"
	"strings"
)

// Balancer is what a Region's HAProxy is configured by.
type Balancer struct {
	Region string
	// Listen is HOST:PORT, or fd@N for a socket that is handed over.
	Listen string
	// Cert is a PEM file with certificate and key for clients; without it the
	// balancer speaks plain HTTP. CA are the authorities of the nodes'
	// certificates; without it the nodes are spoken to in plain HTTP.
	Cert, CA string
	// Package says that Debian's package runs it: as its user, in its chroot.
	Package bool
	Nodes   []BalancedNode
}

// BalancedNode is one node that a balancer sends requests to.
type BalancedNode struct{ Name, API, Admin string }

// HAProxy writes a Region's HAProxy configuration: what may be repeated, and
// what must not, is its reason to be.
func HAProxy(b Balancer) (string, error) {
	var server strings.Builder
	for _, n := range b.Nodes {
		host, port, err := net.SplitHostPort(n.Admin)
		if err != nil {
			return "", fmt.Errorf("health address of node %s: %w", n.Name, err)
		}
		if _, _, err := net.SplitHostPort(n.API); err != nil {
			return "", fmt.Errorf("address of node %s: %w", n.Name, err)
		}
		fmt.Fprintf(&server, "    server %s %s %s check addr %s port %s no-check-ssl\n", n.Name, n.API, b.speaks(), host, port)
	}
	if len(b.Nodes) == 0 {
		return "", fmt.Errorf("a balancer needs a node")
	}
	bind, global := b.Listen, ""
	if b.Cert != "" {
		bind += " ssl crt " + b.Cert + " ssl-min-ver TLSv1.2 alpn h2,http/1.1"
	}
	if b.Package {
		global = "    user haproxy\n    group haproxy\n    chroot /var/lib/haproxy\n"
	}
	return strings.NewReplacer("@REGION@", b.Region, "@BIND@", bind, "@GLOBAL@\n", global, "@SERVERS@\n", server.String(), "@503@", failure("503"), "@502@", failure("502"), "@504@", failure("504")).
		Replace(haproxyTemplate), nil
}

// speaks is how the nodes are spoken to: the PROXY header says who the client
// is, and with TLS whether it spoke it.
func (b *Balancer) speaks() string {
	s := "send-proxy-v2"
	if b.Cert != "" {
		s = "send-proxy-v2-ssl"
	}
	if b.CA != "" {
		s += " ssl verify required ca-file " + b.CA
	}
	return s
}

// failure is an error of the balancer's own, as AWS's clients read it.
func failure(status string) string {
	return "    http-error status " + status + ` content-type text/xml lf-string '<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Receiver</Type>` +
		`<Code>ServiceUnavailable</Code><Message>No node of this Region could answer. Try again later.</Message></Error><RequestId>%[uuid()]</RequestId></ErrorResponse>' hdr x-amz-retry-after 1000`
}

// haproxyTemplate: a request that was sent may be repeated when it changes
// nothing, or nothing that is done twice by it (STS, decisions). An IAM write
// that was sent never is: its client repeats it, with a call id. What cannot
// be told apart counts as a write.
const haproxyTemplate = `# HAProxy before Region @REGION@. Written by holdfast config haproxy: write it anew rather than change it.
global
    log stdout format raw local0 info
@GLOBAL@
defaults
    log global
    mode http
    # The path without the query: presigned requests carry signatures there.
    log-format "%ci:%cp [%tr] %b/%s %Tw/%Tc/%Tr/%Ta %ST %B %tsc %rc %HM %HPO"
    option redispatch 1
    option http-buffer-request
    timeout connect 1s
    timeout client 60s
    timeout http-request 10s
    timeout http-keep-alive 60s
    timeout queue 1s
    timeout check 1s
@502@
@503@
@504@

frontend holdfast
    bind @BIND@
    acl door path_beg /holdfast/v1/ /access/v1/
    acl sts req.hdr(Authorization) -m sub /sts/aws4_request
    acl iam_read req.body_param(Action) -m reg ^(Get|List|Simulate)[A-Za-z]+$
    acl iam_read_query url_param(Action) -m reg ^(Get|List|Simulate)[A-Za-z]+$
    acl action_in_body req.body_param(Action) -m found
    acl action_in_query url_param(Action) -m found
    use_backend repeatable if door
    use_backend repeatable if sts
    use_backend repeatable if iam_read !action_in_query
    use_backend repeatable if iam_read_query !action_in_body
    default_backend once

# Decisions, STS and reads: repeated at another node when one dies, hangs or cannot answer.
backend repeatable
    balance leastconn
    timeout server 6s
    retries 2
    retry-on conn-failure empty-response response-timeout 502 503 504
    option httpchk GET /readyz
    http-check expect status 200
    default-server inter 500ms fall 2 rise 1
@SERVERS@

# Writes: another node is tried only while nothing was sent. When a node dies over one, the
# client gets 502, or on a connection that it has used before its end: SDKs repeat both.
backend once
    balance leastconn
    timeout server 35s
    retries 2
    retry-on conn-failure
    option httpchk GET /readyz
    http-check expect status 200
    default-server inter 500ms fall 2 rise 1
@SERVERS@
`
