package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// controlServer answers what Region nodes ask of the control plane.
type controlServer struct {
	peerpb.UnimplementedControlServer
	c *Control
}

// Join admits a node with its invite: single use is checked in the commit.
func (s *controlServer) Join(ctx context.Context, r *peerpb.JoinRequest) (*peerpb.JoinReply, error) {
	var invite peer.Invite
	var node record.Node
	if json.Unmarshal(r.Invite, &invite) != nil || json.Unmarshal(r.Node, &node) != nil {
		return nil, status.Error(codes.InvalidArgument, "the invite or the node cannot be read")
	}
	if !bytes.Equal(node.TLS, peer.Caller(ctx).TLS) || !invite.Proven(r.Node, r.Proof) {
		return nil, status.Error(codes.PermissionDenied, "the node's record is not proven by the invite's key and this connection")
	}
	if node.ID != invite.Node || node.Role != invite.Role || node.Region != invite.Region || node.Role != record.RegionNode || node.Fenced || len(node.Head) > 0 {
		return nil, status.Error(codes.PermissionDenied, "the invite is for another node")
	}
	o := s.c.writer.System(ctx, "join "+node.ID, func(tx record.Tx, now time.Time) error {
		return s.admit(tx, &invite, &node, now)
	})
	if o.Err != nil {
		return nil, status.Error(codes.PermissionDenied, o.Err.Error())
	}
	return &peerpb.JoinReply{}, nil
}

func (s *controlServer) admit(tx record.Tx, invite *peer.Invite, node *record.Node, now time.Time) error {
	g, err := record.Get(tx, record.Geneses, record.None, "genesis")
	if err != nil {
		return err
	}
	op, err := record.Get(tx, record.Operators, record.None, invite.Operator)
	if err != nil || !op.Verify(g.Root) {
		return status.Error(codes.PermissionDenied, "the invite is of no enrolled operator")
	}
	if err := invite.Verify(op.Public, now); err != nil {
		return err
	}
	node.Invite, node.Joined = invite.Key, record.At(now)
	if _, err := record.Find(tx, record.Nodes, record.NodeByInvite, string(invite.Key)); err == nil {
		return status.Error(codes.PermissionDenied, "the invite has been used")
	}
	if record.Has(tx, record.Nodes, record.None, node.ID) {
		return status.Error(codes.AlreadyExists, "a node of this name is enrolled")
	}
	if err := record.Put(tx, record.Nodes, node); err != nil {
		return err
	}
	var keys []*record.RegionKey
	err = record.Scan(tx, record.RegionKeys, record.RegionKeyByRegion, node.Region+record.Sep, "", func(_ string, k *record.RegionKey) bool {
		keys = append(keys, k)
		return true
	})
	for _, k := range keys {
		if err == nil {
			err = s.c.ring.AddNode(tx, k, node)
		}
		if err == nil {
			err = record.Put(tx, record.RegionKeys, k)
		}
	}
	return err
}

// maxArrival is how far a relay's word on the arrival may be from our clock.
const maxArrival = 60 * time.Second

// Relay runs an IAM write that a Region received: unverified there, verified
// here. Of the relay's word only address, TLS and arrival count.
func (s *controlServer) Relay(ctx context.Context, r *peerpb.RelayRequest) (*peerpb.RelayReply, error) {
	u, err := url.ParseRequestURI(r.Target)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "the request target cannot be read")
	}
	if d := time.Since(time.UnixMilli(r.ArrivedMs)); d > maxArrival || d < -maxArrival {
		return nil, status.Error(codes.FailedPrecondition, "the relay's clock is more than a minute off")
	}
	req := (&http.Request{Method: r.Method, URL: u, RequestURI: r.Target, Host: r.Host, Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: http.NoBody, ContentLength: int64(len(r.Body)), RemoteAddr: r.Source}).WithContext(ctx)
	req.Body = readCloser{bytes.NewReader(r.Body)}
	if r.Secure {
		req.TLS = &tls.ConnectionState{} // of the client's connection we know no more
	}
	for _, h := range r.Header {
		req.Header[h.Name] = append(req.Header[h.Name], h.Value)
	}
	w := &recorder{header: http.Header{}, status: http.StatusOK}
	s.c.front.ServeHTTP(w, req)
	reply := &peerpb.RelayReply{Status: int32(w.status), Body: w.body.Bytes()}
	for name, values := range w.header {
		for _, v := range values {
			reply.Header = append(reply.Header, &peerpb.Field{Name: name, Value: v})
		}
	}
	return reply, nil
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// recorder keeps an answer for the relay.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(status int)      { w.status = status }
func (w *recorder) Write(b []byte) (int, error) { return w.body.Write(b) }

// PublishKeys writes the calling node's signing keys.
func (s *controlServer) PublishKeys(ctx context.Context, r *peerpb.PublishKeysRequest) (*peerpb.PublishKeysReply, error) {
	node := peer.Caller(ctx)
	if len(r.Keys) > 16 {
		return nil, status.Error(codes.InvalidArgument, "too many keys")
	}
	var keys []*record.SigningKey
	for _, b := range r.Keys {
		k := new(record.SigningKey)
		if err := json.Unmarshal(b, k); err != nil || k.Node != node.ID || k.Region != node.Region || k.Known || k.Revoked {
			return nil, status.Error(codes.InvalidArgument, "a key is not the calling node's")
		}
		keys = append(keys, k)
	}
	o := s.c.writer.System(ctx, "publish signing keys of "+node.ID, func(tx record.Tx, _ time.Time) error {
		for _, k := range keys {
			if record.Has(tx, record.SigningKeys, record.None, k.ID) {
				continue
			}
			if err := record.Put(tx, record.SigningKeys, k); err != nil {
				return err
			}
		}
		return nil
	})
	if o.Err != nil {
		return nil, status.Error(codes.Unavailable, o.Err.Error())
	}
	return &peerpb.PublishKeysReply{}, nil
}

// Report takes when access keys were last used.
func (s *controlServer) Report(ctx context.Context, r *peerpb.ReportRequest) (*peerpb.ReportReply, error) {
	if len(r.Uses) > 10_000 {
		return nil, status.Error(codes.InvalidArgument, "too many uses")
	}
	var uses []*record.KeyUse
	for _, b := range r.Uses {
		u := new(record.KeyUse)
		if err := json.Unmarshal(b, u); err != nil || u.Region != peer.Caller(ctx).Region {
			return nil, status.Error(codes.InvalidArgument, "a use is not of the calling node's Region")
		}
		uses = append(uses, u)
	}
	o := s.c.writer.System(ctx, "key uses", func(tx record.Tx, _ time.Time) error {
		for _, u := range uses {
			if old, err := record.Get(tx, record.KeyUses, u.Account, u.Key); err == nil && old.Last >= u.Last {
				continue
			}
			if err := record.Put(tx, record.KeyUses, u); err != nil {
				return err
			}
		}
		return nil
	})
	if o.Err != nil {
		return nil, status.Error(codes.Unavailable, o.Err.Error())
	}
	return &peerpb.ReportReply{}, nil
}
