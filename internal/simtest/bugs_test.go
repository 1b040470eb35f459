//go:build faults

package simtest

import (
	"flag"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

var bug = flag.String("bug", "", "look for this bug alone")

// TestEachBugOfTheMachinesIsFound has one bug on at a time: of so many worlds
// one has to be red, and green without it.
func TestEachBugOfTheMachinesIsFound(t *testing.T) {
	const most = 400
	defer failpoint.Only()
	for _, b := range failpoint.Simulated {
		if *bug != "" && string(b) != *bug {
			continue
		}
		failpoint.Only(b)
		var found *Result
		for from := uint64(1); from <= most && found == nil; from += 10 {
			for _, r := range campaign(from, 10) {
				if r.Err != nil {
					found = &r
					break
				}
			}
		}
		if found == nil {
			t.Errorf("%s: %d worlds are green with it", b, most)
			continue
		}
		failpoint.Only()
		if r := Run(found.Seed, nil); r.Err != nil {
			t.Errorf("%s: seed %d is red without it too: %v", b, found.Seed, r.Err)
		}
		t.Logf("%s: seed %d: %v", b, found.Seed, found.Err)
	}
}
