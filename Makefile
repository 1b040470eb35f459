# make test is the whole truth; the other targets are parts of it or longer.
SHELL := /bin/bash

.PHONY: faults availability kills power-cuts flips upgrade test check unit race fuzz cross build bench deps simulate policy-campaign policy-fuzz policy-mutants

build:
	go build -o bin/holdfast ./cmd/holdfast

test:
	bash scripts/test.sh

check:
	bash scripts/check.sh

unit:
	go test ./...

race:
	go test -race ./...

# Longer campaigns: each fuzz target for FUZZTIME.
FUZZTIME ?= 60s
fuzz:
	bash scripts/fuzz.sh $(FUZZTIME)

# DECISIONS more random decisions of the two policy evaluators compared, counted in policy/testdata/campaign.txt.
DECISIONS ?= 100000000
policy-campaign:
	bash scripts/policy-campaign.sh $(DECISIONS)

# EXECUTIONS more inputs for each fuzz target of policy, counted in policy/testdata/fuzz.txt.
EXECUTIONS ?= 100000000
policy-fuzz:
	bash scripts/policy-fuzz.sh $(EXECUTIONS)

# One change of package policy at a time, each of which some test must notice; after a change of a file, delete its lines
# in policy/testdata/mutants.txt first, which are those that are tried no more.
policy-mutants:
	go run ./policy/internal/mutate -results policy/testdata/mutants.txt

# Every fault scenario, then each on each of the bugs that turn it red; resumable, FRESH=1 begins anew.
faults:
	bash scripts/faults.sh

# REQUESTS requests for each scenario of `holdfast drill`, at RATE a second; reports in OUT.
availability:
	bash scripts/availability.sh

# Kills into write load, checked for lost writes and linearizability.
KILLS ?= 200
kills:
	HOLDFAST_KILLS=$(KILLS) go test ./cmd/holdfast -count=1 -v -timeout 60m -run KillsIntoWriteLoad

# Power cuts of the control plane's file system under writes.
CUTS ?= 50
power-cuts:
	go test ./internal/scenario -count=1 -v -timeout 60m -run 'Hold/D1' -faults all -power-cuts $(CUTS)

# Bits flipped in a Region node's disk copy and feed.
FLIPS ?= 1000000
flips:
	go test ./internal/replica -count=1 -v -timeout 120m -run NoFlippedBit -flips $(FLIPS)

# Ours beside floors and peers; BENCH=-quick for a short run.
bench:
	bash scripts/bench.sh $(BENCH)

# SEEDS more worlds of the simulator, counted in internal/simtest/testdata/campaign.txt.
SEEDS ?= 20000
simulate:
	bash scripts/simulate.sh $(SEEDS)

# Rolling upgrade, restarts and the way back under REQUESTS each, UPGRADE_RATE a second.
REQUESTS ?= 100000
UPGRADE_RATE ?= 500
upgrade:
	go test ./cmd/holdfast -run TestAnUpgradeNodeByNode -timeout 0 -count=1 -v -args -upgrade-requests $(REQUESTS) -upgrade-rate $(UPGRADE_RATE)

# The deployment page's commands, in network namespaces.
page:
	HOLDFAST_PAGE=1 go test ./cmd/holdfast -run TestTheDeploymentPage -count=1 -v
