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
	match      matcher
	key        string // folded
	mark       uint32 // of the key
	quantifier quantifier
	negated    bool
	ifExists   bool
	null       bool
	wantNull   bool
	bad        bool // unknown operator, or a value that it cannot read
	name       string
	keyName    string // as written, as the operator's name
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
		return base, q, ifExists, !ifExists && q == single
	}
	_, ok = operators[base]
	return base, q, ifExists, ok
}

func compileCondition(c condition, withVariables bool) test {
	base, q, ifExists, ok := splitOperator(c.operator)
	key := fold(c.key)
	t := test{name: c.operator, key: key, mark: markOf(key), keyName: c.key, quantifier: q, ifExists: ifExists, bad: !ok}
	if !ok {
		return t
	}
	if base == nullOperator {
		t.null, t.bad = true, len(c.values) != 1
		if !t.bad {
			var ok bool
			t.wantNull, ok = toFlag(c.values[0])
			t.bad = !ok
		}
		return t
	}
	op := operators[base]
	t.negated = op.negated
	t.match, ok = op.compile(c.values, withVariables)
	t.bad = !ok
	return t
}

// eval says whether the condition holds. Missing keys: a negated operator
// holds, IfExists holds, ForAllValues holds, everything else does not.
func (t *test) eval(e *evaluation) verdict {
	if t.bad {
		return invalid
	}
	values, present := e.request.Context.get(t.key, t.mark)
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
		return verdictOf(t.negated)
	}
	switch {
	case t.quantifier == single:
		return t.one(e, values)
	case emptyTexts(values): // a null data set, as AWS says: like a missing key
		return verdictOf(t.quantifier == forAll)
	}
	return t.each(e, values)
}

func emptyTexts(values []string) bool {
	for _, v := range values {
		if v != "" {
			return false
		}
	}
	return true
}

// one is a condition without a set operator: any value of the key meets any of
// the policy's; a negated operator asks that none does.
func (t *test) one(e *evaluation, values []string) verdict {
	for _, v := range values {
		switch t.match(e, v) {
		case yes:
			return verdictOf(!t.negated)
		case invalid:
			return invalid
		}
		if e.left < 0 {
			break
		}
	}
	return verdictOf(t.negated)
}

// each is ForAllValues and ForAnyValue: every value of the key is judged by
// itself.
func (t *test) each(e *evaluation, values []string) verdict {
	for _, v := range values {
		met := t.match(e, v)
		if met == invalid {
			return invalid
		}
		holds := (met == yes) != t.negated
		if t.quantifier == forAny && holds {
			return yes
		}
		if t.quantifier == forAll && !holds {
			return no
		}
		if e.left < 0 {
			break
		}
	}
	return verdictOf(t.quantifier == forAll)
}
