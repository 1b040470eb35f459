package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// memberTimeout bounds one change of the members.
const memberTimeout = 5 * time.Second

// errOther says that the members are somebody else's business.
var errOther = errors.New("store: an external cluster's members are its own business")

// AddMember takes in the member of a node that will listen at address. It only
// learns at first: it counts for no majority until TendMembers has it vote. One
// that was taken in before is taken in already. The address may be that of a
// node that is gone: its member leaves first, or the new node, whose disk is
// empty, would start as a member that has forgotten what it has voted for. It
// says which left.
func (e *Etcd) AddMember(ctx context.Context, name, address string, gone func(name string) bool) (left []string, err error) {
	if e.server == nil {
		return nil, errOther
	}
	ctx, cancel := context.WithTimeout(ctx, memberTimeout)
	defer cancel()
	all, err := e.client.MemberList(ctx)
	if err != nil {
		return nil, err
	}
	url := "https://" + address
	for _, m := range all.Members {
		here := slices.Contains(m.PeerURLs, url)
		switch {
		case here && (m.Name == "" || m.Name == name):
			return left, nil
		case here && !gone(m.Name):
			return left, fmt.Errorf("store: member %s listens at %s", m.Name, address)
		case here, m.IsLearner && m.Name == "": // or one that never came
			if _, err := e.client.MemberRemove(ctx, m.ID); err != nil {
				return left, fmt.Errorf("store: member %s at %s has to leave first: %w", m.Name, strings.Join(m.PeerURLs, ", "), err)
			}
			left = append(left, cmp.Or(m.Name, "a learner that never came"))
		}
	}
	_, err = e.client.MemberAddAsLearner(ctx, []string{url})
	return left, err
}

// TendMembers makes one change that is due: the member of a node that is gone
// leaves, one that has caught up votes. It says what it did.
func (e *Etcd) TendMembers(ctx context.Context, gone func(name string) bool) (string, error) {
	if e.server == nil {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, memberTimeout)
	defer cancel()
	all, err := e.client.MemberList(ctx)
	if err != nil {
		return "", err
	}
	for _, m := range all.Members {
		if m.Name != "" && gone(m.Name) {
			_, err := e.client.MemberRemove(ctx, m.ID)
			return did("removed", m, err)
		}
	}
	for _, m := range all.Members {
		if !m.IsLearner || m.Name == "" {
			continue
		}
		if _, err := e.client.MemberPromote(ctx, m.ID); !errors.Is(err, rpctypes.ErrMemberLearnerNotReady) && !unready(err) {
			return did("votes", m, err)
		}
	}
	return "", nil
}

// unready says whether a learner has yet to catch up: the embedded client gives
// the server's own error.
func unready(err error) bool {
	return err != nil && strings.Contains(err.Error(), "in sync with leader")
}

func did(what string, m *etcdserverpb.Member, err error) (string, error) {
	if err != nil {
		return "", fmt.Errorf("store: member %s: %w", m.Name, err)
	}
	return fmt.Sprintf("%s %s", m.Name, what), nil
}

// adopt tells the cluster where this member listens, when that has changed: a
// lone one becomes one that others can reach.
func (e *Etcd) adopt(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, memberTimeout)
	defer cancel()
	own := e.server.Server.MemberID()
	m := e.server.Server.Cluster().Member(own) // as this member knows it: nobody has to be asked
	if m == nil || slices.Equal(m.PeerURLs, []string{url}) {
		return nil
	}
	_, err := e.client.MemberUpdate(ctx, uint64(own), []string{url})
	return err
}
