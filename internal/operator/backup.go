package operator

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/backup"
	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// backupIn names who will be able to read a backup.
type backupIn struct {
	Recipients []string `json:"recipients"`
}

// Backup streams a backup that is encrypted in this process: what leaves it only
// the recipients can read. That it was made, and for whom, is in the log first.
func (s *Server) Backup(c *operatorpb.Command, stream grpc.ServerStreamingServer[operatorpb.Piece]) error {
	by, err := s.verify(c)
	if err != nil {
		return status.Error(codes.PermissionDenied, err.Error())
	}
	in := new(backupIn)
	if c.Name != "backup" {
		err = fmt.Errorf("operator: %q makes no backup", c.Name)
	} else {
		err = decode(c, in)
	}
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	recipients, err := backup.Recipients(in.Recipients)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	_, err = s.Commit(stream.Context(), Change{ID: "operator:" + c.Operator + ":" + hex.EncodeToString(c.Nonce), Operation: "operator:backup",
		By: "operator:" + strings.Join(by, "+"), Request: c.Arguments, Apply: func(record.Tx, time.Time) (any, error) { return nil, nil }})
	if err != nil { // another node is asked: nothing has left this one
		return status.Error(codes.Unavailable, err.Error())
	}
	to := &pieces{stream: stream}
	summary, err := backup.Write(stream.Context(), to, s.View(), s.Log, record.At(s.Now()), recipients, func(b *backup.Summary) { to.so = b })
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	text, err := json.Marshal(summary)
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return stream.Send(&operatorpb.Piece{Summary: text, Done: true})
}

// pieces sends what is written to it.
type pieces struct {
	stream grpc.ServerStreamingServer[operatorpb.Piece]
	so     *backup.Summary
	sent   uint64 // bytes at the last word of progress
}

// progressEach is after how many bytes the client is told how far it is.
const progressEach = 1 << 20

func (p *pieces) Write(b []byte) (int, error) {
	piece := &operatorpb.Piece{Data: b}
	if p.so != nil && p.so.Bytes-p.sent >= progressEach {
		p.sent = p.so.Bytes
		text, err := json.Marshal(p.so)
		if err != nil {
			return 0, err
		}
		piece.Summary = text
	}
	if err := p.stream.Send(piece); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Backup has the node that sequences write a backup. tell is called while it
// runs; begin makes the file, once a node is found.
func (c *Client) Backup(ctx context.Context, recipients []string, now time.Time, to io.Writer, tell backup.Progress) (*backup.Summary, error) {
	signed, err := Sign(c.key, "backup", backupIn{recipients}, now)
	if err != nil {
		return nil, err
	}
	for _, conn := range c.conns {
		stream, err := operatorpb.NewOperatorClient(conn).Backup(ctx, signed)
		if err != nil {
			return nil, err
		}
		summary, begun, err := receive(stream, to, tell)
		switch {
		case err == nil:
			return summary, nil
		case begun, status.Code(err) == codes.Internal, status.Code(err) == codes.Canceled:
			return nil, fmt.Errorf("the backup was not finished: %s", status.Convert(err).Message())
		case status.Code(err) == codes.PermissionDenied, status.Code(err) == codes.InvalidArgument:
			return nil, &Refused{status.Convert(err).Message()}
		}
	}
	return nil, ErrUnreachable
}

// receive writes a stream's pieces; begun says that it wrote some.
func receive(stream grpc.ServerStreamingClient[operatorpb.Piece], to io.Writer, tell backup.Progress) (summary *backup.Summary, begun bool, err error) {
	for {
		piece, err := stream.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("it ended early")
			}
			return nil, begun, err
		}
		begun = true
		if _, err := to.Write(piece.Data); err != nil {
			return nil, begun, err
		}
		if len(piece.Summary) == 0 {
			continue
		}
		s := new(backup.Summary)
		if err := json.Unmarshal(piece.Summary, s); err != nil {
			return nil, begun, err
		}
		if piece.Done {
			return s, begun, nil
		}
		tell(s)
	}
}
