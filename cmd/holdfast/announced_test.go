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
	c, err := config.Load(local.Layout{Dir: d.data}.Config("controlb"))
	if err != nil {
		t.Fatal(err)
	}
	d.advertises("controlb", c.Controls["controlb"])
	d.until("connected", func() bool { s := d.status(cut); return s != nil && s.Connected })
}
