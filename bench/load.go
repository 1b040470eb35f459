package main

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// rate is what clients together reached in one stretch of load.
type rate struct {
	perSecond float64
	p50, p99  time.Duration
	cpu       time.Duration // of this process, per call
}

// clients calls do from n goroutines for a time; each gets its own number and
// counts its calls.
func clients(n int, forTime time.Duration, do func(client, call int) error) (rate, error) {
	var all sync.WaitGroup
	var stop atomic.Bool
	took := make([][]time.Duration, n)
	errs := make([]error, n)
	begun, used := time.Now(), spent()
	for c := range n {
		all.Go(func() {
			for i := 0; !stop.Load(); i++ {
				at := time.Now()
				if errs[c] = do(c, i); errs[c] != nil {
					stop.Store(true)
					return
				}
				took[c] = append(took[c], time.Since(at))
			}
		})
	}
	for range 100 {
		time.Sleep(forTime / 100)
		if stop.Load() {
			break
		}
	}
	stop.Store(true)
	all.Wait()
	length, used := time.Since(begun), spent()-used
	var list []time.Duration
	for c := range n {
		if errs[c] != nil {
			return rate{}, fmt.Errorf("client %d: %w", c, errs[c])
		}
		list = append(list, took[c]...)
	}
	if len(list) == 0 {
		return rate{}, fmt.Errorf("no call ended within %s", length)
	}
	slices.Sort(list)
	return rate{float64(len(list)) / length.Seconds(), list[len(list)/2], list[len(list)*99/100], used / time.Duration(len(list))}, nil
}

// rates are the rounds of one contender under load.
type rates []rate

func (r rates) sorted(of func(rate) float64) []float64 {
	var list []float64
	for _, x := range r {
		list = append(list, of(x))
	}
	slices.Sort(list)
	return list
}

func middle(list []float64) float64 { return list[len(list)/2] }

func (r rates) median() float64 {
	return middle(r.sorted(func(x rate) float64 { return x.perSecond }))
}

func (r rates) p50() float64 { return middle(r.sorted(func(x rate) float64 { return float64(x.p50) })) }
func (r rates) p99() float64 { return middle(r.sorted(func(x rate) float64 { return float64(x.p99) })) }

func (r rates) cpu() float64 { return middle(r.sorted(func(x rate) float64 { return float64(x.cpu) })) }

func (r rates) cell() string {
	return fmt.Sprintf("%.0f/s (%s / %s)", r.median(), nanos(r.p50()), nanos(r.p99()))
}

func (r rates) spread() string {
	list := r.sorted(func(x rate) float64 { return x.perSecond })
	return fmt.Sprintf("%.0f – %.0f – %.0f", list[0], middle(list), list[len(list)-1])
}

// loader is one contender under load.
type loader struct {
	name string
	do   func(client, call int) error
}

// raceLoad puts the contenders under load in alternation, after one stretch
// each that does not count.
func raceLoad(p *plan, n int, loaders []loader) ([]rates, error) {
	out := make([]rates, len(loaders))
	for round := -1; round < p.rounds; round++ {
		for i, l := range loaders {
			r, err := clients(n, p.load, l.do)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", l.name, err)
			}
			if round >= 0 {
				out[i] = append(out[i], r)
			}
		}
	}
	return out, nil
}
