package record

import (
	"math"
	"testing"
)

func TestTheCommonPrefixOfTwoLineagesIsFoundByAncestry(t *testing.T) {
	// l: 1… ├ 10 m: 11… ├ 20 n: 21…
	//       ├ 15 k: 16… (after m was lost)
	d := Descent{{Epoch: 1, Parent: "l", Fork: 10, Lineage: "m"}, {Epoch: 2, Parent: "m", Fork: 20, Lineage: "n"}, {Epoch: 3, Parent: "l", Fork: 15, Lineage: "k"}}
	for _, x := range []struct {
		a, b  string
		want  uint64
		epoch int
	}{
		{"l", "l", math.MaxUint64, 0}, {"m", "m", math.MaxUint64, 0},
		{"l", "m", 10, 1}, {"l", "n", 10, 1}, {"m", "n", 20, 2}, {"l", "k", 15, 3}, {"m", "k", 10, 1}, {"n", "k", 10, 1},
		{"x", "m", 0, 0}, {"x", "y", 0, 0},
	} {
		for _, pair := range [][2]string{{x.a, x.b}, {x.b, x.a}} {
			index, at := d.Common(pair[0], pair[1])
			if epoch := at.epochOf(); index != x.want || epoch != x.epoch {
				t.Errorf("%v: up to %d by epoch %d, want %d by %d", pair, index, epoch, x.want, x.epoch)
			}
		}
	}
	if s := d.Newest(); s.Lineage != "k" || d.Epoch("l") != 0 || d.Epoch("n") != 2 {
		t.Errorf("newest %+v", s)
	}
}

func (s *Successor) epochOf() int {
	if s == nil {
		return 0
	}
	return s.Epoch
}
