package lineage

import (
	"slices"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// tail is one batch of a kept log.
func tail(lineage string, records ...record.Public) []*record.Batch {
	b := &record.Batch{Head: record.Head{Lineage: lineage}}
	for i := range records {
		b.Records = append(b.Records, record.Fed{Public: records[i].Append(nil)})
	}
	return []*record.Batch{b}
}

func TestCallsOfBeforeTheForkAreKnownFromAnyReplicaOfItsLineage(t *testing.T) {
	const now = 1_000_000_000
	at := func(index uint64, call string, ago time.Duration) record.Public {
		return record.Public{Index: index, Call: call, Time: now - ago.Milliseconds()}
	}
	fork := &record.Head{Lineage: "l", Index: 9, Time: now}
	got, err := Calls(fork, 12*time.Minute,
		tail("l", at(9, "nine", 0)), // the highest, which was sent a snapshot
		tail("l", at(3, "three", 13*time.Minute), at(4, "four", 11*time.Minute), at(5, "", 0), at(9, "nine", 0)),
		tail("l", at(10, "ten", 0)),
		tail("m", at(6, "another lineage's", 0)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range got {
		names = append(names, p.Call)
	}
	if want := []string{"four", "nine"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	broken := []*record.Batch{{Head: *fork, Records: []record.Fed{{Public: []byte("{")}}}}
	if _, err := Calls(fork, time.Minute, broken); err == nil {
		t.Error("what cannot be read is passed over")
	}
}
