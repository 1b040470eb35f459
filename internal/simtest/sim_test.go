package simtest

import (
	"flag"
	"os"
	"runtime"
	"sync"
	"testing"
)

// The machines have no goroutines, so that the race detector finds nothing here:
// `make test` runs a few seeds with it and more without (scripts/test.sh).
var (
	seeds = flag.Int("seeds", 40, "how many seeds to run")
	first = flag.Uint64("first", 1, "the first seed")
)

// replay is the command that runs one seed again, with its trace.
const replay = "go test ./internal/simtest -run Seeds -v -seeds 1 -first %d"

// enough seeds go through every happening.
const enough = 1000

// campaign runs seeds side by side; each is a world of its own.
func campaign(first uint64, n int) []Result {
	results := make([]Result, n)
	var all sync.WaitGroup
	free := make(chan struct{}, runtime.NumCPU())
	for i := range results {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			results[i] = Run(first+uint64(i), nil)
		})
	}
	all.Wait()
	return results
}

func TestSeedsKeepEveryInvariantAfterEveryStep(t *testing.T) {
	results := campaign(*first, *seeds)
	var shortest *Result
	var failing []uint64
	steps, seen := 0, map[string]int{}
	for i := range results {
		r := &results[i]
		steps += r.Steps
		for k, n := range r.Seen {
			seen[k] += n
		}
		if r.Err != nil {
			failing = append(failing, r.Seed)
			if shortest == nil || r.Steps < shortest.Steps {
				shortest = r
			}
		}
	}
	if shortest != nil {
		t.Errorf("%d of %d seeds fail; the shortest, seed %d: %v\nreplay: "+replay, len(failing), len(results), shortest.Seed, shortest.Err, shortest.Seed)
	}
	if *seeds == 1 {
		Run(*first, os.Stdout)
	}
	t.Log(seen)
	t.Logf("counted: %d seeds, %d steps, %d writes, %d faults, failing: %v", len(results), steps, seen["answered writes"], seen["faults"], failing)
	if *seeds < enough {
		return
	}
	for _, k := range happenings {
		if seen[k] == 0 {
			t.Errorf("%q never happened: this campaign cannot fail on it", k)
		}
	}
}

// happenings are what a campaign has to have been through.
var happenings = []string{
	"Applied: all", "answer that names a missing node", "call sent again", "answer lost", "repeated call answered from the log",
	"commit with unknown outcome", "commit that happened after its error", "log read after a refusal",
	"snapshot", "rewrite", "failed write", "crash during a write", "torn tail cut off",
	"acknowledgement from an old connection", "follower too far behind", "commit time ahead of a node's clock",
	"node out of the in-sync set", "node back in the in-sync set",
	"take-over", "call handed to another node", "forward without an answer", "call sent back: another node sequences", "commit of a node that had lost its place",
	"follower moves to the node that sequences", "silent source left", "follower ahead of its source",
	"crash of a control node", "crash of the node that sequences", "frozen control node", "control node away from the store", "partition between control nodes",
	"caught up from a peer", "caught up from a peer while cut off", "snapshot from a peer", "frame of a peer refused", "silent peer left", "first state asked of a peer",
	"node that leaves requests to its peers", "partition in a Region", "lost disk copy",
	"crash of a Region's node", "broken connection", "partition", "trouble of the store", "slow disk", "clock that jumps", "lie",
	"clock of a control node that is set", "call refused: the node's clock is not believed",
	"Region cut off", "denial in a Region", "denial of a Region acknowledged", "denial of a Region not acknowledged", "denial lifted",
	"failed write of denials", "crash while denials are written",
	"promotion", "old control plane that comes back", "control plane that ended for good", "control plane that a follower shows its successor",
	"successor learnt", "node that goes over to a successor", "node that goes over with surplus", "surplus handed up", "surplus that is not kept", "surplus that begins in an ancestor",
	"call of before a fork: done, its answer is lost", "user that a promotion lost",
	"signing keys made", "signing keys known", "token for every Region", "token for one Region", "five days",
	"small world", "world of one control node", "middle world", "whole world", "world of sixty days",
}

func TestTheSameSeedHasTheSameTrace(t *testing.T) {
	hashes := map[string]uint64{}
	for seed := *first; seed < *first+5; seed++ {
		one, two := Run(seed, nil), Run(seed, nil)
		if one.Hash != two.Hash || one.Steps != two.Steps {
			t.Errorf("seed %d: trace %s of %d steps, then %s of %d", seed, one.Hash, one.Steps, two.Hash, two.Steps)
		}
		if other, ok := hashes[one.Hash]; ok {
			t.Errorf("seeds %d and %d have one trace", other, seed)
		}
		hashes[one.Hash] = seed
	}
}
