package policyline

import (
	"hash/maphash"
	"strings"

	"github.com/holdfast-iam/holdfast/policy"
)

// Limits of the documents that are kept.
const (
	maxKept = 4 << 20 // bytes of text
	places  = 1 << 12 // of texts seen once
)

// documents keeps compiled documents by their exact text. One is kept when it
// is met the second time, so that a stream of policies that never return costs
// no memory; when the limit is reached, what was not met since the last time
// goes.
type documents struct {
	seed       maphash.Seed
	seen       []uint64
	young, old map[string]*policy.Policy
	size       int // of young's texts
}

func (d *documents) compile(text string) (*policy.Policy, error) {
	if p := d.young[text]; p != nil {
		return p, nil
	}
	p := d.old[text]
	if p == nil {
		doc, err := policy.Parse([]byte(text))
		if err != nil {
			return nil, err
		}
		if p = policy.Compile(doc); !d.returned(text) {
			return p, nil
		}
	}
	d.keep(text, p)
	return p, nil
}

// returned says whether the text was met before, and remembers it.
func (d *documents) returned(text string) bool {
	if d.seen == nil {
		d.seed, d.seen = maphash.MakeSeed(), make([]uint64, places)
	}
	sum := maphash.String(d.seed, text)
	place := &d.seen[sum%places]
	before := *place == sum
	*place = sum
	return before
}

func (d *documents) keep(text string, p *policy.Policy) {
	if d.size += len(text); d.size > maxKept || d.young == nil {
		d.young, d.old, d.size = map[string]*policy.Policy{}, d.young, len(text)
	}
	d.young[strings.Clone(text)] = p
}
