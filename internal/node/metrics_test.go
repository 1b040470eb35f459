package node

import (
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/iam"
	"github.com/holdfast-iam/holdfast/internal/record"
)

func regionMetrics() *Metrics {
	m := newMetrics(&config.Config{Region: "us-east-1", Zone: "a"}, "us-east-1a", record.RegionNode)
	m.know(api.NewTable(iam.Ops(iam.Env{})))
	return m
}

func TestARequestIsCountedByOutcomeAndTimedByItsClass(t *testing.T) {
	m := regionMetrics()
	m.observe("iam", "CreateUser", "", 200, time.Millisecond)
	m.observe("iam", "CreateUser", "ServiceUnavailable", 503, time.Millisecond)
	m.observe("iam", "GetUser", "AccessDenied", 403, time.Millisecond)
	m.observe("iam", "GetUser", "AccessDenied", 403, time.Millisecond)
	m.observe("holdfast", "authorize", "", 200, time.Millisecond)
	for labels, n := range map[string]float64{
		"code= operation=CreateUser outcome=ok service=iam":                                                     1,
		"code=ServiceUnavailable operation=CreateUser outcome=failed service=iam":                               1,
		"code=AccessDenied operation=GetUser outcome=refused service=iam":                                       2,
		"code= operation=authorize outcome=ok service=holdfast":                                                 1,
		"code= operation=CreateUser outcome=ok service=iam role=region zone=a node=us-east-1a region=us-east-1": 1,
	} {
		if s := find(t, m, "holdfast_requests_total", labels); s == nil || s.Counter.GetValue() != n {
			t.Errorf("%s: %v, not %v", labels, s, n)
		}
	}
	for class, n := range map[string]uint64{"iam_write": 2, "iam_read": 2, "decision": 1} {
		if s := find(t, m, "holdfast_request_duration_seconds", "class="+class); s == nil || s.Histogram.GetSampleCount() != n {
			t.Errorf("%s: %v, not %d requests", class, s, n)
		}
	}
}

// find is the series of a metric that has all of the labels.
func find(t *testing.T, m *Metrics, name, labels string) *dto.Metric {
	t.Helper()
	families, err := m.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, s := range f.Metric {
			has := map[string]bool{}
			for _, l := range s.Label {
				has[l.GetName()+"="+l.GetValue()] = true
			}
			if !slices.ContainsFunc(strings.Fields(labels), func(l string) bool { return !has[l] }) {
				return s
			}
		}
	}
	return nil
}

func TestCountingWhatHasBeenSeenTakesNoMemory(t *testing.T) {
	m := regionMetrics()
	decided := m.decided("grpc")
	if n := testing.AllocsPerRun(100, func() {
		m.observe("iam", "GetUser", "AccessDenied", 403, time.Millisecond)
		decided("Allowed")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTheStoresMetricsCarryTheNodesLabels(t *testing.T) {
	m := newMetrics(&config.Config{Region: "us-east-1", Zone: "b"}, "control-b", record.ControlNode)
	if find(t, m, "etcd_server_has_leader", "node=control-b zone=b role=control region=us-east-1") == nil {
		t.Error("the store's are not served")
	}
}

func BenchmarkObserve(b *testing.B) {
	m := regionMetrics()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.observe("iam", "GetUser", "", 200, time.Millisecond)
		}
	})
}
