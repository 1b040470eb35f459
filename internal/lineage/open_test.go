package lineage

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
)

var headKey = ed25519.NewKeyFromSeed([]byte(strings.Repeat("h", 32)))

// batchAfter is a commit of one record behind an index.
func batchAfter(lineage string, index uint64, chain record.Hash, by ed25519.PrivateKey) *record.Batch {
	public := (&record.Public{Index: index + 1, Changes: gone("user", fmt.Sprint(index+1))}).Append(nil)
	private := sha256.Sum256([]byte("private"))
	b := &record.Batch{Records: []record.Fed{{Public: public, Private: private}}, Head: record.Head{Cluster: "c", Lineage: lineage, Index: index + 1, Node: "n", Chain: record.Link(chain, public, private)}}
	b.Head.Sign(by)
	return b
}

// logFrom is a log of commits behind an index, up to another.
func logFrom(lineage string, index uint64, chain record.Hash, last uint64) (list []*record.Batch) {
	for ; index < last; index++ {
		b := batchAfter(lineage, index, chain, headKey)
		list, chain = append(list, b), b.Head.Chain
	}
	return list
}

// forkAt is a successor behind a head, whose nodes are known by headKey.
func forkAt(epoch int, parent string, index uint64, chain record.Hash, name string) *record.Successor {
	pins := []record.Pin{{Node: "n", Head: headKey.Public().(ed25519.PublicKey)}}
	return &record.Successor{Epoch: epoch, Parent: parent, Fork: int(index), Chain: chain[:], Time: 7000, Lineage: name, Old: pins, New: pins}
}

func TestASurplusIsBelievedOnlyUnderHeadsOfPinnedNodesBehindTheFork(t *testing.T) {
	good := logFrom("l", 7, record.Hash{1}, 9)
	d := record.Descent{forkAt(1, "l", 7, record.Hash{1}, "m")}
	if list, at, err := Open(good, d, "l", "m"); err != nil || len(list) != 1 || len(list[0].Records) != 2 || at != 7000 {
		t.Fatal(list, at, err)
	}
	if list, _, err := Open(good, record.Descent{forkAt(1, "l", 8, good[0].Head.Chain, "m")}, "l", "m"); err != nil || len(list[0].Records) != 1 {
		t.Errorf("of a surplus whose first commit the successor has: %v %v", list, err)
	}
	stranger := ed25519.NewKeyFromSeed([]byte(strings.Repeat("s", 32)))
	unpinned := forkAt(1, "l", 7, record.Hash{1}, "m")
	unpinned.Old = nil
	for what, try := range map[string]func() ([]Stretch, int64, error){
		"with a gap": func() ([]Stretch, int64, error) { return Open(good[1:], d, "l", "m") },
		"behind another fork": func() ([]Stretch, int64, error) {
			return Open(good, record.Descent{forkAt(1, "l", 7, record.Hash{2}, "m")}, "l", "m")
		},
		"of another lineage": func() ([]Stretch, int64, error) { return Open(logFrom("x", 7, record.Hash{1}, 9), d, "l", "m") },
		"of the successor":   func() ([]Stretch, int64, error) { return Open(good, d, "m", "m") },
		"of a stranger":      func() ([]Stretch, int64, error) { return Open(good, d, "x", "m") },
		"of nobody known":    func() ([]Stretch, int64, error) { return Open(good, record.Descent{unpinned}, "l", "m") },
		"signed by a stranger": func() ([]Stretch, int64, error) {
			return Open([]*record.Batch{batchAfter("l", 7, record.Hash{1}, stranger)}, d, "l", "m")
		},
	} {
		if _, _, err := try(); err == nil {
			t.Errorf("a surplus %s is believed", what)
		}
	}
	path := filepath.Join(t.TempDir(), "x.surplus")
	if err := WriteSurplus(path, "l", record.Descent{{Epoch: 1, Lineage: "m"}}, good); err != nil {
		t.Fatal(err)
	}
	of, known, list, err := ReadSurplus(path)
	if err != nil || of != "l" || len(known) != 1 || len(list) != 2 || list[1].Head.Chain != good[1].Head.Chain {
		t.Errorf("%s %v %d %v", of, known, len(list), err)
	}
}

// A sibling that came later goes on from an earlier fork: what happened between
// the two is surplus too, and only who began at the later one can tell it.
func TestASurplusBeginsInAnAncestorWhereALaterSiblingHasAnEarlierFork(t *testing.T) {
	parent := logFrom("l", 0, record.Hash{}, 6)
	own := logFrom("m", 6, parent[5].Head.Chain, 8)
	d := record.Descent{forkAt(1, "l", 6, parent[5].Head.Chain, "m"), forkAt(2, "l", 2, parent[1].Head.Chain, "k")}
	forged := batchAfter("l", 3, parent[2].Head.Chain, headKey)
	forged.Records[0].Public = (&record.Public{Index: 4, Changes: gone("user", "other")}).Append(nil)
	for _, x := range []struct {
		what    string
		past    []*record.Batch
		missing uint64
		want    []uint64
	}{
		{"all of it is kept", parent, 0, []uint64{3, 4, 5, 6}},
		{"its beginning is not kept: the first commit that is says where the next begins", parent[3:], 2, []uint64{5, 6}},
		{"nothing is kept", nil, 4, nil},
		{"it does not lead up to the fork", parent[:5], 4, nil},
		{"one in the middle is not genuine: what leads up to the fork from there is", []*record.Batch{parent[2], forged, parent[4], parent[5]}, 2, []uint64{5, 6}},
		{"the last is another than the root has signed", append(parent[:5:5], batchAfter("l", 5, record.Hash{9}, headKey)), 4, nil},
	} {
		list, _, err := Open(append(append([]*record.Batch{}, x.past...), own...), d, "m", "k")
		if err != nil || len(list) != 2 || len(list[1].Records) != 2 {
			t.Errorf("%s: %+v %v", x.what, list, err)
			continue
		}
		var got []uint64
		for _, r := range list[0].Records {
			got = append(got, r.Index)
		}
		if fmt.Sprint(got) != fmt.Sprint(x.want) || list[0].From != 2 || list[0].Missing != x.missing {
			t.Errorf("%s: %v after %d, %d missing, want %v and %d", x.what, got, list[0].From, list[0].Missing, x.want, x.missing)
		}
		s, err := Derive(successor(t), 7000, list)
		if err != nil || len(s.Denials) != len(x.want)+2 {
			t.Errorf("%s: %d denials %v", x.what, len(s.Denials), err)
		}
	}
}

func TestThePastOfAForkIsGatheredFromEveryReplicasLog(t *testing.T) {
	parent := logFrom("l", 0, record.Hash{}, 6)
	own := logFrom("m", 4, parent[3].Head.Chain, 8)
	d := record.Descent{forkAt(1, "l", 4, parent[3].Head.Chain, "m")}
	list := Past(&own[2].Head, d, own[1:3], parent[:2], parent[1:6], logFrom("x", 0, record.Hash{}, 9))
	var got []string
	for _, b := range list {
		got = append(got, record.Revision(b.Head.Lineage, b.Head.Index))
	}
	if want := "l-1 l-2 l-3 l-4 m-6 m-7"; strings.Join(got, " ") != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAWrongBatchOfOneLogTakesNothingFromThePastThatTheOthersHave(t *testing.T) {
	parent := logFrom("l", 0, record.Hash{}, 6)
	own := logFrom("m", 6, parent[5].Head.Chain, 8)
	d := record.Descent{forkAt(1, "l", 6, parent[5].Head.Chain, "m"), forkAt(2, "l", 2, parent[1].Head.Chain, "k")}
	as := func(head record.Head, records ...record.Fed) []*record.Batch { // forged under a genuine head
		return []*record.Batch{{Head: head, Records: records}}
	}
	record5 := batchAfter("l", 4, record.Hash{9}, headKey).Records[0]
	for what, wrong := range map[string][]*record.Batch{
		"of another chain":                {batchAfter("l", 4, record.Hash{9}, headKey)},
		"of another chain at the fork":    {batchAfter("l", 5, record.Hash{9}, headKey)},
		"under a genuine head":            as(parent[4].Head, record5),
		"under the fork's":                as(parent[5].Head, record5),
		"that is longer than its index":   as(parent[5].Head, slices.Repeat([]record.Fed{record5}, 9)...),
		"that holds nothing":              as(parent[5].Head),
		"that is no record":               as(parent[5].Head, record.Fed{Public: []byte(`"x"`)}),
		"where the sibling's fork begins": as(parent[2].Head, record5),
	} {
		for _, logs := range [][][]*record.Batch{{wrong, parent}, {parent, wrong}, {wrong, parent[:4], parent[2:]}, {wrong, parent[2:]}} {
			list, _, err := Open(append(Past(&parent[5].Head, nil, logs...), own...), d, "m", "k")
			if err != nil || len(list[0].Records) != 4 || list[0].Missing != 0 {
				t.Errorf("one %s: %+v %v", what, list, err)
			}
		}
	}
}
