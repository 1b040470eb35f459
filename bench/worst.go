package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/holdfast-iam/holdfast/policy"
)

// Sizes within AWS's limits: managed policies of 6,144 characters, as many as
// a user can come to by ten groups of ten; a key of 256 values, each as long
// as a tag's may be.
const (
	hostilePolicies = 100
	hostileSize     = 6144
	hostileValues   = 256
	hostileValue    = 256
)

// The goal for the worst case, and what the indexed floor of the typical
// workload took on the machine where it was set: the goal is scaled by what it
// takes in this run.
const (
	worstGoal  = 7e6
	worstFloor = 211.0
)

// hostile is a request that costs as much work of one kind as it can.
type hostile struct {
	name     string
	operator string
	operands func(i int) string // the policy's values
	apart    bool               // every value is a statement of its own
	values   func(i int) string // of the key
	extra    int                // keys besides
	target   string             // operands are this element instead
}

func constant(s string) func(int) string { return func(int) string { return s } }
func numbered(format string) func(int) string {
	return func(i int) string { return fmt.Sprintf(format, i) }
}
func long(s string) string { return strings.Repeat(s, hostileValue/len(s)) }
func nearly(odd, even, end string, n int) string {
	return "*" + strings.Repeat(odd+even, n) + odd + end + "*"
}
func ended(s string, f func(int) string) func(int) string {
	return func(i int) string { return s[:len(s)-6] + f(i) }
}

// hostiles are one for each kind of work that the budget charges.
func hostiles() []hostile {
	six, letters := numbered("%06d"), long("a")
	date := func(i int) string { return fmt.Sprint(1900 + i%7) }
	offset := func(i int) string { return fmt.Sprintf("2026-01-02T03:%02d+01:00", i%60) }
	address := func(i int) string { return fmt.Sprintf("10.%d.%d.%d", i/65536, i/256%256, i%256) }
	address6 := func(i int) string { return fmt.Sprintf("2001:db8:1:2:3:4:%x:%x", i/65536, i%65536) }
	return []hostile{
		{name: "steps: *?v1x*", operator: "StringLike", operands: numbered("*?v%dx*"), values: ended(long("v"), six)},
		{name: "steps: *?a?a…?b*", operator: "StringLike", operands: constant(nearly("?", "a", "b", 100)), values: constant(letters)},
		{name: "steps: *?a?b*", operator: "StringLike", operands: constant(nearly("?", "a", "b", 1)), values: constant(letters)},
		{name: "steps: *a*a…*b*", operator: "StringLike", operands: constant(strings.Repeat("*a", 100) + "*b*"), values: constant(letters)},
		{name: "steps: *é?é?b*", operator: "StringLike", operands: constant(nearly("?", "é", "b", 20)), values: constant(long("é"))},
		{name: "steps: *aé*", operator: "StringLike", operands: constant("*?éa?*b"), values: constant(long("é") + "b")},
		{name: "steps: a head and ????", operator: "StringLike", operands: constant(strings.Repeat("?", 127) + "b"), values: constant(long("é")[:254] + "b")},
		{name: "runs: *aa…ab*", operator: "StringLike", operands: constant("*" + letters[:60] + "b*"), values: constant(letters)},
		{name: "runs: *aa…ab?*", operator: "StringLike", operands: constant("*" + letters[:120] + "b?*c"), values: constant(letters + "c")},
		{name: "runs: *a?*b*", operator: "StringLike", operands: constant("*ab*"), values: constant(long("ac"))},
		{name: "plain texts, like", operator: "StringLike", operands: six, values: numbered("x%05d")},
		{name: "heads", operator: "StringLike", operands: ended(letters[:106], numbered("%05d*")), values: ended(letters, six)},
		{name: "plain texts, equal", operator: "StringEquals", operands: six, values: ended(letters, six)},
		{name: "plain texts, one to a test", operator: "StringEquals", operands: six, apart: true, values: numbered("x%05d")},
		{name: "plain texts, any case", operator: "StringEqualsIgnoreCase", operands: ended(letters, six), values: ended(strings.ToUpper(letters), numbered("x%05d"))},
		{name: "variables", operator: "StringEquals", operands: numbered("${app:x}%d"), values: constant(letters)},
		{name: "ARNs", operator: "ArnLike", operands: numbered("arn:*:*:*:*:x%d*"), values: numbered("arn:aws:s3:eu-west-1:111122223333:%06d")},
		{name: "ARNs, stars in parts", operator: "ArnLike", operands: numbered("arn:*a?s:s*:*-?:1*:x%d"), values: numbered("arn:aws:s3:eu-west-1:111122223333:%06d")},
		{name: "numbers read", operator: "NumericEquals", operands: six, apart: true, values: numbered("7%05d")},
		{name: "numbers compared", operator: "NumericEquals", operands: six, values: numbered("7%05d")},
		{name: "long numbers compared", operator: "NumericEquals", operands: ended(strings.Repeat("1", 256), six), values: ended(strings.Repeat("1", 256), numbered("7%05d"))},
		{name: "years read", operator: "DateEquals", operands: constant("1800"), apart: true, values: date},
		{name: "times read", operator: "DateEquals", operands: constant("1800"), apart: true, values: offset},
		{name: "dates compared", operator: "DateEquals", operands: constant("1800"), values: date},
		{name: "addresses read", operator: "IpAddress", operands: constant("1.1.1.1"), apart: true, values: address},
		{name: "addresses of 128 bits read", operator: "IpAddress", operands: constant("1.1.1.1"), apart: true, values: address6},
		{name: "addresses compared", operator: "IpAddress", operands: func(i int) string { return fmt.Sprint("9.9.9.", i%256) }, values: address},
		{name: "addresses of 128 bits compared", operator: "IpAddress", operands: constant("2001:db8:1:2:3:5::/96"), values: address6},
		{name: "binaries", operator: "BinaryEquals", operands: constant("QUJD"), apart: true, values: constant(long("QUJE"))},
		{name: "flags", operator: "Bool", operands: constant("true"), apart: true, values: constant("false")},
		{name: "flags of variables", operator: "Bool", operands: constant("${app:f}"), apart: true, values: constant("false")},
		{name: "keys, one after the other", operator: "Null", operands: numbered("app:%d"), apart: true, values: constant(""), extra: 1000},
		{name: "actions", target: "Action", operands: nearlyAction},
		{name: "resources, stars in parts", target: "Resource", operands: numbered("arn:*a?s:s*:*-?:1*:x%d")},
		{name: "resources", target: "Resource", operands: numbered("arn:aws:s3:::x%d*")},
	}
}

func nearlyAction(i int) string { return fmt.Sprintf("*?e?%d*", i) }

// policies are as many as there may be, each as long as it may be.
func (h *hostile) policies() ([]policy.Named, error) {
	n := 0
	var list []policy.Named
	for range hostilePolicies {
		d, err := policy.Parse([]byte(h.document(&n)))
		if err != nil {
			return nil, err
		}
		list = append(list, policy.Named{Name: "hostile", Policy: policy.Compile(d)})
	}
	return list, nil
}

func (h *hostile) document(n *int) string {
	const start, end = `{"Version":"2012-10-17","Statement":[`, `]}`
	text, one := start, h.statement
	if h.apart {
		for next := one(h.operands(*n)); len(text)+len(next)+len(end) < hostileSize; next = one(h.operands(*n)) {
			text += next + ","
			*n++
		}
		return text[:len(text)-1] + end
	}
	size, values := len(start)+len(one())+len(end), []string(nil)
	for next := h.operands(*n); size+len(next)+3 < hostileSize; next = h.operands(*n) {
		values, size = append(values, next), size+len(next)+3
		*n++
	}
	return text + one(values...) + end
}

func (h *hostile) statement(values ...string) string {
	action, resource, condition := `"*"`, `"*"`, ""
	text, err := json.Marshal(values)
	if err != nil {
		panic(err) // texts marshal
	}
	switch {
	case h.target == "Action":
		action = string(text)
	case h.target == "Resource":
		resource = string(text)
	case h.operator == "Null":
		condition = fmt.Sprintf(`,"Condition":{"Null":{%q:"false"}}`, strings.Join(values, ""))
	default:
		condition = fmt.Sprintf(`,"Condition":{"ForAnyValue:%s":{"app:v":%s}}`, h.operator, text)
	}
	return fmt.Sprintf(`{"Effect":"Deny","Action":%s,"Resource":%s%s}`, action, resource, condition)
}

func (h *hostile) request() *policy.Request {
	r := oursRequest(&workload{action: theAction, resource: theObject})
	for i := range h.extra {
		r.Context.Set(fmt.Sprintf("xxx:%04dxxxxxx", i), "x")
	}
	r.Context.Set("app:x", long("a"))
	r.Context.Set("app:f", "true")
	if h.values != nil {
		var values []string
		for i := range hostileValues {
			values = append(values, h.values(i))
		}
		r.Context.Set("app:v", values...)
	}
	return r
}

// hostileTable is what each kind of work comes to at most, by the work budget
// or by AWS's limits.
func hostileTable(p *plan) error {
	typical := typical("typical", 5, 8, 0)
	floor, q := newFloor(&typical)
	var t table
	t.add("worst case by kind of work", "ours", "decision", "floor: indexed, typical", "spread of ours", "goal, scaled by the floor", "met")
	for _, h := range hostiles() {
		list, err := h.policies()
		if err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
		set, r := policy.Policies{Identity: list, Boundary: policy.None, Session: policy.None, Endpoint: policy.None,
			ServiceControl: policy.None, ResourceControl: policy.None}, h.request()
		var d policy.Decision
		ours := contender{h.name, func(n int) {
			for range n {
				d = policy.Evaluate(&set, r)
			}
		}}
		f := race(p, []contender{ours, repeat("floor", func() bool { allowed, _ := floor.indexed(q); return allowed })})
		goal := worstGoal * f[1].median() / worstFloor
		t.add(h.name, f[0].cell(), d.Kind.String()+" by "+d.By.String(), nanos(f[1].median()), f[0].spread(), "≤ "+nanos(goal), met(f[0].median() <= goal))
	}
	t.print(p)
	return nil
}
