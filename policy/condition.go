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
	wantNull   bool // Null: holds where the key has no value
	wantValue  bool // Null: holds where it has one
	bad        bool // unknown operator, or a value that it cannot read
	name       string
	keyName    string // as written, as the operator's name
}

// splitOperator reads [ForAllValues:|ForAnyValue:]Name[IfExists], folded.
func splitOperator(name string) (base string, q quantifier, ifExists, ok bool) {
	base = name
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

func (c *compiler) condition(from *condition) test {
	c.folded = c.folded[:0]
	for i := 0; i < len(from.operator); i++ {
		c.folded = append(c.folded, lower(from.operator[i]))
	}
	base, q, ifExists, ok := splitOperator(view(c.folded))
	key := c.fold(from.key)
	t := test{name: from.operator, key: key, mark: markOf(key), keyName: from.key, quantifier: q, ifExists: ifExists, bad: !ok}
	if !ok {
		return t
	}
	if base == nullOperator {
		t.null, t.bad = true, len(from.values) == 0
		for _, v := range from.values {
			flag, ok := toFlag(v)
			t.bad = t.bad || !ok
			t.wantNull, t.wantValue = t.wantNull || flag, t.wantValue || !flag
		}
		return t
	}
	op := operators[base]
	t.negated = op.negated
	t.match, ok = op.compile(c, from.values)
	t.bad = !ok
	return t
}

// eval says whether the condition holds. Missing keys: a negated operator
// holds, IfExists holds, ForAllValues holds, everything else does not.
func (t *test) eval(e *evaluation) verdict {
	if t.bad {
		return invalid
	}
	e.left -= keyCost
	values, present := e.request.Context.get(t.key, t.mark)
	if t.null {
		if len(values) == 0 {
			return verdictOf(t.wantNull)
		}
		return verdictOf(t.wantValue)
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
	case t.quantifier == single && len(values) == 1:
		met := t.match(e, values[0])
		if met == invalid {
			return invalid
		}
		return verdictOf((met == yes) != t.negated)
	case t.quantifier == single:
		return t.one(e, values)
	case e.emptyTexts(values): // a null data set, as AWS says: like a missing key
		return verdictOf(t.quantifier == forAll)
	}
	return t.each(e, values)
}

func (e *evaluation) emptyTexts(values []string) bool {
	for _, v := range values {
		if v != "" {
			return false
		}
	}
	e.left -= len(values)
	return true
}

// one is a condition without a set operator: any value of the key meets any of
// the policy's; a negated operator asks that none does. One value that the
// operator cannot read spoils all, wherever it stands.
func (t *test) one(e *evaluation, values []string) verdict {
	met := false
	for _, v := range values {
		switch t.match(e, v) {
		case invalid:
			return invalid
		case yes:
			met = true
		}
		if e.left < 0 {
			break
		}
	}
	return verdictOf(met != t.negated)
}

// each is ForAllValues and ForAnyValue: every value of the key is judged by
// itself.
func (t *test) each(e *evaluation, values []string) verdict {
	all, some := true, false
	for _, v := range values {
		met := t.match(e, v)
		if met == invalid {
			return invalid
		}
		holds := (met == yes) != t.negated
		all, some = all && holds, some || holds
		if e.left < 0 {
			break
		}
	}
	if t.quantifier == forAll {
		return verdictOf(all)
	}
	return verdictOf(some)
}
