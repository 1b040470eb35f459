// Package peer is how nodes speak to each other: TLS 1.3 between keys that
// are pinned in Node records, and which role may call which method.
//
// Invariant: no method can be called by a role that its row does not list, and
// nothing here expires: a certificate is only a shell around a pinned key.
package peer

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	peerinfo "google.golang.org/grpc/peer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// MaxMessage bounds one message in bytes.
const MaxMessage = 20 << 20

// Joining is the role of a caller that no Node record names yet.
const Joining = "joining"

// mayCall lists the roles that may call each method. What is not listed is
// refused.
var mayCall = map[string][]string{
	"/holdfast.peer.v1.Feed/Follow":         {record.RegionNode, record.ControlNode},
	"/holdfast.peer.v1.Peers/Watch":         {record.RegionNode},
	"/holdfast.peer.v1.Peers/Exchange":      {record.RegionNode},
	"/holdfast.peer.v1.Peers/Tickets":       {record.RegionNode},
	"/holdfast.peer.v1.Peers/Keys":          {record.RegionNode},
	"/holdfast.peer.v1.Control/Admit":       {record.RegionNode, record.ControlNode},
	"/holdfast.peer.v1.Control/Deny":        {record.RegionNode, record.ControlNode},
	"/holdfast.peer.v1.Control/Join":        {Joining, record.RegionNode, record.ControlNode}, // a Region node whose first answer was lost
	"/holdfast.peer.v1.Control/Relay":       {record.RegionNode, record.ControlNode},
	"/holdfast.peer.v1.Control/PublishKeys": {record.RegionNode, record.ControlNode},
	"/holdfast.peer.v1.Control/Report":      {record.RegionNode, record.ControlNode},
	"/holdfast.peer.v1.Control/Announce":    {record.RegionNode, record.ControlNode},
	"/holdfast.peer.v1.Control/Clock":       {record.ControlNode},

	"/holdfast.operator.v1.Operator/Execute": {record.ControlNode}, // signed by the operator all the same
}

// Finder finds the enrolled node that a TLS key belongs to, and says whether it is
// in force.
type Finder func(key ed25519.PublicKey) (*record.Node, bool)

// certificate wraps a node's key. Its dates and names mean nothing.
func certificate(key ed25519.PrivateKey) (tls.Certificate, error) {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "holdfast node"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

func keyOf(s tls.ConnectionState) (ed25519.PublicKey, error) {
	if len(s.PeerCertificates) != 1 {
		return nil, errors.New("peer: want exactly one certificate")
	}
	key, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("peer: the certificate's key is not Ed25519")
	}
	return key, nil
}

// ErrFenced is a node's word to one that is fenced.
var ErrFenced = status.Error(codes.PermissionDenied, "this node is fenced")

// SaysFenced says whether an error is that word.
func SaysFenced(err error) bool {
	s, own := status.Convert(err), status.Convert(ErrFenced)
	return s.Code() == own.Code() && s.Message() == own.Message()
}

// Server returns a gRPC server for nodes. find is asked again at every call:
// a fenced node is refused from then on, also on open connections.
func Server(key ed25519.PrivateKey, find Finder, more ...grpc.ServerOption) (*grpc.Server, error) {
	cert, err := certificate(key)
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert}
	authorize := func(ctx context.Context, method string) (context.Context, error) {
		node, err := callerOf(ctx, find)
		if err != nil {
			return nil, err
		}
		for _, role := range mayCall[method] {
			if role == node.Role {
				return context.WithValue(ctx, callerKey{}, node), nil
			}
		}
		return nil, status.Errorf(codes.PermissionDenied, "a %s node may not call %s", node.Role, method)
	}
	return grpc.NewServer(append(more, grpc.Creds(credentials.NewTLS(conf)), grpc.MaxRecvMsgSize(MaxMessage), grpc.MaxSendMsgSize(MaxMessage),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 5 * time.Second, Timeout: 5 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 2 * time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			ctx, err := authorize(ctx, info.FullMethod)
			if err != nil {
				return nil, err
			}
			return next(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			ctx, err := authorize(s.Context(), info.FullMethod)
			if err != nil {
				return err
			}
			return next(srv, &callerStream{s, ctx})
		}))...), nil
}

type callerKey struct{}

type callerStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *callerStream) Context() context.Context { return s.ctx }

// Caller returns the enrolled node that makes a call; for a joining one its
// role and TLS key alone.
func Caller(ctx context.Context) *record.Node {
	n, _ := ctx.Value(callerKey{}).(*record.Node)
	return n
}

func callerOf(ctx context.Context, find Finder) (*record.Node, error) {
	p, ok := peerinfo.FromContext(ctx)
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "no TLS")
	}
	key, err := keyOf(info.State)
	if err != nil {
		return nil, status.Error(codes.Unauthenticated, err.Error())
	}
	n, ok := find(key)
	switch {
	case ok:
		return n, nil
	case n != nil && n.Fenced:
		return nil, ErrFenced
	}
	return &record.Node{Role: Joining, TLS: key}, nil
}

// Dial connects to a node whose pinned key expect accepts.
func Dial(address string, key ed25519.PrivateKey, expect func(ed25519.PublicKey) bool) (*grpc.ClientConn, error) {
	return DialAny([]string{address}, key, expect)
}

// DialAny connects to a node at whichever of the addresses it is.
func DialAny(addresses []string, key ed25519.PrivateKey, expect func(ed25519.PublicKey) bool) (*grpc.ClientConn, error) {
	if len(addresses) == 0 {
		return nil, errors.New("peer: no address")
	}
	at := manual.NewBuilderWithScheme("holdfast")
	var list []resolver.Address
	for _, a := range addresses {
		list = append(list, resolver.Address{Addr: a})
	}
	at.InitialState(resolver.State{Addresses: list})
	cert, err := certificate(key)
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert},
		InsecureSkipVerify: true, // names and dates mean nothing; VerifyConnection pins the key
		VerifyConnection: func(s tls.ConnectionState) error {
			k, err := keyOf(s)
			if err != nil {
				return err
			}
			if !expect(k) {
				return fmt.Errorf("peer: what is at %s shows a key that is not pinned", strings.Join(addresses, " or "))
			}
			return nil
		}}
	return grpc.NewClient("holdfast:///"+addresses[0], grpc.WithResolvers(at), grpc.WithTransportCredentials(credentials.NewTLS(conf)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 5 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second, Backoff: reconnect}))
}
