package node

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-iam/holdfast/internal/admission"
)

// changesUnderWay bounds the changes of one node that wait for their commit:
// four groups, and together with its neighbours less than the sequencer queues.
const changesUnderWay = 1024

// newGate bounds what a node works on at once. Its work is the processor's, and
// a slot is given back where anything else is waited for, so more at once would
// only make each take longer, the requests of a quiet account too.
func newGate(m *Metrics) *admission.Gate {
	return gate(m, "work", max(2, runtime.GOMAXPROCS(0)))
}

// newChanges bounds the changes that are on their way.
func newChanges(m *Metrics) *admission.Gate { return gate(m, "changes", changesUnderWay) }

func gate(m *Metrics, name string, slots int) *admission.Gate {
	g := admission.NewGate(slots, admission.Standard, clock)
	labels := prometheus.Labels{"gate": name}
	waited := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "holdfast_admission_wait_seconds", ConstLabels: labels,
		Help: "How long admitted requests waited for a slot; who found one at once is not counted.", Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8)})
	g.Waited = func(_ admission.Class, d time.Duration) { waited.Observe(d.Seconds()) }
	m.Registry.MustRegister(waited, &admissionMetrics{g,
		prometheus.NewDesc("holdfast_admission_busy", "Slots taken.", nil, labels),
		prometheus.NewDesc("holdfast_admission_waiting", "Requests that wait for a slot.", nil, labels),
		prometheus.NewDesc("holdfast_admitted_total", "Requests admitted, by class.", []string{"class"}, labels),
		prometheus.NewDesc("holdfast_refused_total", "Requests refused because of load, by class and reason: full, late, gone.", []string{"class", "reason"}, labels)})
	return g
}

// admissionMetrics reads a gate's counters at each scrape.
type admissionMetrics struct {
	gate                             *admission.Gate
	busy, waiting, admitted, refused *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (a *admissionMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{a.busy, a.waiting, a.admitted, a.refused} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (a *admissionMetrics) Collect(out chan<- prometheus.Metric) {
	c := a.gate.Counts()
	out <- prometheus.MustNewConstMetric(a.busy, prometheus.GaugeValue, float64(c.Busy))
	out <- prometheus.MustNewConstMetric(a.waiting, prometheus.GaugeValue, float64(c.Waiting))
	for i := range admission.Classes {
		class := admission.Class(i).String()
		out <- prometheus.MustNewConstMetric(a.admitted, prometheus.CounterValue, float64(c.Admitted[i]), class)
		for j := range admission.Reasons {
			out <- prometheus.MustNewConstMetric(a.refused, prometheus.CounterValue, float64(c.Refused[i][j]), class, admission.Reason(j).String())
		}
	}
}
