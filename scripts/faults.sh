#!/usr/bin/env bash
# Every fault scenario on real processes, then each again on each of the bugs
# that must turn it red. What was good stands in the report and is not run
# again, so that a run which was ended goes on; FRESH=1 begins anew. It needs
# root (network rules, mounts, strace) and the tools that scripts/test.sh installs.
set -euo pipefail
cd "$(dirname "$0")/.."
report=$PWD/internal/scenario/testdata/report.jsonl
[ "${FRESH:-}" = 1 ] && rm -f "$report"
mkdir -p "$(dirname "$report")"
status=0
go test ./internal/scenario -count=1 -run 'Hold|Whole' -faults all -timeout 60m -report "$report" || status=1
go test ./internal/scenario -count=1 -run Red -red -timeout 120m -report "$report" || status=1
python3 - "$report" <<'PY'
import json, sys
rows = [json.loads(l) for l in open(sys.argv[1]) if l.strip()]
held = {r["scenario"] for r in rows if r["good"] and not r.get("bug")}
red = {(r["scenario"], r["bug"]) for r in rows if r["good"] and r.get("bug")}
print(f"{len(held)} scenarios held; {len(red)} times a scenario was red on a bug, {len({b for _, b in red})} bugs; {sum(r['seconds'] for r in rows):.0f} s in all")
PY
exit $status
