#!/usr/bin/env bash
# Compares the two policy evaluators on DECISIONS more random decisions, and
# counts them in a file, one line a commit. It can be stopped at any time and
# goes on behind the last world that was counted.
#   scripts/policy-campaign.sh DECISIONS [FILE]
set -euo pipefail
cd "$(dirname "$0")/.."
wanted=${1:-100000000}
file=${2:-policy/testdata/campaign.txt}
chunk=2000000 # decisions between two counts; a world has 100

evaluators=(policy ':!policy/*_test.go' ':!policy/testdata' ':!policy/internal/mutate')
if ! git diff --quiet HEAD -- "${evaluators[@]}"; then
  echo "the evaluators have changes that no commit names" >&2
  exit 1
fi
commit=$(git log -1 --format=%h --abbrev=10 -- "${evaluators[@]}") # the last that changed them
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go test -c -o "$work/policy.test" ./policy
[ -f "$file" ] || echo "# commit first-world last-world decisions disagreements" >"$file"

# count adds a chunk to the commit's line.
count() { # first last decisions disagreements
  awk -v c="$commit" -v f="$1" -v l="$2" -v n="$3" -v d="$4" '
    $1 == c && $3 + 1 == f { $3 = l; $4 += n; $5 += d; done = 1 }
    { print }
    END { if (!done) print c, f, l, n, d }' "$file" >"$work/counted"
  cp "$work/counted" "$file"
}

done=0
while [ "$done" -lt "$wanted" ]; do
  first=$(awk '!/^#/ && $3 > last { last = $3 } END { print last + 1 }' "$file")
  last=$((first + chunk / 100 - 1))
  disagreements=0
  GOGC=800 HOLDFAST_POLICY_SEED=$first HOLDFAST_POLICY_CASES=$chunk "$work/policy.test" -test.timeout 0 \
    -test.run '^TestTheCompiledEvaluatorDecidesAsTheLiteralOne$' >"$work/out" || {
    cat "$work/out"
    disagreements=$(sed -n 's/.* \([0-9]*\) disagreements in .*/\1/p' "$work/out")
    [ -n "$disagreements" ] || exit 1
  }
  count "$first" "$last" "$chunk" "$disagreements"
  done=$((done + chunk))
done
