package literal

import "strings"

// conditionsHold: operators are joined by a logical AND, and so are the keys of one operator.
// What cannot be read on the policy's side makes an Allow not match and a Deny match: nothing is granted by a
// condition that nobody understands.
func conditionsHold(st *statement, variables bool, req *Request) bool {
	for _, c := range st.conditions {
		holds, understood := conditionHolds(c, variables, req)
		if !understood {
			holds = st.deny
		}
		if !holds {
			return false
		}
	}
	return true
}

func conditionHolds(c condition, variables bool, req *Request) (holds, understood bool) {
	set, operator := "", asciiLower(c.operator) // AWS writes operators in one way only and does not speak of case
	for _, prefix := range [...]string{"forallvalues", "foranyvalue"} {
		if rest, ok := strings.CutPrefix(operator, prefix+":"); ok && set == "" { // one; two make an operator that there is not
			set, operator = prefix, rest
		}
	}
	found := req.lookup(c.key)
	if operator == "null" && set == "" { // AWS gives set operators no meaning with Null: unknown
		return nullHolds(c.values, len(found) == 0)
	}
	// "You can add IfExists to the end of any condition operator name except the Null condition."
	operator, ifExists := strings.CutSuffix(operator, "ifexists")
	positive, negated := negatedOperators[operator]
	if !negated {
		positive = operator
	}
	if !knownOperator(positive) {
		return false, false
	}
	for _, raw := range c.values {
		if usesVariables := variables && takesVariables(positive) && strings.Contains(raw, "${"); !usesVariables && !readable(positive, raw) {
			return false, false
		}
	}
	if len(found) == 0 && ifExists {
		return true, true // "If the key is not present, evaluate the condition element as true."
	}
	wanted := [][]piece{}
	for _, raw := range c.values {
		pieces, ok := replaceVariables(raw, variables && takesVariables(positive), req)
		if ok { // else a variable without a value: "there is no equal or like value"
			wanted = append(wanted, pieces)
		}
	}
	if set != "" && nullDataSet(found) {
		// ForAllValues "also returns true if there are no keys in the request, or if the key values resolve to a null
		// data set"; ForAnyValue: "For no matching key or a null dataset, the condition returns false".
		return set == "forallvalues", true
	}
	if len(found) > 0 && !comparable(positive, wanted, found) {
		return false, false
	}
	return setHolds(set, positive, negated, wanted, found), true
}

// comparable says whether the values of the request are of the operator's type, and those that variables came to.
// AWS does not say what a number that is none compares as. Nothing is concluded from it: nothing is granted.
func comparable(operator string, wanted [][]piece, found []string) bool {
	if strings.HasPrefix(operator, "string") || strings.HasPrefix(operator, "arn") {
		return true // any text; what is no ARN equals none
	}
	for _, value := range found {
		if operator == "ipaddress" {
			if _, ok := parseAddress(value); !ok {
				return false
			}
		} else if !readable(operator, value) {
			return false
		}
	}
	for _, pieces := range wanted {
		if !readable(operator, plain(pieces)) {
			return false
		}
	}
	return true
}

// setHolds applies ForAllValues, ForAnyValue or neither. The values of the policy are joined by a logical OR, those of
// a negated operator by a logical NOR.
func setHolds(set, positive string, negated bool, wanted [][]piece, found []string) bool {
	switch set {
	case "forallvalues":
		for _, value := range found {
			if anyMatches(positive, wanted, value) == negated {
				return false
			}
		}
		return true
	case "foranyvalue":
		for _, value := range found {
			if anyMatches(positive, wanted, value) != negated {
				return true
			}
		}
		return false
	}
	// A missing key: "the values do not match and the condition is false"; negated: "the condition is true".
	// AWS requires a set operator for several values and does not say what happens without: the operator then asks
	// whether the key has a matching value, and the negated operator whether it has none.
	matched := false
	for _, value := range found {
		matched = matched || anyMatches(positive, wanted, value)
	}
	return matched != negated
}

func anyMatches(positive string, wanted [][]piece, value string) bool {
	for _, pieces := range wanted {
		if compareValue(positive, pieces, value) {
			return true
		}
	}
	return false
}

// nullDataSet: no values, or "a null data set, such as an empty string".
func nullDataSet(found []string) bool {
	for _, value := range found {
		if value != "" {
			return false
		}
	}
	return true
}

// nullHolds: "use either true (the key doesn't exist — it is null) or false (the key exists and its value is not
// null)". An empty list is null; an empty string is a value.
func nullHolds(values []string, isNull bool) (holds, understood bool) {
	for _, raw := range values {
		want, ok := parseBool(raw)
		if !ok {
			return false, false
		}
		holds = holds || want == isNull
	}
	return holds, len(values) > 0
}
