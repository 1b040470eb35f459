package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of one node. Their names are listed in docs/operations.md, which a
// test compares with these.
type Metrics struct {
	Registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

// newMetrics makes a node's metrics; status is read at each scrape.
func newMetrics(status func() Status) *Metrics {
	m := &Metrics{
		Registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_requests_total",
			Help: "Requests answered, by service, operation and error code (empty: success)."}, []string{"service", "operation", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "holdfast_request_seconds",
			Help: "Time from reading a request to its answer.", Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9)}, []string{"service"}),
	}
	gauge := func(name, help string, value func(Status) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(status()) })
	}
	m.Registry.MustRegister(m.requests, m.seconds,
		gauge("holdfast_view_index", "Log index that this node serves.", func(s Status) float64 { return float64(s.Index) }),
		gauge("holdfast_view_age_seconds", "Time since this node last heard of the head of the log.", func(s Status) float64 { return s.Age }),
		gauge("holdfast_records", "Records in this node's view.", func(s Status) float64 { return float64(s.Records) }),
		gauge("holdfast_ready", "1 if the node is ready.", func(s Status) float64 { return boolean(s.Ready) }),
		gauge("holdfast_signing_horizon_seconds", "Time until the last published signing key of this node ends.", func(s Status) float64 { return s.Horizon }),
		gauge("holdfast_connected", "1 if the node follows the control plane.", func(s Status) float64 { return boolean(s.Connected) }),
	)
	return m
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// observe counts one answered request.
func (m *Metrics) observe(service, operation, code string, took time.Duration) {
	m.requests.WithLabelValues(service, operation, code).Inc()
	m.seconds.WithLabelValues(service).Observe(took.Seconds())
}
