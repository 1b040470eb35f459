package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/lineage"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/replica"
	"github.com/holdfast-iam/holdfast/internal/store"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// lineagePause is how often a node looks for what it is shown in its directory.
const lineagePause = 500 * time.Millisecond

// retireBound is how long a control plane tries to write that it has ended,
// before it tries again.
const retireBound = 5 * time.Second

// denialsGroup bounds the denials of one commit.
const denialsGroup = 500

// succeed makes the first commit of a successor, where this node was given one
// to begin with.
func (c *Control) succeed(ctx context.Context) (begun bool, err error) {
	dir := filepath.Join(c.Config.Dir, lineage.SuccessionDir)
	if _, err := os.Stat(dir); err != nil {
		return false, nil
	}
	fork, _, err := replica.ReadCopy(dir, c.Config.Root)
	if err != nil {
		return false, fmt.Errorf("the state to go on from: %w", err)
	}
	var changes []record.Change
	if err := local.Read(filepath.Join(dir, lineage.ChangesFile), &changes); err != nil {
		return false, err
	}
	for _, ch := range changes {
		if ch.Key.Kind() != record.Successors.Name {
			continue
		}
		s, err := record.Successors.Decode(ch.Value)
		if err == nil {
			err = s.Verify(fork)
		}
		if err != nil {
			return false, err
		}
		if s.Parent != fork.Head.Lineage || uint64(s.Fork) != fork.Head.Index || string(s.Chain) != string(fork.Head.Chain[:]) {
			return false, errors.New("the state to go on from is not the fork that the root has signed")
		}
		c.Log.Warn("this control plane begins as a successor", "parent", s.Parent, "fork", s.Fork, "lineage", s.Lineage, "epoch", s.Epoch)
		if c.audit.files.Index() < fork.Head.Index { // what was before is in the parent's files
			if err := c.audit.files.Skip(fork.Head.Index); err != nil {
				return false, err
			}
		}
		return true, c.writer.Succeed(ctx, fork, s, changes)
	}
	return false, fmt.Errorf("%s names no successor", dir)
}

// inherit has the call ids of before the fork known for as long as they count.
func (c *Control) inherit() {
	var list []store.Inherited
	if local.Read(filepath.Join(c.Config.Dir, lineage.CallsFile), &list) == nil {
		c.writer.Inherit(list)
	}
}

// answerLost says of a call that was done before the fork that its answer is
// lost: the feed carries call ids and no answers (protocol rule 24).
func answerLost(v *view.View, index uint64) error {
	d, err := record.DescentOf(v)
	if s := d.Newest(); err != nil || s == nil || index > uint64(s.Fork) {
		return err
	}
	return fault.ConcurrentModification.Errorf("This call was done at revision %s by a control plane that has been replaced since, and its answer is lost. Look at what it made before you call again.",
		record.Revision(d.Newest().Parent, index))
}

// lineages does what is asked of a control-plane node by its directory: it heeds
// a successor, and hands up surplus that was brought from elsewhere.
func (c *Control) lineages(ctx context.Context) error {
	if err := os.RemoveAll(filepath.Join(c.Config.Dir, lineage.SuccessionDir)); err != nil { // it is in the store now
		c.Log.Warn("succession", "error", err)
	}
	for ctx.Err() == nil {
		c.heed(ctx)
		c.handUpFiles(ctx)
		sleep(ctx, lineagePause)
	}
	return nil
}

// heed retires this control plane when its directory shows it a successor.
func (c *Control) heed(ctx context.Context) {
	list, err := lineage.ReadSuccessors(c.Config.Dir)
	if err == nil && len(list) > 0 {
		var d record.Descent
		if d, err = replica.Descend(c.writer.View(), list); err == nil {
			c.succeeded(ctx, d)
		}
	}
	if err != nil && ctx.Err() == nil {
		c.Log.Error("successors", "error", err)
	}
}

// succeeded ends this control plane for good when the root says that another
// goes on: a log record, so that its other nodes end too. What it had committed
// after the fork it leaves in a file, for the successor.
func (c *Control) succeeded(ctx context.Context, d record.Descent) {
	v := c.writer.View()
	own, err := record.DescentOf(v)
	s := d.Newest()
	if err != nil || s == nil || len(own) > 0 && s.Epoch <= own.Newest().Epoch {
		return
	}
	c.retiring.Add(1)
	defer c.retiring.Done()
	ctx, cancel := context.WithTimeout(ctx, retireBound) // another node's retirement stops the writer
	defer cancel()
	c.Log.Error("this control plane has a successor and takes no writes any more", "lineage", s.Lineage, "epoch", s.Epoch, "fork", s.Fork)
	o := c.writer.System(ctx, "retire: succeeded by "+s.Lineage, true, func(tx record.Tx, _ time.Time) error {
		for _, x := range d {
			if own.Of(x.Lineage) != nil {
				continue
			}
			if err := record.Put(tx, record.Successors, x); err != nil {
				return err
			}
		}
		return nil
	})
	if o.Err != nil {
		c.Log.Error("retire", "error", o.Err)
		return
	}
	if err := c.leaveSurplus(context.WithoutCancel(ctx), own.With(d)); err != nil {
		c.Log.Error("the surplus cannot be written", "error", err)
	}
}

// leaveSurplus writes what this control plane has after the common prefix with its
// newest successor. That may have gone on from an earlier fork than this one did:
// then what was before this one's own beginning is part of it.
func (c *Control) leaveSurplus(ctx context.Context, d record.Descent) error {
	head := c.writer.View().Head
	from, _ := d.Common(head.Lineage, d.Newest().Lineage)
	batches, err := c.past(from)
	if err != nil { // its own log is worth the same without it, and the successor says what is missing
		c.Log.Error("the history before this control plane's own beginning cannot be read and is not handed up", "error", err)
		batches = nil
	}
	for next := from + 1; next <= head.Index; {
		values, err := c.writer.ReadLog(ctx, next, backupRead)
		if err != nil {
			return err
		}
		for _, l := range values {
			batches = append(batches, l.Batch())
		}
		if len(values) == 0 || values[len(values)-1].Head.Index+1 <= next {
			break
		}
		next = values[len(values)-1].Head.Index + 1
	}
	path := filepath.Join(c.Config.Dir, lineage.RetiredFile)
	c.Log.Warn("what the successor does not have is in a file: bring it to the successor's directory", "file", path, "commits", len(batches), "into", lineage.SurplusDir)
	return lineage.WriteSurplus(path, head.Lineage, d, batches)
}

// past is what is kept of the history before this lineage's own fork, after an
// index.
func (c *Control) past(from uint64) ([]*record.Batch, error) {
	_, _, batches, err := lineage.ReadSurplus(filepath.Join(c.Config.Dir, lineage.PastFile))
	if errors.Is(err, fs.ErrNotExist) { // it is the first lineage, or the node has joined later
		return nil, nil
	}
	return slices.DeleteFunc(batches, func(b *record.Batch) bool { return b.Head.Index <= from }), err
}

// left has a control-plane node whose lineage has ended leave what its successor
// does not have, at each start: it may have died before it had, or be shown a
// successor that is newer than the one that ended it.
func (c *Control) left(ctx context.Context) error {
	v := c.writer.View()
	d, err := record.DescentOf(v)
	if err != nil {
		return err
	}
	list, err := lineage.ReadSuccessors(c.Config.Dir)
	if err != nil {
		return err
	}
	shown, err := replica.Descend(v, list)
	if err != nil {
		return err
	}
	d = d.With(shown)
	if _, told, _, err := lineage.ReadSurplus(filepath.Join(c.Config.Dir, lineage.RetiredFile)); err == nil && told.Of(d.Newest().Lineage) != nil {
		return nil
	}
	return c.leaveSurplus(ctx, d)
}

// handUpFiles hands up the surplus files that were brought here.
func (c *Control) handUpFiles(ctx context.Context) {
	names, _ := filepath.Glob(filepath.Join(c.Config.Dir, lineage.SurplusDir, "*.surplus"))
	for _, name := range names {
		of, d, batches, err := lineage.ReadSurplus(name)
		if err == nil {
			_, err = c.handUp(ctx, "a file", of, d, batches)
		}
		if errors.Is(err, store.ErrMoved) || errors.Is(err, store.ErrUnavailable) {
			return // later
		}
		end := ".done"
		if err != nil {
			c.Log.Error("surplus", "file", name, "error", err)
			end = ".refused"
		}
		if err := os.Rename(name, name+end); err != nil {
			c.Log.Error("surplus", "file", name, "error", err)
		}
	}
}

// handed is what the audit says of a surplus.
type handed struct {
	From    string         `json:"from"`
	Lineage string         `json:"lineage"`
	First   uint64         `json:"first"`
	Last    uint64         `json:"last"`
	Denials int            `json:"denials"`
	Lost    []lineage.Loss `json:"lost,omitempty"`
	More    int            `json:"more,omitempty"`    // that are not listed
	Missing uint64         `json:"missing,omitempty"` // records of ancestors that nobody has kept
}

// maxListed bounds how many lost changes one audit record lists.
const maxListed = 1000

// handUp takes what somebody of another lineage had after the common prefix:
// what it took away is denied, the rest is listed in the audit. It can be handed
// up again, and by others. Whichever node is asked takes over for it: a Region node
// waits for it, a file may be here alone.
func (c *Control) handUp(ctx context.Context, from, of string, d record.Descent, batches []*record.Batch) (uint64, error) {
	v := c.writer.View()
	for _, s := range d {
		if err := s.Verify(v); err != nil {
			return 0, err
		}
	}
	own, err := record.DescentOf(v)
	if err != nil {
		return 0, err
	}
	list, fork, err := lineage.Open(batches, own.With(d), of, v.Head.Lineage)
	if err != nil {
		return 0, err
	}
	s, err := lineage.Derive(v, fork, list)
	if err != nil {
		return 0, err
	}
	word := handed{From: from, Lineage: of, Denials: len(s.Denials), Lost: s.Lost}
	for _, x := range list {
		if x.Missing > 0 {
			word.Missing += x.Missing
			c.Log.Error("of a surplus nobody has kept the beginning: what was taken away there is granted again", "lineage", x.Lineage, "first", x.From+1, "last", x.From+x.Missing)
		}
		if n := len(x.Records); n > 0 {
			if word.First == 0 {
				word.First = x.Records[0].Index
			}
			word.Last = x.Records[n-1].Index
		}
	}
	if n := len(word.Lost); n > maxListed {
		word.Lost, word.More = word.Lost[:maxListed], n-maxListed
	}
	c.Log.Warn("surplus handed up: what it took away is denied, the rest is listed in the audit", "from", from, "lineage", of, "first", word.First, "last", word.Last,
		"denials", len(s.Denials), "lost", len(s.Lost))
	groups := s.Groups(denialsGroup)
	if len(groups) == 0 && len(s.Lost) == 0 && word.Missing == 0 {
		return list[0].From, nil
	}
	return c.commitSurplus(ctx, &word, groups)
}

func (c *Control) commitSurplus(ctx context.Context, word *handed, groups []func(record.Tx) error) (uint64, error) {
	if len(groups) == 0 {
		groups = append(groups, func(record.Tx) error { return nil }) // it is in the audit all the same
	}
	last := uint64(0)
	for i, do := range groups {
		request, err := json.Marshal(word)
		if err != nil {
			return 0, err
		}
		o := c.writer.Do(ctx, store.Call{Reduces: true, Insist: true, Apply: func(tx record.Tx, _ time.Time, _ uint64) ([]byte, error) {
			if err := do(tx); err != nil {
				return nil, err
			}
			private := record.Private{Caller: c.keys.ID, Operation: "surplus"}
			if i == 0 {
				private.Request = request
			}
			return record.Marshal(private)
		}})
		if o.Err != nil {
			return 0, o.Err
		}
		last = o.Index
	}
	return last, nil
}

// shown has a Region node go over to what its directory shows it.
func (r *Region) shown(ctx context.Context) error {
	for ctx.Err() == nil {
		list, err := lineage.ReadSuccessors(r.Config.Dir)
		if err != nil {
			r.Log.Error("successors", "error", err)
		}
		if len(list) > 0 && r.replica.View() != nil {
			r.replica.Show(list) // again and again: the disk may have failed
		}
		sleep(ctx, lineagePause)
	}
	return nil
}

// pinnedBy says whether a control-plane node of a successor shows its key. Once
// there is one, nobody of its parent's is followed (protocol rule 17).
func pinnedBy(s *record.Successor, name string, key []byte) bool {
	for _, p := range s.New {
		if p.Node == name && string(p.TLS) == string(key) {
			return true
		}
	}
	return false
}

// continues says why this node's log does not continue what a follower of its
// lineage holds. A store that was put back, or copied, has other commits from
// there on under the same indexes: nobody follows it without the root's word.
func (c *Control) continues(ctx context.Context, hello *peerpb.Hello) error {
	kept, err := c.writer.ReadLog(ctx, hello.Index, 1)
	if err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	if len(kept) == 0 || kept[0].Head.Index-uint64(len(kept[0].Records)) >= hello.Index {
		return nil // trimmed: it is not known any more
	}
	if h := kept[0].Head; h.Index != hello.Index || !bytes.Equal(h.Chain[:], hello.Chain) {
		c.Log.Error("a follower has another history: this store is an old one, or a copy", "index", hello.Index)
		return status.Error(codes.FailedPrecondition, "this node's log is not that of what its follower holds: its store is an old one, or a copy")
	}
	return nil
}
