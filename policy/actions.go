package policy

import (
	"hash/maphash"
	"math/bits"
	"strings"
)

// actions finds the statements of a policy that list an action. Every name and
// every pattern that the policy writes stands here once, with the set of
// statements that write it, so that an action is compared once in a policy
// however many statements list it, and a service that the policy does not name
// costs one look.
type actions struct {
	slots    []uint32 // by hash, the next free one: a place in keys, from 1
	keys     []actionKey
	patterns []actionPattern
	chunks   []chunk
	anywhere int32    // pattern: those that hold for more than one service
	inverted []uint64 // statements with NotAction; nil: none
	always   bool     // statements may list an action of a service that is no key
}

// actionKey is a name without a wildcard, or a service: its name with the
// colon. What is before the first colon of a name is a key too.
type actionKey struct {
	hash       uint64
	text       string // folded
	statements int32  // chunk: that write the name
	patterns   int32  // pattern: the service's; of a name being built, below 0, its service
}

// actionPattern is a name with a wildcard.
type actionPattern struct {
	pattern    pattern
	statements int32 // chunk
	next       int32 // pattern: the next one of the same service
}

// chunk is 64 statements of a set. Places in chunks and patterns count from 1;
// 0 ends a chain.
type chunk struct {
	bits uint64
	word int32 // of statements: its first is 64 times as much
	next int32
}

// hashOf is of an action's name or a condition key. Nobody knows the seed, so
// nobody can make them look alike. What it calls equal is compared again.
func hashOf(s string) uint64 { return maphash.String(hashSeed, s) }

var hashSeed = maphash.MakeSeed()

// serviceOf is an action's service with the colon; empty for one without.
func serviceOf(action string) string { return action[:strings.IndexByte(action, ':')+1] }

// silent says that no statement can list an action of the service.
func (a *actions) silent(service uint64) bool {
	return !a.always && (len(a.slots) == 0 || a.slots[service&uint64(len(a.slots)-1)] == 0)
}

func (a *actions) find(hash uint64, text string) *actionKey {
	for i := hash; len(a.slots) > 0; i++ {
		at := a.slots[i&uint64(len(a.slots)-1)]
		if at == 0 {
			break
		}
		if k := &a.keys[at-1]; k.hash == hash && k.text == text {
			return k
		}
	}
	return nil
}

// statementsFor returns the set of statements whose Action or NotAction covers
// the request's, a bit for each; nil if there are none. It is good until the
// next call.
func (e *evaluation) statementsFor(p *Policy) []uint64 {
	a := &p.actions
	found := false
	if a.always {
		e.clear(len(p.statements))
		found = e.unite(a, a.anywhere) || a.inverted != nil
	}
	key, statements := a.find(e.hash, e.action), int32(0)
	if key != nil {
		statements = key.statements
	} else {
		key = a.find(e.serviceHash, e.service)
	}
	if key != nil {
		if !a.always {
			e.clear(len(p.statements))
		}
		found = e.unite(a, key.patterns) || found || statements != 0
		a.add(statements, e.set)
	}
	if !found {
		return nil
	}
	for i, w := range a.inverted {
		e.set[i] ^= w
	}
	return e.set
}

// clear makes the set of as many statements empty.
func (e *evaluation) clear(statements int) {
	n := (statements + 63) / 64
	if cap(e.set) < n {
		e.set = make([]uint64, n)
	}
	e.set = e.set[:n]
	clear(e.set)
}

// unite adds to the set the statements of all patterns of a chain that match.
func (e *evaluation) unite(a *actions, chain int32) (found bool) {
	for chain != 0 {
		p := &a.patterns[chain-1]
		if p.pattern.matches(e, e.action, asText) {
			a.add(p.statements, e.set)
			found = true
		}
		chain = p.next
	}
	return found
}

func (a *actions) add(chain int32, set []uint64) {
	for chain != 0 {
		c := &a.chunks[chain-1]
		set[c.word] |= c.bits
		chain = c.next
	}
}

// actionsBuilder makes the index of a policy.
type actionsBuilder struct {
	actions
	texts
	known map[string]int32 // place by what is written and by what it folds to: of a key, from 0, or below 0 of a pattern
}

// list notes that a statement writes an action.
func (b *actionsBuilder) list(action string, statement int) {
	at, known := b.known[action]
	if !known {
		at = b.place(b.fold(action))
		b.known[action] = at
	}
	if at >= 0 {
		b.mark(&b.keys[at].statements, statement)
	} else {
		b.mark(&b.patterns[^at].statements, statement)
	}
}

// place finds or makes the place of a folded name or pattern, and that of its
// service.
func (b *actionsBuilder) place(text string) int32 {
	if at, known := b.known[text]; known {
		return at
	}
	p := b.compilePattern(text, true, false, false)
	service := serviceOf(p.text)
	if p.shape == exact {
		of, at := b.key(service), b.key(text)
		if of != at {
			b.keys[at].patterns = ^of
		}
		return at
	}
	chain := &b.anywhere
	if service != "" && !wild(service) {
		chain = &b.keys[b.key(service)].patterns
	} else {
		b.always = true
	}
	b.patterns = append(b.patterns, actionPattern{pattern: p, next: *chain})
	*chain = int32(len(b.patterns))
	at := ^int32(len(b.patterns) - 1)
	b.known[text] = at
	return at
}

func (b *actionsBuilder) key(text string) int32 {
	at, known := b.known[text]
	if !known {
		at = int32(len(b.keys))
		b.keys = append(b.keys, actionKey{hash: hashOf(text), text: text})
		b.known[text] = at
	}
	return at
}

// mark puts a statement into a set; statements come in order.
func (b *actionsBuilder) mark(chain *int32, statement int) {
	word := int32(statement / 64)
	if *chain == 0 || b.chunks[*chain-1].word != word {
		b.chunks = append(b.chunks, chunk{word: word, next: *chain})
		*chain = int32(len(b.chunks))
	}
	b.chunks[*chain-1].bits |= 1 << (statement % 64)
}

// invert notes that a statement has NotAction: it covers what it does not list.
func (b *actionsBuilder) invert(statement int) {
	for len(b.inverted) <= statement/64 {
		b.inverted = append(b.inverted, 0)
	}
	b.inverted[statement/64] |= 1 << (statement % 64)
	b.always = true
}

// index is the finished index. A quarter to a half of the slots are used.
func (b *actionsBuilder) index() actions {
	if len(b.keys) > 0 {
		b.slots = make([]uint32, 2<<bits.Len(uint(len(b.keys))))
	}
	for at := range b.keys {
		k := &b.keys[at]
		if k.patterns < 0 {
			k.patterns = b.keys[^k.patterns].patterns
		}
		i := k.hash
		for b.slots[i&uint64(len(b.slots)-1)] != 0 {
			i++
		}
		b.slots[i&uint64(len(b.slots)-1)] = uint32(at + 1)
	}
	a := b.actions
	a.keys, a.patterns, a.chunks = clipped(a.keys), clipped(a.patterns), clipped(a.chunks)
	return a
}

// clipped is a list in no more memory than it needs.
func clipped[T any](list []T) []T { return append([]T(nil), list...) }
