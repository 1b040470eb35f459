package node

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/clocks"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
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
