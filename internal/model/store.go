package model

import "fmt"

// StoreRules are the store's rules that the model can do without.
type StoreRules struct {
	CompareHead     bool // 1: a transaction compares the head it was evaluated on
	SeeGroup        bool // 2: a call sees what its group wrote before it
	FreshAnswers    bool // 3: what commits nothing is answered at a fresh head
	AnswerMaybe     bool // 4: an unknown outcome is answered "unavailable", no more
	AnswerFromLog   bool // 5: after doubt, the log's record answers, not memory
	CredentialFirst bool // 7: the credential is asked before an answer is repeated
	PushCommitted   bool // 9: a record is pushed once its commit is confirmed
}

// AllStoreRules has every rule on.
var AllStoreRules = StoreRules{true, true, true, true, true, true, true}

// The requests of the store's model: a user is created with a key, the client
// tries again with the same call id, somebody deletes the key, somebody looks
// whether the user is there.
const (
	create = iota
	again
	remove
	look
	requests
)

var requestNames = [requests]string{"create", "create again", "delete the key", "look"}

// What a client knows of its request.
const (
	unsent = iota
	waiting
	succeeded
	refused
	maybe // 503
	never // told that it did not happen
)

// logged is one record of the log.
type logged struct {
	what int8 // nothing, a fence, create or remove
	by   int8 // the node that prepared it
}

// What a record says.
const (
	nothing = iota
	fenced
	created
	removed
)

// transaction is what a node asks the store to commit.
type transaction struct {
	state   int8 // as below
	base    int8
	records [2]logged
	serves  [2]int8 // the requests of the records, +1
	repeats int8    // mask of requests that get an earlier answer with it
	refuses int8    // mask of requests that are refused with it
}

// Where a transaction is.
const (
	absent = iota
	travelling
	committed
	rejected
)

// sequencer is a node that commits.
type sequencer struct {
	head    int8 // its settled view is the log so far
	queue   int8 // mask of requests
	unknown bool
	sent    transaction
	late    transaction // given up, may still arrive
}

const (
	storeNodes = 2
	logRoom    = 5
)

// storeState is the store, its nodes and its clients.
type storeState struct {
	log     [logRoom]logged
	length  int8
	pushed  [logRoom]logged
	node    [storeNodes]sequencer
	request [requests]int8
	by      [requests]int8 // whose record a success told of
	after   [requests]bool // sent after what it must know of was acknowledged
	saw     bool
}

// Store models two nodes that commit to one log through a store whose answers
// can be late or lost.
func Store(rules StoreRules) *System[storeState] {
	m := storeModel{rules}
	return &System[storeState]{Next: m.next, Broken: storeBroken}
}

type storeModel struct{ rules StoreRules }

func (s *storeState) find(what int8, upTo int8) int8 {
	for i := range upTo {
		if s.log[i].what == what {
			return i
		}
	}
	return -1
}

func (s *storeState) acknowledged(what int8) bool {
	if what == removed {
		return s.request[remove] == succeeded
	}
	return s.request[create] == succeeded || s.request[again] == succeeded
}

func (m storeModel) next(s storeState, yield func(string, storeState)) {
	for r := range int8(requests) {
		m.send(s, r, yield)
	}
	for n := range s.node {
		m.submit(s, n, yield)
		m.decide(s, n, yield)
		m.learn(s, n, yield)
		m.idle(s, n, yield)
	}
}

// send: a client's request reaches a node.
func (m storeModel) send(s storeState, r int8, yield func(string, storeState)) {
	if s.request[r] != unsent || r == again && s.request[create] == unsent {
		return
	}
	for n := range s.node {
		t := s
		t.request[r] = waiting
		t.node[n].queue |= 1 << r
		t.after[r] = s.acknowledged(removed)
		if r == look {
			t.after[r] = s.acknowledged(created)
		}
		yield(fmt.Sprintf("%s reaches node %d", requestNames[r], n), t)
	}
}

// submit: a node evaluates what waits, in either order, on its settled view,
// and sends the transaction.
func (m storeModel) submit(s storeState, n int, yield func(string, storeState)) {
	node := s.node[n]
	if node.sent.state != absent || node.queue&^(1<<look) == 0 && !node.unknown {
		return
	}
	for _, order := range [][]int8{{create, again, remove}, {remove, create, again}} {
		t, x := s, m.evaluate(&node, n, order, &s)
		if x.records[0].what == nothing {
			if !node.unknown {
				if !m.rules.FreshAnswers || node.head == s.length {
					t.answerIdle(n, &x)
					yield(fmt.Sprintf("node %d answers without a commit", n), t)
				}
				continue
			}
			x.records[0] = logged{fenced, int8(n)}
		}
		if max(x.base, s.length)+2 > logRoom {
			continue
		}
		x.state = travelling
		t.node[n].sent = x
		if !m.rules.PushCommitted {
			t.push(&x)
		}
		yield(fmt.Sprintf("node %d sends %s on head %d", n, x.words(), x.base), t)
	}
}

// evaluate applies the waiting requests in order.
func (m storeModel) evaluate(node *sequencer, n int, order []int8, s *storeState) transaction {
	x := transaction{base: node.head}
	gone, there := s.find(removed, node.head) >= 0, s.find(created, node.head) >= 0
	records := 0
	put := func(r, what int8) {
		x.records[records], x.serves[records] = logged{what, int8(n)}, r+1
		records++
	}
	for _, r := range order {
		switch {
		case node.queue&(1<<r) == 0 || records == len(x.records):
		case r == remove && gone:
			x.refuses |= 1 << r
		case r == remove:
			put(r, removed)
			gone = m.rules.SeeGroup
		case gone && m.rules.CredentialFirst:
			x.refuses |= 1 << r
		case there:
			x.repeats |= 1 << r
		case gone:
			x.refuses |= 1 << r
		default:
			put(r, created)
			there = m.rules.SeeGroup
		}
	}
	return x
}

func (x *transaction) words() string {
	text := ""
	for _, r := range x.records {
		text += [...]string{"", "[fence]", "[create]", "[delete key]"}[r.what]
	}
	return text
}

// answer settles one request.
func (s *storeState) answer(n int, r, with, by int8) {
	s.node[n].queue &^= 1 << r
	s.request[r], s.by[r] = with, by
}

// answerIdle answers the requests of a transaction that committed nothing.
func (s *storeState) answerIdle(n int, x *transaction) {
	for r := range int8(requests) {
		switch {
		case x.repeats&(1<<r) != 0:
			if at := s.find(created, s.length); at >= 0 {
				s.answer(n, r, succeeded, s.log[at].by)
			}
		case x.refuses&(1<<r) != 0:
			s.answer(n, r, refused, 0)
		}
	}
}

// push hands a transaction's records to the followers.
func (s *storeState) push(x *transaction) {
	for i, r := range x.records {
		if r.what != nothing {
			s.pushed[int(x.base)+i] = r
		}
	}
}

// decide: the store takes or rejects a transaction that reached it.
func (m storeModel) decide(s storeState, n int, yield func(string, storeState)) {
	if s.node[n].sent.state == travelling {
		t := s
		x := &t.node[n].sent
		m.commit(&t, x)
		yield(fmt.Sprintf("the store settles what node %d sent", n), t)
	}
	if s.node[n].late.state == travelling {
		t := s
		m.commit(&t, &t.node[n].late)
		t.node[n].late = transaction{}
		yield(fmt.Sprintf("the store settles what node %d had given up", n), t)
		t = s
		t.node[n].late = transaction{}
		yield(fmt.Sprintf("what node %d had given up is lost", n), t)
	}
}

func (m storeModel) commit(s *storeState, x *transaction) {
	x.state = rejected
	if m.rules.CompareHead && x.base != s.length || s.length+2 > logRoom {
		return
	}
	x.state = committed
	for _, r := range x.records {
		if r.what != nothing {
			s.log[s.length] = r
			s.length++
		}
	}
}

// learn: a node hears what became of its transaction, or gives it up.
func (m storeModel) learn(s storeState, n int, yield func(string, storeState)) {
	x := s.node[n].sent
	t := s
	node := &t.node[n]
	switch x.state {
	case committed:
		node.head, node.unknown, node.sent = s.length, false, transaction{}
		for i, serves := range x.serves {
			if serves > 0 {
				t.answer(n, serves-1, succeeded, x.records[i].by)
			}
		}
		t.answerIdle(n, &x)
		yield(fmt.Sprintf("node %d hears that it committed", n), t)
	case rejected:
		node.head, node.unknown, node.sent = s.length, false, transaction{} // reads the log
		if at := s.find(created, s.length); at >= 0 && !m.rules.AnswerFromLog {
			for _, serves := range x.serves {
				if serves > 0 && serves-1 != remove {
					t.answer(n, serves-1, succeeded, int8(n))
				}
			}
		}
		yield(fmt.Sprintf("node %d hears that the head had moved", n), t)
	}
	if x.state != absent && s.node[n].late.state == absent {
		m.giveUp(s, n, yield)
	}
}

// giveUp: the outcome stays unknown.
func (m storeModel) giveUp(s storeState, n int, yield func(string, storeState)) {
	t := s
	node := &t.node[n]
	x := node.sent
	node.sent, node.unknown = transaction{}, true
	if x.state == travelling {
		node.late = x
	}
	said := int8(maybe)
	if !m.rules.AnswerMaybe {
		said = never
	}
	for r := range int8(look) {
		if node.queue&(1<<r) != 0 {
			t.answer(n, r, said, 0)
		}
	}
	yield(fmt.Sprintf("node %d does not hear in time", n), t)
}

// idle: a node without a transaction reads the log's end, and answers reads.
func (m storeModel) idle(s storeState, n int, yield func(string, storeState)) {
	node := s.node[n]
	if node.sent.state == absent && !node.unknown && node.head != s.length {
		t := s
		t.node[n].head = s.length
		yield(fmt.Sprintf("node %d reads the log", n), t)
	}
	if node.queue&(1<<look) != 0 && (!m.rules.FreshAnswers || node.head == s.length) {
		t := s
		t.answer(n, look, succeeded, 0)
		t.saw = s.find(created, node.head) >= 0
		yield(fmt.Sprintf("node %d answers the look", n), t)
	}
}

// storeBroken holds a state against what the store promises.
func storeBroken(s storeState) string {
	at, gone := s.find(created, s.length), s.find(removed, s.length)
	for i := at + 1; at >= 0 && i < s.length; i++ {
		if s.log[i].what == created {
			return "one call is in the log twice"
		}
	}
	if at >= 0 && gone >= 0 && gone < at {
		return "a deleted key's call committed"
	}
	if s.request[remove] == succeeded && gone < 0 {
		return "an acknowledged deletion is not in the log"
	}
	for i, p := range s.pushed {
		if p.what != nothing && int8(i) < s.length && p != s.log[i] {
			return "what was pushed is not what the log has"
		}
	}
	if s.request[look] == succeeded && s.after[look] && !s.saw {
		return "a look does not see what was acknowledged before it"
	}
	for _, r := range []int8{create, again} {
		switch {
		case s.request[r] == succeeded && at < 0:
			return "an acknowledged call is not in the log"
		case s.request[r] == succeeded && s.by[r] != s.log[at].by:
			return "an answer tells of another record than the log's"
		case s.request[r] == succeeded && s.after[r]:
			return "a deleted key's call is answered as done"
		case s.request[r] == never && at >= 0:
			return "a call that was said not to have happened is in the log"
		}
	}
	return ""
}
