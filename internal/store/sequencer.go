package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Limits of a group; etcd's own are set above them.
const (
	maxGroup      = 256
	maxGroupBytes = 8 << 20
	maxGroupOps   = 3000 // a call that makes more changes than this is a group of its own
	maxQueue      = 4096
)

// Window is how long a call id is remembered: twice the signature's skew and
// the clocks' error (protocol rule 6).
const Window = 12 * time.Minute

// ErrUnavailable says that the store cannot take writes now, or that a
// commit's outcome is not known: the caller may try again with the same call
// id.
var ErrUnavailable = errors.New("store: unavailable")

// ErrFull says that a commit was not made, because the store has no room.
var ErrFull = errors.New("the store has used up its quota")

// ErrMoved says that another node sequences: nothing of the call has happened
// here, and that node is the one to ask.
var ErrMoved = errors.New("store: another node sequences")

// ErrOut says that this node may not commit: it is fenced, or a call would fence
// it, which another node has to commit.
var ErrOut = errors.New("store: this node may not commit what follows its own fencing")

// ErrBroken says that the log does not continue what this node holds: it has
// been trimmed meanwhile, or is damaged. The node has to start anew.
var ErrBroken = errors.New("store: the log does not continue what this node holds")

// ErrFormat says that nodes in force do not read what would be written: upgrade
// them first, or fence those that are gone.
var ErrFormat = errors.New("store: nodes that do not read format")

// Call is one change that somebody asks for.
type Call struct {
	ID      string // call id; empty for system records
	Account string // for the fair queue
	Reduces bool   // deletions, deactivations, denials: may use the reserve
	// Insist has the call committed here also while another node sequences,
	// which does not answer. That commit is the take-over.
	Insist bool
	// Admit asks whether the credential is still good, before the call id is
	// looked up.
	Admit func(r record.Reader, now time.Time) error
	// Apply makes the change and returns the log record's private part. It
	// must be a function of its arguments: it can run again.
	Apply func(tx record.Tx, now time.Time, index uint64) ([]byte, error)

	done chan Outcome
}

// Outcome is what became of a call.
type Outcome struct {
	Err      error
	Index    uint64 // of the call's own record; 0 when nothing was committed
	Replayed bool   // the call id stands in the log at Index already
	View     *view.View
}

// Events and effects of the Sequencer.
type (
	// Submit hands in a call.
	Submit struct{ Call *Call }
	// Group asks for the next commit, when none is in flight.
	Group struct{}
	// Doubted refuses the calls that wait: this node's clock is not believed any
	// more, so it commits nothing, not even a fence.
	Doubted struct{ Err error }
	// Committed is a commit's outcome.
	Committed struct {
		OK  bool
		Err error
	}
	// Caught is the log from the settled view's index on.
	Caught struct {
		Values []*record.LogValue
		Err    error
	}
	// Woken says that somebody may have committed: an idle node follows.
	Woken struct{}

	// Commit asks the driver to commit.
	Commit struct{ Txn *Txn }
	// CatchUp asks the driver to read the log from an index.
	CatchUp struct{ From uint64 }
	// Stop ends the node: ErrBroken, ErrOut, ErrSucceeded.
	Stop struct{ Err error }
	// Publish hands on a confirmed commit.
	Publish struct {
		Value *record.LogValue
		View  *view.View
	}
	// Answer tells a call's outcome.
	Answer struct {
		Call    *Call
		Outcome Outcome
	}
)

// Sequencer is the single-threaded machine that orders calls: no goroutine,
// clock, randomness or I/O inside. Every control-plane node has one. The node
// that signed the newest head is the one that sequences: the head is the hint,
// and its term counts the take-overs. A hint is good for speed alone; what
// makes two nodes safe is that each commit compares the head.
type Sequencer struct {
	Node string
	Sign func(*record.Head)

	view    *view.View
	stored  []byte // the head as it stands in the store
	queues  map[string][]*Call
	turn    []string // accounts with waiting calls, in order of their turn
	waiting int
	ids     map[string]seen
	expiry  []seen
	flight  *flight
	unknown bool // the last commit's outcome is not known
	reading bool // the log is being read
	again   bool // and is to be read once more
}

type seen struct {
	id    string
	index uint64
	at    int64 // milliseconds
}

// flight is the commit that is under way.
type flight struct {
	value   record.LogValue
	stored  []byte
	next    *view.View
	format  int      // of the log with this group
	answers []Answer // of calls that committed
	idle    []Answer // of calls that changed nothing: good once this is settled
	replays bool     // one of them was done before
	moved   []Answer // of calls that another node is to be asked for
	ops     int      // changed keys
	retires bool     // it ends the lineage: nothing may follow
	ids     []seen
}

// NewSequencer starts at a settled view, whose head is stored as `stored`.
func NewSequencer(node string, sign func(*record.Head), v *view.View, stored []byte) *Sequencer {
	return &Sequencer{Node: node, Sign: sign, view: v, stored: stored, queues: map[string][]*Call{}, ids: map[string]seen{}}
}

// View returns the settled view.
func (s *Sequencer) View() *view.View { return s.view }

// Waiting says how many calls wait for a group.
func (s *Sequencer) Waiting() int { return s.waiting }

// Sequences says whether this node made the newest commit that it knows of.
func (s *Sequencer) Sequences() bool { return s.view.Head.Node == s.Node }

// Idle says whether a Group event would do nothing useful.
func (s *Sequencer) Idle() bool { return s.flight == nil && s.waiting == 0 && !s.unknown }

// Remember adds a call id of the log, when the machine is started.
func (s *Sequencer) Remember(id string, index uint64, at int64) {
	if id != "" {
		s.ids[id] = seen{id, index, at}
		s.expiry = append(s.expiry, seen{id, index, at})
	}
}

// Step takes one event and says what is to be done.
func (s *Sequencer) Step(event any, now time.Time) []any {
	switch e := event.(type) {
	case Submit:
		return s.submit(e.Call)
	case Group:
		return s.group(now)
	case Doubted:
		return s.doubted(e.Err)
	case Committed:
		return s.committed(e)
	case Caught:
		return s.caught(e)
	case Woken:
		return s.woken()
	}
	return nil
}

func (s *Sequencer) submit(c *Call) []any {
	if s.waiting >= maxQueue {
		return []any{Answer{c, Outcome{Err: fmt.Errorf("%w: too many writes wait", ErrUnavailable)}}}
	}
	if len(s.queues[c.Account]) == 0 {
		s.turn = append(s.turn, c.Account)
	}
	s.queues[c.Account] = append(s.queues[c.Account], c)
	s.waiting++
	return nil
}

func (s *Sequencer) doubted(err error) (out []any) {
	for c := s.next(); c != nil; c = s.next() {
		out = append(out, Answer{c, Outcome{Err: err}})
	}
	return out
}

// next takes one call, accounts in turn, so that a busy one delays another by
// one call at most.
func (s *Sequencer) next() *Call {
	if s.waiting == 0 {
		return nil
	}
	account := s.turn[0]
	s.turn = s.turn[1:]
	q := s.queues[account]
	c := q[0]
	if len(q) == 1 {
		delete(s.queues, account)
	} else {
		s.queues[account] = q[1:]
		s.turn = append(s.turn, account)
	}
	s.waiting--
	return c
}

// group applies waiting calls to the settled view and starts their commit. An
// unknown outcome before it is fenced by the same comparison.
func (s *Sequencer) group(now time.Time) []any {
	if s.flight != nil || s.reading || s.waiting == 0 && !s.unknown {
		return nil
	}
	at := max(now.UnixMilli(), s.view.Head.Time)
	if failpoint.On(failpoint.CommitTimeBack) {
		at = now.UnixMilli()
	}
	f := &flight{format: s.view.Head.Format}
	pending := s.view.Begin()
	index, chain, size := s.view.Head.Index, s.view.Head.Chain, 0
	for n := 0; n < maxGroup && size < maxGroupBytes && f.ops < maxGroupOps && !f.retires; n++ {
		c := s.next()
		if c == nil {
			break
		}
		if !c.Insist && !s.Sequences() {
			f.moved = append(f.moved, Answer{c, Outcome{Err: ErrMoved, View: s.view}})
			continue
		}
		rec, ok := s.apply(f, pending, c, index+1, at)
		if !ok {
			continue
		}
		index++
		size += len(rec.Public) + len(rec.Private)
		chain = record.Link(chain, rec.Public, sha256.Sum256(rec.Private))
		f.value.Records = append(f.value.Records, rec)
	}
	out := answers(f.moved) // true whatever is in doubt
	if len(f.value.Records) == 0 {
		if !s.unknown && (!f.replays || s.Sequences() || failpoint.On(failpoint.RepeatsAnywhere)) {
			return append(out, answers(f.idle)...) // settled: nothing was in doubt
		}
		// A call that was done is answered where the in-sync set is, which has to
		// know of it (protocol rule 12): this node takes over first.
		rec := s.fence(index+1, at, f.format)
		index++
		chain = record.Link(chain, rec.Public, sha256.Sum256(rec.Private))
		f.value.Records = append(f.value.Records, rec)
	}
	return append(out, s.launch(f, pending, index, chain, at)...)
}

func (s *Sequencer) launch(f *flight, pending *view.Pending, index uint64, chain record.Hash, at int64) []any {
	state := pending.State()
	head := s.view.Head
	if !s.Sequences() {
		head.Term++ // the take-over
	}
	head.Index, head.Chain, head.Time, head.Format, head.Node = index, chain, at, f.format, s.Node
	head.State = state.Digest()
	s.Sign(&head)
	f.value.Head = head
	f.next = &view.View{State: state, Head: head}
	f.stored, _ = record.Marshal(&head) // plain fields: cannot fail
	log, err := f.value.Append(nil)
	if err != nil {
		return answers(failed(f, fmt.Errorf("store: encode log: %w", err)))
	}
	s.flight = f
	return []any{Commit{&Txn{Expect: s.stored, Head: f.stored, Index: index, Log: log, Changes: pending.Changes()}}}
}

// apply runs one call: credential, call id, then the call itself, on the group's
// state so far.
func (s *Sequencer) apply(f *flight, pending *view.Pending, c *Call, index uint64, at int64) (record.Logged, bool) {
	now := time.UnixMilli(at).UTC()
	if c.Admit != nil && !failpoint.On(failpoint.NoRecheck) {
		if err := c.Admit(pending, now); err != nil {
			f.idle = append(f.idle, Answer{c, Outcome{Err: err, View: s.view}})
			return record.Logged{}, false
		}
	}
	if old, ok := s.find(f, c.ID); ok {
		f.idle, f.replays = append(f.idle, Answer{c, Outcome{Index: old.index, Replayed: true, View: s.view}}), true
		return record.Logged{}, false
	}
	fork := pending.Fork()
	private, err := c.Apply(fork, now, index)
	if err == nil && len(private) == 0 {
		err = errors.New("store: a call without a private part")
	}
	if err != nil {
		f.idle = append(f.idle, Answer{c, Outcome{Err: err, View: s.view}})
		return record.Logged{}, false
	}
	if failpoint.Wrong(failpoint.WritesLater) {
		writeLater(fork)
	}
	changes := fork.Changes()
	if touchesNodes(changes) && !record.MaySign(fork, s.Node) { // nobody could believe the head of that state
		f.idle = append(f.idle, Answer{c, Outcome{Err: ErrOut, View: s.view}})
		return record.Logged{}, false
	}
	format := max(f.format, record.FormatOf(changes))
	if err := readable(fork, changes, f.format, format); err != nil {
		f.idle = append(f.idle, Answer{c, Outcome{Err: err, View: s.view}})
		return record.Logged{}, false
	}
	if failpoint.Wrong(failpoint.LaterFormat) {
		format = record.Format + 1
	}
	f.retires = retires(changes, fork)
	f.ops += len(changes)
	f.format = format
	public := (&record.Public{Index: index, Time: at, Format: format, Call: c.ID, Changes: changes}).Append(nil)
	pending.Adopt(fork)
	f.answers = append(f.answers, Answer{c, Outcome{Index: index}})
	if c.ID != "" {
		f.ids = append(f.ids, seen{c.ID, index, at})
	}
	return record.Logged{Public: public, Private: private}, true
}

// readable refuses what raises the log's format while a node in force does not
// read it, and a node that does not read the log.
func readable(r record.Reader, changes []record.Change, old, format int) error {
	if format == old && !touchesNodes(changes) || failpoint.On(failpoint.NoFormatGate) {
		return nil
	}
	behind, err := record.Behind(r, format)
	if err == nil && len(behind) > 0 {
		err = fmt.Errorf("%w %d: %s", ErrFormat, format, strings.Join(behind, ", "))
	}
	return err
}

func touchesNodes(changes []record.Change) bool {
	return slices.ContainsFunc(changes, func(c record.Change) bool { return c.Key.Kind() == record.Nodes.Name })
}

func (s *Sequencer) find(f *flight, id string) (seen, bool) {
	if id == "" || failpoint.On(failpoint.ForgetsCallIDs) {
		return seen{}, false
	}
	for _, x := range f.ids {
		if x.id == id {
			return x, true
		}
	}
	x, ok := s.ids[id]
	return x, ok
}

// fence is an empty record: its commit, or refusal, settles the one before.
func (s *Sequencer) fence(index uint64, at int64, format int) record.Logged {
	public := (&record.Public{Index: index, Time: at, Format: format}).Append(nil)
	private, _ := record.Marshal(record.Private{Caller: s.Node, Operation: "fence"})
	return record.Logged{Public: public, Private: private}
}

func (s *Sequencer) committed(e Committed) []any {
	f := s.flight
	if f == nil {
		return nil
	}
	s.flight = nil
	switch {
	case e.Err != nil:
		s.unknown = true
		if failpoint.On(failpoint.AnswersUnknown) {
			return answers(failed(f, errors.New("store: the commit was refused")))
		}
		if errors.Is(e.Err, ErrFull) {
			return answers(failed(f, fmt.Errorf("%w: %w", ErrUnavailable, ErrFull)))
		}
		return answers(failed(f, fmt.Errorf("%w: the outcome of the commit is not known", ErrUnavailable)))
	case !e.OK:
		// The head is another: the commit in doubt went through, or somebody
		// else committed. Nothing of this group happened; read the log.
		s.requeue(f)
		return s.read()
	}
	s.unknown = false
	s.settle(f.next, f.stored)
	s.remember(f.ids, f.value.Head.Time)
	out := []any{Publish{&f.value, f.next}}
	for _, a := range f.answers {
		a.Outcome.View = f.next
		out = append(out, a)
	}
	for _, a := range f.idle {
		a.Outcome.View = f.next
		out = append(out, a)
	}
	if f.retires && !failpoint.On(failpoint.NeverRetires) {
		out = append(out, Stop{ErrSucceeded})
	}
	return out
}

// requeue puts a refused group's calls back at the front of their queues.
func (s *Sequencer) requeue(f *flight) {
	all := append(append([]Answer{}, f.answers...), f.idle...)
	for i := len(all) - 1; i >= 0; i-- {
		c := all[i].Call
		if len(s.queues[c.Account]) == 0 {
			s.turn = append(s.turn, c.Account)
		}
		s.queues[c.Account] = append([]*Call{c}, s.queues[c.Account]...)
		s.waiting++
	}
}

// woken follows what others commit, unless a commit of this node is under way:
// its refusal will tell.
func (s *Sequencer) woken() []any {
	switch {
	case s.flight != nil:
		return nil
	case s.reading:
		s.again = true
		return nil
	}
	return s.read()
}

func (s *Sequencer) read() []any {
	s.reading, s.again = true, false
	return []any{CatchUp{s.view.Head.Index + 1}}
}

// caught takes the log's records that this machine did not know.
func (s *Sequencer) caught(e Caught) []any {
	s.reading = false
	if e.Err != nil {
		return s.read()
	}
	var out []any
	for _, v := range e.Values {
		if v.Head.Index <= s.view.Head.Index {
			continue
		}
		next, ids, err := s.advance(v)
		if err != nil {
			return append(out, Stop{fmt.Errorf("%w: %w", ErrBroken, err)})
		}
		stored, _ := record.Marshal(&v.Head) // plain fields: cannot fail
		s.settle(next, stored)
		s.remember(ids, v.Head.Time)
		s.unknown = false // the head that the commit in doubt compared is gone
		out = append(out, Publish{v, next})
		switch {
		case next.Terms(record.SuccessorByEpoch.Name) > 0 && record.Retired(next) != nil && !failpoint.On(failpoint.NeverRetires):
			return append(out, Stop{ErrSucceeded})
		case !record.MaySign(next, s.Node) && !failpoint.On(failpoint.FencedSigns):
			return append(out, Stop{ErrOut})
		}
	}
	if s.again {
		out = append(out, s.read()...)
	}
	return out
}

// advance verifies one commit of the log: chain, signature by a node that may,
// term and digest. Nothing is believed for where it was read.
func (s *Sequencer) advance(v *record.LogValue) (*view.View, []seen, error) {
	records, err := v.Batch().Open(s.view.Head.Index, s.view.Head.Chain)
	if err != nil {
		return nil, nil, err
	}
	if err := record.VerifyNext(s.view, &s.view.Head, &v.Head); err != nil {
		return nil, nil, err
	}
	p := s.view.Begin()
	var ids []seen
	for _, r := range records {
		p.Apply(r.Changes)
		if r.Call != "" {
			ids = append(ids, seen{r.Call, r.Index, r.Time})
		}
	}
	next := &view.View{State: p.State(), Head: v.Head}
	if next.Digest() != v.Head.State {
		return nil, nil, fmt.Errorf("index %d comes to another digest than its head's", v.Head.Index)
	}
	return next, ids, nil
}

func (s *Sequencer) settle(v *view.View, stored []byte) { s.view, s.stored = v, stored }

// remember keeps the call ids of a commit and forgets those out of the window.
func (s *Sequencer) remember(ids []seen, now int64) {
	for _, x := range ids {
		s.ids[x.id] = x
		s.expiry = append(s.expiry, x)
	}
	for len(s.expiry) > 0 && s.expiry[0].at < now-Window.Milliseconds() {
		if old := s.expiry[0]; s.ids[old.id].index == old.index {
			delete(s.ids, old.id)
		}
		s.expiry = s.expiry[1:]
	}
}

// failed answers every call of a group with an error.
func failed(f *flight, err error) []Answer {
	var out []Answer
	for _, a := range append(append([]Answer{}, f.answers...), f.idle...) {
		a.Outcome = Outcome{Err: err}
		out = append(out, a)
	}
	return out
}

func answers(list []Answer) []any {
	out := make([]any, len(list))
	for i, a := range list {
		out[i] = a
	}
	return out
}
