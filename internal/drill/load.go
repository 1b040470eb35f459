package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Question is a request whose answer is known before it is asked.
type Question struct {
	Name   string
	Client *Client
	Who    Credential
	// Service, Action and Params are of the query protocol; Path and Body in
	// their place of a decision door.
	Service, Action string
	Params          []string
	Path            string
	Body            []byte
	// Want is the status, with the error's code behind it where there is one,
	// or a word that a door's answer must hold.
	Want string
	// Revoked says that it is signed with what was taken away before.
	Revoked bool
}

// Call is one question as it went.
type Call struct {
	At       time.Duration `json:"at"`   // since the load began, when it was due
	Took     time.Duration `json:"took"` // since it was due
	Question string        `json:"question"`
	Region   string        `json:"region"`
	Got      string        `json:"got"`
	Want     string        `json:"want"`
	Revision string        `json:"revision,omitempty"`
	Tries    int           `json:"tries"`
	Busy     int           `json:"busy,omitempty"` // times that it was told to come again, and did
	OK       bool          `json:"ok"`
	Revoked  bool          `json:"revoked,omitempty"`
}

// Load asks questions at a constant rate, whether or not earlier ones were
// answered: a client of a slow server does not become a slower client.
type Load struct {
	Questions []Question
	Rate      int           // a second, over all questions
	Retries   int           // of a try that was not answered or with a 5xx
	Timeout   time.Duration // of one try
	Now       func() time.Time
	Record    io.Writer // a JSON line a call; nil: none

	mu    sync.Mutex
	calls []Call
	begun time.Time
	wait  sync.WaitGroup
}

// maxOpen bounds the requests that are under way; one more is a failure, since a
// client of such a server has failed as well.
const maxOpen = 20_000

// sendEach is how often what is due is sent.
const sendEach = time.Millisecond

// Run asks until ctx ends, and waits for the answers that are due.
func (l *Load) Run(ctx context.Context) {
	l.begun = l.Now()
	open := make(chan struct{}, maxOpen)
	tick := time.NewTicker(sendEach)
	defer tick.Stop()
	for n := 0; ; {
		due := int(l.Now().Sub(l.begun).Seconds() * float64(l.Rate))
		for ; n < due; n++ {
			q, at := &l.Questions[n%len(l.Questions)], time.Duration(n)*time.Second/time.Duration(l.Rate)
			select {
			case open <- struct{}{}:
				l.wait.Go(func() { l.ask(q, at); <-open })
			default:
				l.add(Call{At: at, Question: q.Name, Region: q.Client.Region, Got: "not sent: too many are open", Want: q.Want})
			}
		}
		select {
		case <-ctx.Done():
			l.wait.Wait()
			return
		case <-tick.C:
		}
	}
}

// A node with more to do than it can says so; its clients come again, as SDKs do.
const (
	maxBusy   = 5
	busyPause = 100 * time.Millisecond
)

// ask asks one question, and again when it may be repeated.
func (l *Load) ask(q *Question, at time.Duration) {
	c := Call{At: at, Question: q.Name, Region: q.Client.Region, Want: q.Want, Revoked: q.Revoked}
	for c.Tries = 1; ; c.Tries++ {
		client := q.Client
		if c.Tries > 1 { // another connection, as a client behind a balancer gets
			fresh := *client
			fresh.HTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			client = &fresh
		}
		a, err := q.send(client, l.Timeout)
		c.Got, c.OK = q.judge(a, err)
		if a != nil {
			c.Revision = a.Revision()
		}
		if err == nil && a.Code() == "Throttling" && c.Busy < maxBusy {
			c.Busy++
			c.Tries--
			<-time.After(time.Duration(c.Busy) * busyPause)
			continue
		}
		if c.Tries > l.Retries || err == nil && a.Status < 500 {
			break
		}
	}
	c.Took = l.Now().Sub(l.begun) - at
	l.add(c)
}

func (q *Question) send(c *Client, timeout time.Duration) (*Answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if q.Path != "" {
		return c.Send(ctx, q.Who, "holdfast", "POST", q.Path, map[string]string{"Content-Type": "application/json"}, q.Body)
	}
	return c.Call(ctx, q.Who, q.Service, q.Action, q.Params...)
}

// judge says what was answered, and whether it is what was known before.
func (q *Question) judge(a *Answer, err error) (got string, ok bool) {
	switch {
	case err != nil:
		return "no answer: " + err.Error(), false
	case a.Status == 200 && q.Path != "" && strings.Contains(string(a.Body), q.Want):
		return q.Want, true
	}
	got = fmt.Sprint(a.Status)
	if code := a.Code(); code != "" {
		got += " " + code
	}
	return got, got == q.Want
}

func (l *Load) add(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, c)
	if l.Record != nil {
		text, _ := json.Marshal(c)                // texts and numbers: cannot fail
		_, _ = l.Record.Write(append(text, '\n')) // the counts stand in the report
	}
}

// Calls are the calls so far.
func (l *Load) Calls() []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.calls)
}

// Summary is what became of a load.
type Summary struct {
	Sent     int           `json:"sent"`
	Failed   int           `json:"failed"`  // not answered, or not as was known before
	Retried  int           `json:"retried"` // of those that did not fail
	Busy     int           `json:"busy"`    // that were told to come again because the node was busy, and did
	P50      time.Duration `json:"p50"`
	P99      time.Duration `json:"p99"`
	Max      time.Duration `json:"max"`
	Revoked  int           `json:"revoked"`  // sent with what was taken away
	Admitted int           `json:"admitted"` // of those, that were not refused
	Failures []Call        `json:"failures,omitempty"`
}

// maxFailures bounds the failures that a summary shows.
const maxFailures = 20

// Sum counts calls.
func Sum(calls []Call) Summary {
	s := Summary{Sent: len(calls)}
	var took []time.Duration
	for _, c := range calls {
		took = append(took, c.Took)
		if c.Revoked {
			s.Revoked++
			if strings.HasPrefix(c.Got, "200") {
				s.Admitted++
			}
		}
		if c.Busy > 0 {
			s.Busy++
		}
		switch {
		case !c.OK:
			s.Failed++
			if len(s.Failures) < maxFailures {
				s.Failures = append(s.Failures, c)
			}
		case c.Tries > 1:
			s.Retried++
		}
	}
	if len(took) > 0 {
		slices.Sort(took)
		s.P50, s.P99, s.Max = took[len(took)/2], took[len(took)*99/100], took[len(took)-1]
	}
	return s
}
