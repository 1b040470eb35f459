package literal

import "strings"

// conditionsHold: operators are joined by a logical AND, and so are the keys of one operator.
// What cannot be read on the policy's side makes an Allow not match and a Deny match: nothing is granted by a
// condition that nobody understands.
func conditionsHold(st *statement, variables bool, req *request) bool {
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

func conditionHolds(c condition, variables bool, req *request) (holds, understood bool) {
	operator := c.operator
	set := ""
	for _, prefix := range []string{"ForAllValues", "ForAnyValue"} {
		if rest, ok := strings.CutPrefix(operator, prefix+":"); ok {
			set, operator = prefix, rest
		}
	}
	found, present := req.lookup(c.key)
	if operator == "Null" && set == "" { // AWS gives set operators no meaning with Null: unknown
		return nullHolds(c.values, len(found) == 0)
	}
	// "You can add IfExists to the end of any condition operator name except the Null condition."
	operator, ifExists := strings.CutSuffix(operator, "IfExists")
	positive, negated := negatedOperators[operator]
	if !negated {
		positive = operator
	}
	if !knownOperator(positive) {
		return false, false
	}
	wanted := [][]symbol{}
	for _, raw := range c.values {
		symbols, ok := replaceVariables(raw, variables && takesVariables(positive), req)
		if !ok {
			continue // a variable without a value: "there is no equal or like value"
		}
		if !readable(positive, symbols) {
			return false, false
		}
		wanted = append(wanted, symbols)
	}
	if ifExists && !present {
		return true, true // "If the key is not present, evaluate the condition element as true."
	}
	return setHolds(set, positive, negated, wanted, found), true
}

// setHolds applies ForAllValues, ForAnyValue or neither. The values of the policy are joined by a logical OR, those of
// a negated operator by a logical NOR.
func setHolds(set, positive string, negated bool, wanted [][]symbol, found []string) bool {
	switch set {
	case "ForAllValues":
		if nullDataSet(found) {
			return true // "also returns true if there are no keys in the request, or if the key values resolve to a null data set"
		}
		for _, value := range found {
			if anyMatches(positive, wanted, value) == negated {
				return false
			}
		}
		return true
	case "ForAnyValue":
		if nullDataSet(found) {
			return false // "For no matching key or a null dataset, the condition returns false", negated ones included
		}
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

func anyMatches(positive string, wanted [][]symbol, value string) bool {
	for _, symbols := range wanted {
		if compareValue(positive, symbols, value) {
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
	return holds, true
}
