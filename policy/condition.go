package policy

import "strings"

// quantifier says how a condition treats a key with several values.
type quantifier uint8

const (
	single quantifier = iota
	forAll
	forAny
)

// test is one compiled condition: an operator, a key, its values.
type test struct {
	name       string // as written
	key        string // folded
	keyName    string // as written
	op         operator
	quantifier quantifier
	ifExists   bool
	null       bool
	wantNull   bool
	operands   []operand
	bad        bool // unknown operator, or a value that it cannot read
}

// splitOperator reads [ForAllValues:|ForAnyValue:]Name[IfExists].
func splitOperator(name string) (base string, q quantifier, ifExists, ok bool) {
	base = fold(name)
	if rest, found := strings.CutPrefix(base, "forallvalues:"); found {
		base, q = rest, forAll
	} else if rest, found := strings.CutPrefix(base, "foranyvalue:"); found {
		base, q = rest, forAny
	}
	base, ifExists = strings.CutSuffix(base, "ifexists")
	if base == nullOperator {
		return base, q, ifExists, !ifExists
	}
	_, ok = operators[base]
	return base, q, ifExists, ok
}

func compileCondition(c condition, variables bool) test {
	base, q, ifExists, ok := splitOperator(c.operator)
	t := test{name: c.operator, key: fold(c.key), keyName: c.key, quantifier: q, ifExists: ifExists, bad: !ok}
	if !ok {
		return t
	}
	if base == nullOperator {
		t.null = true
		if len(c.values) != 1 {
			t.bad = true
			return t
		}
		flag := parseFlag(c.values[0], false)
		t.wantNull, t.bad = flag.flag, flag.bad
		return t
	}
	t.op = operators[base]
	for _, v := range c.values {
		o := t.op.parse(v, variables)
		t.bad = t.bad || o.bad
		t.operands = append(t.operands, o)
	}
	return t
}

// eval says whether the condition holds. Missing keys: a negated operator
// holds, IfExists holds, ForAllValues holds, everything else does not.
func (t *test) eval(e *evaluation) verdict {
	if t.bad {
		return invalid
	}
	values, present := e.request.Context.get(t.key)
	if t.null {
		return verdictOf((len(values) == 0) == t.wantNull)
	}
	if !present || len(values) == 0 {
		switch {
		case t.ifExists, t.quantifier == forAll:
			return yes
		case t.quantifier == forAny:
			return no
		}
		return verdictOf(t.op.negated)
	}
	if t.quantifier == single {
		return t.one(e, values)
	}
	return t.each(e, values)
}

// one is a condition without a set operator: any value of the key meets any of
// the policy's; a negated operator asks that none does.
func (t *test) one(e *evaluation, values []string) verdict {
	for _, v := range values {
		switch t.any(e, v) {
		case yes:
			return verdictOf(!t.op.negated)
		case invalid:
			return invalid
		}
	}
	return verdictOf(t.op.negated)
}

// each is ForAllValues and ForAnyValue: every value of the key is judged by
// itself.
func (t *test) each(e *evaluation, values []string) verdict {
	for _, v := range values {
		met := t.any(e, v)
		if met == invalid {
			return invalid
		}
		holds := (met == yes) != t.op.negated
		if t.quantifier == forAny && holds {
			return yes
		}
		if t.quantifier == forAll && !holds {
			return no
		}
	}
	return verdictOf(t.quantifier == forAll)
}

// any says whether one value meets one of the policy's values.
func (t *test) any(e *evaluation, value string) verdict {
	for i := range t.operands {
		if v := t.op.match(e, &t.operands[i], value); v != no {
			return v
		}
	}
	return no
}
