package replica

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// successorsFile holds the successors that a node has been shown, as JSON: on
// its disk before it follows one.
const successorsFile = "successors"

// maxSuccessorsFile bounds that file, in bytes.
const maxSuccessorsFile = 16 << 20

// readSuccessors reads what keep wrote; none is no error.
func readSuccessors(dir string) ([][]byte, error) {
	b, err := os.ReadFile(filepath.Join(dir, successorsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil || len(b) > maxSuccessorsFile {
		return nil, fmt.Errorf("%s cannot be read: what this node was shown of its control plane's successors is not known", filepath.Join(dir, successorsFile))
	}
	out := make([][]byte, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out, nil
}

// keep makes successors durable.
func (r *Replica) keep(records [][]byte) error {
	list := make([]json.RawMessage, len(records))
	for i, b := range records {
		list[i] = b
	}
	b, err := record.Marshal(list)
	if err != nil {
		return err
	}
	return r.replace(successorsFile, b)
}

// replace writes a file of the disk copy so that the old one or the new one is
// there whole.
func (r *Replica) replace(name string, b []byte) error {
	tmp := filepath.Join(r.Dir, name+".new")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(r.Dir, name)); err != nil {
		return err
	}
	return syncDir(r.Dir)
}

// floorFile holds the time floor, as JSON.
const floorFile = "floor"

// keepFloor makes the floor durable; without it a restart with a wrong clock
// goes by an older one.
func (r *Replica) keepFloor(at time.Time) error {
	b, err := json.Marshal(at)
	if err != nil {
		return err
	}
	return r.replace(floorFile, b)
}

// keptFloor is the floor that the disk has. One that cannot be read is none: what
// raises it next is this node's own clock's word.
func (r *Replica) keptFloor() (at time.Time) {
	b, err := os.ReadFile(filepath.Join(r.Dir, floorFile))
	if err == nil {
		err = json.Unmarshal(b, &at)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.Log.Error("the time floor cannot be read", "error", err)
		return time.Time{}
	}
	return at
}

// Show tells the replica of successors that came otherwise than on its stream.
// The newest word counts.
func (r *Replica) Show(records [][]byte) {
	select {
	case <-r.words:
	default:
	}
	r.words <- Shown{records}
}

// Heir is the successor that this node was shown and does not follow yet.
func (r *Replica) Heir() *record.Successor { return r.heir.Load() }

// KeptLog reads the batches of a disk copy that lead from just after an index to
// its end; an error when they are not all kept.
func KeptLog(dir string, from uint64, end *record.Head) ([][]byte, error) {
	list, err := keptPieces(dir)
	if err != nil {
		return nil, err
	}
	return Suffix(list, from, end)
}

// keptPieces are the batches on the disk, oldest first.
func keptPieces(dir string) ([][]byte, error) {
	var list [][]byte
	for _, name := range []string{oldLogFile, logFile} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for {
			piece, rest, ok := cutPiece(b)
			if !ok {
				break
			}
			list, b = append(list, piece), rest
		}
	}
	return list, nil
}

// Suffix is what of the batches leads from just after an index to a head. Others
// between them are of before a snapshot.
func Suffix(list [][]byte, from uint64, end *record.Head) (out [][]byte, err error) {
	want := end.Index
	for i := len(list) - 1; i >= 0 && want > from; i-- {
		var b record.Batch
		if err := json.Unmarshal(list[i], &b); err != nil {
			return nil, fmt.Errorf("replica: the kept log: %w", err)
		}
		if b.Head.Lineage == end.Lineage && b.Head.Index == want {
			out, want = append(out, list[i]), want-uint64(len(b.Records))
		}
	}
	if want > from {
		return nil, fmt.Errorf("replica: what was applied after index %d cannot be handed up, since the log is kept from %d on", from, want+1)
	}
	slices.Reverse(out)
	return out, nil
}

// offer hands up this node's surplus on the stream. What is not kept any more
// nobody can hand up for it: the node goes on serving its state and says so.
func (d *driver) offer(from uint64) {
	v := d.View()
	list, err := KeptLog(d.Dir, from, &v.Head)
	if err != nil {
		d.alarm.Store(new(err.Error()))
		d.drop(err)
		return
	}
	d.Log.Warn("handing up what the successor does not have", "from", from+1, "to", v.Head.Index)
	for _, b := range list {
		d.send(&peerpb.Up{Surplus: &peerpb.Surplus{Batch: b}})
	}
	d.send(&peerpb.Up{Surplus: &peerpb.Surplus{Last: true}})
}

// ReadCopy reads and verifies a disk copy that another process may be writing:
// what is torn is not there yet.
func ReadCopy(dir, root string) (*view.View, []byte, error) {
	var v *view.View
	var seed []byte
	err := errDamaged
	for try := 0; try < 5 && err != nil; try++ { // the snapshot may have been replaced between the two files
		if v, seed, err = readSnapshot(dir); err != nil {
			continue
		}
		var b []byte
		if b, err = os.ReadFile(filepath.Join(dir, logFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var batches [][]byte
		for {
			piece, rest, ok := cutPiece(b)
			if !ok {
				break
			}
			batches, b = append(batches, piece), rest
		}
		v, err = Recover(v, batches, root)
	}
	return v, seed, err
}

// WriteCopy writes a view as a disk copy.
func WriteCopy(dir string, v *view.View, seed []byte) error { return writeSnapshot(dir, v, seed) }

// ReadSuccessors reads the successors that a node's disk copy says it was shown,
// verified by its state.
func ReadSuccessors(dir string, r record.Reader) (record.Descent, error) {
	list, err := readSuccessors(dir)
	if err != nil {
		return nil, err
	}
	return Descend(r, list)
}

// KeptBatches is what a disk copy has kept of the log, oldest first: what a
// snapshot of the feed's has brought is missing in between.
func KeptBatches(dir string) []*record.Batch {
	list, err := keptPieces(dir)
	if err != nil {
		return nil
	}
	return Batches(list)
}

// Batches reads kept batches. One that cannot be read is not kept.
func Batches(list [][]byte) (out []*record.Batch) {
	for _, piece := range list {
		if b := new(record.Batch); json.Unmarshal(piece, b) == nil {
			out = append(out, b)
		}
	}
	return out
}
