#!/usr/bin/env bash
# The whole truth: checks, then every test with the race detector, then a list
# of what was not run. It installs what it needs beyond Go:
#   awscli, curl   the README's session is run with them (Debian packages)
#   haproxy        the generated configuration of a Region's balancer is run with
#                  Debian's; as root the deployment page is run in network
#                  namespaces, with it, openssl, iproute2 and util-linux
#   nft, ip, strace, ps, mkfs.ext4  cause faults in the scenarios of internal/scenario
#                  (Debian packages nftables, iproute2, strace, procps, e2fsprogs)
#   promtool       checks the alert rules and the dashboard: out of Debian's
#                  package prometheus, unpacked beside, so that no service starts
# HOLDFAST_REQUIRE=terraform,… makes a missing tool of that list a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }
notrun=()

step "tools"
need=()
command -v aws >/dev/null || need+=(awscli)
command -v curl >/dev/null || need+=(curl)
PATH=$PATH:/usr/sbin:/sbin
command -v haproxy >/dev/null || need+=(haproxy)
command -v openssl >/dev/null || need+=(openssl)
for pair in nft:nftables ip:iproute2 strace:strace ps:procps mkfs.ext4:e2fsprogs; do
  command -v "${pair%%:*}" >/dev/null || need+=("${pair##*:}")
done
if [ ${#need[@]} -gt 0 ]; then
  echo "installing ${need[*]}: the README's session, the deployment page and the fault scenarios run with them"
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${need[@]}" >/dev/null
    if [[ " ${need[*]} " == *" haproxy "* ]]; then # the package's own service is not wanted here
      systemctl disable --now haproxy >/dev/null 2>&1 || true
    fi
  else
    echo "cannot install without root and apt-get; install them yourself" >&2
    exit 1
  fi
fi
if ! command -v promtool >/dev/null && command -v apt-get >/dev/null && command -v dpkg >/dev/null; then
  tools=${XDG_CACHE_HOME:-$HOME/.cache}/holdfast-tools/prometheus
  if [ ! -x "$tools/usr/bin/promtool" ]; then
    echo "unpacking Debian's package prometheus into $tools: promtool checks the alert rules"
    mkdir -p "$tools"
    [ "$(id -u)" = 0 ] && apt-get update -qq
    # Without it the tests say that promtool was not run.
    (cd "$tools" && apt-get download -qq prometheus && dpkg -x prometheus_*.deb . && rm -f prometheus_*.deb) || true
  fi
  PATH=$PATH:$tools/usr/bin
fi
bash scripts/check.sh

step "known vulnerabilities"
if ! timeout 120 go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./... >/tmp/govulncheck.$$ 2>&1; then
  if grep -q 'Vulnerability #' /tmp/govulncheck.$$; then
    cat /tmp/govulncheck.$$
    rm -f /tmp/govulncheck.$$
    exit 1
  fi
  notrun+=("govulncheck: its database cannot be reached")
fi
rm -f /tmp/govulncheck.$$

step "allocations, which the race detector changes"
go test -run Allocat ./policy

step "tests, with the race detector"
export HOLDFAST_NOT_RUN=$(mktemp)
trap 'rm -f "$HOLDFAST_NOT_RUN"' EXIT
go test -race -timeout 20m ./...

step "the deployment page: three zones and two Regions, in network namespaces"
HOLDFAST_PAGE=1 go test -count=1 -timeout 10m ./cmd/holdfast -run '^TestTheDeploymentPage'
while read -r item; do notrun+=("$item"); done <"$HOLDFAST_NOT_RUN"

step "the two policy evaluators: 2,000,000 decisions"
HOLDFAST_POLICY_CASES=2000000 go test -count=1 -timeout 20m ./policy -run '^TestTheCompiledEvaluatorDecidesAsTheLiteralOne$'

step "the simulator: 2,000 worlds, and each of its bugs found"
GOGC=400 go test -tags faults -count=1 -timeout 20m ./internal/simtest -run 'Seeds|Bug' -seeds 2000

step "not run"
if [ ${#notrun[@]} -eq 0 ]; then
  echo "nothing: everything was run"
fi
for item in "${notrun[@]:-}"; do
  [ -n "$item" ] && echo "- $item"
done
for tool in $(echo "${HOLDFAST_REQUIRE:-}" | tr , " "); do
  for item in "${notrun[@]:-}"; do
    if [ "${item%%:*}" = "$tool" ]; then
      echo "HOLDFAST_REQUIRE asks for $tool" >&2
      exit 1
    fi
  done
done
