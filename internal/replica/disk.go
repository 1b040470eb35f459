package replica

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// The disk copy: one snapshot, and a log of the batches since. The snapshot is
// magic, head, seed, records, each behind its length, and the SHA-256 of all
// before it; the log is batches behind their lengths.
const (
	magic        = "holdfast replica 1\n"
	snapshotFile = "snapshot"
	logFile      = "batches"
	oldLogFile   = "batches.old"
	maxPiece     = 32 << 20
	prefix       = 4 // bytes of a piece's length
	// rewriteAt is the size of the log at which a new snapshot is written.
	rewriteAt = 64 << 20
)

var errDamaged = errors.New("replica: the disk copy is damaged")

// writeSnapshot writes a view so that the old file or the new one is there
// whole after a crash.
func writeSnapshot(dir string, v *view.View, seed []byte) error {
	tmp := filepath.Join(dir, snapshotFile+".new")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(f, sum), 1<<20)
	if err := writeView(w, v, seed); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	failpoint.Crash(failpoint.InSnapshot)
	if _, err := f.Write(sum.Sum(nil)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	failpoint.Crash(failpoint.BeforeRename)
	if err := os.Rename(tmp, filepath.Join(dir, snapshotFile)); err != nil {
		return err
	}
	return syncDir(dir)
}

func writeView(w *bufio.Writer, v *view.View, seed []byte) error {
	head, err := record.Marshal(&v.Head)
	if err != nil {
		return err
	}
	if _, err := w.WriteString(magic); err != nil {
		return err
	}
	var failed error
	piece := func(b []byte) {
		var n [prefix]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(b)))
		if _, err := w.Write(n[:]); err != nil {
			failed = err
		}
		if _, err := w.Write(b); err != nil {
			failed = err
		}
	}
	piece(head)
	piece(seed)
	v.All(func(e *record.Entry) bool {
		value, err := e.Stored()
		if err != nil {
			failed = err
			return false
		}
		piece([]byte(e.Key))
		piece(value)
		return failed == nil
	})
	return failed
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}

// cutPiece takes one length-prefixed piece.
func cutPiece(b []byte) (piece, rest []byte, ok bool) {
	if len(b) < prefix {
		return nil, nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if n > maxPiece || uint64(len(b)-prefix) < uint64(n) {
		return nil, nil, false
	}
	return b[prefix : prefix+n], b[prefix+n:], true
}

// readHead reads the head that a snapshot file begins with.
func readHead(dir string) (*record.Head, error) {
	f, err := os.Open(filepath.Join(dir, snapshotFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, len(magic)+64<<10)
	n, err := io.ReadFull(f, b)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) || n < len(magic) || string(b[:len(magic)]) != magic {
		return nil, errDamaged
	}
	text, _, ok := cutPiece(b[len(magic):n])
	head := new(record.Head)
	if !ok || json.Unmarshal(text, head) != nil {
		return nil, errDamaged
	}
	return head, nil
}

// readSnapshot reads and checks a snapshot file.
func readSnapshot(dir string) (*view.View, []byte, error) {
	b, err := os.ReadFile(filepath.Join(dir, snapshotFile))
	if err != nil {
		return nil, nil, err
	}
	return parseSnapshot(b)
}

func parseSnapshot(b []byte) (*view.View, []byte, error) {
	if len(b) < len(magic)+sha256.Size || string(b[:len(magic)]) != magic {
		return nil, nil, errDamaged
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) && !failpoint.On(failpoint.TrustsDisk) {
		return nil, nil, errDamaged
	}
	headText, rest, ok := cutPiece(body[len(magic):])
	if !ok {
		return nil, nil, errDamaged
	}
	seed, rest, ok := cutPiece(rest)
	if !ok {
		return nil, nil, errDamaged
	}
	v := new(view.View)
	if err := json.Unmarshal(headText, &v.Head); err != nil {
		return nil, nil, errDamaged
	}
	good := true
	v.State = view.Build(seed, func(yield func(*record.Entry) bool) {
		for len(rest) > 0 {
			var key, value []byte
			if key, rest, good = cutPiece(rest); !good {
				return
			}
			if value, rest, good = cutPiece(rest); !good {
				return
			}
			if !yield(record.NewEntry(record.Key(key), value)) {
				return
			}
		}
	}, runtime.NumCPU())
	if !good {
		return nil, nil, errDamaged
	}
	return v, seed, nil
}

// batchLog is the open log of batches.
type batchLog struct {
	f    *os.File
	size int64
}

// openLog reads the whole batches of the log and opens it for more. A torn
// tail was never served: it is cut off.
func openLog(dir string) (*batchLog, [][]byte, error) {
	path := filepath.Join(dir, logFile)
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	var list [][]byte
	rest, whole := b, int64(0)
	for {
		piece, next, ok := cutPiece(rest)
		if !ok {
			break
		}
		list, rest = append(list, piece), next
		whole = int64(len(b) - len(rest))
	}
	if len(rest) > 0 && failpoint.On(failpoint.NeedsWholeLog) {
		return nil, nil, errDamaged
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := f.Truncate(whole); err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	if _, err := f.Seek(whole, io.SeekStart); err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return &batchLog{f, whole}, list, nil
}

// append makes a batch durable.
func (l *batchLog) append(batch []byte) error {
	if failpoint.On(failpoint.NotDurable) {
		return nil
	}
	b := make([]byte, prefix+len(batch))
	binary.BigEndian.PutUint32(b, uint32(len(batch)))
	copy(b[prefix:], batch)
	if failpoint.At(failpoint.InBatch) {
		_, _ = l.f.Write(b[:len(b)/2])
		failpoint.Crash(failpoint.InBatch)
	}
	if _, err := l.f.Write(b); err != nil {
		return fmt.Errorf("replica: append to the batch log: %w", err)
	}
	if failpoint.On(failpoint.NotSynced) {
		l.size += int64(len(b))
		return nil
	}
	if err := l.f.Sync(); err != nil {
		return fmt.Errorf("replica: sync the batch log: %w", err)
	}
	l.size += int64(len(b))
	return nil
}

// reset begins a new log: the snapshot has it all. The old one is kept once
// more, since what a node applied after a fork is told from its log (protocol
// rule 23).
func (l *batchLog) reset(dir string) error {
	path := filepath.Join(dir, logFile)
	if l.size > 0 {
		if err := os.Rename(path, filepath.Join(dir, oldLogFile)); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = l.f.Close()
	l.f, l.size = f, 0
	return errors.Join(err, f.Sync(), syncDir(dir))
}
