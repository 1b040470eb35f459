package node

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTheMetricsOfTheDocsAreTheOnesServed(t *testing.T) {
	m := newMetrics(func() Status { return Status{} })
	newGate(m)
	m.observe("iam", "GetUser", "", 0)
	families, err := m.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var served []string
	for _, f := range families {
		served = append(served, f.GetName())
	}
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Metrics\n")
	section, _, _ = strings.Cut(section, "\n## ")
	listed := regexp.MustCompile("`(holdfast_[a-z_]+)`").FindAllStringSubmatch(section, -1)
	var names []string
	for _, l := range listed {
		names = append(names, l[1])
	}
	slices.Sort(names)
	if slices.Sort(served); !slices.Equal(names, served) {
		t.Errorf("docs/operations.md lists\n%v\na node serves\n%v", names, served)
	}
}
