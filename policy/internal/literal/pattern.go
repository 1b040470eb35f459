package literal

import "strings"

// symbol is one character of a policy's string after its variables were replaced: a wildcard only if the policy's
// author wrote it as one.
type symbol struct {
	char     rune
	wildcard bool
}

// replaceVariables replaces ${key}, ${key, 'default'}, ${*}, ${?} and ${$}. It says false where a variable has no
// value: "the value is effectively null. There is no equal or like value."
// AWS does not say whether a * in a replaced value is a wildcard; it is not, or a user could widen a policy by a tag.
// Source: IAM User Guide, "IAM policy elements: Variables and tags".
func replaceVariables(raw string, enabled bool, req *request) ([]symbol, bool) {
	var out []symbol
	complete := true
	for raw != "" {
		end := strings.Index(raw, "}")
		if enabled && strings.HasPrefix(raw, "${") && end > 0 {
			value, ok := variable(raw[2:end], req)
			complete = complete && ok
			for _, char := range value {
				out = append(out, symbol{char, false})
			}
			raw = raw[end+1:]
			continue
		}
		char := []rune(raw)[0]
		out = append(out, symbol{char, char == '*' || char == '?'})
		raw = raw[len(string(char)):]
	}
	return out, complete
}

func variable(inside string, req *request) (string, bool) {
	if inside == "*" || inside == "?" || inside == "$" {
		return inside, true
	}
	name, fallback, hasDefault := strings.Cut(inside, ",")
	fallback = strings.TrimSpace(fallback)
	if hasDefault {
		if len(fallback) < 2 || fallback[0] != '\'' || fallback[len(fallback)-1] != '\'' {
			return "", false
		}
		fallback = fallback[1 : len(fallback)-1]
	}
	values, present := req.lookup(strings.TrimSpace(name))
	// "You can't use a multivalued condition key as a variable": it has no value, as a key that is not there.
	if present && len(values) == 1 {
		return values[0], true
	}
	return fallback, hasDefault
}

// plain gives the characters, wildcards as themselves.
func plain(symbols []symbol) string {
	var b strings.Builder
	for _, s := range symbols {
		b.WriteRune(s.char)
	}
	return b.String()
}

// matches compares: * any combination of characters, ? any single character.
func matches(pattern []symbol, value []rune) bool {
	if len(pattern) == 0 {
		return len(value) == 0
	}
	first := pattern[0]
	if first.wildcard && first.char == '*' {
		for skip := 0; skip <= len(value); skip++ {
			if matches(pattern[1:], value[skip:]) {
				return true
			}
		}
		return false
	}
	if len(value) == 0 {
		return false
	}
	if !(first.wildcard && first.char == '?') && first.char != value[0] {
		return false
	}
	return matches(pattern[1:], value[1:])
}

// segments splits an ARN pattern at its first five colons.
func segments(pattern []symbol) [][]symbol {
	parts := [][]symbol{nil}
	for _, s := range pattern {
		if s.char == ':' && len(parts) < 6 {
			parts = append(parts, nil)
			continue
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], s)
	}
	return parts
}

// matchesARN: "Each of the six colon-delimited components of the ARN is checked separately and each can include
// multi-character match wildcards (*) or single-character match wildcards (?)."
func matchesARN(pattern []symbol, value string) bool {
	wanted := segments(pattern)
	found := strings.SplitN(value, ":", 6)
	if len(wanted) != 6 || len(found) != 6 {
		return false
	}
	for i := range wanted {
		if !matches(wanted[i], []rune(found[i])) {
			return false
		}
	}
	return true
}

// matchesAction: actions are case-insensitive (IAM User Guide, "IAM JSON policy elements: Action").
func matchesAction(pattern, action string) bool {
	symbols, _ := replaceVariables(strings.ToLower(pattern), false, nil)
	return matches(symbols, []rune(strings.ToLower(action)))
}

// matchesResource: "*" is every resource; else "you can use wildcard characters (* and ?) within ARN segments (the
// parts separated by colons)", and a variable "only in the resource portion of the ARN, after the fifth colon".
func matchesResource(pattern, resource string, variables bool, req *request) bool {
	if pattern == "*" {
		return true
	}
	fifth, colons := len(pattern), 0
	for i, char := range pattern {
		if char == ':' {
			if colons++; colons == 5 {
				fifth = i
				break
			}
		}
	}
	head, _ := replaceVariables(pattern[:fifth], false, req)
	tail, ok := replaceVariables(pattern[fifth:], variables, req)
	if !ok {
		return false // "the resource that includes a policy variable with no value will not match any resource"
	}
	return matchesARN(append(head, tail...), resource)
}
