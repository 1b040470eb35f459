package model

import "fmt"

// KeyRules are the rules of publishing signing keys that the model can do
// without (docs/protocol.md, "Signing keys").
type KeyRules struct {
	KnownByAll     bool // a key is known when every admitted node has acknowledged it
	SeenBeforeUse  bool // its node uses it outside its Region once it sees the mark
	OutlivesTokens bool // it leaves after its end and the longest token's life
}

// AllKeyRules has every rule on.
var AllKeyRules = KeyRules{true, true, true}

const (
	keyLife   = 2 // ticks in which a key signs
	tokenLife = 2 // ticks that a token lives
	endOfTime = keyLife + tokenLife + 2
)

// keyState is one signing key, its node's state, and another Region's node.
type keyState struct {
	now       int8
	published bool
	known     bool // marked
	dropped   bool
	seen      bool // its node has applied the mark
	has       bool // the other node has the key
	acked     bool // and has said so
	token     int8 // 1 + when a token for all Regions was signed, 0: none
}

// Keys models one key from its publication to its end.
func Keys(rules KeyRules) *System[keyState] {
	m := keyModel{rules}
	return &System[keyState]{Next: m.next, Broken: keyBroken}
}

type keyModel struct{ rules KeyRules }

func (m keyModel) next(s keyState, yield func(string, keyState)) {
	do := func(possible bool, action string, change func(*keyState)) {
		if t := s; possible {
			change(&t)
			yield(action, t)
		}
	}
	do(s.now < endOfTime, "a tick", func(t *keyState) { t.now++ })
	do(!s.published, "the key is published", func(t *keyState) { t.published, t.now = true, 0 })
	do(s.published && !s.dropped, "the other node applies the key", func(t *keyState) { t.has = true })
	do(s.has, "the other node acknowledges the key", func(t *keyState) { t.acked = true })
	do(s.published && (s.acked || !m.rules.KnownByAll), "the key is marked known", func(t *keyState) { t.known = true })
	do(s.known, "its node sees the mark", func(t *keyState) { t.seen = true })
	do(s.published && (s.seen || !m.rules.SeenBeforeUse) && s.now <= keyLife, fmt.Sprintf("a token is signed at %d", s.now), func(t *keyState) { t.token = s.now + 1 })
	end := int8(keyLife)
	if m.rules.OutlivesTokens {
		end += tokenLife
	}
	do(s.published && s.now > end, "the key is dropped", func(t *keyState) { t.dropped, t.has = true, false })
}

// keyBroken: a token that lives is accepted by everybody.
func keyBroken(s keyState) string {
	if lives := s.token > 0 && s.now <= s.token-1+tokenLife; lives && !s.has {
		return "a token that lives is not accepted elsewhere"
	}
	return ""
}
