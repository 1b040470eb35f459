package lint

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/lint/catalogue"
)

// family is which operators can be compared with each other.
type family uint8

const (
	otherFamily family = iota
	texts
	arns
	flags
	numbers
	dates
	addresses
)

// families by folded operator, without set prefix and IfExists (IAM User
// Guide, "Condition operators").
var families = map[string]family{
	"stringequals": texts, "stringnotequals": texts, "stringequalsignorecase": texts, "stringnotequalsignorecase": texts,
	"stringlike": texts, "stringnotlike": texts,
	"arnequals": arns, "arnlike": arns, "arnnotequals": arns, "arnnotlike": arns,
	"bool":          flags,
	"numericequals": numbers, "numericlessthan": numbers, "numericlessthanequals": numbers, "numericgreaterthan": numbers, "numericgreaterthanequals": numbers,
	"dateequals": dates, "datelessthan": dates, "datelessthanequals": dates, "dategreaterthan": dates, "dategreaterthanequals": dates,
	"ipaddress": addresses, "notipaddress": addresses,
}

// test is a condition's operator, read.
type test struct {
	condition
	base           string // folded
	family         family
	forAll, forAny bool // ForAllValues, ForAnyValue
	ifExists       bool
	negated        bool
}

func (c condition) test() test {
	t := test{condition: c, base: strings.ToLower(c.operator)}
	t.base, t.forAll = strings.CutPrefix(t.base, "forallvalues:")
	t.base, t.forAny = strings.CutPrefix(t.base, "foranyvalue:")
	t.base, t.ifExists = strings.CutSuffix(t.base, "ifexists")
	t.negated = strings.Contains(t.base, "not")
	t.family = families[t.base]
	return t
}

// needsValue says whether the test fails for a key that is missing.
func (t test) needsValue() bool {
	return !t.negated && !t.ifExists && !t.forAll && t.base != "null"
}

// contradiction compares every two tests of the same key. A key with several
// values can meet two tests by two values, so such keys are left out.
func contradiction(d *document, report report) {
	for _, s := range d.statements {
		if s.maybe {
			continue
		}
		for i, c := range s.conditions {
			t := c.test()
			if t.needsValue() && len(t.values) == 0 {
				report(c.node, "the statement never matches: %s %s has no value to meet", c.operator, c.key)
			}
			for _, x := range s.conditions[:i] {
				if strings.EqualFold(c.key, x.key) && contradict(x.test(), t) {
					report(c.node, "the statement never matches: %s %s and %s contradict each other", x.operator, c.key, c.operator)
				}
			}
		}
	}
}

func contradict(a, b test) bool {
	if a.base == "null" || b.base == "null" {
		return a.asksMissing() && b.needsValue() || b.asksMissing() && a.needsValue()
	}
	kind, _ := catalogue.Key(a.key)
	single := !a.forAll && !b.forAll && !a.forAny && !b.forAny && !strings.HasPrefix(kind, "ArrayOf")
	if !single || a.family != b.family || a.ifExists && b.ifExists {
		return false
	}
	switch {
	case a.negated && b.negated:
		return false
	case a.negated:
		return b.needsValue() && b.excludedBy(a)
	case b.negated:
		return a.needsValue() && a.excludedBy(b)
	case a.family == numbers || a.family == dates:
		return emptyRange(a, b)
	case a.family == texts || a.family == arns || a.family == flags:
		return !a.shares(b)
	}
	return false
}

func (t test) asksMissing() bool {
	return t.base == "null" && len(t.values) == 1 && strings.EqualFold(t.values[0].text, "true")
}

// shares says whether one text can meet both tests.
func (t test) shares(x test) bool {
	fold := t.family == flags || strings.HasSuffix(t.base, "ignorecase") || strings.HasSuffix(x.base, "ignorecase")
	for _, a := range t.values {
		for _, b := range x.values {
			if t.pattern(a.text, fold).meets(x.pattern(b.text, fold)) {
				return true
			}
		}
	}
	return false
}

// pattern is a value as its operator reads it: those of StringEquals have no
// wildcards.
func (t test) pattern(text string, fold bool) glob {
	if fold {
		text = strings.ToLower(text)
	}
	g := compileGlob(text)
	if strings.HasPrefix(t.base, "string") && !strings.HasSuffix(t.base, "like") {
		for i, c := range g {
			switch c {
			case star:
				g[i] = '*'
			case one:
				g[i] = '?'
			}
		}
	}
	return g
}

// excludedBy says whether a negated test takes away all that meets this one.
func (t test) excludedBy(not test) bool {
	return every(t.values, func(a value) bool {
		return some(not.values, func(b value) bool { return t.covered(not, a.text, b.text) })
	})
}

func (t test) covered(not test, a, b string) bool {
	fold := strings.HasSuffix(not.base, "ignorecase")
	switch {
	case t.family == texts && (fold || !strings.HasSuffix(t.base, "ignorecase")):
		return not.pattern(b, fold).covers(t.pattern(a, fold))
	case t.family == arns:
		return compileResource(b).covers(compileResource(a))
	case t.family == addresses:
		p, okP := prefix(a)
		q, okQ := prefix(b)
		return okP && okQ && q.Bits() <= p.Bits() && q.Contains(p.Addr())
	}
	return false
}

func prefix(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}

// limits is a range of numbers; an open end does not belong to it.
type limits struct {
	low, high         float64
	lowOpen, highOpen bool
}

// emptyRange says whether no number, or time, meets both tests.
func emptyRange(a, b test) bool {
	x, okX := a.limits()
	y, okY := b.limits()
	if !okX || !okY {
		return false
	}
	if y.low > x.low || y.low == x.low && y.lowOpen {
		x.low, x.lowOpen = y.low, y.lowOpen
	}
	if y.high < x.high || y.high == x.high && y.highOpen {
		x.high, x.highOpen = y.high, y.highOpen
	}
	return x.low > x.high || x.low == x.high && (x.lowOpen || x.highOpen)
}

// limits is the widest range that the test's values, any of which is enough,
// come to.
func (t test) limits() (limits, bool) {
	least, most := math.Inf(1), math.Inf(-1)
	for _, v := range t.values {
		n, ok := t.number(v.text)
		if !ok {
			return limits{}, false
		}
		least, most = min(least, n), max(most, n)
	}
	l := limits{low: math.Inf(-1), high: math.Inf(1)}
	switch {
	case strings.Contains(t.base, "less"):
		l.high, l.highOpen = most, strings.HasSuffix(t.base, "than")
	case strings.Contains(t.base, "greater"):
		l.low, l.lowOpen = least, strings.HasSuffix(t.base, "than")
	default:
		l.low, l.high = least, most
	}
	return l, len(t.values) > 0
}

func (t test) number(text string) (float64, bool) {
	if t.family == dates && (len(text) == 4 || strings.Contains(text, "-")) {
		for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02", "2006-01", "2006"} {
			if at, err := time.Parse(form, text); err == nil {
				return float64(at.UnixMilli()) / 1000, true
			}
		}
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil && !math.IsNaN(n)
}

// literalWildcard looks at keys whose values are ARNs.
func literalWildcard(d *document, report report) {
	for _, s := range d.statements {
		for _, c := range s.conditions {
			t := c.test()
			kind, _ := catalogue.Key(c.key)
			if t.family != texts || strings.HasSuffix(t.base, "like") || !strings.HasSuffix(kind, "ARN") {
				continue
			}
			for _, v := range c.values {
				g := compileGlob(v.text)
				if strings.HasPrefix(v.text, "arn:") && (hasRune(g, star) || hasRune(g, one)) {
					report(v.node, "%s takes * and ? as they are, and no ARN has them: use ArnLike", c.operator)
				}
			}
		}
	}
}

func hasRune(g glob, r rune) bool {
	for _, c := range g {
		if c == r {
			return true
		}
	}
	return false
}
