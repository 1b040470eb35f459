package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/store"
)

// controlServer answers what Region nodes ask of the control plane, and what
// its other nodes hand on to the one that sequences.
type controlServer struct {
	peerpb.UnimplementedControlServer
	c *Control
}

// Join admits a node with its invite: single use is checked in the commit.
func (s *controlServer) Join(ctx context.Context, r *peerpb.JoinRequest) (*peerpb.JoinReply, error) {
	var invite record.Invite
	var node record.Node
	if json.Unmarshal(r.Invite, &invite) != nil || json.Unmarshal(r.Node, &node) != nil {
		return nil, status.Error(codes.InvalidArgument, "the invite or the node cannot be read")
	}
	own, handed := joins(peer.Caller(ctx), &node)
	if !own && !handed || !invite.Proven(r.Node, r.Proof) {
		return nil, status.Error(codes.PermissionDenied, "the node's record is not proven by the invite's key and this connection")
	}
	if !invited(&invite, &node) {
		return nil, status.Error(codes.PermissionDenied, "the invite is for another node")
	}
	done, insist, err := s.c.onward(ctx, handed, otherBound, func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := peerpb.NewControlClient(conn).Join(ctx, r)
		return err
	})
	if !done {
		err = s.c.system(ctx, "join "+node.ID, insist, codes.PermissionDenied, func(tx record.Tx, now time.Time) error {
			return s.admit(tx, &invite, r, &node, now)
		})
		if err == nil {
			err = s.c.takeMember(ctx, &invite)
		}
	}
	return &peerpb.JoinReply{}, err
}

// joins says whether a caller asks for itself to be admitted, or hands on what
// another node has asked it for, and has looked at. A new control-plane node that
// asks again may be one by now, and hands nothing on.
func joins(caller, node *record.Node) (own, handed bool) {
	own = bytes.Equal(node.TLS, caller.TLS)
	return own, !own && caller.Role == record.ControlNode
}

// errJoined says that this very node was admitted already: the first answer was
// lost.
var errJoined = errors.New("the node has joined")

// system commits what a node asks for. refused is the code for what the change
// itself says no to.
func (c *Control) system(ctx context.Context, operation string, insist bool, refused codes.Code, apply func(record.Tx, time.Time) error) error {
	o := c.writer.System(ctx, operation, insist, apply)
	switch {
	case o.Err == nil, errors.Is(o.Err, errJoined):
		return nil
	case errors.Is(o.Err, store.ErrUnavailable), errors.Is(o.Err, store.ErrMoved):
		return status.Error(codes.Unavailable, o.Err.Error())
	}
	return status.Error(refused, o.Err.Error())
}

// speaker is the Region node that a call is of: the caller, or the one that a
// control-plane node hands it on for.
func (s *controlServer) speaker(ctx context.Context, named string) (*record.Node, error) {
	caller := peer.Caller(ctx)
	if caller.Role != record.ControlNode {
		return caller, nil
	}
	n, err := record.Get(s.c.writer.View(), record.Nodes, record.None, named)
	if err != nil || n.Role != record.RegionNode || n.Fenced {
		return nil, status.Errorf(codes.PermissionDenied, "%q is no Region node in force", named)
	}
	return n, nil
}

func (s *controlServer) admit(tx record.Tx, invite *record.Invite, r *peerpb.JoinRequest, node *record.Node, now time.Time) error {
	g, err := record.Get(tx, record.Geneses, record.None, "genesis")
	if err != nil {
		return err
	}
	op, err := record.Get(tx, record.Operators, record.None, invite.Operator)
	if err != nil || !op.Verify(g.Root) {
		return status.Error(codes.PermissionDenied, "the invite is of no enrolled operator")
	}
	if old, err := record.Find(tx, record.Nodes, record.NodeByInvite, string(invite.Key)); err == nil {
		if old.ID == node.ID && bytes.Equal(old.TLS, node.TLS) && bytes.Equal(old.HPKE, node.HPKE) && !old.Fenced {
			return errJoined // also after the invite's hour
		}
		return status.Error(codes.PermissionDenied, "the invite has been used")
	}
	if err := invite.Verify(op.Public, now); err != nil {
		return err
	}
	node.Invite, node.Joined = invite.Key, record.At(now)
	if record.Has(tx, record.Nodes, record.None, node.ID) {
		return status.Error(codes.AlreadyExists, "a node of this name is enrolled")
	}
	if node.Role == record.RegionNode && !record.Has(tx, record.Regions, record.None, node.Region) {
		return status.Errorf(codes.PermissionDenied, "there is no Region %s: operators admit it first", node.Region)
	}
	if err := record.Put(tx, record.Nodes, node); err != nil {
		return err
	}
	if node.Role == record.ControlNode { // it has the KEK
		return record.Put(tx, record.Admissions, &record.Admission{Node: node.ID, Invite: r.Invite, Shown: r.Node, Proof: r.Proof})
	}
	return s.c.ring.AddNodeToAll(tx, node)
}

// maxArrival is how far a relay's word on the arrival may be from our clock.
const maxArrival = 60 * time.Second

// Relay runs an IAM write that a Region received: unverified there, verified
// here. Of the relay's word only address, TLS and arrival count.
func (s *controlServer) Relay(r *peerpb.RelayRequest, stream grpc.ServerStreamingServer[peerpb.RelayReply]) error {
	u, err := url.ParseRequestURI(r.Target)
	if err != nil {
		return status.Error(codes.InvalidArgument, "the request target cannot be read")
	}
	if d := clock().Sub(time.UnixMilli(r.ArrivedMs)); d > maxArrival || d < -maxArrival {
		if err := s.c.clock.judge(); err != nil { // it may be this one that is off: another node is to be asked
			return status.Error(codes.Unavailable, "this node commits nothing now: "+err.Error())
		}
		return status.Error(codes.FailedPrecondition, "the relay's clock is more than a minute off")
	}
	ctx, err := s.relayed(stream.Context(), r.Node)
	if err != nil {
		return err
	}
	ctx = context.WithValue(ctx, committedKey{}, func() {
		_ = stream.Send(&peerpb.RelayReply{Committed: true}) // the answer's own error tells
	})
	req := (&http.Request{Method: r.Method, URL: u, RequestURI: r.Target, Host: r.Host, Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		ContentLength: int64(len(r.Body)), RemoteAddr: r.Source}).WithContext(ctx)
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
	return stream.Send(reply)
}

// committedKey holds what is to be called when a relayed write is committed and
// only its wait for the in-sync nodes is left.
type committedKey struct{}

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

// maxPublish bounds the signing keys of one call.
const maxPublish = 16

// PublishKeys writes the calling node's signing keys.
func (s *controlServer) PublishKeys(ctx context.Context, r *peerpb.PublishKeysRequest) (*peerpb.PublishKeysReply, error) {
	node, err := s.speaker(ctx, r.Node)
	if err != nil {
		return nil, err
	}
	if len(r.Keys) > maxPublish {
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
	r.Node = node.ID
	done, insist, err := s.c.onward(ctx, handedOn(ctx), otherBound, func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := peerpb.NewControlClient(conn).PublishKeys(ctx, r)
		return err
	})
	if done {
		return &peerpb.PublishKeysReply{}, err
	}
	err = s.c.system(ctx, "publish signing keys of "+node.ID, insist, codes.Unavailable, func(tx record.Tx, _ time.Time) error {
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
	return &peerpb.PublishKeysReply{}, err
}

// Report takes when access keys were last used.
func (s *controlServer) Report(ctx context.Context, r *peerpb.ReportRequest) (*peerpb.ReportReply, error) {
	if len(r.Uses) > 10_000 {
		return nil, status.Error(codes.InvalidArgument, "too many uses")
	}
	node, err := s.speaker(ctx, r.Node)
	if err != nil {
		return nil, err
	}
	var uses []*record.KeyUse
	for _, b := range r.Uses {
		u := new(record.KeyUse)
		if err := json.Unmarshal(b, u); err != nil || u.Region != node.Region {
			return nil, status.Error(codes.InvalidArgument, "a use is not of the calling node's Region")
		}
		uses = append(uses, u)
	}
	r.Node = node.ID
	done, _, err := s.c.onward(ctx, handedOn(ctx), otherBound, func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := peerpb.NewControlClient(conn).Report(ctx, r)
		return err
	})
	if done {
		return &peerpb.ReportReply{}, err
	}
	// Nothing here is worth a take-over: it is reported again.
	err = s.c.system(ctx, "key uses", false, codes.Unavailable, func(tx record.Tx, _ time.Time) error {
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
	return &peerpb.ReportReply{}, err
}
