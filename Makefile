# make test is the whole truth; the other targets are parts of it or longer.
SHELL := /bin/bash

.PHONY: upgrade test check unit race fuzz cross build bench deps simulate policy-campaign policy-fuzz policy-mutants

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

# Ours beside floors and peers; BENCH=-quick for a short run.
bench:
	bash scripts/bench.sh $(BENCH)

# A campaign of the simulator: SEEDS worlds from FIRST on.
SEEDS ?= 20000
FIRST ?= 1
simulate:
	go test ./internal/simtest -run Seeds -timeout 0 -seeds $(SEEDS) -first $(FIRST)

# Rolling upgrade, restarts and the way back under REQUESTS each.
REQUESTS ?= 100000
upgrade:
	go test ./cmd/holdfast -run TestAnUpgradeNodeByNode -timeout 0 -count=1 -v -args -upgrade-requests $(REQUESTS)
