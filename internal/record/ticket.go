package record

import (
	"bytes"
	"crypto/sha256"
	"fmt"
)

// Ticket is a node that operators have admitted to a Region while the control
// plane could not be reached, with what it shows of itself. It is no record: where
// it is good, a Region lays what it comes to over the state that it serves; the
// control plane, when it is handed it, enrols the node.
type Ticket struct {
	Node    *Node
	Keys    []*SigningKey // that it signs tokens with, for its own Region
	Address *Address      // nil: it has told none
}

// ticketMark begins what a node that came by a ticket has in place of an invite.
const ticketMark = 't'

// TicketInvite is what a node has as its invite that came by the ticket with this
// hash.
func TicketInvite(hash [sha256.Size]byte) []byte { return append([]byte{ticketMark}, hash[:]...) }

// ByTicket says whether a node came by a ticket.
func (n *Node) ByTicket() bool { return len(n.Invite) == 1+sha256.Size && n.Invite[0] == ticketMark }

// Unused says whether a state has nothing of what a ticket brings: neither its
// node's name nor any of its keys. What a fenced node had does not come back so.
func (t *Ticket) Unused(r Reader) error {
	if Has(r, Nodes, None, t.Node.ID) {
		return fmt.Errorf("record: a node of the name %s is enrolled, or was", t.Node.ID)
	}
	used := ""
	err := Scan(r, Nodes, NodeByID, "", "", func(id string, n *Node) bool {
		if bytes.Equal(n.TLS, t.Node.TLS) || bytes.Equal(n.HPKE, t.Node.HPKE) {
			used = id
		}
		return used == ""
	})
	if err != nil {
		return err
	}
	for _, k := range t.Keys {
		if old, err := Get(r, SigningKeys, None, k.ID); err == nil {
			if old.named() || !k.named() { // else somebody has taken the id beforehand, to make the ticket void
				used = old.Node
			}
		} else if Has(r, SigningKeys, None, k.ID) {
			return err
		}
	}
	if used != "" {
		return fmt.Errorf("record: a key of node %s is one of node %s", t.Node.ID, used)
	}
	return nil
}

// Withdrawn says whether operators have denied what the node mints: then its
// ticket is good for nothing any more.
func (t *Ticket) Withdrawn(r Reader) (is bool) {
	r.Range(DenialByTarget.Name, DenyMinter+Sep+t.Node.ID+Sep, "", func(string, *Entry) bool {
		is = true
		return false
	})
	return is
}

// Put writes what the ticket comes to. Of one that was withdrawn that is a fenced
// node: what it could open is known, and its keys are good for nothing.
func (t *Ticket) Put(tx Tx) error {
	n := *t.Node
	n.Fenced = t.Withdrawn(tx)
	if err := Put(tx, Nodes, &n); err != nil || n.Fenced {
		return err
	}
	for _, k := range t.Keys {
		if err := Put(tx, SigningKeys, k); err != nil {
			return err
		}
	}
	if t.Address == nil {
		return nil
	}
	return Put(tx, Addresses, t.Address)
}
