package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
)

// A new member asks the others this often whether they have taken it in, waits
// so long for an answer, and reads so much of it.
const (
	takenInEach    = 200 * time.Millisecond
	takenInTimeout = 2 * time.Second
	takenInBytes   = 1 << 20
)

// listed is a member as another one lists it.
type listed struct {
	Name     string
	PeerURLs []string
	Learner  bool `json:"isLearner"`
}

// takenIn waits until all members that answer list this one as new, and returns
// where they all listen. etcd itself asks one of them, once, and takes whichever
// member it lists at this one's address: one that has not heard of the change
// yet ends the start, and one that lists a lost member there has this one start
// as a voter that has forgotten its votes.
func (c *MemberConfig) takenIn(ctx context.Context) (map[string]string, error) {
	rt, err := transport.NewTransport(c.tls(), takenInTimeout)
	if err != nil {
		return nil, fmt.Errorf("store: member %s: %w", c.Name, err)
	}
	defer rt.CloseIdleConnections()
	client := &http.Client{Transport: rt, Timeout: takenInTimeout}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var why error
	for {
		peers, err := c.asked(ctx, client)
		switch {
		case err == nil, errors.Is(err, errForgotten):
			return peers, err
		case ctx.Err() != nil && why != nil: // what it waited for, not that it waits no more
			return nil, fmt.Errorf("store: member %s was not taken in within %s: %w", c.Name, startTimeout, why)
		case why == nil || why.Error() != err.Error():
			c.Log.Info("waiting until the store's members have taken this one in", "why", err)
		}
		why = err
		pause(ctx, takenInEach)
	}
}

// errForgotten is of a member that has lost its disk.
var errForgotten = errors.New("store: this member was among the store's before and its disk is empty: fence its node and invite another")

// asked asks every other member, and returns all members if those that answer
// agree.
func (c *MemberConfig) asked(ctx context.Context, client *http.Client) (map[string]string, error) {
	var agreed map[string]string
	err := errors.New("no other member is known")
	for _, name := range slices.Sorted(maps.Keys(c.Peers)) {
		if name == c.Name {
			continue
		}
		list, e := membersAt(ctx, client, c.Peers[name])
		if e != nil {
			err = fmt.Errorf("member %s does not answer: %w", name, e)
			continue
		}
		peers, e := c.found(list)
		if e != nil {
			return nil, fmt.Errorf("member %s: %w", name, e)
		}
		if agreed != nil && !maps.Equal(agreed, peers) {
			return nil, fmt.Errorf("member %s lists other members than the others", name)
		}
		agreed = peers
	}
	if agreed == nil {
		return nil, err
	}
	return agreed, nil
}

// found is where the members of a list listen, by name, if this one is among
// them and new.
func (c *MemberConfig) found(list []listed) (map[string]string, error) {
	peers, own := map[string]string{}, c.Peers[c.Name]
	for _, m := range list {
		if len(m.PeerURLs) != 1 || !strings.HasPrefix(m.PeerURLs[0], "https://") {
			return nil, fmt.Errorf("lists member %s at %v, where no other can reach it", m.Name, m.PeerURLs)
		}
		address := strings.TrimPrefix(m.PeerURLs[0], "https://")
		switch {
		case m.Name == c.Name:
			return nil, errForgotten
		case address == own && (m.Name != "" || !m.Learner):
			return nil, fmt.Errorf("lists member %s at %s", m.Name, own)
		case address == own:
			m.Name = c.Name
		case m.Name == "":
			m.Name = address // another that has not started yet
		}
		peers[m.Name] = address
	}
	if peers[c.Name] == "" {
		return nil, fmt.Errorf("does not list %s", own)
	}
	return peers, nil
}

// membersAt asks a member for the list of members that it has applied.
func membersAt(ctx context.Context, client *http.Client, address string) ([]listed, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/members", nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, takenInBytes))
	if err != nil {
		return nil, err
	}
	var list []listed
	if err := json.Unmarshal(b, &list); err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s says %s", address, resp.Status)
	}
	return list, nil
}
