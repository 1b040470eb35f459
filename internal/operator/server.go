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
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/backup"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// maxSkew is how far a command's time may be from ours.
const maxSkew = 60 * time.Second

// ProposalLife is how long a command may wait for the approval of another
// operator. It is shorter than the store remembers call ids, so a command runs
// once in the whole deployment.
const ProposalLife = 10 * time.Minute

// Limits on a command, in bytes.
const (
	maxArguments = 64 << 10
	maxName      = 64
	nonceSize    = 16
	maxApprovals = 8
)

// maxNonces bounds the commands that are remembered while they could be
// accepted.
const maxNonces = 4096

// Change is what a command wants committed.
type Change struct {
	ID        string // call id: the command commits once, whichever node runs it
	Operation string
	By        string          // operator:<id>, or operator:<id>+<id>
	Request   json.RawMessage // the arguments; no command takes a secret
	Reduces   bool            // takes something away: goes on when the store is almost full
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
	// AdmitRegion makes a Region's records; run in a commit.
	AdmitRegion func(tx record.Tx, name string, optIn bool, now time.Time) error
	Ring        *keyring.Ring // the control plane's, for accounts' keys
	Now         func() time.Time
	Authorizer  *authz.Authorizer // answers the operator's own questions
	Log         backup.Log        // for backups

	reader record.Reader // in place of View, where operators are asked for in a commit

	mu     sync.Mutex
	nonces map[nonce]time.Time // until when each is remembered
}

// nonce is a nonce of one operator.
type nonce struct{ operator, value string }

// Refused is a command's no, in one sentence for the operator.
type Refused struct{ Reason string }

func (e *Refused) Error() string { return e.Reason }

func refuse(format string, args ...any) error { return &Refused{fmt.Sprintf(format, args...)} }

// command is one command: what it changes, or what it reads.
type command struct {
	read    func(v *view.View) (any, error)
	apply   func(tx record.Tx, now time.Time) (any, error)
	reduces bool
}

// Execute runs one command. A command that was refused is FailedPrecondition;
// one whose commit was not confirmed is Internal.
func (s *Server) Execute(ctx context.Context, c *operatorpb.Command) (*operatorpb.Result, error) {
	by, err := s.verify(c)
	if err != nil {
		return nil, status.Error(codes.PermissionDenied, err.Error())
	}
	do, err := s.command(c, by)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	done := Done{}
	if do.read != nil {
		v := s.View()
		done.Revision = record.Revision(v.Head.Lineage, v.Head.Index)
		done.Result, err = do.read(v)
	} else {
		done, err = s.Commit(ctx, Change{ID: "operator:" + c.Operator + ":" + hex.EncodeToString(c.Nonce), Operation: "operator:" + c.Name,
			By: "operator:" + strings.Join(by, "+"), Request: c.Arguments, Reduces: do.reduces, Apply: do.apply})
	}
	var refused *Refused
	if errors.As(err, &refused) {
		return nil, status.Error(codes.FailedPrecondition, refused.Reason)
	}
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	body, err := json.Marshal(done.Result)
	if err != nil {
		return nil, status.Error(codes.Internal, "operator: the result cannot be written")
	}
	return &operatorpb.Result{Body: body, Revision: done.Revision, Missing: done.Missing}, nil
}

var errUnsigned = errors.New("operator: the command is not signed by an enrolled operator")

// signers are the operators that signed a command, its own first.
type signers []string

// verify checks form, operators, signatures, time and nonce, in this order:
// what is not signed is remembered nowhere.
func (s *Server) verify(c *operatorpb.Command) (signers, error) {
	if len(c.Nonce) != nonceSize || len(c.Arguments) > maxArguments || len(c.Name) > maxName || len(c.Operator) > maxName || len(c.Approvals) > maxApprovals {
		return nil, errors.New("operator: the command is malformed")
	}
	by, err := s.signed(c)
	if err != nil {
		return nil, err
	}
	now, life, words := s.Now(), maxSkew, "a minute"
	if len(by) > 1 {
		life, words = ProposalLife, "ten minutes"
	}
	// Compared as numbers: a time far off does not fit a duration.
	if ms := now.UnixMilli(); c.TimeMs < ms-life.Milliseconds() || c.TimeMs > ms+maxSkew.Milliseconds() {
		return nil, fmt.Errorf("operator: the command's time is more than %s off this node's", words)
	}
	return by, s.once(nonce{c.Operator, string(c.Nonce)}, now, now.Add(life+maxSkew))
}

// signed checks the signatures: the operator's own, and the approvals.
func (s *Server) signed(c *operatorpb.Command) (signers, error) {
	public, err := s.public(c.Operator)
	if err != nil || !ed25519.Verify(public, message(c), c.Signature) {
		return nil, errUnsigned
	}
	return s.approved(c)
}

// approved checks the approvals: each of another enrolled operator.
func (s *Server) approved(c *operatorpb.Command) (signers, error) {
	by := signers{c.Operator}
	for _, a := range c.Approvals {
		public, err := s.public(a.Operator)
		if err != nil || slices.Contains(by, a.Operator) || !ed25519.Verify(public, approval(c), a.Signature) {
			return nil, errors.New("operator: an approval is not of another enrolled operator")
		}
		by = append(by, a.Operator)
	}
	return by, nil
}

// public is the key of an operator that the root enrolled.
func (s *Server) public(id string) (ed25519.PublicKey, error) {
	r := s.reader
	if r == nil {
		v := s.View()
		if v == nil {
			return nil, errUnsigned
		}
		r = v
	}
	g, err := record.Get(r, record.Geneses, record.None, "genesis")
	if err != nil {
		return nil, err
	}
	op, err := record.Get(r, record.Operators, record.None, id)
	if err != nil {
		return nil, err
	}
	if !op.Verify(g.Root) || len(op.Public) != ed25519.PublicKeySize {
		return nil, errUnsigned
	}
	return op.Public, nil
}

// once refuses a nonce that was used within the time in which its command
// could be accepted. When too many are remembered it refuses new ones rather
// than forget one.
func (s *Server) once(n nonce, now, until time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nonces == nil {
		s.nonces = map[nonce]time.Time{}
	}
	for old, until := range s.nonces {
		if now.After(until) {
			delete(s.nonces, old)
		}
	}
	if _, used := s.nonces[n]; used {
		return errors.New("operator: the command was run already")
	}
	if len(s.nonces) >= maxNonces {
		return fmt.Errorf("operator: more than %d commands within some minutes", maxNonces)
	}
	s.nonces[n] = until
	return nil
}
