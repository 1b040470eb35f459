package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/holdfast-iam/holdfast/internal/policysuite"
	"github.com/spf13/cobra"
)

// pollEvery is how often --watch looks at the files.
const pollEvery = 300 * time.Millisecond

// policyTests are the flags of `policy test`.
type policyTests struct {
	format      string
	minCoverage float64
	watch       bool
}

func policyTestCommand() *cobra.Command {
	var p policyTests
	cmd := &cobra.Command{Use: "test FILE…", Short: "Unit tests of policies, for CI", Args: cobra.MinimumNArgs(1),
		Long: "Run the cases of YAML or JSON files against the policies that they name (docs/policy-tests.md has the format).\n\n" +
			"Exit status 0: all is as expected; 1: something is not, or too few statements decided a case; 2: a file is bad.",
		Example: "  holdfast policy test policies/*.test.yaml --min-coverage 80\n  holdfast policy test photos.yaml --watch",
		RunE: func(cmd *cobra.Command, files []string) error {
			switch p.format {
			case "text", "json", "junit":
			default:
				return usage(fmt.Errorf("--format is %q, want text, json or junit", p.format))
			}
			if !(p.minCoverage >= 0 && p.minCoverage <= 100) {
				return usage(fmt.Errorf("--min-coverage is %g, want a percentage", p.minCoverage))
			}
			if p.watch {
				return p.follow(cmd.Context(), files, cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			_, err := p.run(files, cmd.OutOrStdout())
			return err
		}}
	f := cmd.Flags()
	f.StringVar(&p.format, "format", "text", "text, json or junit")
	f.Float64Var(&p.minCoverage, "min-coverage", 0, "fail if a smaller part of the statements, in percent, decided a case")
	f.BoolVar(&p.watch, "watch", false, "run again when a file changes, until interrupted")
	return cmd
}

// run runs files once, and says which files it looked at.
func (p *policyTests) run(files []string, out io.Writer) (read []string, err error) {
	var suite policysuite.Suite
	report := policysuite.Report{MinCoverage: p.minCoverage}
	var bad error
	for _, name := range files {
		result, err := suite.Run(name)
		bad = errors.Join(bad, err)
		if err == nil {
			report.Results = append(report.Results, result)
		}
	}
	if bad != nil {
		return suite.Files(), usage(bad)
	}
	report.Coverage = suite.Coverage()
	w := bufio.NewWriter(out)
	switch p.format {
	case "json":
		err = report.JSON(w)
	case "junit":
		err = report.JUnit(w)
	default:
		err = report.Text(w)
	}
	if err = errors.Join(err, w.Flush()); err == nil && !report.Passed() {
		err = &exitError{statusNo, errors.New("")}
	}
	return suite.Files(), err
}

// follow runs files again each time that one of them, or of the policies that
// they name, changes.
func (p *policyTests) follow(ctx context.Context, files []string, out, words io.Writer) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for read := files; ; {
		seen := map[string]stamp{}
		for _, name := range read { // before the run, so that a change during it counts
			seen[name] = stampOf(name)
		}
		begun := time.Now()
		now, err := p.run(files, out)
		if err != nil && err.Error() != "" {
			fmt.Fprintln(words, "holdfast: "+err.Error())
		}
		read = now
		for _, name := range now {
			if _, known := seen[name]; !known {
				seen[name] = settled(name, begun)
			}
		}
		changed := ""
		for changed == "" {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				changed = changedSince(seen)
			}
		}
		fmt.Fprintln(words, "holdfast: "+changed+" changed")
	}
}

// stamp is what tells one state of a file from another.
type stamp struct {
	changed time.Time
	size    int64
}

// clockGrain is more than a file system's clock may be behind the machine's.
const clockGrain = 2 * time.Second

// settled is the stamp of a file that was read after begun. One that was changed
// since, or just before, may have been read as it was earlier: it has no stamp, and
// is read again.
func settled(name string, begun time.Time) stamp {
	if s := stampOf(name); s.changed.Before(begun.Add(-clockGrain)) {
		return s
	}
	return stamp{}
}

func stampOf(name string) stamp {
	info, err := os.Stat(name)
	if err != nil {
		return stamp{} // not there, which is a state too
	}
	return stamp{info.ModTime(), info.Size()}
}

// changedSince names a file that is not as it was, empty for none.
func changedSince(seen map[string]stamp) string {
	for name, was := range seen {
		if stampOf(name) != was {
			return name
		}
	}
	return ""
}
