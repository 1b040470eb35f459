package front

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// catchUp bounds how long a request waits that this node's view is too old for:
// its session rests on more, or its key is one that this node does not know and
// another node of the Region may (protocol rule 15).
const catchUp = 100 * time.Millisecond

// maxStrangers bounds the requests with unknown keys that wait for the node to
// catch up. Anybody can make up a key; what is behind makes such a request wait,
// and never another one.
const maxStrangers = 64

// judge executes the request, and once more on a newer view where this node's
// was too old for it. Then an allow stands, and what may be wrong is not told
// as a refusal.
func (q *request) judge() error {
	err := q.execute()
	wanted := q.wants(err)
	if wanted > 0 {
		if q.stranger(err) {
			defer q.h.strangers.Add(-1)
			if q.h.strangers.Add(1) > maxStrangers {
				return q.doubted()
			}
		}
		if err = q.catchUp(wanted); err != nil {
			return err
		}
		err = q.execute()
	}
	if q.restsOn(err) > 0 || q.stranger(err) && q.view.Head.Index < wanted {
		return q.doubted()
	}
	return err
}

// wants is the index that is worth waiting for before err is believed; 0: none.
func (q *request) wants(err error) uint64 {
	if q.h.Await == nil {
		return 0
	}
	if rests := q.restsOn(err); rests > 0 && !q.waited {
		return rests
	}
	if q.stranger(err) && q.h.Ahead != nil {
		return q.h.Ahead()
	}
	return 0
}

// stranger says whether err is that nobody has this credential, as far as this
// node knows: the request names no index that would tell whether it knows.
func (q *request) stranger(err error) bool {
	var unknown *authn.Unknown
	return errors.As(err, &unknown) && q.restsOn(err) == 0
}

// catchUp waits until this node serves an index, if somebody can bring it.
func (q *request) catchUp(index uint64) (err error) {
	if q.reachable() {
		ctx, cancel := context.WithTimeout(q.r.Context(), catchUp)
		defer cancel()
		_ = q.h.Await(ctx, index) // looked at below
		if q.view, err = q.h.View(q.r.Context()); err != nil {
			return err
		}
	}
	if q.leased() && q.view.Head.Index < index { // it is about to come
		return q.doubted()
	}
	q.caller, q.waited = nil, true
	return nil
}

// reachable says whether what this node lacks can be had at once: from the
// control plane, or from a node of the Region.
func (q *request) reachable() bool { return q.leased() || q.h.Ahead != nil && q.h.Ahead() > 0 }

func (q *request) leased() bool { return q.h.Leased != nil && q.h.Leased() }

// behind is an error when the caller's session rests on more than is served and
// it has not been tried yet to catch up.
func (q *request) behind(c *authn.Caller) error {
	if c.Session == nil || c.Session.Rests <= q.view.Head.Index || q.waited || q.h.Await == nil || !q.reachable() {
		return nil
	}
	return &authn.Behind{Rests: c.Session.Rests, Err: q.doubted()}
}

// doubted is the answer where this node's view may be wrong.
func (q *request) doubted() error {
	return fault.ServiceUnavailable.Errorf("This node serves revision %s, and the request rests on a newer one.", record.Revision(q.view.Head.Lineage, q.view.Head.Index)).WithRetryAfter(catchUp)
}

// restsOn is the index that the caller's session rests on, when err refuses
// what a view that is behind it cannot judge: a refusal is in doubt, an allow
// stands (protocol rule 15).
func (q *request) restsOn(err error) uint64 {
	var behind *authn.Behind
	if errors.As(err, &behind) {
		return behind.Rests
	}
	var f *fault.Error
	if q.caller == nil || q.caller.Session == nil || q.caller.Session.Rests <= q.view.Head.Index || !errors.As(err, &f) || f.Kind.Status != http.StatusForbidden {
		return 0
	}
	return q.caller.Session.Rests
}
