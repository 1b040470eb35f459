package model

import "fmt"

const (
	skew       = 2 // ticks by which a signature's date may differ from a node's clock
	clockError = 1 // ticks by which a node's clock may be behind
	lastTick   = 4*skew + clockError
)

// callState is one signature that is presented again and again.
type callState struct {
	now     int8
	effects int8
	first   int8 // when it was done
}

// CallIDs models how long a call id is remembered (rule 6): the signature is
// dated as late as a node takes it, and another node's clock is behind.
func CallIDs(window int8) *System[callState] {
	return &System[callState]{
		Next: func(s callState, yield func(string, callState)) {
			if s.now < lastTick {
				t := s
				t.now++
				yield("a tick", t)
			}
			if s.effects == 0 {
				yield("the call is done", callState{s.now, 1, s.now})
				return
			}
			accepted := s.now-clockError <= s.first+skew+skew
			remembered := s.now <= s.first+window
			if accepted && !remembered {
				t := s
				t.effects++
				yield(fmt.Sprintf("the call is done again at %d", s.now), t)
			}
		},
		Broken: func(s callState) string {
			if s.effects > 1 {
				return "one signature had two effects"
			}
			return ""
		},
	}
}
