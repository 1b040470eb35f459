#!/usr/bin/env bash
# Runs SEEDS more worlds of the simulator and counts them in a file, one line a
# commit. It can be stopped at any time and goes on behind the last seed that was
# counted. Seeds that failed are listed in the same file, with the commit.
#   scripts/simulate.sh SEEDS [FILE]
set -euo pipefail
cd "$(dirname "$0")/.."
wanted=${1:-20000}
file=${2:-internal/simtest/testdata/campaign.txt}
chunk=${CHUNK:-500} # seeds between two counts

# What a world is made of: the same seed is another world after any change of it.
made=(internal/simtest internal/record internal/view internal/store internal/feed internal/replica internal/overlay internal/clocks
  internal/lineage internal/session ':!internal/*_test.go' ':!internal/*/testdata')
if ! git diff --quiet HEAD -- "${made[@]}"; then
  echo "the simulator, or what it drives, has changes that no commit names" >&2
  exit 1
fi
commit=$(git log -1 --format=%h --abbrev=10 -- "${made[@]}") # the last that changed any of it
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Built twice, the second time for what the first was busy with: a fifth less time a world.
go test -c -tags faults -o "$work/simtest.test" ./internal/simtest
"$work/simtest.test" -test.run Seeds -seeds 100 -test.cpuprofile "$work/busy" >"$work/out" || true # its seeds are counted elsewhere
go test -c -tags faults -pgo "$work/busy" -o "$work/simtest.test" ./internal/simtest
mkdir -p "$(dirname "$file")"
[ -f "$file" ] || echo "# commit first-seed last-seed steps writes faults failing-seeds" >"$file"

# count adds a chunk to the commit's line.
count() { # first last steps writes faults failing
  awk -v c="$commit" -v f="$1" -v l="$2" -v s="$3" -v w="$4" -v x="$5" -v d="$6" '
    $1 == c && $3 + 1 == f { $3 = l; $4 += s; $5 += w; $6 += x; if (d != "") $0 = $0 (NF > 6 ? "," : " ") d; done = 1 }
    { print }
    END { if (!done) print c, f, l, s, w, x (d != "" ? " " d : "") }' "$file" >"$work/counted"
  cp "$work/counted" "$file"
}

done=0
while [ "$done" -lt "$wanted" ]; do
  first=$(awk '!/^#/ && $3 > last { last = $3 } END { print last + 1 }' "$file")
  last=$((first + chunk - 1))
  GOGC=1600 "$work/simtest.test" -test.timeout 0 -test.v -test.run Seeds -seeds "$chunk" -first "$first" >"$work/out" || grep -A1 'seeds fail' "$work/out" || true
  read -r steps writes faults failing < <(sed -n 's/.*counted: [0-9]* seeds, \([0-9]*\) steps, \([0-9]*\) writes, \([0-9]*\) faults, failing: \[\(.*\)\].*/\1 \2 \3 \4/p' "$work/out")
  [ -n "$steps" ] || {
    cat "$work/out"
    exit 1
  }
  count "$first" "$last" "$steps" "$writes" "$faults" "${failing// /,}"
  done=$((done + chunk))
done
