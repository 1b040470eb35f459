package node

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/store"
)

// serveOperators opens the operators' socket.
func (c *Control) serveOperators(ctx context.Context, group *errgroup.Group) error {
	if c.Config.Operator == "" {
		return nil
	}
	l, err := operator.Listen(c.Config.Operator)
	if err != nil {
		return err
	}
	s := grpc.NewServer(grpcOptions(c.Log, nil)...)
	operatorpb.RegisterOperatorServer(s, c.operators)
	serveGRPC(ctx, group, s, l)
	return nil
}

// commitOperator commits an operator's change and waits for the in-sync nodes.
func (c *Control) commitOperator(ctx context.Context, ch operator.Change) (operator.Done, error) {
	var result any
	o := c.writer.Do(ctx, store.Call{ID: ch.ID, Reduces: ch.Reduces, Insist: insists(ctx), Apply: func(tx record.Tx, now time.Time, _ uint64) ([]byte, error) {
		var err error
		if result, err = ch.Apply(tx, now); err != nil {
			return nil, err
		}
		return record.Marshal(record.Private{Caller: ch.By, Operation: ch.Operation, Request: json.RawMessage(ch.Request)})
	}})
	if errors.Is(o.Err, store.ErrFormat) {
		return operator.Done{}, &operator.Refused{Reason: "nothing was changed, " + o.Err.Error() + "; upgrade them first, or fence those that are gone"}
	}
	if o.Err != nil {
		return operator.Done{}, o.Err
	}
	if o.Replayed {
		return operator.Done{}, &operator.Refused{Reason: "the command was run already, at revision " + record.Revision(o.View.Head.Lineage, o.Index)}
	}
	return operator.Done{Revision: record.Revision(o.View.Head.Lineage, o.Index), Missing: c.hub.Wait(ctx, o.Index), Result: result}, nil
}

// makeAccount makes an account's records: its data key, and a root key.
func (c *Control) makeAccount(tx record.Tx, id, name string, now time.Time) (*operator.NewAccount, error) {
	regions, err := keyring.DefaultRegions(tx)
	if err != nil {
		return nil, err
	}
	k, err := c.ring.NewAccountKey(tx, id, 1, regions, now)
	if err != nil {
		return nil, err
	}
	if err := record.Put(tx, record.AccountKeys, k); err != nil {
		return nil, err
	}
	root, secret, err := c.ring.NewAccessKey(tx, id, now)
	if err != nil {
		return nil, err
	}
	a := &record.Account{ID: id, Name: name, Created: record.At(now), RootKeys: []record.AccessKey{root}}
	return &operator.NewAccount{Account: id, RootKeyID: root.ID, RootSecret: secret}, record.Put(tx, record.Accounts, a)
}
