package operator

import (
	"regexp"
	"slices"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// regionForm is the form of a Region's name: it stands in tokens and in ARNs.
var regionForm = regexp.MustCompile(`^[a-z]{2,}(-[a-z0-9]+)+$`)

// maxRegions bounds a deployment's Regions: each costs every account a wrap.
const maxRegions = 64

type regionIn struct {
	Name  string `json:"name"`
	OptIn bool   `json:"optIn,omitempty"` // accounts must enable it
}

// admitRegion admits a Region, whose nodes can be invited then. It takes two
// operators: its nodes are given what opens every account's keys, or those of the
// accounts that will have enabled it.
func (s *Server) admitRegion(in *regionIn, by signers, tx record.Tx, now time.Time) (any, error) {
	if err := two(tx, by, "admitting a Region"); err != nil {
		return nil, err
	}
	all, err := list(tx, record.Regions, record.RegionByName)
	switch {
	case err != nil:
		return nil, err
	case len(in.Name) > 32 || !regionForm.MatchString(in.Name):
		return nil, refuse("%q is no Region's name, such as eu-west-1", in.Name)
	case record.Has(tx, record.Regions, record.None, in.Name):
		return nil, refuse("Region %s is there already", in.Name)
	case in.OptIn && wasHere(tx, in.Name):
		return nil, refuse("Region %s was here before, and its nodes would be given the keys of accounts that have not enabled it: take another name", in.Name)
	case len(all) >= maxRegions:
		return nil, refuse("there are %d Regions already", len(all))
	}
	if err := s.AdmitRegion(tx, in.Name, in.OptIn, now); err != nil {
		return nil, err
	}
	return record.Get(tx, record.Regions, record.None, in.Name)
}

// wasHere says whether there was a Region of that name once: its wrapping keys stay.
func wasHere(r record.Reader, name string) bool {
	found := false
	r.Range(record.RegionKeyByRegion.Name, name+record.Sep, "", func(string, *record.Entry) bool {
		found = true
		return false
	})
	return found
}

// onlyDefault says whether a Region is the only one of those enabled by default.
func onlyDefault(all []*record.Region, region *record.Region) bool {
	return !region.OptIn && !slices.ContainsFunc(all, func(g *record.Region) bool { return !g.OptIn && g.Name != region.Name })
}

// Removed is a Region that was taken out.
type Removed struct {
	Region string   `json:"region"`
	Fenced []string `json:"fenced"` // its nodes
}

// removeRegion takes a Region out for good, by one commit: its nodes are fenced,
// so what they minted is refused everywhere and nobody waits for them. The
// control plane renews the keys that they held after that. It takes two
// operators: a Region's clients have nobody to ask from then on.
func removeRegion(in *regionIn, by signers, tx record.Tx, _ time.Time) (any, error) {
	if err := two(tx, by, "taking a Region out"); err != nil {
		return nil, err
	}
	all, err := list(tx, record.Regions, record.RegionByName)
	if err != nil {
		return nil, err
	}
	region, err := record.Get(tx, record.Regions, record.None, in.Name)
	switch {
	case err != nil:
		return nil, missing(err, "there is no Region %q", in.Name)
	case len(all) == 1:
		return nil, refuse("%s is the only Region: without it nobody would be served", in.Name)
	case onlyDefault(all, region):
		return nil, refuse("%s is the only Region that is enabled by default: without it accounts would have none", in.Name)
	}
	nodes, err := list(tx, record.Nodes, record.NodeByID)
	if err != nil {
		return nil, err
	}
	out := &Removed{Region: in.Name, Fenced: []string{}}
	for _, n := range nodes {
		if n.Role != record.RegionNode || n.Region != in.Name || n.Fenced {
			continue
		}
		n.Fenced = true
		out.Fenced = append(out.Fenced, n.ID)
		if err := record.Put(tx, record.Nodes, n); err != nil {
			return nil, err
		}
	}
	record.Delete(tx, record.Regions, region)
	return out, nil
}
