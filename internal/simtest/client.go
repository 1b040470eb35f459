package simtest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/store"
)

// skew is how far a signature's time may be off a control node's.
const skew = 5 * time.Minute

var (
	errStale = errors.New("the signature's time is off")
	errHas   = errors.New("there is one already")
	errNone  = errors.New("there is none")
)

// client makes one call after the other, each again with the same call id
// until it hears what became of it.
type client struct {
	w     *world
	plane *plane // that it calls
	id    string
	n     int
	op    *operation
	users []known // to be there
}

// known is a user that a client has made.
type known struct {
	name string
	at   uint64 // the index at which it was made
}

// operation is one signed call.
type operation struct {
	client  *client // nil: the control plane itself
	account string
	name    string
	call    string // call id
	signed  time.Time
	change  func(tx record.Tx, account string) error
	done    func(err error, index uint64)
	tries   int
	over    bool
	takes   string // the user that it removes
	unsure  bool   // the client has changed the control plane meanwhile
	open    int    // attempts at control nodes that were not refused
}

// attempt is one sending of an operation.
type attempt struct {
	op        *operation
	arrived   uint64 // what was in the log when it came to the node that answers
	handed    bool   // by one control node to another: once is enough
	committed bool   // is what it waits for, not who has it
	answer    func(err error, index uint64, missing []string)
}

func (o *operation) admit(_ record.Reader, now time.Time) error {
	if d := now.Sub(o.signed); d > skew || d < -skew {
		return errStale
	}
	return nil
}

func (o *operation) apply(tx record.Tx, _ time.Time, _ uint64) ([]byte, error) {
	if err := o.change(tx, o.account); err != nil {
		return nil, err
	}
	return record.Marshal(record.Private{Caller: o.account, Operation: o.name})
}

// next begins the next call.
func (c *client) next() {
	if c.w.now > c.w.peace+quiet/2 {
		return
	}
	c.n++
	o := &operation{client: c, account: c.id, name: fmt.Sprintf("%s-%d", c.id, c.n), signed: epoch.Add(c.w.now)}
	o.call = fmt.Sprintf("%x", sha256.Sum256([]byte(o.name)))
	c.op, c.w.calls[o.call] = o, o
	switch k := c.w.rand.IntN(10); {
	case k < 3 && len(c.users) > 0:
		c.remove(o, c.users[c.w.rand.IntN(len(c.users))].name)
	case k < 5 && len(c.users) > 0: // an error: nothing is committed
		o.change = create(c.users[c.w.rand.IntN(len(c.users))].name)
		o.done = func(err error, index uint64) {
			if err == nil && !o.unsure {
				c.w.fail("Serial: %s created what it knew to be there", o.name)
			}
		}
	default:
		user := o.name
		o.change = create(user)
		o.done = func(err error, index uint64) {
			if err == nil {
				if !o.unsure {
					c.users = append(c.users, known{user, index})
				}
			} else if errors.Is(err, errHas) && !o.unsure {
				c.w.fail("NotTwice: %s finds its own effect", o.name)
			}
		}
	}
	c.send()
}

func (c *client) remove(o *operation, user string) {
	o.takes = user
	o.change = func(tx record.Tx, account string) error {
		if !record.Has(tx, record.Users, account, user) {
			return errNone
		}
		tx.Delete(record.MakeKey("user", account, user))
		return nil
	}
	o.done = func(err error, index uint64) {
		if errors.Is(err, errNone) && !o.unsure {
			c.w.fail("NoLostWrite: %s does not find %s, which was created and not deleted", o.name, user)
		}
		if err == nil || o.unsure || errors.Is(err, errStale) { // stale: an attempt before may have been done
			for i, u := range c.users {
				if u.name == user {
					c.users = append(c.users[:i:i], c.users[i+1:]...)
					break
				}
			}
		}
	}
}

func create(user string) func(record.Tx, string) error {
	return func(tx record.Tx, account string) error {
		if record.Has(tx, record.Users, account, user) {
			return errHas
		}
		return record.Put(tx, record.Users, &record.User{Account: account, ID: user, Name: user, Path: "/"})
	}
}

// send sends the call under way, and again when no answer comes.
func (c *client) send() {
	o, w := c.op, c.w
	if o.tries++; o.tries > 1 {
		w.seen["call sent again"]++
	}
	try := o.tries
	for range 1 + w.rand.IntN(20)/19 { // now and then the network has it twice
		if !w.quiets() && w.chance(30) {
			continue
		}
		c.plane.anyControl().deliver(func(c *control) {
			a := &attempt{op: o}
			a.answer = a.reply
			c.take(a)
		})
	}
	w.after(w.between(800*time.Millisecond, 1500*time.Millisecond), func() {
		if !o.over && o.tries == try {
			c.send()
		}
	})
}

// reply brings the answer of an attempt, or loses it.
func (a *attempt) reply(err error, index uint64, missing []string) {
	o, w := a.op, a.op.client.w
	w.note("%s: %d %v missing %v", o.name, index, err, missing)
	if !w.quiets() && w.chance(30) {
		w.seen["answer lost"]++
		return
	}
	w.after(w.latency(), func() {
		if o.over || errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrMoved) {
			return // it is sent again in time
		}
		o.over = true
		o.done(err, index)
		pause := w.between(0, 20*time.Millisecond)
		if w.chance(500) {
			pause = w.between(0, 700*time.Millisecond)
		}
		w.after(pause, o.client.next)
	})
}

// move has a client call another control plane from now on. What it made before
// the fork is there still; what is not is lost, as the promotion has said.
func (c *client) move(p *plane) {
	if c.plane == p || c.op == nil {
		c.plane = p
		return
	}
	index, _ := p.fork.known.Common(c.plane.lineage, p.lineage)
	var kept []known
	for _, u := range c.users {
		if u.at > index {
			c.w.seen["user that a promotion lost"]++
			continue
		}
		if !c.op.over && c.op.takes == u.name {
			continue // nobody knows
		}
		kept = append(kept, u)
		if !record.Has(p.fork.view, record.Users, c.id, u.name) && index == uint64(p.fork.next.Fork) {
			c.w.fail("Kept: user %s was made at %d, and the fork at %d does not have it", u.name, u.at, index)
		}
	}
	c.plane, c.users = p, kept
	if !c.op.over {
		c.op.unsure = true
	}
}
