package node

import (
	"encoding/json"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Status is what a node says of itself on its admin listener.
type Status struct {
	Node      string   `json:"node"`
	Role      string   `json:"role"`
	Region    string   `json:"region"`
	Zone      string   `json:"zone,omitempty"`
	Ready     bool     `json:"ready"`
	Why       string   `json:"why,omitempty"` // not ready, or alarmed
	Connected bool     `json:"connected"`
	Revision  string   `json:"revision"`
	Lineage   string   `json:"lineage"`
	Index     uint64   `json:"index"`
	Age       float64  `json:"ageSeconds"`
	Digest    string   `json:"digest"`
	Records   int      `json:"records"`
	Format    int      `json:"format"`
	Peers     []string `json:"peers,omitempty"`          // Region: the Region's other nodes that it hears
	Load      float64  `json:"load"`                     // Region: how busy it is; 1 is all that it can do
	ZoneLoss  *float64 `json:"zoneLoss,omitempty"`       // Region: how busy the rest would be without the zone with most nodes; absent: nobody would be left
	Horizon   float64  `json:"horizonSeconds,omitempty"` // of the node's signing keys
	Sequencer string   `json:"sequencer,omitempty"`      // control plane: who made the newest commit that it knows of
	Term      uint64   `json:"term,omitempty"`           // control plane: and in which term
	InSync    []string `json:"inSync,omitempty"`         // control plane: nodes that writes wait for
	Missing   []string `json:"missing,omitempty"`        // control plane: enrolled nodes behind the head
	Fenced    []string `json:"fenced,omitempty"`         // control plane: nodes that were taken out
}

// adminHandler serves health, status and metrics: for loopback and scrapers.
// Healthy is being alive; ready is having something true to serve. A stale
// node is both: static stability.
func adminHandler(status func() Status, m *Metrics) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("alive\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if s := status(); !s.Ready {
			http.Error(w, "not ready: "+s.Why, http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(status()) // the client may be gone
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(m, promhttp.HandlerOpts{}))
	return mux
}
