package authz

import (
	"errors"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// LeastWithin is the shortest age that a rule can demand: a view that is
// connected is at most as old as a few heartbeats.
const LeastWithin = 5 * time.Second

// Fresh says whether a view of an age is good enough for an action in an
// account. Most accounts demand nothing; a rule of one that cannot be read is
// not met.
func Fresh(r record.Reader, account, action string, age time.Duration) error {
	if age <= LeastWithin {
		return nil // no rule asks for less
	}
	f, err := record.Get(r, record.Freshnesses, account, "rules")
	if errors.Is(err, record.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fault.ServiceUnavailable.Errorf("What account %s demands of this node's view cannot be read.", account)
	}
	for _, rule := range f.Rules {
		within := time.Duration(rule.Within) * time.Second
		if age > within && covers(rule.Action, action) {
			return fault.ServiceUnavailable.Errorf("Account %s demands a view younger than %s for %s, and this node's is %s old.",
				account, within, action, age.Truncate(time.Second))
		}
	}
	return nil
}

// covers says whether a rule's action, which may end in a star, is or covers one.
// Letters that fold to ASCII ones count as those: a rule then demands more.
func covers(rule, action string) bool {
	if prefix, star := strings.CutSuffix(rule, "*"); star {
		return len(action) >= len(prefix) && strings.EqualFold(action[:len(prefix)], prefix)
	}
	return strings.EqualFold(rule, action)
}
