package lineage

import (
	"fmt"
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
	got := Calls(fork, 12*time.Minute,
		tail("l", at(9, "nine", 0)), // the highest, which was sent a snapshot
		tail("l", at(3, "three", 13*time.Minute), at(4, "four", 11*time.Minute), at(5, "", 0), at(9, "nine", 0)),
		tail("l", at(10, "ten", 0)),
		tail("m", at(6, "another lineage's", 0)))
	var names []string
	for _, p := range got {
		names = append(names, p.Call)
	}
	if want := []string{"four", "nine"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

func TestAWrongRecordOfOneLogHidesNoCallAndStopsNoPromotion(t *testing.T) {
	log := logFrom("l", 0, record.Hash{}, 3)
	for i, b := range log { // of calls that are named by their indexes
		before := record.Hash{}
		if i > 0 {
			before = log[i-1].Head.Chain
		}
		r := &b.Records[0]
		r.Public = (&record.Public{Index: uint64(i) + 1, Call: fmt.Sprint(i + 1)}).Append(nil)
		b.Head.Chain = record.Link(before, r.Public, r.Private)
	}
	fork := &log[2].Head
	other := func(public string) []*record.Batch {
		return []*record.Batch{{Head: log[1].Head, Records: []record.Fed{{Public: []byte(public)}}}}
	}
	for what, wrong := range map[string][]*record.Batch{
		"no record":              other(`"x"`),
		"no JSON":                other(`{`),
		"another of its index":   other(`{"i":2,"c":"other"}`),
		"another of the highest": other(`{"i":3,"c":"other"}`),
	} {
		for _, logs := range [][][]*record.Batch{{wrong, log}, {log, wrong}} {
			var got []string
			for _, p := range Calls(fork, time.Minute, logs...) {
				got = append(got, p.Call)
			}
			if want := []string{"1", "2", "3"}; !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
	}
	first := []*record.Batch{{Head: log[0].Head, Records: []record.Fed{{Public: []byte(`{"i":1,"c":"other"}`)}}}}
	if got := Calls(fork, time.Minute, log, first); len(got) != 4 {
		t.Errorf("where nothing proves what was there, %d calls are known: want every log's", len(got))
	}
}
