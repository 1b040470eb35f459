#!/usr/bin/env bash
# Format, vet, staticcheck, govulncheck, cross-builds: what needs no running.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

step format
unformatted=$(gofmt -l $(git ls-files '*.go'))
if [ -n "$unformatted" ]; then
  echo "not gofmt'ed: $unformatted"
  exit 1
fi

step vet
go vet ./...

step staticcheck
go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

step "cross-builds"
for os in darwin windows; do
  GOOS=$os GOARCH=arm64 CGO_ENABLED=0 go build -o /dev/null ./cmd/holdfast
  echo "$os/arm64 builds"
done
