package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"maps"
	"slices"
	"sync"

	"google.golang.org/grpc"

	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// links are a node's connections to others, by name: to those that its configuration
// names, which is where it begins, and to those whose addresses the state tells.
type links struct {
	key    ed25519.PrivateKey
	pinned func(name string, key ed25519.PublicKey) bool // says whether a node shows a key that is its own, wherever it is

	mu    sync.Mutex
	nodes map[string]link
}

// link is one of them.
type link struct {
	name      string
	addresses []string
	conn      *grpc.ClientConn // made when it is used
	feed      peerpb.FeedClient
}

// addressesOf lists where nodes may be, by name: as configured, and as the state
// tells of those among them that are in force. One that is fenced is nowhere.
func addressesOf(v *view.View, configured map[string]string, among func(*record.Node) bool) map[string][]string {
	all := map[string][]string{}
	for name, address := range configured {
		all[name] = []string{address}
	}
	if v == nil {
		return all
	}
	_ = record.Scan(v, record.Nodes, record.NodeByID, "", "", func(name string, n *record.Node) bool { // what cannot be read changes nothing
		switch address := addressOf(v, name); {
		case !among(n):
		case n.Fenced:
			delete(all, name)
		case address != "" && !slices.Contains(all[name], address):
			all[name] = append(all[name], address)
		}
		return true
	})
	return all
}

// connect makes the connections be those to the given nodes, and says whether
// anything changed.
func (l *links) connect(all map[string][]string) (changed bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, n := range l.nodes {
		if !slices.Equal(all[name], n.addresses) {
			err = errors.Join(err, n.conn.Close())
			delete(l.nodes, name)
			changed = true
		}
	}
	for name, addresses := range all {
		if _, is := l.nodes[name]; is {
			continue
		}
		conn, failed := peer.DialAny(addresses, l.key, func(k ed25519.PublicKey) bool { return l.pinned(name, k) })
		if failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		l.nodes[name] = link{name, addresses, conn, peerpb.NewFeedClient(conn)}
		changed = true
	}
	return changed, err
}

// learn keeps the connections true to what the state tells, until ctx ends; told is
// called after each attempt at what is new.
func (l *links) learn(ctx context.Context, current func() *view.View, where func(*view.View) map[string][]string, told func(all map[string][]string, changed bool, err error)) error {
	var seen *view.View
	for ctx.Err() == nil {
		if v := current(); v != nil && v != seen {
			seen = v
			all := where(v)
			if changed, err := l.connect(all); changed || err != nil {
				told(all, changed, err)
			}
		}
		sleep(ctx, learnPause)
	}
	return nil
}

func (l *links) close() error {
	_, err := l.connect(nil)
	return err
}

// all lists the nodes by name.
func (l *links) all() []link {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []link
	for _, name := range slices.Sorted(maps.Keys(l.nodes)) {
		list = append(list, l.nodes[name])
	}
	return list
}

// conn is the connection to a node; nil: nobody knows where it is.
func (l *links) conn(name string) *grpc.ClientConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nodes[name].conn
}
