package peer

import (
	"context"
	"crypto/ed25519"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

func key(b byte) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = b
	return ed25519.NewKeyFromSeed(seed)
}

func public(b byte) ed25519.PublicKey { return key(b).Public().(ed25519.PublicKey) }

// serve starts a server at which key 1 is a Region node and key 2 a control
// node.
func serve(t *testing.T) string {
	t.Helper()
	s, err := Server(key(9), func(k ed25519.PublicKey) (*record.Node, bool) {
		switch {
		case k.Equal(public(1)):
			return &record.Node{ID: "r", Role: record.RegionNode}, true
		case k.Equal(public(2)):
			return &record.Node{ID: "c", Role: record.ControlNode}, true
		}
		return nil, false
	})
	if err != nil {
		t.Fatal(err)
	}
	peerpb.RegisterControlServer(s, peerpb.UnimplementedControlServer{})
	peerpb.RegisterFeedServer(s, peerpb.UnimplementedFeedServer{})
	for service, info := range s.GetServiceInfo() {
		for _, m := range info.Methods {
			if len(mayCall["/"+service+"/"+m.Name]) == 0 {
				t.Errorf("nobody may call %s/%s: is it missing in the table?", service, m.Name)
			}
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

func TestOnlyTheRolesOfAMethodMayCallIt(t *testing.T) {
	addr := serve(t)
	for _, c := range []struct {
		name string
		with byte
		pin  byte
		want codes.Code
	}{
		{"a Region node", 1, 9, codes.Unimplemented}, // the method was reached
		{"a control node", 2, 9, codes.Unimplemented},
		{"a stranger", 3, 9, codes.PermissionDenied},
		{"a server with another key", 1, 8, codes.Unavailable},
	} {
		conn, err := Dial(addr, key(c.with), func(k ed25519.PublicKey) bool { return k.Equal(public(c.pin)) })
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		stream, err := peerpb.NewControlClient(conn).Relay(ctx, &peerpb.RelayRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		if c.want == codes.Unimplemented && c.with == 1 {
			if _, err := peerpb.NewControlClient(conn).Clock(ctx, &peerpb.ClockRequest{}); status.Code(err) != codes.PermissionDenied {
				t.Errorf("%s asks for a control-plane node's clock: %v", c.name, err)
			}
		}
		cancel()
		conn.Close()
		if status.Code(err) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestANodeIsReachedAtWhicheverOfItsAddressesItIs(t *testing.T) {
	addr := serve(t)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for _, c := range []struct {
		name      string
		addresses []string
		pin       byte
		want      codes.Code
	}{
		{"where it is", []string{addr}, 9, codes.Unimplemented}, // the method was reached
		{"where it was, and where it is", []string{gone.Addr().String(), addr}, 9, codes.Unimplemented},
		{"where another is now", []string{gone.Addr().String(), addr}, 8, codes.Unavailable},
	} {
		conn, err := DialAny(c.addresses, key(1), func(k ed25519.PublicKey) bool { return k.Equal(public(c.pin)) })
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_, err = peerpb.NewControlClient(conn).Report(ctx, &peerpb.ReportRequest{})
		cancel()
		conn.Close()
		if status.Code(err) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := DialAny(nil, key(1), nil); err == nil {
		t.Error("no address is one")
	}
}

func TestAnInviteIsGoodForItsOperatorTimeAndKey(t *testing.T) {
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	i := record.Invite{Key: public(5), Node: "n", Role: record.RegionNode, Expires: record.At(now.Add(InviteLife))}
	i.Sign(key(6))
	if err := i.Verify(public(6), now); err != nil {
		t.Fatal(err)
	}
	if i.Verify(public(7), now) == nil || i.Verify(public(6), now.Add(InviteLife)) == nil || i.Verify(nil, now) == nil {
		t.Error("accepted another operator or time")
	}
	other := i
	other.Region = "eu-west-1"
	if other.Verify(public(6), now) == nil {
		t.Error("accepted a changed invite")
	}
	proof := record.Prove(key(5), []byte("node"))
	if !i.Proven([]byte("node"), proof) || i.Proven([]byte("other"), proof) || i.Proven([]byte("node"), record.Prove(key(4), []byte("node"))) {
		t.Error("the proof is not of this node and key")
	}
}
