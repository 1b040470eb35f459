package scenario

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

// scenarios is the catalogue, as far as it is here.
var scenarios = slices.Concat(processes, disks, networks, clocks, feeds, stores, members, keys, quotas, readers, links, poisons, crowds, lineages, certificates, renewals)

func TestScenariosHold(t *testing.T) {
	if *red {
		return // the other test's turn
	}
	rigs := map[shape]*rig{}
	defer func() {
		for _, r := range rigs {
			r.discard()
		}
	}()
	for _, shape := range []shape{one, two, zones, none} {
		for i := range scenarios {
			if c := &scenarios[i]; c.shape == shape && (!c.long || *extent == "all") {
				t.Run(c.id, func(t *testing.T) { hold(t, c, rigs) })
			}
		}
		if r := rigs[shape]; r != nil {
			r.discard()
			delete(rigs, shape)
		}
	}
}

// shared is where the deployments that scenarios share have their data.
func shared(t *testing.T) string {
	dir, err := os.MkdirTemp("", "hf-")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// hold runs a scenario, which must leave no note.
func hold(t *testing.T, c *scenario, rigs map[shape]*rig) {
	if done(c, "") {
		t.Logf("stands in the report already")
		return
	}
	begun := time.Now()
	r := rigs[c.shape]
	switch {
	case c.shape == none:
		r = &rig{}
	case c.own || r == nil:
		dir := shared(t)
		var err error
		if r, err = newRig(filepath.Join(dir, "d"), c.shape, ""); err != nil {
			t.Fatal(err)
		}
		if c.own {
			defer r.discard()
		}
	}
	notes := perform(t, c, r)
	for _, n := range notes {
		t.Errorf("%s (%s): %s", c.id, c.name, n)
	}
	if len(notes) > 0 {
		t.Logf("%s", r.logs())
		r.discard()
		delete(rigs, c.shape)
	} else if !c.own && c.shape != none {
		rigs[c.shape] = r
	}
	note(t, c, "", len(notes) == 0, first(notes), time.Since(begun))
}

// settling is how long what a node waits for without a bug may go on with it.
const settling = 2 * time.Second

// TestEveryScenarioIsRedOnItsBugs: a scenario that no bug turns red shows
// nothing.
func TestEveryScenarioIsRedOnItsBugs(t *testing.T) {
	if !*red {
		return // `make faults` asks for it: it takes half an hour
	}
	for i := range scenarios {
		c := &scenarios[i]
		for _, bug := range c.bugs {
			t.Run(c.id+"/"+string(bug), func(t *testing.T) {
				if done(c, bug) {
					return
				}
				begun, dir, early := time.Now(), shared(t), ""
				if c.early {
					early = string(bug)
				}
				if c.shape == none {
					sees(t, c, bug, &rig{bugs: string(bug)}, begun)
					return
				}
				r, err := newRig(filepath.Join(dir, "d"), c.shape, early)
				if r != nil {
					defer r.discard()
				}
				if err != nil {
					t.Fatal(err)
				}
				for _, node := range r.nodes() {
					r.lines[node] = []string{"bug " + string(bug)}
				}
				if err := r.tell(r.nodes()...); err != nil {
					t.Fatal(err)
				}
				<-time.After(settling)
				sees(t, c, bug, r, begun)
			})
		}
	}
}

// sees runs a scenario on a bug, which must leave a note.
func sees(t *testing.T, c *scenario, bug failpoint.Bug, r *rig, begun time.Time) {
	notes := perform(t, c, r)
	if len(notes) == 0 {
		t.Errorf("%s (%s) holds with the bug %s: it shows nothing", c.id, c.name, bug)
	} else {
		t.Logf("red: %s", notes[0])
	}
	note(t, c, bug, len(notes) > 0, first(notes), time.Since(begun))
}

// limit bounds one scenario.
const limit = 20 * time.Minute

// perform runs a scenario and heals what it has left.
func perform(t *testing.T, c *scenario, r *rig) []string {
	for _, tool := range c.tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s needs %s: install it (Debian's packages strace, nftables, iproute2, e2fsprogs)", c.id, tool)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	s := &run{rig: r, ctx: ctx, dir: t.TempDir()}
	base := map[string][]string{}
	for node, lines := range r.lines {
		base[node] = slices.Clone(lines)
	}
	func() {
		defer func() {
			if p := recover(); p != nil && p != (enough{}) {
				panic(p)
			}
		}()
		c.do(s)
	}()
	for _, heal := range s.heals {
		heal()
	}
	if r.Deployment == nil {
		return s.notes
	}
	r.mu.Lock()
	r.lines, r.offsets = base, map[string]time.Duration{}
	r.mu.Unlock()
	_ = r.tell(r.nodes()...)
	return s.notes
}

func TestTheCatalogueIsWhole(t *testing.T) {
	ids, used := map[string]bool{}, map[failpoint.Bug]bool{}
	for _, c := range scenarios {
		if ids[c.id] || c.name == "" || c.do == nil || len(c.bugs) == 0 {
			t.Errorf("%s stands twice, or lacks something", c.id)
		}
		ids[c.id] = true
		for _, b := range c.bugs {
			used[b] = true
			if !failpoint.Known(b) {
				t.Errorf("%s: there is no bug %s", c.id, b)
			}
		}
	}
	for _, b := range failpoint.Bugs {
		if !used[b] {
			t.Errorf("no scenario finds the bug %s", b)
		}
	}
	t.Logf("%d scenarios, %d bugs", len(scenarios), len(used))
}

// line is one line of the report.
type line struct {
	Scenario string  `json:"scenario"`
	Name     string  `json:"name"`
	Bug      string  `json:"bug,omitempty"`
	Good     bool    `json:"good"`          // it held, or was red on the bug
	Why      string  `json:"why,omitempty"` // what the bug was seen by: a note that any slow machine leaves shows nothing
	Seconds  float64 `json:"seconds"`
}

func note(t *testing.T, c *scenario, bug failpoint.Bug, good bool, why string, took time.Duration) {
	if *reports == "" {
		return
	}
	f, err := os.OpenFile(*reports, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, _ := json.Marshal(line{c.id, c.name, string(bug), good, why, float64(took.Milliseconds()) / 1000})
	if _, err := fmt.Fprintf(f, "%s\n", text); err != nil {
		t.Fatal(err)
	}
}

// first is what was noted first, shortened.
func first(notes []string) string {
	if len(notes) == 0 {
		return ""
	}
	return notes[0][:min(len(notes[0]), 200)]
}

// done says whether the report has it already, as good.
func done(c *scenario, bug failpoint.Bug) bool {
	f, err := os.Open(*reports)
	if err != nil {
		return false
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var l line
		if json.Unmarshal(lines.Bytes(), &l) == nil && l.Scenario == c.id && l.Bug == string(bug) && l.Good {
			return true
		}
	}
	return false
}
