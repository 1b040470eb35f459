// Package model holds small models of the protocol's parts, and searches every
// state that they can reach: the store's log under unknown outcomes, the
// in-sync set under lost and late messages, lineages after a promotion,
// publication of signing keys.
//
// Invariant: a model has the protocol's rules as switches. With all of them on
// no state breaks a promise; with any one off some state does. So a rule that
// is not needed, or a promise that nothing can break, fails the tests.
//
// The rules are numbered as in docs/protocol.md. The models are written apart
// from the code that they are about: that code is held to the same promises by
// the simulator.
package model

import "fmt"

// System is something small enough to be searched whole. Its states are
// values that compare.
type System[S comparable] struct {
	Start S
	// Next yields every state that one action leads to, with the action's name.
	Next func(s S, yield func(action string, next S))
	// Broken says which promise a state breaks, "" for none.
	Broken func(s S) string
}

// Found is what a search came to.
type Found struct {
	States int
	Broken string   // the promise that a state breaks; "" for none
	Trace  []string // the shortest way to that state
}

// String words the outcome with its trace.
func (f Found) String() string {
	if f.Broken == "" {
		return fmt.Sprintf("%d states, all promises kept", f.States)
	}
	text := fmt.Sprintf("%s (state %d), after:", f.Broken, f.States)
	for i, action := range f.Trace {
		text += fmt.Sprintf("\n  %2d. %s", i+1, action)
	}
	return text
}

// visit is how a state was reached first.
type visit struct {
	from   int32
	action string
}

// Search goes through all reachable states, breadth first, until one breaks a
// promise: its trace is then as short as any. It gives up, as broken, at more
// than limit states.
func (m *System[S]) Search(limit int) Found {
	states, how := []S{m.Start}, []visit{{from: -1}}
	seen := map[S]bool{m.Start: true}
	for i := 0; i < len(states); i++ {
		if why := m.Broken(states[i]); why != "" {
			return Found{States: len(states), Broken: why, Trace: trace(how, int32(i))}
		}
		if len(states) > limit {
			return Found{States: len(states), Broken: fmt.Sprintf("the search gave up at %d states", limit)}
		}
		m.Next(states[i], func(action string, next S) {
			if !seen[next] {
				seen[next] = true
				states, how = append(states, next), append(how, visit{int32(i), action})
			}
		})
	}
	return Found{States: len(states)}
}

func trace(how []visit, i int32) (actions []string) {
	for ; how[i].from >= 0; i = how[i].from {
		actions = append(actions, how[i].action)
	}
	for a, b := 0, len(actions)-1; a < b; a, b = a+1, b-1 {
		actions[a], actions[b] = actions[b], actions[a]
	}
	return actions
}
