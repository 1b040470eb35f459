package operator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// RegionDeny is the command that denies in one Region while it is cut off.
const RegionDeny = "region.deny"

// maxTogether bounds the denials of one command.
const maxTogether = 64

// Together are several denials in one command. Of a Region's own the operators
// sign for which cluster and Region they are, and as the how manieth.
type Together struct {
	Cluster  string   `json:"cluster,omitempty"`
	Region   string   `json:"region,omitempty"`
	Sequence uint64   `json:"sequence,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Deny     []Denied `json:"deny"`
}

// Denied is one thing to deny: one thing, never a pattern.
type Denied struct {
	Scope   string      `json:"scope"`
	Target  string      `json:"target"`
	Account string      `json:"account,omitempty"`
	Before  record.Time `json:"before,omitempty"`
}

// createDenials denies several things in one commit.
func createDenials(in *Together, by signers, tx record.Tx, now time.Time) (any, error) {
	if in.Cluster != "" || in.Region != "" || in.Sequence != 0 {
		return nil, refuse("denials for one Region are given to that Region's own nodes")
	}
	if len(in.Deny) == 0 || len(in.Deny) > maxTogether {
		return nil, refuse("%d denials: 1 to %d at once", len(in.Deny), maxTogether)
	}
	var out []any
	for _, d := range in.Deny {
		made, err := createDenial(&denyIn{Scope: d.Scope, Target: d.Target, Account: d.Account, Before: d.Before, Reason: in.Reason}, by, tx, now)
		if err != nil {
			return nil, err
		}
		out = append(out, made)
	}
	return out, nil
}

// Regional verifies what operators have signed for one Region, as far as r knows
// them: its id, and the denials that it comes to, the same on every node and on
// the control plane. It asks nothing about the time: a list is read days later.
func Regional(r record.Reader, text []byte, cluster, region string) (id string, denials []*record.Denial, err error) {
	c, in, err := regional(text)
	if err != nil {
		return "", nil, err
	}
	by, err := (&Server{reader: r}).signed(c)
	if err != nil {
		return "", nil, err
	}
	if err := two(r, by, "denying in a Region alone"); err != nil {
		return "", nil, err
	}
	if in.Cluster != cluster || in.Region != region || in.Sequence == 0 {
		return "", nil, refuse("the command is for Region %q of a deployment, and this is not it: this is Region %s", in.Region, region)
	}
	return ReadRegional(text)
}

// ReadRegional reads a command that was verified before.
func ReadRegional(text []byte) (id string, denials []*record.Denial, err error) {
	c, in, err := regional(text)
	if err != nil {
		return "", nil, err
	}
	by := []string{c.Operator}
	for _, a := range c.Approvals {
		by = append(by, a.Operator)
	}
	sum, made := sha256.Sum256(message(c)), time.UnixMilli(c.TimeMs)
	for n, d := range in.Deny {
		if err := d.check(made); err != nil {
			return "", nil, err
		}
		if d.Scope == record.DenyBefore && d.Before == 0 {
			d.Before = record.At(made) + 1 // as createDenial
		}
		denials = append(denials, &record.Denial{ID: derived(sum, n), Scope: d.Scope, Target: d.Target, Account: d.Account, Before: d.Before,
			Reason: in.Reason, By: strings.Join(by, "+"), Created: record.At(made)})
	}
	return hex.EncodeToString(sum[:16]), denials, nil
}

// regional reads the form of a command for one Region.
func regional(text []byte) (*operatorpb.Command, *Together, error) {
	c, in := new(operatorpb.Command), new(Together)
	if len(text) > 2*maxArguments || proto.Unmarshal(text, c) != nil || c.Name != RegionDeny || len(c.Nonce) != nonceSize || len(c.Approvals) > maxApprovals {
		return nil, nil, errors.New("operator: this is no denial of a Region's own")
	}
	if err := decode(c, in); err != nil {
		return nil, nil, err
	}
	if len(in.Deny) == 0 || len(in.Deny) > maxTogether || !plain(in.Reason, 1024) {
		return nil, nil, refuse("%d denials: 1 to %d at once, with a reason of 1024 bytes at most", len(in.Deny), maxTogether)
	}
	return c, in, nil
}

// RegionOf is the Region that a proposed command is for; "": the control plane.
func RegionOf(c *operatorpb.Command) string {
	var deny Together
	var admit Ticket
	switch {
	case c.Name == RegionDeny && decode(c, &deny) == nil:
		return deny.Region
	case c.Name == RegionAdmit && decode(c, &admit) == nil:
		return admit.Region
	}
	return ""
}

// derived is the id of a command's nth denial: whoever reads the command comes
// to the same.
func derived(sum [32]byte, n int) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%x denial %d", sum, n))
	return hex.EncodeToString(h[:8])
}

// check is what checkDenial asks without a state.
func (d *Denied) check(now time.Time) error {
	t, ok := targets[d.Scope]
	switch {
	case !ok || !t.form.MatchString(d.Target):
		return refuse("%s %q is nothing that can be denied; a denial names one thing, never a pattern", d.Scope, d.Target)
	case (d.Scope == record.DenyIdentity) != (d.Account != "") || d.Account != "" && !accountForm.MatchString(d.Account):
		return refuse("a source identity is denied in one account, everything else by itself")
	case d.Scope != record.DenyBefore && d.Before != 0 || d.Before < 0 || d.Before > record.At(now.Add(maxSkew)):
		return refuse("only sessions-before has a time, and it is past")
	}
	return nil
}

// RegionState is what an operator has to know to sign for a Region.
type RegionState struct {
	Cluster  string           `json:"cluster"`
	Region   string           `json:"region"`
	Sequence uint64           `json:"sequence"` // the next
	Denials  []RegionalDenial `json:"denials"`
	Tickets  []NodeLine       `json:"tickets"` // a fenced one was withdrawn
}

// RegionalDenial is a denial of a Region's own that the control plane does not
// have yet, as far as this node knows.
type RegionalDenial struct {
	*record.Denial
	Region string `json:"region"`
}

// RegionServer runs on a Region node what operators may ask of it while the
// control plane is gone: reads, the Region's own denials, and its own tickets.
type RegionServer struct {
	operatorpb.UnimplementedOperatorServer
	*Server
	// State is what the Region's list is at.
	State func() RegionState
	// Deny takes a verified command, and returns when it is acknowledged: with
	// the Region's nodes that lack it.
	Deny func(ctx context.Context, id string, command []byte, denials []*record.Denial) (missing []string, err error)
	// Admit is Deny for a ticket.
	Admit func(ctx context.Context, id string, command []byte, t *record.Ticket) (missing []string, err error)
}

// Backup is the control plane's.
func (s *RegionServer) Backup(*operatorpb.Command, operatorpb.Operator_BackupServer) error {
	return status.Error(codes.FailedPrecondition, "a Region node makes no backup: ask the control plane")
}

// Execute runs one command.
func (s *RegionServer) Execute(ctx context.Context, c *operatorpb.Command) (*operatorpb.Result, error) {
	switch c.Name {
	case RegionDeny:
		return s.deny(ctx, c)
	case RegionAdmit:
		return s.admit(ctx, c)
	case "region.list":
		if _, err := s.verify(c); err != nil {
			return nil, status.Error(codes.PermissionDenied, err.Error())
		}
		body, err := json.Marshal(s.State())
		if err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
		return &operatorpb.Result{Body: body}, nil
	}
	if do, err := s.command(c, nil); err != nil || do.read == nil {
		return nil, status.Error(codes.FailedPrecondition, "a Region node reads, and denies and admits in its Region: this is for the control plane")
	}
	return s.Server.Execute(ctx, c)
}

func (s *RegionServer) deny(ctx context.Context, c *operatorpb.Command) (*operatorpb.Result, error) {
	if _, err := s.verify(c); err != nil { // signature, time and nonce
		return nil, status.Error(codes.PermissionDenied, err.Error())
	}
	text, err := proto.Marshal(c)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	state := s.State()
	id, denials, err := Regional(s.View(), text, state.Cluster, state.Region)
	if err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	missing, err := s.Deny(ctx, id, text, denials)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	body, err := json.Marshal(denials)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &operatorpb.Result{Body: body, Missing: missing}, nil
}
