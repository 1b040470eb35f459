package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"

	"filippo.io/age"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Backup is what a file holds, verified.
type Backup struct {
	Summary Summary
	View    *view.View
	Seed    []byte
}

// Commit is told each commit of a backup's log, verified, in order.
type Commit func(l *record.LogValue) error

var errCut = errors.New("backup: the file ends before its end, or is damaged")

// reader reads frames and sums them up.
type reader struct {
	r     *bufio.Reader
	sum   hash.Hash
	bytes uint64
}

// Read reads a backup and verifies it: the root's genesis, the state's digest
// under its signed head, the chain of the log up to that head. root is the hex
// SHA-256 of the root's public key.
func Read(from io.Reader, identities []age.Identity, root string, commit Commit) (*Backup, error) {
	plain, err := age.Decrypt(from, identities...)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	r := &reader{r: bufio.NewReaderSize(plain, 64<<10), sum: sha256.New()}
	line := make([]byte, len(magic))
	if err := r.full(line); err != nil {
		return nil, err
	}
	if string(line) != magic {
		return nil, errors.New("backup: this is no backup of a format that this build reads")
	}
	h, err := r.header()
	if err != nil {
		return nil, err
	}
	b := &Backup{Seed: h.Seed, Summary: Summary{Cluster: h.Head.Cluster, Revision: record.Revision(h.Head.Lineage, h.Head.Index), Made: h.Made,
		Commit: record.At(h.Head.At()), Records: h.Records}}
	state, kind, body, err := r.state(h)
	if err != nil {
		return nil, err
	}
	b.View = &view.View{State: state, Head: h.Head}
	if err := record.VerifyState(b.View, &h.Head, state.Digest(), root); err != nil {
		return nil, err
	}
	if err := r.log(b, kind, body, commit); err != nil {
		return nil, err
	}
	b.Summary.Bytes = r.bytes
	return b, nil
}

func (r *reader) full(b []byte) error {
	if _, err := io.ReadFull(r.r, b); err != nil {
		return errors.Join(errCut, err)
	}
	r.sum.Write(b)
	r.bytes += uint64(len(b))
	return nil
}

// frame reads one frame; the end's own sum is checked here.
func (r *reader) frame() (kind byte, body []byte, err error) {
	want := r.sum.Sum(nil)
	var h [5]byte
	if err := r.full(h[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(h[1:])
	if n > maxFrame {
		return 0, nil, errCut
	}
	body = make([]byte, n)
	if err := r.full(body); err != nil {
		return 0, nil, err
	}
	if h[0] == frameEnd {
		if !bytes.Equal(body, want) {
			return 0, nil, errCut
		}
		if _, err := r.r.ReadByte(); err != io.EOF {
			return 0, nil, errors.New("backup: something follows the end")
		}
	}
	return h[0], body, nil
}

func (r *reader) header() (*Header, error) {
	kind, body, err := r.frame()
	if err != nil {
		return nil, err
	}
	h := new(Header)
	if kind != frameHeader || json.Unmarshal(body, h) != nil {
		return nil, errCut
	}
	if h.Head.Format > record.Format {
		return nil, fmt.Errorf("backup: it has format %d, this build reads %d", h.Head.Format, record.Format)
	}
	return h, nil
}

// state reads the records, and the frame behind the last.
func (r *reader) state(h *Header) (state *view.State, kind byte, body []byte, err error) {
	var entries []*record.Entry
	for {
		if kind, body, err = r.frame(); err != nil {
			return nil, 0, nil, err
		}
		if kind != frameRecord {
			break
		}
		if len(body) < 2 {
			return nil, 0, nil, errCut
		}
		n := int(binary.BigEndian.Uint16(body))
		if n > maxKey || len(body) < 2+n || uint64(len(entries)) >= h.Records {
			return nil, 0, nil, errCut
		}
		entries = append(entries, record.NewEntry(record.Key(body[2:2+n]), body[2+n:]))
	}
	if uint64(len(entries)) != h.Records {
		return nil, 0, nil, errCut
	}
	return view.Build(h.Seed, func(yield func(*record.Entry) bool) {
		for _, e := range entries {
			if !yield(e) {
				return
			}
		}
	}, runtime.NumCPU()), kind, body, nil
}

// log verifies the commits one behind the other. The first one's own link
// cannot be: what it continues is not there.
func (r *reader) log(b *Backup, kind byte, body []byte, commit Commit) error {
	var last *record.Head
	for kind == frameCommit {
		l := new(record.LogValue)
		if err := json.Unmarshal(body, l); err != nil || len(l.Records) == 0 {
			return errCut
		}
		if err := follows(last, l); err != nil {
			return err
		}
		if last == nil {
			b.Summary.LogFirst = l.Head.Index - uint64(len(l.Records)) + 1
		}
		last, b.Summary.LogLast = &l.Head, l.Head.Index
		if commit != nil {
			if err := commit(l); err != nil {
				return err
			}
		}
		var err error
		if kind, body, err = r.frame(); err != nil {
			return err
		}
	}
	switch head := &b.View.Head; {
	case kind != frameEnd:
		return errors.New("backup: a frame of an unknown kind")
	case last == nil || last.Index != head.Index || last.Chain != head.Chain || last.Lineage != head.Lineage:
		return errors.New("backup: its log does not end in its state's head")
	}
	return nil
}

func follows(last *record.Head, l *record.LogValue) error {
	if last == nil {
		return nil
	}
	if _, err := l.Batch().Open(last.Index, last.Chain); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}
