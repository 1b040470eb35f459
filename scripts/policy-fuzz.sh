#!/usr/bin/env bash
# Runs fuzz targets of package policy for EXECUTIONS more each and counts them
# in a file, one line a target and commit. It can be stopped at any time.
#   scripts/policy-fuzz.sh EXECUTIONS [FILE [TARGET...]]
# Every input of the engine is a burst of executions: it and its neighbours.
set -euo pipefail
cd "$(dirname "$0")/.."
wanted=${1:-100000000}
file=$(realpath "${2:-policy/testdata/fuzz.txt}")
targets=${*:3}
[ -n "$targets" ] || targets=$(sed -n 's/^func \(Fuzz[A-Za-z]*\).*/\1/p' policy/*_test.go)
burst=$(sed -n 's/^const burst = \([0-9]*\)$/\1/p' policy/fuzz_test.go)
chunk=$((wanted < 2000000 ? wanted : 2000000))
commit=$(git log -1 --format=%h --abbrev=10 -- policy ':!policy/testdata' ':!policy/internal/mutate')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Only the package itself counts the lines that an input reaches: what is
# counted elsewhere, as in the library or the other evaluator, costs time and
# makes inputs interesting that are not.
package=$(go list ./policy)
go test -c -gcflags="$package=-d=libfuzzer" -o "$work/policy.test" ./policy
# Little is kept between two collections of garbage.
export GOGC=${GOGC:-1000}

done=0
while [ "$done" -lt "$wanted" ]; do
  for target in $targets; do
    (cd policy && "$work/policy.test" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$((chunk / burst))x" \
      -test.fuzzminimizetime 10x -test.fuzzcachedir "$(go env GOCACHE)/fuzz/$package") >"$work/out" 2>&1 || {
      cat "$work/out" # and the input stands in policy/testdata/fuzz
      exit 1
    }
    n=$(sed -n 's/.*execs: \([0-9]*\) .*/\1/p' "$work/out" | tail -1)
    awk -v t="$target" -v c="$commit" -v n="$n" -v b="$burst" '
      $1 == t && $2 == c && NF == 4 { $3 += n; $4 += n * b; done = 1 }
      { print }
      END { if (!done) print t, c, n, n * b }' OFMT=%.0f CONVFMT=%.0f "$file" >"$work/counted"
    cp "$work/counted" "$file"
  done
  done=$((done + chunk))
done
