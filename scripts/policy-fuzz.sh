#!/usr/bin/env bash
# Runs each fuzz target of package policy for EXECUTIONS more inputs and counts
# them in a file, one line a target and commit. It can be stopped at any time.
#   scripts/policy-fuzz.sh EXECUTIONS [FILE]
set -euo pipefail
cd "$(dirname "$0")/.."
wanted=${1:-100000000}
file=${2:-policy/testdata/fuzz.txt}
chunk=$((wanted < 1000000 ? wanted : 1000000))
commit=$(git log -1 --format=%h --abbrev=10 -- policy ':!policy/testdata' ':!policy/internal/mutate')
[ -f "$file" ] || echo "# target commit executions" >"$file"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

done=0
while [ "$done" -lt "$wanted" ]; do
  for target in $(sed -n 's/^func \(Fuzz[A-Za-z]*\).*/\1/p' policy/*_test.go); do
    go test ./policy -run '^$' -fuzz "^$target\$" -fuzztime "${chunk}x" >"$work/out" || {
      cat "$work/out" # and the input stands in policy/testdata/fuzz
      exit 1
    }
    n=$(sed -n 's/.*execs: \([0-9]*\) .*/\1/p' "$work/out" | tail -1)
    awk -v t="$target" -v c="$commit" -v n="$n" '
      $1 == t && $2 == c { $3 += n; done = 1 }
      { print }
      END { if (!done) print t, c, n }' "$file" >"$work/counted"
    cp "$work/counted" "$file"
  done
  done=$((done + chunk))
done
