// Package backup writes the whole configuration to a file that its recipients
// alone can read, and reads it back.
//
// Invariant: what Read returns is, to the last byte, a state that a head of this
// root's deployment was signed over, and log records that lead up to that head;
// a file that is cut, changed, damaged or of another deployment is an error.
//
// The file is an age file (age-encryption.org/v1). Inside are a line that names
// the format and frames, each a kind, a length and bytes: the header; the
// state's records; the commits of the log as far as it is kept; and the end, a
// SHA-256 over all before it. Secrets stand in it as they do in the store,
// sealed under keys that the KEK opens, and the KEK is not in it: a backup
// without the KEK opens nothing, and neither does the KEK without a backup.
package backup

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"filippo.io/age"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

const (
	magic    = "holdfast backup 1\n"
	maxFrame = 32 << 20
	maxKey   = 1 << 12
)

// Kinds of frames. Numbers are never reused.
const (
	frameHeader = 1
	frameRecord = 2 // two bytes of the key's length, key, value
	frameCommit = 3 // a record.LogValue
	frameEnd    = 4 // SHA-256 over all before this frame
)

// Header says what a backup is of.
type Header struct {
	Made    record.Time `json:"made"`
	Head    record.Head `json:"head"`
	Seed    []byte      `json:"seed"` // keys the hash of the state's tries
	Records uint64      `json:"records"`
}

// Summary tells what a backup holds.
type Summary struct {
	Cluster  string      `json:"cluster"`
	Revision string      `json:"revision"`
	Made     record.Time `json:"made"`
	Commit   record.Time `json:"commit"` // time of the newest commit in it
	Records  uint64      `json:"records"`
	Bytes    uint64      `json:"bytes"`    // before encryption
	LogFirst uint64      `json:"logFirst"` // the log's oldest record in it; 0: none
	LogLast  uint64      `json:"logLast"`
}

// Log reads commits whose last index is at least from, some of them, in order;
// none when there are no more.
type Log func(ctx context.Context, from uint64) ([]*record.LogValue, error)

// Progress is told after every record or commit what was written so far.
type Progress func(s *Summary)

// Recipients reads age recipients, as they are printed for keys that were made
// elsewhere.
func Recipients(names []string) ([]age.Recipient, error) {
	var list []age.Recipient
	for _, name := range names {
		var r age.Recipient
		r, err := age.ParseX25519Recipient(name)
		if err != nil {
			r, err = age.ParseHybridRecipient(name)
		}
		if err != nil {
			return nil, fmt.Errorf("recipient %.80q is no age recipient (age1…)", name)
		}
		list = append(list, r)
	}
	if len(list) == 0 || len(list) > 16 {
		return nil, errors.New("a backup has one to sixteen recipients: without one nobody could read it")
	}
	return list, nil
}

// writer writes frames and sums them up.
type writer struct {
	w       *bufio.Writer
	sum     hash.Hash
	summary Summary
	tell    Progress
}

// Write writes a backup of a view and of the log up to its head. It holds
// nothing but the view, which never changes, so the deployment goes on.
func Write(ctx context.Context, to io.Writer, v *view.View, log Log, made record.Time, recipients []age.Recipient, tell Progress) (*Summary, error) {
	sealed, err := age.Encrypt(to, recipients...)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	sum := sha256.New()
	w := &writer{w: bufio.NewWriterSize(sealed, 64<<10), sum: sum, tell: tell}
	if err := w.all(ctx, v, log, made); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	if err := errors.Join(w.w.Flush(), sealed.Close()); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return &w.summary, nil
}

func (w *writer) all(ctx context.Context, v *view.View, log Log, made record.Time) error {
	g, err := record.Get(v, record.Geneses, record.None, "genesis")
	if err != nil {
		return err
	}
	w.summary = Summary{Cluster: g.Cluster, Revision: record.Revision(v.Head.Lineage, v.Head.Index), Made: made, Commit: record.At(v.Head.At())}
	if err := w.bytes([]byte(magic)); err != nil {
		return err
	}
	header, err := record.Marshal(Header{Made: made, Head: v.Head, Seed: g.HashSeed, Records: uint64(v.Len())})
	if err != nil {
		return err
	}
	if err := w.frame(frameHeader, header); err != nil {
		return err
	}
	if err := w.records(ctx, v); err != nil {
		return err
	}
	if err := w.log(ctx, log, v.Head.Index); err != nil {
		return err
	}
	return w.frame(frameEnd, w.sum.Sum(nil))
}

func (w *writer) records(ctx context.Context, v *view.View) error {
	var failed error
	v.All(func(e *record.Entry) bool {
		value, err := e.Stored()
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			b := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(e.Key)+len(value)), uint16(len(e.Key)))
			err = w.frame(frameRecord, append(append(b, e.Key...), value...))
		}
		w.summary.Records++
		w.told()
		failed = err
		return err == nil
	})
	return failed
}

// log writes the kept commits up to the head.
func (w *writer) log(ctx context.Context, log Log, head uint64) error {
	for next := uint64(0); next <= head; {
		values, err := log(ctx, next)
		if err != nil {
			return err
		}
		for _, l := range values {
			first := l.Head.Index - uint64(len(l.Records)) + 1
			switch {
			case l.Head.Index > head:
				return nil
			case next > 0 && first != next:
				return errors.New("the log was trimmed while it was read: begin again")
			}
			b, err := l.Append(nil)
			if err != nil {
				return err
			}
			if err := w.frame(frameCommit, b); err != nil {
				return err
			}
			if w.summary.LogFirst == 0 {
				w.summary.LogFirst = first
			}
			w.summary.LogLast, next = l.Head.Index, l.Head.Index+1
			w.told()
		}
		if len(values) == 0 {
			break
		}
	}
	if w.summary.LogLast != head {
		return fmt.Errorf("the log that was read ends at index %d, the state at %d", w.summary.LogLast, head)
	}
	return nil
}

func (w *writer) told() {
	if w.tell != nil {
		w.tell(&w.summary)
	}
}

func (w *writer) frame(kind byte, b []byte) error {
	if len(b) > maxFrame {
		return fmt.Errorf("a frame of %d bytes", len(b))
	}
	return errors.Join(w.bytes(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(b)))), w.bytes(b))
}

func (w *writer) bytes(b []byte) error {
	w.sum.Write(b)
	w.summary.Bytes += uint64(len(b))
	_, err := w.w.Write(b)
	return err
}
