package literal

import (
	"strings"
	"unicode/utf8"
)

// piece is a stretch of a policy's string after its variables were replaced: what the author wrote, where * and ? are
// wildcards, or what a variable came to, where they are characters.
type piece struct {
	text     string
	wildcard bool
}

// replaceVariables replaces ${key}, ${key, 'default'}, ${*}, ${?} and ${$}. It says false where a variable has no
// value: "the value is effectively null. There is no equal or like value."
// AWS does not say whether a * in a replaced value is a wildcard; it is not, or a user could widen a policy by a tag.
// Source: IAM User Guide, "IAM policy elements: Variables and tags".
func replaceVariables(raw string, enabled bool, req *Request) ([]piece, bool) {
	start := strings.Index(raw, "${")
	if !enabled || start < 0 {
		return []piece{{raw, true}}, true
	}
	var out []piece
	complete := true
	for start >= 0 {
		end := strings.Index(raw[start:], "}")
		if end < 0 {
			break
		}
		value, ok := variable(raw[start+2:start+end], req)
		complete = complete && ok
		out = append(out, piece{raw[:start], true}, piece{value, false})
		raw = raw[start+end+1:]
		start = strings.Index(raw, "${")
	}
	return append(out, piece{raw, true}), complete
}

func variable(inside string, req *Request) (string, bool) {
	if inside == "*" || inside == "?" || inside == "$" {
		return inside, true
	}
	name, fallback, hasDefault := strings.Cut(inside, ",")
	fallback = strings.TrimSpace(fallback)
	if hasDefault && (len(fallback) < 2 || fallback[0] != '\'' || fallback[len(fallback)-1] != '\'') {
		hasDefault = false // not "surrounded by single quotes": no default
	}
	if hasDefault {
		fallback = fallback[1 : len(fallback)-1]
	}
	switch values := req.lookup(strings.TrimSpace(name)); len(values) {
	case 0:
		return fallback, hasDefault
	case 1:
		return values[0], true
	}
	return "", false // "You can't use a multivalued condition key as a variable"
}

// plain gives the characters, wildcards as themselves.
func plain(pieces []piece) string {
	if len(pieces) == 1 {
		return pieces[0].text
	}
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(p.text)
	}
	return b.String()
}

// matches compares: * any combination of characters, ? any single character. It walks along the pattern and keeps which
// beginnings of the value that much of the pattern matches.
func matches(pattern []piece, value string) bool {
	reached := make([]bool, len(value)+1) // reached[i]: value[:i] is matched
	reached[0] = true
	for _, p := range pattern {
		text := p.text
		for text != "" {
			run := len(text)
			if i := strings.IndexAny(text, "*?"); p.wildcard && i >= 0 {
				run = max(i, 1)
			}
			if !advance(reached, value, text[:run], p.wildcard) {
				return false
			}
			text = text[run:]
		}
	}
	return reached[len(value)]
}

// advance takes one wildcard, or a run of characters that are none, and says whether anything is left.
func advance(reached []bool, value, run string, wildcard bool) (any bool) {
	if wildcard && run == "*" {
		for i := range value {
			if reached[i] {
				_, size := utf8.DecodeRuneInString(value[i:])
				reached[i+size] = true
			}
		}
		return true
	}
	for i := len(value); i >= 0; i-- {
		if !reached[i] {
			continue
		}
		reached[i] = false
		size := len(run)
		matched := strings.HasPrefix(value[i:], run)
		if wildcard && run == "?" {
			_, size = utf8.DecodeRuneInString(value[i:])
			matched = i < len(value)
		}
		if matched {
			reached[i+size], any = true, true
		}
	}
	return any
}

// components splits an ARN pattern at its first five colons, wherever they come from.
func components(pattern []piece) [][]piece {
	parts := [][]piece{nil}
	for _, p := range pattern {
		for len(parts) < 6 {
			before, behind, found := strings.Cut(p.text, ":")
			if !found {
				break
			}
			parts[len(parts)-1] = append(parts[len(parts)-1], piece{before, p.wildcard})
			parts = append(parts, nil)
			p.text = behind
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], p)
	}
	return parts
}

// matchesARN: "Each of the six colon-delimited components of the ARN is checked separately and each can include
// multi-character match wildcards (*) or single-character match wildcards (?)."
func matchesARN(pattern []piece, value string) bool {
	wanted := components(pattern)
	found := strings.SplitN(value, ":", 6)
	if len(wanted) != 6 || len(found) != 6 {
		return false
	}
	for i := range wanted {
		if !matches(wanted[i], found[i]) {
			return false
		}
	}
	return true
}

// Matches compares a text with a pattern.
func Matches(pattern, value string) bool { return matches([]piece{{pattern, true}}, value) }

// MatchesARN compares an ARN with a pattern of one.
func MatchesARN(pattern, value string) bool { return matchesARN([]piece{{pattern, true}}, value) }

// matchesAction: actions are case-insensitive (IAM User Guide, "IAM JSON policy elements: Action").
func matchesAction(pattern, action string) bool {
	return matches([]piece{{asciiLower(pattern), true}}, asciiLower(action))
}

// matchesResource: "*" is every resource; else "you can use wildcard characters (* and ?) within ARN segments (the
// parts separated by colons)", and a variable "only in the resource portion of the ARN, after the fifth colon".
func matchesResource(pattern, resource string, variables bool, req *Request) bool {
	if !strings.HasPrefix(pattern, "arn:") { // "*", or no ARN at all, which AWS would not store
		whole, ok := replaceVariables(pattern, variables, req)
		if ok && strings.HasPrefix(plain(whole), "arn:") {
			return matchesARN(whole, resource)
		}
		return ok && matches(whole, resource)
	}
	for strings.Count(pattern, ":") < 5 {
		pattern += ":*" // an incomplete ARN is completed with wildcards: arn:aws:sqs is every resource of SQS
	}
	head := 0
	for range 5 {
		head += strings.Index(pattern[head:], ":") + 1
	}
	tail, ok := replaceVariables(pattern[head:], variables, req)
	if !ok {
		return false // "the resource that includes a policy variable with no value will not match any resource"
	}
	return matchesARN(append([]piece{{pattern[:head], true}}, tail...), resource)
}
