package authz

import (
	"encoding/json"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/policy"
)

// nothing is what a document comes to that is left out. No release build calls it,
// or what is below: they are bugs that fault tests have to find.
func nothing() *policy.Policy { return policy.Compile(new(policy.Document)) }

// triedFirst looks whether any text of a role's own policies matches a resource,
// before the policies are asked: to save time where none does.
func triedFirst(role *record.Role, resource string) (any bool) {
	if role == nil {
		return true
	}
	for _, x := range role.Inline {
		any = triedIn([]byte(x.Document), resource) || any
	}
	return any
}

func triedIn(text json.RawMessage, resource string) (any bool) {
	var list []json.RawMessage
	var members map[string]json.RawMessage
	var pattern string
	switch {
	case json.Unmarshal(text, &pattern) == nil:
		return recursive(pattern, resource)
	case json.Unmarshal(text, &list) == nil:
	case json.Unmarshal(text, &members) == nil:
		for _, m := range members {
			list = append(list, m)
		}
	}
	for _, x := range list {
		any = triedIn(x, resource) || any
	}
	return any
}

// recursive tries a star at every place.
func recursive(pattern, text string) bool {
	switch {
	case pattern == "":
		return text == ""
	case pattern[0] == '*':
		for i := 0; i <= len(text); i++ {
			if recursive(pattern[1:], text[i:]) {
				return true
			}
		}
		return false
	}
	return text != "" && (pattern[0] == '?' || pattern[0] == text[0]) && recursive(pattern[1:], text[1:])
}
