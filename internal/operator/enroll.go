package operator

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// Public is the public half of an operator's key, as its owner hands it to
// whoever has the root's key. It holds no secret.
type Public struct {
	ID  string `json:"id"`
	Key []byte `json:"key"` // Ed25519
}

// maxPublic bounds the file of a public key.
const maxPublic = 4 << 10

// ReadPublic reads the file of a public key.
func ReadPublic(path string) (*Public, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := new(Public)
	if len(b) > maxPublic || json.Unmarshal(b, p) != nil || len(p.Key) != 32 || !operatorForm.MatchString(p.ID) {
		return nil, fmt.Errorf("%s holds no operator's public key: `holdfast operator key make` prints one", path)
	}
	return p, nil
}

// Enroll makes an operator's record, which the root has yet to sign.
func (p *Public) Enroll(now time.Time) *record.Operator {
	return &record.Operator{ID: p.ID, Public: p.Key, Created: record.At(now)}
}

// operatorForm is what an operator may be called: it stands in the audit.
var operatorForm = nodeForm

// enrollLife is how long the root's word on a new operator may be used: one
// that was taken out does not come back by an old record.
const enrollLife = time.Hour

// enrollOperator takes in an operator whom the root has enrolled.
func enrollOperator(in *record.Operator, _ signers, tx record.Tx, now time.Time) (any, error) {
	g, err := record.Get(tx, record.Geneses, record.None, "genesis")
	if err != nil {
		return nil, err
	}
	age := now.Sub(in.Created.Std())
	switch {
	case !operatorForm.MatchString(in.ID) || len(in.Public) != 32:
		return nil, refuse("%q is no operator's id, or it has no key", in.ID)
	case !in.Verify(g.Root):
		return nil, refuse("operator %s is not enrolled by the root of this deployment", in.ID)
	case age > enrollLife || age < -maxSkew:
		return nil, refuse("the root enrolled operator %s at %s: its word is good for an hour", in.ID, in.Created.Std().Format(time.RFC3339))
	case record.Has(tx, record.Operators, record.None, in.ID):
		return nil, refuse("operator %s is enrolled already", in.ID)
	}
	return OperatorLine{in.ID, in.Public, in.Created}, record.Put(tx, record.Operators, in)
}

// OperatorLine is an operator as a list shows it.
type OperatorLine struct {
	ID      string      `json:"id"`
	Key     []byte      `json:"key"`
	Created record.Time `json:"created"`
}

func operators(r record.Reader) (list []OperatorLine, err error) {
	list = []OperatorLine{}
	err = record.Scan(r, record.Operators, record.OperatorByID, "", "", func(_ string, o *record.Operator) bool {
		list = append(list, OperatorLine{o.ID, o.Public, o.Created})
		return true
	})
	return list, err
}

// removeOperator takes an operator out. Two stay, or nothing that takes two
// could be done again.
func removeOperator(in *idIn, by signers, tx record.Tx, _ time.Time) (any, error) {
	if err := two(tx, by, "taking an operator out"); err != nil {
		return nil, err
	}
	all, err := operators(tx)
	if err != nil {
		return nil, err
	}
	o, err := record.Get(tx, record.Operators, record.None, in.ID)
	if err != nil {
		return nil, missing(err, "there is no operator %q", in.ID)
	}
	if len(all) <= 2 {
		return nil, refuse("there are only %d operators: enroll another before", len(all))
	}
	record.Delete(tx, record.Operators, o)
	return OperatorLine{o.ID, o.Public, o.Created}, nil
}

// Pins are what an operator's invite for a new node rests on.
type Pins struct {
	Root     string   `json:"root"` // hex SHA-256 of the root's public key
	Regions  []string `json:"regions"`
	Controls []Pin    `json:"controls"`
}

// Pin is the key by which a new node knows the control-plane node it joins at.
type Pin struct {
	ID  string `json:"id"`
	TLS []byte `json:"tls"`
}

func pins(r record.Reader) (any, error) {
	g, err := record.Get(r, record.Geneses, record.None, "genesis")
	if err != nil {
		return nil, err
	}
	out := &Pins{Root: fmt.Sprintf("%x", sha256.Sum256(g.Root))}
	err = record.Scan(r, record.Nodes, record.NodeByID, "", "", func(_ string, n *record.Node) bool {
		if n.Role == record.ControlNode && !n.Fenced {
			out.Controls = append(out.Controls, Pin{n.ID, n.TLS})
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	return out, record.Scan(r, record.Regions, record.RegionByName, "", "", func(_ string, region *record.Region) bool {
		out.Regions = append(out.Regions, region.Name)
		return true
	})
}
