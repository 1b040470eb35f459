// Package operator is what operators may do: accounts, services that ask for
// decisions, denials. It is reached on a unix socket alone.
//
// Invariant: a command runs only with a fresh, unused signature of an operator
// that the root has enrolled, and every command that changes something is in
// the log with the operator's name.
package operator

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// maxSkew is how far a command's time may be from ours.
const maxSkew = 60 * time.Second

// maxArguments bounds a command's arguments in bytes.
const maxArguments = 64 << 10

// Change is what a command wants committed.
type Change struct {
	Operation string
	By        string
	Request   json.RawMessage
	Apply     func(tx record.Tx, now time.Time) (any, error)
}

// Done is what became of it.
type Done struct {
	Revision string
	Missing  []string
	Result   any
}

// Server runs operators' commands on a control-plane node.
type Server struct {
	operatorpb.UnimplementedOperatorServer
	View   func() *view.View
	Commit func(context.Context, Change) (Done, error)
	// MakeAccount makes an account's records and its root key; run in a commit.
	MakeAccount func(tx record.Tx, id, name string, now time.Time) (*NewAccount, error)
	Now         func() time.Time

	mu     sync.Mutex
	nonces map[string]time.Time
}

// NewAccount is an account with its root key, shown once.
type NewAccount struct {
	Account    string `json:"account"`
	RootKeyID  string `json:"rootAccessKeyId"`
	RootSecret string `json:"rootSecretAccessKey"`
}

// command is one command: what it changes, or what it reads.
type command struct {
	read  func(r record.Reader) (any, error)
	apply func(tx record.Tx, now time.Time) (any, error)
}

// message is what an operator signs: every part behind its length.
func message(c *operatorpb.Command) []byte {
	b := []byte("holdfast operator command 1\n")
	for _, part := range [][]byte{[]byte(c.Operator), []byte(c.Name), c.Arguments, c.Nonce} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return binary.BigEndian.AppendUint64(b, uint64(c.TimeMs))
}

// Execute runs one command.
func (s *Server) Execute(ctx context.Context, c *operatorpb.Command) (*operatorpb.Result, error) {
	if err := s.verify(c); err != nil {
		return nil, status.Error(codes.PermissionDenied, err.Error())
	}
	do, err := s.command(c)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	done := Done{}
	if do.read != nil {
		v := s.View()
		done.Revision = record.Revision(v.Head.Lineage, v.Head.Index)
		done.Result, err = do.read(v)
	} else {
		done, err = s.Commit(ctx, Change{Operation: "operator:" + c.Name, By: "operator:" + c.Operator, Request: c.Arguments, Apply: do.apply})
	}
	if err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	body, err := json.Marshal(done.Result)
	if err != nil {
		return nil, err
	}
	return &operatorpb.Result{Body: body, Revision: done.Revision, Missing: done.Missing}, nil
}

// verify checks operator, signature, time and nonce.
func (s *Server) verify(c *operatorpb.Command) error {
	refused := errors.New("operator: the command is not signed by an enrolled operator")
	r := s.View()
	g, err := record.Get(r, record.Geneses, record.None, "genesis")
	if err != nil {
		return refused
	}
	op, err := record.Get(r, record.Operators, record.None, c.Operator)
	if err != nil || !op.Verify(g.Root) || len(op.Public) != ed25519.PublicKeySize || !ed25519.Verify(op.Public, message(c), c.Signature) {
		return refused
	}
	now := s.Now()
	if d := now.Sub(time.UnixMilli(c.TimeMs)); d > maxSkew || d < -maxSkew {
		return errors.New("operator: the command's time is more than a minute off this node's")
	}
	if len(c.Nonce) != 16 || len(c.Arguments) > maxArguments {
		return errors.New("operator: the command is malformed")
	}
	return s.once(string(c.Nonce), now)
}

// once refuses a nonce that was used within the time in which its command
// could be accepted.
func (s *Server) once(nonce string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nonces == nil {
		s.nonces = map[string]time.Time{}
	}
	for n, at := range s.nonces {
		if now.Sub(at) > 2*maxSkew {
			delete(s.nonces, n)
		}
	}
	if _, used := s.nonces[nonce]; used {
		return errors.New("operator: the command was run already")
	}
	s.nonces[nonce] = now
	return nil
}

// Sign makes a signed command.
func Sign(key *Key, name string, arguments any, now time.Time) (*operatorpb.Command, error) {
	b, err := json.Marshal(arguments)
	if err != nil {
		return nil, err
	}
	c := &operatorpb.Command{Operator: key.ID, Name: name, Arguments: b, TimeMs: now.UnixMilli(), Nonce: make([]byte, 16)}
	rand.Read(c.Nonce)
	c.Signature = ed25519.Sign(ed25519.NewKeyFromSeed(key.Seed), message(c))
	return c, nil
}

// Key is an operator's key as its file holds it.
type Key struct {
	ID   string `json:"id"`
	Seed []byte `json:"seed"`
}
