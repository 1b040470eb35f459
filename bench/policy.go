package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"

	cedar "github.com/cedar-policy/cedar-go"

	"github.com/holdfast-iam/holdfast/policy"
)

func policySection(p *plan) error {
	var t table
	t.add("workload", "ours (allocs)", "floor: flat", "floor: indexed", "cedar-go", "minio/pkg", "ours ÷ best floor", "cedar-go ÷ ours", "minio ÷ ours",
		"spread of ours", "goal", "met")
	work := []workload{small(), typical("typical", 5, 8, 300), typical("large", 20, 50, 4000)}
	for _, same := range []bool{false, true} {
		for _, n := range []int{10, 100, 1000, 10_000} {
			work = append(work, growth(n, same))
		}
	}
	work = append(work, stars(10), stars(20), repeats())
	first := 0.0
	for i := range work {
		w := &work[i]
		f, err := decisions(p, w)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		if strings.HasSuffix(w.name, "other services, 10") {
			first = f[0].median()
		}
		t.add(append(decisionRow(w, f), goalOf(w, f, first)...)...)
	}
	worst, err := conditionSets(p)
	if err != nil {
		return err
	}
	t.add(worst...)
	t.print(p)
	fmt.Fprintln(p.out)
	if err := hostileTable(p); err != nil {
		return err
	}
	fmt.Fprintln(p.out)
	if err := batchTable(p); err != nil {
		return err
	}
	fmt.Fprintln(p.out)
	return compileTable(p)
}

// decisions races the engines on one workload: ours, flat, indexed, cedar,
// and minio where it can.
func decisions(p *plan, w *workload) ([]figure, error) {
	ours, err := oursDecision(w)
	if err != nil {
		return nil, err
	}
	floor, q := newFloor(w)
	engines := []struct {
		name   string
		decide func() bool
	}{{"ours", ours},
		{"flat", func() bool { allowed, _ := floor.flat(q); return allowed }},
		{"indexed", func() bool { allowed, _ := floor.indexed(q); return allowed }}}
	c, err := cedarDecision(w)
	if err != nil {
		return nil, err
	}
	engines = append(engines, struct {
		name   string
		decide func() bool
	}{"cedar-go", c})
	if w.minio {
		m, err := minioDecision(w)
		if err != nil {
			return nil, err
		}
		engines = append(engines, struct {
			name   string
			decide func() bool
		}{"minio/pkg", m})
	}
	var list []contender
	for _, e := range engines {
		if strings.HasPrefix(w.name, "worst") && e.name == "indexed" {
			e.decide = func() bool { allowed, _ := floor.flat(q); return allowed } // the same there: every statement is s3:*
		}
		if !e.decide() {
			return nil, fmt.Errorf("%s does not allow the request", e.name)
		}
		list = append(list, repeat(e.name, e.decide))
	}
	if err := p.profile("policy-"+strings.NewReplacer(" ", "-", ",", "", ":", "").Replace(w.name), func() {
		list[0].run(calibrate(list[0], 5*p.batch))
	}); err != nil {
		return nil, err
	}
	return race(p, list), nil
}

func repeat(name string, decide func() bool) contender {
	return contender{name, func(n int) {
		for range n {
			if !decide() {
				panic(name + ": the answer changed")
			}
		}
	}}
}

func decisionRow(w *workload, f []figure) []string {
	best := min(f[1].median(), f[2].median())
	row := []string{w.name, f[0].cell(), f[1].cell(), f[2].cell(), f[3].cell(), "–", times(f[0].median(), best), times(f[3].median(), f[0].median()), "–",
		f[0].spread()}
	if len(f) > 4 {
		row[5], row[8] = f[4].cell(), times(f[4].median(), f[0].median())
	}
	return row
}

// goalOf gives the goal and whether it is met. first is ours with ten
// statements on other services.
func goalOf(w *workload, f []figure, first float64) []string {
	ours := f[0].median()
	switch {
	case w.name == "typical":
		ok := ours <= w.goal && f[0].allocs == 0 && f[3].median() >= 100*ours && f[4].median() >= 300*ours
		return []string{"≤ 300 ns, 0 allocations, ≥ 100 × cedar-go, ≥ 300 × minio", met(ok)}
	case w.goal > 0:
		return []string{"≤ " + nanos(w.goal), met(ours <= w.goal)}
	case strings.Contains(w.name, "other services"):
		return []string{"flat: ≤ 1.3 × of 10", met(ours <= 1.3*first)}
	case strings.Contains(w.name, "same service, 10000"):
		return []string{"≤ 1.5 × floor: indexed", met(ours <= 1.5*f[2].median())}
	}
	return []string{"–", "–"}
}

// oursPolicies compiles a workload once.
func oursPolicies(w *workload) (policy.Policies, error) {
	set := policy.Policies{Boundary: policy.None, Session: policy.None, Endpoint: policy.None,
		ServiceControl: policy.None, ResourceControl: policy.None}
	for i, list := range w.policies {
		d, err := policy.Parse(document(list))
		if err != nil {
			return set, err
		}
		set.Identity = append(set.Identity, policy.Named{Name: fmt.Sprint("policy", i), Policy: policy.Compile(d)})
	}
	return set, nil
}

func oursRequest(w *workload) *policy.Request {
	r := &policy.Request{Action: w.action, Resource: w.resource,
		Principal: policy.Principal{Kind: policy.User, ARN: asker, Account: "111122223333", UniqueID: "AIDAALICEALICEALICE"}}
	r.Context.Set("aws:username", askerName)
	r.Context.Set("aws:UserAgent", askAgent)
	r.Context.Set("aws:SourceIp", askAddress)
	r.Context.Set("aws:SecureTransport", "true")
	r.Context.Set("aws:PrincipalArn", asker)
	return r
}

func oursDecision(w *workload) (func() bool, error) {
	set, err := oursPolicies(w)
	if err != nil {
		return nil, err
	}
	r := oursRequest(w)
	return func() bool {
		d := policy.Evaluate(&set, r)
		for range d.Matched {
			return d.Kind == policy.Allowed
		}
		return false
	}, nil
}

// conditionSets is the largest set condition: as many patterns as a document
// holds against a key of as many values, none of which fits the other.
func conditionSets(p *plan) ([]string, error) {
	var patterns []string
	for i := range 400 {
		patterns = append(patterns, fmt.Sprintf("*?v%dx*", i)) // every place may be the one
	}
	list, err := json.Marshal(patterns)
	if err != nil {
		return nil, err
	}
	text := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"ForAnyValue:StringLike":{"app:tags":` +
		string(list) + `}}},{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	w := workload{name: "worst: sets, 400 patterns × 256 values", action: theAction, resource: theObject}
	set, err := oursPolicies(&w)
	if err != nil {
		return nil, err
	}
	d, err := policy.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	set.Identity = []policy.Named{{Name: "sets", Policy: policy.Compile(d)}}
	r := oursRequest(&w)
	var values []string
	for i := range 256 {
		values = append(values, strings.Repeat("v", 100)+fmt.Sprint(i))
	}
	r.Context.Set("app:tags", values...)
	kind := policy.Allowed
	var by string
	c := contender{"ours", func(n int) {
		for range n {
			d := policy.Evaluate(&set, r)
			kind, by = d.Kind, d.By.String()
		}
	}}
	if err := p.profile("policy-worst-sets", func() { c.run(calibrate(c, 5*p.batch)) }); err != nil {
		return nil, err
	}
	f := race(p, []contender{c})[0]
	return []string{w.name + " (" + kind.String() + " by " + by + ")", f.cell(), "–", "–", "–", "–", "–", "–", "–", f.spread(), "≤ 7 ms", met(f.median() <= 7e6)}, nil
}

// batchTable is one principal, action and set of policies for many resources:
// together, and one by one.
func batchTable(p *plan) error {
	const many = 1000
	w := typical("typical", 5, 8, 0)
	set, err := oursPolicies(&w)
	if err != nil {
		return err
	}
	r := oursRequest(&w)
	resources := make([]string, many)
	for i := range resources {
		resources[i] = fmt.Sprintf("arn:aws:s3:::team-%d-data/reports/2026/07/%d.csv", i%9, i)
	}
	allowed := make([]bool, many)
	together := contender{"EvaluateEach", func(n int) {
		for range n {
			set.EvaluateEach(r, resources, func(i int, d *policy.Decision) bool {
				allowed[i] = d.Kind == policy.Allowed
				return true
			})
		}
	}}
	alone := contender{"Evaluate", func(n int) {
		for range n {
			for i, resource := range resources {
				r.Resource = resource
				if d := policy.Evaluate(&set, r); (d.Kind == policy.Allowed) != allowed[i] {
					panic("together and alone, the answers differ: " + resource)
				}
			}
		}
	}}
	together.run(1)
	if err := p.profile("policy-batch", func() { together.run(calibrate(together, 5*p.batch)) }); err != nil {
		return err
	}
	f := race(p, []contender{together, alone})
	each := func(f figure) string { return nanos(f.median() / many) }
	var t table
	t.add("a decision, typical policies", "ours: EvaluateEach of 1,000 resources (allocs of all)", "ours: Evaluate one by one", "one by one ÷ together", "spread of ours", "goal", "met")
	t.add("1,000 resources, one principal and action", fmt.Sprintf("%s (%.0f)", each(f[0]), f[0].allocs), each(f[1]), times(f[1].median(), f[0].median()),
		fmt.Sprintf("%s – %s – %s", nanos(f[0].min()/many), each(f[0]), nanos(f[0].max()/many)), "≥ 3 ×", met(f[1].median() >= 3*f[0].median()))
	t.print(p)
	return nil
}

// compileTable is speed and size of compilation over the large workload.
func compileTable(p *plan) error {
	w := typical("large", 20, 50, 0)
	var texts [][]byte
	size := 0
	for _, list := range w.policies {
		texts = append(texts, document(list))
		size += len(texts[len(texts)-1])
	}
	c := cedarText(&w)
	parse := func(text []byte) *policy.Policy {
		d, err := policy.Parse(text)
		if err != nil {
			panic(err) // it parsed before
		}
		return policy.Compile(d)
	}
	each := func(do func([]byte)) func(int) {
		return func(n int) {
			for range n {
				for _, text := range texts {
					do(text)
				}
			}
		}
	}
	ours := contender{"ours", each(func(b []byte) { parse(b) })}
	if err := p.profile("policy-compile", func() { ours.run(calibrate(ours, 5*p.batch)) }); err != nil {
		return err
	}
	f := race(p, []contender{ours,
		{"floor", each(func(b []byte) {
			if !json.Valid(b) {
				panic("not JSON")
			}
		})},
		{"cedar-go", func(n int) {
			for range n {
				if _, err := cedar.NewPolicySetFromBytes("p", c); err != nil {
					panic(err) // it parsed before
				}
			}
		}}})
	speed := func(bytes int, f figure) float64 { return float64(bytes) / f.median() * 1e3 }
	held := heldBytes(func() any {
		var kept []*policy.Policy
		for range 20 {
			for _, text := range texts {
				kept = append(kept, parse([]byte(string(text))))
			}
		}
		return kept
	}) / 20
	var t table
	t.add("", "ours", "floor: json.Valid", "cedar-go", "ours ÷ floor (time)", "spread of ours", "goal", "met")
	t.add("compile, MB of text a second", fmt.Sprintf("%.1f", speed(size, f[0])), fmt.Sprintf("%.1f", speed(size, f[1])), fmt.Sprintf("%.1f", speed(len(c), f[2])),
		times(f[0].median(), f[1].median()), fmt.Sprintf("%.1f – %.1f – %.1f", float64(size)/f[0].max()*1e3, speed(size, f[0]), float64(size)/f[0].min()*1e3),
		"≥ 20 MB/s", met(speed(size, f[0]) >= 20))
	ratio := held / float64(size)
	t.add("compiled size, × its text", fmt.Sprintf("%.2f", ratio), "–", "–", "–", "exact", "≤ 3", met(ratio <= 3))
	t.print(p)
	return nil
}

// heldBytes is the heap that a value holds.
func heldBytes(make func() any) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	kept := make()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(kept)
	return float64(after.HeapAlloc) - float64(before.HeapAlloc)
}
