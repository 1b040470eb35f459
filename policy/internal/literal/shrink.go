package literal

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// Shrink removes members of objects and items of lists from a case line, and unwraps lists of one, as long as differs
// stays true. The result is the smallest line that these steps reach.
func Shrink(line []byte, differs func([]byte) bool) []byte {
	for {
		smaller, ok := shrinkOnce(line, differs)
		if !ok {
			return line
		}
		line = smaller
	}
}

func shrinkOnce(line []byte, differs func([]byte) bool) ([]byte, bool) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	var root any
	if decoder.Decode(&root) != nil {
		return nil, false
	}
	var smaller []byte
	try := func() bool {
		candidate, err := json.Marshal(root)
		if err != nil || len(candidate) >= len(line) || !differs(candidate) {
			return false
		}
		smaller = candidate
		return true
	}
	set := func(value any) { root = value }
	found := shrinkValue(root, set, try)
	return smaller, found
}

// shrinkValue tries every single removal inside value, the large ones first, until one keeps the difference.
func shrinkValue(value any, set func(any), try func() bool) bool {
	switch parent := value.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(parent)) // so that a case shrinks the same way each time
		for _, name := range names {
			child := parent[name]
			delete(parent, name)
			if try() {
				return true
			}
			parent[name] = child
		}
		for _, name := range names {
			if shrinkValue(parent[name], func(v any) { parent[name] = v }, try) {
				return true
			}
		}
	case []any:
		for i := range parent {
			rest := append(append([]any{}, parent[:i]...), parent[i+1:]...)
			if set(rest); try() {
				return true
			}
		}
		if len(parent) == 1 {
			if set(parent[0]); try() {
				return true
			}
		}
		set(value)
		for i, child := range parent {
			if shrinkValue(child, func(v any) { parent[i] = v }, try) {
				return true
			}
		}
	}
	return false
}
