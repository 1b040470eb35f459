package node

import (
	"context"
	"maps"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/front"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/store"
)

// Release is the version of this build; docs/releases.md names its commits.
const Release = "0.1.0"

// Metrics of one node. Each name is in the tables of docs/operations.md; a test
// compares them with what running nodes serve. Every series carries role,
// region, zone and node, so that rules and dashboards need no relabelling.
type Metrics struct {
	prometheus.Gatherer
	Registry prometheus.Registerer
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	classes  map[string]string // by service:operation
	mu       sync.Mutex        // of those who add to series
	series   atomic.Pointer[map[request]*series]

	decisions     *prometheus.CounterVec // Region
	relayFailures prometheus.Counter     // Region
	global        prometheus.Counter     // Region
	caughtUp      prometheus.Counter     // Region
	commits       *prometheus.CounterVec // control plane
	commitSeconds prometheus.Histogram   // control plane
	commitRecords prometheus.Histogram   // control plane
}

// newMetrics makes a node's metrics: those that any node has.
func newMetrics(c *config.Config, node, role string) *Metrics {
	labels := prometheus.Labels{"role": role, "region": c.Region, "zone": c.Zone, "node": node}
	registry := prometheus.NewRegistry()
	m := &Metrics{Gatherer: registry, Registry: prometheus.WrapRegistererWith(labels, registry),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_requests_total",
			Help: "Requests answered, by service, operation, outcome (ok, refused, failed) and error code."}, []string{"service", "operation", "outcome", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "holdfast_request_duration_seconds",
			Help: "Time from reading a request to its answer, by class of operation.", Buckets: prometheus.ExponentialBuckets(0.0001, 3, 11)}, []string{"class"}),
	}
	m.series.Store(&map[request]*series{})
	m.Registry.MustRegister(m.requests, m.seconds, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo())
	if role == record.ControlNode {
		m.ofControl(registry, labels)
	} else {
		m.ofRegion()
	}
	return m
}

func buildInfo() prometheus.Collector {
	commit := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = s.Value
			}
		}
	}
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "holdfast_build_info", Help: "1; the labels say which build this is.",
		ConstLabels: prometheus.Labels{"version": Release, "commit": commit, "go": runtime.Version(), "format": strconv.Itoa(record.Format)}}, func() float64 { return 1 })
}

func (m *Metrics) ofRegion() {
	m.decisions = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_decisions_total",
		Help: "Questions answered by the decision doors, by door and decision; Error: the question was refused."}, []string{"door", "decision"})
	m.relayFailures = prometheus.NewCounter(prometheus.CounterOpts{Name: "holdfast_relay_failures_total",
		Help: "Writes that this Region could not hand to the control plane: their clients were told ServiceUnavailable."})
	m.global = prometheus.NewCounter(prometheus.CounterOpts{Name: "holdfast_sts_global_requests_total",
		Help: "Requests to the host of STS that names no Region, sts.amazonaws.com: the node's log says whose, by \"global\":true."})
	m.caughtUp = prometheus.NewCounter(prometheus.CounterOpts{Name: "holdfast_peer_catch_ups_total",
		Help: "Times that this node turned to a peer of its Region for what the control plane's own stream had not brought."})
	m.Registry.MustRegister(m.decisions, m.relayFailures, m.global, m.caughtUp)
}

func (m *Metrics) ofControl(registry *prometheus.Registry, labels prometheus.Labels) {
	m.commits = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_commits_total",
		Help: "Commits that this node asked the store for, by outcome: made, refused (another node was first), unknown (no answer)."}, []string{"outcome"})
	m.commitSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "holdfast_commit_duration_seconds",
		Help: "Time that the store took for one commit, with its fsync.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)})
	m.commitRecords = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "holdfast_commit_records",
		Help: "Calls that one commit of this node made durable together.", Buckets: prometheus.ExponentialBuckets(1, 2, 9)})
	m.Registry.MustRegister(m.commits, m.commitSeconds, m.commitRecords)
	m.Gatherer = prometheus.Gatherers{registry, &storeMetrics{labels}}
}

// know learns the class of each operation of a table: to a client a write's
// time is another thing than a read's.
func (m *Metrics) know(t *api.Table) {
	m.classes = map[string]string{}
	for _, op := range t.All() {
		class := op.Service + "_read"
		switch {
		case op.Service == "sts":
			class = "sts"
		case op.Effect == api.Write:
			class = op.Service + "_write"
		}
		m.classes[op.Service+":"+op.Name] = class
	}
}

// class of an operation: one of ours, a question at a decision door, or none.
func (m *Metrics) class(service, operation string) string {
	if c := m.classes[service+":"+operation]; c != "" {
		return c
	}
	if service == "holdfast" {
		return "decision"
	}
	return "none"
}

// request is what tells one series of requests from another.
type request struct{ service, operation, code, outcome string }

type series struct {
	count   prometheus.Counter
	seconds prometheus.Observer
}

// observe counts one answered request. Series are found in a map that never
// changes: no lock and no memory, once each has been seen. Their number is
// bounded, since operations and codes are ours.
func (m *Metrics) observe(service, operation, code string, status int, took time.Duration) {
	key := request{service, operation, code, outcomeOf(status)}
	s := (*m.series.Load())[key]
	if s == nil {
		s = m.add(key)
	}
	s.count.Inc()
	s.seconds.Observe(took.Seconds())
}

func (m *Metrics) add(key request) *series {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &series{m.requests.WithLabelValues(key.service, key.operation, key.outcome, key.code),
		m.seconds.WithLabelValues(m.class(key.service, key.operation))}
	all := maps.Clone(*m.series.Load())
	all[key] = s
	m.series.Store(&all)
	return s
}

// outcomeOf tells a refusal, which is the client's, from a failure, ours.
func outcomeOf(status int) string {
	switch {
	case status >= 200 && status < 400:
		return "ok"
	case status >= 400 && status < 500:
		return "refused"
	}
	return "failed"
}

// decided counts the decisions of one door.
func (m *Metrics) decided(door string) func(decision string) {
	counters := map[string]prometheus.Counter{}
	for _, d := range []string{"Allowed", "ExplicitDeny", "ImplicitDeny", "Error"} {
		counters[d] = m.decisions.WithLabelValues(door, d)
	}
	return func(decision string) { counters[decision].Inc() }
}

// relayed counts the writes that could not be relayed.
func (m *Metrics) relayed(relay func(context.Context, *front.Relayed) (*front.Reply, error)) func(context.Context, *front.Relayed) (*front.Reply, error) {
	return func(ctx context.Context, r *front.Relayed) (*front.Reply, error) {
		reply, err := relay(ctx, r)
		if err != nil {
			m.relayFailures.Inc()
		}
		return reply, err
	}
}

// measured is a store whose commits are timed.
type measured struct {
	store.KV
	m *Metrics
}

// Commit times the store's.
func (k measured) Commit(ctx context.Context, t *store.Txn) (bool, error) {
	begun := clock()
	ok, err := k.KV.Commit(ctx, t)
	k.m.commitSeconds.Observe(clock().Sub(begun).Seconds())
	switch {
	case err != nil:
		k.m.commits.WithLabelValues("unknown").Inc()
	case ok:
		k.m.commits.WithLabelValues("made").Inc()
	default:
		k.m.commits.WithLabelValues("refused").Inc()
	}
	return ok, err
}
