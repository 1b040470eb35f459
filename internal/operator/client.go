package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
)

// ErrUnreachable says that nobody answers on the socket.
var ErrUnreachable = errors.New("the control plane does not answer on its operators' socket: is it running?")

// ErrUnconfirmed says that the control plane could not confirm the command: it
// may have taken effect or not.
var ErrUnconfirmed = errors.New("the control plane could not confirm the command; look with `list` before you repeat it")

// timeout bounds one command.
const timeout = 10 * time.Second

// Client signs commands with one operator's key.
type Client struct {
	key   *Key
	conns []*grpc.ClientConn
}

// Dial makes a client of the operators' sockets: one of each control-plane node,
// any of which will do. It connects with the first command.
func Dial(sockets []string, key *Key) (*Client, error) {
	if err := key.check(); err != nil {
		return nil, err
	}
	c := &Client{key: key}
	for _, socket := range sockets {
		// A path is no URL: the target is a name, and the path goes to the dialer.
		conn, err := grpc.NewClient("passthrough:///operator",
			grpc.WithTransportCredentials(insecure.NewCredentials()), // a unix socket, mode 0600
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", socket)
			}))
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.conns = append(c.conns, conn)
	}
	return c, nil
}

// Close ends the connections.
func (c *Client) Close() error {
	var errs []error
	for _, conn := range c.conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// Execute runs one command and reads its result into out. Errors: *Refused,
// ErrUnreachable, ErrUnconfirmed.
func (c *Client) Execute(ctx context.Context, name string, arguments, out any, now time.Time) (*operatorpb.Result, error) {
	signed, err := Sign(c.key, name, arguments, now)
	if err != nil {
		return nil, err
	}
	return c.Run(ctx, signed, out)
}

// Run runs a command that was signed before. A node that does not answer may
// have run it: the next one is asked for the same command, which is done once.
func (c *Client) Run(ctx context.Context, signed *operatorpb.Command, out any) (*operatorpb.Result, error) {
	err := ErrUnreachable
	for _, conn := range c.conns {
		r, e := c.ask(ctx, conn, signed)
		switch status.Code(e) {
		case codes.OK:
			return r, json.Unmarshal(r.Body, out)
		case codes.PermissionDenied, codes.InvalidArgument, codes.FailedPrecondition:
			return nil, &Refused{status.Convert(e).Message()}
		case codes.Unavailable:
		default:
			err = fmt.Errorf("%w: %s", ErrUnconfirmed, status.Convert(e).Message())
		}
	}
	return nil, err
}

func (c *Client) ask(ctx context.Context, conn *grpc.ClientConn, signed *operatorpb.Command) (*operatorpb.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout/time.Duration(len(c.conns)))
	defer cancel()
	return operatorpb.NewOperatorClient(conn).Execute(ctx, signed)
}
