package lineage

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// Files in a node's directory that are about lineages. Who can write there is
// not believed for it: what they hold is signed by the root, or by nodes that
// the root has pinned.
const (
	// SuccessorsFile shows a node successors of its control plane: a JSON list.
	SuccessorsFile = "successors.json"
	// SuccessionDir is what a successor's control plane begins with: the fork's
	// state as a disk copy, and what follows.
	SuccessionDir = "succession"
	ChangesFile   = "changes.json" // in it: the first commit
	CallsFile     = "calls.json"   // beside it: call ids of before the fork
	PastFile      = "past.surplus" // and the history before it, as far as replicas had kept it
	// SurplusDir holds surplus that is to be handed up; RetiredFile is what a
	// control plane that was shown its successor leaves: its surplus.
	SurplusDir  = "surplus"
	RetiredFile = "retired.surplus"
)

// maxSuccessors bounds SuccessorsFile, in bytes.
const maxSuccessors = 16 << 20

// ReadSuccessors reads a SuccessorsFile; none is no error. Nothing is verified.
func ReadSuccessors(dir string) ([][]byte, error) {
	path := filepath.Join(dir, SuccessorsFile)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSuccessors+1))
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil || len(b) > maxSuccessors {
		return nil, fmt.Errorf("%s holds no successors", path)
	}
	out := make([][]byte, len(list))
	for i := range list {
		out[i] = list[i]
	}
	return out, nil
}

// Part is a line of a surplus file: the first says of which lineage it is and
// which successors its writer knew; each of the others is a batch.
type Part struct {
	Lineage    string              `json:"lineage,omitempty"`
	Successors []*record.Successor `json:"successors,omitempty"`
	Batch      *record.Batch       `json:"batch,omitempty"`
}

// WriteSurplus writes a surplus file, whole or not at all.
func WriteSurplus(path, lineage string, d record.Descent, batches []*record.Batch) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	line := func(p Part) {
		b, merr := record.Marshal(p)
		if err == nil {
			err = merr
		}
		if err == nil {
			_, err = w.Write(append(b, '\n'))
		}
	}
	line(Part{Lineage: lineage, Successors: d})
	for _, b := range batches {
		line(Part{Batch: b})
	}
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// ReadSurplus reads a surplus file. Nothing is verified.
func ReadSurplus(path string) (lineage string, d record.Descent, batches []*record.Batch, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", nil, nil, err
	}
	defer f.Close()
	in := json.NewDecoder(bufio.NewReader(f))
	for first := true; ; first = false {
		var p Part
		if err := in.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			return "", nil, nil, fmt.Errorf("%s holds no surplus: %w", path, err)
		}
		switch {
		case first:
			lineage, d = p.Lineage, p.Successors
		case p.Batch != nil:
			batches = append(batches, p.Batch)
		}
	}
	return lineage, d, batches, nil
}
