// Package audit writes the log to files: who changed what, with what answer, in
// the very bytes that the chain covers.
//
// Invariant: the files hold every record of the log from the first that they
// hold on, each once, in order, and Index is one that is on the disk for good.
// The log is trimmed by it, so what is not here is still there.
package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync/atomic"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// Line is one line of a file: one log record, with the link that the chain has
// after it. Public and Private are the exact bytes that the link is over.
type Line struct {
	Index   uint64          `json:"i"`
	Link    record.Hash     `json:"link"` // zero: not known
	Public  json.RawMessage `json:"public"`
	Private json.RawMessage `json:"private"`
	// Gap marks a line without a record: the log had been trimmed up to Index
	// before this file saw it.
	Gap bool `json:"gap,omitempty"`
}

// MaxFile is the size in bytes at which a new file is begun. Old ones are the
// operator's to keep or take away; the newest stays.
const MaxFile = 256 << 20

// Files is the sink: append-only files in one directory, each named by the
// first index that it holds. Append is for one goroutine; Index for any.
type Files struct {
	dir   string
	file  *os.File
	size  int64
	link  record.Hash
	index atomic.Uint64
	known bool // link is the chain's at index
}

const extension = ".jsonl"

// Open opens the sink in a directory (made when absent, 0700) and finds where
// it ends. A line that a crash cut short is cut off: its record is in the log.
func Open(dir string) (*Files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	names, err := list(dir)
	if err != nil {
		return nil, err
	}
	f := &Files{dir: dir}
	if len(names) == 0 {
		return f, nil
	}
	return f, f.resume(names[len(names)-1])
}

// list names the files, oldest first.
func list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), extension) && len(e.Name()) == 20+len(extension) {
			names = append(names, e.Name())
		}
	}
	sort.Strings(names)
	return names, nil
}

// resume finds the end of the newest file.
func (f *Files) resume(name string) error {
	path := filepath.Join(f.dir, name)
	file, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	last, size, err := lastLine(file)
	if err == nil {
		err = file.Truncate(size)
	}
	if err == nil {
		_, err = file.Seek(size, io.SeekStart)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("audit: %s: %w", path, err), file.Close())
	}
	f.file, f.size = file, size
	if last == nil {
		return nil // the first line was cut short: the log says what follows
	}
	f.link, f.known = last.Link, !last.Gap
	f.index.Store(last.Index)
	return nil
}

// lastLine reads the last complete line and the size up to its end.
func lastLine(r io.Reader) (*Line, int64, error) {
	var last *Line
	var size int64
	b := bufio.NewReaderSize(r, 1<<20)
	for {
		text, err := b.ReadBytes('\n')
		if err == io.EOF {
			return last, size, nil
		}
		if err != nil {
			return nil, 0, err
		}
		l := new(Line)
		if err := json.Unmarshal(text, l); err != nil {
			return last, size, fmt.Errorf("the line at byte %d cannot be read: %w", size, err)
		}
		last, size = l, size+int64(len(text))
	}
}

// Index returns the last index that is on the disk.
func (f *Files) Index() uint64 { return f.index.Load() }

// Append writes commits and syncs once. Those that it holds already are passed
// over; one that does not follow what it holds is an error, and so is a record
// that does not continue the chain.
func (f *Files) Append(values []*record.LogValue) error {
	var b bytes.Buffer
	index, link, known := f.Index(), f.link, f.known || f.Index() == 0
	first := uint64(0)
	for _, v := range values {
		start := v.Head.Index - uint64(len(v.Records)) + 1
		if v.Head.Index <= index {
			continue
		}
		if start > index+1 {
			return fmt.Errorf("audit: index %d follows %d", start, index)
		}
		if first == 0 {
			first = index + 1
		}
		lines, end := linesOf(v, v.Records[index+1-start:], index, link, known)
		if known && end != v.Head.Chain {
			return fmt.Errorf("audit: the records up to index %d do not continue the chain", v.Head.Index)
		}
		for _, l := range lines {
			text, err := record.Marshal(l)
			if err != nil {
				return err
			}
			b.Write(append(text, '\n'))
		}
		index, link, known = v.Head.Index, v.Head.Chain, true
	}
	if b.Len() == 0 {
		return nil
	}
	if err := f.write(b.Bytes(), first); err != nil {
		return err
	}
	f.link, f.known = link, known
	f.index.Store(index)
	return nil
}

// linesOf are the lines of what is left of one commit (a crash may have cut it
// in two), and the link at its end. Without knowing
// the link before it, only the last line can say its own: the others say none.
func linesOf(v *record.LogValue, rest []record.Logged, index uint64, link record.Hash, known bool) ([]Line, record.Hash) {
	lines := make([]Line, len(rest))
	for i, r := range rest {
		lines[i] = Line{Index: index + uint64(i) + 1, Public: r.Public, Private: r.Private}
		if link = record.Link(link, r.Public, hashOf(r.Private)); known {
			lines[i].Link = link
		}
	}
	if !known && len(lines) > 0 {
		lines[len(lines)-1].Link = v.Head.Chain
	}
	return lines, link
}

// Skip notes that the log begins after index: what was before it was trimmed
// before these files saw it.
func (f *Files) Skip(index uint64) error {
	line, err := record.Marshal(Line{Index: index, Gap: true})
	if err != nil {
		return err
	}
	if err := f.write(append(line, '\n'), index); err != nil {
		return err
	}
	f.known = false
	f.index.Store(index)
	return nil
}

// write appends bytes that are whole lines; the first of them has index first.
// After an error the file is cut back to what it held.
func (f *Files) write(b []byte, first uint64) error {
	if f.file == nil || f.size > 0 && f.size+int64(len(b)) > MaxFile {
		if err := f.begin(first); err != nil {
			return err
		}
	}
	_, err := f.file.Write(b)
	if err == nil {
		err = f.file.Sync()
	}
	if err != nil {
		_ = f.file.Truncate(f.size)
		_, _ = f.file.Seek(f.size, io.SeekStart)
		return fmt.Errorf("audit: %w", err)
	}
	f.size += int64(len(b))
	return nil
}

// begin starts a new file.
func (f *Files) begin(first uint64) error {
	if err := f.Close(); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(f.dir, fmt.Sprintf("%020d%s", first, extension)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	f.file, f.size = file, 0
	d, err := os.Open(f.dir)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// Close closes the present file.
func (f *Files) Close() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}

// Verify reads all files of a directory and says whether every line continues
// the chain: nobody took one out, added or changed one since. It returns the
// first and last index.
func Verify(dir string) (first, last uint64, err error) {
	names, err := list(dir)
	if err != nil {
		return 0, 0, err
	}
	var before *Line
	for _, name := range names {
		if before, err = verifyFile(filepath.Join(dir, name), before, &first); err != nil {
			return first, last, err
		}
	}
	if before != nil {
		last = before.Index
	}
	return first, last, nil
}

func verifyFile(path string, before *Line, first *uint64) (*Line, error) {
	file, err := os.Open(path)
	if err != nil {
		return before, err
	}
	defer file.Close()
	b := bufio.NewReaderSize(file, 1<<20)
	for {
		text, err := b.ReadBytes('\n')
		if err == io.EOF && len(text) == 0 {
			return before, nil
		}
		if err != nil {
			return before, fmt.Errorf("%s ends in half a line", path)
		}
		l := new(Line)
		if err := json.Unmarshal(text, l); err != nil {
			return before, fmt.Errorf("%s: after index %d a line cannot be read", path, indexOf(before))
		}
		if err := follows(before, l); err != nil {
			return before, fmt.Errorf("%s: %w", path, err)
		}
		if before == nil {
			*first = l.Index
		}
		before = l
	}
}

func indexOf(l *Line) uint64 {
	if l == nil {
		return 0
	}
	return l.Index
}

// follows says whether a line continues the one before it.
func follows(before, l *Line) error {
	switch {
	case before != nil && !l.Gap && l.Index != before.Index+1:
		return fmt.Errorf("index %d follows %d", l.Index, before.Index)
	case before == nil || before.Link == (record.Hash{}) || l.Link == (record.Hash{}):
		return nil // the chain is not known here: behind a gap
	case record.Link(before.Link, l.Public, hashOf(l.Private)) != l.Link:
		return fmt.Errorf("the record at index %d does not continue the chain: it, or one before it, was changed", l.Index)
	}
	return nil
}

func hashOf(private []byte) record.Hash { return sha256.Sum256(private) }
