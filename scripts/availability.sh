#!/usr/bin/env bash
# The availability table: a deployment of two Regions and three zones, and each
# scenario of `holdfast drill` under REQUESTS requests at RATE a second, none of
# which may be repeated but where the scenario says so. Reports go to OUT.
set -euo pipefail
cd "$(dirname "$0")/.."
requests=${REQUESTS:-300000} rate=${RATE:-500} out=${OUT:-availability}
scenarios=${SCENARIOS:-control-plane-gone region-cut-off sequencer-frozen az-lost node-killed node-frozen all-nodes-restart}
dir=$(mktemp -d /tmp/hf-XXXXXX)
bin=$dir/holdfast
go build -o "$bin" ./cmd/holdfast
mkdir -p "$out"
"$bin" up --data "$dir/d" --listen 127.0.0.1:${PORT:-6260} --regions us-east-1,eu-west-1 --azs 3 --ready-file "$dir/ready" >"$dir/up.log" 2>&1 &
up=$!
trap 'kill $up; wait $up || true; rm -rf "$dir"' EXIT
for _ in $(seq 120); do [ -f "$dir/ready" ] && break; sleep 0.5; done
status=0
for s in $scenarios; do
  retries=0
  case $s in az-lost | node-killed | node-frozen | all-nodes-restart) retries=1 ;; esac
  "$bin" --data "$dir/d" drill --yes --rate "$rate" --for "$((requests / rate))s" --writes 5 --retries "$retries" --report "$out/$s.json" "$s" 2>/dev/null || status=1
done
exit $status
