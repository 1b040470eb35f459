package drill

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Report is a whole drill: what one can hand to who asks whether it was held.
type Report struct {
	Format     int       `json:"format"`
	Holdfast   string    `json:"holdfast"` // version
	Began      time.Time `json:"began"`
	Ended      time.Time `json:"ended"`
	Cluster    string    `json:"cluster"` // SHA-256 of the root's key: which deployment
	Lineage    string    `json:"lineage"`
	Revision   string    `json:"revision"` // at the end
	Digest     string    `json:"digest"`   // of every node, at the end
	Regions    []string  `json:"regions"`
	Nodes      []string  `json:"nodes"`
	Scenarios  []*Result `json:"scenarios"`
	Held       bool      `json:"held"`
	Load       string    `json:"load"`       // how it was asked
	Statistics string    `json:"statistics"` // what the counts say
}

// reportFormat is the report's; fields may be added within one.
const reportFormat = 1

// Finish fills in what is known at the end.
func (r *Report) Finish(d *Deployment, all map[string]*Status) {
	r.Format, r.Ended, r.Regions, r.Nodes, r.Held = reportFormat, d.Now().UTC(), d.Regions(), d.everyNode(), len(r.Scenarios) > 0
	sent := 0
	for _, s := range r.Scenarios {
		r.Held = r.Held && s.Held()
		sent += s.Load.Sent
	}
	for _, s := range all {
		if r.Revision == "" || s.Revision > r.Revision {
			r.Revision, r.Digest, r.Lineage = s.Revision, s.Digest, s.Lineage
		}
	}
	r.Load = "open loop at a constant rate; latency is counted from when a request was due; one try had the time limit given, and as many repetitions as given, each on a new connection; who is told that a node is busy (Throttling) comes again, up to five times"
	if sent > 0 {
		r.Statistics = fmt.Sprintf("no failure in n requests bounds the share that fails at 3/n (95 %%): here 3/%d = %.6f", sent, 3/float64(sent))
	}
}

// Write writes the report as JSON.
func (r *Report) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Table prints a line a scenario, and under it what did not hold.
func (r *Report) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SCENARIO\tREQUESTS\tFAILED\tREPEATED\tBUSY\tP50\tP99\tMAX\tWRITES\tLOST\tREFUSED\tVERDICT")
	for _, s := range r.Scenarios {
		if s.Skipped != "" {
			fmt.Fprintf(t, "%s\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\tnot run\n", s.Scenario)
			continue
		}
		w := s.Writes
		if w == nil {
			w = new(Writes)
		}
		verdict := "held"
		if !s.Held() {
			verdict = "NOT HELD"
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", s.Scenario, s.Load.Sent, s.Load.Failed, s.Load.Retried, s.Load.Busy, short(s.Load.P50), short(s.Load.P99), short(s.Load.Max),
			w.Acknowledged, len(w.Lost), w.Refused, verdict)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, s := range r.Scenarios {
		switch {
		case s.Skipped != "":
			fmt.Fprintf(w, "%s was not run: %s\n", s.Scenario, s.Skipped)
		case s.Error != "":
			fmt.Fprintf(w, "%s: %s\n", s.Scenario, s.Error)
		}
		for _, i := range s.Invariants {
			if !i.Held {
				fmt.Fprintf(w, "%s: %s did not hold: %s\n", s.Scenario, i.Name, i.Says)
			}
		}
		for n, c := range s.Load.Failures {
			if n == 3 {
				break
			}
			fmt.Fprintf(w, "%s: at %s in %s %q came to %q, not %q\n", s.Scenario, short(c.At), c.Region, c.Question, c.Got, c.Want)
		}
	}
	return nil
}

func short(d time.Duration) string {
	if d < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}
