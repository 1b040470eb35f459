package node

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/doors/native/nativepb"
)

// panics is a decision door whose every call panics.
type panics struct {
	nativepb.UnimplementedDecisionsServer
}

func (panics) Authorize(context.Context, *nativepb.Question) (*nativepb.Answer, error) {
	panic("the cause")
}

func (panics) AuthorizeStream(grpc.BidiStreamingServer[nativepb.StreamQuestion, nativepb.Answer]) error {
	panic("the cause")
}

func TestAPanicIsOneCallsErrorAndHeadersHaveALimit(t *testing.T) {
	var log bytes.Buffer
	var counted []string
	s := grpc.NewServer(grpcOptions(slog.New(slog.NewTextHandler(&log, nil)), func(service, operation, code string, _ int, _ time.Duration) {
		counted = append(counted, service+" "+operation+" "+code)
	})...)
	nativepb.RegisterDecisionsServer(s, panics{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	conn, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := nativepb.NewDecisionsClient(conn)
	_, err = client.Authorize(t.Context(), &nativepb.Question{})
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "cause") {
		t.Errorf("a call that panics: %v", err)
	}
	stream, err := client.AuthorizeStream(t.Context())
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "cause") {
		t.Errorf("a stream that panics: %v", err)
	}
	large := metadata.AppendToOutgoingContext(t.Context(), "x-large", strings.Repeat("x", 32<<10))
	if _, err := client.Authorize(large, &nativepb.Question{}); err == nil || strings.Contains(err.Error(), "answered") {
		t.Errorf("headers of 32 KiB: %v", err)
	}
	s.Stop()
	if got := strings.Join(counted, ", "); got != "holdfast Authorize Internal, holdfast AuthorizeStream Internal" {
		t.Errorf("counted %s", got)
	}
	if !strings.Contains(log.String(), "the cause") {
		t.Errorf("the log has no cause: %s", &log)
	}
}
