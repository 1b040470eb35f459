package node

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// usesPause is how often a Region reports which access keys were used, and
// usesGrain how much newer a use must be to be told again.
const (
	usesPause = 2 * time.Second
	usesGrain = time.Minute
	maxUses   = 1000 // a report
)

// keyUses gathers the last use of access keys. Noting one that was noted within
// the grain is a lookup: no lock on the request path.
type keyUses struct {
	last sync.Map // key id → record.Time
	mu   sync.Mutex
	due  map[string]*record.KeyUse
}

func (k *keyUses) note(region, account, keyID, service string, now time.Time) {
	at := record.At(now)
	if old, ok := k.last.Load(keyID); ok && at < old.(record.Time)+record.Time(usesGrain.Seconds()) {
		return
	}
	k.last.Store(keyID, at)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.due == nil {
		k.due = map[string]*record.KeyUse{}
	}
	k.due[keyID] = &record.KeyUse{Account: account, Key: keyID, Last: at, Region: region, Service: service}
}

// take empties what is due, up to a report's size.
func (k *keyUses) take() []*record.KeyUse {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []*record.KeyUse
	for id, u := range k.due {
		if len(list) == maxUses {
			break
		}
		list = append(list, u)
		delete(k.due, id)
	}
	return list
}

// giveBack keeps uses that could not be reported, unless newer ones are due.
func (k *keyUses) giveBack(list []*record.KeyUse) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, u := range list {
		if k.due[u.Key] == nil {
			k.due[u.Key] = u
		}
	}
}

// reportUses tells the control plane which keys were used, until ctx ends.
func (r *Region) reportUses(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(usesPause):
		}
		list := r.uses.take()
		if len(list) == 0 {
			continue
		}
		if err := r.report(ctx, list); err != nil {
			r.uses.giveBack(list)
			r.Log.Debug("report key uses", "error", err)
		}
	}
}

func (r *Region) report(ctx context.Context, list []*record.KeyUse) error {
	req := &peerpb.ReportRequest{}
	for _, u := range list {
		b, err := json.Marshal(u)
		if err != nil {
			return err
		}
		req.Uses = append(req.Uses, b)
	}
	return r.ask(ctx, func(ctx context.Context, c peerpb.ControlClient) error {
		_, err := c.Report(ctx, req)
		return err
	})
}
