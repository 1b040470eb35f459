package operator

import (
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
)

// maxProposal bounds the file of a proposed command.
const maxProposal = 256 << 10

// WriteProposal writes a signed command to a new file, for another operator to
// approve. It holds no secret.
func WriteProposal(path string, c *operatorpb.Command) error {
	b, err := protojson.MarshalOptions{Multiline: true}.Marshal(c)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(append(b, '\n')); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// ReadProposal reads what WriteProposal wrote.
func ReadProposal(path string) (*operatorpb.Command, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxProposal+1))
	if err != nil {
		return nil, err
	}
	c := new(operatorpb.Command)
	if len(b) > maxProposal || protojson.Unmarshal(b, c) != nil || c.Name == "" || !plain(c.Name, maxName) || !plain(c.Operator, maxName) {
		return nil, fmt.Errorf("%s holds no proposed command", path)
	}
	return c, nil
}

// Expires is when a proposed command can be run no more.
func Expires(c *operatorpb.Command) time.Time { return time.UnixMilli(c.TimeMs).Add(ProposalLife) }
