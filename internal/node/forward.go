package node

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/front"
	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// forwardPatience is how long a node waits for the one that sequences before it
// commits itself, which is the take-over.
const forwardPatience = 300 * time.Millisecond

// Bounds of one forward as a whole, the wait for the in-sync nodes included: of a
// write, which has patience of its own, and of anything else.
const (
	writeBound = 5 * time.Second
	otherBound = 1500 * time.Millisecond
)

// onward has the node that sequences do something. Not done: this node is to do
// it, insisting when that one did not answer. What another node has handed on to
// this one is never handed on again.
func (c *Control) onward(ctx context.Context, handed bool, bound time.Duration, do func(context.Context, *grpc.ClientConn) error) (done, insist bool, err error) {
	if handed {
		return false, false, nil
	}
	asked := map[string]bool{}
	for {
		sequencer := c.writer.View().Head.Node
		if sequencer == c.keys.ID {
			return false, false, nil
		}
		conn := c.controls.conn(sequencer)
		if conn == nil || asked[sequencer] || c.controls.shunned(sequencer, clock()) {
			return false, true, nil
		}
		asked[sequencer] = true
		bounded, cancel := context.WithTimeout(ctx, bound)
		err = do(bounded, conn)
		cancel()
		c.controls.note(sequencer, !unanswered(err), clock())
		if !unanswered(err) {
			return true, false, err
		}
		c.Log.Warn("the node that sequences does not answer", "sequencer", sequencer, "error", err)
		c.refresh(ctx) // somebody else may sequence by now
	}
}

// handedOn says whether a call comes from another control-plane node.
func handedOn(ctx context.Context) bool {
	n := peer.Caller(ctx)
	return n != nil && n.Role == record.ControlNode
}

// refresh has this node see the newest head.
func (c *Control) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, forwardPatience)
	defer cancel()
	if _, err := c.writer.Linearizable(ctx); err != nil {
		c.Log.Warn("the store does not answer", "error", err)
	}
}

// forward is the front's relay on a control-plane node.
func (c *Control) forward(ctx context.Context, m *front.Relayed) (*front.Reply, error) {
	var reply *peerpb.RelayReply
	request := relayRequest(m)
	request.Node = relayedBy(ctx)
	done, insist, err := c.onward(ctx, handedOn(ctx), writeBound, func(ctx context.Context, conn *grpc.ClientConn) error {
		var err error
		reply, err = relayOver(ctx, conn, request, forwardPatience, c.index)
		if err == nil && reply.Status == http.StatusServiceUnavailable {
			return errSilent // it cannot; this node may, and what it did is done once
		}
		return err
	})
	if !done {
		return &front.Reply{Here: true, Insist: insist}, nil
	}
	if err != nil {
		return nil, front.Unavailable(err.Error())
	}
	return frontReply(reply), nil
}

func (c *Control) index() uint64 { return c.writer.View().Head.Index }

func relayRequest(m *front.Relayed) *peerpb.RelayRequest {
	r := &peerpb.RelayRequest{Method: m.Method, Target: m.Target, Host: m.Host, Body: m.Body, Source: m.Source, Secure: m.Secure, ArrivedMs: m.Arrived.UnixMilli()}
	for _, h := range m.Header {
		r.Header = append(r.Header, &peerpb.Field{Name: h[0], Value: h[1]})
	}
	return r
}

func frontReply(r *peerpb.RelayReply) *front.Reply {
	out := &front.Reply{Status: int(r.Status), Body: r.Body}
	for _, h := range r.Header {
		out.Header = append(out.Header, [2]string{h.Name, h.Value})
	}
	return out
}

// operators runs operators' commands, or has the node that sequences run them.
type operators struct {
	operatorpb.UnimplementedOperatorServer
	c    *Control
	here operatorpb.OperatorServer
}

// Execute implements operatorpb.OperatorServer. What a command did is done once:
// it has a call id.
func (o *operators) Execute(ctx context.Context, command *operatorpb.Command) (*operatorpb.Result, error) {
	if command.Name == "node.fence" {
		if result, done, err := o.fence(ctx, command); done {
			return result, err
		}
	}
	var result *operatorpb.Result
	done, insist, err := o.c.onward(ctx, handedOn(ctx), otherBound, func(ctx context.Context, conn *grpc.ClientConn) error {
		var err error
		result, err = operatorpb.NewOperatorClient(conn).Execute(ctx, command)
		if status.Code(err) == codes.Internal { // not confirmed there
			return errSilent
		}
		return err
	})
	if done {
		return result, err
	}
	return o.run(ctx, command, insist)
}

func (o *operators) run(ctx context.Context, command *operatorpb.Command, insist bool) (*operatorpb.Result, error) {
	if _, err := o.c.writer.Linearizable(ctx); err != nil { // a refusal must not rest on an old view
		return nil, status.Error(codes.Internal, err.Error())
	}
	return o.here.Execute(withInsist(ctx, insist), command)
}

// fence has a control-plane node fenced by another one, which takes over if it
// must: its own word would be worth nothing in the state that it makes, and a
// stolen one would not give it.
func (o *operators) fence(ctx context.Context, command *operatorpb.Command) (result *operatorpb.Result, done bool, err error) {
	var target struct{ ID string }
	if json.Unmarshal(command.Arguments, &target) != nil {
		return nil, false, nil // refused where it is run
	}
	switch target.ID {
	case o.c.keys.ID:
		others := o.c.controls.order("", clock())
		for _, n := range others {
			result, err = operatorpb.NewOperatorClient(n.conn).Execute(ctx, command)
			if !unanswered(err) {
				return result, true, err
			}
		}
		return nil, len(others) > 0, err
	case o.c.writer.View().Head.Node:
		result, err = o.run(ctx, command, true)
		return result, true, err
	}
	return nil, false, nil
}

// insistKey marks a context whose changes are committed here also while another
// node sequences.
type insistKey struct{}

func withInsist(ctx context.Context, insist bool) context.Context {
	return context.WithValue(ctx, insistKey{}, insist)
}

func insists(ctx context.Context) bool {
	insist, _ := ctx.Value(insistKey{}).(bool)
	return insist
}
