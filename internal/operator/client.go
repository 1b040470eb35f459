package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
)

// ErrUnreachable says that nobody answers on the socket.
var ErrUnreachable = errors.New("the control plane does not answer on its operators' socket: is it running?")

// Listen opens the operators' socket: the file's mode is the door.
func Listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // left by a killed process
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("operators' socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Execute runs one command over the socket and reads its result into out.
func Execute(ctx context.Context, socket string, key *Key, name string, arguments, out any, now time.Time) (*operatorpb.Result, error) {
	c, err := Sign(key, name, arguments, now)
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials())) // a unix socket, mode 0600
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := operatorpb.NewOperatorClient(conn).Execute(ctx, c)
	switch status.Code(err) {
	case codes.OK:
	case codes.Unavailable, codes.DeadlineExceeded:
		return nil, ErrUnreachable
	default:
		return nil, errors.New(status.Convert(err).Message())
	}
	return r, json.Unmarshal(r.Body, out)
}
