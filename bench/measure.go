package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// contender is one way of doing a workload: run does it n times.
type contender struct {
	name string
	run  func(n int)
}

// figure is what one contender came to, in nanoseconds per operation.
type figure struct {
	rounds []float64 // sorted
	allocs float64   // per operation
}

func (f figure) median() float64 { return f.rounds[len(f.rounds)/2] }
func (f figure) min() float64    { return f.rounds[0] }
func (f figure) max() float64    { return f.rounds[len(f.rounds)-1] }

func (f figure) spread() string {
	return fmt.Sprintf("%s – %s – %s", nanos(f.min()), nanos(f.median()), nanos(f.max()))
}

// race measures the contenders in alternation: one batch each, round after
// round. Each batch is sized once so that it takes about p.batch.
func race(p *plan, contenders []contender) []figure {
	sizes := make([]int, len(contenders))
	out := make([]figure, len(contenders))
	for i, c := range contenders {
		sizes[i] = calibrate(c, p.batch)
		out[i].allocs = allocations(c)
	}
	for range p.rounds {
		for i, c := range contenders {
			runtime.GC()
			begun := spent()
			c.run(sizes[i])
			out[i].rounds = append(out[i].rounds, float64(spent()-begun)/float64(sizes[i]))
		}
	}
	for i := range out {
		slices.Sort(out[i].rounds)
	}
	return out
}

func calibrate(c contender, batch time.Duration) int {
	for n := 1; ; n *= 4 {
		begun := spent()
		c.run(n)
		if took := spent() - begun; took > batch/8 {
			return max(1, int(float64(n)*float64(batch)/float64(took)))
		}
	}
}

func allocations(c contender) float64 {
	const n = 20
	var before, after runtime.MemStats
	c.run(n)
	runtime.ReadMemStats(&before)
	c.run(n)
	runtime.ReadMemStats(&after)
	return float64((after.Mallocs - before.Mallocs) / n) // what the runtime adds in between is below one
}

// nanos prints a time with the unit that suits it.
func nanos(ns float64) string {
	switch {
	case ns < 10:
		return fmt.Sprintf("%.1f ns", ns)
	case ns < 10_000:
		return fmt.Sprintf("%.0f ns", ns)
	case ns < 1_000_000:
		return fmt.Sprintf("%.1f µs", ns/1e3)
	case ns < 1_000_000_000:
		return fmt.Sprintf("%.1f ms", ns/1e6)
	}
	return fmt.Sprintf("%.1f s", ns/1e9)
}

func (f figure) cell() string { return fmt.Sprintf("%s (%.0f)", nanos(f.median()), f.allocs) }

// times prints a ratio.
func times(a, b float64) string {
	switch r := a / b; {
	case r >= 100:
		return fmt.Sprintf("%.0f ×", r)
	case r >= 10:
		return fmt.Sprintf("%.1f ×", r)
	default:
		return fmt.Sprintf("%.2f ×", r)
	}
}

// met words whether a goal is reached.
func met(ok bool) string {
	if ok {
		return "yes"
	}
	return "**no**"
}

// table is a Markdown table under way.
type table struct{ rows [][]string }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print(p *plan) {
	for i, row := range t.rows {
		fmt.Fprintf(p.out, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(p.out, "|%s\n", strings.Repeat("---|", len(row)))
		}
	}
}
