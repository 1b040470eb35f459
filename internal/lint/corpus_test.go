package lint

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/managed"
	"github.com/holdfast-iam/holdfast/policy"
)

// certain lists the rules whose findings in AWS's own policies must each be
// explained: AWS stores what it publishes, and its names exist or existed.
var certain = []string{"syntax", "grammar", "unknown-service", "unknown-action", "unknown-condition-key", "contradiction", "literal-wildcard", "old-version", "denied-anyway",
	"key-not-for-action", "redundant-statement", "unknown-policy"}

// TestWhatIsFoundInAWSManagedPoliciesIsCommittedAndExplained lints every
// policy that AWS manages. testdata/managed.txt has each finding of a certain
// rule, and how many the other rules have; docs/lint.md explains them.
func TestWhatIsFoundInAWSManagedPoliciesIsCommittedAndExplained(t *testing.T) {
	policies, err := managed.Policies()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	var out bytes.Buffer
	for _, p := range policies {
		found, err := File(p.Name, []byte(p.Document()), Options{Type: policy.Identity})
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		seen := map[string]bool{}
		for _, f := range found {
			counts[f.Rule]++
			line := fmt.Sprintf("%s: %s: %s\n", f.Rule, f.File, f.Message)
			if slices.Contains(certain, f.Rule) && !seen[line] {
				seen[line] = true
				out.WriteString(line)
			}
		}
	}
	var rules []string
	for rule, n := range counts {
		rules = append(rules, fmt.Sprintf("%5d %s\n", n, rule))
	}
	sort.Strings(rules)
	fmt.Fprintf(&out, "\nall findings in %d policies, by rule\n", len(policies))
	for _, line := range rules {
		out.WriteString(line)
	}
	golden(t, "managed.txt", out.Bytes())
}
