package node

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// fromStore are the metrics of the embedded etcd that an operator needs. It has
// a hundred more, in the default registry where it puts them.
var fromStore = []string{
	"etcd_disk_backend_commit_duration_seconds",
	"etcd_disk_wal_fsync_duration_seconds",
	"etcd_mvcc_db_total_size_in_bytes",
	"etcd_mvcc_db_total_size_in_use_in_bytes",
	"etcd_server_has_leader",
	"etcd_server_leader_changes_seen_total",
	"etcd_server_quota_backend_bytes",
}

// storeMetrics serves them with the node's labels.
type storeMetrics struct{ labels prometheus.Labels }

// Gather implements prometheus.Gatherer.
func (s *storeMetrics) Gather() ([]*dto.MetricFamily, error) {
	all, err := prometheus.DefaultGatherer.Gather()
	var list []*dto.MetricFamily
	for _, f := range all {
		if !slices.Contains(fromStore, f.GetName()) {
			continue
		}
		for _, m := range f.Metric {
			m.Label = s.with(m.Label)
		}
		list = append(list, f)
	}
	return list, err
}

func (s *storeMetrics) with(labels []*dto.LabelPair) []*dto.LabelPair {
	labels = slices.Clone(labels) // the registry's own
	for name, value := range s.labels {
		labels = append(labels, &dto.LabelPair{Name: &name, Value: &value})
	}
	slices.SortFunc(labels, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
	return labels
}
