package record

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"math"
)

// Pin is a control-plane node with the keys that it is known by.
type Pin struct {
	Node string `json:"node"`
	TLS  []byte `json:"tls"`  // Ed25519
	Head []byte `json:"head"` // Ed25519 key for signed heads
}

// Consent is an operator's signature under a successor.
type Consent struct {
	Operator  string `json:"operator"`
	Signature []byte `json:"signature"`
}

// Successor is the root's word that a lineage goes on in another one from a
// fork. It is state of the successor, and of all that descend from it. In the
// state of its own parent it says that the parent has ended: retirement is a
// log record.
type Successor struct {
	Epoch    int       `json:"epoch"` // of the root, strictly rising: the highest shown wins
	Cluster  string    `json:"cluster"`
	Parent   string    `json:"parent"`
	Fork     int       `json:"fork"`    // the last index of the parent's that the successor has
	Chain    []byte    `json:"chain"`   // link of that record
	Time     int       `json:"time"`    // its commit time, milliseconds since 1970
	Lineage  string    `json:"lineage"` // the successor's
	Created  Time      `json:"created"`
	Old      []Pin     `json:"old"` // the parent's control-plane nodes
	New      []Pin     `json:"new"` // the successor's first ones
	Consents []Consent `json:"consents,omitempty"`
	Root     []byte    `json:"root"` // signature over all before it
}

var (
	// SuccessorByEpoch lists the successors, the newest last.
	SuccessorByEpoch = &Index[Successor]{Name: "successor.epoch", Terms: func(s *Successor) []string { return []string{Generation(s.Epoch)} }}
	// Successors is the kind of Successor.
	Successors = &Kind[Successor]{Name: "successor", Version: 1, ID: func(s *Successor) (string, string) { return None, Generation(s.Epoch) },
		Indexes: []*Index[Successor]{SuccessorByEpoch}}
)

const (
	successorDomain = "holdfast successor 1\n"
	consentDomain   = "holdfast successor consent 1\n"
)

func (s *Successor) message(consents bool) []byte {
	c := *s
	c.Root = nil
	domain := successorDomain
	if !consents {
		c.Consents, domain = nil, consentDomain
	}
	b, _ := Marshal(&c) // strings, numbers and bytes: cannot fail
	return append([]byte(domain), b...)
}

// Consent adds an operator's signature. The root signs last.
func (s *Successor) Consent(operator string, key ed25519.PrivateKey) {
	s.Consents = append(s.Consents, Consent{operator, ed25519.Sign(key, s.message(false))})
}

// Sign signs the record with the root's key.
func (s *Successor) Sign(root ed25519.PrivateKey) { s.Root = ed25519.Sign(root, s.message(true)) }

// MinConsents is how many operators a successor takes in production, beside
// the root.
const MinConsents = 2

// Verify checks a successor against the state r of its deployment, of whatever
// lineage: signed by the root, and in production by two operators.
func (s *Successor) Verify(r Reader) error {
	g, err := Get(r, Geneses, None, "genesis")
	if err != nil {
		return errors.New("record: the state has no genesis")
	}
	switch {
	case s.Cluster != g.Cluster:
		return errors.New("record: the successor is of another cluster")
	case !verify(g.Root, s.message(true), s.Root):
		return errors.New("record: the successor is not signed by the root")
	case s.Epoch < 1 || s.Fork < 1 || s.Lineage == "" || s.Parent == s.Lineage || len(s.Chain) != len(Hash{}) || len(s.New) == 0:
		return errors.New("record: the successor says too little")
	case g.Mode == "development":
		return nil
	}
	seen := map[string]bool{}
	for _, c := range s.Consents {
		o, err := Get(r, Operators, None, c.Operator)
		if err == nil && o.Verify(g.Root) && verify(o.Public, s.message(false), c.Signature) {
			seen[o.ID] = true
		}
	}
	if len(seen) < MinConsents {
		return fmt.Errorf("record: the successor has the consent of %d enrolled operators, a production deployment takes %d", len(seen), MinConsents)
	}
	return nil
}

// Descent is what the successors that somebody knows say about ancestry; each
// was verified.
type Descent []*Successor

// DescentOf reads the successors of a state, oldest first.
func DescentOf(r Reader) (d Descent, err error) {
	err = Scan(r, Successors, SuccessorByEpoch, "", "", func(_ string, s *Successor) bool {
		d = append(d, s)
		return true
	})
	return d, err
}

// Newest returns the one with the highest epoch, nil for none.
func (d Descent) Newest() *Successor {
	var best *Successor
	for _, s := range d {
		if best == nil || s.Epoch > best.Epoch {
			best = s
		}
	}
	return best
}

// With adds those of more whose epochs are not there yet.
func (d Descent) With(more Descent) Descent {
	out := append(Descent{}, d...)
	for _, s := range more {
		if out.at(s.Epoch) == nil {
			out = append(out, s)
		}
	}
	return out
}

func (d Descent) at(epoch int) *Successor {
	for _, s := range d {
		if s.Epoch == epoch {
			return s
		}
	}
	return nil
}

// Of returns what made a lineage, nil for the first one.
func (d Descent) Of(lineage string) *Successor {
	for _, s := range d {
		if s.Lineage == lineage {
			return s
		}
	}
	return nil
}

// Epoch returns a lineage's epoch, 0 for the first one.
func (d Descent) Epoch(lineage string) int {
	if s := d.Of(lineage); s != nil {
		return s.Epoch
	}
	return 0
}

// Common returns the end of the longest common prefix of two lineages, as far
// as their successors tell, and the one that has the fork there; for a lineage
// and itself there is none, and no end.
func (d Descent) Common(a, b string) (index uint64, at *Successor) {
	up := map[string]*Successor{a: nil} // ancestors of a, each with the child on the way
	for s := d.Of(a); s != nil; s = d.Of(s.Parent) {
		if _, loop := up[s.Parent]; loop {
			return 0, nil
		}
		up[s.Parent] = s
	}
	var child *Successor
	for range len(d) + 1 {
		if other, ok := up[b]; ok {
			return earlier(other, child)
		}
		if child = d.Of(b); child == nil {
			break
		}
		b = child.Parent
	}
	return 0, nil // strangers
}

func earlier(a, b *Successor) (uint64, *Successor) {
	switch {
	case a == nil && b == nil:
		return math.MaxUint64, nil
	case a == nil || b != nil && b.Fork < a.Fork:
		return uint64(b.Fork), b
	}
	return uint64(a.Fork), a
}

// Retired says which successor a state's lineage has: it takes no writes then.
func Retired(r Reader) *Successor {
	g, err := Get(r, Geneses, None, "genesis")
	if err != nil {
		return nil
	}
	d, err := DescentOf(r)
	if err != nil { // one that cannot be read may be the one
		return &Successor{Lineage: "unknown"}
	}
	if s := d.Newest(); s != nil && s.Lineage != g.Lineage {
		return s
	}
	return nil
}

// verifyDescent checks that a state's lineage is the newest of the successors
// that it knows, each verified, and that its head's ancestry is one.
func verifyDescent(r Reader, g *Genesis, h *Head) error {
	d, err := DescentOf(r)
	if err != nil {
		return err
	}
	for _, s := range d {
		if err := s.Verify(r); err != nil {
			return err
		}
	}
	if s := d.Newest(); s != nil && s.Lineage == g.Lineage && h.Index <= uint64(s.Fork) {
		return errors.New("record: the head is older than its own lineage")
	}
	return nil
}
