package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"sort"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// controls are this node's connections to the control plane's nodes.
type controls struct {
	links
	configured map[string]string    // HOST:PORT by name
	silent     map[string]time.Time // who did not answer, and when; under the links' lock
}

// shunFor is how long a control-plane node that did not answer is asked last.
const shunFor = 2 * time.Second

// dialControls connects to the configured nodes. pinned says whether a node shows
// a key that is its own, wherever it is.
func dialControls(addresses map[string]string, key ed25519.PrivateKey, pinned func(name string, key ed25519.PublicKey) bool) (*controls, error) {
	c := &controls{links: links{key: key, pinned: pinned, nodes: map[string]link{}}, configured: addresses, silent: map[string]time.Time{}}
	_, err := c.connect(addressesOf(nil, addresses, ofControl))
	return c, err
}

// ofControl says whether a node is one of the control plane.
func ofControl(n *record.Node) bool { return n.Role == record.ControlNode }

// learnPause is how often a node looks where others are.
const learnPause = time.Second

// learn keeps the connections true to what the state tells, until ctx ends. A node
// does not connect to itself.
func (c *controls) learn(ctx context.Context, self string, current func() *view.View, log *slog.Logger, moved func()) error {
	return c.links.learn(ctx, current, func(v *view.View) map[string][]string {
		all := addressesOf(v, c.configured, ofControl)
		delete(all, self)
		return all
	}, func(all map[string][]string, changed bool, err error) {
		if err != nil {
			log.Warn("connect to the control plane's nodes", "error", err)
		}
		if changed {
			log.Info("the control plane's nodes", "at", all)
			moved()
		}
	})
}

// pinnedIn says whether a view has the key for the control-plane node of that
// name, and has not fenced it.
func pinnedIn(v *view.View, name string, key ed25519.PublicKey) bool {
	if v == nil {
		return false
	}
	n, err := record.Get(v, record.Nodes, record.None, name)
	return err == nil && n.Role == record.ControlNode && !n.Fenced && key.Equal(ed25519.PublicKey(n.TLS))
}

// order lists the nodes as they are to be asked: first the one that sequences,
// as the newest head has it; last those that did not answer lately.
func (c *controls) order(sequencer string, now time.Time) []link {
	list := c.all()
	c.mu.Lock()
	defer c.mu.Unlock()
	rank := func(name string) int {
		at, failed := c.silent[name]
		switch {
		case failed && now.Sub(at) < shunFor:
			return 2
		case name == sequencer:
			return 0
		}
		return 1
	}
	sort.SliceStable(list, func(i, j int) bool { return rank(list[i].name) < rank(list[j].name) })
	return list
}

func (c *controls) note(name string, answered bool, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if answered {
		delete(c.silent, name)
	} else {
		c.silent[name] = now
	}
}

// shunned says whether a node did not answer lately.
func (c *controls) shunned(name string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, failed := c.silent[name]
	return failed && now.Sub(at) < shunFor
}

// errSilent says that a node did not answer in time: what it was asked for may
// have happened, or may yet.
var errSilent = errors.New("the control-plane node does not answer")

// unanswered says whether an error leaves open what happened, or says that
// nothing did because the node cannot: another one may be asked, since a call id
// is done once.
func unanswered(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Aborted:
		return true
	}
	return errors.Is(err, errSilent)
}

// busyPatience bounds how long a node is waited for that goes on committing.
const busyPatience = 3 * time.Second

// relayOver hands a write to a control-plane node. It waits for the first word,
// that the write is committed or its answer, for the given patience; longer when
// the log grows meanwhile: then the node is busy, not silent.
func relayOver(ctx context.Context, conn *grpc.ClientConn, r *peerpb.RelayRequest, patience time.Duration, index func() uint64) (*peerpb.RelayReply, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	words := make(chan *peerpb.RelayReply, 2)
	var failed error
	go func() {
		defer close(words)
		stream, err := peerpb.NewControlClient(conn).Relay(ctx, r)
		for err == nil {
			var word *peerpb.RelayReply
			if word, err = stream.Recv(); err == nil {
				words <- word
			}
			if err == nil && !word.Committed {
				return
			}
		}
		failed = err
	}()
	word, ok, err := firstWord(ctx, words, patience, index)
	if err != nil {
		return nil, err
	}
	if ok && word.Committed {
		select {
		case word, ok = <-words:
		case <-ctx.Done():
			return nil, errSilent
		}
	}
	if !ok {
		return nil, failed
	}
	return word, nil
}

func firstWord(ctx context.Context, words <-chan *peerpb.RelayReply, patience time.Duration, index func() uint64) (*peerpb.RelayReply, bool, error) {
	at, end := index(), time.After(busyPatience)
	for {
		select {
		case word, ok := <-words:
			return word, ok, nil
		case <-ctx.Done():
			return nil, false, errSilent
		case <-end:
			return nil, false, errSilent
		case <-time.After(patience):
		}
		now := index()
		if now == at {
			return nil, false, errSilent
		}
		at = now
	}
}
