// Package policyline evaluates policies from lines of JSON: the laboratory
// behind `holdfast policy eval`.
//
// Invariant: every line in is one answer out, in the same order; a bad line is
// an answer with an error, never a stop. An answer waits for no later line, and
// memory is bounded whatever comes.
package policyline

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// Laboratory says how cases are answered. The zero value answers as many at
// once as there are processors.
type Laboratory struct {
	Explain bool // tell every statement that was considered
	Text    bool // answers for people, not JSON
	Workers int
}

// batch is whole lines that came together, and their answers.
type batch struct {
	text    []byte
	tooLong bool // a line that was passed over follows
	answers []byte
	done    chan struct{}
}

// Limits of a batch's memory.
const (
	batchSize = 128 << 10
	keepSize  = 1 << 20 // more is given back
)

// Run answers every line of in on out. Lines that come together are answered
// together, by one worker; what has come is answered while more is waited for.
func (l Laboratory) Run(in io.Reader, out io.Writer) error {
	workers := l.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	ahead := 2*workers + 1
	free, todo, order := make(chan *batch, ahead), make(chan *batch, ahead), make(chan *batch, ahead)
	for range ahead {
		free <- &batch{done: make(chan struct{}, 1)}
	}
	var running sync.WaitGroup
	for range workers {
		running.Go(func() { l.work(todo) })
	}
	stop := make(chan struct{})
	var failed error
	running.Go(func() {
		for b := range order {
			<-b.done
			if len(b.answers) > 0 && failed == nil {
				if _, failed = out.Write(b.answers); failed != nil {
					close(stop)
				}
			}
			free <- b
		}
	})
	err := feed(in, stop, free, order, todo)
	close(todo)
	close(order)
	running.Wait()
	return errors.Join(failed, err)
}

// feed gives lines to the workers, in the order of the answers, until the
// input ends or nobody takes the answers any more.
func feed(in io.Reader, stop <-chan struct{}, free <-chan *batch, order, todo chan<- *batch) error {
	for lines := (lines{in: in}); ; {
		select {
		case <-stop:
			return nil
		case b := <-free:
			err := lines.fill(b)
			order <- b
			todo <- b
			if err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
}

func (l Laboratory) work(todo <-chan *batch) {
	q := new(question)
	for b := range todo {
		b.answers = b.answers[:0]
		for line := range strings.Lines(string(b.text)) {
			b.answers = l.answer(q, b.answers, strings.TrimSuffix(line, "\n"))
		}
		if b.tooLong {
			b.answers = l.refuse(b.answers, "", errTooLong)
		}
		b.done <- struct{}{}
	}
}

// lines reads whole lines, as many as have come.
type lines struct {
	in       io.Reader
	rest     []byte // the beginning of a line, which came with those before it
	skipping bool   // the rest of a line that is too long
}

// fill puts whole lines into a batch: at least one, but at the end.
func (l *lines) fill(b *batch) error {
	if cap(b.text) > keepSize {
		b.text, b.answers = nil, nil
	}
	b.text, b.tooLong = append(b.text[:0], l.rest...), false
	l.rest = l.rest[:0]
	for {
		if cap(b.text)-len(b.text) < batchSize/2 {
			b.text = slices.Grow(b.text, max(batchSize, len(b.text)))
		}
		from := len(b.text)
		n, err := l.in.Read(b.text[from:cap(b.text)])
		b.text = b.text[:from+n]
		if l.skipping {
			b.text = l.skip(b.text)
			from = 0
		}
		if end := bytes.LastIndexByte(b.text[from:], '\n') + 1; end > 0 {
			l.rest = append(l.rest, b.text[from+end:]...)
			b.text = b.text[:from+end]
			if err == io.EOF {
				err = nil // it comes again, after the rest
			}
			return err
		}
		if len(b.text) > maxLine {
			b.text, b.tooLong, l.skipping = b.text[:0], true, true
			return err
		}
		if err != nil {
			return err
		}
	}
}

func (l *lines) skip(text []byte) []byte {
	end := bytes.IndexByte(text, '\n')
	if end < 0 {
		return text[:0]
	}
	l.skipping = false
	return append(text[:0], text[end+1:]...)
}
