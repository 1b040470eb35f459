package replica

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/holdfast-iam/holdfast/internal/peer/peerpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

var (
	flips    = flag.Int("flips", 1800, "bits to flip in disk copy and feed")
	flipSeed = flag.Uint64("flip-seed", 1, "of the first campaign's places")
)

// flipped is what became of damaged bytes.
type flipped struct{ refused, unchanged, same, wrong int }

// world is a disk copy and the frames that follow it, as a node gets them.
type flippedWorld struct {
	dir      string
	old      *view.View // what the disk copy holds
	next     *view.View // what the batch behind it makes of it
	seed     []byte
	snapshot []byte
	packed   []byte
	batch    []byte // on the disk, and of the feed
	frames   [][]byte
	beat     []byte
}

func newFlippedWorld(t *testing.T) *flippedWorld {
	s := newSource(t)
	for n := range 40 {
		s.user(n)
	}
	w := &flippedWorld{dir: t.TempDir(), old: s.v, seed: []byte("0123456789abcdef")}
	if err := writeSnapshot(w.dir, s.v, w.seed); err != nil {
		t.Fatal(err)
	}
	if err := writePacked(w.dir, s.v, w.seed); err != nil {
		t.Fatal(err)
	}
	w.snapshot, w.packed = read(t, w.dir, snapshotFile), read(t, w.dir, packedFile)
	for _, e := range snapshot(t, s.v) {
		b, err := proto.Marshal(e.(Received).Down)
		if err != nil {
			t.Fatal(err)
		}
		w.frames = append(w.frames, b)
	}
	w.batch = batch(t, s.user(99)).Down.GetBatch()
	w.next = s.v
	beat, err := record.Marshal(record.NewBeat(&w.old.Head, "control", time.Now(), head))
	if err != nil {
		t.Fatal(err)
	}
	w.beat = beat
	return w
}

func read(t *testing.T, dir, name string) []byte {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// judge says what a view is that came of damaged bytes.
func (w *flippedWorld) judge(f *flipped, got *view.View, err error) {
	switch {
	case err != nil || got == nil:
		f.refused++
	case got.Digest() == w.next.Digest() && got.Head.Index == w.next.Head.Index:
		f.same++
	case got.Digest() == w.old.Digest() && got.Head.Index == w.old.Head.Index:
		f.unchanged++
	default:
		f.wrong++
	}
}

// follow gives frames to a follower that serves a view, or none yet.
func (w *flippedWorld) follow(from *view.View, downs ...*peerpb.Down) (*view.View, error) {
	f := NewFollower(rootHash())
	now := time.Now()
	if from != nil {
		f.Step(Loaded{View: from, Seed: w.seed}, now)
	}
	f.Step(Timer{}, now)
	f.Step(Connected{}, now)
	var failed error
	for _, d := range downs {
		for _, e := range f.Step(Received{d}, now) {
			if h, ok := e.(HangUp); ok {
				failed = h.Err
			}
		}
		if f.Busy() {
			f.Step(Written{}, now)
		}
	}
	return f.View(), failed
}

// flip flips one bit, or some near each other.
func flip(b []byte, r *rand.Rand) []byte {
	b = slices.Clone(b)
	at := r.IntN(len(b) * 8)
	for n := 1 + r.IntN(2)*r.IntN(8); n > 0; n-- {
		b[at/8] ^= 1 << (at % 8)
		at = (at + 1 + r.IntN(40)) % (len(b) * 8)
	}
	return b
}

// TestNoFlippedBitOfDiskCopyOrFeedIsServed flips bits at random: what comes of
// it is refused, or changes nothing, or is the right state all the same.
func TestNoFlippedBitOfDiskCopyOrFeedIsServed(t *testing.T) {
	w := newFlippedWorld(t)
	for place, try := range map[string]func(*flipped, *rand.Rand){
		"snapshot file": func(f *flipped, r *rand.Rand) {
			v, _, err := parseSnapshot(flip(w.snapshot, r))
			if err == nil {
				v, err = Recover(v, [][]byte{w.batch}, rootHash())
			}
			w.judge(f, v, err)
		},
		"packed copy": func(f *flipped, r *rand.Rand) {
			if err := os.WriteFile(filepath.Join(w.dir, packedFile), flip(w.packed, r), 0o600); err != nil {
				t.Fatal(err)
			}
			v, _, err := readPacked(w.dir, &w.old.Head)
			if err == nil {
				if err = verifyEntries(v); err == nil {
					v, err = Recover(v, [][]byte{w.batch}, rootHash())
				}
			}
			w.judge(f, v, err)
		},
		"batch on the disk": func(f *flipped, r *rand.Rand) {
			v, err := Recover(w.old, [][]byte{flip(w.batch, r)}, rootHash())
			w.judge(f, v, err)
		},
		"batch of the feed": func(f *flipped, r *rand.Rand) {
			v, err := w.follow(w.old, &peerpb.Down{Frame: &peerpb.Down_Batch{Batch: flip(w.batch, r)}})
			w.judge(f, v, err)
		},
		"heartbeat": func(f *flipped, r *rand.Rand) {
			v, err := w.follow(w.old, &peerpb.Down{Frame: &peerpb.Down_Heartbeat{Heartbeat: flip(w.beat, r)}})
			w.judge(f, v, err)
		},
		"snapshot of the feed": func(f *flipped, r *rand.Rand) {
			var downs []*peerpb.Down
			bad := r.IntN(len(w.frames))
			for i, b := range w.frames {
				if i == bad {
					b = flip(b, r)
				}
				d := new(peerpb.Down)
				if proto.Unmarshal(b, d) != nil {
					f.refused++
					return
				}
				downs = append(downs, d)
			}
			v, err := w.follow(nil, downs...)
			w.judge(f, v, err)
		},
	} {
		t.Run(place, func(t *testing.T) {
			var f flipped
			r := rand.New(rand.NewPCG(*flipSeed, uint64(len(place))))
			for range *flips / 6 {
				try(&f, r)
			}
			if f.wrong > 0 {
				t.Errorf("of %d damaged ones %d were served as something else", *flips/6, f.wrong)
			}
			t.Log(place, fmt.Sprintf("%d damaged: %d refused, %d changed nothing, %d the right state all the same, %d served as something else",
				*flips/6, f.refused, f.unchanged, f.same, f.wrong))
		})
	}
}
