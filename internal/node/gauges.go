package node

import (
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/feed"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// gauge is a value that is read at each scrape.
func (m *Metrics) gauge(name, help string, read func() float64) {
	m.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// counter is a count that is kept elsewhere and read at each scrape.
func (m *Metrics) counter(name, help string, labels prometheus.Labels, read func() uint64) {
	m.Registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 { return float64(read()) }))
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// ofView are the gauges of what a node serves, and of the machine that it is on.
func (m *Metrics) ofView(dir string, current func() *view.View, age func() time.Duration) {
	m.gauge("holdfast_view_index", "Log index that this node serves.", func() float64 { return float64(current().Head.Index) })
	m.gauge("holdfast_view_term", "Term of the head that this node serves: it grows when another control-plane node takes over.", func() float64 { return float64(current().Head.Term) })
	m.gauge("holdfast_view_format", "Format of the head that this node serves.", func() float64 { return float64(current().Head.Format) })
	m.gauge("holdfast_view_age_seconds", "Time since this node last heard of the head of the log.", func() float64 { return age().Seconds() })
	m.gauge("holdfast_view_timestamp_seconds", "Commit time of the head that this node serves.", func() float64 { return unixSeconds(current().Head.At()) })
	m.gauge("holdfast_view_records", "Records in this node's view.", func() float64 { return float64(current().Len()) })
	m.gauge("holdfast_view_denials", "Denials in force in this node's view.", func() float64 { return float64(current().Terms(record.DenialByTarget.Name)) })
	m.gauge("holdfast_signing_keys_unknown", "Signing keys in this node's view that not every enrolled node is known to have: tokens signed with them are good in their own Region alone.",
		func() float64 { return float64(unknownKeys(current())) })
	m.gauge("holdfast_clock_timestamp_seconds", "This node's clock.", func() float64 { return unixSeconds(clock()) })
	m.gauge("holdfast_disk_free_bytes", "Space left for this node on the disk of its directory.", func() float64 { return float64(freeBytes(dir)) })
}

func unknownKeys(v *view.View) (n int) {
	v.Range(record.SigningKeyByNode.Name, "", "", func(_ string, e *record.Entry) bool {
		if k, err := record.SigningKeys.Open(e); err == nil && !k.Known && !k.Revoked {
			n++
		}
		return true
	})
	return n
}

// ofVerifier counts what the caches of credentials lacked. A hit is not
// counted: it would be the only word that all requests write to.
func (m *Metrics) ofVerifier(v *authn.Verifier) {
	const name, help = "holdfast_credential_cache_misses_total", "Credentials that had to be opened or derived anew, by cache; the other requests found theirs."
	m.counter(name, help, prometheus.Labels{"cache": "session_token"}, v.TokensOpened)
	m.counter(name, help, prometheus.Labels{"cache": "signing_key"}, v.KeysDerived)
}

// gauges of a Region node.
func (r *Region) gauges(v *authn.Verifier) {
	m := r.metrics
	m.ofView(r.Config.Dir, r.view, func() time.Duration { return r.replica.Age(clock()) })
	m.ofVerifier(v)
	m.gauge("holdfast_ready", "1 if the node is ready.", func() float64 { ready, _ := r.ready(); return boolean(ready) })
	m.gauge("holdfast_peers", "Nodes of the Region that this node has an address of.", func() float64 { return float64(len(r.peers.links.all())) })
	m.gauge("holdfast_peers_heard", "Nodes of the Region that this node hears.", func() float64 { return float64(len(r.peers.live())) })
	m.gauge("holdfast_region_denials_pending", "Commands of the Region's own denials on this node's disk that the control plane is not known to have.", func() float64 { return float64(len(r.denials.here())) })
	m.gauge("holdfast_region_tickets_pending", "Nodes that the Region has admitted by itself and the control plane is not known to have.", func() float64 { return float64(len(r.tickets.here())) })
	m.gauge("holdfast_utilisation_ratio", "How busy the node is, as a part of what it can do: of its processors or of the slots of its gate, whichever is more, over ten seconds.", r.peers.busy)
	m.gauge("holdfast_zone_loss_utilisation_ratio", "How busy the Region's other nodes would be if the zone with most of them went, as this node hears them: above 1 the Region cannot lose a zone. +Inf: nobody would be left.",
		func() float64 {
			if left, ok := r.peers.headroom(); ok {
				return left
			}
			return math.Inf(1)
		})
	m.gauge("holdfast_alarm", "1 if the node refuses what it is sent, or cannot write it, and so serves an older view; /status says why.", func() float64 { return boolean(r.replica.Alarm() != "") })
	m.gauge("holdfast_connected", "1 if the node follows the control plane.", func() float64 { return boolean(r.replica.Connected()) })
	m.gauge("holdfast_time_floor_timestamp_seconds", "The node's time floor: the newest commit time that it has verified.", func() float64 { return unixSeconds(r.replica.Floor()) })
	m.gauge("holdfast_signing_horizon_seconds", "Time until the last published signing key of this node ends.", func() float64 {
		set := r.signing.Load()
		if set == nil {
			return 0
		}
		return set.Horizon(r.view(), clock()).Seconds()
	})
}

// gauges of a control-plane node.
func (c *Control) gauges(v *authn.Verifier) {
	m := c.metrics
	m.ofView(c.Config.Dir, c.writer.View, func() time.Duration { return c.writer.Age(clock()) })
	m.ofVerifier(v)
	m.gauge("holdfast_ready", "1 if the node is ready.", func() float64 { return boolean(c.writer.View() != nil) })
	m.gauge("holdfast_sequences", "1 if this node made the newest commit that it knows of: it is the one that commits.", func() float64 { return boolean(c.writer.Sequences()) })
	m.gauge("holdfast_clock_believed", "1 if this node's time may stand on a commit.", func() float64 { return boolean(c.clock.judge() == nil) })
	m.gauge("holdfast_connected", "1 if the store answered when it was asked last.", func() float64 { return boolean(c.writer.Reachable()) })
	m.gauge("holdfast_log_bytes", "Size of the log that the store keeps.", func() float64 { _, n := c.writer.LogSize(); return float64(n) })
	m.gauge("holdfast_log_limit_bytes", "Size beyond which the log is trimmed; at twice it only what reduces is written, at three times nothing.", func() float64 { return float64(c.writer.LogLimit()) })
	m.gauge("holdfast_log_first_index", "Oldest index of the log that the store keeps: what was before it is trimmed.", func() float64 { i, _ := c.writer.LogSize(); return float64(i) })
	m.gauge("holdfast_disk_floor_bytes", "Free space below which writes are refused, deletions at half of it.", func() float64 { return float64(c.writer.Floor) })
	m.gauge("holdfast_keks", "KEKs that this node has read from its file: more than one while it is renewed.", func() float64 { return float64(len(c.ring.KEK) / keyring.KeySize) })
	m.gauge("holdfast_audit_lag_records", "Records that are committed and not yet in the audit files.", func() float64 {
		at := c.audit.files.Index() // first: it must not overtake
		return float64(max(c.writer.View().Head.Index, at) - at)
	})
	m.gauge("holdfast_audit_age_seconds", "Time since the audit files last held every record.", func() float64 { return clock().Sub(time.UnixMilli(c.audit.caught.Load())).Seconds() })
	m.Registry.MustRegister(&followers{c, prometheus.NewDesc("holdfast_follower_in_sync", "1 if writes wait for this enrolled Region node.", []string{"follower"}, nil),
		prometheus.NewDesc("holdfast_follower_behind", "1 if this enrolled Region node has not acknowledged the head.", []string{"follower"}, nil)})
}

// followers collects what the sequencer knows of each Region node.
type followers struct {
	c              *Control
	inSync, behind *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (f *followers) Describe(to chan<- *prometheus.Desc) { to <- f.inSync; to <- f.behind }

// Collect implements prometheus.Collector. The set is the sequencer's.
func (f *followers) Collect(to chan<- prometheus.Metric) {
	if !f.c.writer.Sequences() {
		return
	}
	in, behind := f.c.hub.Members()
	for _, id := range feed.Followers(f.c.writer.View()) {
		to <- prometheus.MustNewConstMetric(f.inSync, prometheus.GaugeValue, boolean(slices.Contains(in, id)), id)
		to <- prometheus.MustNewConstMetric(f.behind, prometheus.GaugeValue, boolean(slices.Contains(behind, id)), id)
	}
}
