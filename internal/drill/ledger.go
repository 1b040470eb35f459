package drill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// Ledger makes users, and keeps which of them were acknowledged: each of those
// must be there afterwards, once.
type Ledger struct {
	Client *Client
	Admin  Credential
	Prefix string // of the users' names
	Path   string // of the users
	Rate   int    // a second
	// Patience is for how long one user is tried, as SDKs do: with the same
	// invocation id, which is done once.
	Patience time.Duration

	mu      sync.Mutex
	acked   []string
	refused int           // tries that were answered with a 5xx
	busy    int           // tries that were told to come again
	broken  int           // tries that were not answered
	wrong   []string      // tries that were answered otherwise
	slowest time.Duration // refusal
	last    time.Time     // when the last was acknowledged
	wait    sync.WaitGroup
}

// ledgerTimeout bounds one try.
const ledgerTimeout = 10 * time.Second

// Run makes users until ctx ends, and waits for those that are under way.
func (l *Ledger) Run(ctx context.Context) {
	tick := time.NewTicker(time.Second / time.Duration(l.Rate))
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			l.wait.Wait()
			return
		case <-tick.C:
			l.wait.Go(func() { l.make(fmt.Sprintf("%s-%d", l.Prefix, n)) })
		}
	}
}

func (l *Ledger) make(name string) {
	begun := l.Client.Now()
	for try := 0; try == 0 || l.Client.Now().Sub(begun) < l.Patience; try++ {
		if try > 0 {
			<-time.After(backoff(try))
		}
		sent := l.Client.Now()
		ctx, cancel := context.WithTimeout(context.Background(), ledgerTimeout)
		a, err := l.Client.CallAs(ctx, "make-"+name, l.Admin, "iam", "CreateUser", "UserName", name, "Path", l.Path)
		cancel()
		if l.note(name, a, err, l.Client.Now().Sub(sent)) {
			return
		}
	}
}

// The pauses between tries, as SDKs make them: at first short, twice as long each
// time, up to a bound, and any part of that. Without it the users that could not be
// made during a long fault come to more requests than the load that is measured.
const (
	firstPause = 50 * time.Millisecond
	maxPause   = 5 * time.Second
)

func backoff(try int) time.Duration {
	bound := min(maxPause, firstPause<<min(try, 10))
	return firstPause/2 + rand.N(bound)
}

// note says whether a try was the last.
func (l *Ledger) note(name string, a *Answer, err error, took time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.broken++
		return false
	case a.Status >= 500:
		l.refused++
		l.slowest = max(l.slowest, took)
		return false
	case a.Code() == "Throttling":
		l.busy++
		return false
	case a.Status == 200:
		l.acked, l.last = append(l.acked, name), l.Client.Now()
	default:
		l.wrong = append(l.wrong, fmt.Sprintf("%s: %d %s", name, a.Status, a.Code()))
	}
	return true
}

// Acked is how many were acknowledged so far, and when the last was.
func (l *Ledger) Acked() (int, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked), l.last
}

// Refused is how many tries were refused, and how long the slowest refusal took.
func (l *Ledger) Refused() (int, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused, l.slowest
}

// Writes is what became of a ledger.
type Writes struct {
	Acknowledged int           `json:"acknowledged"`
	Refused      int           `json:"refused"`    // tries answered with 503 or another 5xx
	Busy         int           `json:"busy"`       // tries that were told to come again because the node was busy
	Unanswered   int           `json:"unanswered"` // tries
	Slowest      time.Duration `json:"slowestRefusal"`
	Lost         []string      `json:"lost,omitempty"`
	Doubled      []string      `json:"doubled,omitempty"`
	Wrong        []string      `json:"wrong,omitempty"`
}

// Held says that nothing was lost, doubled or answered wrongly.
func (w *Writes) Held() bool { return len(w.Lost)+len(w.Doubled)+len(w.Wrong) == 0 }

// Check compares what was acknowledged with the users that a client is told of.
func (l *Ledger) Check(ctx context.Context, c *Client) (*Writes, error) {
	there, err := c.Users(ctx, l.Admin, l.Path)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &Writes{Acknowledged: len(l.acked), Refused: l.refused, Busy: l.busy, Unanswered: l.broken, Slowest: l.slowest, Wrong: slices.Clone(l.wrong)}
	for _, name := range l.acked {
		switch n := there[name]; {
		case n == 0:
			w.Lost = append(w.Lost, name)
		case n > 1:
			w.Doubled = append(w.Doubled, name)
		}
	}
	return w, nil
}

// Users counts the users under a path by name.
func (c *Client) Users(ctx context.Context, who Credential, path string) (map[string]int, error) {
	count := map[string]int{}
	for marker := ""; ; {
		params := []string{"MaxItems", "1000", "PathPrefix", path}
		if marker != "" {
			params = append(params, "Marker", marker)
		}
		a, err := c.Call(ctx, who, "iam", "ListUsers", params...)
		if err != nil {
			return nil, err
		}
		if a.Status != 200 {
			return nil, fmt.Errorf("ListUsers: %d %s", a.Status, strings.TrimSpace(string(a.Body)))
		}
		for _, name := range a.Elements("UserName") {
			count[name]++
		}
		if marker = a.Element("Marker"); marker == "" {
			return count, nil
		}
	}
}
