package main

import (
	"testing"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/local"
)

// announced: a Region node that knows one address of the control plane, where
// nobody is, hears from its neighbours where another node is now.
func announced(t *testing.T, d *deploymentUnderTest) {
	d.cutOff(cut, d.regionPeers())
	d.until("alone with its neighbours", func() bool { s := d.status(cut); return s != nil && s.Ready && !s.Connected && len(s.Peers) == 2 })
	path := local.Layout{Dir: d.data}.Config("controlb")
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	c.Advertise = c.Controls["controlb"]
	d.restart("controlb", func(string) {
		if err := local.Write(path, c, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	d.until("connected", func() bool { s := d.status(cut); return s != nil && s.Connected })
}
