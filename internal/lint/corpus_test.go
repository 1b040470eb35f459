package lint

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/managed"
	"github.com/holdfast-iam/holdfast/policy"
)

// certain lists the rules whose findings in AWS's own policies must each be
// explained: AWS stores what it publishes, and its names exist or existed.
var certain = []string{"syntax", "grammar", "unknown-service", "unknown-action", "unknown-condition-key", "contradiction", "literal-wildcard", "old-version", "denied-anyway",
	"key-not-for-action", "redundant-statement", "unknown-policy"}

// explained says why AWS's own policies have a finding, by a part of its text.
var explained = []struct{ part, why string }{
	{`prefix "deepracer"`, "a service that AWS has ended"},
	{`prefix "deeplens"`, "a service that AWS has ended"},
	{`prefix "deepcomposer"`, "a service that AWS has ended"},
	{`prefix "elastic-inference"`, "a service that AWS has ended"},
	{`prefix "iot1click"`, "a service that AWS has ended"},
	{`prefix "zocalo"`, "the old name of workdocs"},
	{"cloudhsm has no action", "CloudHSM Classic, which AWS has ended"},
	{`cloud9 has no action "ValidateEnvironmentName"`, "not in the reference"},
	{"qapps has no action \"ImportDocumentToQApp", "not in the reference: the older name of ImportDocument"},
	{`route53-recovery-control-config has no action "DescribeRoutingControlByName"`, "not in the reference"},
	{`memorydb has no action "ReplicateMultiRegionClusterData"`, "not in the reference: the service calls itself"},
	{"sagemaker-unified-studio-mcp has no action", "not in the reference"},
	{"securityagent has no action", "not in the reference: the service is in preview"},
	{`lakeformation has no condition key "GlueARN"`, "not in the reference"},
	{`"a4b:`, "the reference lists the keys for no action"},
	{`"iottwinmaker:linkedServices"`, "the reference lists the key for other actions"},
	{`"aws-marketplace:ProductId"`, "the reference lists the key for other actions"},
	{"redundant-statement: ", "true: the two statements were compared by hand"},
}

// TestWhatIsFoundInAWSManagedPoliciesIsCommittedAndExplained lints every
// policy that AWS manages. testdata/managed.txt has each finding of a certain
// rule, and how many the other rules have.
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
				if !slices.ContainsFunc(explained, func(x struct{ part, why string }) bool { return strings.Contains(line, x.part) }) {
					t.Errorf("not explained: %s", line)
				}
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
