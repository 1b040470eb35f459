package node

import (
	"context"

	"google.golang.org/grpc"

	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// backupRead bounds how much of the log a backup holds at once, in bytes.
const backupRead = 4 << 20

// readLog reads some of the log for a backup.
func (c *Control) readLog(ctx context.Context, from uint64) ([]*record.LogValue, error) {
	return c.writer.ReadLog(ctx, from, backupRead)
}

// Backup implements operatorpb.OperatorServer. It is not handed on: another node
// answers on a socket of its own.
func (o *operators) Backup(command *operatorpb.Command, stream grpc.ServerStreamingServer[operatorpb.Piece]) error {
	return o.here.Backup(command, stream)
}
