package operator

import (
	"regexp"
	"time"

	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// NodeLine is a node as a list shows it.
type NodeLine struct {
	ID     string      `json:"id"`
	Role   string      `json:"role"`
	Region string      `json:"region,omitempty"`
	Zone   string      `json:"zone,omitempty"`
	Format int         `json:"format"`
	Joined record.Time `json:"joined"`
	Fenced bool        `json:"fenced,omitempty"`
}

func nodeLine(n *record.Node) NodeLine {
	return NodeLine{n.ID, n.Role, n.Region, n.Zone, n.Format, n.Joined, n.Fenced}
}

func listNodes(r record.Reader) (any, error) {
	all, err := list(r, record.Nodes, record.NodeByID)
	out := []NodeLine{}
	for _, n := range all {
		out = append(out, nodeLine(n))
	}
	return out, err
}

var nodeForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

type nodeIn struct {
	ID     string `json:"id"`
	Reason string `json:"reason,omitempty"`
}

func node(r record.Reader, id string) (*record.Node, error) {
	if !nodeForm.MatchString(id) {
		return nil, refuse("%q is no node's id", id)
	}
	n, err := record.Get(r, record.Nodes, record.None, id)
	return n, missing(err, "there is no node %q", id)
}

// fenceNode takes a node out for good, by one record: nothing that it signs is
// believed from then on, sessions that it minted included, and no node talks
// to it. The control plane renews the keys that it held after that.
func fenceNode(in *nodeIn, _ signers, tx record.Tx, _ time.Time) (any, error) {
	n, err := node(tx, in.ID)
	if err != nil {
		return nil, err
	}
	switch {
	case !plain(in.Reason, 1024):
		return nil, refuse("the reason is longer than 1024 bytes or holds what cannot be printed")
	case n.Fenced:
		return nil, refuse("node %s is fenced already", n.ID)
	case n.Role == record.ControlNode && lastControl(tx, n.ID):
		return nil, refuse("node %s is the only control-plane node: without it nothing could be changed again", n.ID)
	}
	err = n.Fence(tx)
	return nodeLine(n), err
}

// lastControl says whether no other control-plane node is left.
func lastControl(r record.Reader, id string) bool {
	others := 0
	err := record.Scan(r, record.Nodes, record.NodeByID, "", "", func(_ string, n *record.Node) bool {
		if n.Role == record.ControlNode && !n.Fenced && n.ID != id {
			others++
		}
		return true
	})
	return err != nil || others == 0
}

// maxExposed bounds the lines of one answer.
const maxExposed = 2000

// Exposed is what a node could open.
type Exposed struct {
	Accounts int          `json:"accounts"`
	Keys     []ExposedKey `json:"keys"`
	More     string       `json:"more,omitempty"` // account to go on after
}

// ExposedKey is a long-term access key whose secret a node could open.
type ExposedKey struct {
	Account string `json:"account"`
	User    string `json:"user"` // its name; root
	ID      string `json:"accessKeyId"`
	Active  bool   `json:"active"`
}

type exposedIn struct {
	ID    string `json:"id"`
	After string `json:"after,omitempty"` // account
}

// exposedKeys lists the long-term keys that a node could open: whoever has
// stolen it may have their secrets.
func exposedKeys(in *exposedIn, r record.Reader) (any, error) {
	n, err := node(r, in.ID)
	if err != nil {
		return nil, err
	}
	if n.Role != record.RegionNode {
		return nil, refuse("node %s is of the control plane: it could open every key of every account", n.ID)
	}
	held := map[string]map[int]bool{}
	var order []string
	err = keyring.Exposed(r, n, func(account string, generation int) bool {
		if held[account] == nil {
			held[account] = map[int]bool{}
			order = append(order, account)
		}
		held[account][generation] = true
		return true
	})
	if err != nil {
		return nil, err
	}
	out := &Exposed{Accounts: len(order), Keys: []ExposedKey{}}
	for _, account := range order {
		if account <= in.After {
			continue
		}
		if len(out.Keys) >= maxExposed {
			break
		}
		if err := out.add(r, account, held[account]); err != nil {
			return nil, err
		}
		out.More = account
	}
	if len(order) == 0 || out.More == order[len(order)-1] {
		out.More = ""
	}
	return out, nil
}

// add appends an account's keys that are sealed under one of the generations.
func (x *Exposed) add(r record.Reader, account string, held map[int]bool) error {
	keys := func(user string, list []record.AccessKey) {
		for _, k := range list {
			if held[k.Generation] {
				x.Keys = append(x.Keys, ExposedKey{account, user, k.ID, k.Active})
			}
		}
	}
	a, err := record.Get(r, record.Accounts, account, account)
	if err == nil {
		keys("root", a.RootKeys)
	}
	return record.Scan(r, record.Users, record.UserByName, account+record.Sep, "", func(_ string, u *record.User) bool {
		keys(u.Name, u.Keys)
		return true
	})
}
