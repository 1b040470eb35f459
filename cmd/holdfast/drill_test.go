package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/drill"
)

func TestADrillSaysWhatHeldAndLeavesEverythingAsItWas(t *testing.T) {
	d := start(t, "--regions", "us-east-1,eu-west-1")
	t.Run("WithoutAYesNothingIsDone", func(t *testing.T) {
		cmd := exec.Command(d.bin, "--data", d.data, "drill", "control-plane-gone")
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "freeze control for 10s") || !strings.Contains(string(out), "nothing was done") {
			t.Errorf("%v %s", err, out)
		}
	})
	t.Run("TheControlPlaneIsGoneAndEveryNodeRestarts", func(t *testing.T) { twoDrills(t, d) })
	t.Run("WhatItNeedsAndIsNotThereIsSaid", func(t *testing.T) {
		cmd := exec.Command(d.bin, "--data", d.data, "drill", "--yes", "az-lost")
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "holdfast up --azs 3") {
			t.Errorf("%v %s", err, out)
		}
	})
	t.Run("AKilledDrillLeavesNothingFrozen", func(t *testing.T) { killedDrill(t, d) })
}

func twoDrills(t *testing.T, d *deploymentUnderTest) {
	report := filepath.Join(t.TempDir(), "report.json")
	cmd := exec.Command(d.bin, "--data", d.data, "drill", "--yes", "--for", "2s", "--rate", "50", "--report", report, "control-plane-gone", "all-nodes-restart")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil || strings.Count(string(out), " held\n") != 2 {
		t.Errorf("%v\n%s%s", err, out, &said)
	}
	text, err := os.ReadFile(report)
	var r drill.Report
	if err != nil || json.Unmarshal(text, &r) != nil {
		t.Fatalf("%v %s", err, text)
	}
	if !r.Held || len(r.Scenarios) != 2 || r.Digest == "" || r.Scenarios[0].Load.Sent < 150 || r.Scenarios[0].Writes.Refused == 0 || len(r.Scenarios[0].Invariants) != 5 {
		t.Errorf("%s", text)
	}
	if left, err := drill.NewClient(d.addresses().Control.API, "us-east-1", time.Now).Users(t.Context(), drill.Credential{ID: d.admin().id, Secret: d.admin().secret}, drill.Path); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// killedDrill kills the drill while it has the control plane frozen.
func killedDrill(t *testing.T, d *deploymentUnderTest) {
	cmd := exec.Command(d.bin, "--data", d.data, "drill", "--yes", "--for", "1m", "control-plane-gone")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e, admin := d.endpoint().in(t), d.admin()
	d.until("frozen", func() bool {
		return e.iam(admin, "TagUser", "UserName", "admin", "Tags.member.1.Key", "k", "Tags.member.1.Value", "v").status == 503
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	d.until("thawed", func() bool {
		return e.iam(admin, "UntagUser", "UserName", "admin", "TagKeys.member.1", "k").status == 200
	})
}
