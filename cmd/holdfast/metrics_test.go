package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Files of the operators, from here.
const (
	rulesFile     = "../../deploy/prometheus/holdfast.rules.yml"
	rulesTestFile = "../../deploy/prometheus/holdfast.rules.test.yml"
	dashboardFile = "../../deploy/grafana/holdfast.json"
	metricsPage   = "../../docs/operations.md"
)

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// metricName finds the names of metrics that nodes may serve.
var metricName = regexp.MustCompile(`\b(holdfast|etcd|go|process)_[a-z0-9_]*[a-z0-9]\b`)

// served is what the nodes of a deployment serve that has answered one request
// of each kind: the type of each metric by its name, by role.
func served(t *testing.T) map[string]map[string]string {
	d := start(t)
	e := d.endpoint()
	e.iam(d.admin(), "CreateUser", "UserName", "ann")
	e.sts(d.admin(), "GetCallerIdentity")
	types := map[string]map[string]string{}
	for role, address := range map[string]string{"control": d.addresses().Control.Admin, "region": d.addresses().Regions[0].Admin} {
		types[role] = map[string]string{}
		for line := range strings.Lines(string(page(t, "http://"+address+"/metrics"))) {
			if f := strings.Fields(line); len(f) == 4 && f[1] == "TYPE" {
				types[role][f[2]] = f[3]
			}
		}
	}
	return types
}

// TestTheMetricsThatNodesServeAreTheOnesInTheDocs holds the tables of the docs,
// the alert rules and the dashboard against two running nodes.
func TestTheMetricsThatNodesServeAreTheOnesInTheDocs(t *testing.T) {
	types := served(t)
	t.Run("the tables name what is served, and its node", func(t *testing.T) { tablesNameThem(t, types) })
	all := maps.Clone(types["control"])
	maps.Copy(all, types["region"])
	for _, file := range []string{rulesFile, rulesTestFile, dashboardFile} {
		t.Run(filepath.Base(file)+" asks for what is served", func(t *testing.T) {
			for _, name := range metricName.FindAllString(text(t, file), -1) {
				if !isServed(all, name) {
					t.Errorf("%s: no node serves it", name)
				}
			}
		})
	}
}

// isServed says whether a series of that name is: a histogram's have suffixes.
func isServed(types map[string]string, name string) bool {
	if types[name] != "" {
		return true
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, suffix); ok && types[base] == "histogram" {
			return true
		}
	}
	return false
}

// tablesNameThem compares the docs' rows `| name | type | on | …` with the
// nodes. What the Prometheus client itself adds is not listed there.
func tablesNameThem(t *testing.T, types map[string]map[string]string) {
	rows := regexp.MustCompile("(?m)^\\| `([a-z_0-9]+)(?:\\{[a-z, ]*\\})?` \\| (counter|gauge|histogram) \\| (all|Region|control) \\|")
	told := map[string]map[string]string{"control": {}, "region": {}}
	for _, m := range rows.FindAllStringSubmatch(text(t, metricsPage), -1) {
		for _, role := range map[string][]string{"all": {"control", "region"}, "Region": {"region"}, "control": {"control"}}[m[3]] {
			told[role][m[1]] = m[2]
		}
	}
	for role := range types {
		own := maps.Clone(types[role])
		maps.DeleteFunc(own, func(name, _ string) bool {
			return strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_")
		})
		for _, name := range slices.Sorted(maps.Keys(own)) {
			if told[role][name] != own[name] {
				t.Errorf("%s of a %s node is a %s; the docs say %q", name, role, own[name], told[role][name])
			}
		}
		for _, name := range slices.Sorted(maps.Keys(told[role])) {
			if own[name] == "" {
				t.Errorf("%s: the docs have it of a %s node, which does not serve it", name, role)
			}
		}
	}
}

func TestEachAlertHasItsPageAndItsTest(t *testing.T) {
	tests := text(t, rulesTestFile)
	alerts := regexp.MustCompile(`(?s)- alert: (\w+)\n.*?page: (\S+)`).FindAllStringSubmatch(text(t, rulesFile), -1)
	if n := strings.Count(text(t, rulesFile), "- alert:"); n == 0 || n != len(alerts) {
		t.Fatalf("%d alerts, %d with a page", n, len(alerts))
	}
	for _, a := range alerts {
		if !strings.Contains(text(t, filepath.Join("../..", a[2])), "`"+a[1]+"`") {
			t.Errorf("%s does not tell of %s", a[2], a[1])
		}
		if !strings.Contains(tests, "- name: "+a[1]+"\n") {
			t.Errorf("nothing tests %s", a[1])
		}
	}
}

// promtool runs Prometheus's own tool.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command("promtool", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("promtool %v: %v\n%s", args, err, out)
	}
}

func TestPromtoolAcceptsTheRulesAndEveryAlertFiresWhenItShould(t *testing.T) {
	if _, err := exec.LookPath("promtool"); err != nil {
		notRun(t, "promtool", "it is not in PATH")
	}
	promtool(t, "check", "rules", rulesFile)
	promtool(t, "test", "rules", rulesTestFile)
	promtool(t, "check", "rules", dashboardRules(t))
}

// dashboardRules writes the dashboard's expressions as rules, which is what
// promtool parses.
func dashboardRules(t *testing.T) string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(text(t, dashboardFile)), &dashboard); err != nil {
		t.Fatal(err)
	}
	filled := strings.NewReplacer("$__rate_interval", "5m", "$region", ".*", "$node", ".*")
	var rules strings.Builder
	rules.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	n := 0
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			n++
			fmt.Fprintf(&rules, "      - {record: 'panel:%d', expr: %q}\n", n, filled.Replace(target.Expr))
		}
	}
	if n == 0 {
		t.Fatal("the dashboard asks for nothing")
	}
	path := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(path, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
