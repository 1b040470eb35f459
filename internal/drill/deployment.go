package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-iam/holdfast/internal/local"
)

// Deployment is a running `holdfast up`, seen from outside.
type Deployment struct {
	Layout    local.Layout
	Addresses local.Addresses
	Now       func() time.Time
}

// Attach finds what a data directory's `up` runs.
func Attach(l local.Layout, now func() time.Time) (*Deployment, error) {
	d := &Deployment{Layout: l, Now: now}
	if err := local.Read(l.AddressesFile(), &d.Addresses); err != nil || !l.Held() {
		return nil, fmt.Errorf("%s is not running: start it with `holdfast up`", l.Dir)
	}
	return d, nil
}

// Regions lists the Regions' names.
func (d *Deployment) Regions() (names []string) {
	for _, n := range d.Addresses.Regions {
		if !slices.Contains(names, n.Region) {
			names = append(names, n.Region)
		}
	}
	return names
}

// RegionNodes are the names of a Region's nodes; "" means of all Regions.
func (d *Deployment) RegionNodes(region string) (names []string) {
	for _, n := range d.Addresses.Regions {
		if region == "" || n.Region == region {
			names = append(names, n.Name)
		}
	}
	return names
}

// ControlNodes are the names of the control plane's nodes.
func (d *Deployment) ControlNodes() (names []string) {
	for _, n := range d.Addresses.ControlNodes() {
		names = append(names, n.Name)
	}
	return names
}

// Client asks a Region; "" means the first.
func (d *Deployment) Client(region string) *Client {
	for _, n := range d.Addresses.Regions {
		if region == "" || n.Region == region {
			return NewClient(n.API, n.Region, d.Now)
		}
	}
	return nil
}

// Status is what a node says of itself, as far as a drill needs it.
type Status struct {
	Node      string   `json:"node"`
	Role      string   `json:"role"`
	Ready     bool     `json:"ready"`
	Why       string   `json:"why"`
	Connected bool     `json:"connected"`
	Revision  string   `json:"revision"`
	Lineage   string   `json:"lineage"`
	Index     uint64   `json:"index"`
	Age       float64  `json:"ageSeconds"`
	Digest    string   `json:"digest"`
	Horizon   float64  `json:"horizonSeconds"`
	Sequencer string   `json:"sequencer"`
	Term      uint64   `json:"term"`
	InSync    []string `json:"inSync"`
	Missing   []string `json:"missing"`
}

// Look asks every node that answers within a second, at once.
func (d *Deployment) Look(ctx context.Context) map[string]*Status {
	all := map[string]*Status{}
	var mu sync.Mutex
	var wait sync.WaitGroup
	for _, n := range d.Addresses.All() {
		wait.Go(func() {
			if s := look(ctx, n.Admin); s != nil {
				mu.Lock()
				defer mu.Unlock()
				all[n.Name] = s
			}
		})
	}
	wait.Wait()
	return all
}

func look(ctx context.Context, admin string) *Status {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/status", nil)
	if err != nil {
		return nil
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	s := new(Status)
	if json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(s) != nil {
		return nil
	}
	return s
}

// Sequencer is the control-plane node that sequences, as the nodes in reach say.
func (d *Deployment) Sequencer(ctx context.Context) (name string, term uint64) {
	for _, s := range d.Look(ctx) {
		if s.Role == "control" && s.Term >= term && s.Sequencer != "" {
			name, term = s.Sequencer, s.Term
		}
	}
	return name, term
}

// Agree says whether every node answers, and with the same state: "", or what
// is otherwise.
func (d *Deployment) Agree(ctx context.Context) string {
	all := d.Look(ctx)
	digest, first := "", ""
	for _, n := range d.Addresses.All() {
		s := all[n.Name]
		switch {
		case s == nil:
			return n.Name + " does not answer"
		case !s.Ready:
			return n.Name + " is not ready: " + s.Why
		case s.Role == "region" && !s.Connected:
			return n.Name + " follows nobody"
		case digest == "":
			digest, first = s.Digest, n.Name
		case s.Digest != digest:
			return fmt.Sprintf("%s and %s have different states", first, n.Name)
		}
	}
	return ""
}

// lookPause is how often something is looked at again.
const lookPause = 50 * time.Millisecond

// Converge waits until every node has the same state, and says how long that
// took, or what is otherwise at the end of its patience.
func (d *Deployment) Converge(ctx context.Context, patience time.Duration) (time.Duration, error) {
	begun := d.Now()
	for {
		what := d.Agree(ctx)
		took := d.Now().Sub(begun)
		switch {
		case what == "":
			return took, nil
		case took > patience || ctx.Err() != nil:
			return took, fmt.Errorf("after %s %s", took.Round(time.Millisecond), what)
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookPause):
		}
	}
}

// Watch sees that no node ever serves an older index than before.
type Watch struct {
	Deployment *Deployment
	Pause      time.Duration

	mu      sync.Mutex
	highest map[string]*Status
	samples int
	back    []string
}

// Run looks until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	w.highest = map[string]*Status{}
	for {
		for name, s := range w.Deployment.Look(ctx) {
			w.note(name, s)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(w.Pause):
		}
	}
}

func (w *Watch) note(name string, s *Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.samples++
	old := w.highest[name]
	if old != nil && old.Lineage == s.Lineage && old.Index > s.Index {
		w.back = append(w.back, fmt.Sprintf("%s served index %d after %d", name, s.Index, old.Index))
	}
	if old == nil || s.Lineage != old.Lineage || s.Index > old.Index {
		w.highest[name] = s
	}
}

// Found is how many samples there were, and which went back.
func (w *Watch) Found() (samples int, back []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.samples, slices.Clone(w.back)
}

// members is where each member of the store is reached by the others.
func (d *Deployment) members() map[string]string {
	var m local.Marker
	if local.Read(d.Layout.Marker(), &m) != nil {
		return nil
	}
	return m.Etcd
}
