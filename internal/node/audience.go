package node

import (
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/session"
)

// optIn says whether accounts must enable this node's Region. One whose record
// cannot be read is nobody's but theirs.
func (r *Region) optIn() bool {
	g, err := record.Get(r.replica.View(), record.Regions, record.None, r.Config.Region)
	return err != nil || g.OptIn
}

// audience finds who is to read a token: by this node's own opening key, which it
// names in the header, and by what its key is wrapped to besides. Version 1 is for
// the Regions enabled by default, version 2 for those too that the account has
// enabled.
func (r *Region) audience(v record.Reader, h *session.Header, account string, version int) (opening []byte, to []session.Recipient, err error) {
	own := record.DefaultClass
	if r.optIn() {
		own, h.Class = r.Config.Region, r.Config.Region
	}
	classes := []string{record.DefaultClass}
	if version > 1 {
		classes = append(classes, optInOf(v, account)...)
	}
	for _, class := range classes {
		if class == own {
			if opening, h.Generation, err = r.ring.Opening(v, own, 0); err != nil {
				return nil, nil, err
			}
			continue
		}
		k, err := keyring.SealingOf(v, class)
		if err != nil {
			return nil, nil, err
		}
		if k != nil {
			to = append(to, session.Recipient{Class: class, Generation: k.Generation, Public: k.Public})
		}
	}
	return opening, to, nil
}

// optInOf lists the opt-in Regions that an account has enabled.
func optInOf(v record.Reader, account string) (classes []string) {
	a, err := record.Get(v, record.Accounts, account, account)
	if err != nil {
		return nil // its token is of version 1
	}
	for _, name := range a.Regions {
		if g, err := record.Get(v, record.Regions, record.None, name); err == nil && g.OptIn {
			classes = append(classes, name)
		}
	}
	return classes
}
