#!/usr/bin/env bash
# The benchmarks that are here, five rounds each.
set -euo pipefail
cd "$(dirname "$0")/.."
go test ./... -run '^$' -bench . -benchmem -count 5
