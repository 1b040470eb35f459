package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-iam/holdfast/internal/local"
)

// patience is how long after the time at which a request was due its answer is
// still of use.
const patience = time.Second

// openConns is how many connections an open loop has. A request that is due
// when none is free is not sent, and counts as one without an answer.
const openConns = 1024

// stream is an open loop: requests that are due at a constant rate, whatever
// becomes of the earlier ones.
type stream struct {
	perSecond float64
	requests  [][]byte
}

// outcome is what became of a stream's requests.
type outcome struct {
	due, unsent, throttled int
	good                   []time.Duration // from due to answered, within patience
	late                   int
}

func (o *outcome) goodShare() float64 { return float64(len(o.good)) / float64(max(1, o.due)) }

func (o *outcome) quantile(q float64) time.Duration {
	if len(o.good) == 0 {
		return patience
	}
	slices.Sort(o.good)
	return o.good[int(float64(len(o.good)-1)*q)]
}

// play runs streams side by side. An answer that is neither good nor
// Throttling is an error.
func play(address string, length time.Duration, streams ...stream) ([]*outcome, error) {
	out := make([]*outcome, len(streams))
	errs := make([]error, len(streams))
	var all sync.WaitGroup
	for i, s := range streams {
		out[i] = new(outcome)
		n := min(openConns, 8+int(s.perSecond)) // one that is not used for seconds is closed
		free := make(chan *rawClient, n)
		for range n {
			c, err := dial(address)
			if err != nil {
				return nil, err
			}
			defer c.conn.Close()
			free <- c
		}
		all.Go(func() { errs[i] = s.play(free, length, out[i]) })
	}
	all.Wait()
	return out, errors.Join(errs...)
}

func (s stream) play(free chan *rawClient, length time.Duration, o *outcome) error {
	var mu sync.Mutex // guards o and failed
	var failed error
	var calls sync.WaitGroup
	begun := time.Now()
	for time.Since(begun) < length {
		for target := int(time.Since(begun).Seconds() * s.perSecond); o.due < target; o.due++ {
			due := begun.Add(time.Duration(float64(o.due) / s.perSecond * float64(time.Second)))
			select {
			case c := <-free:
				request := s.requests[o.due%len(s.requests)]
				calls.Go(func() {
					err := c.call(request)
					took := time.Since(due)
					free <- c
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil && took <= patience && time.Since(begun) <= length:
						o.good = append(o.good, took)
					case err == nil:
						o.late++
					case bytes.Contains([]byte(err.Error()), []byte("<Code>Throttling</Code>")):
						o.throttled++
					default:
						failed = err
					}
				})
			default:
				o.unsent++
			}
		}
		time.Sleep(200 * time.Microsecond)
	}
	calls.Wait()
	return failed
}

// overloadSection measures what a node still answers when twice as much is
// asked of it as it can do, and what a busy account costs another.
//
// Whoever asks too much has processors of his own, so the load generator has: with
// taskset (util-linux) and two processors the deployment gets the first alone.
func overloadSection(p *plan) error {
	back, err := p.standApart()
	if err != nil {
		return err
	}
	defer back()
	d, err := startDeployment(p)
	if err != nil {
		return err
	}
	defer d.stop()
	if err := d.makeRole(); err != nil {
		return err
	}
	other, err := d.account(p, "444455556666")
	if err != nil {
		return err
	}
	calls := []struct {
		name, service string
		form          url.Values
	}{
		{"GetCallerIdentity", "sts", url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}}},
		{"AssumeRole", "sts", url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {"arn:aws:iam::" + d.credentials.Account + ":role/bench"}, "RoleSessionName": {"bench"}}},
		{"SimulateCustomPolicy, 10 actions × 10 resources", "iam", simulation()},
	}
	length := 2 * p.load
	var t table
	t.add("call", "capacity: 16 clients that wait", "asked for", "answered within 1 s ÷ capacity", "spread", "p50 / p99 of the answered", "throttled", "not sent", "goal", "met")
	for _, c := range calls {
		requests, err := d.many(c.service, c.form)
		if err != nil {
			return err
		}
		if err := t.overload(p, d, c.name, requests, length); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	t.print(p)
	fmt.Fprintln(p.out)
	return hotAccount(p, d, other, length)
}

// standApart leaves the first processor to what is started from here on, where
// that can be done, until back.
func (p *plan) standApart() (back func(), err error) {
	n := runtime.NumCPU()
	if _, err := exec.LookPath("taskset"); err != nil || n < 2 {
		fmt.Fprintf(p.out, "The load generator runs on the node's own processors.\n\n")
		return func() {}, nil
	}
	own := func(from int) error {
		out, err := exec.Command("taskset", "-a", "-c", "-p", fmt.Sprintf("%d-%d", from, n-1), fmt.Sprint(os.Getpid())).CombinedOutput()
		if err != nil {
			return fmt.Errorf("taskset: %w %s", err, out)
		}
		return nil
	}
	if err := own(1); err != nil {
		return nil, err
	}
	p.apart = true
	fmt.Fprintf(p.out, "The deployment has one processor, the load generator %d others.\n\n", n-1)
	return func() {
		p.apart = false
		_ = own(0) // the sections after it would be slower
	}, nil
}

// overload measures one call: its capacity, then twice that.
func (t *table) overload(p *plan, d *process, name string, requests [][]byte, length time.Duration) error {
	var shares, rates []float64
	sum := new(outcome)
	for range p.rounds {
		capacity, err := d.capacity(requests, p.load)
		if err != nil {
			return err
		}
		o, err := play(d.address, length, stream{2 * capacity, requests})
		if err != nil {
			return err
		}
		after, err := d.capacity(requests, p.load) // the machine has other things to do, now more, now less
		if err != nil {
			return err
		}
		capacity = (capacity + after) / 2
		rates = append(rates, capacity)
		shares = append(shares, float64(len(o[0].good))/length.Seconds()/capacity)
		sum.due += o[0].due
		sum.unsent += o[0].unsent
		sum.throttled += o[0].throttled
		sum.good = append(sum.good, o[0].good...)
	}
	slices.Sort(shares)
	slices.Sort(rates)
	share := middle(shares)
	t.add(name, fmt.Sprintf("%.0f/s", middle(rates)), "2 ×", fmt.Sprintf("%.0f %%", 100*share), fmt.Sprintf("%.0f – %.0f – %.0f %%", 100*shares[0], 100*share, 100*shares[len(shares)-1]),
		sum.both(),
		fmt.Sprintf("%.0f %%", 100*float64(sum.throttled)/float64(sum.due)), fmt.Sprintf("%.0f %%", 100*float64(sum.unsent)/float64(sum.due)), "≥ 80 %", met(share >= 0.8))
	return nil
}

// capacityClients are few enough that none of them waits as long as a request
// may, and enough to keep the processors busy.
const capacityClients = 16

// capacity is what clients that wait for their answers reach together.
func (d *process) capacity(requests [][]byte, length time.Duration) (float64, error) {
	conns := make([]*rawClient, capacityClients)
	for i := range conns {
		var err error
		if conns[i], err = dial(d.address); err != nil {
			return 0, err
		}
		defer conns[i].conn.Close()
	}
	r, err := clients(capacityClients, length, func(c, i int) error { return conns[c].call(requests[(c+i)%len(requests)]) })
	return r.perSecond, err
}

// hotAccount plays a quiet account alone, and beside one that asks for twice
// what the node can do, from the same address.
func hotAccount(p *plan, d *process, other *local.Credentials, length time.Duration) error {
	hot, err := d.many("iam", simulation())
	if err != nil {
		return err
	}
	mine := *d
	mine.credentials = other
	quiet, err := mine.many("iam", simulation())
	if err != nil {
		return err
	}
	var t table
	t.add("a quiet account, a fifth of the capacity", "answered within 1 s", "p50 / p99 at the client", "p50 / p99 within the node")
	var alone, beside outcome
	var inAlone, inBeside []time.Duration
	var seen int64
	for range p.rounds {
		capacity, err := d.capacity(hot, p.load)
		if err != nil {
			return err
		}
		s := stream{capacity / 5, quiet}
		if _, seen, err = d.within(other.Account, seen); err != nil {
			return err
		}
		a, err := play(d.address, length, s)
		if err != nil {
			return err
		}
		took, read, err := d.within(other.Account, seen)
		if err != nil {
			return err
		}
		inAlone, seen = append(inAlone, took...), read
		b, err := play(d.address, length, s, stream{2 * capacity, hot})
		if err != nil {
			return err
		}
		if took, seen, err = d.within(other.Account, seen); err != nil {
			return err
		}
		inBeside = append(inBeside, took...)
		alone.due, alone.good = alone.due+a[0].due, append(alone.good, a[0].good...)
		beside.due, beside.good = beside.due+b[0].due, append(beside.good, b[0].good...)
	}
	in := [2]*outcome{{good: inAlone}, {good: inBeside}}
	for i, x := range []struct {
		name string
		o    *outcome
	}{{"alone", &alone}, {"beside one that asks for 2 × the capacity", &beside}} {
		t.add(x.name, fmt.Sprintf("%.1f %%", 100*x.o.goodShare()), x.o.both(), in[i].both())
	}
	ratio := func(a, b *outcome) string {
		at := func(q float64) float64 { return float64(b.quantile(q)) / float64(a.quantile(q)) }
		return fmt.Sprintf("%.1f × / %.1f ×, met: %s", at(0.5), at(0.99), met(at(0.5) <= 2))
	}
	t.add("goal: ≤ 2 × (median)", "", ratio(&alone, &beside), ratio(in[0], in[1]))
	t.print(p)
	return nil
}

func (o *outcome) both() string {
	return nanos(float64(o.quantile(0.5))) + " / " + nanos(float64(o.quantile(0.99)))
}

// within reads from the node's log, from an offset on, how long the requests of
// an account's root took from the end of their header to their answer: what the
// node itself adds, without the way there and the scheduling of this process.
func (d *process) within(account string, from int64) (took []time.Duration, read int64, err error) {
	f, err := os.Open(filepath.Join(d.dir, "data", "logs", "us-east-1a.log"))
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, from, 1<<40))
	if err != nil {
		return nil, 0, err
	}
	for line := range bytes.Lines(text) {
		var l struct {
			Took      time.Duration
			Principal string
		}
		if json.Unmarshal(line, &l) == nil && strings.Contains(l.Principal, account) {
			took = append(took, l.Took)
		}
	}
	return took, from + int64(len(text)), nil
}

// simulation is a dear read.
func simulation() url.Values {
	form := url.Values{"Action": {"SimulateCustomPolicy"}, "Version": {"2010-05-08"},
		"PolicyInputList.member.1": {`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"storage:*","Resource":"arn:aws:storage:::thing-*"}}`}}
	for i := range 10 {
		form.Set(fmt.Sprintf("ActionNames.member.%d", i+1), fmt.Sprintf("storage:Action%d", i))
		form.Set(fmt.Sprintf("ResourceArns.member.%d", i+1), fmt.Sprintf("arn:aws:storage:::thing-%d", i))
	}
	return form
}

// many signs a call once for each of some connections.
func (d *process) many(service string, form url.Values) ([][]byte, error) {
	out := make([][]byte, httpClients)
	for i := range out {
		var err error
		if out[i], err = d.signed(d.address, service, form); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// account makes another account, and reads its credentials.
func (d *process) account(p *plan, id string) (*local.Credentials, error) {
	bin := p.binary
	if bin == "" {
		bin = filepath.Join(d.dir, "holdfast")
	}
	data := filepath.Join(d.dir, "data")
	if out, err := exec.Command(bin, "--data", data, "account", "create", "--id", id).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	c, err := local.Layout{Dir: data}.Credentials(id)
	if err != nil {
		return nil, err
	}
	c.AdminKeyID, c.AdminSecret = c.RootKeyID, c.RootSecret // it has no other user
	return c, nil
}
