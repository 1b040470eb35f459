package node

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/clocks"
	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// A node that sequences and whose clock was set back by an hour finds every relay an
// hour ahead. Said to be the relay's, that is the client's answer; said to be its own,
// another node is asked, and takes over.
func TestANodeWhoseClockIsNotBelievedBlamesNoRelayForIt(t *testing.T) {
	for what, x := range map[string]struct {
		others []string
		want   codes.Code
	}{
		"its own clock is alone":     {[]string{"b", "c"}, codes.Unavailable},
		"its own clock is as others": {nil, codes.FailedPrecondition},
	} {
		s := &controlServer{c: &Control{clock: &clockWatch{bound: clocks.NewBound(reading()), others: x.others}}}
		err := s.Relay(&peerpb.RelayRequest{Target: "/", ArrivedMs: time.Now().Add(time.Hour).UnixMilli()}, nil)
		if status.Code(err) != x.want {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The first answer of a join may be lost, or say that the store cannot take in the
// member yet: then the new node asks again, and its record is there. Taken for one
// that hands something on, it would be told for ever that another node sequences.
func TestANewControlNodeThatAsksAgainHandsNothingOn(t *testing.T) {
	node := &record.Node{ID: "cp-c", Role: record.ControlNode, TLS: []byte("c")}
	for what, x := range map[string]struct {
		caller      record.Node
		own, handed bool
	}{
		"at first":           {record.Node{Role: peer.Joining, TLS: []byte("c")}, true, false},
		"again":              {*node, true, false},
		"by another node":    {record.Node{ID: "cp-a", Role: record.ControlNode, TLS: []byte("a")}, false, true},
		"by a Region's node": {record.Node{ID: "use-a", Role: record.RegionNode, TLS: []byte("u")}, false, false},
		"by a stranger":      {record.Node{Role: peer.Joining, TLS: []byte("s")}, false, false},
	} {
		if own, handed := joins(&x.caller, node); own != x.own || handed != x.handed {
			t.Errorf("%s: own %v, handed on %v", what, own, handed)
		}
	}
}
