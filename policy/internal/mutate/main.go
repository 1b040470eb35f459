// Command mutate changes package policy in one place at a time and runs the
// package's tests: a change that no test notices is a test that is missing.
//
// Invariant: the tree is never touched; a mutant exists in an overlay only.
//
// To compile and link a program for each of two thousand mutants takes hours.
// So one program has nearly all of them, each behind a number that the
// environment gives; only what cannot stand behind one, as a constant, gets a
// program of its own.
//
// In the results, "equal" is written by a person who has read why no test can
// notice a mutant: docs/policy.md says it.
//
//	go run ./policy/internal/mutate [-workers N] [-results FILE] [NAME.go...]
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

func main() {
	workers := flag.Int("workers", 1, "how many are tried at once")
	results := flag.String("results", "/dev/stdout", "write what became of each to this file, and try only those that do not stand there")
	flag.Parse()
	if err := run(*workers, *results, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(workers int, results string, files []string) error {
	p, err := load("policy")
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	c := &campaign{pack: p, mutants: p.mutants(), work: work, results: results}
	if c.fates, err = read(results); err != nil {
		return err
	}
	if err := c.build(); err != nil {
		return err
	}
	for stage := range stages {
		c.run(stage, workers, files)
	}
	return c.failed
}

// campaign is the mutants of a package and what became of them.
type campaign struct {
	pack    *pack
	mutants []*mutant
	work    string // directory of what is built
	all     string // the program that has all guarded mutants
	results string

	lock   sync.Mutex
	fates  map[string]string // by id
	failed error
}

// run takes the mutants that passed the stages before through one.
func (c *campaign) run(stage, workers int, files []string) {
	var group sync.WaitGroup
	next := make(chan *mutant)
	for range workers {
		group.Go(func() {
			for m := range next {
				fate, err := c.try(m, stage)
				c.note(m, fate, err)
			}
		})
	}
	for _, m := range c.mutants {
		if len(files) > 0 && !slices.Contains(files, m.file.name) {
			continue
		}
		c.lock.Lock()
		fate := c.fates[m.id()]
		c.lock.Unlock()
		if fate == passed(stage) {
			next <- m
		}
	}
	close(next)
	group.Wait()
}

// try says what becomes of one mutant in a stage, of one with a program of its own in all.
func (c *campaign) try(m *mutant, stage int) (fate string, err error) {
	if m.number > 0 {
		fate, _, err = test(c.all, m.number, stage)
		return fate, err
	}
	binary, err := c.pack.build(c.work, fmt.Sprintf("alone%d", m.place), map[string]string{m.file.path: m.file.replaced(m.start, m.end, m.text)})
	if errors.Is(err, errNoProgram) {
		return broken, nil
	}
	if err != nil {
		return "", err
	}
	defer os.Remove(binary)
	fate = passed(stage)
	for ; err == nil && stage < len(stages) && fate == passed(stage); stage++ {
		fate, _, err = test(binary, 0, stage)
	}
	return fate, err
}

// build makes the program of the guarded mutants, which must pass the tests as long as none is tried.
func (c *campaign) build() (err error) {
	texts, err := c.pack.guard(c.mutants)
	if err != nil {
		return err
	}
	if c.all, err = c.pack.build(c.work, "all", texts); err != nil {
		return err
	}
	for stage := range stages {
		if fate, said, err := test(c.all, 0, stage); err != nil || fate != passed(stage+1) {
			return fmt.Errorf("the tests fail without a mutant: %w\n%s", err, said)
		}
	}
	return nil
}

// note keeps what became of a mutant, and writes all results in the order of the text. What is no mutant any more is
// forgotten.
func (c *campaign) note(m *mutant, fate string, err error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if err != nil {
		c.failed = errors.Join(c.failed, fmt.Errorf("%s: %w", m.id(), err))
		return
	}
	c.fates[m.id()] = fate
	var b strings.Builder
	for _, m := range c.mutants {
		if fate := c.fates[m.id()]; fate != "" {
			fmt.Fprintf(&b, "%s\t%s\n", fate, m.id())
		}
	}
	c.failed = errors.Join(c.failed, os.WriteFile(c.results, []byte(b.String()), 0o644))
}

// read returns the results that a file has.
func read(name string) (map[string]string, error) {
	fates := map[string]string{}
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return fates, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if fate, id, ok := strings.Cut(lines.Text(), "\t"); ok {
			fates[id] = fate
		}
	}
	return fates, lines.Err()
}
